// Opening the model that options name: what they ask of its executor, its memory and its cache.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "api/loaded_model.h"
#include "api/packing.h"
#include "cli/common.h"
#include "cli/terminal.h"

namespace midge {

/// A model and the session that a command runs.
struct OpenedModel {
  std::unique_ptr<LoadedModel> model;
  std::unique_ptr<Session> session;
  std::unique_ptr<Speculation> speculation;  ///< null without drafts
};

/// The status with what helps, if it says that a prompt is too long for the context.
Status with_context_hint(const Status& status, const OpenedModel& loaded);

/// Most tokens that the session can hold.
size_t context_tokens(const OpenedModel& loaded);

/// True if kernels are to be chosen by measured rates: nothing forces a choice.
bool calibrates(const RunOptions& options);

/// --cache-dir, or the user's cache folder: $XDG_CACHE_HOME/midge, $HOME/.cache/midge. Empty if
/// there is none.
std::string cache_dir(const RunOptions& options);

/// Bytes of a size as people write it: "2GiB", "1.5 GB", "300MB", "1000". Errors:
/// invalid_argument.
Result<int64_t> parse_size(const std::string& text);

/// What the options ask of a model that is opened, but for --importance. Errors: those of
/// executor_options and parse_size.
Result<LoadOptions> load_options(const RunOptions& options);

/// What --recipe, --weights and --tensor ask for. Errors: invalid_argument.
Result<WeightRecipe> weight_recipe(const RunOptions& options);

/// What the options ask of the executor, but for --importance. Errors: invalid_argument (ISA level,
/// encoding, recipe, a glob that no kernel matches).
Result<ExecutorOptions> executor_options(const RunOptions& options);

/// How options ask for files to be read.
FileAccess file_access(const RunOptions& options);

/// Shows a progress bar for each file that --no-mmap copies, on a terminal.
class CopyProgressBar {
 public:
  /// Valid as long as this object.
  CopyProgress callback();
  /// Erases what is shown.
  void finish() { bar_.reset(); }

 private:
  std::string path_;  // of the file that bar_ is about
  std::unique_ptr<ProgressBar> bar_;
};

/// Shows a progress bar for each part of packing, on a terminal. Ctrl-C cancels the last one.
class PackingBars {
 public:
  /// Valid as long as this object.
  void show(PackingOptions& options);
  /// Erases what is shown.
  void finish() { bar_.reset(); }

 private:
  std::optional<ProgressBar> bar_;
  bool measures_ = false;
};

/// Opens a model as the options say; shows progress bars on a terminal and prints the model's
/// warnings to stderr.
Result<OpenedModel> load_model(const RunOptions& options);

/// The same without a session.
Result<std::unique_ptr<LoadedModel>> load_model_alone(const RunOptions& options);

/// Of the weights of a synthetic model: --weights, or q4b32. Errors: invalid_argument.
Result<Encoding> synthetic_encoding(const RunOptions& options);

/// A model with random weights, see synthetic_model(); --weights is its encoding (q4b32 without).
/// Shows a progress bar on a terminal. Errors: those of synthetic_model and LoadedModel::adopt.
Result<std::unique_ptr<LoadedModel>> load_synthetic(const std::string& name,
                                                    const RunOptions& options);

}  // namespace midge
