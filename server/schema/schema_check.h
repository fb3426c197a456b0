// Which JSON schemas an answer can be held to.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace midge {

/// What of a schema is not supported.
struct SchemaFault {
  std::string pointer;  ///< JSON pointer (RFC 6901) into the schema; "" is its root, shown as "/"
  std::string message;
};

/// Most schemas within a schema.
inline constexpr size_t kSchemasMax = 10000;

/// Looks for keywords and formats that cannot be held to, references beyond the schema itself, and
/// values of the wrong type. Keywords that only describe are fine. What is found here never reaches
/// the compiler of grammars, whose errors name no place. `schema` is JSON text within
/// kJsonDepthMax; time O(n).
std::optional<SchemaFault> find_unsupported(std::string_view schema);

}  // namespace midge
