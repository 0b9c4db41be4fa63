// Zeroed, aligned arrays, and the padding that keeps every row of a matrix on whole vectors.
#pragma once

#include <cstring>
#include <memory>
#include <new>

#include "simd.hpp"

namespace regimen {

// The next multiple of a vector.
inline int64_t padded(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

// Distance between the rows of a matrix with `n` columns. Rows a power of two apart would share few cache sets.
inline int64_t leading(int64_t n) { return padded(n) % 256 ? padded(n) : padded(n) + 16; }

template <class T>
class Array {
 public:
  Array() = default;
  explicit Array(int64_t size) : size_(size) {
    const std::size_t bytes = (static_cast<std::size_t>(size) * sizeof(T) + 63) / 64 * 64;
    data_.reset(static_cast<T*>(::operator new(bytes ? bytes : 64, kCacheLine)));
    std::memset(data_.get(), 0, bytes);
  }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  T& operator[](int64_t i) { return data_.get()[i]; }
  const T& operator[](int64_t i) const { return data_.get()[i]; }
  int64_t size() const { return size_; }

 private:
  static constexpr std::align_val_t kCacheLine{64};
  struct Free {
    void operator()(T* p) const { ::operator delete(p, kCacheLine); }
  };
  std::unique_ptr<T[], Free> data_;
  int64_t size_ = 0;
};

using Floats = Array<float>;

}  // namespace regimen
