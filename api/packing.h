// From a model's files to a packed file.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/mapped_file.h"
#include "engine/core/status.h"
#include "engine/packed/pack_model.h"
#include "engine/platform/cpu_features.h"
#include "engine/weights/importance.h"
#include "engine/weights/recipe.h"
#include "kernels/kernels.h"

namespace midge {

struct PackingOptions {
  /// Nothing: quantised weights as in the files, float ones by the recipe "fast".
  std::optional<WeightRecipe> recipe;
  /// Beside that, as WeightRecipe::overrides.
  std::vector<std::pair<std::string, Encoding>> overrides;
  const Importance* importance = nullptr;   ///< null: all channels count alike
  int threads = 0;                          ///< 1..256; 0: one per core of this process
  CpuFeatures isa = detect_cpu_features();  ///< features that kernels may use; this machine's
  FileAccess access = FileAccess::kMap;
  TemporaryFile::Readers readers = TemporaryFile::Readers::kByUmask;
  std::function<void(int64_t done, int64_t total)> on_weights;  ///< bytes written; may be empty
};

/// Packs the model at `source`, a Hugging Face directory or a GGUF file, into `out`. Without a
/// tokenizer that can be read the file has none, and *tokenizer_status says why.
/// Errors: those of WeightSource::open, open_model and pack_model; invalid_argument (`out` is the
/// source, or a folder).
Result<PackedFileInfo> pack_file(const std::string& source, const std::string& out,
                                 const PackingOptions& options, Status* tokenizer_status);

}  // namespace midge
