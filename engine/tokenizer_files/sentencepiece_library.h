// libsentencepiece behind TextEncoder; in builds without it, the error that says so.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/core/status.h"
#include "engine/tokenizer/text_encoder.h"
#include "engine/tokenizer_files/sentencepiece_model.h"

namespace midge {

/// Whether this build has the library.
bool has_sentencepiece_library();

/// An encoder for a model that `parse_sentencepiece_model` has accepted, and whose bytes are still
/// there. The library sees its pieces, trainer and normaliser and logs nothing. `name` stands in
/// messages. Errors: invalid_file (the library's reason; pieces made to collide in its tables),
/// unsupported (a build without the library).
Result<std::shared_ptr<const TextEncoder>> make_sentencepiece_encoder(
    const std::string& name, const SentencepieceModel& model);

}  // namespace midge
