// The section "tokenizer" of a packed file: tables that encode and decode in place.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "engine/core/status.h"
#include "engine/tokenizer/tokenizer.h"

namespace midge {

/// The section's bytes: the same on every machine and in every process. Errors: those of
/// Tokenizer::with_hash.
Result<std::string> write_packed_tokenizer(const Tokenizer& tokenizer);

/// A tokenizer whose tables are `section`, at a multiple of 16 bytes; `storage` keeps it there.
/// `name` stands in messages. Errors: invalid_file.
Result<Tokenizer> read_packed_tokenizer(const std::string& name, std::span<const uint8_t> section,
                                        std::shared_ptr<const void> storage);

}  // namespace midge
