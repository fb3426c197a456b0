// The tokenizer of a Hugging Face directory, whichever file holds it.
#pragma once

#include <string>

#include "engine/core/status.h"
#include "engine/tokenizer/tokenizer.h"

namespace midge {

/// Loads tokenizer.json or, where there is none, tokenizer.model. Errors: not_found (neither file),
/// and those of load_tokenizer_json and load_tokenizer_model.
Result<Tokenizer> load_tokenizer_directory(const std::string& directory);

}  // namespace midge
