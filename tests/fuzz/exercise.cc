#include "tests/fuzz/exercise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "engine/platform/cpu_features.h"
#include "engine/session/sampler.h"
#include "engine/session/session.h"

namespace midge::test {
namespace {

// More than that takes too long to run a thousand times a second.
constexpr int64_t kParametersMax = 1 << 20;

void dequantize_row(const WeightRows& matrix, int64_t row) {
  std::vector<float> values(static_cast<size_t>(matrix.k));
  static const KernelTable kernels = make_kernel_table({detect_cpu_features(), ""});
  const DequantizeArgs args = {matrix.k, matrix.row(row), values.data()};
  kernels.dequantize[static_cast<int>(matrix.encoding)](&args);
}

}  // namespace

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

std::vector<std::string_view> split_fields(const uint8_t* data, size_t size, size_t count_max) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::vector<std::string_view> fields;
  while (fields.size() + 1 < count_max) {
    const size_t end = rest.find('\0');
    if (end == std::string_view::npos) break;
    fields.push_back(rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  fields.push_back(rest);
  return fields;
}

void exercise_tokenizer(const Tokenizer& tokenizer, std::string_view text) {
  std::string all(text);
  for (const AddedToken& token :
       tokenizer.added_tokens().first(std::min<size_t>(tokenizer.added_tokens().size(), 16))) {
    all += " " + token.content;
  }
  for (const SpecialTokens special : {SpecialTokens::kParse, SpecialTokens::kAsText}) {
    std::vector<int32_t> ids;
    require(tokenizer.encode(all, special, &ids).ok(), "any text can be encoded");
    for (const int32_t id : ids) require(tokenizer.has_token(id), "encoding gives known ids");
    const Result<std::string> decoded = tokenizer.decode(ids);
    require(decoded.ok(), "ids of a text can be decoded");
    require(tokenizer.decode(ids, true).ok(), "ids of a text can be decoded without specials");
  }
  for (const int32_t id : {-1, 0, tokenizer.bos_id(), tokenizer.eos_id(), tokenizer.vocab_size()}) {
    const std::vector<int32_t> one = {id};
    require(tokenizer.decode(one).ok() == tokenizer.has_token(id), "decode knows the same ids");
  }
}

// Packing refuses weights that are infinite or not numbers, and padding without end.
static bool may_be_refused(const Status& status) {
  return status.code() == StatusCode::kInvalidFile || status.code() == StatusCode::kModelMismatch;
}

// A step in an arithmetic, and tokens drawn from what it gave.
static void exercise_steps(const Model& model, Arithmetic arithmetic) {
  const ModelConfig& config = model.config();
  ExecutorOptions executor_options;
  executor_options.threads = 1;
  executor_options.arithmetic = arithmetic;
  executor_options.rows_max = 2;
  executor_options.context_max = std::min<int64_t>(config.context_length, 4);
  executor_options.logit_rows_max = 1;
  const auto executor = Executor::create(model, executor_options);
  if (!executor.ok()) {
    require(arithmetic == Arithmetic::kPacked && may_be_refused(executor.status()),
            "an executor can be made");
    return;
  }
  SequenceOptions options;
  options.context_length = executor_options.context_max;
  const auto session = Session::create(**executor, options);
  require(session.ok(), "a session can be made");
  const std::vector<int32_t> tokens(
      static_cast<size_t>(std::min<int64_t>(options.context_length, 2)),
      static_cast<int32_t>(config.vocab_size - 1));
  const std::vector<int32_t> rows = {0};
  std::vector<float> logits(static_cast<size_t>(config.vocab_size));
  RowOutputs outputs;
  outputs.logits_rows = rows;
  outputs.logits = logits.data();
  require((*session)->step(tokens, outputs).ok(), "a step can be taken");
  // Whatever the weights made of it, a token must come out.
  for (const float temperature : {0.0f, 1.0f}) {
    SamplerOptions sampling;
    sampling.temperature = temperature;
    sampling.top_p = 0.9f;
    const std::vector<uint8_t> allowed(logits.size(), 1);
    auto sampler = Sampler::create(sampling, allowed, 2);
    require(sampler.ok(), "a sampler can be made");
    const int32_t token = sampler->sample(logits.data(), 1, (*executor)->sampler_workspace(0));
    require(token >= 0 && token < config.vocab_size, "a sampled token has a row");
  }
}

void exercise_model(const Model& model) {
  visit_linear_matrices(model.weights(), [](const std::string&, const PreparedMatrix& matrix) {
    if (matrix.form != PreparedMatrix::Form::kRows) return;
    dequantize_row(matrix.rows, 0);
    dequantize_row(matrix.rows, matrix.rows.n - 1);
  });
  if (model.parameter_count() > kParametersMax) return;
  for (const Arithmetic arithmetic : {Arithmetic::kFloat, Arithmetic::kPacked}) {
    exercise_steps(model, arithmetic);
  }
}

namespace {

// The logits of a prompt of two tokens and of three steps after it, in turn; empty if the weights
// cannot be packed.
std::vector<float> decode_logits(const Model& model, CpuFeatures features) {
  constexpr int64_t kSteps = 3;
  const ModelConfig& config = model.config();
  ExecutorOptions executor_options;
  executor_options.threads = 1;
  executor_options.isa = features;
  executor_options.rows_max = 2;
  executor_options.context_max = std::min<int64_t>(config.context_length, 2 + kSteps);
  executor_options.logit_rows_max = 1;
  const auto executor = Executor::create(model, executor_options);
  if (!executor.ok()) {
    require(may_be_refused(executor.status()), "an executor can be made");
    return {};
  }
  SequenceOptions options;
  options.context_length = executor_options.context_max;
  const auto session = Session::create(**executor, options);
  require(session.ok(), "a session can be made");
  const auto vocab = static_cast<size_t>(config.vocab_size);
  std::vector<float> all;
  std::vector<int32_t> tokens = {0, static_cast<int32_t>(config.vocab_size - 1)};
  tokens.resize(static_cast<size_t>(std::min<int64_t>(options.context_length, 2)));
  const std::vector<uint8_t> allowed(vocab, 1);
  auto sampler = Sampler::create({}, allowed, options.context_length);
  require(sampler.ok(), "a sampler can be made");
  while ((*session)->length() + static_cast<int64_t>(tokens.size()) <= options.context_length) {
    const int32_t last = static_cast<int32_t>(tokens.size()) - 1;
    all.resize(all.size() + vocab);
    RowOutputs outputs;
    outputs.logits_rows = {&last, 1};
    outputs.logits = all.data() + all.size() - vocab;
    const RowRole role = (*session)->length() == 0 ? RowRole::kPrompt : RowRole::kGenerated;
    require((*session)->step(tokens, outputs, role).ok(), "a step can be taken");
    tokens = {sampler->sample(outputs.logits, static_cast<uint64_t>((*session)->length()),
                              (*executor)->sampler_workspace(0))};
    require(tokens[0] >= 0 && tokens[0] < config.vocab_size, "a sampled token has a row");
  }
  return all;
}

// The same bits, where a NaN is as good as another.
bool same(std::span<const float> a, std::span<const float> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float x, float y) {
    return std::bit_cast<uint32_t>(x) == std::bit_cast<uint32_t>(y) ||
           (std::isnan(x) && std::isnan(y));
  });
}

}  // namespace

namespace {

// Those of this machine, but for the portable kernels.
std::vector<IsaLevel> other_levels(const CpuFeatures& available) {
  std::vector<IsaLevel> levels;
  for (int i = 0; i < kIsaLevelCount; ++i) {
    const auto level = static_cast<IsaLevel>(i);
    if (level != IsaLevel::kGeneric && has_level(available, level)) levels.push_back(level);
  }
  return levels;
}

}  // namespace

void exercise_any_decode(const Model& model, size_t choice) {
  if (model.parameter_count() > kParametersMax) return;
  const CpuFeatures available = detect_cpu_features();
  decode_logits(model, up_to_level(available, IsaLevel::kGeneric));
  const std::vector<IsaLevel> levels = other_levels(available);
  if (levels.empty()) return;
  decode_logits(model, up_to_level(available, levels[choice % levels.size()]));
}

void exercise_decode(const Model& model, size_t choice) {
  if (model.parameter_count() > kParametersMax) return;
  const CpuFeatures available = detect_cpu_features();
  const std::vector<IsaLevel> levels = other_levels(available);
  const std::vector<float> expected =
      decode_logits(model, up_to_level(available, IsaLevel::kGeneric));
  if (levels.empty()) return;
  const IsaLevel level = levels[choice % levels.size()];
  require(same(decode_logits(model, up_to_level(available, level)), expected),
          "every level gives the bits of the portable kernels");
}

}  // namespace midge::test
