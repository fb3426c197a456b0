// How often the drafts of a model's MTP layer are right.
#pragma once

#include <cstdint>
#include <functional>

#include "api/loaded_model.h"
#include "engine/core/status.h"

namespace midge {

/// Tokens that measure_mtp_acceptance writes, twice.
inline constexpr int64_t kAcceptanceTokens = 128;

/// Has the model write a text, twice the same one: once the MTP layer reads its hidden states
/// before the final norm, once behind it. loaded: has a tokenizer, and an executor for at least
/// two rows of logits and kAcceptanceTokens tokens of context. The counts are the same on every
/// machine. on_token(done, total), if given: false cancels. Errors: those of Session::create and
/// generate, cancelled.
Result<MtpAcceptance> measure_mtp_acceptance(
    const LoadedModel& loaded,
    const std::function<bool(int64_t done, int64_t total)>& on_token = nullptr);

}  // namespace midge
