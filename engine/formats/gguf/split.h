// GGUF files split into parts NAME-00001-of-0000N.gguf: the metadata is in the first part, each
// part has its own tensors. Source: ggml docs/gguf.md and the keys that gguf-split writes.
#pragma once

#include <vector>

#include "engine/formats/gguf/gguf.h"

namespace midge {

/// Most parts of one file.
inline constexpr int64_t kSplitCountMax = 1024;

/// `first` and, where it says that it is one of several, the parts after it, found by name in its
/// folder. Errors: not_found (a part), io_error, invalid_file (a part other than the first, a name
/// that is not that of a part, parts that contradict each other about number, count or tensors).
Result<std::vector<GgufFile>> open_gguf_parts(GgufFile first, FileAccess access,
                                              const CopyProgress& on_copy = nullptr);

}  // namespace midge
