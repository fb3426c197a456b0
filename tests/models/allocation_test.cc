// Steps take no memory: malloc itself is counted, so that C libraries are included.
//
// glibc only, and not under sanitizers, which bring a malloc of their own.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "engine/session/generator.h"
#include "engine/tokenizer_files/tokenizer_json.h"
#include "tests/harness/running.h"

extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
}

namespace {

std::atomic<bool> g_counting{false};
std::atomic<int64_t> g_allocations{0};

void count() {
  if (g_counting.load()) g_allocations.fetch_add(1);
}

}  // namespace

extern "C" {
void* malloc(size_t size) {
  count();
  return __libc_malloc(size);
}
void* calloc(size_t items, size_t size) {
  count();
  return __libc_calloc(items, size);
}
void* realloc(void* memory, size_t size) {
  count();
  return __libc_realloc(memory, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, size_t alignment, size_t size) {
  count();
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? 12 : 0;
}
}

namespace midge {
namespace {

TEST(Allocation, TheCounterCounts) {
  g_allocations = 0;
  g_counting = true;
  auto* made = new std::vector<int>(1000);
  g_counting = false;
  EXPECT_EQ(g_allocations.load(), 2);
  delete made;
}

void expect_no_allocations(const test::RunSetup& setup) {
  test::Running run;
  test::open(setup, &run);
  if (::testing::Test::HasFatalFailure()) return;
  const std::vector<int32_t> tokens = test::random_tokens(90, run.model->config().vocab_size);
  std::vector<float> logits(static_cast<size_t>(run.model->config().vocab_size));
  const std::vector<float> hidden(20 * static_cast<size_t>(run.model->config().hidden_size), 0.5f);
  const int32_t row = 0;
  StepOutputs outputs;
  outputs.logits_rows = {&row, 1};
  outputs.logits = logits.data();
  g_allocations = 0;
  g_counting = true;
  // A prompt, then decoding across the border of the rope regimes.
  Status status = run.session->step(std::span(tokens).first(50), outputs);
  for (size_t i = 50; i < tokens.size() && status.ok(); ++i) {
    status = run.session->step(std::span(tokens).subspan(i, 1), outputs, RowRole::kGenerated);
  }
  if (setup.session.mtp && status.ok()) {
    status = run.session->mtp_step(std::span(tokens).subspan(1, 20), hidden.data(), true, outputs);
  }
  g_counting = false;
  MIDGE_ASSERT_OK(status);
  EXPECT_EQ(g_allocations.load(), 0);
}

TEST(Allocation, StepsAllocateNothing) {
  test::RunSetup setup = {test::data_path("golden/models/phi4-mini")};
  setup.session.batch_rows = 16;
  expect_no_allocations(setup);
  setup.path = std::string(MIDGE_SOURCE_DIR) + "/assets/models/tiny-mimo";
  setup.session.mtp = true;
  expect_no_allocations(setup);
}

TEST(Allocation, StepsOnPackedWeightsAllocateNothing) {
  for (const Encoding weights :
       {Encoding::kF16, Encoding::kQ4B32, Encoding::kQ4B32S256, Encoding::kQ8B32}) {
    test::RunSetup setup = {test::data_path("golden/models/phi4-mini")};
    setup.arithmetic = Arithmetic::kPacked;
    setup.weights = weights;
    setup.threads = 1;
    setup.session.batch_rows = 16;
    expect_no_allocations(setup);
  }
  test::RunSetup setup = {std::string(MIDGE_SOURCE_DIR) + "/assets/models/tiny-mimo"};
  setup.arithmetic = Arithmetic::kPacked;
  setup.weights = Encoding::kQ4B32;
  setup.session.mtp = true;
  expect_no_allocations(setup);
}

// The loop from a prompt to text. on_text gets every piece of text as it is made.
void run_loop(const GenerateOptions& options, const std::function<bool(std::string_view)>& on_text,
              GenerateResult* out) {
  test::RunSetup setup = {std::string(MIDGE_SOURCE_DIR) + "/assets/models/tiny-phi"};
  setup.arithmetic = Arithmetic::kPacked;
  setup.weights = Encoding::kQ4B32;
  test::Running run;
  test::open(setup, &run);
  if (::testing::Test::HasFatalFailure()) return;
  const auto tokenizer = load_tokenizer_json(setup.path);
  MIDGE_ASSERT_OK(tokenizer);
  std::vector<int32_t> prompt;
  MIDGE_ASSERT_OK(tokenizer->encode("Once upon a time", SpecialTokens::kParse, &prompt));
  auto result = generate(*run.session, *tokenizer, prompt, options, on_text);
  MIDGE_ASSERT_OK(result);
  *out = std::move(*result);
}

// What is allocated between two pieces of text is what sampling, decoding, streaming and looking
// for stop strings allocate: nothing, but for the text that generate() collects, which doubles its
// room when that is full. The first pieces may still find room to take.
void expect_loop_allocates_nothing(const GenerateOptions& options) {
  constexpr int kFirstPieces = 4;
  int pieces = 0;
  int64_t seen = 0;
  int64_t text_growths = 0;
  std::string text;  // grows as that of generate()
  GenerateResult result;
  run_loop(
      options,
      [&](std::string_view piece) {
        g_counting = false;
        seen = g_allocations.load();  // what comes after the last piece does not count
        const size_t room = text.capacity();
        text.append(piece);
        if (++pieces <= kFirstPieces) {
          g_allocations = 0;
        } else if (text.capacity() != room) {
          ++text_growths;
        }
        g_counting = true;
        return true;
      },
      &result);
  g_counting = false;
  if (::testing::Test::HasFatalFailure()) return;
  ASSERT_GE(pieces, 4 * kFirstPieces) << result.text;
  EXPECT_EQ(result.text, text);
  EXPECT_LE(seen, text_growths) << pieces << " pieces: " << text;
}

TEST(Allocation, TheLoopAllocatesNothing) {
  GenerateOptions options;
  options.tokens_max = 90;
  expect_loop_allocates_nothing(options);  // greedy
  // Every processor that a sampler has.
  options.sampler.temperature = 0.8f;
  options.sampler.top_k = 40;
  options.sampler.top_p = 0.95f;
  options.sampler.min_p = 0.01f;
  options.sampler.repetition_penalty = 1.1f;
  options.sampler.presence_penalty = 0.1f;
  options.sampler.frequency_penalty = 0.1f;
  expect_loop_allocates_nothing(options);
  // Strings that begin often and never end.
  options.stop_strings = {" the\x01", "a b c d e f", "e\x01"};
  expect_loop_allocates_nothing(options);
}

}  // namespace
}  // namespace midge
