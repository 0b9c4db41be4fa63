// Threads that take whole runs from a queue.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "interface.h"

namespace regimen {

class Pool {
 public:
  explicit Pool(int64_t threads);
  ~Pool();
  void submit(RegimenRun* run);
  // Tag of a run that ended, or -1 after the time.
  int64_t wait(int64_t milliseconds);
  void cancel();

 private:
  void work();
  void stop();

  std::mutex mutex_;
  std::condition_variable work_, done_;
  std::deque<RegimenRun*> waiting_;
  std::deque<int64_t> ended_;
  std::atomic<bool> cancelled_ = false;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace regimen
