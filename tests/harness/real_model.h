// SmolLM2-135M-Instruct, a small model with trained weights, which is not committed.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace midge::test {

inline constexpr const char* kHowToFetchModel =
    "absent: run tools/fetch_real_model.sh, or set MIDGE_REAL_MODEL to its file";

/// The GGUF file, whether it is there or not.
inline std::string real_model_path() {
  const char* path = std::getenv("MIDGE_REAL_MODEL");
  return path != nullptr ? path : MIDGE_SOURCE_DIR "/build/models/SmolLM2-135M-Instruct.Q4_1.gguf";
}

inline bool has_real_model() { return std::filesystem::exists(real_model_path()); }

}  // namespace midge::test
