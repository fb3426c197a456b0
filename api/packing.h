// From a model's files to a packed file.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/mapped_file.h"
#include "engine/core/status.h"
#include "engine/packed/pack_model.h"
#include "engine/platform/cpu_features.h"
#include "engine/session/executor.h"
#include "engine/weights/bit_allocation.h"
#include "engine/weights/importance.h"
#include "engine/weights/recipe.h"
#include "kernels/kernels.h"

namespace midge {

struct PackingOptions {
  /// Nothing: quantised weights as in the files, float ones by the recipe "fast".
  std::optional<WeightRecipe> recipe;
  /// Beside that, as WeightRecipe::overrides.
  std::vector<std::pair<std::string, Encoding>> overrides;
  std::string mtp_file;                     ///< as LoadOptions::mtp_file
  const Importance* importance = nullptr;   ///< null: all channels count alike
  int threads = 0;                          ///< 1..256; 0: one per core of this process
  CpuFeatures isa = detect_cpu_features();  ///< features that kernels may use; this machine's
  FileAccess access = FileAccess::kMap;
  TemporaryFile::Readers readers = TemporaryFile::Readers::kByUmask;
  bool needs_tokenizer = false;  ///< if it cannot be read, that is an error, and nothing is written
  std::function<void(int64_t done, int64_t total)> on_weights;  ///< bytes written; may be empty
  /// Tokens of measure_mtp_acceptance, which follows for models with an MTP layer and a tokenizer;
  /// false cancels. May be empty.
  std::function<bool(int64_t done, int64_t total)> on_mtp;
};

/// Whether `source` can be packed into a file at `out`, as far as paths tell. Errors:
/// invalid_argument (`out` is the source, or a folder; the source is packed), not_found (`out` is
/// in a folder that is not there).
Status check_pack_paths(const std::string& source, const std::string& out);

/// Packs the model at `source`, a Hugging Face directory or a GGUF file, into `out`. Without a
/// tokenizer that can be read the file has none, and *tokenizer_status says why.
/// Errors: those of check_pack_paths, WeightSource::open, open_model and pack_model; model_mismatch
/// (a tokenizer with more ids than the embedding has rows); what *tokenizer_status says, if one is
/// needed.
Result<PackedFileInfo> pack_file(const std::string& source, const std::string& out,
                                 const PackingOptions& options, Status* tokenizer_status);

/// How many bits choose_encodings may spend, and what it measures with.
struct BitBudget {
  double bits_per_weight = 0;                  ///< mean over the matrices of the layers
  std::string_view text;                       ///< like what the model will read
  int64_t tokens_max = 512;                    ///< of the text; more take as much longer
  Arithmetic arithmetic = Arithmetic::kFloat;  ///< or kXnnpack: faster, takes f32 copies
  std::function<bool(int64_t done, int64_t total)> on_run;  ///< false: cancelled; may be empty
};

/// An encoding of 4, 5 or 8 bits for each matrix of the layers.
struct EncodingChoice {
  WeightRecipe recipe;             ///< for PackingOptions; head and embedding as in "fast"
  std::vector<MatrixCosts> costs;  ///< as measured; PackingOptions.overrides are not among them
  std::vector<size_t> chosen;      ///< of each matrix, the index in its costs
  double bits_per_weight = 0;      ///< mean of what was chosen
  double divergence = 0;           ///< sum of what was measured for it, an estimate of its mean KL
  int64_t tokens = 0;              ///< of the text, that were used
};

/// Chooses encodings for the model at `source` by measure_sensitivity and allocate_bits.
/// options: overrides, importance, threads, isa and access count. Time: three passes over the text
/// for every matrix.
/// Errors: those of LoadedModel::open, measure_sensitivity and allocate_bits; invalid_argument (an
/// override that matches no matrix, overrides for all). What the text does not decide is checked
/// before it is read.
Result<EncodingChoice> choose_encodings(const std::string& source, const PackingOptions& options,
                                        const BitBudget& budget);

}  // namespace midge
