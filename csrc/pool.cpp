// A run belongs to one thread from its first to its last step: no barriers, nothing shared while it trains.
#include "pool.hpp"

#include <chrono>
#include <utility>

#include "run.hpp"

namespace regimen {

Pool::Pool(int64_t threads) {
  try {
    for (int64_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  } catch (...) {
    stop();
    throw;
  }
}

Pool::~Pool() { stop(); }

void Pool::stop() {
  cancel();
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Pool::submit(RegimenRun* run) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(run);
  }
  work_.notify_one();
}

int64_t Pool::wait(int64_t milliseconds) {
  std::unique_lock lock(mutex_);
  done_.wait_for(lock, std::chrono::milliseconds(milliseconds), [this] { return !ended_.empty(); });
  if (ended_.empty()) return -1;
  const int64_t tag = ended_.front();
  ended_.pop_front();
  return tag;
}

void Pool::cancel() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
  waiting_.clear();
}

void Pool::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return closing_ || !waiting_.empty(); });
    if (closing_) return;
    RegimenRun* run = std::exchange(waiting_.front(), nullptr);
    waiting_.pop_front();
    lock.unlock();
    train(*run, cancelled_);
    lock.lock();
    ended_.push_back(run->tag);
    done_.notify_one();
  }
}

}  // namespace regimen
