// What dropout does to one vector of elements, for each element type: y = x · mask + shift, rounded once.
#pragma once

#include <cstdint>

#include "philox_vectors.hpp"
#include "simd.hpp"

namespace regimen {

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__)
#define REGIMEN_MASK_REGISTERS 1
#endif

typedef int16_t Vs __attribute__((vector_size(4 * kLanes), may_alias));
typedef int16_t HalfVs __attribute__((vector_size(2 * kLanes), may_alias));
typedef uint16_t HalfVectorUnaligned __attribute__((vector_size(2 * kLanes), may_alias, aligned(2)));
typedef uint16_t HalfVector __attribute__((vector_size(2 * kLanes), may_alias));
typedef double Vd __attribute__((vector_size(4 * kLanes), may_alias));
typedef double VdUnaligned __attribute__((vector_size(4 * kLanes), may_alias, aligned(8)));
typedef int64_t Vl __attribute__((vector_size(4 * kLanes), may_alias));
typedef int32_t HalfVi __attribute__((vector_size(2 * kLanes), may_alias));

// Which of kLanes elements are kept.
#ifdef REGIMEN_MASK_REGISTERS
typedef __mmask16 Keep;
inline Keep at_least_mask(Vu values, uint32_t threshold) {
  return _mm512_cmpge_epu32_mask((__m512i)values, _mm512_set1_epi32(static_cast<int>(threshold)));
}
inline Vf kept_or_zero(Keep keep, Vf x) { return (Vf)_mm512_maskz_mov_ps(keep, (__m512)x); }
inline Vf choose(Keep keep, Vf kept, Vf dropped) {
  return (Vf)_mm512_mask_mov_ps((__m512)dropped, keep, (__m512)kept);
}
inline Vd kept_or_zero(Keep keep, Vd x, int half) {
  return (Vd)_mm512_maskz_mov_pd(static_cast<__mmask8>(keep >> (8 * half)), (__m512d)x);
}
inline Vd choose(Keep keep, Vd kept, Vd dropped, int half) {
  return (Vd)_mm512_mask_mov_pd((__m512d)dropped, static_cast<__mmask8>(keep >> (8 * half)), (__m512d)kept);
}
inline Keep positive(Vf x) { return _mm512_cmp_ps_mask((__m512)x, _mm512_setzero_ps(), _CMP_GT_OQ); }
#else
typedef Vi Keep;
inline Keep at_least_mask(Vu values, uint32_t threshold) { return (Vi)values >= splat(static_cast<int32_t>(threshold)); }
inline Vf kept_or_zero(Keep keep, Vf x) { return masked(keep, x); }
inline Vf choose(Keep keep, Vf kept, Vf dropped) { return (Vf)((keep & (Vi)kept) | (~keep & (Vi)dropped)); }
inline Vl wide(Keep keep, int half) {
  HalfVi part;
  std::memcpy(&part, reinterpret_cast<const char*>(&keep) + half * sizeof part, sizeof part);
  return __builtin_convertvector(part, Vl);
}
inline Vd kept_or_zero(Keep keep, Vd x, int half) { return (Vd)(wide(keep, half) & (Vl)x); }
inline Vd choose(Keep keep, Vd kept, Vd dropped, int half) {
  const Vl mask = wide(keep, half);
  return (Vd)((mask & (Vl)kept) | (~mask & (Vl)dropped));
}
inline Keep positive(Vf x) { return x > splat(0.0F); }
#endif

inline Vd splat(double x) { return Vd REGIMEN_HALF_SPLAT(x); }

// a0 b0 a2 b2 … and a1 b1 a3 b3 …
inline Vq first_of_pairs(Vq a, Vq b) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  return (Vq)_mm512_unpacklo_epi64((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (Vq)_mm256_unpacklo_epi64((__m256i)a, (__m256i)b);
#else
  return Vq{a[0], b[0]};
#endif
}
inline Vq second_of_pairs(Vq a, Vq b) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  return (Vq)_mm512_unpackhi_epi64((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (Vq)_mm256_unpackhi_epi64((__m256i)a, (__m256i)b);
#else
  return Vq{a[1], b[1]};
#endif
}

// The features of one row, 4 · kLanes at a time: kLanes / 2 counters give eight 16-bit values each.
class RowMask {
 public:
  static constexpr int64_t kFeatures = 4 * kLanes;

  RowMask(Stream stream, uint32_t threshold) : stream_(stream), keys_(stream.key), threshold_(threshold) {}

  // Everything of the first two rounds that the feature does not enter.
  void enter_row(uint32_t row) {
    const uint64_t p1 = kMultiply1 * stream_.c2;
    const uint32_t x0 = static_cast<uint32_t>(p1 >> 32) ^ row ^ static_cast<uint32_t>(keys_.low[0]);
    const uint64_t p0 = kMultiply0 * x0;
    word0_ = static_cast<uint32_t>(p1) ^ keys_.low[1];
    word2_ = (p0 >> 32) ^ keys_.high[1];
    word3_ = static_cast<uint32_t>(p0);
  }

  // keep[i]: features first + i · kLanes and on; `first` is a multiple of 8.
  void draw(int64_t first, Keep keep[4]) const {
    const Vq c0 = order() + splat(static_cast<uint64_t>(first / 8));
    const Vq p0 = multiply_low_halves(c0, splat(kMultiply0));
    const Vq x2 = upper_halves(p0) ^ splat(stream_.c3 ^ keys_.high[0]);
    const Vq p1 = multiply_low_halves(x2, splat(kMultiply1));
    const Words x = philox_lanes({upper_halves(p1) ^ splat(word0_), p1, p0 ^ splat(word2_), splat(word3_)}, keys_, 2);
    // In each lane the eight values of a counter are the 16-bit quarters of two 64-bit words.
    const Vq low = splat(uint64_t{0xFFFFFFFF});
    const Vq a = (x.w[0] & low) | x.w[1] << 32, b = (x.w[2] & low) | x.w[3] << 32;
    compare(first_of_pairs(a, b), keep);
    compare(second_of_pairs(a, b), keep + 2);
  }

 private:
  // Counters in the order that the two below, which act within 128 bits, put right.
  static Vq order() {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    return Vq{0, 4, 1, 5, 2, 6, 3, 7};
#elif defined(__AVX2__)
    return Vq{0, 2, 1, 3};
#else
    return Vq{0, 1};
#endif
  }

  void compare(Vq values, Keep keep[2]) const {
#ifdef REGIMEN_MASK_REGISTERS
    const __mmask32 both = _mm512_cmpge_epu16_mask((__m512i)values, _mm512_set1_epi16(static_cast<int16_t>(threshold_)));
    keep[0] = static_cast<Keep>(both), keep[1] = static_cast<Keep>(both >> 16);
#else
    // Signed comparison of values whose order is kept by flipping the top bit: few instruction sets have the unsigned.
    const Vs flip = Vs{} + INT16_MIN, least = (Vs{} + static_cast<int16_t>(threshold_)) ^ flip;
    const Vs both = ((Vs)values ^ flip) >= least;
    HalfVs halves[2];
    std::memcpy(halves, &both, sizeof both);
    for (int i = 0; i < 2; ++i) keep[i] = __builtin_convertvector(halves[i], Vi);
#endif
  }

  Stream stream_;
  RoundKeys keys_;
  uint32_t threshold_;
  uint64_t word0_ = 0, word2_ = 0, word3_ = 0;
};

struct Bfloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

// kLanes elements as float vectors.
inline Vf widen(const float* x) { return load_unaligned(x); }
inline void narrow(float* y, Vf value) { *reinterpret_cast<VfUnaligned*>(y) = value; }

inline Vu widen_bits(const uint16_t* x) {
  return __builtin_convertvector((HalfVector)(*reinterpret_cast<const HalfVectorUnaligned*>(x)), Vu);
}
inline void narrow_bits(uint16_t* y, Vu bits) {
  *reinterpret_cast<HalfVectorUnaligned*>(y) = __builtin_convertvector(bits, HalfVector);
}

inline Vf widen(const Bfloat16* x) { return (Vf)(widen_bits(&x->bits) << 16); }
inline void narrow(Bfloat16* y, Vf value) {
  const Vu bits = (Vu)value;
  const Vu rounded = (bits + splat(uint32_t{0x7FFF}) + ((bits >> 16) & splat(uint32_t{1}))) >> 16;  // to nearest even
  const Vu nan = (Vu)((Vi)(bits & splat(uint32_t{0x7FFFFFFF})) > splat(int32_t{0x7F800000}));
  narrow_bits(&y->bits, (rounded & ~nan) | (splat(uint32_t{0x7FC0}) & nan));
}

#if defined(__AVX512F__) && defined(__AVX512DQ__)
inline Vf widen(const Float16* x) { return (Vf)_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x))); }
inline void narrow(Float16* y, Vf value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(y), _mm512_cvtps_ph((__m512)value, _MM_FROUND_TO_NEAREST_INT));
}
#elif defined(__AVX2__) && defined(__F16C__)
inline Vf widen(const Float16* x) { return (Vf)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x))); }
inline void narrow(Float16* y, Vf value) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(y), _mm256_cvtps_ph((__m256)value, _MM_FROUND_TO_NEAREST_INT));
}
#else
inline Vu chosen(Vi mask, Vu yes, Vu no) { return ((Vu)mask & yes) | (~(Vu)mask & no); }
inline Vf widen(const Float16* x) {
  const Vu half = widen_bits(&x->bits), magnitude = half & splat(uint32_t{0x7FFF});
  const Vf tiny = __builtin_convertvector((Vi)magnitude, Vf) * splat(0x1p-24F);  // subnormal: a multiple of 2^-24
  const Vu normal = (magnitude << 13) + splat(uint32_t{112} << 23);
  const Vu special = normal + splat(uint32_t{112} << 23);
  const Vu finite = chosen((Vi)magnitude < splat(int32_t{0x0400}), (Vu)tiny, normal);
  return (Vf)(chosen((Vi)magnitude < splat(int32_t{0x7C00}), finite, special) | (half & splat(uint32_t{0x8000})) << 16);
}
inline void narrow(Float16* y, Vf value) {
  const Vu bits = (Vu)value, magnitude = bits & splat(uint32_t{0x7FFFFFFF});
  // Adding 1/2 rounds to the spacing of half's subnormal numbers.
  const Vu tiny = (Vu)((Vf)magnitude + splat(0.5F)) - splat(uint32_t{0x3F000000});
  const Vu odd = (magnitude >> 13) & splat(uint32_t{1});
  const Vu normal = (magnitude - splat(uint32_t{112} << 23) + splat(uint32_t{0x0FFF}) + odd) >> 13;
  const Vu special = chosen((Vi)magnitude > splat(int32_t{0x7F800000}), splat(uint32_t{0x7E00}), splat(uint32_t{0x7C00}));
  const Vu finite = chosen((Vi)magnitude < splat(int32_t{0x38800000}), tiny, normal);
  const Vu rounded = chosen((Vi)magnitude < splat(int32_t{0x47800000}), finite, special);
  narrow_bits(&y->bits, rounded | ((bits >> 16) & splat(uint32_t{0x8000})));
}
#endif

// y = x · (scale or 0) + (kept or dropped shift); without shifts nothing is added, which keeps the sign of zeros.
struct Affine {
  double scale, kept_shift, dropped_shift;
};

template <bool shifts, class T>
inline void apply(const T* x, T* y, Keep keep, const Affine& by) {
  Vf value = widen(x) * kept_or_zero(keep, splat(static_cast<float>(by.scale)));
  if (shifts) {
    value += choose(keep, splat(static_cast<float>(by.kept_shift)), splat(static_cast<float>(by.dropped_shift)));
  }
  narrow(y, value);
}

template <bool shifts>
inline void apply(const double* x, double* y, Keep keep, const Affine& by) {
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half, x += kLanes / 2, y += kLanes / 2) {
    Vd value = *reinterpret_cast<const VdUnaligned*>(x) * kept_or_zero(keep, splat(by.scale), half);
    if (shifts) value += choose(keep, splat(by.kept_shift), splat(by.dropped_shift), half);
    *reinterpret_cast<VdUnaligned*>(y) = value;
  }
}

}  // namespace regimen
