// Transposition by exchanging ever larger halves between pairs of rows.
#include "transpose.hpp"

#include "simd.hpp"

namespace regimen {
namespace {

// Lanes of two rows after one exchange: `kHigh` picks the row that keeps its upper blocks of `kStep` lanes.
template <int kStep, bool kHigh>
struct Exchanged {
  static constexpr int from(int lane) {
    const int from_a = kHigh ? lane + kStep : lane, from_b = kLanes + (kHigh ? lane : lane - kStep);
    return lane & kStep ? from_b : from_a;
  }
};

template <int kStep>
inline void exchange_all(Vf (&row)[kLanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if (i & kStep) continue;
    const Vf a = row[i], b = row[i + kStep];
    row[i] = picked<Exchanged<kStep, false>>(a, b);
    row[i + kStep] = picked<Exchanged<kStep, true>>(a, b);
  }
}

}  // namespace

void transpose(int64_t rows, int64_t columns, const float* from, int64_t from_row, float* to, int64_t to_row) {
  for (int64_t i = 0; i < rows; i += kLanes) {
    for (int64_t j = 0; j < columns; j += kLanes) {
      Vf square[kLanes];
#pragma GCC unroll 16
      for (int k = 0; k < kLanes; ++k) square[k] = load(from + (i + k) * from_row + j);
      exchange_all<1>(square);
      exchange_all<2>(square);
      if constexpr (kLanes > 4) exchange_all<4>(square);
      if constexpr (kLanes > 8) exchange_all<8>(square);
#pragma GCC unroll 16
      for (int k = 0; k < kLanes; ++k) store(to + (j + k) * to_row + i, square[k]);
    }
  }
}

}  // namespace regimen
