// Batch and layer normalization on values [features][rows], forward and backward.
#pragma once

#include "activation.hpp"

namespace regimen {

constexpr float kNormEpsilon = 1e-5F;  // as in torch.nn
constexpr float kNormMomentum = 0.1F;

// z ← gamma · x̂ + beta with x̂ = (z - mean) / sqrt(var + eps) over the `rows` of the batch, kept in `normalized`;
// running ← running + share · (batch - running), with the unbiased variance.
void batch_norm_forward(Plane z, int64_t rows, const float* gamma, const float* beta, float* normalized, float* inverse_sd,
                        float* running_mean, float* running_variance, float share);

// gradient of the output in, gradient of the input out; columns beyond the rows become 0.
void batch_norm_backward(Plane gradient, int64_t rows, const float* gamma, const float* normalized, const float* inverse_sd,
                         float* gamma_gradient, float* beta_gradient);

// z ← z · scale + shift, both derived from the running statistics.
void batch_norm_evaluate(Plane z, const float* gamma, const float* beta, const float* running_mean,
                         const float* running_variance);

// The same over the features of each row; `inverse_sd` has one entry for each column. `normalized` may be z itself
// where no backward pass follows and gamma and beta are applied.
void layer_norm_forward(Plane z, const float* gamma, const float* beta, float* normalized, float* inverse_sd);
void layer_norm_backward(Plane gradient, const float* gamma, const float* normalized, const float* inverse_sd,
                         float* gamma_gradient, float* beta_gradient);

}  // namespace regimen
