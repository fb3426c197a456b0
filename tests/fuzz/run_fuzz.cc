// A tiny model as a program runs it: a GGUF file, or config.json, NUL, a safetensors file. What is
// accepted reads a prompt and takes three decode steps, in packed arithmetic, with the kernels of
// one level of this machine and with the portable ones, which must agree bit for bit.
#include "engine/core/mapped_file.h"
#include "models/registry.h"
#include "tests/fuzz/exercise.h"
#include "tests/harness/temp_dir.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace midge;
  static const test::TempDir dir;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::string path;
  if (input.starts_with("GGUF")) {
    path = dir.write("fuzz.gguf", input);
  } else {
    auto fields = test::split_fields(data, size, 2);
    fields.resize(2);
    dir.write("config.json", fields[0]);
    dir.write("model.safetensors", fields[1]);
    path = dir.path();
  }
  const auto model = open_model(path, FileAccess::kCopy);
  if (model.ok()) test::exercise_decode(**model, size);
  return 0;
}
