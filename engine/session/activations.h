// Statistics of activations over a text.
#pragma once

#include <functional>
#include <span>

#include "engine/session/session.h"
#include "engine/weights/importance.h"

namespace midge {

/// Runs `tokens` in windows of `window` tokens, each alone from position 0, and collects the mean
/// squares of what every matrix is multiplied with. window: 2..session's context length.
/// on_window(tokens so far), if given, ends with `cancelled` by returning false.
/// The session is emptied; its executor watches no input afterwards. Errors: invalid_argument
/// (window, no tokens, packed arithmetic, which has no floats to look at), those of step.
Result<Importance> measure_importance(Session& session, std::span<const int32_t> tokens,
                                      int64_t window,
                                      const std::function<bool(int64_t)>& on_window);

}  // namespace midge
