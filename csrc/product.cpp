// Register-tiled micro-kernels: a tile of C stays in registers while A is broadcast and B is loaded once for each step.
#include "product.hpp"

#include <utility>

#include "simd.hpp"

namespace regimen {
namespace {

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int64_t kMostRows[4] = {0, 14, 14, 9};  // by vectors in a row of the tile: 32 registers
#elif defined(__AVX2__)
constexpr int64_t kMostRows[4] = {0, 10, 6, 4};  // 16 registers
#else
constexpr int64_t kMostRows[4] = {0, 10, 5, 3};  // 16 registers, one of them for the product before it is added
#endif
constexpr int64_t kTableRows = 14;

struct Tile {
  const float* a;
  int64_t a_row;
  const float* b;
  int64_t b_row;
  float* c;
  int64_t c_row;
  int64_t depth;
  Start start;
};

template <int R, int V, bool kTransposed>
void multiply_tile(const Tile& t) {
  Vf sum[R][V];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      sum[i][v] = t.start.kind == Start::kBias  ? splat(t.start.bias[i])
                  : t.start.kind == Start::kAdd ? load(t.c + i * t.c_row + v * kLanes)
                                                : splat(0.0F);
    }
  }
  const float* a = t.a;
  const float* b = t.b;
  const int64_t a_row = t.a_row, b_row = t.b_row;
  for (int64_t p = t.depth; p > 0; --p) {
    Vf row[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) row[v] = load(b + v * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const Vf x = splat(kTransposed ? a[i] : a[i * a_row]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[i][v] += x * row[v];
    }
    a += kTransposed ? a_row : 1;
    b += b_row;
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store(t.c + i * t.c_row + v * kLanes, sum[i][v]);
  }
}

using Kernel = void (*)(const Tile&);

constexpr int capped(int rows, int vectors) { return rows <= kMostRows[vectors] ? rows : 1; }

// By vectors - 1 and rows - 1; entries above kMostRows are never asked for.
template <bool kTransposed, class Counts>
struct Kernels;
template <bool kTransposed, int... R>
struct Kernels<kTransposed, std::integer_sequence<int, R...>> {
  static constexpr Kernel table[3][kTableRows] = {{&multiply_tile<capped(R + 1, 1), 1, kTransposed>...},
                                                  {&multiply_tile<capped(R + 1, 2), 2, kTransposed>...},
                                                  {&multiply_tile<capped(R + 1, 3), 3, kTransposed>...}};
};

// Rows are shared out evenly: 100 rows are four tiles of 13 and four of 12, not seven of 14 and one of 2.
template <bool kTransposed>
void multiply_columns(int64_t rows, int64_t vectors, Tile t) {
  const int64_t tiles = (rows + kMostRows[vectors] - 1) / kMostRows[vectors];
  const int64_t smaller = rows / tiles, larger = rows % tiles;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t count = smaller + (i < larger);
    Kernels<kTransposed, std::make_integer_sequence<int, kTableRows>>::table[vectors - 1][count - 1](t);
    t.a += kTransposed ? count : count * t.a_row;
    t.c += count * t.c_row;
    if (t.start.kind == Start::kBias) t.start.bias += count;
  }
}

template <bool kTransposed>
void multiply_any(int64_t rows, int64_t columns, int64_t depth, Matrix a, Matrix b, float* c, int64_t c_row, Start start) {
  int64_t vectors = columns / kLanes;
  for (int64_t j = 0; vectors > 0;) {
    // Two at a time; an odd count ends with three, because a single vector wastes loads.
    const int64_t width = vectors == 3 || vectors == 1 ? vectors : 2;
    multiply_columns<kTransposed>(rows, width, {a.data, a.row, b.data + j, b.row, c + j, c_row, depth, start});
    j += width * kLanes;
    vectors -= width;
  }
}

}  // namespace

void multiply(int64_t rows, int64_t columns, int64_t depth, Matrix a, Matrix b, float* c, int64_t c_row, Start start) {
  multiply_any<false>(rows, columns, depth, a, b, c, c_row, start);
}

void multiply_transposed(int64_t rows, int64_t columns, int64_t depth, Matrix a, Matrix b, float* c, int64_t c_row) {
  multiply_any<true>(rows, columns, depth, a, b, c, c_row, {});
}

}  // namespace regimen
