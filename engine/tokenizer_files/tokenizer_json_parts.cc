#include "engine/tokenizer_files/tokenizer_json_parts.h"

namespace midge {

Status json_unsupported(const JsonObject& root, const char* place, std::string_view found,
                        const char* expected) {
  return make_status(StatusCode::kUnsupported, "%s: %s is '%s', expected %s", root.name().c_str(),
                     place, printable(found).c_str(), expected);
}

Result<JsonObject> json_as_object(const JsonObject& root, const std::string& place,
                                  simdjson::dom::element value) {
  simdjson::dom::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) {
    return make_status(StatusCode::kInvalidFile, "%s: %s is %s, expected an object",
                       root.name().c_str(), place.c_str(), json_type_name(value));
  }
  return JsonObject(object, &root.name());
}

Result<std::string_view> json_type(const JsonObject& object) {
  return object.string_or("type", "");
}

Status read_added_token(const JsonObject& object, int64_t id, AddedToken* token) {
  MIDGE_ASSIGN_OR_RETURN(const std::string_view content, object.string("content"));
  MIDGE_ASSIGN_OR_RETURN(token->special, object.boolean_or("special", false));
  MIDGE_ASSIGN_OR_RETURN(token->single_word, object.boolean_or("single_word", false));
  MIDGE_ASSIGN_OR_RETURN(token->lstrip, object.boolean_or("lstrip", false));
  MIDGE_ASSIGN_OR_RETURN(token->rstrip, object.boolean_or("rstrip", false));
  MIDGE_ASSIGN_OR_RETURN(token->normalized, object.boolean_or("normalized", !token->special));
  token->id = static_cast<int32_t>(id);
  token->content = content;
  return Status();
}

}  // namespace midge
