// A range of work shared out to threads that live for one call.
#pragma once

#include <algorithm>
#include <cstdint>
#include <new>
#include <system_error>
#include <thread>

namespace regimen {

constexpr int64_t kMaxThreads = 64;

// work(begin, end) for parts of [0, units). No pool is kept: it would not survive fork, which data loaders do.
template <class Work>
void share_out(int64_t units, int64_t threads, const Work& work) {
  threads = std::clamp(std::min(threads, units), int64_t{1}, kMaxThreads);
  std::thread helpers[kMaxThreads];
  const auto bound = [=](int64_t i) { return units / threads * i + std::min(i, units % threads); };
  int64_t started = 1;
  try {
    for (; started < threads; ++started) {
      helpers[started] = std::thread(work, bound(started), bound(started + 1));
    }
  } catch (const std::system_error&) {  // no more threads to be had: the caller does the rest
  } catch (const std::bad_alloc&) {  // nor memory to start them with
  }
  work(int64_t{0}, bound(1));
  work(bound(started), units);
  for (int64_t i = 1; i < started; ++i) helpers[i].join();
}

}  // namespace regimen
