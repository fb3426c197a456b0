#include "engine/core/seeded_hash.h"

#include <chrono>
#include <cstring>

#include <sys/syscall.h>
#include <unistd.h>

namespace midge {
namespace {

constexpr uint64_t kPrime = (uint64_t{1} << 61) - 1;

// a * b modulo kPrime, for a, b <= 2^61.
uint64_t multiply(uint64_t a, uint64_t b) {
  const SeededHash::Wide product = static_cast<SeededHash::Wide>(a) * b;
  const uint64_t sum =
      (static_cast<uint64_t>(product) & kPrime) + static_cast<uint64_t>(product >> 61);
  return sum >= kPrime ? sum - kPrime : sum;
}

// 1 to 7 bytes, the first lowest. Loads overlap: a copy of 7 bytes or of a variable number goes
// through memory, and with a stack protector its function checks the stack.
uint64_t load_bytes(const char* at, size_t bytes) {
  if (bytes >= 4) {
    uint32_t low = 0;
    uint32_t high = 0;
    std::memcpy(&low, at, 4);
    std::memcpy(&high, at + bytes - 4, 4);
    return low | uint64_t{high} << 8 * (bytes - 4);
  }
  const auto byte = [at](size_t i) { return uint64_t{static_cast<uint8_t>(at[i])} << 8 * i; };
  return byte(0) | byte(bytes / 2) | byte(bytes - 1);
}

SeededHash::Parameters draw_parameters() {
  uint64_t words[5] = {};
  // By its number: the function came to Android with API 28.
  if (::syscall(SYS_getrandom, words, sizeof(words), 0) != static_cast<long>(sizeof(words))) {
    // A kernel older than the call: what a file's maker cannot know either.
    words[0] = reinterpret_cast<uintptr_t>(&words);
    words[1] = static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    for (int i = 2; i < 5; ++i) {
      words[i] = (words[i - 1] ^ words[i - 2] >> 29) * 0x9E3779B97F4A7C15 + words[0];
    }
  }
  SeededHash::Parameters parameters;
  parameters.base = words[0] % kPrime;
  parameters.factor = static_cast<SeededHash::Wide>(words[1]) << 64 | words[2];
  parameters.summand = static_cast<SeededHash::Wide>(words[3]) << 64 | words[4];
  return parameters;
}

}  // namespace

SeededHash::SeededHash() {
  static const Parameters parameters = draw_parameters();
  parameters_ = parameters;
}

// The length, then 7 bytes a coefficient: different strings are different polynomials, which are
// equal at few of 2^61 places.
uint64_t SeededHash::polynomial(std::string_view bytes) const {
  const uint64_t base = parameters_.base;
  uint64_t value = bytes.size();
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 7; at += 7, left -= 7) {
    value = multiply(value, base) + load_bytes(at, 7);
    if (value >= kPrime) value -= kPrime;
  }
  if (left > 0) {
    value = multiply(value, base) + load_bytes(at, left);
    if (value >= kPrime) value -= kPrime;
  }
  return value;
}

}  // namespace midge
