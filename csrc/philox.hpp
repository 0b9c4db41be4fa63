// The random streams of regimen/streams.py: Philox4x32-10 with counters of logical indices only.
#pragma once

#include <cstdint>

namespace regimen {

enum class Purpose : uint32_t { kMask = 1, kInitialization = 3, kShuffle = 4, kMixup = 7, kNoise = 8 };

inline uint32_t counter3(Purpose purpose, uint32_t site, uint32_t call) {
  return static_cast<uint32_t>(purpose) << 24 | call << 16 | site;
}

// A place in the stream: everything but the first counter word and the row.
struct Stream {
  uint64_t key;
  uint32_t c2, c3;
};

// The four words of one counter.
void philox(uint64_t key, const uint32_t counter[4], uint32_t words[4]);

// The first `count` words of the counters c0 = 0, 1, … with the given c1.
void stream_words(Stream stream, uint32_t c1, int64_t count, uint32_t* words);

// Dropout masks [features][rows]: 0 where an element is dropped, `scale` elsewhere. Columns up to the next multiple of
// kLanes are filled, and rows up to the next multiple of 8.
void fill_masks(Stream stream, uint32_t threshold, float scale, int64_t features, int64_t rows, float* masks,
                int64_t leading);

// The same, stored row by row as PyTorch has it: [rows][features], from row `first_row` on, without padding.
void fill_mask_rows(Stream stream, uint32_t threshold, float scale, int64_t features, int64_t first_row, int64_t rows,
                    float* masks);

// Add scale · normal numbers to values [features][rows]; columns beyond `rows` are set to 0.
void add_normals(Stream stream, float scale, int64_t features, int64_t rows, float* values,
                 int64_t leading);

// order[i] = the element of rank i by 64-bit keys (words 0 and 1, then 2 and 3), equal keys in their order.
void random_order(Stream stream, int64_t count, int32_t* order);

}  // namespace regimen
