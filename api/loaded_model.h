// A model that is ready to run: weights, tokenizer and executor, opened in one call.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/mapped_file.h"
#include "engine/scheduler/memory_plan.h"
#include "engine/scheduler/scheduler.h"
#include "engine/session/generator.h"
#include "engine/session/session.h"
#include "engine/tokenizer/tokenizer.h"

namespace midge {

/// How a model is opened.
struct LoadOptions {
  FileAccess access = FileAccess::kMap;
  /// Bytes of a packed file that the program has in memory, at a multiple of 64, which stay as long
  /// as the model: opened instead of the file at `path`, which is its name then.
  std::span<const uint8_t> image;
  /// Safetensors file with an MTP layer in place of the model's, see lay_mtp_over; empty: none. Not
  /// for packed files, whose layer is packed: invalid_argument.
  std::string mtp_file;
  bool needs_tokenizer = true;  ///< without: no text in or out
  bool makes_executor = true;   ///< without: whoever uses the model makes one (Engine)
  ExecutorOptions executor;
  CopyProgress on_copy;  ///< told of each file that kCopy reads; may be empty
  std::function<void(int64_t done, int64_t total)> on_weights;  ///< of preparing; may be empty
  /// Most bytes that the model, its executor and the sequences below may take; nothing: no limit.
  /// Then a model that needs more is refused before its weights are read, and its weights and the
  /// memory of a pass are resident at once (Residency::kResident).
  std::optional<int64_t> memory_budget;
  SequenceOptions sequence;  ///< for memory_budget: of each sequence
  int64_t sequences = 1;     ///< for memory_budget
  DraftOptions drafts;       ///< for memory_budget: of the sequences
};

/// That every id of a tokenizer has a row. Errors: model_mismatch, naming `path`.
Status check_vocabulary_size(const std::string& path, const Tokenizer& tokenizer,
                             const ModelConfig& config);

/// Everything that sessions of one model share. Does not move: sessions point into it. The parts
/// say what may be done from several threads; running a session is for one at a time.
class LoadedModel {
 public:
  /// path: a packed file, a Hugging Face directory or a GGUF file. Errors: those of
  /// PackedFile::open, WeightSource::open, open_model, the tokenizer's readers and
  /// Executor::create; model_mismatch (more ids than embedding rows); out_of_memory (beyond the
  /// budget, see check_budget).
  static Result<std::unique_ptr<LoadedModel>> open(const std::string& path,
                                                   const LoadOptions& options);

  /// One that was made and not read, without a tokenizer. name: in place of a path. Errors: those
  /// of Executor::create; out_of_memory.
  static Result<std::unique_ptr<LoadedModel>> adopt(std::string name, std::unique_ptr<Model> model,
                                                    const LoadOptions& options);

  const std::string& path() const { return path_; }
  const Model& model() const { return *model_; }
  /// makes_executor holds.
  Executor& executor() const { return *executor_; }
  bool has_tokenizer() const { return tokenizer_.has_value(); }
  /// has_tokenizer() holds.
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  /// [vocab_size], nonzero for ids that are tokens; see Sampler::create. Empty without tokenizer.
  std::span<const uint8_t> allowed_tokens() const { return allowed_; }
  /// From open() to the end of it.
  double load_seconds() const { return load_seconds_; }

  /// A new sequence of this model, which outlives it. Errors: those of Session::create.
  Result<std::unique_ptr<Session>> new_session(const SequenceOptions& options) const {
    return Session::create(*executor_, options);
  }

  /// Runs requests side by side; outlived by the model, which has a tokenizer. Errors: those of
  /// Scheduler::create.
  Result<std::unique_ptr<Scheduler>> new_scheduler(const SchedulerOptions& options) const {
    return Scheduler::create(*executor_, *tokenizer_, allowed_, options);
  }

  /// See Executor::trim; sessions have their own (Session::trim). What Android's onTrimMemory asks
  /// for. Errors: busy.
  Status trim() { return executor_->trim(); }

  /// Ids of `text`, the start token first if the tokenizer asks for one. tokens_max and errors:
  /// those of Tokenizer::encode.
  Result<std::vector<int32_t>> encode_prompt(std::string_view text,
                                             size_t tokens_max = kAnyTokenCount,
                                             SpecialTokens special = SpecialTokens::kAsText) const;
  /// Ids that end an answer: those of the model and of its chat turns. Errors: model_mismatch.
  Result<std::vector<int32_t>> stop_ids() const;

 private:
  friend Result<MemoryPlan> plan_memory(const std::string&, const LoadOptions&);
  friend Result<int64_t> context_within_budget(const std::string&, const LoadOptions&, int64_t);

  Status open_parts(const LoadOptions& options);
  Status make_executor(const LoadOptions& options);
  Status check_tokenizer(const ModelConfig& config);

  explicit LoadedModel(std::string path) : path_(std::move(path)) {}

  std::string path_;
  std::unique_ptr<Model> model_;
  std::optional<Tokenizer> tokenizer_;
  std::vector<uint8_t> allowed_;
  std::unique_ptr<Executor> executor_;
  double load_seconds_ = 0;
};

/// What the model at `path` will take, found without reading its weights. Errors: those of
/// LoadedModel::open up to there, and of plan_memory.
Result<MemoryPlan> plan_memory(const std::string& path, const LoadOptions& options);
/// The largest context with which it takes at most `budget` bytes; 0: none.
Result<int64_t> context_within_budget(const std::string& path, const LoadOptions& options,
                                      int64_t budget);

/// The tokenizer at `path`, a packed file, a Hugging Face directory or a GGUF file, without the
/// weights.
Result<Tokenizer> load_tokenizer(const std::string& path, FileAccess access,
                                 const CopyProgress& on_copy = nullptr);

}  // namespace midge
