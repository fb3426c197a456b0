// A safetensors file as the weights of a model with a fixed config.
#include "engine/formats/safetensors/safetensors.h"

#include "models/registry.h"
#include "tests/fuzz/exercise.h"
#include "tests/harness/checkpoint.h"

namespace {

using midge::test::TempDir;

// The shape that tools/make_fuzz_corpus.py writes: a few kilobytes.
void write_config(const TempDir& dir) {
  midge::test::CheckpointShape shape;
  shape.hidden = 8;
  shape.layers = 1;
  shape.intermediate = 8;
  shape.heads = 1;
  shape.head_dim = 4;
  shape.vocab = 8;
  shape.context = 16;
  shape.tied = true;
  dir.write("config.json", midge::test::checkpoint_config(shape));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const TempDir dir;
  static const bool has_config = (write_config(dir), true);
  (void)has_config;
  dir.write("model.safetensors", std::string_view(reinterpret_cast<const char*>(data), size));
  const auto model = midge::open_model(dir.path(), midge::FileAccess::kCopy);
  if (model.ok()) midge::test::exercise_model(**model);
  return 0;
}
