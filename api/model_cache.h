// Packed files of models that are used again: made once, found by what they were made of.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "api/packing.h"
#include "engine/core/status.h"

namespace midge {

/// Where packed files are kept.
struct ModelCacheOptions {
  std::string folder;  ///< made for the user alone, files too; empty: no cache
  /// Files of the cache together: those that were used longest ago go first. The one in use stays.
  uint64_t bytes_max = uint64_t{32} << 30;
  uint64_t source_bytes_min = 500'000'000;  ///< smaller models are not kept
  /// Asked before a source that is not there yet is packed; false: it stays as it is. Empty: yes.
  std::function<Result<bool>()> wants_pack;
  /// Told of each file that was removed to make room.
  std::function<void(const std::string& path)> on_remove;
  /// Told before `source` is packed into `path`.
  std::function<void(const std::string& path, uint64_t source_bytes)> on_pack;
};

/// Path of the packed file of `source`: found in the cache, or made now. Empty if there is none and
/// none shall be made: a small source, a packed one, one that `wants_pack` declines. A file is
/// found by names, sizes and times of the source's files, the recipe and the importance; one that
/// is damaged, or that others may write to, is made anew. Links in the folder are not followed.
/// Errors: those of pack_file and wants_pack; io_error (the folder is a link, not the user's, or
/// others may write to it).
Result<std::string> cached_model(const std::string& source, const PackingOptions& options,
                                 const ModelCacheOptions& cache);

}  // namespace midge
