// A model whose weights are the tiles of a packed file, in place.
#pragma once

#include <functional>
#include <memory>

#include "engine/decoder/model.h"
#include "engine/packed/packed_file.h"
#include "engine/tokenizer/tokenizer.h"

namespace midge {

/// Config, matrices and vectors of an open file, in place. Errors: invalid_file (sections that are
/// missing or hold what they should not), model_mismatch (tensors against config), unsupported (an
/// encoding or a layout that this version does not know).
Result<std::unique_ptr<Model>> open_packed_model(std::shared_ptr<const PackedFile> file);

/// The tokenizer in place. Errors: unsupported (the file has none), invalid_file.
Result<Tokenizer> open_packed_tokenizer(std::shared_ptr<const PackedFile> file);

/// As PackedFile::verify, and names the tensors that are damaged.
Status verify_packed_model(const PackedFile& file,
                           const std::function<void(int64_t, int64_t)>& on_progress = nullptr);

}  // namespace midge
