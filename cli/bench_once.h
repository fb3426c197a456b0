// midge bench --decode-only, --prefill-only.
#pragma once

#include <cstdint>

#include "cli/common.h"

namespace midge {

struct OnceOptions {
  bool is_prefill = false;  ///< else decode
  int64_t tokens = 15;      ///< of the prompt, or steps
  int64_t rows = 1;         ///< of a step
  bool mtp = false;         ///< the MTP layer behind each decode step
  int64_t depth = 1;        ///< tokens in the cache before the first step
};

/// One run, no warm-up, nothing else measured; reports it.
Status bench_once(const OnceOptions& options, RunOptions run_options);

}  // namespace midge
