// Dropout on the elements of a tensor in one pass: masks are drawn where they are applied, and never stored.
#pragma once

#include "interface.h"

namespace regimen {

void apply_dropout(const RegimenDropout& call);
void apply_gaussian(const RegimenDropout& call);

}  // namespace regimen
