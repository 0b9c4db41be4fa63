// Batch normalization works along the lanes, layer normalization across the rows of the plane.
#include "norm.hpp"

#include <cmath>

#include "simd.hpp"

namespace regimen {

void batch_norm_forward(Plane z, int64_t rows, const float* gamma, const float* beta, float* normalized, float* inverse_sd,
                        float* running_mean, float* running_variance, float share) {
  const float n = static_cast<float>(rows);
  const Vi last = first_lanes(rows - (z.columns - kLanes));
  for (int64_t f = 0; f < z.features; ++f) {
    float* row = z.data + f * z.leading;
    float* out = normalized + f * z.leading;
    const int64_t end = z.columns - kLanes;
    Vf sum = masked(last, load(row + end));
    for (int64_t i = 0; i < end; i += kLanes) sum += load(row + i);
    const float mean = sum_of_lanes(sum) / n;
    const Vf from_end = masked(last, load(row + end) - splat(mean));
    Vf squares = from_end * from_end;
    for (int64_t i = 0; i < end; i += kLanes) {
      const Vf d = load(row + i) - splat(mean);
      squares += d * d;
    }
    const float deviation = sum_of_lanes(squares);
    const float inverse = 1.0F / std::sqrt(deviation / n + kNormEpsilon);
    inverse_sd[f] = inverse;
    running_mean[f] += share * (mean - running_mean[f]);
    running_variance[f] += share * (deviation / (n - 1.0F) - running_variance[f]);
    for (int64_t i = 0; i < z.columns; i += kLanes) {
      Vf x = (load(row + i) - splat(mean)) * splat(inverse);
      if (i == end) x = masked(last, x);
      store(out + i, x);
      store(row + i, x * splat(gamma[f]) + splat(beta[f]));
    }
  }
}

void batch_norm_backward(Plane gradient, int64_t rows, const float* gamma, const float* normalized, const float* inverse_sd,
                         float* gamma_gradient, float* beta_gradient) {
  const float n = static_cast<float>(rows);
  const Vi last = first_lanes(rows - (gradient.columns - kLanes));
  for (int64_t f = 0; f < gradient.features; ++f) {
    float* row = gradient.data + f * gradient.leading;
    const float* x = normalized + f * gradient.leading;
    Vf sum = splat(0.0F), product = splat(0.0F);
    for (int64_t i = 0; i < gradient.columns; i += kLanes) {
      sum += load(row + i);
      product += load(row + i) * load(x + i);
    }
    const float beta_sum = sum_of_lanes(sum), gamma_sum = sum_of_lanes(product);
    beta_gradient[f] = beta_sum;
    gamma_gradient[f] = gamma_sum;
    const Vf mean = splat(beta_sum / n), slope = splat(gamma_sum / n), scale = splat(gamma[f] * inverse_sd[f]);
    for (int64_t i = 0; i < gradient.columns; i += kLanes) {
      const Vf out = (load(row + i) - mean - load(x + i) * slope) * scale;
      store(row + i, i == gradient.columns - kLanes ? masked(last, out) : out);
    }
  }
}

void batch_norm_evaluate(Plane z, const float* gamma, const float* beta, const float* running_mean,
                         const float* running_variance) {
  for (int64_t f = 0; f < z.features; ++f) {
    const float inverse = 1.0F / std::sqrt(running_variance[f] + kNormEpsilon);
    const Vf mean = splat(running_mean[f]), scale = splat(inverse * gamma[f]), shift = splat(beta[f]);
    float* row = z.data + f * z.leading;
    for (int64_t i = 0; i < z.columns; i += kLanes) store(row + i, (load(row + i) - mean) * scale + shift);
  }
}

void layer_norm_forward(Plane z, const float* gamma, const float* beta, float* normalized, float* inverse_sd) {
  const Vf n = splat(static_cast<float>(z.features));
  for (int64_t i = 0; i < z.columns; i += kLanes) {
    Vf sum = splat(0.0F);
    for (int64_t f = 0; f < z.features; ++f) sum += load(z.data + f * z.leading + i);
    const Vf mean = sum / n;
    Vf squares = splat(0.0F);
    for (int64_t f = 0; f < z.features; ++f) {
      const Vf d = load(z.data + f * z.leading + i) - mean;
      squares += d * d;
    }
    const Vf inverse = splat(1.0F) / square_root(squares / n + splat(kNormEpsilon));
    store(inverse_sd + i, inverse);
    for (int64_t f = 0; f < z.features; ++f) {
      float* at = z.data + f * z.leading + i;
      const Vf x = (load(at) - mean) * inverse;
      store(normalized + f * z.leading + i, x);
      store(at, x * splat(gamma[f]) + splat(beta[f]));
    }
  }
}

void layer_norm_backward(Plane gradient, const float* gamma, const float* normalized, const float* inverse_sd,
                         float* gamma_gradient, float* beta_gradient) {
  const Vf n = splat(static_cast<float>(gradient.features));
  for (int64_t f = 0; f < gradient.features; ++f) {
    const float* row = gradient.data + f * gradient.leading;
    const float* x = normalized + f * gradient.leading;
    Vf sum = splat(0.0F), product = splat(0.0F);
    for (int64_t i = 0; i < gradient.columns; i += kLanes) {
      sum += load(row + i);
      product += load(row + i) * load(x + i);
    }
    beta_gradient[f] = sum_of_lanes(sum);
    gamma_gradient[f] = sum_of_lanes(product);
  }
  for (int64_t i = 0; i < gradient.columns; i += kLanes) {
    Vf sum = splat(0.0F), product = splat(0.0F);
    for (int64_t f = 0; f < gradient.features; ++f) {
      const Vf g = load(gradient.data + f * gradient.leading + i) * splat(gamma[f]);
      sum += g;
      product += g * load(normalized + f * gradient.leading + i);
    }
    const Vf mean = sum / n, slope = product / n, inverse = load(inverse_sd + i);
    for (int64_t f = 0; f < gradient.features; ++f) {
      float* at = gradient.data + f * gradient.leading + i;
      store(at, (load(at) * splat(gamma[f]) - mean - load(normalized + f * gradient.leading + i) * slope) * inverse);
    }
  }
}

}  // namespace regimen
