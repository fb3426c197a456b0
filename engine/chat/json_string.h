// Strings of JSON as chat templates write them.
#pragma once

#include <string>
#include <string_view>

namespace midge {

/// Adds `text` with quotes around it, \" \\ \n \r \t \b \f and \u00XX inside, as the filter tojson
/// of transformers' chat templates writes it.
void append_json_string(std::string_view text, std::string* out);

}  // namespace midge
