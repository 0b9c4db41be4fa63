// The loop over epochs and steps, in the order that engine/reference.py specifies.
#include "run.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <exception>
#include <limits>

#include "evaluation.hpp"
#include "norm.hpp"

namespace regimen {
namespace {

// Seconds that this thread has computed: what else the machine does is no cost of a run. Where the system does not count
// them, seconds that have passed.
double computed_seconds() {
#ifdef CLOCK_THREAD_CPUTIME_ID
  timespec now;
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0) return static_cast<double>(now.tv_sec) + 1e-9 * now.tv_nsec;
#endif
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class Training {
 public:
  Training(RegimenRun& run, const std::atomic<bool>& cancelled)
      : run_(run),
        slices_(slices_of(run)),
        most_rows_(most_rows(slices_)),
        network_(run, most_rows_, cancelled),
        batches_(run, network_, most_rows_),
        evaluation_(run, network_),
        updater_(run.update),
        criterion_{run.criterion == REGIMEN_SQUARED_ERROR, run.label_smoothing, run.class_weights,
                   run.block[run.blocks - 1].outputs},
        scratch_(2 * leading(most_rows_)) {
    network_.read(run.parameters);
    if (run.shares) average_ = Floats(network_.size());
  }

  // The status that the run ends with.
  int64_t result() {
    double best = std::numeric_limits<double>::infinity();
    for (int64_t epoch = 0; epoch < run_.epochs; ++epoch) {
      train_epoch(epoch);
      run_.epochs_run = epoch + 1;
      const float* parameters = averaging_ ? average_.data() : network_.parameters();
      if (run_.shares) evaluation_.reestimate(parameters, batches_, slices_);
      if (!evaluation_.measure(parameters, epoch)) {
        run_.returned_epoch = epoch + 1;
        return REGIMEN_DIVERGED;
      }
      bool better = epoch + 1 == run_.epochs;
      if (run_.patience) {
        const double loss = run_.stop.losses[epoch];
        better = loss < best - run_.min_delta;
        if (better) best = loss;
      }
      if (better) snapshot(parameters, epoch);
      if (run_.patience && epoch + 1 - run_.returned_epoch >= run_.patience && epoch + 1 < run_.epochs) {
        return REGIMEN_STOPPED;
      }
    }
    return REGIMEN_FINISHED;
  }

 private:
  static int64_t most_rows(const std::vector<Slice>& slices) {
    int64_t most = 0;
    for (const Slice& slice : slices) most = std::max(most, slice.rows);
    return most;
  }

  void train_epoch(int64_t epoch) {
    batches_.shuffle(epoch);
    int64_t step = epoch * static_cast<int64_t>(slices_.size());
    for (const Slice& slice : slices_) {
      const Targets targets = batches_.load(slice, step);
      const Plane outputs =
          network_.forward(network_.parameters(), {slice.rows, run_.key, static_cast<uint32_t>(step), true, kNormMomentum});
      loss_gradient(criterion_, outputs, slice.rows, targets, scratch_.data());
      updater_.begin(step, run_.rates[step]);
      network_.backward(slice.rows, updater_);
      if (run_.shares && run_.shares[step] >= 0.0) average(static_cast<float>(run_.shares[step]));
      run_.steps_run = ++step;
    }
  }

  // As torch.lerp(mean, live, share); the first parameters are the mean themselves.
  void average(float share) {
    const float* live = network_.parameters();
    float* mean = average_.data();
    if (!averaging_) std::copy_n(live, network_.size(), mean);
    averaging_ = true;
    for (int64_t i = 0; i < network_.size(); ++i) {
      const float d = live[i] - mean[i];
      mean[i] = share < 0.5F ? mean[i] + share * d : live[i] - d * (1.0F - share);
    }
  }

  void snapshot(const float* parameters, int64_t epoch) {
    run_.returned_epoch = epoch + 1;
    evaluation_.keep_outputs(parameters);
    if (run_.keep_parameters) network_.write(parameters, run_.parameters, run_.statistics);
  }

  RegimenRun& run_;
  std::vector<Slice> slices_;
  int64_t most_rows_;
  Network network_;
  Batches batches_;
  Evaluation evaluation_;
  Updater updater_;
  Criterion criterion_;
  Floats scratch_, average_;
  bool averaging_ = false;
};

}  // namespace

void train(RegimenRun& run, const std::atomic<bool>& cancelled) {
  const FlushSubnormals flushed;
  const double started = computed_seconds();
  run.epochs_run = run.returned_epoch = run.steps_run = 0;
  try {
    run.status = Training(run, cancelled).result();
  } catch (const Cancelled&) {
    run.status = REGIMEN_CANCELLED;
  } catch (const std::exception&) {  // of memory: none left, or a size that no memory has
    run.status = REGIMEN_NO_MEMORY;
  }
  run.seconds = computed_seconds() - started;
}

}  // namespace regimen
