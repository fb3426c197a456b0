// Numbers, texts and arrays one after another, as the small sections of a packed file hold them:
// little-endian, arrays at multiples of 16 bytes.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "engine/core/checked_math.h"

namespace midge {

static_assert(std::endian::native == std::endian::little, "packed files are read in place");

inline constexpr size_t kPackedArrayAlignment = 16;

/// Writes to a string of bytes.
class ByteWriter {
 public:
  template <typename T>
  void number(T value) {
    static_assert(std::is_arithmetic_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void flag(bool value) { number<uint8_t>(value ? 1 : 0); }
  void text(std::string_view value) {
    number(static_cast<uint32_t>(value.size()));
    bytes_ += value;
  }
  /// Its count, then the elements at the next multiple of kPackedArrayAlignment.
  template <typename T>
  void array(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    number(static_cast<uint64_t>(values.size()));
    bytes_.resize(static_cast<size_t>(
        round_up(static_cast<int64_t>(bytes_.size()), int64_t{kPackedArrayAlignment})));
    if (!values.empty()) {
      bytes_.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
    }
  }

  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// Reads what ByteWriter wrote, from bytes that may be anything. After the first value that is not
/// whole, ok() is false and everything read is zero or empty.
class ByteReader {
 public:
  /// bytes: at a multiple of kPackedArrayAlignment; outlive texts and arrays, which lie in them.
  explicit ByteReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  template <typename T>
  T number() {
    static_assert(std::is_arithmetic_v<T>);
    T value = {};
    const uint8_t* at = take(sizeof(T));
    if (at != nullptr) std::memcpy(&value, at, sizeof(T));
    return value;
  }
  bool flag() {
    const auto value = number<uint8_t>();
    if (value > 1) ok_ = false;
    return value == 1;
  }
  std::string_view text() {
    const auto size = number<uint32_t>();
    const uint8_t* at = take(size);
    return at == nullptr ? std::string_view()
                         : std::string_view(reinterpret_cast<const char*>(at), size);
  }
  template <typename T>
  std::span<const T> array() {
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= kPackedArrayAlignment);
    const auto count = number<uint64_t>();
    const auto aligned = static_cast<size_t>(
        round_up(static_cast<int64_t>(position_), int64_t{kPackedArrayAlignment}));
    if (take(aligned - position_) == nullptr || count > (bytes_.size() - position_) / sizeof(T)) {
      ok_ = false;
      return {};
    }
    const uint8_t* at = take(static_cast<size_t>(count) * sizeof(T));
    return {reinterpret_cast<const T*>(at), static_cast<size_t>(count)};
  }

  bool ok() const { return ok_; }
  /// Every byte was read.
  bool at_end() const { return ok_ && position_ == bytes_.size(); }
  size_t position() const { return position_; }

 private:
  const uint8_t* take(size_t size) {
    if (!ok_ || size > bytes_.size() - position_) {
      ok_ = false;
      return nullptr;
    }
    const uint8_t* at = bytes_.data() + position_;
    position_ += size;
    return at;
  }

  std::span<const uint8_t> bytes_;
  size_t position_ = 0;
  bool ok_ = true;
};

}  // namespace midge
