// Update rules on contiguous stretches of parameters, with everything that acts beside the gradient.
#pragma once

#include "interface.h"

namespace regimen {

// How many arrays an update rule keeps beside the parameters.
int states_of(const RegimenUpdate& update);
// What those arrays start from.
float initial_state(const RegimenUpdate& update);

// A stretch of parameters with its gradient and states; `count` is a multiple of kLanes.
struct Stretch {
  float* parameters;
  const float* gradient;
  float* states[3];
  int64_t count;
  bool is_weight;  // matrices: L1 and max-norm apply, and decay always
};

// One optimizer step's numbers, made once for all stretches.
class Updater {
 public:
  explicit Updater(const RegimenUpdate& update) : update_(update) {}
  // 0-based step and its learning rate.
  void begin(int64_t step, double rate);
  // Factor of clip_grad_norm_ from the squared norm of the whole gradient.
  void clip(double squared_norm);
  // gradient ← gradient + l1 · sign(w), for clipping, which needs it before; returns the squared norm.
  double prepare(const float* parameters, float* gradient, int64_t count, bool is_weight) const;
  void apply(const Stretch& stretch) const;
  // Rows of a matrix scaled back to the largest norm, if there is one.
  void limit_norms(float* weights, int64_t rows, int64_t leading) const;

 private:
  const RegimenUpdate& update_;
  double rate_ = 0.0;
  int64_t step_ = 0;
  float clip_ = 1.0F;
  double correction1_ = 1.0, correction2_ = 1.0;  // Adam's for its two moments
};

}  // namespace regimen
