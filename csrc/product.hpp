// Matrix products: A element by element, B and C in vectors along their rows.
#pragma once

namespace regimen {

struct Matrix {
  const float* data;
  long row;  // distance between rows
};

// What C starts from.
struct Start {
  enum Kind { kZero, kBias, kAdd } kind = kZero;
  const float* bias = nullptr;  // one for each row of C
};

// C[i][j] = start + Σ_p A[i][p] · B[p][j], i < rows, p < depth, j < columns.
// `columns` is a multiple of kLanes; B and C are aligned to vectors.
void multiply(long rows, long columns, long depth, Matrix a, Matrix b, float* c, long c_row, Start start);

// The same with A stored as [depth][rows].
void multiply_transposed(long rows, long columns, long depth, Matrix a, Matrix b, float* c, long c_row);

}  // namespace regimen
