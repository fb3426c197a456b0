#include "engine/chat/chat_json.h"

namespace midge {
namespace {

Status refuse(const std::string& name) {
  return make_status(StatusCode::kUnsupported, "%s: this build of midge reads no JSON",
                     name.c_str());
}

}  // namespace

Result<std::vector<ChatTool>> parse_chat_tools(const std::string& name, std::string_view) {
  return refuse(name);
}

Result<std::vector<ChatMessage>> parse_chat_messages(const std::string& name, std::string_view) {
  return refuse(name);
}

}  // namespace midge
