// GGUF files in parts: what opens, and every way in which parts can contradict each other.
#include "engine/formats/gguf/split.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "models/registry.h"
#include "tests/harness/gguf_writer.h"
#include "tests/harness/golden.h"
#include "tests/harness/refusal.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

using test::expect_refused;
using test::GgufWriter;
using test::TempDir;

constexpr StatusCode kInvalid = StatusCode::kInvalidFile;
using Parts = std::initializer_list<std::string_view>;

// One part, with one f32 tensor of 8 elements for each name.
struct Part {
  uint16_t number = 0;
  uint16_t count = 3;
  int32_t tensor_count = 4;
  std::vector<std::string> tensors;

  std::string bytes() const {
    GgufWriter writer;
    writer.header(3, tensors.size(), 3);
    writer.key("split.no", GgufType::kU16).number(number);
    writer.key("split.count", GgufType::kU16).number(count);
    writer.key("split.tensors.count", GgufType::kI32).number(tensor_count);
    for (size_t i = 0; i < tensors.size(); ++i) writer.tensor(tensors[i], {8}, 0, i * 32);
    return writer.pad(32).raw(std::string(tensors.size() * 32, 'd')).bytes();
  }
};

// Three parts with four tensors.
class SplitGguf : public testing::Test {
 protected:
  static std::string name(size_t index) {
    return format_string("m-%05zu-of-00003.gguf", index + 1);
  }

  // Writes the parts and returns the path of the first.
  std::string write() const {
    for (size_t i = 0; i < parts_.size(); ++i) dir_.write(name(i), parts_[i].bytes());
    return dir_.file(name(0));
  }

  void refuse(const std::string& path, StatusCode code, std::string_view file, Parts parts) const {
    expect_refused([&] { return WeightSource::open(path, FileAccess::kMap).status(); }, 1 << 12,
                   code, file, parts);
  }

  const TempDir dir_;
  std::vector<Part> parts_ = {{0, 3, 4, {"a"}}, {1, 3, 4, {"b", "c"}}, {2, 3, 4, {"d"}}};
};

TEST_F(SplitGguf, OpensByItsFirstPart) {
  for (const FileAccess access : {FileAccess::kMap, FileAccess::kCopy}) {
    const auto source = WeightSource::open(write(), access);
    MIDGE_ASSERT_OK(source);
    EXPECT_EQ((*source)->tensors().size(), 4u);
    ASSERT_EQ((*source)->files().size(), 3u);
    const SourceTensor* tensor = (*source)->find("c");
    ASSERT_NE(tensor, nullptr);
    EXPECT_EQ(*tensor->path, dir_.file(name(1)));
    EXPECT_EQ((*source)->files()[1].path, *tensor->path);
    EXPECT_EQ(tensor->data[0], 'd');
  }
}

TEST_F(SplitGguf, OtherPartsNameTheFirst) {
  write();
  refuse(dir_.file(name(1)), kInvalid, "m-00002-of-00003.gguf: ",
         {"is part 2 of 3", "expected the first part: ", "m-00001-of-00003.gguf"});
}

TEST_F(SplitGguf, MissingPart) {
  const std::string path = write();
  std::remove(dir_.file(name(2)).c_str());
  refuse(path, StatusCode::kNotFound, "m-00003-of-00003.gguf: ", {"cannot open"});
}

TEST_F(SplitGguf, RenamedPart) {
  const std::string path = write();
  const std::string renamed = dir_.write("model.gguf", test::read_bytes(path));
  refuse(renamed, kInvalid,
         "model.gguf: ", {"part 1 of 3", "expected a name ending in -00001-of-00003.gguf"});
}

TEST_F(SplitGguf, WrongNumber) {
  parts_[2].number = 1;
  refuse(write(), kInvalid, "m-00003-of-00003.gguf: ",
         {"'split.no' is 1", "expected 2", "m-00001-of-00003.gguf says"});
}

TEST_F(SplitGguf, OneFileAsTwoParts) {
  const std::string path = write();
  std::filesystem::remove(dir_.file(name(2)));
  std::filesystem::create_symlink(name(1), dir_.file(name(2)));
  refuse(path, kInvalid, "m-00003-of-00003.gguf: ", {"is the same file as another part"});
}

TEST_F(SplitGguf, WrongCount) {
  parts_[1].count = 2;
  refuse(write(), kInvalid, "m-00002-of-00003.gguf: ", {"'split.count' is 2", "expected 3"});
  parts_[0].count = 2000;
  refuse(write(), kInvalid,
         "m-00001-of-00003.gguf: ", {"'split.count' is 2000", "expected 0..1024"});
}

TEST_F(SplitGguf, WrongTensorCount) {
  parts_[1].tensor_count = 5;
  refuse(write(), kInvalid,
         "m-00002-of-00003.gguf: ", {"'split.tensors.count' is 5", "expected 4"});
  for (Part& part : parts_) part.tensor_count = 5;
  refuse(write(), kInvalid, "m-00001-of-00003.gguf: ",
         {"3 parts have 4 tensors", "expected 5", "'split.tensors.count'"});
}

TEST_F(SplitGguf, TensorInTwoParts) {
  parts_[2].tensors = {"b"};
  refuse(write(), kInvalid, "m-00003-of-00003.gguf", {"tensor 'b' is in", "m-00002-of-00003.gguf"});
}

TEST_F(SplitGguf, LongPathsAreCut) {
  std::string folder = dir_.path();
  for (int i = 0; i < 10; ++i) folder += "/" + std::string(200, 'p');
  std::filesystem::create_directories(folder);
  write();
  std::filesystem::copy_file(dir_.file(name(1)), folder + "/" + name(1));
  const std::string path = folder + "/" + name(1);
  refuse(path, kInvalid, "pp/m-00002-of-00003.gguf: ",
         {"part 2 of 3", "expected the first part: ...", "pp/m-00001-of-00003.gguf"});
  const std::string message = WeightSource::open(path, FileAccess::kMap).status().message();
  EXPECT_LT(message.size(), 500u) << message;
}

TEST_F(SplitGguf, PartWithoutKeys) {
  const std::string path = write();
  dir_.write(name(1), GgufWriter().header(3, 0, 0).bytes());
  refuse(path, kInvalid, "m-00002-of-00003.gguf: ", {"'split.no' is missing"});
}

TEST_F(SplitGguf, OnePartIsAnOrdinaryFile) {
  const Part part = {0, 1, 1, {"a"}};
  MIDGE_ASSERT_OK(WeightSource::open(dir_.write("any.gguf", part.bytes()), FileAccess::kMap));
}

TEST_F(SplitGguf, ASplitModelHasTheSameTensors) {
  // The golden model, its tensors dealt out to three parts in turn.
  const auto whole = GgufFile::open(test::data_path("golden/gguf/phi4-mini-q4_0.gguf"));
  MIDGE_ASSERT_OK(whole);
  const auto source = WeightSource::open(whole->path(), FileAccess::kMap);
  MIDGE_ASSERT_OK(source);
  const auto total = static_cast<int32_t>(whole->tensors().size());
  for (uint16_t number = 0; number < 3; ++number) {
    GgufWriter infos;
    std::string data;
    uint64_t count = 0;
    for (size_t i = number; i < whole->tensors().size(); i += 3, ++count) {
      const GgufTensor& tensor = whole->tensors()[i];
      const SourceTensor* bytes = (*source)->find(tensor.name);
      ASSERT_NE(bytes, nullptr);
      infos.tensor(tensor.name, {tensor.ne, tensor.ne + tensor.dims}, tensor.type, data.size());
      data.append(reinterpret_cast<const char*>(bytes->data), bytes->bytes);
      data.resize((data.size() + 31) / 32 * 32);
    }
    GgufWriter entries;
    uint64_t entry_count = 3;
    entries.key("split.no", GgufType::kU16).number(number);
    entries.key("split.count", GgufType::kU16).number<uint16_t>(3);
    entries.key("split.tensors.count", GgufType::kI32).number(total);
    if (number == 0) {
      for (const auto& [key, value] : whole->metadata()) {
        entries.key(key, value.type);
        if (value.type == GgufType::kArray) {
          entries.number(static_cast<uint32_t>(value.element_type)).number(value.count);
        }
        entries.raw({reinterpret_cast<const char*>(value.data), value.bytes});
        ++entry_count;
      }
    }
    GgufWriter file;
    file.header(3, count, entry_count).raw(entries.bytes()).raw(infos.bytes()).pad(32).raw(data);
    dir_.write(name(number), file.bytes());
  }
  const auto split = WeightSource::open(dir_.file(name(0)), FileAccess::kMap);
  MIDGE_ASSERT_OK(split);
  EXPECT_EQ((*split)->files().size(), 3u);
  ASSERT_EQ((*split)->tensors().size(), (*source)->tensors().size());
  for (const SourceTensor& tensor : (*source)->tensors()) {
    const SourceTensor* part = (*split)->find(tensor.name);
    ASSERT_NE(part, nullptr) << tensor.name;
    EXPECT_EQ(part->shape, tensor.shape);
    EXPECT_EQ(part->type_name, tensor.type_name);
    ASSERT_EQ(part->bytes, tensor.bytes);
    EXPECT_EQ(std::memcmp(part->data, tensor.data, tensor.bytes), 0) << tensor.name;
  }
}

}  // namespace
}  // namespace midge
