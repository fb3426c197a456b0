// Sessions on packed weights: results that depend on the tokens and their roles alone, the same on
// every ISA level, and near those of float arithmetic on the same weights.
#include <cmath>
#include <cstring>

#include <gtest/gtest.h>

#include "engine/calibration/calibration_file.h"
#include "engine/platform/cpu_features.h"
#include "models/registry.h"
#include "tests/harness/amx_emulation.h"
#include "tests/harness/checkpoint.h"
#include "tests/harness/running.h"

namespace midge {
namespace {

using test::Running;
using test::RunSetup;
using test::step_logits;
using test::step_logits_in_pieces;

#ifdef MIDGE_EMULATED
constexpr int kThreadsMax = 2;
#else
constexpr int kThreadsMax = 3;
#endif

constexpr size_t kPromptTokens = 19;
constexpr size_t kGeneratedTokens = 17;

// Widths that are multiples of neither 32 nor 256, below and above one super-block, and matrices
// of less than a tile of rows. One tied, one with biases and an MTP layer.
const test::CheckpointShape& odd_shape(const std::string& family) {
  static const test::CheckpointShape kPhi3 = {
      .model_type = "phi3",
      .hidden = 72,
      .intermediate = 300,
      .heads = 9,
      .kv_heads = 3,
      .vocab = 75,
      .context = 600,
      .tied = true,
  };
  static const test::CheckpointShape kMimo = {
      .model_type = "mimo",
      .hidden = 264,
      .intermediate = 84,
      .heads = 4,
      .kv_heads = 2,
      .head_dim = 12,
      .vocab = 66,
      .context = 600,
  };
  return family == "phi3" ? kPhi3 : kMimo;
}

// In the rows of some tokens one element far beyond the rest, at places that differ: their
// activations are outliers (engine/ops/outliers.h) in the first layer, and most neighbours have
// none.
void add_outliers(const test::CheckpointShape& shape, std::string* embedding) {
  for (int64_t token = 0; token < shape.vocab; token += 7) {
    const float value = token % 2 == 0 ? 3.0f : -2.0f;
    const int64_t at = token * shape.hidden + token * 5 % shape.hidden;
    std::memcpy(embedding->data() + at * 4, &value, sizeof(value));
  }
}

class Packed : public ::testing::TestWithParam<Encoding> {
 protected:
  static void SetUpTestSuite() {
    for (const char* family : {"phi3", "mimo"}) {
      Checkpoint checkpoint = {odd_shape(family), std::make_unique<test::TempDir>()};
      test::SafetensorsWriter tensors = test::checkpoint_tensors(checkpoint.shape, 1);
      if (!checkpoint.shape.tied) {
        add_outliers(checkpoint.shape, &tensors.bytes_of("model.embed_tokens.weight"));
      }
      checkpoint.directory->write("config.json", test::checkpoint_config(checkpoint.shape));
      checkpoint.directory->write("model.safetensors", tensors.bytes());
      checkpoints_.push_back(std::move(checkpoint));
    }
  }
  static void TearDownTestSuite() { checkpoints_.clear(); }

  struct Checkpoint {
    test::CheckpointShape shape;
    std::unique_ptr<test::TempDir> directory;

    RunSetup setup(Encoding weights) const {
      RunSetup setup;
      setup.path = directory->path();
      setup.threads = 1;
      setup.arithmetic = Arithmetic::kPacked;
      setup.weights = weights;
      return setup;
    }
    std::vector<int32_t> tokens(size_t count = kPromptTokens + kGeneratedTokens) const {
      return test::random_tokens(count, shape.vocab);
    }
  };
  static std::vector<Checkpoint> checkpoints_;
};
std::vector<Packed::Checkpoint> Packed::checkpoints_;

// Logits of a prompt and what follows it, in pieces, from an empty sequence.
std::vector<float> conversation(Session& session, std::span<const int32_t> tokens,
                                size_t prompt_piece, size_t generated_piece) {
  EXPECT_TRUE(session.truncate(0).ok());
  std::vector<float> all =
      step_logits_in_pieces(session, tokens.first(kPromptTokens), prompt_piece, RowRole::kPrompt);
  const std::vector<float> rest = step_logits_in_pieces(session, tokens.subspan(kPromptTokens),
                                                        generated_piece, RowRole::kGenerated);
  all.insert(all.end(), rest.begin(), rest.end());
  return all;
}

TEST_P(Packed, BitsDoNotDependOnPieces) {
  for (const Checkpoint& checkpoint : checkpoints_) {
    Running run;
    test::open(checkpoint.setup(GetParam()), &run);
    if (HasFatalFailure()) return;
    const std::vector<int32_t> tokens = checkpoint.tokens();
    const std::vector<float> expected = conversation(*run.session, tokens, kPromptTokens, 1);
    for (const size_t piece : {2, 3, 4, 5, 6, 7, 8, 9, 17}) {
      EXPECT_EQ(conversation(*run.session, tokens, piece, piece), expected)
          << checkpoint.shape.model_type << " " << piece;
    }
    EXPECT_EQ(conversation(*run.session, tokens, 1, 1), expected) << checkpoint.shape.model_type;
  }
}

TEST_P(Packed, BitsDoNotDependOnThreadsOrBatchRows) {
  for (const Checkpoint& checkpoint : checkpoints_) {
    const std::vector<int32_t> tokens = checkpoint.tokens();
    std::vector<float> expected;
    for (int threads = 1; threads <= kThreadsMax; ++threads) {
      for (const int64_t batch_rows : {64, 5}) {
        RunSetup setup = checkpoint.setup(GetParam());
        setup.threads = threads;
        setup.session.batch_rows = batch_rows;
        Running run;
        test::open(setup, &run);
        if (HasFatalFailure()) return;
        const std::vector<float> found =
            conversation(*run.session, tokens, kPromptTokens, kGeneratedTokens);
        if (expected.empty()) expected = found;
        EXPECT_EQ(found, expected)
            << checkpoint.shape.model_type << " " << threads << " " << batch_rows;
      }
    }
  }
}

TEST_P(Packed, EveryIsaLevelGivesTheBitsOfGeneric) {
  const CpuFeatures available = test::features_with_emulation();
  for (const Checkpoint& checkpoint : checkpoints_) {
    const std::vector<int32_t> tokens = checkpoint.tokens();
    std::vector<float> expected;
    for (int i = 0; i < kIsaLevelCount; ++i) {
      const auto level = static_cast<IsaLevel>(i);
      if (!has_level(available, level)) continue;
      RunSetup setup = checkpoint.setup(GetParam());
      setup.isa = up_to_level(available, level);
      Running run;
      test::open(setup, &run);
      if (HasFatalFailure()) return;
      std::vector<float> found = conversation(*run.session, tokens, kPromptTokens, 8);
      const std::vector<float> one_by_one = conversation(*run.session, tokens, 5, 1);
      found.insert(found.end(), one_by_one.begin(), one_by_one.end());
      if (expected.empty()) expected = found;
      EXPECT_EQ(found, expected) << checkpoint.shape.model_type << " " << isa_level_name(level);
    }
  }
}

// A file of rates for this machine by which the kernels of one level win.
void write_rates(const std::string& cache_dir, IsaLevel winner) {
  const std::vector<CoreType> cores = detect_core_types();
  Calibration calibration;
  for (const CalibrationCase& c : calibration_cases(detect_cpu_features())) {
    for (const KernelInfo* kernel : calibration_candidates(c, detect_cpu_features())) {
      for (int i = 0; i < static_cast<int>(cores.size()); ++i) {
        calibration.kernels.push_back({c, kernel, i, kernel->level == winner ? 200 : 100});
      }
    }
  }
  calibration.reads = {{1, 100}};
  const std::string key = calibration_key(cores);
  MIDGE_ASSERT_OK(save_calibration(calibration_path(cache_dir, key), key, calibration));
}

TEST_P(Packed, CalibrationChangesKernelsAndNoBits) {
  const CpuFeatures available = detect_cpu_features();
  const auto encoding = static_cast<size_t>(GetParam());
  // Portable kernels are no candidates; of a single one nothing is measured.
  int candidates = 0;
  for (const KernelInfo& kernel : all_kernels()) {
    candidates += kernel.op == Op::kGemv && kernel.encoding == GetParam() &&
                          kernel.rows_max == kGemvRowsMax && kernel.features != cpu::kNone &&
                          available.has(kernel.features)
                      ? 1
                      : 0;
  }
  for (const Checkpoint& checkpoint : checkpoints_) {
    const std::vector<int32_t> tokens = checkpoint.tokens();
    RunSetup setup = checkpoint.setup(GetParam());
    Running plain;
    test::open(setup, &plain);
    if (HasFatalFailure()) return;
    const std::vector<float> expected = conversation(*plain.session, tokens, 7, 3);
    setup.calibrate = true;
    for (int i = 0; i < kIsaLevelCount; ++i) {
      const auto level = static_cast<IsaLevel>(i);
      if (!has_level(available, level)) continue;
      const test::TempDir dir;
      write_rates(dir.path(), level);
      setup.cache_dir = dir.path();
      Running run;
      test::open(setup, &run);
      if (HasFatalFailure()) return;
      EXPECT_EQ(run.executor->calibration().seconds, 0);
      EXPECT_EQ(conversation(*run.session, tokens, 7, 3), expected) << isa_level_name(level);
      const KernelInfo* gemv =
          select_kernel(Op::kGemv, GetParam(), {up_to_level(available, level)}, kGemvRowsMax);
      if (gemv->level != level || level == IsaLevel::kGeneric) continue;
      EXPECT_EQ(reinterpret_cast<void (*)()>(run.executor->kernels().gemv[encoding][kGemvRowsMax]),
                gemv->function)
          << gemv->name;
    }
    // Measured ones.
    setup.cache_dir.clear();
    Running run;
    test::open(setup, &run);
    if (HasFatalFailure()) return;
    if (candidates > 1) {
      EXPECT_GT(run.executor->calibration().seconds, 0);
    }
    EXPECT_EQ(conversation(*run.session, tokens, 7, 3), expected);
  }
}

#ifndef MIDGE_EMULATED  // nothing there depends on the machine, and it takes long
// More rows than a worker's accumulators hold.
TEST_P(Packed, LongPromptsAtOnce) {
  const Checkpoint& checkpoint = checkpoints_.front();
  RunSetup setup = checkpoint.setup(GetParam());
  setup.session.batch_rows = 600;
  Running run;
  test::open(setup, &run);
  if (HasFatalFailure()) return;
  const std::vector<int32_t> tokens = checkpoint.tokens(560);
  const std::vector<float> whole = step_logits(*run.session, tokens);
  MIDGE_ASSERT_OK(run.session->truncate(0));
  EXPECT_EQ(step_logits_in_pieces(*run.session, tokens, 100), whole);
}
#endif

// The MTP layer reads in the decode arithmetic, whatever the pieces.
TEST_P(Packed, MtpBitsDoNotDependOnPieces) {
  const Checkpoint& checkpoint = checkpoints_.back();
  RunSetup setup = checkpoint.setup(GetParam());
  setup.session.mtp = true;
  Running run;
  test::open(setup, &run);
  if (HasFatalFailure()) return;
  const std::vector<int32_t> tokens = checkpoint.tokens(12);
  const auto hidden_size = static_cast<size_t>(checkpoint.shape.hidden);
  const auto vocab = static_cast<size_t>(checkpoint.shape.vocab);
  std::vector<float> expected;
  for (const size_t piece : {1, 3, 11}) {
    std::vector<float> hidden(tokens.size() * hidden_size);
    StepOutputs outputs;
    outputs.hidden = hidden.data();
    MIDGE_ASSERT_OK(run.session->truncate(0));
    MIDGE_ASSERT_OK(run.session->step(tokens, outputs));
    std::vector<float> found((tokens.size() - 1) * vocab);
    for (size_t at = 0; at + 1 < tokens.size(); at += piece) {
      const size_t count = std::min(piece, tokens.size() - 1 - at);
      const std::vector<int32_t> rows = test::all_rows(count);
      outputs = {};
      outputs.logits_rows = rows;
      outputs.logits = found.data() + at * vocab;
      MIDGE_ASSERT_OK(run.session->mtp_step(std::span(tokens).subspan(at + 1, count),
                                            hidden.data() + at * hidden_size, true, outputs));
    }
    if (expected.empty()) expected = found;
    EXPECT_EQ(found, expected) << piece;
  }
}

// The original context of this model is 64 tokens: crossing it recomputes the sequence.
TEST_P(Packed, RecomputedTokensKeepTheirRoles) {
  RunSetup setup;
  setup.path = test::data_path("golden/models/phi4-mini");
  setup.threads = 1;
  setup.arithmetic = Arithmetic::kPacked;
  setup.weights = GetParam();
  setup.session.context_length = 128;
  // Logits of the last step after tokens 0..29 as `first`, 30..length - 1 as generated.
  const auto last_logits = [&](Session& session, std::span<const int32_t> tokens, RowRole first) {
    step_logits(session, tokens.first(30), first);
    step_logits(session, tokens.subspan(30, tokens.size() - 31), RowRole::kGenerated);
    return step_logits(session, tokens.last(1), RowRole::kGenerated);
  };
  Running run;
  test::open(setup, &run);
  if (HasFatalFailure()) return;
  const std::vector<int32_t> tokens = test::random_tokens(70, run.model->config().vocab_size);
  const std::span<const int32_t> all(tokens);
  const std::vector<float> crossed = last_logits(*run.session, all.first(65), RowRole::kPrompt);
  MIDGE_ASSERT_OK(run.session->truncate(40));
  const std::vector<float> back =
      step_logits(*run.session, all.subspan(60, 10), RowRole::kGenerated);

  setup.session.rope = RopeMode::kLong;
  Running always_long;
  test::open(setup, &always_long);
  if (HasFatalFailure()) return;
  EXPECT_EQ(last_logits(*always_long.session, all.first(65), RowRole::kPrompt), crossed);
  MIDGE_ASSERT_OK(always_long.session->truncate(0));
  const std::vector<float> other =
      last_logits(*always_long.session, all.first(65), RowRole::kGenerated);
  // f16 weights know one arithmetic only.
  EXPECT_EQ(other == crossed, GetParam() == Encoding::kF16);

  setup.session.rope = RopeMode::kShort;
  Running always_short;
  test::open(setup, &always_short);
  if (HasFatalFailure()) return;
  step_logits(*always_short.session, all.first(30), RowRole::kPrompt);
  step_logits(*always_short.session, all.subspan(30, 10), RowRole::kGenerated);
  EXPECT_EQ(step_logits(*always_short.session, all.subspan(60, 10), RowRole::kGenerated), back);
}

// What int8 activations cost, as a fraction of the range of the logits. Random models are sharper
// than trained ones; docs/quality.md has the perplexity of those.
TEST_P(Packed, NearFloatArithmeticOnTheSameWeights) {
  // Observed: prompt up to 0.036, generated up to 0.021; f16 weights, whose activations stay f32,
  // 1e-6.
  const float prompt_bound = GetParam() == Encoding::kF16 ? 1e-5f : 0.05f;
  const float generated_bound = GetParam() == Encoding::kF16 ? 1e-5f : 0.03f;
  for (const Checkpoint& checkpoint : checkpoints_) {
    RunSetup setup = checkpoint.setup(GetParam());
    setup.session.kv_type = Encoding::kF32;
    Running packed;
    test::open(setup, &packed);
    setup.arithmetic = Arithmetic::kFloat;
    Running floats;
    test::open(setup, &floats);
    if (HasFatalFailure()) return;
    const std::vector<int32_t> tokens = checkpoint.tokens(40);
    const std::vector<float> expected = step_logits(*floats.session, tokens);
    const float prompt_error = test::relative_error(expected, step_logits(*packed.session, tokens));
    MIDGE_ASSERT_OK(packed.session->truncate(0));
    const float generated_error =
        test::relative_error(expected, step_logits(*packed.session, tokens, RowRole::kGenerated));
    EXPECT_LE(prompt_error, prompt_bound);
    EXPECT_LE(generated_error, generated_bound);
    std::printf("[ error    ] %s %s: prompt %.2e, generated %.2e\n",
                checkpoint.shape.model_type.c_str(), encoding_info(GetParam()).name,
                static_cast<double>(prompt_error), static_cast<double>(generated_error));
  }
}

// The float arithmetic sees the weights that the packed one does, row by row.
TEST_P(Packed, FloatArithmeticHasTheSameWeights) {
  for (const Checkpoint& checkpoint : checkpoints_) {
    RunSetup setup = checkpoint.setup(GetParam());
    Running packed;
    test::open(setup, &packed);
    setup.arithmetic = Arithmetic::kFloat;
    Running floats;
    test::open(setup, &floats);
    if (HasFatalFailure()) return;
    const auto& kernels = packed.executor->kernels();
    const auto type = static_cast<size_t>(GetParam());
    const auto expect_equal = [&](const WeightMatrix& tiles, const WeightMatrix& rows) {
      ASSERT_NE(tiles.packed, nullptr);
      ASSERT_EQ(rows.encoding, GetParam());
      std::vector<float> expected(static_cast<size_t>(rows.k));
      std::vector<float> found(expected.size());
      for (int64_t row = 0; row < rows.n; ++row) {
        const DequantizeArgs decode = {rows.k, rows.rows(row, 1).data, expected.data()};
        kernels.dequantize[type](&decode);
        const LookupArgs look_up = {tiles.k, tiles.packed + row / kTileRows * tiles.tile_bytes(),
                                    row % kTileRows, found.data()};
        kernels.lookup[type](&look_up);
        ASSERT_EQ(std::memcmp(found.data(), expected.data(), found.size() * 4), 0) << row;
      }
    };
    const ModelWeights& tiles = *packed.executor->engine().weights;
    const ModelWeights& rows = *floats.executor->engine().weights;
    expect_equal(tiles.head, rows.head);
    expect_equal(tiles.layers[1].k, rows.layers[1].k);
    expect_equal(tiles.layers[1].down, rows.layers[1].down);
    if (checkpoint.shape.tied) expect_equal(tiles.embedding, rows.embedding);
  }
}

INSTANTIATE_TEST_SUITE_P(Encodings, Packed,
                         ::testing::Values(Encoding::kF16, Encoding::kQ4B32, Encoding::kQ4B32S256,
                                           Encoding::kQ8B32),
                         [](const auto& c) { return encoding_info(c.param).name; });

// Quantised files are packed without loss: every row of every matrix, bit for bit.
TEST(PackedFiles, HoldTheWeightsOfTheFile) {
  for (const char* name : {"phi4-mini-q4_0.gguf", "phi4-mini-q8_0.gguf", "llama-q4_0.gguf"}) {
    RunSetup setup;
    setup.path = test::data_path(std::string("golden/gguf/") + name);
    setup.threads = 1;
    setup.arithmetic = Arithmetic::kPacked;
    Running run;
    test::open(setup, &run);
    if (HasFatalFailure()) return;
    const auto& kernels = run.executor->kernels();
    int packed = 0;
    const auto expect_lossless = [&](const WeightMatrix& w) {
      if (w.packed == nullptr) return;
      ++packed;
      ASSERT_EQ(w.packed_encoding, w.encoding);
      std::vector<float> expected(static_cast<size_t>(w.k));
      std::vector<float> found(expected.size());
      for (int64_t row = 0; row < w.n; ++row) {
        const DequantizeArgs decode = {w.k, w.rows(row, 1).data, expected.data()};
        kernels.dequantize[static_cast<size_t>(w.encoding)](&decode);
        const LookupArgs look_up = {w.k, w.packed + row / kTileRows * w.tile_bytes(),
                                    row % kTileRows, found.data()};
        kernels.lookup[static_cast<size_t>(w.encoding)](&look_up);
        ASSERT_EQ(std::memcmp(found.data(), expected.data(), found.size() * 4), 0) << row;
      }
    };
    const ModelWeights& weights = *run.executor->engine().weights;
    for (const LayerWeights& layer : weights.layers) {
      for (const WeightMatrix* w :
           {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down}) {
        expect_lossless(*w);
        if (HasFatalFailure()) return;
      }
    }
    expect_lossless(weights.head);
    EXPECT_GE(packed, static_cast<int>(7 * weights.layers.size())) << name;
  }
}

TEST(PackedFiles, NumbersThatAreNoWeightsAreRefused) {
  struct Case {
    float value;
    Encoding weights;
    const char* message;
  };
  const Case cases[] = {
      {NAN, Encoding::kQ4B32, ": layer 1 o: row 3, column 32: the scale of the block is infinite"},
      {INFINITY, Encoding::kQ4B32S256, ": layer 1 o: row 3, column 0: the scale of the block"},
      {-1e9f, Encoding::kQ8B32, ": layer 1 o: row 3, column 32: the scale of the block"},
      {1e5f, Encoding::kF16, ": layer 1 o: row 3, column 37: the weight is infinite or not"},
  };
  const test::CheckpointShape& shape = odd_shape("phi3");
  for (const Case& c : cases) {
    for (const Arithmetic arithmetic : {Arithmetic::kPacked, Arithmetic::kFloat}) {
      const test::TempDir dir;
      dir.write("config.json", test::checkpoint_config(shape));
      test::SafetensorsWriter tensors = test::checkpoint_tensors(shape, 1);
      const int64_t k = shape.heads * shape.head_dim;
      std::string& bytes = tensors.bytes_of("model.layers.1.self_attn.o_proj.weight");
      // Two of them: the first is named.
      for (const int64_t element : {3 * k + 37, 9 * k + 1}) {
        std::memcpy(bytes.data() + element * 4, &c.value, 4);
      }
      dir.write("model.safetensors", tensors.bytes());
      const auto model = open_model(dir.path());
      MIDGE_ASSERT_OK(model);
      ExecutorOptions options;
      options.threads = 2;
      options.arithmetic = arithmetic;
      options.weights = c.weights;
      const auto executor = Executor::create(**model, options);
      ASSERT_FALSE(executor.ok()) << c.message;
      EXPECT_EQ(executor.status().code(), StatusCode::kInvalidFile);
      EXPECT_NE(executor.status().message().find(dir.path() + c.message), std::string::npos)
          << executor.status().message();
    }
  }
}

TEST(PackedFiles, EncodingsThatMidgeDoesNotWriteAreRefused) {
  const auto model = open_model(test::data_path("golden/models/phi4"));
  MIDGE_ASSERT_OK(model);
  for (const Arithmetic arithmetic : {Arithmetic::kPacked, Arithmetic::kFloat}) {
    ExecutorOptions options;
    options.threads = 1;
    options.arithmetic = arithmetic;
    options.weights = Encoding::kQ6B16S256;
    EXPECT_EQ(Executor::create(**model, options).status().code(), StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace midge
