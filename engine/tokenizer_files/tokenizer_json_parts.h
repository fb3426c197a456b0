// What the readers of tokenizer.json and of tokenizer_config.json share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/core/status.h"
#include "engine/formats/json.h"
#include "engine/tokenizer/added_tokens.h"

namespace midge {

/// "<file>: <place> is '<found>', expected <expected>", unsupported.
Status json_unsupported(const JsonObject& root, const char* place, std::string_view found,
                        const char* expected);

/// `value`, found at `place` of `root`, as an object. Errors: invalid_file.
Result<JsonObject> json_as_object(const JsonObject& root, const std::string& place,
                                  simdjson::dom::element value);

/// The "type" of an object; empty if it has none. Errors: invalid_file (not a string).
Result<std::string_view> json_type(const JsonObject& object);

/// Content and flags of an added token. Errors: invalid_file.
Status read_added_token(const JsonObject& object, int64_t id, AddedToken* token);

}  // namespace midge
