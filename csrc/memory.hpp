// Zeroed, aligned arrays, and the padding that keeps every row of a matrix on whole vectors.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "simd.hpp"

namespace regimen {

// The next multiple of a vector.
inline long padded(long n) { return (n + kLanes - 1) / kLanes * kLanes; }

// Distance between the rows of a matrix with `n` columns. Rows a power of two apart would share few cache sets.
inline long leading(long n) { return padded(n) % 256 ? padded(n) : padded(n) + 16; }

template <class T>
class Array {
 public:
  Array() = default;
  explicit Array(long size) : size_(size) {
    const std::size_t bytes = (static_cast<std::size_t>(size) * sizeof(T) + 63) / 64 * 64;
    data_.reset(static_cast<T*>(std::aligned_alloc(64, bytes ? bytes : 64)));
    if (!data_) throw std::bad_alloc();
    std::memset(data_.get(), 0, bytes);
  }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  T& operator[](long i) { return data_.get()[i]; }
  const T& operator[](long i) const { return data_.get()[i]; }
  long size() const { return size_; }

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T[], Free> data_;
  long size_ = 0;
};

using Floats = Array<float>;

}  // namespace regimen
