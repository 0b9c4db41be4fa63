// Exponential, logarithm, tanh, erf, sine and cosine on vectors, each to about two units in the last place.
#pragma once

#include "simd.hpp"

namespace regimen {

// exp(x) for x in [-87.3, 88.3], its values at the ends beyond.
inline Vf exponential(Vf x) {
  x = at_most(at_least(x, -87.3F), 88.3F);
  const Vf magic = splat(12582912.0F);  // 1.5 · 2^23: adding it rounds to a whole number
  const Vf n = (x * splat(1.44269504F) + magic) - magic;
  Vf f = n * splat(-6.93145752e-1F) + x;
  f = n * splat(-1.42860677e-6F) + f;
  Vf r = splat(1.37805939e-3F);
  r = r * f + splat(8.37312452e-3F);
  r = r * f + splat(4.16695364e-2F);
  r = r * f + splat(1.66664720e-1F);
  r = r * f + splat(4.99999851e-1F);
  r = r * f + splat(1.0F);
  r = r * f + splat(1.0F);
  const Vi power = (__builtin_convertvector(n, Vi) + splat(int32_t{127})) << 23;
  return r * (Vf)power;
}

// ln(x) for normal positive x: x = m · 2^e with m in [2/3, 4/3), and a polynomial in m - 1.
inline Vf logarithm(Vf x) {
  const Vi bits = (Vi)x;
  const Vi shifted = (bits - splat(int32_t{0x3f2aaaab})) & splat(static_cast<int32_t>(0xff800000));
  const Vf f = (Vf)(bits - shifted) - splat(1.0F);
  const Vf e = __builtin_convertvector(shifted >> 23, Vf);
  Vf r = splat(-0.131916421F);
  r = r * f + splat(0.139624506F);
  r = r * f + splat(-0.121151269F);
  r = r * f + splat(0.140109190F);
  r = r * f + splat(-0.166854665F);
  r = r * f + splat(0.200100437F);
  r = r * f + splat(-0.249996886F);
  r = r * f + splat(0.333332241F);
  r = r * f + splat(-0.5F);
  return e * splat(0.693147181F) + (r * (f * f) + f);
}

inline Vf hyperbolic_tangent(Vf x) {
  const Vf s = x * x;
  Vf p = splat(0.0022218F);
  p = p * s + splat(-0.00827975F);
  p = p * s + splat(0.02174889F);
  p = p * s + splat(-0.05395676F);
  p = p * s + splat(0.13333293F);
  p = p * s + splat(-0.33333333F);
  const Vf small = x + x * (s * p);
  const Vf large = splat(1.0F) - splat(2.0F) / (exponential(splat(2.0F) * absolute(x)) + splat(1.0F));
  return absolute(x) < splat(0.65F) ? small : sign_of(x, large);
}

inline Vf logistic(Vf x) { return splat(1.0F) / (splat(1.0F) + exponential(-x)); }

// erf by the two polynomials of N. Juffa (public domain), below and above 0.9277.
inline Vf error_function(Vf x) {
  const Vf t = absolute(x), s = x * x;
  Vf far = splat(-1.72853470e-5F) * t + splat(3.83197126e-4F);
  const Vf other = splat(-3.88396438e-3F) * t + splat(2.42546219e-2F);
  far = far * s + other;
  far = far * t + splat(-1.06777877e-1F);
  far = far * t + splat(-6.34846687e-1F);
  far = far * t + splat(-1.28717512e-1F);
  far = far * t - t;
  far = sign_of(x, splat(1.0F) - exponential(far));
  Vf near = splat(-5.96761703e-4F);
  near = near * s + splat(4.99119423e-3F);
  near = near * s + splat(-2.67681349e-2F);
  near = near * s + splat(1.12819925e-1F);
  near = near * s + splat(-3.76125336e-1F);
  near = near * s + splat(1.28379166e-1F);
  near = near * x + x;
  return t > splat(0.927734375F) ? far : near;
}

struct SineCosine {
  Vf sine, cosine;
};

// sin 2πv and cos 2πv for v in [0, 1) with 24 bits: the quarter turn is split off exactly.
inline SineCosine sine_cosine_of_turns(Vf v) {
  const Vf magic = splat(12582912.0F);
  const Vf quarters = v * splat(4.0F);
  const Vf n = (quarters + magic) - magic;
  const Vf f = quarters - n, s = f * f;
  Vf sine = splat(1.58206744e-4F);
  sine = sine * s + splat(-4.68126648e-3F);
  sine = sine * s + splat(7.96925828e-2F);
  sine = sine * s + splat(-6.45964096e-1F);
  sine = sine * s + splat(1.57079633F);
  sine = sine * f;
  Vf cosine = splat(9.06745356e-4F);
  cosine = cosine * s + splat(-2.08615305e-2F);
  cosine = cosine * s + splat(2.53669411e-1F);
  cosine = cosine * s + splat(-1.23370055F);
  cosine = cosine * s + splat(1.0F);
  const Vi quadrant = __builtin_convertvector(n, Vi);
  const Vi swapped = (quadrant & splat(int32_t{1})) != splat(int32_t{0});
  const Vi sine_sign = (quadrant & splat(int32_t{2})) << 30;
  const Vi cosine_sign = ((quadrant + splat(int32_t{1})) & splat(int32_t{2})) << 30;
  const Vf a = swapped ? cosine : sine, b = swapped ? sine : cosine;
  return {(Vf)((Vi)a ^ sine_sign), (Vf)((Vi)b ^ cosine_sign)};
}

}  // namespace regimen
