// Element-wise functions and their derivatives, one loop for each, free of branches.
#include "activation.hpp"

#include "vector_math.hpp"

namespace regimen {
namespace {

struct Point {
  Vf value, slope;
};

struct Identity {
  static Point at(Vf z) { return {z, splat(1.0F)}; }
};
struct Relu {
  static Point at(Vf z) { return {at_least(z, 0.0F), masked(z > splat(0.0F), splat(1.0F))}; }
};
struct LeakyRelu {
  static Point at(Vf z) {
    const Vf slope = z > splat(0.0F) ? splat(1.0F) : splat(0.01F);
    return {z * slope, slope};
  }
};
struct Tanh {
  static Point at(Vf z) {
    const Vf t = hyperbolic_tangent(z);
    return {t, splat(1.0F) - t * t};
  }
};
struct Gelu {
  static Point at(Vf z) {
    const Vf half = splat(0.5F) + splat(0.5F) * error_function(z * splat(0.707106781F));
    const Vf density = splat(0.398942280F) * exponential(splat(-0.5F) * z * z);
    return {z * half, half + z * density};
  }
};
struct Silu {
  static Point at(Vf z) {
    const Vf s = logistic(z);
    return {z * s, s * (splat(1.0F) + z * (splat(1.0F) - s))};
  }
};
struct Sigmoid {
  static Point at(Vf z) {
    const Vf s = logistic(z);
    return {s, s * (splat(1.0F) - s)};
  }
};

template <class Function, bool kSlope, bool kMask>
void activate_all(Plane value, float* slope, const float* mask) {
  for (int64_t f = 0; f < value.features; ++f) {
    const int64_t start = f * value.leading;
    for (int64_t i = start; i < start + value.columns; i += kLanes) {
      Point p = Function::at(load(value.data + i));
      if constexpr (kMask) {
        p.value *= load(mask + i);
        p.slope *= load(mask + i);
      }
      store(value.data + i, p.value);
      if constexpr (kSlope) store(slope + i, p.slope);
    }
  }
}

template <class Function>
void activate_with(Plane value, float* slope, const float* mask) {
  if (slope && mask) return activate_all<Function, true, true>(value, slope, mask);
  if (slope) return activate_all<Function, true, false>(value, slope, mask);
  if (mask) return activate_all<Function, false, true>(value, slope, mask);
  activate_all<Function, false, false>(value, slope, mask);
}

}  // namespace

void activate(int64_t kind, Plane value, float* slope, const float* mask) {
  switch (kind) {
    case REGIMEN_RELU: return activate_with<Relu>(value, slope, mask);
    case REGIMEN_LEAKY_RELU: return activate_with<LeakyRelu>(value, slope, mask);
    case REGIMEN_TANH: return activate_with<Tanh>(value, slope, mask);
    case REGIMEN_GELU: return activate_with<Gelu>(value, slope, mask);
    case REGIMEN_SILU: return activate_with<Silu>(value, slope, mask);
    case REGIMEN_SIGMOID: return activate_with<Sigmoid>(value, slope, mask);
    default: return activate_with<Identity>(value, slope, mask);
  }
}

void pass_positive(Plane gradient, const float* value, float scale) {
  for (int64_t f = 0; f < gradient.features; ++f) {
    const int64_t start = f * gradient.leading;
    for (int64_t i = start; i < start + gradient.columns; i += kLanes) {
      store(gradient.data + i, masked(load(value + i) > splat(0.0F), load(gradient.data + i) * splat(scale)));
    }
  }
}

void pass_slope(Plane gradient, const float* slope) {
  for (int64_t f = 0; f < gradient.features; ++f) {
    const int64_t start = f * gradient.leading;
    for (int64_t i = start; i < start + gradient.columns; i += kLanes) {
      store(gradient.data + i, load(gradient.data + i) * load(slope + i));
    }
  }
}

void sum_rows(Plane values, float* sums) {
  for (int64_t f = 0; f < values.features; ++f) {
    const float* row = values.data + f * values.leading;
    Vf sum = load(row);
    for (int64_t i = kLanes; i < values.columns; i += kLanes) sum += load(row + i);
    sums[f] = sum_of_lanes(sum);
  }
}

}  // namespace regimen
