// A packed file: a whole one, or its sections alone (a length of 4 bytes before each, in the order
// of kNames), which are put under right checksums either way. What is accepted is run.
#include "engine/packed/packed_model.h"
#include "engine/packed/packed_quality.h"

#include <algorithm>
#include <cstring>

#include "tests/fuzz/exercise.h"
#include "tests/harness/packed_files.h"
#include "tests/harness/temp_dir.h"

namespace {

using midge::test::SectionBytes;

constexpr const char* kNames[] = {"config",  "tensors", "vectors", "tokenizer",
                                  "weights", "mtp",     "quality"};

std::vector<SectionBytes> sections_of(std::string_view input) {
  std::vector<SectionBytes> sections;
  for (const char* name : kNames) {
    uint32_t length = 0;
    if (input.size() < sizeof(length)) break;
    std::memcpy(&length, input.data(), sizeof(length));
    input.remove_prefix(sizeof(length));
    const size_t size = std::min<size_t>(length, input.size());
    if (size > 0) {
      sections.push_back({name, midge::kPackedIdentity, std::string(input.substr(0, size))});
    }
    input.remove_prefix(size);
  }
  return sections;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace midge;
  static const test::TempDir dir;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const bool is_whole = input.starts_with(kPackedMagic);
  const std::string path =
      dir.write("fuzz.midge", is_whole ? test::with_right_checksums(std::string(input))
                                       : test::join_packed(sections_of(input)));
  // Copied: a read past the end is then a read past an allocation.
  const auto file = PackedFile::open(path, FileAccess::kCopy);
  if (!file.ok()) return 0;
  const auto tokenizer = open_packed_tokenizer(*file);
  if (tokenizer.ok()) test::exercise_tokenizer(*tokenizer, "Hello, 123 wor\xC3\xA9ld's\n  \xFF ");
  const auto model = open_packed_model(*file);
  if (model.ok()) test::exercise_any_decode(**model, size);
  static_cast<void>(read_packed_quality(**file));
  static_cast<void>(verify_packed_model(**file));
  return 0;
}
