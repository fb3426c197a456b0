// A GGUF file: header, metadata, tokenizer, config, tensors; what is accepted is run.
#include "engine/formats/gguf/gguf.h"

#include "engine/tokenizer/tokenizer_gguf.h"
#include "models/registry.h"
#include "tests/fuzz/exercise.h"
#include "tests/harness/temp_dir.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace midge;
  static const test::TempDir dir;
  const std::string path =
      dir.write("fuzz.gguf", std::string_view(reinterpret_cast<const char*>(data), size));
  // Copied: a read past the end is then a read past an allocation.
  const auto file = GgufFile::open(path, FileAccess::kCopy);
  if (!file.ok()) return 0;
  const auto tokenizer = load_tokenizer_gguf(*file);
  if (tokenizer.ok()) test::exercise_tokenizer(*tokenizer, "Hello, 123 wor\xC3\xA9ld's\n  \xFF ");
  const auto model = open_model(path, FileAccess::kCopy);
  if (model.ok()) test::exercise_model(**model);
  return 0;
}
