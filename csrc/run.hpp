// One whole training: what the pool's threads do.
#pragma once

#include <atomic>

#include "interface.h"

namespace regimen {

// Trains the run and fills in its results; ends early when `cancelled` becomes true.
void train(RegimenRun& run, const std::atomic<bool>& cancelled);

}  // namespace regimen
