// config.json, NUL, generation_config.json in front of the tensors of the family it names.
#include <array>
#include <memory>

#include "models/registry.h"
#include "tests/fuzz/exercise.h"
#include "tests/harness/checkpoint.h"

namespace {

using midge::test::TempDir;

constexpr std::array kFamilies = {"phi3", "mimo", "qwen2"};

std::array<TempDir, kFamilies.size()>& directories() {
  static std::array<TempDir, kFamilies.size()> dirs;
  static const bool written = [] {
    for (size_t i = 0; i < dirs.size(); ++i) {
      midge::test::CheckpointShape shape;
      shape.model_type = kFamilies[i];
      midge::test::write_checkpoint(dirs[i], shape);
    }
    return true;
  }();
  (void)written;
  return dirs;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto fields = midge::test::split_fields(data, size, 2);
  size_t family = 0;
  while (family + 1 < kFamilies.size() &&
         fields[0].find(kFamilies[family]) == std::string_view::npos) {
    ++family;
  }
  const TempDir& dir = directories()[family];
  dir.write("config.json", fields[0]);
  dir.write("generation_config.json", fields.size() > 1 ? fields[1] : "{}");
  const auto model = midge::open_model(dir.path(), midge::FileAccess::kCopy);
  if (model.ok()) midge::test::exercise_model(**model);
  return 0;
}
