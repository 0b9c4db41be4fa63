// Layout of the parameters, and the passes forward.
#include "network.hpp"

#include <algorithm>

#include "norm.hpp"
#include "philox.hpp"
#include "product.hpp"
#include "transpose.hpp"

namespace regimen {

Network::Network(const RegimenRun& run, int64_t rows, const std::atomic<bool>& cancelled)
    : cancelled_(cancelled), update_(run.update), inputs_(run.block[0].inputs), leading_(regimen::leading(rows)) {
  int64_t widest = inputs_;
  const bool clips = update_.clip_norm > 0.0;
  int64_t most_leading = 0;
  for (int64_t i = 0; i < run.blocks; ++i) {
    const RegimenBlock& block = run.block[i];
    Layer& layer = layers_.emplace_back();
    layer.block = block;
    layer.leading = regimen::leading(block.inputs);
    layer.weight = size_;
    size_ += block.outputs * layer.leading;
    // The stretch of every tensor starts and ends on whole cache lines.
    const auto place = [&](int64_t count) { return std::exchange(size_, size_ + (count + 15) / 16 * 16); };
    size_ = (size_ + 15) / 16 * 16;
    layer.bias = place(block.outputs);
    layer.gamma = layer.beta = -1;
    const int64_t plane = padded(block.outputs) * leading_;
    if (block.normalization != REGIMEN_NO_NORM) {
      layer.gamma = place(block.outputs);
      layer.beta = place(block.outputs);
      layer.normalized = Floats(plane);
      layer.inverse_sd = Floats(std::max(padded(block.outputs), std::max(leading_, kEvaluationRows)));
      layer.running_mean = Floats(padded(block.outputs));
      layer.running_variance = Floats(padded(block.outputs));
    }
    layer.kept = static_cast<float>(block.keep_scale);
    layer.value = Floats(plane);
    if (block.activation != REGIMEN_IDENTITY && !slope_is_sign(block.activation)) layer.slope = Floats(plane);
    if (i + 1 < run.blocks) layer.rows = Floats(padded(rows) * regimen::leading(block.outputs));
    widest = std::max<int64_t>(widest, block.outputs);
    most_leading = std::max(most_leading, layer.leading);
  }
  live_ = Floats(size_);
  for (int i = 0; i < states_of(update_); ++i) {
    states_[i] = Floats(size_);
    std::fill_n(states_[i].data(), size_, initial_state(update_));
  }
  gradient_ = Floats(clips ? size_ : kBlockRows * most_leading);
  input_ = Floats(padded(inputs_) * leading_);
  input_rows_ = Floats(padded(rows) * input_rows_leading());
  masks_ = Floats((widest + 7) / 8 * 8 * leading_);
  for (Floats& passed : passed_) passed = Floats(padded(widest) * leading_);
  for (Floats& vector : vectors_) vector = Floats(padded(widest));
  for (Floats& plane : evaluation_) plane = Floats(padded(widest) * kEvaluationRows);
  reset_statistics();
}

bool Network::has_batch_norm() const {
  return std::any_of(layers_.begin(), layers_.end(),
                     [](const Layer& layer) { return layer.block.normalization == REGIMEN_BATCH_NORM; });
}

void Network::reset_statistics() {
  for (Layer& layer : layers_) {
    if (layer.block.normalization != REGIMEN_BATCH_NORM) continue;
    std::fill_n(layer.running_mean.data(), layer.block.outputs, 0.0F);
    std::fill_n(layer.running_variance.data(), layer.block.outputs, 1.0F);
  }
}

void Network::read(const float* packed) {
  for (const Layer& layer : layers_) {
    const auto take = [&](int64_t offset, int64_t count) {
      std::copy_n(packed, count, live_.data() + offset);
      packed += count;
    };
    for (int64_t o = 0; o < layer.block.outputs; ++o) take(layer.weight + o * layer.leading, layer.block.inputs);
    for (const int64_t offset : {layer.bias, layer.gamma, layer.beta}) {
      if (offset >= 0) take(offset, layer.block.outputs);
    }
  }
}

void Network::write(const float* parameters, float* packed, float* statistics) const {
  for (const Layer& layer : layers_) {
    const auto give = [&](int64_t offset, int64_t count) { packed = std::copy_n(parameters + offset, count, packed); };
    for (int64_t o = 0; o < layer.block.outputs; ++o) give(layer.weight + o * layer.leading, layer.block.inputs);
    for (const int64_t offset : {layer.bias, layer.gamma, layer.beta}) {
      if (offset >= 0) give(offset, layer.block.outputs);
    }
    if (layer.block.normalization != REGIMEN_BATCH_NORM) continue;
    statistics = std::copy_n(layer.running_mean.data(), layer.block.outputs, statistics);
    statistics = std::copy_n(layer.running_variance.data(), layer.block.outputs, statistics);
  }
}

void Network::normalize(Layer& layer, Plane z, const float* parameters, const Pass& pass) {
  const float *gamma = parameters + layer.gamma, *beta = parameters + layer.beta;
  if (layer.block.normalization == REGIMEN_BATCH_NORM) {
    batch_norm_forward(z, pass.rows, gamma, beta, layer.normalized.data(), layer.inverse_sd.data(),
                       layer.running_mean.data(), layer.running_variance.data(), pass.norm_share);
  } else if (layer.block.normalization == REGIMEN_LAYER_NORM) {
    layer_norm_forward(z, gamma, beta, layer.normalized.data(), layer.inverse_sd.data());
  }
}

Plane Network::forward(const float* parameters, const Pass& pass) {
  const int64_t columns = padded(pass.rows);
  Plane x = input(pass.rows);
  for (Layer& layer : layers_) {
    go_on();
    const RegimenBlock& block = layer.block;
    Plane z{layer.value.data(), leading_, block.outputs, columns};
    multiply(block.outputs, columns, block.inputs, {parameters + layer.weight, layer.leading}, {x.data, leading_},
             z.data, leading_, {Start::kBias, parameters + layer.bias});
    normalize(layer, z, parameters, pass);
    const float* mask = nullptr;
    if (pass.dropout && block.threshold) {
      const uint32_t c3 = counter3(Purpose::kMask, static_cast<uint32_t>(block.site), 0);
      fill_masks({pass.key, pass.step, c3}, static_cast<uint32_t>(block.threshold), layer.kept, block.outputs,
                 pass.rows, masks_.data(), leading_);
      mask = masks_.data();
    }
    if (block.activation != REGIMEN_IDENTITY) {
      activate(block.activation, z, pass.dropout ? layer.slope.data() : nullptr, mask);
    }
    if (pass.dropout && layer.rows.size()) {
      transpose(padded(block.outputs), columns, z.data, leading_, layer.rows.data(), regimen::leading(block.outputs));
    }
    x = z;
  }
  return x;
}

Plane Network::evaluate(const float* parameters, const float* inputs, int64_t rows) {
  const int64_t columns = padded(rows);
  Plane x{const_cast<float*>(inputs), kEvaluationRows, inputs_, columns};
  for (size_t i = 0; i < layers_.size(); ++i) {
    go_on();
    Layer& layer = layers_[i];
    const RegimenBlock& block = layer.block;
    Plane z{evaluation_[i % 2].data(), kEvaluationRows, block.outputs, columns};
    multiply(block.outputs, columns, block.inputs, {parameters + layer.weight, layer.leading}, {x.data, kEvaluationRows},
             z.data, kEvaluationRows, {Start::kBias, parameters + layer.bias});
    if (block.normalization == REGIMEN_BATCH_NORM) {
      batch_norm_evaluate(z, parameters + layer.gamma, parameters + layer.beta, layer.running_mean.data(),
                          layer.running_variance.data());
    } else if (block.normalization == REGIMEN_LAYER_NORM) {
      // The other plane held this layer's input, which is no longer needed.
      layer_norm_forward(z, parameters + layer.gamma, parameters + layer.beta, evaluation_[(i + 1) % 2].data(),
                         layer.inverse_sd.data());
    }
    if (block.activation != REGIMEN_IDENTITY) activate(block.activation, z, nullptr, nullptr);
    x = z;
  }
  return x;
}

}  // namespace regimen
