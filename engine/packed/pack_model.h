// Makes a packed file of a model: one pass over its weights, tensor by tensor.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "engine/core/status.h"
#include "engine/core/temporary_file.h"
#include "engine/decoder/model.h"
#include "engine/packed/packed_file.h"
#include "engine/platform/worker_team.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/weights/importance.h"
#include "engine/weights/recipe.h"
#include "kernels/kernels.h"

namespace midge {

struct PackOptions {
  WeightRecipe recipe;                     ///< nothing: as in the model's files
  const Importance* importance = nullptr;  ///< see encode_row; null: all columns count alike
  TemporaryFile::Readers readers = TemporaryFile::Readers::kByUmask;
  /// Asked of a model with an MTP layer when all of the file is written but for the answer, which
  /// is kept in it outside of the content id: image is the whole file. Empty: nothing is kept.
  std::function<Result<MtpAcceptance>(std::span<const uint8_t> image)> measure_mtp;
};

struct PackedFileInfo {
  ContentHash content_id = {};
  uint64_t bytes = 0;
  int64_t matrices_encoded = 0;  ///< that the source has in another encoding
  MtpAcceptance mtp_acceptance;  ///< as it was measured
};

/// Writes `path` with the model's weights and the tokenizer, if there is one. The same model,
/// recipe and importance give the same bytes on every machine. `path` is there when all of it is on
/// the disk; a file that was there before is replaced then.
/// Memory: a few rows per worker, the vectors, the tokenizer; then what measure_mtp takes.
/// on_progress(done, total), if given, is told bytes of weights. Errors: invalid_argument (recipe),
/// invalid_file (weights that are not finite), model_mismatch (importance), unsupported (weights
/// that are packed already), io_error.
Result<PackedFileInfo> pack_model(
    const Model& model, const Tokenizer* tokenizer, const PackOptions& options,
    const WorkerTeam& team, const KernelTable& kernels, const std::string& path,
    const std::function<void(int64_t, int64_t)>& on_progress = nullptr);

}  // namespace midge
