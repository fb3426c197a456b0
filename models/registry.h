// The families that midge runs. Adding one is a file and a line in registry.cc.
#pragma once

#include <memory>
#include <string>

#include "models/model_loader.h"

namespace midge {

/// Opens, checks and binds the model at `path` (a Hugging Face directory or a GGUF file).
/// Weights stay in the files (kMap) or in one copy of them (kCopy, whose progress on_copy is told).
/// Errors: not_found, io_error, invalid_file, unsupported (model type, tensor type, rope type),
/// model_mismatch (tensors against config).
Result<std::unique_ptr<Model>> open_model(const std::string& path,
                                          FileAccess access = FileAccess::kMap,
                                          const CopyProgress& on_copy = nullptr);

// The families' loaders: read the config and bind the tensors.
Status load_phi3(ModelLoader& loader);
Status load_mimo(ModelLoader& loader);
Status load_qwen2(ModelLoader& loader);
Status load_llama(ModelLoader& loader);

}  // namespace midge
