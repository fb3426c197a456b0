// Logits on record: what check_output() must find.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/ops/kv_pages.h"

namespace midge::bench {

/// Nothing: the model is not on record.
std::optional<uint64_t> known_fingerprint(std::string_view content_id, KvType kv_type);

}  // namespace midge::bench
