// Packed files of a test's own making: sections of any content under right checksums.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/packed/packed_file.h"

namespace midge::test {

/// A section and its content.
struct SectionBytes {
  std::string name;
  uint32_t flags = 0;
  std::string bytes;
  uint32_t version = 1;
};

/// The sections of a whole packed file.
std::vector<SectionBytes> split_packed(std::string_view file);

/// A packed file of these sections, its checksums and its content id right.
std::string join_packed(const std::vector<SectionBytes>& sections);

/// The same bytes with checksums and content id that are right, as far as the directory can be
/// followed: what was changed in a file is then found by nothing but the checks of its content.
std::string with_right_checksums(std::string file);

}  // namespace midge::test
