// Tokenizers inside GGUF files.
#pragma once

#include "engine/core/status.h"
#include "engine/formats/gguf/gguf.h"
#include "engine/tokenizer/tokenizer.h"

namespace midge {

/// Builds the tokenizer of a GGUF file, model `gpt2` (byte-level byte pair encoding) with a known
/// `tokenizer.ggml.pre`, or model `llama` (SentencePiece, merged by scores); see
/// docs/formats/tokenizers.md. The result does not refer to `file`.
/// Errors: unsupported (no vocabulary in the file, another tokenizer model, an unknown name in
/// `pre`, a normaliser's table), invalid_file (contradictory or damaged arrays, named).
Result<Tokenizer> load_tokenizer_gguf(const GgufFile& file);

}  // namespace midge
