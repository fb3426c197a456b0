// Steps take no memory: malloc itself is counted, so that C libraries are included.
//
// glibc only, and not under sanitizers, which bring a malloc of their own.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>

#include <dlfcn.h>
#include <pthread.h>

#include <gtest/gtest.h>

#include "api/engine.h"
#include "api/loaded_model.h"
#include "api/packing.h"
#include "engine/scheduler/scheduler.h"
#include "engine/session/generator.h"
#include "engine/session/stop_matcher.h"
#include "engine/tokenizer_files/tokenizer_directory.h"
#include "models/registry.h"
#include "tests/harness/running.h"
#include "tests/harness/temp_dir.h"

extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
}

namespace {

std::atomic<bool> g_counting{false};
std::atomic<int64_t> g_allocations{0};
std::atomic<int64_t> g_bytes{0};
std::atomic<int64_t> g_locks{0};

void count(size_t bytes) {
  if (!g_counting.load()) return;
  g_allocations.fetch_add(1);
  g_bytes.fetch_add(static_cast<int64_t>(bytes));
}

}  // namespace

extern "C" {
void* malloc(size_t size) {
  count(size);
  return __libc_malloc(size);
}
void* calloc(size_t items, size_t size) {
  count(items * size);
  return __libc_calloc(items, size);
}
void* realloc(void* memory, size_t size) {
  count(size);
  return __libc_realloc(memory, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  count(size);
  return __libc_memalign(alignment, size);
}
int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  static int (*lock)(pthread_mutex_t*) = nullptr;
  if (lock == nullptr) {
    lock = reinterpret_cast<int (*)(pthread_mutex_t*)>(::dlsym(RTLD_NEXT, "pthread_mutex_lock"));
  }
  if (g_counting.load()) g_locks.fetch_add(1);
  return lock(mutex);
}
int posix_memalign(void** memory, size_t alignment, size_t size) {
  count(size);
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
  RowOutputs outputs;
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
       {Encoding::kF16, Encoding::kQ4B32, Encoding::kQ4B32MS256, Encoding::kQ8B32}) {
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

// A whole request but for its creation: prompt, sampling with penalties and alternatives, text that
// is held back for a stop string, 256 tokens, the end.
void expect_generation_allocates_nothing(const std::string& path) {
  LoadOptions load;
  load.executor.threads = 2;
  const auto opened = LoadedModel::open(path, load);
  MIDGE_ASSERT_OK(opened);
  const LoadedModel& model = **opened;
  const auto session = model.new_session({});
  MIDGE_ASSERT_OK(session);
  const auto prompt = model.encode_prompt("Once upon a time");
  MIDGE_ASSERT_OK(prompt);
  GenerateOptions options;
  options.tokens_max = 256;
  options.stop_strings = {"never to be written", "and then nobody"};
  options.sampler.temperature = 0.9f;
  options.sampler.top_k = 40;
  options.sampler.top_p = 0.95f;
  options.sampler.min_p = 0.01f;
  options.sampler.repetition_penalty = 1.1f;
  options.sampler.presence_penalty = 0.1f;
  options.sampler.logprobs = 5;
  size_t shown = 0;
  auto created =
      Generation::create((*session)->sequence(), model.tokenizer(), model.allowed_tokens(), *prompt,
                         options, [&](std::string_view text) {
                           shown += text.size();
                           return true;
                         });
  MIDGE_ASSERT_OK(created);
  Generation& generation = **created;
  Executor& executor = model.executor();
  Status status;
  g_allocations = 0;
  g_counting = true;
  while (!generation.done() && status.ok()) {
    SequenceStep step = generation.next_step(executor.logits(0));
    run_step(executor, {&step, 1});
    generation.stepped(step.status);
    if (generation.done()) break;
    generation.sample(executor.logits(0), executor.sampler_workspace(0));
    status = generation.accept();
  }
  g_counting = false;
  MIDGE_ASSERT_OK(status);
  EXPECT_EQ(generation.result().reason, FinishReason::kTokensMax);
  EXPECT_EQ(generation.result().tokens.size(), 256u);
  EXPECT_GT(shown, 256u);
  EXPECT_EQ(g_allocations.load(), 0);
}

TEST(Allocation, GenerationsAllocateNothing) {
  expect_generation_allocates_nothing(MIDGE_SOURCE_DIR "/assets/models/tiny-mimo");
}

TEST(Allocation, GenerationsFromAPackedFileAllocateNothing) {
  const test::TempDir dir;
  PackingOptions packing;
  packing.recipe = *recipe_from_name("fast");
  Status tokenizer;
  MIDGE_ASSERT_OK(pack_file(MIDGE_SOURCE_DIR "/assets/models/tiny-mimo", dir.file("x.midge"),
                            packing, &tokenizer));
  expect_generation_allocates_nothing(dir.file("x.midge"));
}

// Long pieces of text, which are held back for stop strings that begin like them.
TEST(Allocation, TextThatIsHeldBackTakesNone) {
  StopMatcher matcher({std::string(100, 'a') + "b"});
  const std::string piece(60, 'a');
  std::string shown;
  shown.reserve(256);
  bool stops = false;
  g_allocations = 0;
  g_counting = true;
  for (int i = 0; i < 4; ++i) stops = matcher.push(piece, &shown) || stops;
  g_counting = false;
  EXPECT_FALSE(stops);
  EXPECT_EQ(shown.size(), 140u);
  EXPECT_EQ(g_allocations.load(), 0);
}

// What one sequence more takes beside its pages, for a vocabulary of 200,064.
TEST(Allocation, SequencesAreCheap) {
  constexpr int64_t kContext = 4096;
  constexpr size_t kVocabulary = 200064;
  auto model = open_model(test::data_path("golden/models/phi4-mini"));
  MIDGE_ASSERT_OK(model);
  const auto tokenizer =
      load_tokenizer_directory(std::string(MIDGE_SOURCE_DIR) + "/assets/models/tiny-phi");
  MIDGE_ASSERT_OK(tokenizer);
  ModelParts parts;
  parts.config = (*model)->config();
  parts.config.context_length = 2 * kContext;
  const std::vector<uint8_t> allowed(kVocabulary, 1);
  const std::vector<int32_t> prompt = {1, 2, 3};
  SequenceOptions sequence_options;
  sequence_options.context_length = kContext;
  GenerateOptions options;
  options.tokens_max = 256;
  options.sampler.repetition_penalty = 1.1f;
  options.stop_strings = {"stop"};
  g_bytes = 0;
  g_counting = true;
  auto sequence = Sequence::create(parts.config, sequence_options);
  auto generation =
      sequence.ok() ? Generation::create(**sequence, *tokenizer, allowed, prompt, options, nullptr)
                    : sequence.status();
  g_counting = false;
  MIDGE_ASSERT_OK(generation);
  const int64_t allowed_bytes = 32 * 1024 + 16 * kContext;
  std::printf("[ sequence ] %lld bytes beside its pages, allowed %lld\n",
              static_cast<long long>(g_bytes.load()), static_cast<long long>(allowed_bytes));
  EXPECT_LT(g_bytes.load(), allowed_bytes);
}

// The same through an engine, where threads leave mail: passes look at a flag and lock nothing.
TEST(Allocation, StepsOfAnEngineTakeNoneAndNoLock) {
  for (const int threads : {1, 2}) {
    LoadOptions options;
    options.makes_executor = false;
    const auto loaded = LoadedModel::open(MIDGE_SOURCE_DIR "/assets/models/tiny-mimo", options);
    MIDGE_ASSERT_OK(loaded);
    ServedModel served;
    served.model = loaded->get();
    served.executor.weights = *recipe_from_name("fast");
    served.scheduling.context_length = 256;
    served.scheduling.pages = 16;
    EngineOptions engine_options;
    engine_options.threads = threads;
    engine_options.has_driver = false;
    const auto engine = Engine::create({&served, 1}, engine_options);
    MIDGE_ASSERT_OK(engine);
    int64_t tokens = 0;
    for (uint64_t i = 0; i < 4; ++i) {
      Request request;
      request.prompt = test::random_tokens(20 + 10 * i, 500, i);
      request.generate.tokens_max = 150;
      request.generate.sampler.temperature = 0.8f;
      request.generate.sampler.seed = i;
      request.on_token = [&](const TokenOutput&) {
        ++tokens;
        return true;
      };
      MIDGE_ASSERT_OK((*engine)->submit(0, std::move(request)));
    }
    for (int i = 0; i < 3; ++i) MIDGE_ASSERT_OK((*engine)->step());
    tokens = 0;
    g_allocations = 0;
    g_locks = 0;
    g_counting = true;
    bool ok = true;
    for (int i = 0; i < 100; ++i) ok = (*engine)->step().ok() && ok;
    g_counting = false;
    EXPECT_TRUE(ok);
    EXPECT_EQ(tokens, 400);
    EXPECT_EQ(g_allocations.load(), 0);
    EXPECT_EQ(g_locks.load(), 0);
  }
}

// Four answers that are written side by side, over borders of pages; without and with drafts.
TEST(Allocation, StepsOfTheSchedulerTakeNone) {
  LoadOptions options;
  options.executor.threads = 2;
  options.executor.weights = *recipe_from_name("fast");
  const auto loaded = LoadedModel::open(MIDGE_SOURCE_DIR "/assets/models/tiny-mimo", options);
  MIDGE_ASSERT_OK(loaded);
  for (const Drafter drafter : {Drafter::kNone, Drafter::kAuto}) {
    SCOPED_TRACE(drafter_name(drafter));
    SchedulerOptions scheduling;
    scheduling.context_length = 256;
    scheduling.pages = 16;
    scheduling.drafts.drafter = drafter;
    scheduling.drafts.match_min = 2;
    scheduling.drafts.remembered_tokens = 1000;
    scheduling.drafts.always = true;
    const auto scheduler = (*loaded)->new_scheduler(scheduling);
    MIDGE_ASSERT_OK(scheduler);
    // As after a while: what was read before has all pages, and gives one at each border.
    for (uint64_t i = 0; i < 6; ++i) {
      Request request;
      request.prompt = test::random_tokens(180, 500, 10 + i);
      request.generate.tokens_max = 1;
      MIDGE_ASSERT_OK((*scheduler)->submit(std::move(request)));
    }
    MIDGE_ASSERT_OK((*scheduler)->run());
    ASSERT_EQ((*scheduler)->pool().free_count(), 0);
    int64_t characters = 0;
    for (uint64_t i = 0; i < 4; ++i) {
      Request request;
      request.prompt = test::random_tokens(20 + 10 * i, 500, i);
      request.generate.tokens_max = 150;
      request.generate.sampler.temperature = 0.8f;
      request.generate.sampler.repetition_penalty = 1.1f;
      request.generate.sampler.seed = i;
      request.on_token = [&](const TokenOutput& output) {
        characters += static_cast<int64_t>(output.text.size());
        return true;
      };
      MIDGE_ASSERT_OK((*scheduler)->submit(std::move(request)));
    }
    for (int i = 0; i < 3; ++i) MIDGE_ASSERT_OK((*scheduler)->step());
    ASSERT_EQ((*scheduler)->running_count(), 4);
    const int steps = drafter == Drafter::kNone ? 100 : 40;
    const int64_t evicted = (*scheduler)->statistics().pages_evicted;
    g_allocations = 0;
    g_counting = true;
    bool ok = true;
    for (int i = 0; i < steps; ++i) ok = (*scheduler)->step().ok() && ok;
    g_counting = false;
    EXPECT_TRUE(ok);
    EXPECT_EQ(g_allocations.load(), 0);
    EXPECT_EQ((*scheduler)->running_count(), 4);
    EXPECT_GT((*scheduler)->statistics().pages_evicted, evicted);
    EXPECT_GT(characters, 0);
    if (drafter != Drafter::kNone) {
      EXPECT_GT((*scheduler)->speculation()->totals().mtp_drawn, 0);
    }
  }
}

}  // namespace
}  // namespace midge
