// A range of work shared out to threads that live for one call.
#pragma once

#include <algorithm>
#include <system_error>
#include <thread>

namespace regimen {

constexpr long kMaxThreads = 64;

// work(begin, end) for parts of [0, units). No pool is kept: it would not survive fork, which data loaders do.
template <class Work>
void share_out(long units, long threads, const Work& work) {
  threads = std::clamp(std::min(threads, units), 1L, kMaxThreads);
  std::thread helpers[kMaxThreads];
  const auto bound = [=](long i) { return units / threads * i + std::min(i, units % threads); };
  long started = 1;
  try {
    for (; started < threads; ++started) {
      helpers[started] = std::thread(work, bound(started), bound(started + 1));
    }
  } catch (const std::system_error&) {  // no more threads to be had: the caller does the rest
  }
  work(0L, bound(1));
  work(bound(started), units);
  for (long i = 1; i < started; ++i) helpers[i].join();
}

}  // namespace regimen
