// The families that midge runs. Adding one is a file and a line in registry.cc.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "models/model_loader.h"

namespace midge {

/// A family as one kind of file names it.
struct SupportedFamily {
  SourceKind kind;
  const char* name;    ///< model_type of config.json, or general.architecture of a GGUF file
  const char* models;  ///< that people know, separated by commas
};

/// All of them, in a fixed order.
std::vector<SupportedFamily> supported_families();

/// Checks the files of a model and binds their tensors; the weights stay where the source has them.
/// `accept`, if set, is asked when all that is checked here is right, before matrices on odd
/// addresses are copied.
/// Errors: invalid_file, unsupported (model type, tensor type, rope type), model_mismatch (tensors
/// against config), out_of_memory, those of `accept`.
Result<std::unique_ptr<Model>> open_model(
    std::shared_ptr<const WeightSource> source,
    const std::function<Status(const ModelConfig&)>& accept = nullptr);

/// The same for the Hugging Face directory or GGUF file at `path`.
/// Errors: also those of WeightSource::open.
Result<std::unique_ptr<Model>> open_model(const std::string& path,
                                          FileAccess access = FileAccess::kMap,
                                          const CopyProgress& on_copy = nullptr);

/// Lays the MTP layer of a safetensors file, one that was trained on, over a model's files before
/// they are opened. Errors: those of WeightSource::lay_over.
Status lay_mtp_over(WeightSource& source, const std::string& path,
                    const CopyProgress& on_copy = nullptr);

// The families' loaders: read the config and bind the tensors.
Status load_phi3(ModelLoader& loader);
Status load_mimo(ModelLoader& loader);
Status load_qwen2(ModelLoader& loader);
Status load_llama(ModelLoader& loader);
Status load_mistral(ModelLoader& loader);

}  // namespace midge
