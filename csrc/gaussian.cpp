// Multiplicative Gaussian noise, drawn and applied in one pass: y = x · (1 + scale · normal).
#include <algorithm>
#include <cstring>

#include "dropout.hpp"
#include "dropout_vectors.hpp"
#include "parallel.hpp"
#include "vector_math.hpp"

namespace regimen {
namespace {

constexpr int64_t kChunk = 1024;
constexpr int64_t kBlock = 4 * kLanes;  // features of kLanes counters, four each

inline Vf uniform(Vu word) { return __builtin_convertvector((Vi)(word >> 8), Vf) * splat(0x1p-24F); }

// Factors of the features first, first + 1, … (first is a multiple of 4), as the reference draws them.
void draw_factors(Stream stream, uint32_t row, int64_t first, float scale, const RoundKeys& keys, float* factors) {
  Words words[2];
  for (uint64_t odd = 0; odd < 2; ++odd) {
    const Vq c0 = every_other_row(static_cast<uint64_t>(first / 4) + odd);
    words[odd] = philox_lanes({c0, splat(uint64_t{row}), splat(uint64_t{stream.c2}), splat(uint64_t{stream.c3})}, keys);
  }
  for (int pair = 0; pair < 2; ++pair) {
    const Vf u = uniform(interleave(words[0].w[2 * pair], words[1].w[2 * pair])) + splat(0x1p-24F);
    const Vf radius = square_root(splat(-2.0F) * logarithm(u));
    const SineCosine turn = sine_cosine_of_turns(uniform(interleave(words[0].w[2 * pair + 1], words[1].w[2 * pair + 1])));
    const Vf noise[2] = {radius * turn.cosine, radius * turn.sine};
    for (int i = 0; i < 2; ++i) {
      const Vf factor = splat(1.0F) + splat(scale) * noise[i];
      for (int64_t lane = 0; lane < kLanes; ++lane) factors[4 * lane + 2 * pair + i] = factor[lane];
    }
  }
}

template <class T>
void multiply(const T* x, T* y, const float* factors, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t here = std::min(count - i, kLanes);
    T values[kLanes] = {};
    std::memcpy(values, x + i, static_cast<size_t>(here) * sizeof(T));
    narrow(values, widen(values) * load_unaligned(factors + i));
    std::memcpy(y + i, values, static_cast<size_t>(here) * sizeof(T));
  }
}

void multiply(const double* x, double* y, const float* factors, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] * static_cast<double>(factors[i]);
}

template <class T>
void of_type(const RegimenDropout& call) {
  const int64_t chunks = (call.features + kChunk - 1) / kChunk;
  share_out(call.rows * chunks, call.threads, [&, chunks](int64_t begin, int64_t end) {
    const RoundKeys keys(call.key);
    float factors[kBlock];
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t row = unit / chunks, first = unit % chunks * kChunk, last = std::min(first + kChunk, call.features);
      const T* x = static_cast<const T*>(call.x) + row * call.features;
      T* y = static_cast<T*>(call.y) + row * call.features;
      for (int64_t feature = first; feature < last; feature += kBlock) {
        draw_factors({call.key, call.c2, call.c3}, static_cast<uint32_t>(call.first_row + row), feature,
                     static_cast<float>(call.scale), keys, factors);
        multiply(x + feature, y + feature, factors, std::min(last - feature, kBlock));
      }
    }
  });
}

}  // namespace

void apply_gaussian(const RegimenDropout& call) {
  switch (call.type) {
    case REGIMEN_FLOAT64: return of_type<double>(call);
    case REGIMEN_BFLOAT16: return of_type<Bfloat16>(call);
    case REGIMEN_FLOAT16: return of_type<Float16>(call);
    default: return of_type<float>(call);
  }
}

}  // namespace regimen
