// Packed files, from disk and from memory, through the public interface alone: what every profile
// can do, and what the smallest refuses.
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <midge/midge.h>

namespace {

const std::string kPacked = std::string(MIDGE_TEST_DATA) + "/packed/tiny-phi.midge";

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

/// A file in memory, `shift` bytes behind a multiple of 64.
class Image {
 public:
  explicit Image(const std::string& bytes, size_t shift = 0) : shift_(shift), bytes_(bytes.size()) {
    void* start = nullptr;
    if (posix_memalign(&start, 64, bytes.size() + 64) != 0) std::abort();
    memory_.reset(static_cast<char*>(start));
    std::memcpy(memory_.get() + shift, bytes.data(), bytes.size());
  }
  char* data() { return memory_.get() + shift_; }
  size_t size() const { return bytes_; }

 private:
  std::unique_ptr<char, Free> memory_;
  size_t shift_;
  size_t bytes_;
};

class Opened {
 public:
  Opened(const char* path, const midge_model_options* options)
      : status_(midge_model_open(path, options, &model_, &error_)) {}
  Opened(Image& image, size_t bytes) {
    midge_model_options options = {};
    options.size = sizeof(options);
    options.image = image.data();
    options.image_bytes = bytes;
    status_ = midge_model_open("in memory", &options, &model_, &error_);
  }
  ~Opened() { midge_model_close(&model_); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

  midge_model* get() { return model_; }
  midge_status status() const { return status_; }
  std::string text() const { return error_.text; }

 private:
  midge_model* model_ = nullptr;
  midge_error error_ = {};
  midge_status status_ = MIDGE_OK;
};

int32_t add_text(void* user, const midge_event* event) {
  static_cast<std::string*>(user)->append(event->text, event->text_bytes);
  return 0;
}

/// The answer to a request, or the name of an error.
std::string answer(midge_model* model, midge_request request) {
  midge_engine_options options = {};
  options.size = sizeof(options);
  options.threads = 1;
  options.caller_driven = 1;
  midge_engine* engine = nullptr;
  midge_error error;
  if (midge_engine_create(&model, 1, &options, &engine, &error) != MIDGE_OK) return error.text;
  std::string text;
  request.size = sizeof(request);
  request.on_event = add_text;
  request.user = &text;
  uint64_t id = 0;
  const midge_status status = midge_submit(engine, &request, &id);
  if (status == MIDGE_OK) {
    midge_wait(engine, id, -1);
  } else {
    text = midge_status_name(status);
  }
  midge_engine_close(&engine, MIDGE_FINISH);
  return text;
}

std::string answer_to_text(midge_model* model) {
  midge_request request = {};
  request.text = "Once upon a time";
  request.tokens_max = 12;
  return answer(model, request);
}

constexpr char kTale[] = ", there was a brave girl named Emma.";

TEST(PackedImage, FilesAndMemoryAnswerAlike) {
  Opened file(kPacked.c_str(), nullptr);
  ASSERT_EQ(file.status(), MIDGE_OK) << file.text();
  const std::string told = answer_to_text(file.get());
  EXPECT_EQ(told.rfind(kTale, 0), 0u) << told;

  Image image(read_file(kPacked));
  Opened memory(image, image.size());
  ASSERT_EQ(memory.status(), MIDGE_OK) << memory.text();
  EXPECT_EQ(answer_to_text(memory.get()), told);
}

TEST(PackedImage, ChatsWithoutJson) {
  Opened file(kPacked.c_str(), nullptr);
  ASSERT_EQ(file.status(), MIDGE_OK) << file.text();
  const midge_chat_message message = {"user", "What is 7 + 5?"};
  midge_request request = {};
  request.messages = &message;
  request.message_count = 1;
  request.tokens_max = 16;
  EXPECT_NE(answer(file.get(), request).find("12"), std::string::npos);
}

TEST(PackedImage, RefusesWhatIsNoPackedFile) {
  const std::string bytes = read_file(kPacked);
  Image whole(bytes);
  Opened cut(whole, bytes.size() - 1);
  EXPECT_EQ(cut.status(), MIDGE_INVALID_FILE) << cut.text();
  EXPECT_NE(cut.text().find("in memory"), std::string::npos) << cut.text();
  Opened empty(whole, 0);
  EXPECT_EQ(empty.status(), MIDGE_INVALID_ARGUMENT) << empty.text();

  Image shifted(bytes, 8);
  Opened misaligned(shifted, bytes.size());
  EXPECT_EQ(misaligned.status(), MIDGE_INVALID_ARGUMENT);
  EXPECT_NE(misaligned.text().find("8 behind a multiple of 64"), std::string::npos)
      << misaligned.text();

  whole.data()[100] ^= 1;
  Opened damaged(whole, bytes.size());
  EXPECT_EQ(damaged.status(), MIDGE_INVALID_FILE) << damaged.text();

  Opened absent("no/such.midge", nullptr);
  EXPECT_EQ(absent.status(), MIDGE_NOT_FOUND) << absent.text();
}

#if !MIDGE_FOREIGN_FILES
TEST(PackedFilesAlone, RefusesForeignOnesByName) {
  Opened folder(MIDGE_SOURCE_DIR "/assets/models/tiny-phi", nullptr);
  EXPECT_EQ(folder.status(), MIDGE_UNSUPPORTED);
  EXPECT_NE(folder.text().find("not a packed file"), std::string::npos) << folder.text();
  Opened text(MIDGE_SOURCE_DIR "/LICENSE", nullptr);
  EXPECT_EQ(text.status(), MIDGE_UNSUPPORTED) << text.text();
}

TEST(PackedFilesAlone, RefusesJson) {
  Opened file(kPacked.c_str(), nullptr);
  ASSERT_EQ(file.status(), MIDGE_OK) << file.text();
  midge_request request = {};
  request.messages_json = R"([{"role": "user", "content": "Hello"}])";
  EXPECT_EQ(answer(file.get(), request), midge_status_name(MIDGE_UNSUPPORTED));
}
#endif

}  // namespace
