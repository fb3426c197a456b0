// From the name that a person gives to the files of a model.
#pragma once

#include <string>
#include <vector>

#include "engine/core/status.h"

namespace midge {

/// Names of the models that ship with the program: "tiny-mimo", "tiny-phi".
std::vector<std::string> bundled_models();

/// What LoadedModel::open takes, for a name that is, in this order:
/// - a file;
/// - a folder with a config.json, or with one GGUF file (or the parts of one) and nothing else to
///   open;
/// - a bundled model's name;
/// - "org/name" or "org/name/FILE" of Hugging Face, if the cache of its tools has a snapshot:
///   $HF_HUB_CACHE, $HF_HOME/hub, $XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub.
/// Empty: the bundled tiny-phi. Errors: not_found, saying how to get it; invalid_argument (a folder
/// with several GGUF files).
Result<std::string> find_model(const std::string& name);

}  // namespace midge
