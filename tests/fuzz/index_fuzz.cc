// model.safetensors.index.json in front of three fixed shards.
#include "models/registry.h"
#include "tests/fuzz/exercise.h"
#include "tests/harness/checkpoint.h"

namespace {

using midge::test::SafetensorsWriter;
using midge::test::TempDir;

void write_shards(const TempDir& dir) {
  dir.write("config.json", midge::test::checkpoint_config({}));
  SafetensorsWriter a;
  a.add("first", "F32", {2}, "12345678");
  a.add("second", "BF16", {1, 2}, "1234");
  dir.write("a.safetensors", a.bytes());
  SafetensorsWriter b;
  b.add("third", "F16", {1}, "12");
  dir.write("b.safetensors", b.bytes());
  SafetensorsWriter again;
  again.add("first", "F32", {1}, "1234");
  dir.write("c.safetensors", again.bytes());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace midge;
  static const TempDir dir;
  static const bool has_shards = (write_shards(dir), true);
  (void)has_shards;
  dir.write("model.safetensors.index.json",
            std::string_view(reinterpret_cast<const char*>(data), size));
  const auto source = WeightSource::open(dir.path(), FileAccess::kCopy);
  if (!source.ok()) return 0;
  for (const SourceTensor& tensor : (*source)->tensors()) {
    test::require((*source)->find(tensor.name) == &tensor, "every tensor is found by its name");
    test::require(tensor.path->compare(0, dir.path().size(), dir.path()) == 0,
                  "every shard lies in the model's directory");
  }
  return 0;
}
