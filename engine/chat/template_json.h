// JSON as chat templates write it.
#pragma once

#include <string>

#include <simdjson.h>

namespace midge {

/// `value` as the filter tojson of transformers' chat templates writes it, which is Python's
/// json.dumps(value, ensure_ascii=False): ", " and ": " between, members in the order of the
/// document (of members with one name the last value, at the first place), characters beyond ASCII
/// as they are, floats like Python's repr. Beyond kChatJsonWrittenMax the text ends somewhere.
std::string template_json(simdjson::dom::element value);

}  // namespace midge
