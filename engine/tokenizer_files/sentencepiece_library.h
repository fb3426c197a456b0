// libsentencepiece behind TextEncoder; in builds without it, the error that says so.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/core/status.h"
#include "engine/tokenizer/text_encoder.h"

namespace midge {

/// Whether this build has the library.
bool has_sentencepiece_library();

/// An encoder for a model that `parse_sentencepiece_model` has accepted. `name` stands in messages.
/// Errors: invalid_file (the library's reason), unsupported (a build without the library).
Result<std::shared_ptr<const TextEncoder>> make_sentencepiece_encoder(const std::string& name,
                                                                      std::string_view model);

}  // namespace midge
