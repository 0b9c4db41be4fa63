// What is measured after every epoch, in evaluation mode.
#pragma once

#include "batch.hpp"

namespace regimen {

class Evaluation {
 public:
  Evaluation(const RegimenRun& run, Network& network);

  // Writes loss and accuracy of every part after a 0-based epoch; false if one loss is not finite.
  bool measure(const float* parameters, int64_t epoch);
  // Writes the outputs that the caller wants to keep.
  void keep_outputs(const float* parameters);
  // Replaces the running statistics by the mean over the batches, as averaged weights need.
  void reestimate(const float* parameters, Batches& batches, const std::vector<Slice>& slices);

 private:
  Score score(const float* parameters, const RegimenPart& part, float* outputs);

  const RegimenRun& run_;
  Network& network_;
  Criterion criterion_;
  Floats rows_, inputs_;
};

}  // namespace regimen
