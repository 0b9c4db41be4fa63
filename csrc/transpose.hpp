// Transposition in registers, one square of kLanes x kLanes at a time.
#pragma once

namespace regimen {

// to[j][i] = from[i][j] for whole squares: `rows` and `columns` are multiples of kLanes, both sides aligned.
void transpose(long rows, long columns, const float* from, long from_row, float* to, long to_row);

}  // namespace regimen
