// The pass back: gradients of the inputs, gradients of the weights, and the update right behind them.
#include <algorithm>

#include "network.hpp"
#include "norm.hpp"
#include "product.hpp"

namespace regimen {
namespace {

// Rows of a long batch that a weight gradient sums at a time: more would fall out of the first cache.
constexpr int64_t kDepth = 512;

}  // namespace

void Network::backward(int64_t rows, Updater& updater) {
  const int64_t columns = padded(rows);
  float* gradient = layers_.back().value.data();  // of the last layer's outputs
  for (size_t i = layers_.size(); i-- > 0;) {
    go_on();
    Layer& layer = layers_[i];
    const RegimenBlock& block = layer.block;
    const Plane z{gradient, leading_, block.outputs, columns};
    if (block.activation != REGIMEN_IDENTITY) {
      if (slope_is_sign(block.activation)) {
        pass_positive(z, layer.value.data(), block.threshold ? layer.kept : 1.0F);
      } else {
        pass_slope(z, layer.slope.data());
      }
    }
    backward_norm(layer, z, rows, updater);
    // The gradient of the layer's input is taken before the update changes the weights.
    float* passed = passed_[i % 2].data();
    if (i > 0) {
      multiply_transposed(block.inputs, columns, block.outputs, {live_.data() + layer.weight, layer.leading},
                          {gradient, leading_}, passed, leading_);
    }
    sum_rows(z, vectors_[0].data());
    update_vector(layer.bias, block.outputs, vectors_[0].data(), updater);
    if (i > 0) {
      update_weights(layer, gradient, layers_[i - 1].rows.data(), regimen::leading(block.inputs), rows, updater);
    } else {
      update_weights(layer, gradient, input_rows_.data(), input_rows_leading(), rows, updater);
    }
    gradient = passed;
  }
  if (update_.clip_norm > 0.0) update_clipped(updater);
}

void Network::backward_norm(Layer& layer, Plane gradient, int64_t rows, Updater& updater) {
  const RegimenBlock& block = layer.block;
  if (block.normalization == REGIMEN_NO_NORM) return;
  float *gamma = vectors_[1].data(), *beta = vectors_[2].data();
  if (block.normalization == REGIMEN_BATCH_NORM) {
    batch_norm_backward(gradient, rows, live_.data() + layer.gamma, layer.normalized.data(), layer.inverse_sd.data(),
                        gamma, beta);
  } else {
    layer_norm_backward(gradient, live_.data() + layer.gamma, layer.normalized.data(), layer.inverse_sd.data(), gamma,
                        beta);
  }
  update_vector(layer.gamma, block.outputs, gamma, updater);
  update_vector(layer.beta, block.outputs, beta, updater);
}

void Network::update_vector(int64_t offset, int64_t count, float* gradient, Updater& updater) {
  if (update_.clip_norm > 0.0) {
    std::copy_n(gradient, count, gradient_.data() + offset);
    return;
  }
  std::fill(gradient + count, gradient + padded(count), 0.0F);
  update_stretch(offset, gradient, padded(count), false, updater);
}

void Network::update_weights(Layer& layer, const float* gradient, const float* inputs, int64_t inputs_leading, int64_t rows,
                             Updater& updater) {
  const int64_t outputs = layer.block.outputs, columns = padded(layer.block.inputs);
  const bool clips = update_.clip_norm > 0.0;
  const int64_t blocks = (outputs + kBlockRows - 1) / kBlockRows;
  for (int64_t i = 0, row = 0; i < blocks; ++i) {
    go_on();
    // Evenly, as the tiles of the product are.
    const int64_t count = outputs / blocks + (i < outputs % blocks);
    const int64_t offset = layer.weight + row * layer.leading;
    float* sums = clips ? gradient_.data() + offset : gradient_.data();
    for (int64_t depth = 0; depth < rows; depth += kDepth) {
      multiply(count, columns, std::min(kDepth, rows - depth), {gradient + row * leading_ + depth, leading_},
               {inputs + depth * inputs_leading, inputs_leading}, sums, layer.leading,
               {depth ? Start::kAdd : Start::kZero});
    }
    if (!clips) {
      if (layer.leading != columns) {
        for (int64_t r = 0; r < count; ++r) std::fill_n(sums + r * layer.leading + columns, layer.leading - columns, 0.0F);
      }
      update_stretch(offset, sums, count * layer.leading, true, updater);
      updater.limit_norms(live_.data() + offset, count, layer.leading);
    }
    row += count;
  }
}

void Network::update_stretch(int64_t offset, float* gradient, int64_t count, bool is_weight, Updater& updater) {
  Stretch stretch{live_.data() + offset, gradient, {}, count, is_weight};
  for (int i = 0; i < 3; ++i) stretch.states[i] = states_[i].size() ? states_[i].data() + offset : nullptr;
  updater.apply(stretch);
}

// Clipping needs the norm of the whole gradient before anything moves.
void Network::update_clipped(Updater& updater) {
  struct Piece {
    int64_t offset, count;
    bool is_weight;
  };
  std::vector<Piece> pieces;
  for (const Layer& layer : layers_) {
    pieces.push_back({layer.weight, layer.block.outputs * layer.leading, true});
    for (const int64_t offset : {layer.bias, layer.gamma, layer.beta}) {
      if (offset >= 0) pieces.push_back({offset, padded(layer.block.outputs), false});
    }
  }
  double squares = 0.0;
  for (const Piece& piece : pieces) {
    squares += updater.prepare(live_.data() + piece.offset, gradient_.data() + piece.offset, piece.count, piece.is_weight);
  }
  updater.clip(squares);
  for (const Piece& piece : pieces) {
    update_stretch(piece.offset, gradient_.data() + piece.offset, piece.count, piece.is_weight, updater);
  }
  for (const Layer& layer : layers_) {
    updater.limit_norms(live_.data() + layer.weight, layer.block.outputs, layer.leading);
  }
}

}  // namespace regimen
