// Batches: which rows, in which order, and what is done to them before the network sees them.
#pragma once

#include <vector>

#include "loss.hpp"
#include "network.hpp"

namespace regimen {

struct Slice {
  int64_t first, rows;
};

// The slices of one epoch.
std::vector<Slice> slices_of(const RegimenRun& run);

class Batches {
 public:
  Batches(const RegimenRun& run, Network& network, int64_t most_rows);

  // Draw the order of a 0-based epoch.
  void shuffle(int64_t epoch);
  // Put one shuffled batch into the network's input, with mixup, noise and input dropout; returns its targets.
  Targets load(Slice slice, int64_t step);
  // Put one shuffled batch into the network's input, as it is.
  void load_plain(Slice slice);

 private:
  void mix(int64_t rows, int64_t step, float share);

  const RegimenRun& run_;
  Network& network_;
  std::vector<int32_t> order_, partners_, labels_[2];
  std::vector<float> values_[2], weights_[2];
  Floats mixed_, masks_;
};

}  // namespace regimen
