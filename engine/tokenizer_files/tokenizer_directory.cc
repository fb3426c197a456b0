#include "engine/tokenizer_files/tokenizer_directory.h"

#include "engine/core/mapped_file.h"
#include "engine/core/visible.h"
#include "engine/tokenizer_files/tokenizer_json.h"
#include "engine/tokenizer_files/tokenizer_model.h"

namespace midge {

Result<Tokenizer> load_tokenizer_directory(const std::string& directory) {
  if (is_regular_file(join_path(directory, "tokenizer.json"))) {
    return load_tokenizer_json(directory);
  }
  if (is_regular_file(join_path(directory, "tokenizer.model"))) {
    return load_tokenizer_model(directory);
  }
  return make_status(StatusCode::kNotFound, "%s: has neither tokenizer.json nor tokenizer.model",
                     shown_path(directory).c_str());
}

}  // namespace midge
