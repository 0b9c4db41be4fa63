// Losses of logits or outputs [outputs][rows]: gradients while training, the plain criterion when evaluating.
#pragma once

#include <cstdint>
#include <vector>

#include "activation.hpp"

namespace regimen {

// What is minimized. With w the class weights, e the label smoothing and v the row weights, row r with class y has the
// targets q_c = v_r · ((1 - e) · w_y · [c = y] + e / C · w_c), and the loss is Σ_r Σ_c -q_c · log p_c / Σ_r w_y. The
// squared error is Σ_r v_r · (o - y)² / rows.
struct Criterion {
  bool squared_error;
  double label_smoothing;
  const float* class_weights;  // or null
  int64_t classes;
};

// Targets of the rows of one batch; a second set for mixup, which counts `1 - share`.
struct Targets {
  const int32_t* labels[2];  // second: null without mixup
  const float* values[2];
  const float* weights[2];  // null where all rows count alike
  float share;
};

// outputs ← gradient of the mean training loss; columns beyond `rows` become 0. `scratch` holds 2 `columns` floats.
void loss_gradient(const Criterion& criterion, Plane outputs, int64_t rows, const Targets& targets, float* scratch);

struct Score {
  double loss = 0.0;    // summed over rows, each by its weight
  double weight = 0.0;  // of these rows, where they have weights
  int64_t correct = 0;
};

// Adds the rows' plain loss, and which of them have their largest logit at their label.
void add_score(const Criterion& criterion, Plane outputs, int64_t rows, const int64_t* labels, const float* values,
               const float* weights, Score& score);

}  // namespace regimen
