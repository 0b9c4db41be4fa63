// One vector type for each instruction set, chosen by the compiler's flags, and the few operations that need intrinsics.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace regimen {

#if defined(__AVX512F__) && defined(__AVX512DQ__)
constexpr int64_t kLanes = 16;
#define REGIMEN_SPLAT(x) {x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}
#define REGIMEN_HALF_SPLAT(x) {x, x, x, x, x, x, x, x}
#elif defined(__AVX2__)
constexpr int64_t kLanes = 8;
#define REGIMEN_SPLAT(x) {x, x, x, x, x, x, x, x}
#define REGIMEN_HALF_SPLAT(x) {x, x, x, x}
#else
constexpr int64_t kLanes = 4;
#define REGIMEN_SPLAT(x) {x, x, x, x}
#define REGIMEN_HALF_SPLAT(x) {x, x}
#endif

// Vectors that may be loaded from and stored to arrays of their elements.
typedef float Vf __attribute__((vector_size(4 * kLanes), may_alias));
typedef int32_t Vi __attribute__((vector_size(4 * kLanes), may_alias));
typedef uint32_t Vu __attribute__((vector_size(4 * kLanes), may_alias));
typedef uint64_t Vq __attribute__((vector_size(4 * kLanes), may_alias));
typedef float VfUnaligned __attribute__((vector_size(4 * kLanes), may_alias, aligned(4)));

// "vector + scalar" is compiled as an addition, not as a broadcast; a list of equal elements is one instruction.
inline Vf splat(float x) { return Vf REGIMEN_SPLAT(x); }
inline Vi splat(int32_t x) { return Vi REGIMEN_SPLAT(x); }
inline Vu splat(uint32_t x) { return Vu REGIMEN_SPLAT(x); }
inline Vq splat(uint64_t x) { return Vq REGIMEN_HALF_SPLAT(x); }

inline Vf load(const float* p) { return *reinterpret_cast<const Vf*>(p); }
inline void store(float* p, Vf x) { *reinterpret_cast<Vf*>(p) = x; }
inline Vf load_unaligned(const float* p) { return *reinterpret_cast<const VfUnaligned*>(p); }

// 0, 1, 2, … in 32-bit lanes.
inline Vi lane_numbers() {
  Vi lanes;
  for (int64_t i = 0; i < kLanes; ++i) lanes[i] = static_cast<int32_t>(i);
  return lanes;
}

// Keep `x` where `mask` is all ones, 0 elsewhere.
inline Vf masked(Vi mask, Vf x) { return (Vf)(mask & (Vi)x); }

// All ones in the lanes before `count`.
inline Vi first_lanes(int64_t count) { return lane_numbers() < splat(static_cast<int32_t>(count)); }

// Both return `x` where it is NaN (the second operand of the instruction), so that a diverged run is seen to have
// diverged.
inline Vf at_least(Vf x, float low) {
  const Vf bound = splat(low);
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  return (Vf)_mm512_max_ps((__m512)bound, (__m512)x);
#elif defined(__AVX2__)
  return (Vf)_mm256_max_ps((__m256)bound, (__m256)x);
#elif defined(__SSE2__)
  return (Vf)_mm_max_ps((__m128)bound, (__m128)x);
#else
  return x < bound ? bound : x;
#endif
}
inline Vf at_most(Vf x, float high) {
  const Vf bound = splat(high);
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  return (Vf)_mm512_min_ps((__m512)bound, (__m512)x);
#elif defined(__AVX2__)
  return (Vf)_mm256_min_ps((__m256)bound, (__m256)x);
#elif defined(__SSE2__)
  return (Vf)_mm_min_ps((__m128)bound, (__m128)x);
#else
  return x > bound ? bound : x;
#endif
}

inline Vf absolute(Vf x) { return (Vf)((Vi)x & splat(int32_t{0x7FFFFFFF})); }
inline Vf sign_of(Vf x, Vf magnitude) {
  const Vi bit = splat(INT32_MIN);
  return (Vf)(((Vi)x & bit) | ((Vi)magnitude & ~bit));
}

inline Vf square_root(Vf x) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  return (Vf)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX2__)
  return (Vf)_mm256_sqrt_ps((__m256)x);
#elif defined(__SSE2__)
  return (Vf)_mm_sqrt_ps((__m128)x);
#else
  for (int64_t i = 0; i < kLanes; ++i) x[i] = std::sqrt(x[i]);
  return x;
#endif
}

// 1/x and sqrt(x) for positive normal x, to about one unit in the last place: an estimate and one Newton step, which
// leave the slow divider alone (it would take three times as long as all the rest of Adam).
inline Vf reciprocal(Vf x) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  const Vf y = (Vf)_mm512_rcp14_ps((__m512)x);
  return y + y * (splat(1.0F) - x * y);
#elif defined(__AVX2__)
  const Vf y = (Vf)_mm256_rcp_ps((__m256)x);
  return y + y * (splat(1.0F) - x * y);
#else
  return splat(1.0F) / x;
#endif
}
inline Vf root_of(Vf x) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  const Vf y = (Vf)_mm512_rsqrt14_ps((__m512)x);
#elif defined(__AVX2__)
  const Vf y = (Vf)_mm256_rsqrt_ps((__m256)x);
#else
  return square_root(x);
#endif
#if defined(__AVX2__)
  const Vf root = x * y, half = splat(0.5F) * y;
  return root + root * (splat(0.5F) - root * half);
#endif
}

// Products of the low halves of 64-bit lanes.
inline Vq multiply_low_halves(Vq a, Vq b) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  return (Vq)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (Vq)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return (Vq)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
  const Vq low = splat(uint64_t{0xFFFFFFFF});
  return (a & low) * (b & low);
#endif
}

// Lane i of the result is lane Pick::from(i) of a and b, which are numbered one after the other.
template <class Pick, int... i>
inline Vf picked(Vf a, Vf b, std::integer_sequence<int, i...>) {
#if defined(__clang__) || __GNUC__ >= 12
  return __builtin_shufflevector(a, b, Pick::from(i)...);
#else
  return __builtin_shuffle(a, b, Vi{Pick::from(i)...});
#endif
}
template <class Pick>
inline Vf picked(Vf a, Vf b) {
  return picked<Pick>(a, b, std::make_integer_sequence<int, kLanes>());
}

template <int kBy>
struct Rotated {
  static constexpr int from(int lane) { return (lane + kBy) % kLanes; }
};

// Always in the same order: halves, quarters, ….
template <int kHalf = kLanes / 2>
inline float sum_of_lanes(Vf x) {
  if constexpr (kHalf > 0) {
    return sum_of_lanes<kHalf / 2>(x + picked<Rotated<kHalf>>(x, x));
  } else {
    return x[0];
  }
}

// Subnormal numbers are flushed while this lives: they cost a hundred times a normal addition, and mean nothing here.
class FlushSubnormals {
 public:
#if defined(__SSE2__)
  FlushSubnormals() : kept_(_mm_getcsr()) { _mm_setcsr(kept_ | 0x8040); }
  ~FlushSubnormals() { _mm_setcsr(kept_); }

 private:
  unsigned kept_;
#else
  FlushSubnormals() {}
  ~FlushSubnormals() {}
#endif
};

}  // namespace regimen
