// Measured rates on disk, and what can happen to files.
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/calibration/calibration_file.h"
#include "engine/core/visible.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

using test::TempDir;

constexpr std::string_view kTheKey = "2 x a core, midge 0, kernels 00";

// Rates of every kernel, with a number of its own for each.
Calibration example(int64_t first_rate = 1000) {
  Calibration calibration;
  for (const KernelInfo& kernel : all_kernels()) {
    calibration.kernels.push_back(
        {{kernel.op, kernel.encoding, 4}, &kernel, 1, first_rate++, 17, 1800000000});
  }
  calibration.reads = {{1, 33, 5}, {2, int64_t{1} << 40, 6}};
  return calibration;
}

void expect_equal(const Calibration& found, const Calibration& expected) {
  ASSERT_EQ(found.kernels.size(), expected.kernels.size());
  for (size_t i = 0; i < found.kernels.size(); ++i) {
    EXPECT_EQ(found.kernels[i].at, expected.kernels[i].at);
    EXPECT_EQ(found.kernels[i].kernel, expected.kernels[i].kernel);
    EXPECT_EQ(found.kernels[i].core_type, expected.kernels[i].core_type);
    EXPECT_EQ(found.kernels[i].rate, expected.kernels[i].rate);
    EXPECT_EQ(found.kernels[i].spread, expected.kernels[i].spread);
    EXPECT_EQ(found.kernels[i].measured, expected.kernels[i].measured);
  }
  ASSERT_EQ(found.reads.size(), expected.reads.size());
  for (size_t i = 0; i < found.reads.size(); ++i) {
    EXPECT_EQ(found.reads[i].threads, expected.reads[i].threads);
    EXPECT_EQ(found.reads[i].rate, expected.reads[i].rate);
    EXPECT_EQ(found.reads[i].measured, expected.reads[i].measured);
  }
}

TEST(CalibrationFile, IsTheUsersAlone) {
  const TempDir dir;
  const mode_t before = ::umask(0);
  const std::string path = calibration_path(dir.file("cache/midge"), kTheKey);
  const Status status = save_calibration(path, kTheKey, example());
  ::umask(before);
  ASSERT_TRUE(status.ok()) << status.message();
  const auto mode_of = [](const std::string& at) {
    return static_cast<unsigned>(std::filesystem::status(at).permissions());
  };
  EXPECT_EQ(mode_of(dir.file("cache")), 0700U);
  EXPECT_EQ(mode_of(dir.file("cache/midge")), 0700U);
  EXPECT_EQ(mode_of(path), 0600U);
}

TEST(CalibrationFile, ReadsWhatItWrote) {
  const TempDir dir;
  const std::string path = calibration_path(dir.file("made/for/it"), kTheKey);
  ASSERT_TRUE(save_calibration(path, kTheKey, example()).ok());
  const Result<Calibration> loaded = load_calibration(path, kTheKey);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  expect_equal(*loaded, example());
  // Again, over the old one.
  ASSERT_TRUE(save_calibration(path, kTheKey, example(5)).ok());
  expect_equal(*load_calibration(path, kTheKey), example(5));
  const auto folder = std::filesystem::path(path).parent_path();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

TEST(CalibrationFile, EveryTruncationAndEveryWrongByteIsRefused) {
  Calibration small = example();
  small.kernels.resize(3);
  const std::string text = calibration_text(small, kTheKey);
  ASSERT_TRUE(parse_calibration(text, kTheKey).ok());
  for (size_t length = 0; length < text.size(); ++length) {
    EXPECT_FALSE(parse_calibration(text.substr(0, length), kTheKey).ok()) << length;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    for (const int flip : {0x01, 0x20, 0x80}) {
      std::string damaged = text;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      EXPECT_FALSE(parse_calibration(damaged, kTheKey).ok()) << i;
    }
  }
  EXPECT_FALSE(parse_calibration(text + "x", kTheKey).ok());
  EXPECT_FALSE(parse_calibration(std::string(1000, '\0'), kTheKey).ok());
}

TEST(CalibrationFile, OtherMachinesAndBuilds) {
  const std::string text = calibration_text(example(), kTheKey);
  for (const char* key : {"", "2 x a core", "2 x a core, midge 0, kernels 000"}) {
    const Result<Calibration> parsed = parse_calibration(text, key);
    ASSERT_FALSE(parsed.ok());
    EXPECT_NE(parsed.status().message().find("another machine or build"), std::string::npos);
    EXPECT_NE(calibration_path("/x", key), calibration_path("/x", kTheKey));
  }
  const std::vector<CoreType> two = {{"a", {0, 1}}};
  const std::vector<CoreType> three = {{"a", {0, 1, 2}}};
  const std::vector<CoreType> other = {{"b", {0, 1}}};
  EXPECT_NE(calibration_key(two), calibration_key(three));
  EXPECT_NE(calibration_key(two), calibration_key(other));
}

TEST(CalibrationFile, LinesThatAreNotUnderstoodAreLeftOut) {
  const KernelInfo& known = all_kernels().front();
  KernelInfo later = known;
  later.name = "gemv_f32_q8b32_q4b32_8x32_of_the_future";
  KernelInfo spaced = known;
  spaced.name = "a name of words";
  const CalibrationCase at = {known.op, known.encoding, 4};
  Calibration calibration;
  calibration.kernels = {{at, &later, 0, 10},  {at, &known, 0, 11},
                         {at, &spaced, 0, 12}, {at, &known, 0, -1},
                         {at, &known, -1, 13}, {{known.op, known.encoding, 0}, &known, 0, 14}};
  calibration.reads = {{0, 5}, {1, 0}, {2, 6}};
  const Result<Calibration> parsed =
      parse_calibration(calibration_text(calibration, kTheKey), kTheKey);
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  ASSERT_EQ(parsed->kernels.size(), 1u);
  EXPECT_EQ(parsed->kernels[0].rate, 11);
  ASSERT_EQ(parsed->reads.size(), 1u);
  EXPECT_EQ(parsed->reads[0].threads, 2);
}

TEST(CalibrationFile, FoldersThatCannotBeWritten) {
  const TempDir dir;
  const std::string file = dir.write("file", "not a folder");
  for (const std::string& folder : {file, file + "/below", std::string("/proc/midge")}) {
    const std::string path = calibration_path(folder, kTheKey);
    const Status saved = save_calibration(path, kTheKey, example());
    EXPECT_EQ(saved.code(), StatusCode::kIoError);
    EXPECT_NE(saved.message().find(shown_path(path)), std::string::npos) << saved.message();
    EXPECT_FALSE(load_calibration(path, kTheKey).ok());
  }
  // A folder where the file should be.
  const std::string path = calibration_path(dir.path(), kTheKey);
  std::filesystem::create_directories(path);
  EXPECT_FALSE(load_calibration(path, kTheKey).ok());
  EXPECT_EQ(save_calibration(path, kTheKey, example()).code(), StatusCode::kIoError);
}

TEST(CalibrationFile, LongPathsAreCut) {
  const TempDir dir;
  std::string folder = dir.path();
  for (int i = 0; i < 10; ++i) folder += "/" + std::string(200, 'p');
  const std::string path = calibration_path(folder, kTheKey);
  ASSERT_TRUE(save_calibration(path, kTheKey, example()).ok());
  std::ofstream(path) << "x";
  const Status loaded = load_calibration(path, kTheKey).status();
  EXPECT_LT(loaded.message().size(), 400u) << loaded.message();
  EXPECT_NE(loaded.message().find("pp/kernel-rates-"), std::string::npos) << loaded.message();
  const Status saved = save_calibration(path + "/below", kTheKey, example());
  EXPECT_EQ(saved.code(), StatusCode::kIoError);
  EXPECT_LT(saved.message().size(), 400u) << saved.message();
}

TEST(CalibrationFile, AsManyLinesAsAreAllowed) {
  Calibration calibration;
  for (int i = 1; i <= 4095; ++i) calibration.reads.push_back({i, 9});  // and one with the key
  EXPECT_TRUE(parse_calibration(calibration_text(calibration, kTheKey), kTheKey).ok());
  calibration.reads.push_back({4096, 9});
  const Status status = parse_calibration(calibration_text(calibration, kTheKey), kTheKey).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidFile);
  EXPECT_EQ(status.message(), "kernel rates have more than 4096 lines");
}

// Saves examples for ever, in a process of its own.
pid_t start_writer(const std::string& path) {
  const pid_t writer = ::fork();
  if (writer != 0) return writer;
  for (int64_t i = 1;; i = i % 1000 + 1) {
    if (!save_calibration(path, kTheKey, example(i)).ok()) ::_exit(1);
  }
}

void kill_writer(pid_t writer) {
  EXPECT_EQ(::kill(writer, SIGKILL), 0);
  int status = 0;
  EXPECT_EQ(::waitpid(writer, &status, 0), writer);
  EXPECT_TRUE(WIFSIGNALED(status)) << "ended by itself";
}

// Files are whole, whoever writes them and whenever a writer ends.
TEST(CalibrationFile, WritersThatAreKilledAndWritersAtOnce) {
  const TempDir dir;
  const std::string path = calibration_path(dir.path(), kTheKey);
  int loads = 0;
  for (int round = 0; round < 10; ++round) {
    const pid_t writers[] = {start_writer(path), start_writer(path)};
    ASSERT_GT(writers[0], 0);
    ASSERT_GT(writers[1], 0);
    while (!std::filesystem::exists(path)) ::usleep(100);
    for (int i = 0; i < 20; ++i, ++loads) {
      const Result<Calibration> loaded = load_calibration(path, kTheKey);
      EXPECT_TRUE(loaded.ok()) << loaded.status().message();
      if (loaded.ok()) expect_equal(*loaded, example(loaded->kernels.front().rate));
      ::usleep(static_cast<useconds_t>(50 * round));
    }
    for (const pid_t writer : writers) kill_writer(writer);
    EXPECT_TRUE(load_calibration(path, kTheKey).ok());
  }
  // What killed writers leave behind disturbs nobody.
  dir.write("kernel-rates-of-another.txt.abcdef", "midge kernel ra");
  ASSERT_TRUE(save_calibration(path, kTheKey, example(7)).ok());
  expect_equal(*load_calibration(path, kTheKey), example(7));
  EXPECT_EQ(loads, 200);
}

}  // namespace
}  // namespace midge
