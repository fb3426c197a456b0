// How often the drafts of a packed model's MTP layer were right, kept in its file outside of the
// content id.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/core/status.h"
#include "engine/decoder/model.h"
#include "engine/packed/packed_file.h"

namespace midge {

inline constexpr std::string_view kAcceptanceSection = "mtp-acceptance";
inline constexpr uint64_t kAcceptanceBytes = 4 * sizeof(int64_t);

/// kAcceptanceBytes bytes.
std::string write_acceptance(const MtpAcceptance& acceptance);

/// What is kept in the file; zeros if nothing is. Errors: invalid_file.
Result<MtpAcceptance> read_acceptance(const PackedFile& file);

}  // namespace midge
