// Models in the files of others: Hugging Face directories and GGUF files. A build without them
// (MIDGE_FOREIGN_FILES) opens packed files alone, and refuses these by name.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/loaded_model.h"
#include "engine/decoder/model.h"
#include "engine/tokenizer/tokenizer.h"

namespace midge {

class WeightSource;

/// Takes over a tokenizer that was read, or says why not.
using UseTokenizer = std::function<Status(Result<Tokenizer> opened, const ModelConfig& config)>;

/// The model at `path`; its tokenizer, if options want one, goes to use_tokenizer before the
/// weights are looked at. Errors: those of WeightSource::open, open_model and use_tokenizer;
/// unsupported (a build without foreign files).
Result<std::unique_ptr<Model>> open_foreign_model(const std::string& path,
                                                  const LoadOptions& options,
                                                  const UseTokenizer& use_tokenizer);

/// The tokenizer at `path`, without the weights. Errors: those of its readers; unsupported.
Result<Tokenizer> load_foreign_tokenizer(const std::string& path, FileAccess access,
                                         const CopyProgress& on_copy);

/// The tokenizer that belongs to open files.
Result<Tokenizer> load_tokenizer(const WeightSource& source);

}  // namespace midge
