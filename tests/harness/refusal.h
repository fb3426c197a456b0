// Refusals of hostile files: what they say, and what they cost.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include "engine/core/status.h"

namespace midge::test {

/// Memory that refusing a file may take beside the file itself, and how long it may take.
inline constexpr uint64_t kRefusalBytesMax = uint64_t{64} << 20;
inline constexpr double kRefusalSecondsMax = 1.0;

/// Whether time and memory mean something here: neither under emulators nor under sanitizers.
bool judges_cost();

/// Runs `open` in a child process. Fails the test unless the result has `code`, its message is one
/// printable line with `file` and all of `parts` (item, found, expected), the resident memory of
/// the child grew by at most `file_bytes` + kRefusalBytesMax and it took at most kRefusalSecondsMax
/// of processor time. Where judges_cost() is false, memory and time are
/// not judged.
void expect_refused(const std::function<Status()>& open, uint64_t file_bytes, StatusCode code,
                    std::string_view file, std::initializer_list<std::string_view> parts);

}  // namespace midge::test
