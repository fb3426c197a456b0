#include "api/foreign_model.h"

#include "engine/formats/weight_source.h"
#include "engine/tokenizer_files/tokenizer_directory.h"
#include "engine/tokenizer_files/tokenizer_gguf.h"
#include "models/registry.h"

namespace midge {

Result<Tokenizer> load_tokenizer(const WeightSource& source) {
  const GgufFile* gguf = source.gguf();
  return gguf != nullptr ? load_tokenizer_gguf(*gguf) : load_tokenizer_directory(source.path());
}

Result<Tokenizer> load_foreign_tokenizer(const std::string& path, FileAccess access,
                                         const CopyProgress& on_copy) {
  if (is_directory(path)) return load_tokenizer_directory(path);
  MIDGE_ASSIGN_OR_RETURN(const GgufFile file, GgufFile::open(path, access, on_copy));
  return load_tokenizer_gguf(file);
}

Result<std::unique_ptr<Model>> open_foreign_model(const std::string& path,
                                                  const LoadOptions& options,
                                                  const UseTokenizer& use_tokenizer) {
  MIDGE_ASSIGN_OR_RETURN(std::unique_ptr<WeightSource> opened,
                         WeightSource::open(path, options.access, options.on_copy));
  if (!options.mtp_file.empty()) {
    MIDGE_RETURN_IF_ERROR(lay_mtp_over(*opened, options.mtp_file, options.on_copy));
  }
  const std::shared_ptr<const WeightSource> source = std::move(opened);
  return open_model(source, [&](const ModelConfig& config) {
    return options.needs_tokenizer ? use_tokenizer(load_tokenizer(*source), config) : Status();
  });
}

}  // namespace midge
