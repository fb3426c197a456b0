// Sessions on packed weights: results that depend on the tokens and their roles alone, the same on
// every ISA level, and near those of float arithmetic on the same weights.
#include <cmath>
#include <cstring>
#include <set>

#include <gtest/gtest.h>

#include "engine/calibration/calibration_file.h"
#include "engine/platform/cpu_features.h"
#include "engine/platform/topology.h"
#include "models/registry.h"
#include "tests/harness/amx_emulation.h"
#include "tests/harness/checkpoint.h"
#include "tests/harness/running.h"
#include "tests/harness/tolerance.h"

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

// A model whose logits must have the same bits however they are computed. setup: one thread.
struct Subject {
  std::string name;
  RunSetup setup;
  std::vector<int32_t> tokens;  // kPromptTokens + kGeneratedTokens
};

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
    Subject subject(Encoding weights) const { return {shape.model_type, setup(weights), tokens()}; }
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

void expect_bits_of_any_pieces(const Subject& subject) {
  Running run;
  test::open(subject.setup, &run);
  if (::testing::Test::HasFatalFailure()) return;
  const std::vector<float> expected = conversation(*run.session, subject.tokens, kPromptTokens, 1);
  // Among them the tokens of every PanelShape, one less and one more.
  for (const size_t piece : {2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 17}) {
    EXPECT_EQ(conversation(*run.session, subject.tokens, piece, piece), expected)
        << subject.name << " " << piece;
  }
  EXPECT_EQ(conversation(*run.session, subject.tokens, 1, 1), expected) << subject.name;
}

void expect_bits_of_any_threads(const Subject& subject) {
  std::vector<float> expected;
  for (int threads = 1; threads <= kThreadsMax; ++threads) {
    for (const int64_t batch_rows : {64, 5}) {
      RunSetup setup = subject.setup;
      setup.threads = threads;
      setup.session.batch_rows = batch_rows;
      Running run;
      test::open(setup, &run);
      if (::testing::Test::HasFatalFailure()) return;
      const std::vector<float> found =
          conversation(*run.session, subject.tokens, kPromptTokens, kGeneratedTokens);
      if (expected.empty()) expected = found;
      EXPECT_EQ(found, expected) << subject.name << " " << threads << " " << batch_rows;
    }
  }
}

void expect_bits_of_any_level(const Subject& subject) {
  const CpuFeatures available = test::features_with_emulation();
  std::vector<float> expected;
  for (int i = 0; i < kIsaLevelCount; ++i) {
    const auto level = static_cast<IsaLevel>(i);
    if (!has_level(available, level)) continue;
    RunSetup setup = subject.setup;
    setup.isa = up_to_level(available, level);
    Running run;
    test::open(setup, &run);
    if (::testing::Test::HasFatalFailure()) return;
    std::vector<float> found = conversation(*run.session, subject.tokens, kPromptTokens, 8);
    const std::vector<float> one_by_one = conversation(*run.session, subject.tokens, 5, 1);
    found.insert(found.end(), one_by_one.begin(), one_by_one.end());
    if (expected.empty()) expected = found;
    EXPECT_EQ(found, expected) << subject.name << " " << isa_level_name(level);
  }
}

TEST_P(Packed, BitsDoNotDependOnPieces) {
  for (const Checkpoint& checkpoint : checkpoints_) {
    expect_bits_of_any_pieces(checkpoint.subject(GetParam()));
  }
}

TEST_P(Packed, BitsDoNotDependOnThreadsOrBatchRows) {
  for (const Checkpoint& checkpoint : checkpoints_) {
    expect_bits_of_any_threads(checkpoint.subject(GetParam()));
  }
}

TEST_P(Packed, EveryIsaLevelGivesTheBitsOfGeneric) {
  for (const Checkpoint& checkpoint : checkpoints_) {
    expect_bits_of_any_level(checkpoint.subject(GetParam()));
  }
}

// A file of rates for this machine by which the kernels of one level win.
void write_rates(const std::string& cache_dir, IsaLevel winner) {
  const std::vector<CoreType> cores = detect_topology().types;
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

// More rows than a worker's accumulators hold, which are a multiple of the tokens of every
// PanelShape.
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
    RowOutputs outputs;
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
  // Observed: prompt up to 0.044, generated up to 0.026; f16 weights, whose activations stay f32,
  // 1e-6.
  const float prompt_bound = GetParam() == Encoding::kF16 ? 4e-6f : 0.05f;
  const float generated_bound = GetParam() == Encoding::kF16 ? 4e-6f : 0.03f;
  for (const Checkpoint& checkpoint : checkpoints_) {
    RunSetup setup = checkpoint.setup(GetParam());
    setup.session.kv_type = KvType::kF32;
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
    const std::string what = checkpoint.shape.model_type + " " + encoding_info(GetParam()).name;
    test::expect_within(prompt_error, prompt_bound, what + " prompt");
    test::expect_within(generated_error, generated_bound, what + " generated");
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
    const auto look_up = [&](const WeightTiles& w, int64_t row, float* out) {
      if (w.k == 0) return;
      const LookupArgs args = {w.k, w.tile(row / kTileRows), row % kTileRows, out};
      kernels.lookup[static_cast<size_t>(w.encoding)](&args);
    };
    const auto expect_equal = [&](const PreparedMatrix& tiled, const PreparedMatrix& in_rows) {
      ASSERT_EQ(tiled.form, PreparedMatrix::Form::kTiles);
      const WeightRows& rows = in_rows.rows;
      ASSERT_EQ(rows.encoding, Encoding::kF32);
      ASSERT_EQ(tiled.k(), rows.k);
      const bool has_super_blocks =
          GetParam() == Encoding::kQ4B32MS256 || GetParam() == Encoding::kQ5B32MS256;
      EXPECT_EQ(tiled.tail.k, has_super_blocks && rows.k > 256 ? rows.k % 256 : 0);
      std::vector<float> found(static_cast<size_t>(rows.k));
      for (int64_t row = 0; row < rows.n; ++row) {
        look_up(tiled.tiles, row, found.data());
        look_up(tiled.tail, row, found.data() + tiled.tiles.k);
        ASSERT_EQ(std::memcmp(found.data(), rows.row(row), found.size() * 4), 0) << row;
      }
    };
    const PreparedWeights& tiles = *packed.executor->engine().weights;
    const PreparedWeights& rows = *floats.executor->engine().weights;
    expect_equal(tiles.head, rows.head);
    expect_equal(tiles.layers[1].k, rows.layers[1].k);
    expect_equal(tiles.layers[1].down, rows.layers[1].down);
    if (checkpoint.shape.tied) expect_equal(tiles.embedding, rows.embedding);
  }
}

INSTANTIATE_TEST_SUITE_P(Encodings, Packed,
                         ::testing::Values(Encoding::kF16, Encoding::kQ4B32, Encoding::kQ4B32M,
                                           Encoding::kQ5B32, Encoding::kQ5B32M, Encoding::kQ8B32,
                                           // Their matrices have tails in other encodings.
                                           Encoding::kQ4B32MS256, Encoding::kQ5B32MS256),
                         [](const auto& c) { return encoding_info(c.param).name; });

// The K-quants of files that llama.cpp made.
class PackedMixes : public ::testing::TestWithParam<const char*> {
 protected:
  static Subject subject() {
    Subject subject;
    subject.name = GetParam();
    subject.setup.path = test::data_path("golden/llama_cpp/phi4-mini-" + subject.name + ".gguf");
    subject.setup.threads = 1;
    subject.setup.arithmetic = Arithmetic::kPacked;
    const auto model = open_model(subject.setup.path, FileAccess::kMap);
    EXPECT_TRUE(model.ok()) << model.status().message();
    if (!model.ok()) return subject;
    subject.tokens =
        test::random_tokens(kPromptTokens + kGeneratedTokens, (*model)->config().vocab_size);
    return subject;
  }
};

TEST_P(PackedMixes, BitsDoNotDependOnPieces) { expect_bits_of_any_pieces(subject()); }

TEST_P(PackedMixes, BitsDoNotDependOnThreadsOrBatchRows) { expect_bits_of_any_threads(subject()); }

TEST_P(PackedMixes, EveryIsaLevelGivesTheBitsOfGeneric) { expect_bits_of_any_level(subject()); }

INSTANTIATE_TEST_SUITE_P(Files, PackedMixes, ::testing::Values("q4_k_m", "q5_k_m"),
                         [](const auto& c) { return std::string(c.param); });

// What the tests above rest on: their files hold Q4_K, Q5_K and Q6_K, packed as they are.
TEST(PackedMixFiles, HoldEveryKQuant) {
  std::set<Encoding> found;
  for (const char* name : {"q4_k_m", "q5_k_m"}) {
    RunSetup setup;
    setup.path = test::data_path(std::string("golden/llama_cpp/phi4-mini-") + name + ".gguf");
    setup.arithmetic = Arithmetic::kPacked;
    Running run;
    test::open(setup, &run);
    if (HasFatalFailure()) return;
    std::vector<Encoding> encodings;
    visit_linear_matrices(*run.executor->engine().weights,
                          [&](const std::string& matrix, const PreparedMatrix& w) {
                            EXPECT_EQ(w.form, PreparedMatrix::Form::kTiles) << name << matrix;
                            encodings.push_back(w.tiles.encoding);
                          });
    size_t at = 0;
    visit_linear_matrices(run.model->weights(),
                          [&](const std::string& matrix, const PreparedMatrix& w) {
                            EXPECT_EQ(encodings[at++], w.rows.encoding) << name << matrix;
                            found.insert(w.rows.encoding);
                          });
  }
  EXPECT_TRUE(found.contains(Encoding::kQ4B32MS256));
  EXPECT_TRUE(found.contains(Encoding::kQ5B32MS256));
  EXPECT_TRUE(found.contains(Encoding::kQ6B16S256));
}

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
    const PreparedWeights& prepared = *run.executor->engine().weights;
    std::vector<const PreparedMatrix*> matrices;
    visit_linear_matrices(
        prepared, [&](const std::string&, const PreparedMatrix& w) { matrices.push_back(&w); });
    size_t at = 0;
    visit_linear_matrices(
        run.model->weights(), [&](const std::string& matrix, const PreparedMatrix& source) {
          SCOPED_TRACE(matrix);
          const WeightRows& w = source.rows;
          const PreparedMatrix& found_matrix = *matrices[at++];
          if (found_matrix.form != PreparedMatrix::Form::kTiles || HasFatalFailure()) return;
          ++packed;
          const WeightTiles& tiles = found_matrix.tiles;
          ASSERT_EQ(tiles.encoding, w.encoding);
          std::vector<float> expected(static_cast<size_t>(w.k));
          std::vector<float> found(expected.size());
          for (int64_t row = 0; row < w.n; ++row) {
            const DequantizeArgs decode = {w.k, w.row(row), expected.data()};
            kernels.dequantize[static_cast<size_t>(w.encoding)](&decode);
            const LookupArgs look_up = {w.k, tiles.tile(row / kTileRows), row % kTileRows,
                                        found.data()};
            kernels.lookup[static_cast<size_t>(w.encoding)](&look_up);
            ASSERT_EQ(std::memcmp(found.data(), expected.data(), found.size() * 4), 0) << row;
          }
        });
    // Norms are no matrices; all but a float head and embedding are packed.
    EXPECT_GE(packed, static_cast<int>(7 * prepared.layers.size())) << name;
  }
}

TEST(PackedFiles, NumbersThatAreNoWeightsAreRefused) {
  struct Case {
    float value;
    Encoding weights;
    const char* message;
  };
  const Case cases[] = {
      {NAN, Encoding::kQ4B32, ": layers.1.o: row 3, column 32: the scale of the block is infinite"},
      {INFINITY, Encoding::kQ5B32, ": layers.1.o: row 3, column 32: the scale of the block"},
      {-1e9f, Encoding::kQ8B32, ": layers.1.o: row 3, column 32: the scale of the block"},
      {1e5f, Encoding::kF16, ": layers.1.o: row 3, column 37: the weight is infinite or not"},
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
