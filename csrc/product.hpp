// Matrix products: A element by element, B and C in vectors along their rows.
#pragma once

#include <cstdint>

namespace regimen {

struct Matrix {
  const float* data;
  int64_t row;  // distance between rows
};

// What C starts from.
struct Start {
  enum Kind { kZero, kBias, kAdd } kind = kZero;
  const float* bias = nullptr;  // one for each row of C
};

// C[i][j] = start + Σ_p A[i][p] · B[p][j], i < rows, p < depth, j < columns.
// `columns` is a multiple of kLanes; B and C are aligned to vectors.
void multiply(int64_t rows, int64_t columns, int64_t depth, Matrix a, Matrix b, float* c, int64_t c_row, Start start);

// The same with A stored as [depth][rows].
void multiply_transposed(int64_t rows, int64_t columns, int64_t depth, Matrix a, Matrix b, float* c, int64_t c_row);

}  // namespace regimen
