#include "api/loaded_model.h"

#include <chrono>

#include "api/foreign_model.h"
#include "engine/chat/chat.h"
#include "engine/core/visible.h"
#include "engine/packed/packed_file.h"
#include "engine/packed/packed_model.h"

namespace midge {

Result<Tokenizer> load_tokenizer(const std::string& path, FileAccess access,
                                 const CopyProgress& on_copy) {
  if (!is_packed_file(path)) return load_foreign_tokenizer(path, access, on_copy);
  MIDGE_ASSIGN_OR_RETURN(std::shared_ptr<const PackedFile> packed,
                         PackedFile::open(path, access, on_copy));
  return open_packed_tokenizer(std::move(packed));
}

namespace {

MemoryRequest memory_request(const LoadOptions& options) {
  return {options.executor, options.sequence, options.sequences, options.drafts,
          options.access == FileAccess::kCopy};
}

}  // namespace

Result<MemoryPlan> plan_memory(const std::string& path, const LoadOptions& options) {
  LoadedModel loaded(path);
  MIDGE_RETURN_IF_ERROR(loaded.open_parts(options));
  return plan_memory(*loaded.model_, memory_request(options));
}

Result<int64_t> context_within_budget(const std::string& path, const LoadOptions& options,
                                      int64_t budget) {
  LoadedModel loaded(path);
  MIDGE_RETURN_IF_ERROR(loaded.open_parts(options));
  return context_within_budget(*loaded.model_, memory_request(options), budget);
}

Result<std::unique_ptr<LoadedModel>> LoadedModel::open(const std::string& path,
                                                       const LoadOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  std::unique_ptr<LoadedModel> loaded(new LoadedModel(path));
  MIDGE_RETURN_IF_ERROR(loaded->open_parts(options));
  MIDGE_RETURN_IF_ERROR(loaded->make_executor(options));
  loaded->load_seconds_ =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return loaded;
}

Result<std::unique_ptr<LoadedModel>> LoadedModel::adopt(std::string name,
                                                        std::unique_ptr<Model> model,
                                                        const LoadOptions& options) {
  std::unique_ptr<LoadedModel> loaded(new LoadedModel(std::move(name)));
  loaded->model_ = std::move(model);
  MIDGE_RETURN_IF_ERROR(loaded->make_executor(options));
  return loaded;
}

Status LoadedModel::make_executor(const LoadOptions& options) {
  ExecutorOptions executor = options.executor;
  if (options.memory_budget.has_value()) {
    MIDGE_RETURN_IF_ERROR(check_budget(*model_, memory_request(options), *options.memory_budget));
    if (executor.residency == Residency::kLazy) executor.residency = Residency::kResident;
  }
  if (options.makes_executor) {
    MIDGE_ASSIGN_OR_RETURN(executor_, Executor::create(*model_, executor, options.on_weights));
  }
  return Status();
}

// Model and tokenizer.
Status LoadedModel::open_parts(const LoadOptions& options) {
  const auto use_tokenizer = [&](Result<Tokenizer> opened, const ModelConfig& config) -> Status {
    MIDGE_ASSIGN_OR_RETURN(tokenizer_, std::move(opened));
    return check_tokenizer(config);
  };
  if (options.image.empty() && !is_packed_file(path_)) {
    MIDGE_ASSIGN_OR_RETURN(model_, open_foreign_model(path_, options, use_tokenizer));
    return Status();
  }
  if (!options.mtp_file.empty()) {
    return make_status(StatusCode::kInvalidArgument,
                       "%s: packed already; %s is laid over a Hugging Face folder, also when that "
                       "is packed (midge pack)",
                       shown_path(path_).c_str(), shown_path(options.mtp_file).c_str());
  }
  MIDGE_ASSIGN_OR_RETURN(MappedFile bytes,
                         options.image.empty()
                             ? MappedFile::open(path_, options.access, options.on_copy)
                             : Result<MappedFile>(MappedFile::borrow(path_, options.image)));
  MIDGE_ASSIGN_OR_RETURN(const std::shared_ptr<const PackedFile> file,
                         PackedFile::open(std::move(bytes)));
  MIDGE_ASSIGN_OR_RETURN(model_, open_packed_model(file));
  if (!options.needs_tokenizer) return Status();
  return use_tokenizer(open_packed_tokenizer(file), model_->config());
}

Status check_vocabulary_size(const std::string& path, const Tokenizer& tokenizer,
                             const ModelConfig& config) {
  if (tokenizer.vocab_size() <= config.vocab_size) return Status();
  return make_status(StatusCode::kModelMismatch,
                     "%s: the tokenizer has ids up to %d, the embedding %lld rows",
                     shown_path(path).c_str(), tokenizer.vocab_size() - 1,
                     static_cast<long long>(config.vocab_size));
}

Status LoadedModel::check_tokenizer(const ModelConfig& config) {
  MIDGE_RETURN_IF_ERROR(check_vocabulary_size(path_, *tokenizer_, config));
  allowed_ = midge::allowed_tokens(*tokenizer_, config.vocab_size);
  return Status();
}

Result<std::vector<int32_t>> LoadedModel::encode_prompt(std::string_view text, size_t tokens_max,
                                                        SpecialTokens special) const {
  std::vector<int32_t> tokens;
  if (tokenizer().add_bos() && tokenizer().bos_id() >= 0) tokens.push_back(tokenizer().bos_id());
  MIDGE_RETURN_IF_ERROR(tokenizer().encode(text, special, &tokens, tokens_max));
  return tokens;
}

Result<std::vector<int32_t>> LoadedModel::stop_ids() const {
  return midge::stop_ids(tokenizer(), model().config().eos_ids);
}

}  // namespace midge
