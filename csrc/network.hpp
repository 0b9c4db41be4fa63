// A network's parameters and the buffers of one training: forward, backward, evaluation.
#pragma once

#include <atomic>
#include <utility>
#include <vector>

#include "activation.hpp"
#include "interface.h"
#include "memory.hpp"
#include "optimizer.hpp"

namespace regimen {

// How a training-mode forward pass is made.
struct Pass {
  long rows;
  uint64_t key;
  uint32_t step;
  bool dropout;      // also keeps what the backward pass needs
  float norm_share;  // of the batch in the running statistics
};

// Thrown where a run is told to end: a step of a large network, or an evaluation of many rows, may take seconds.
struct Cancelled {};

class Network {
 public:
  // `rows`: most rows of a batch. All passes end with `Cancelled`, within a layer, once `cancelled` is true.
  Network(const RegimenRun& run, long rows, const std::atomic<bool>& cancelled);

  // Where a batch is put before `forward`: [features][rows], and its transpose.
  Plane input(long rows) { return {input_.data(), leading_, inputs_, padded(rows)}; }
  float* input_rows() { return input_rows_.data(); }
  long input_rows_leading() const { return regimen::leading(inputs_); }

  // Outputs [classes][rows] in training mode with the given parameters.
  Plane forward(const float* parameters, const Pass& pass);
  // From the gradient left in the last outputs: updates all parameters.
  void backward(long rows, Updater& updater);
  // Outputs in evaluation mode of at most kEvaluationRows inputs [features][kEvaluationRows].
  Plane evaluate(const float* parameters, const float* inputs, long rows);

  float* parameters() { return live_.data(); }
  long size() const { return size_; }
  bool has_batch_norm() const;
  void reset_statistics();
  void read(const float* packed);
  void write(const float* parameters, float* packed, float* statistics) const;

  static constexpr long kEvaluationRows = 64;
  // Rows of a weight matrix whose gradient waits in the first cache for its update.
  static constexpr long kBlockRows = 14;

 private:
  struct Layer {
    RegimenBlock block;
    long leading;                     // of a row of the weights
    long weight, bias, gamma, beta;   // offsets among the parameters
    float kept = 1.0F;                // scale of what dropout keeps
    Floats value, slope, normalized;  // [outputs][rows]
    Floats rows;                      // transpose of the value, the next layer's input
    Floats inverse_sd, running_mean, running_variance;
  };

  void go_on() const {
    if (cancelled_.load(std::memory_order_relaxed)) throw Cancelled();
  }
  void normalize(Layer& layer, Plane z, const float* parameters, const Pass& pass);
  void backward_norm(Layer& layer, Plane gradient, long rows, Updater& updater);
  void update_weights(Layer& layer, const float* gradient, const float* inputs, long inputs_leading, long rows, Updater& updater);
  void update_vector(long offset, long count, float* gradient, Updater& updater);
  void update_stretch(long offset, float* gradient, long count, bool is_weight, Updater& updater);
  void update_clipped(Updater& updater);

  const std::atomic<bool>& cancelled_;
  const RegimenUpdate& update_;
  long inputs_, leading_, size_ = 0;
  std::vector<Layer> layers_;
  Floats live_, states_[3], gradient_;  // gradient_: of everything, or of one block of rows
  Floats input_, input_rows_, masks_;
  Floats passed_[2];     // gradients on their way back
  Floats vectors_[3];    // gradients of bias, gamma, beta
  Floats evaluation_[2];
};

}  // namespace regimen
