// One request alone, on a sequence with pages of its own.
#pragma once

#include <span>

#include "engine/session/generator.h"
#include "engine/session/session.h"
#include "engine/speculation/speculation.h"

namespace midge {

/// Runs one generation to its end. See Generation. speculation: of the session's executor, makes
/// drafts; null: none are made. The tokens are the same.
/// Errors: those of Generation::create, run_step, accept and follow.
Result<GenerateResult> generate(Session& session, const Tokenizer& tokenizer,
                                std::span<const uint8_t> allowed, std::span<const int32_t> prompt,
                                const GenerateOptions& options, const OnText& on_text,
                                Speculation* speculation = nullptr);

}  // namespace midge
