// added_tokens.json, NUL, tokenizer_config.json, NUL, a text to encode, NUL, tokenizer.model.
#include "engine/tokenizer_files/tokenizer_model.h"

#include "tests/fuzz/exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace midge;
  auto fields = test::split_fields(data, size, 4);
  fields.resize(4);
  TokenizerModelFiles files;
  files.name = "tokenizer.model";
  files.model = fields[3];
  files.added_name = "added_tokens.json";
  files.added = fields[0];
  files.config_name = "tokenizer_config.json";
  files.config = fields[1];
  const auto tokenizer = parse_tokenizer_model(files);
  if (tokenizer.ok()) test::exercise_tokenizer(*tokenizer, fields[2]);
  return 0;
}
