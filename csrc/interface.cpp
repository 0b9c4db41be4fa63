// The C interface: nothing thrown crosses it.
#include "interface.h"

#include <algorithm>
#include <new>
#include <system_error>

#if defined(__AVX2__)
#include <cpuid.h>
#endif

#include "dropout.hpp"
#include "philox.hpp"
#include "pool.hpp"

using regimen::Pool;
using regimen::Stream;

int64_t regimen_layout(void) { return int64_t{sizeof(RegimenRun)} << 32 | int64_t{sizeof(RegimenDropout)}; }

// All that CMakeLists.txt lets the compiler use: a virtual machine may hide any of it.
int64_t regimen_supported(void) {
#if defined(__AVX512F__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512cd") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
    return 0;
  }
#endif
#if defined(__AVX2__)
  __builtin_cpu_init();
  // Older compilers do not know F16C by name.
  unsigned a, b, c, d;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2") && __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
#else
  return 1;
#endif
}

void* regimen_open(int64_t threads) {
  try {
    return new Pool(threads);
  } catch (const std::bad_alloc&) {
    return nullptr;
  } catch (const std::system_error&) {
    return nullptr;
  }
}

void regimen_submit(void* pool, RegimenRun* run) { static_cast<Pool*>(pool)->submit(run); }

int64_t regimen_wait(void* pool, int64_t milliseconds) { return static_cast<Pool*>(pool)->wait(milliseconds); }

void regimen_cancel(void* pool) { static_cast<Pool*>(pool)->cancel(); }

void regimen_close(void* pool) { delete static_cast<Pool*>(pool); }

void regimen_words(uint64_t key, uint32_t c1, uint32_t c2, uint32_t c3, int64_t count, uint32_t* words) {
  regimen::stream_words({key, c2, c3}, c1, count, words);
}

void regimen_mask(uint64_t key, uint32_t c2, uint32_t c3, int64_t threshold, double scale, int64_t features,
                  int64_t first_row, int64_t rows, float* masks) {
  regimen::fill_mask_rows({key, c2, c3}, static_cast<uint32_t>(threshold), static_cast<float>(scale), features,
                          first_row, rows, masks);
}

void regimen_engine_mask(uint64_t key, uint32_t c2, uint32_t c3, int64_t threshold, double scale, int64_t features,
                         int64_t rows, float* masks, int64_t leading) {
  regimen::fill_masks({key, c2, c3}, static_cast<uint32_t>(threshold), static_cast<float>(scale), features, rows, masks,
                      leading);
}

void regimen_normals(uint64_t key, uint32_t c2, uint32_t c3, double scale, int64_t features, int64_t rows, float* values,
                     int64_t leading) {
  regimen::add_normals({key, c2, c3}, static_cast<float>(scale), features, rows, values, leading);
}

void regimen_order(uint64_t key, uint32_t c2, uint32_t c3, int64_t count, int32_t* order) {
  regimen::random_order({key, c2, c3}, count, order);
}

void regimen_dropout(const RegimenDropout* call) {
  if (call->form == REGIMEN_GAUSSIAN) {
    regimen::apply_gaussian(*call);
  } else {
    regimen::apply_dropout(*call);
  }
}
