// The cache of packed files: made once, found again, never in the way.
#include <filesystem>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/model_cache.h"
#include "tests/harness/golden.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

namespace fs = std::filesystem;

class ModelCache : public testing::Test {
 protected:
  ModelCache() {
    fs::copy(MIDGE_SOURCE_DIR "/assets/models/tiny-phi", dir_.file("model"));
    packing_.recipe = *recipe_from_name("fast");
    options_.folder = dir_.file("cache/models");
    options_.source_bytes_min = 1;
    options_.on_pack = [this](const std::string&, uint64_t) { ++packed_; };
  }

  std::string find() {
    const auto path = cached_model(dir_.file("model"), packing_, options_);
    EXPECT_TRUE(path.ok()) << path.status().message();
    return path.ok() ? *path : "";
  }
  int mode_of(const std::string& path) const {
    struct stat info = {};
    EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
    return static_cast<int>(info.st_mode & 0777);
  }
  size_t file_count() const {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(options_.folder)) ++count;
    return count;
  }

  test::TempDir dir_;
  PackingOptions packing_;
  ModelCacheOptions options_;
  int packed_ = 0;
};

TEST_F(ModelCache, PacksOnce) {
  const std::string path = find();
  EXPECT_EQ(packed_, 1);
  EXPECT_TRUE(is_packed_file(path));
  EXPECT_EQ(mode_of(path), 0600);
  EXPECT_EQ(mode_of(options_.folder), 0700);
  EXPECT_EQ(mode_of(dir_.file("cache")), 0700);
  EXPECT_EQ(find(), path);
  EXPECT_EQ(packed_, 1);
}

TEST_F(ModelCache, GoesByFilesAndRecipe) {
  const std::string path = find();
  packing_.recipe = *recipe_from_name("int8");
  EXPECT_NE(find(), path);
  packing_.recipe = *recipe_from_name("fast");
  EXPECT_EQ(find(), path);
  EXPECT_EQ(packed_, 2);
  fs::last_write_time(dir_.file("model/config.json"), fs::file_time_type::clock::now());
  EXPECT_NE(find(), path);
  EXPECT_EQ(packed_, 3);
}

TEST_F(ModelCache, LeavesSmallAndPackedModelsAlone) {
  options_.source_bytes_min = uint64_t{1} << 40;
  EXPECT_EQ(find(), "");
  options_.source_bytes_min = 1;
  const std::string path = find();
  const auto again = cached_model(path, packing_, options_);
  MIDGE_ASSERT_OK(again);
  EXPECT_EQ(*again, "");
  options_.folder.clear();
  EXPECT_EQ(find(), "");
}

TEST_F(ModelCache, AsksBeforeItPacks) {
  int asked = 0;
  bool wanted = false;
  options_.wants_pack = [&]() -> Result<bool> {
    ++asked;
    return wanted;
  };
  EXPECT_EQ(find(), "");
  EXPECT_EQ(packed_, 0);
  wanted = true;
  EXPECT_NE(find(), "");
  EXPECT_EQ(asked, 2);
  EXPECT_NE(find(), "");
  EXPECT_EQ(asked, 2) << "what is there needs no question";
}

TEST_F(ModelCache, MakesDamagedFilesAnew) {
  const std::string path = find();
  const std::string whole = test::read_bytes(path);
  fs::resize_file(path, whole.size() / 2);
  EXPECT_EQ(find(), path);
  EXPECT_EQ(packed_, 2);
  EXPECT_TRUE(test::read_bytes(path) == whole);
}

// One that was made without a tokenizer, by whoever needed none, or when it could not be read.
TEST_F(ModelCache, TellsWhyATokenizerIsMissing) {
  const std::string good = test::read_bytes(dir_.file("model/tokenizer.json"));
  dir_.write("model/tokenizer.json", "{}");
  const std::string path = find();
  EXPECT_EQ(packed_, 1);
  packing_.needs_tokenizer = true;
  const Status status = cached_model(dir_.file("model"), packing_, options_).status();
  EXPECT_NE(status.message().find("tokenizer.json"), std::string::npos) << status.message();
  EXPECT_EQ(packed_, 2);
  dir_.write("model/tokenizer.json", good);
  const std::string whole = find();
  EXPECT_NE(whole, "");
  EXPECT_EQ(find(), whole);
  EXPECT_EQ(packed_, 3);
}

TEST_F(ModelCache, TrustsNothingThatOthersMayWrite) {
  const std::string path = find();
  fs::permissions(path, fs::perms::others_write, fs::perm_options::add);
  EXPECT_EQ(find(), path);
  EXPECT_EQ(packed_, 2);
  EXPECT_EQ(mode_of(path), 0600);
  fs::permissions(options_.folder, fs::perms::group_write, fs::perm_options::add);
  EXPECT_EQ(cached_model(dir_.file("model"), packing_, options_).status().code(),
            StatusCode::kIoError);
}

TEST_F(ModelCache, KeepsItsSize) {
  const std::string first = find();
  std::vector<std::string> removed;
  options_.on_remove = [&](const std::string& path) { removed.push_back(path); };
  options_.bytes_max = fs::file_size(first) + 1000;
  packing_.recipe = *recipe_from_name("balanced");
  const std::string second = find();
  EXPECT_FALSE(fs::exists(first)) << "used longest ago";
  EXPECT_TRUE(fs::exists(second)) << "in use";
  EXPECT_EQ(file_count(), 1u);
  EXPECT_EQ(removed, std::vector<std::string>{first});
}

TEST_F(ModelCache, FollowsNoLinks) {
  const std::string path = find();
  const std::string elsewhere = dir_.write("elsewhere.midge", test::read_bytes(path));
  fs::remove(path);
  fs::create_symlink(elsewhere, path);
  EXPECT_EQ(find(), path);
  EXPECT_EQ(packed_, 2) << "the link is none of ours";
  EXPECT_FALSE(fs::is_symlink(path));
  fs::rename(options_.folder, dir_.file("other"));
  fs::create_directory_symlink(dir_.file("other"), options_.folder);
  EXPECT_EQ(cached_model(dir_.file("model"), packing_, options_).status().code(),
            StatusCode::kIoError);
}

TEST_F(ModelCache, SaysWhatItCannotWrite) {
  options_.folder = "/proc/nowhere/models";
  EXPECT_EQ(cached_model(dir_.file("model"), packing_, options_).status().code(),
            StatusCode::kIoError);
}

}  // namespace
}  // namespace midge
