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
  int64_t rows;
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
  Network(const RegimenRun& run, int64_t rows, const std::atomic<bool>& cancelled);

  // Where a batch is put before `forward`: [features][rows], and its transpose.
  Plane input(int64_t rows) { return {input_.data(), leading_, inputs_, padded(rows)}; }
  float* input_rows() { return input_rows_.data(); }
  int64_t input_rows_leading() const { return regimen::leading(inputs_); }

  // Outputs [classes][rows] in training mode with the given parameters.
  Plane forward(const float* parameters, const Pass& pass);
  // From the gradient left in the last outputs: updates all parameters.
  void backward(int64_t rows, Updater& updater);
  // Outputs in evaluation mode of at most kEvaluationRows inputs [features][kEvaluationRows].
  Plane evaluate(const float* parameters, const float* inputs, int64_t rows);

  float* parameters() { return live_.data(); }
  int64_t size() const { return size_; }
  bool has_batch_norm() const;
  void reset_statistics();
  void read(const float* packed);
  void write(const float* parameters, float* packed, float* statistics) const;

  static constexpr int64_t kEvaluationRows = 64;
  // Rows of a weight matrix whose gradient waits in the first cache for its update.
  static constexpr int64_t kBlockRows = 14;

 private:
  struct Layer {
    RegimenBlock block;
    int64_t leading;                     // of a row of the weights
    int64_t weight, bias, gamma, beta;   // offsets among the parameters
    float kept = 1.0F;                // scale of what dropout keeps
    Floats value, slope, normalized;  // [outputs][rows]
    Floats rows;                      // transpose of the value, the next layer's input
    Floats inverse_sd, running_mean, running_variance;
  };

  void go_on() const {
    if (cancelled_.load(std::memory_order_relaxed)) throw Cancelled();
  }
  void normalize(Layer& layer, Plane z, const float* parameters, const Pass& pass);
  void backward_norm(Layer& layer, Plane gradient, int64_t rows, Updater& updater);
  void update_weights(Layer& layer, const float* gradient, const float* inputs, int64_t inputs_leading, int64_t rows,
                      Updater& updater);
  void update_vector(int64_t offset, int64_t count, float* gradient, Updater& updater);
  void update_stretch(int64_t offset, float* gradient, int64_t count, bool is_weight, Updater& updater);
  void update_clipped(Updater& updater);

  const std::atomic<bool>& cancelled_;
  const RegimenUpdate& update_;
  int64_t inputs_, leading_, size_ = 0;
  std::vector<Layer> layers_;
  Floats live_, states_[3], gradient_;  // gradient_: of everything, or of one block of rows
  Floats input_, input_rows_, masks_;
  Floats passed_[2];     // gradients on their way back
  Floats vectors_[3];    // gradients of bias, gamma, beta
  Floats evaluation_[2];
};

}  // namespace regimen
