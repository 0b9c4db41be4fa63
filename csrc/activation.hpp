// Activations and dropout masks, forward and backward, on values [features][rows].
#pragma once

#include "interface.h"

namespace regimen {

// A matrix of `features` rows, of whose columns the first `columns` (a multiple of kLanes) are worked on.
struct Plane {
  float* data;
  int64_t leading;
  int64_t features;
  int64_t columns;
};

// value ← act(value) · mask. `slope`, if given, takes act'(value) · mask; `mask` may be null. All have `value`'s shape.
void activate(int64_t kind, Plane value, float* slope, const float* mask);

// Whether the derivative can be read off the value itself, so that no slope need be kept.
inline bool slope_is_sign(int64_t kind) { return kind == REGIMEN_RELU; }

// gradient ← gradient · scale where value > 0, else 0.
void pass_positive(Plane gradient, const float* value, float scale);

// gradient ← gradient · slope.
void pass_slope(Plane gradient, const float* slope);

// value ← value · mask.
inline void apply_mask(Plane value, const float* mask) { pass_slope(value, mask); }

// sums[f] = Σ over columns; columns beyond the rows of the batch must hold 0.
void sum_rows(Plane values, float* sums);

}  // namespace regimen
