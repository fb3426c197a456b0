// The steps around the model in a tokenizer.json made from a SentencePiece vocabulary.
#pragma once

#include "engine/core/status.h"
#include "engine/formats/json.h"
#include "engine/tokenizer/tokenizer.h"

namespace midge {

/// Reads normalizer, pre_tokenizer, post_processor and decoder of `root`: how spaces are written,
/// and whether bos is put before every sequence. Errors: invalid_file, unsupported (steps other
/// than those of docs/formats/tokenizers.md, named).
Status read_sentencepiece_steps(const JsonObject& root, TokenizerDefinition* definition);

}  // namespace midge
