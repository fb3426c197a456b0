// Keys that an attacker makes for a hash function that everybody knows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace midge::test {

/// `count` different keys of 16 printable ASCII characters (neither quote nor backslash) that have
/// one value of libstdc++'s std::hash<std::string_view>: its seed is fixed, its steps can be
/// undone. A table that uses it needs quadratic time for them.
const std::vector<std::string>& colliding_keys(size_t count);

/// `count` different keys of 8 bytes (no space, no 0) whose std::hash<std::string_view> differs and
/// puts all of them into one bucket of `bucket_count`.
std::vector<std::string> keys_of_one_bucket(size_t count, uint64_t bucket_count);

}  // namespace midge::test
