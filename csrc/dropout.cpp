// Masks of elements and of channels, drawn and applied in one pass.
#include "dropout.hpp"

#include <algorithm>
#include <cstring>

#include "dropout_vectors.hpp"
#include "parallel.hpp"

namespace regimen {
namespace {

constexpr int64_t kChunk = 4096;  // features of one row that one thread takes at once; a multiple of RowMask::kFeatures

template <class T>
struct Tensors {
  const T* x;
  T* y;
};

// Vectors first, then what is left over in a buffer.
template <class T, class Apply>
inline void apply_run(const T* x, T* y, int64_t count, const Apply& apply_vector) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) apply_vector(x + i, y + i);
  if (i < count) {
    T rest[kLanes] = {};
    const size_t bytes = static_cast<size_t>(count - i) * sizeof(T);
    std::memcpy(rest, x + i, bytes);
    apply_vector(rest, rest);
    std::memcpy(y + i, rest, bytes);
  }
}

// The block of up to RowMask::kFeatures elements that `keep` belongs to.
template <bool shifts, class T>
inline void apply_block(const T* x, T* y, const Keep keep[4], int64_t count, const Affine& by) {
  if (count >= RowMask::kFeatures) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) apply<shifts>(x + i * kLanes, y + i * kLanes, keep[i], by);
    return;
  }
  const Keep* next = keep;
  apply_run(x, y, count, [&](const T* from, T* to) { apply<shifts>(from, to, *next++, by); });
}

inline RowMask row_mask(const RegimenDropout& call) {
  return {{call.key, call.c2, call.c3}, static_cast<uint32_t>(call.threshold)};
}
inline Affine affine(const RegimenDropout& call) { return {call.scale, call.kept_shift, call.dropped_shift}; }
inline uint32_t stream_row(const RegimenDropout& call, int64_t row) { return static_cast<uint32_t>(call.first_row + row); }

// Elements [row][feature] in the order of their features.
template <bool shifts, class T>
void by_element(const RegimenDropout& call, Tensors<T> data) {
  const int64_t chunks = (call.features + kChunk - 1) / kChunk;
  share_out(call.rows * chunks, call.threads, [&, chunks](int64_t begin, int64_t end) {
    RowMask mask = row_mask(call);
    const Affine by = affine(call);
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t row = unit / chunks, first = unit % chunks * kChunk, last = std::min(first + kChunk, call.features);
      mask.enter_row(stream_row(call, row));
      const T* x = data.x + row * call.features;
      T* y = data.y + row * call.features;
      for (int64_t feature = first; feature < last; feature += RowMask::kFeatures) {
        Keep keep[4];
        mask.draw(feature, keep);
        apply_block<shifts>(x + feature, y + feature, keep, last - feature, by);
      }
    }
  });
}

// Elements [row][channel][position], whose features are numbered position · channels + channel; channels % 8 == 0, so
// that the eight values of a counter belong to eight channels of one position, and vectors can run along positions.
template <bool shifts, class T>
void by_plane(const RegimenDropout& call, Tensors<T> data) {
  const int64_t blocks = call.features / 8, positions = call.positions;
  share_out(call.rows * blocks, call.threads, [&, blocks, positions](int64_t begin, int64_t end) {
    const Stream stream{call.key, call.c2, call.c3};
    const RoundKeys keys(call.key);
    const Affine by = affine(call);
    const uint32_t threshold = static_cast<uint32_t>(call.threshold);
    for (int64_t unit = begin; unit < end; ++unit) {
      const Vq row = splat(uint64_t{stream_row(call, unit / blocks)});
      const T* x = data.x + unit * 8 * positions;
      T* y = data.y + unit * 8 * positions;
      for (int64_t position = 0; position < positions; position += kLanes) {
        Words words[2];
        for (int odd = 0; odd < 2; ++odd) {
          Vq c0;
          for (int64_t i = 0; i < kLanes / 2; ++i) {
            c0[i] = static_cast<uint64_t>((position + 2 * i + odd) * blocks + unit % blocks);
          }
          words[odd] = philox_lanes({c0, row, splat(uint64_t{stream.c2}), splat(uint64_t{stream.c3})}, keys);
        }
        const int64_t count = std::min(positions - position, kLanes);
        for (int channel = 0; channel < 8; ++channel) {
          const Vu word = interleave(words[0].w[channel / 2], words[1].w[channel / 2]);
          const Keep keep = at_least_mask(channel % 2 ? word >> 16 : word & splat(uint32_t{0xFFFF}), threshold);
          const int64_t start = channel * positions + position;
          apply_run(x + start, y + start, count, [&](const T* from, T* to) { apply<shifts>(from, to, keep, by); });
        }
      }
    }
  });
}

// One value for each (row, channel): [row][channel][position], or [row][position][channel] if `last`.
template <bool last, bool shifts, class T>
void by_channel(const RegimenDropout& call, Tensors<T> data) {
  constexpr int64_t kBlock = RowMask::kFeatures;
  const int64_t channels = call.features, positions = call.positions, blocks = (channels + kBlock - 1) / kBlock;
  share_out(call.rows * blocks, call.threads, [&, channels, positions, blocks](int64_t begin, int64_t end) {
    RowMask mask = row_mask(call);
    const Affine by = affine(call);
    const Keep all = at_least_mask(splat(uint32_t{0}), 0), none = at_least_mask(splat(uint32_t{0}), 1);
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t row = unit / blocks, first = unit % blocks * kBlock, count = std::min(channels - first, kBlock);
      Keep keep[4];
      mask.enter_row(stream_row(call, row));
      mask.draw(first, keep);
      if (last) {
        const int64_t start = row * positions * channels + first;
        for (int64_t position = 0; position < positions; ++position) {
          apply_block<shifts>(data.x + start + position * channels, data.y + start + position * channels, keep, count, by);
        }
        continue;
      }
      // The mask as bytes, through the kernel itself.
      float ones[kBlock], kept[kBlock];
      std::fill_n(ones, kBlock, 1.0F);
      apply_block<false>(ones, kept, keep, kBlock, {1.0, 0.0, 0.0});
      for (int64_t channel = 0; channel < count; ++channel) {
        const Keep whole = kept[channel] != 0.0F ? all : none;
        const int64_t start = (row * channels + first + channel) * positions;
        apply_run(data.x + start, data.y + start, positions,
                  [&](const T* from, T* to) { apply<shifts>(from, to, whole, by); });
      }
    }
  });
}

template <bool shifts, class T>
void by_form(const RegimenDropout& call) {
  const Tensors<T> data{static_cast<const T*>(call.x), static_cast<T*>(call.y)};
  switch (call.form) {
    case REGIMEN_PLANES: return by_plane<shifts>(call, data);
    case REGIMEN_CHANNELS: return by_channel<false, shifts>(call, data);
    case REGIMEN_CHANNELS_LAST: return by_channel<true, shifts>(call, data);
    default: return by_element<shifts>(call, data);
  }
}

template <class T>
void of_type(const RegimenDropout& call) {
  // Of multiplication alone nothing may be added, not even zero: -0 + 0 is 0.
  return call.kept_shift != 0.0 || call.dropped_shift != 0.0 ? by_form<true, T>(call) : by_form<false, T>(call);
}

}  // namespace

void apply_dropout(const RegimenDropout& call) {
  switch (call.type) {
    case REGIMEN_FLOAT64: return of_type<double>(call);
    case REGIMEN_BFLOAT16: return of_type<Bfloat16>(call);
    case REGIMEN_FLOAT16: return of_type<Float16>(call);
    default: return of_type<float>(call);
  }
}

}  // namespace regimen
