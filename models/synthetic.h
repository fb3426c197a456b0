// Models of published shapes with random weights, for speed and memory alone: nothing is read.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "engine/core/status.h"
#include "engine/decoder/model.h"
#include "engine/platform/worker_team.h"
#include "kernels/encoding.h"

namespace midge {

/// The shapes of a model. name: "phi4-mini", "mimo-7b" or "phi4", or one with fewer layers,
/// "phi4-mini-8L".
/// Errors: not_found.
Result<ModelConfig> synthetic_config(std::string_view name);

/// Bytes of the model's weights as `encoding`, and of those of them that a decoded token reads.
/// Takes no memory. Errors: unsupported.
struct SyntheticBytes {
  int64_t all = 0;
  int64_t token = 0;
  int64_t token_macs = 0;   ///< weights that a token is multiplied with
  int64_t prompt_macs = 0;  ///< without the head, which only the last token of a prompt sees
};
Result<SyntheticBytes> synthetic_bytes(const ModelConfig& config, Encoding encoding);

/// The model, its matrices packed as `encoding` from normally distributed weights. Tiles are
/// repeated from a few, in an order of their own in every matrix: time and memory do not depend on
/// their values. The same bits on every machine. Takes the memory of the whole model.
/// on_progress(done, total), if given, is told bytes.
/// Errors: not_found, unsupported (an encoding that is not packed), out_of_memory.
Result<std::unique_ptr<Model>> synthetic_model(
    std::string_view name, Encoding encoding, const WorkerTeam& team,
    const std::function<void(int64_t, int64_t)>& on_progress = nullptr);

}  // namespace midge
