// Philox4x32-10 on vectors: one counter in each 64-bit lane, in whose upper half anything may stand.
#pragma once

#include "philox.hpp"
#include "simd.hpp"

namespace regimen {

constexpr uint64_t kMultiply0 = 0xD2511F53, kMultiply1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;

struct RoundKeys {
  explicit RoundKeys(uint64_t key) {
    uint32_t a = static_cast<uint32_t>(key), b = static_cast<uint32_t>(key >> 32);
    for (int i = 0; i < kRounds; ++i, a += kWeyl0, b += kWeyl1) low[i] = a, high[i] = b;
  }
  uint64_t low[kRounds], high[kRounds];
};

struct Words {
  Vq w[4];
};

// The upper halves, as lower halves. Shifts and multiplications share one port where shuffles have another.
inline Vq upper_halves(Vq x) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  return (Vq)_mm512_shuffle_epi32((__m512i)x, _MM_PERM_DDBB);
#else
  return x >> 32;
#endif
}

// The words keep their garbage in the upper halves: the next multiplication reads only the lower ones.
inline Words philox_lanes(Words x, const RoundKeys& keys, int first_round = 0) {
  const Vq m0 = splat(kMultiply0), m1 = splat(kMultiply1);
#pragma GCC unroll 10
  for (int i = first_round; i < kRounds; ++i) {
    const Vq p0 = multiply_low_halves(x.w[0], m0), p1 = multiply_low_halves(x.w[2], m1);
    x = {upper_halves(p1) ^ x.w[1] ^ splat(keys.low[i]), p1, upper_halves(p0) ^ x.w[3] ^ splat(keys.high[i]), p0};
  }
  return x;
}

// Counters with one (c0, c2, c3) and a row in each lane: the row enters by an exclusive or alone, so that the
// multiplications of the first round are scalar.
inline Words philox_rows(Stream stream, uint32_t c0, Vq rows, const RoundKeys& keys) {
  const uint64_t p0 = kMultiply0 * c0, p1 = kMultiply1 * stream.c2;
  const Words x = {splat((p1 >> 32) ^ keys.low[0]) ^ rows, splat(p1 & 0xFFFFFFFF),
                   splat((p0 >> 32) ^ stream.c3 ^ keys.high[0]), splat(p0 & 0xFFFFFFFF)};
  return philox_lanes(x, keys, 1);
}

// Rows first, first + 2, … in 64-bit lanes.
inline Vq every_other_row(uint64_t first) {
  Vq rows;
  for (int64_t i = 0; i < kLanes / 2; ++i) rows[i] = first + 2 * static_cast<uint64_t>(i);
  return rows;
}

// 32-bit lanes of even and odd rows in their order.
inline Vu interleave(Vq even, Vq odd) { return (Vu)((even & splat(uint64_t{0xFFFFFFFF})) | odd << 32); }

}  // namespace regimen
