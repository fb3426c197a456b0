// A GGUF file: header, metadata, tokenizer, config, tensors; what is accepted is run. The text
// "--next part--" separates the parts of a split file.
#include "engine/formats/gguf/gguf.h"

#include "engine/tokenizer_files/tokenizer_gguf.h"
#include "models/registry.h"
#include "tests/fuzz/exercise.h"
#include "tests/harness/temp_dir.h"

namespace {

constexpr std::string_view kSeparator = "--next part--";
constexpr size_t kPartsMax = 3;

// Writes the parts under the names of parts; returns the path of the first.
std::string write_parts(const midge::test::TempDir& dir, std::string_view input) {
  std::vector<std::string_view> parts;
  for (size_t end;
       parts.size() + 1 < kPartsMax && (end = input.find(kSeparator)) != std::string_view::npos;) {
    parts.push_back(input.substr(0, end));
    input.remove_prefix(end + kSeparator.size());
  }
  parts.push_back(input);
  if (parts.size() == 1) return dir.write("fuzz.gguf", parts[0]);
  for (size_t i = 0; i < parts.size(); ++i) {
    dir.write(midge::format_string("fuzz-%05zu-of-%05zu.gguf", i + 1, parts.size()), parts[i]);
  }
  return dir.file(midge::format_string("fuzz-00001-of-%05zu.gguf", parts.size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace midge;
  static const test::TempDir dir;
  const std::string path =
      write_parts(dir, std::string_view(reinterpret_cast<const char*>(data), size));
  // Copied: a read past the end is then a read past an allocation.
  const auto file = GgufFile::open(path, FileAccess::kCopy);
  if (!file.ok()) return 0;
  const auto tokenizer = load_tokenizer_gguf(*file);
  if (tokenizer.ok()) test::exercise_tokenizer(*tokenizer, "Hello, 123 wor\xC3\xA9ld's\n  \xFF ");
  const auto model = open_model(path, FileAccess::kCopy);
  if (model.ok()) test::exercise_model(**model);
  return 0;
}
