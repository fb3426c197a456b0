// A saved prefix, with the checksum and the length that its bytes should have. What is accepted is
// read whole.
#include <vector>

#include "tests/harness/prefix_files.h"
#include "tests/harness/temp_dir.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace midge;
  static const test::TempDir dir;
  static const test::PrefixExample examples[] = {
      {KvType::kF16, 1}, {KvType::kInt8, 1}, {KvType::kK8V4, 1}, {KvType::kF16, 1, true}};
  const std::string path = dir.write(
      "fuzz.midge-kv",
      test::with_right_prefix_hash(std::string(reinterpret_cast<const char*>(data), size)));
  for (const test::PrefixExample& example : examples) {
    const KvLayout& layout = example.pool->layout();
    const auto file = PrefixFile::open(path, example.model, layout, test::PrefixExample::config());
    if (!file.ok()) continue;
    std::vector<uint8_t> page(static_cast<size_t>(layout.page_bytes()));
    for (int64_t i = 0; i < file->page_count(); ++i) file->read_page(i, page.data());
  }
  return 0;
}
