// An array that is owned, or lies in memory that outlives it.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace midge {

/// Elements of a plain type, either in a vector of its own or in place, for example in a mapped
/// file, which stays as long as the table. Reading does not tell the two apart.
template <typename T>
class Table {
 public:
  Table() = default;
  /// `size` zeros of its own.
  explicit Table(size_t size) : own_(size) { refresh(); }
  /// In place.
  explicit Table(std::span<const T> view) : data_(view.data()), size_(view.size()) {}

  Table(const Table& other) : own_(other.own_), data_(other.data_), size_(other.size_) {
    if (!own_.empty()) refresh();
  }
  Table(Table&& other) noexcept
      : own_(std::move(other.own_)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {
    other.own_.clear();
  }
  Table& operator=(Table other) noexcept {
    std::swap(own_, other.own_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Table() = default;

  const T* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  std::span<const T> span() const { return {data_, size_}; }

  // Of a table of its own.
  T* own_data() { return own_.data(); }
  void reserve(size_t size) {
    own_.reserve(size);
    refresh();
  }
  void append(std::span<const T> more) {
    own_.insert(own_.end(), more.begin(), more.end());
    refresh();
  }
  void assign(size_t size, const T& value) {
    own_.assign(size, value);
    refresh();
  }

 private:
  void refresh() {
    data_ = own_.data();
    size_ = own_.size();
  }

  std::vector<T> own_;
  const T* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace midge
