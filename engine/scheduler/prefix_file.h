// Files that keep what a model has read of a text: its tokens, and the pages with their keys and
// values. docs/formats/prefix-files.md is the format.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "engine/core/mapped_file.h"
#include "engine/decoder/decoder.h"
#include "engine/packed/packed_file.h"
#include "engine/session/kv_pool.h"
#include "engine/session/sequence.h"

namespace midge {

/// What a file says of the pages in it.
struct PrefixInfo {
  ContentHash model = {};  ///< see model_identity
  RopeRegime regime = RopeRegime::kShort;
  std::span<const int32_t> tokens;
  std::span<const RowRole> roles;  ///< of the tokens
  MtpPositions mtp;                ///< of a file for pages without room for the layer: none
};

/// Writes a file that is there as a whole or not at all. page_ids: those of `pool` that hold the
/// tokens; nobody writes to them meanwhile. Errors: io_error.
Status save_prefix_file(const std::string& path, const PrefixInfo& info, const KvPool& pool,
                        std::span<const int32_t> page_ids);

struct PrefixHeader;

/// An open file. Immutable.
class PrefixFile {
 public:
  /// Checks every byte. Errors: those of MappedFile::open; invalid_file (not such a file,
  /// truncated, damaged); unsupported (of another version); model_mismatch (of another model, or of
  /// pages of another kind than `layout`; either may have the MTP layer alone).
  static Result<PrefixFile> open(const std::string& path, const ContentHash& model,
                                 const KvLayout& layout, const ModelConfig& config);

  const PrefixInfo& info() const { return info_; }
  int64_t page_count() const;
  /// Copies what page `index` holds into a page of the pool, as far as that has room for layers.
  void read_page(int64_t index, uint8_t* page) const;

 private:
  Status read_header(PrefixHeader* into) const;
  Status read(const PrefixHeader& header, const ContentHash& model, const KvLayout& layout,
              const ModelConfig& config);
  Status refuse(StatusCode code, const std::string& what) const;

  MappedFile file_;
  KvLayout layout_;         // of the file
  int64_t page_bytes_ = 0;  // of the pool
  PrefixInfo info_;
  const uint8_t* pages_ = nullptr;
};

}  // namespace midge
