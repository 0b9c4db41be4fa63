// Losses, accuracies and outputs of whole parts, a few rows at a time that stay in the cache.
#include "evaluation.hpp"

#include <algorithm>
#include <cmath>

#include "transpose.hpp"

namespace regimen {

Evaluation::Evaluation(const RegimenRun& run, Network& network)
    : run_(run),
      network_(network),
      criterion_{run.criterion == REGIMEN_SQUARED_ERROR, 0.0, nullptr, run.block[run.blocks - 1].outputs},
      rows_(Network::kEvaluationRows * leading(run.block[0].inputs)),
      inputs_(padded(run.block[0].inputs) * Network::kEvaluationRows) {}

Score Evaluation::score(const float* parameters, const RegimenPart& part, float* outputs) {
  constexpr int64_t kRows = Network::kEvaluationRows;
  const int64_t features = run_.block[0].inputs, row_leading = leading(features), classes = criterion_.classes;
  Score score;
  for (int64_t first = 0; first < part.rows; first += kRows) {
    const int64_t count = std::min(kRows, part.rows - first);
    for (int64_t r = 0; r < padded(count); ++r) {
      if (r < count) {
        std::copy_n(part.inputs + (first + r) * features, features, rows_.data() + r * row_leading);
      } else {
        std::fill_n(rows_.data() + r * row_leading, features, 0.0F);
      }
    }
    transpose(padded(count), padded(features), rows_.data(), row_leading, inputs_.data(), kRows);
    const Plane z = network_.evaluate(parameters, inputs_.data(), count);
    add_score(criterion_, z, count, part.labels ? part.labels + first : nullptr,
              part.targets ? part.targets + first : nullptr, part.weights ? part.weights + first : nullptr, score);
    if (!outputs) continue;
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t c = 0; c < classes; ++c) outputs[(first + r) * classes + c] = z.data[c * z.leading + r];
    }
  }
  return score;
}

bool Evaluation::measure(const float* parameters, int64_t epoch) {
  bool finite = true;
  for (const RegimenPart* part : {&run_.train, &run_.validation, &run_.stop}) {
    if (part->rows == 0) continue;
    float* outputs = part->every_output;
    if (outputs) outputs += epoch * part->rows * criterion_.classes;
    const Score measured = score(parameters, *part, outputs);
    part->losses[epoch] = measured.loss / (part->weights ? measured.weight : static_cast<double>(part->rows));
    if (part->accuracies) part->accuracies[epoch] = static_cast<double>(measured.correct) / static_cast<double>(part->rows);
    finite = finite && std::isfinite(part->losses[epoch]);
  }
  return finite;
}

void Evaluation::keep_outputs(const float* parameters) {
  for (const RegimenPart* part : {&run_.validation, &run_.test}) {
    if (part->outputs) score(parameters, *part, part->outputs);
  }
}

void Evaluation::reestimate(const float* parameters, Batches& batches, const std::vector<Slice>& slices) {
  if (!network_.has_batch_norm()) return;
  network_.reset_statistics();
  float count = 0.0F;
  for (const Slice& slice : slices) {
    batches.load_plain(slice);
    network_.forward(parameters, {slice.rows, run_.key, 0, false, 1.0F / ++count});
  }
}

}  // namespace regimen
