// Transposition in registers, one square of kLanes x kLanes at a time.
#pragma once

#include <cstdint>

namespace regimen {

// to[j][i] = from[i][j] for whole squares: `rows` and `columns` are multiples of kLanes, both sides aligned.
void transpose(int64_t rows, int64_t columns, const float* from, int64_t from_row, float* to, int64_t to_row);

}  // namespace regimen
