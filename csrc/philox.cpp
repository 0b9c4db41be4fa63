// Words, dropout masks, normal numbers and orders from the streams.
#include "philox.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "philox_vectors.hpp"
#include "vector_math.hpp"

namespace regimen {

void philox(uint64_t key, const uint32_t counter[4], uint32_t words[4]) {
  uint32_t w0 = counter[0], w1 = counter[1], w2 = counter[2], w3 = counter[3];
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int i = 0; i < kRounds; ++i, k0 += kWeyl0, k1 += kWeyl1) {
    const uint64_t p0 = kMultiply0 * w0, p1 = kMultiply1 * w2;
    w0 = static_cast<uint32_t>(p1 >> 32) ^ w1 ^ k0;
    w2 = static_cast<uint32_t>(p0 >> 32) ^ w3 ^ k1;
    w1 = static_cast<uint32_t>(p1);
    w3 = static_cast<uint32_t>(p0);
  }
  words[0] = w0, words[1] = w1, words[2] = w2, words[3] = w3;
}

void stream_words(Stream stream, uint32_t c1, int64_t count, uint32_t* words) {
  constexpr int64_t kCounters = kLanes / 2;
  const RoundKeys keys(stream.key);
  uint32_t block[4 * kCounters];
  for (int64_t i = 0; i < count; i += 4 * kCounters) {
    Vq c0;
    for (int64_t lane = 0; lane < kCounters; ++lane) c0[lane] = static_cast<uint64_t>(i / 4 + lane);
    const Words x = philox_lanes({c0, splat(uint64_t{c1}), splat(uint64_t{stream.c2}), splat(uint64_t{stream.c3})}, keys);
    for (int64_t lane = 0; lane < kCounters; ++lane) {
      for (int j = 0; j < 4; ++j) block[4 * lane + j] = static_cast<uint32_t>(x.w[j][lane]);
    }
    std::copy_n(block, std::min(count - i, 4 * kCounters), words + i);
  }
}

void fill_masks(Stream stream, uint32_t threshold, float scale, int64_t features, int64_t rows, float* masks,
                int64_t leading) {
  const RoundKeys keys(stream.key);
  const Vi least = splat(static_cast<int32_t>(threshold));
  const Vf kept = splat(scale);
  for (int64_t row = 0; row < rows; row += kLanes) {
    const Vq even = every_other_row(static_cast<uint64_t>(row)), odd = even + splat(uint64_t{1});
    for (int64_t feature = 0; feature < features; feature += 8) {
      const uint32_t c0 = static_cast<uint32_t>(feature / 8);
      const Words a = philox_rows(stream, c0, even, keys), b = philox_rows(stream, c0, odd, keys);
      float* out = masks + feature * leading + row;
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j, out += 2 * leading) {
        const Vu word = interleave(a.w[j], b.w[j]);
        store(out, masked((Vi)(word & splat(uint32_t{0xFFFF})) >= least, kept));
        store(out + leading, masked((Vi)(word >> 16) >= least, kept));
      }
    }
  }
}

void fill_mask_rows(Stream stream, uint32_t threshold, float scale, int64_t features, int64_t first_row, int64_t rows,
                    float* masks) {
  constexpr int64_t kCounters = kLanes / 2;
  const RoundKeys keys(stream.key);
  const Vi least = splat(static_cast<int32_t>(threshold));
  const Vf kept = splat(scale);
  Vq blocks;
  for (int64_t lane = 0; lane < kCounters; ++lane) blocks[lane] = static_cast<uint64_t>(lane);
  alignas(64) uint16_t values[8 * kCounters];
  for (int64_t row = first_row; row < first_row + rows; ++row, masks += features) {
    for (int64_t feature = 0; feature < features; feature += 8 * kCounters) {
      const Words x = philox_lanes({blocks + splat(static_cast<uint64_t>(feature / 8)), splat(static_cast<uint64_t>(row)),
                                    splat(uint64_t{stream.c2}), splat(uint64_t{stream.c3})}, keys);
      // Lane by lane, the eight values of a counter are the 16-bit quarters of two 64-bit words.
      const Vq low = splat(uint64_t{0xFFFFFFFF});
      const Vq first = (x.w[0] & low) | x.w[1] << 32, second = (x.w[2] & low) | x.w[3] << 32;
      uint64_t* pairs = reinterpret_cast<uint64_t*>(values);
      for (int64_t lane = 0; lane < kCounters; ++lane) {
        std::memcpy(pairs + 2 * lane, reinterpret_cast<const char*>(&first) + 8 * lane, 8);
        std::memcpy(pairs + 2 * lane + 1, reinterpret_cast<const char*>(&second) + 8 * lane, 8);
      }
      const int64_t count = std::min(features - feature, 8 * kCounters);
      int64_t i = 0;
      for (; i + kLanes <= count; i += kLanes) {
        typedef uint16_t Half __attribute__((vector_size(2 * kLanes), may_alias));
        const Vi value = __builtin_convertvector(*reinterpret_cast<const Half*>(values + i), Vi);
        *reinterpret_cast<VfUnaligned*>(masks + feature + i) = masked(value >= least, kept);
      }
      for (; i < count; ++i) masks[feature + i] = values[i] >= threshold ? scale : 0.0F;
    }
  }
}

namespace {

// (w >> 8) · 2^-24
inline Vf uniform(Vu word) { return __builtin_convertvector((Vi)(word >> 8), Vf) * splat(0x1p-24F); }

}  // namespace

void add_normals(Stream stream, float scale, int64_t features, int64_t rows, float* values,
                 int64_t leading) {
  const RoundKeys keys(stream.key);
  for (int64_t row = 0; row < rows; row += kLanes) {
    const Vq even = every_other_row(static_cast<uint64_t>(row)), odd = even + splat(uint64_t{1});
    const Vi present = first_lanes(rows - row);
    for (int64_t feature = 0; feature < features; feature += 4) {
      const uint32_t c0 = static_cast<uint32_t>(feature / 4);
      const Words a = philox_rows(stream, c0, even, keys), b = philox_rows(stream, c0, odd, keys);
      for (int pair = 0; pair < 2; ++pair) {
        const Vf u = uniform(interleave(a.w[2 * pair], b.w[2 * pair])) + splat(0x1p-24F);
        const Vf radius = splat(scale) * square_root(splat(-2.0F) * logarithm(u));
        const SineCosine turn = sine_cosine_of_turns(uniform(interleave(a.w[2 * pair + 1], b.w[2 * pair + 1])));
        const Vf noise[2] = {radius * turn.cosine, radius * turn.sine};
        for (int i = 0; i < 2 && feature + 2 * pair + i < features; ++i) {
          float* out = values + (feature + 2 * pair + i) * leading + row;
          store(out, masked(present, load(out) + noise[i]));
        }
      }
    }
  }
}

void random_order(Stream stream, int64_t count, int32_t* order) {
  std::vector<uint32_t> words(static_cast<size_t>(2 * count));
  stream_words(stream, 0, 2 * count, words.data());
  const auto key = [&](int64_t i) { return uint64_t{words[2 * i + 1]} << 32 | words[2 * i]; };
  // Keys are uniform: buckets by their first bits hold about one each, and insertion puts the few in order.
  int bits = 1;
  while ((int64_t{1} << bits) < count) ++bits;
  std::vector<int32_t> ends(size_t{1} << bits);
  const auto bucket = [&](int64_t i) { return words[static_cast<size_t>(2 * i + 1)] >> (32 - bits); };
  for (int64_t i = 0; i < count; ++i) ++ends[bucket(i)];
  int32_t sum = 0;
  for (int32_t& end : ends) sum += std::exchange(end, sum);
  for (int64_t i = 0; i < count; ++i) order[ends[bucket(i)]++] = static_cast<int32_t>(i);
  for (int64_t i = 1; i < count; ++i) {
    const int32_t item = order[i];
    const uint64_t item_key = key(item);
    int64_t j = i;
    for (; j > 0 && key(order[j - 1]) > item_key; --j) order[j] = order[j - 1];
    order[j] = item;
  }
}

}  // namespace regimen
