// tokenizer.json, NUL, tokenizer_config.json, NUL, chat_template.jinja, NUL, a text to encode.
#include "engine/tokenizer_files/tokenizer_json.h"

#include "engine/chat/chat.h"
#include "tests/fuzz/exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace midge;
  auto fields = test::split_fields(data, size, 4);
  fields.resize(4);
  const auto tokenizer = parse_tokenizer_json("tokenizer.json", fields[0], "tokenizer_config.json",
                                              fields[1], fields[2]);
  if (!tokenizer.ok()) return 0;
  test::exercise_tokenizer(*tokenizer, fields[3]);
  (void)stop_ids(*tokenizer, {});
  (void)detect_chat_template(tokenizer->chat_template());
  return 0;
}
