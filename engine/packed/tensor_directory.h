// The sections "config" and "tensors" of a packed file: what the model is, and where its numbers
// lie.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/status.h"
#include "engine/decoder/model.h"
#include "kernels/encoding.h"

namespace midge {

// Layouts by name.
inline constexpr std::string_view kLayoutTiles = "tiles32";  ///< kernels/packed.h
inline constexpr std::string_view kLayoutRows = "rows";      ///< blocks of an encoding, row by row
inline constexpr std::string_view kLayoutVector = "vector";  ///< f32

/// A tensor of a packed file. Offsets are multiples of 64 in its section.
struct PackedTensor {
  std::string name;
  std::string section;  ///< "weights", "mtp" or "vectors"
  std::string layout;
  std::string encoding;  ///< of the first `columns` columns
  int64_t n = 0;
  int64_t columns = 0;
  std::string tail_encoding;  ///< of the columns behind, in tiles of their own; empty: none
  int64_t tail_columns = 0;
  uint64_t offset = 0;
  uint64_t tail_offset = 0;
  uint64_t bytes = 0;     ///< of both
  uint64_t checksum = 0;  ///< short_hash of its bytes
};

std::string write_tensors(std::span<const PackedTensor> tensors);
/// Errors (invalid_file, without the file's name): cut off, bytes behind its end.
Result<std::vector<PackedTensor>> read_tensors(std::span<const uint8_t> section);

std::string write_config(const ModelConfig& config);
/// Checked by check_config. Errors (without the file's name): invalid_file, model_mismatch.
Result<ModelConfig> read_config(std::span<const uint8_t> section);

}  // namespace midge
