// What was measured of a packed model, kept in its file outside of the content id.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/core/status.h"
#include "engine/packed/packed_file.h"

namespace midge {

/// One measurement: how far the model's predictions of a text are from another model's.
struct PackedQuality {
  std::string text;        ///< name of the text, at most kQualityNameMax bytes
  std::string reference;   ///< name of the other model, the same
  int64_t scored = 0;      ///< tokens that had a prediction
  int64_t window = 0;      ///< tokens that were read together
  bool generated = false;  ///< in the arithmetic of generated rows, not that of prompts
  double perplexity = 0;
  double reference_perplexity = 0;
  double kl_mean = 0;         ///< nats
  double kl_p99 = 0;          ///< nats
  double top1_agreement = 0;  ///< 0..1

  friend bool operator==(const PackedQuality&, const PackedQuality&) = default;
};

inline constexpr size_t kQualityNameMax = 256;
/// A file keeps as many; the oldest goes.
inline constexpr size_t kQualitiesMax = 64;

/// What is kept in the file, oldest first; empty if nothing is. Errors: invalid_file.
Result<std::vector<PackedQuality>> read_packed_quality(const PackedFile& file);

/// Writes the file anew with one measurement more, which replaces that of the same text, reference,
/// window and arithmetic. Its content id stays. Whoever has it open keeps the old file.
/// on_progress(done, total), if given, is told bytes. Errors: those of PackedFile::open and of
/// PackedWriter; invalid_argument (names that are too long).
Status keep_packed_quality(const std::string& path, const PackedQuality& quality,
                           const std::function<void(int64_t, int64_t)>& on_progress = nullptr);

}  // namespace midge
