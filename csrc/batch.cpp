// Gathering, mixup, input noise and input dropout.
#include "batch.hpp"

#include <algorithm>

#include "philox.hpp"
#include "transpose.hpp"

namespace regimen {

std::vector<Slice> slices_of(const RegimenRun& run) {
  std::vector<Slice> slices;
  for (int64_t i = 0; i < run.batches; ++i) slices.push_back({run.starts[i], run.starts[i + 1] - run.starts[i]});
  return slices;
}

Batches::Batches(const RegimenRun& run, Network& network, int64_t most_rows)
    : run_(run), network_(network), order_(static_cast<size_t>(run.train.rows)) {
  for (int set = 0; set < (run.mixing ? 2 : 1); ++set) {
    labels_[set].resize(static_cast<size_t>(most_rows));
    values_[set].resize(static_cast<size_t>(most_rows));
    if (run.train.weights) weights_[set].resize(static_cast<size_t>(most_rows));
  }
  if (run.mixing) {
    partners_.resize(static_cast<size_t>(most_rows));
    mixed_ = Floats(padded(most_rows) * network.input_rows_leading());
  }
  if (run.input_threshold) masks_ = Floats((run.block[0].inputs + 7) / 8 * 8 * leading(most_rows));
}

void Batches::shuffle(int64_t epoch) {
  const Stream stream{run_.key, static_cast<uint32_t>(epoch), counter3(Purpose::kShuffle, 0, 0)};
  random_order(stream, run_.train.rows, order_.data());
}

Targets Batches::load(Slice slice, int64_t step) {
  const int64_t features = run_.block[0].inputs, row_leading = network_.input_rows_leading();
  float* rows = network_.input_rows();
  for (int64_t r = 0; r < slice.rows; ++r) {
    const int64_t row = order_[static_cast<size_t>(slice.first + r)];
    std::copy_n(run_.train.inputs + row * features, features, rows + r * row_leading);
    if (run_.train.labels) labels_[0][r] = static_cast<int32_t>(run_.train.labels[row]);
    if (run_.train.targets) values_[0][r] = run_.train.targets[row];
    if (run_.train.weights) weights_[0][r] = run_.train.weights[row];
  }
  float share = 1.0F;
  if (run_.mixing) mix(slice.rows, step, share = static_cast<float>(run_.mixing[step]));
  const Plane x = network_.input(slice.rows);
  // The last square is transposed whole: what an earlier batch left there must go.
  for (int64_t r = slice.rows; r < x.columns; ++r) std::fill_n(rows + r * row_leading, features, 0.0F);
  transpose(x.columns, padded(features), rows, row_leading, x.data, x.leading);
  const uint32_t c2 = static_cast<uint32_t>(step);
  if (run_.input_noise > 0.0) {
    add_normals({run_.key, c2, counter3(Purpose::kNoise, 0, 0)}, static_cast<float>(run_.input_noise), features,
                slice.rows, x.data, x.leading);
  }
  if (run_.input_threshold) {
    fill_masks({run_.key, c2, counter3(Purpose::kMask, 0, 0)}, static_cast<uint32_t>(run_.input_threshold),
               static_cast<float>(run_.input_keep_scale), features, slice.rows, masks_.data(), x.leading);
    apply_mask(x, masks_.data());
  }
  if (run_.input_noise > 0.0 || run_.input_threshold) {
    transpose(padded(features), x.columns, x.data, x.leading, rows, row_leading);
  }
  Targets targets{{}, {}, {}, share};
  for (int set = 0; set < (run_.mixing ? 2 : 1); ++set) {
    if (run_.train.labels) targets.labels[set] = labels_[set].data();
    if (run_.train.targets) targets.values[set] = values_[set].data();
    if (run_.train.weights) targets.weights[set] = weights_[set].data();
  }
  return targets;
}

void Batches::mix(int64_t rows, int64_t step, float share) {
  const int64_t features = run_.block[0].inputs, row_leading = network_.input_rows_leading();
  random_order({run_.key, static_cast<uint32_t>(step), counter3(Purpose::kMixup, 0, 1)}, rows, partners_.data());
  float* x = network_.input_rows();
  std::copy_n(x, rows * row_leading, mixed_.data());
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t partner = partners_[r];
    labels_[1][r] = labels_[0][partner];
    values_[1][r] = values_[0][partner];
    if (run_.train.weights) weights_[1][r] = weights_[0][partner];
    float* own = x + r * row_leading;
    const float* other = mixed_.data() + partner * row_leading;
    // As torch.lerp(other, own, share), which is exact at both ends.
    for (int64_t f = 0; f < features; ++f) {
      const float d = own[f] - other[f];
      own[f] = share < 0.5F ? other[f] + share * d : own[f] - d * (1.0F - share);
    }
  }
}

void Batches::load_plain(Slice slice) {
  const int64_t features = run_.block[0].inputs, row_leading = network_.input_rows_leading();
  float* rows = network_.input_rows();
  const Plane x = network_.input(slice.rows);
  for (int64_t r = 0; r < x.columns; ++r) {
    if (r < slice.rows) {
      const int64_t row = order_[static_cast<size_t>(slice.first + r)];
      std::copy_n(run_.train.inputs + row * features, features, rows + r * row_leading);
    } else {
      std::fill_n(rows + r * row_leading, features, 0.0F);
    }
  }
  transpose(x.columns, padded(features), rows, row_leading, x.data, x.leading);
}

}  // namespace regimen
