// midge bench --spec: what drafts gain.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/common.h"

namespace midge {

struct DraftBenchOptions {
  std::optional<double> acceptance;  ///< of --accept
  int64_t rounds = 5;
  int64_t tokens = 64;
  std::vector<int64_t> requests = {1};
};

/// Measures each model, or each synthetic one, with and without drafts, and prints what came out.
/// Of models from files it continues free and repetitive texts. Errors: those of opening and of
/// measure_drafts.
Status bench_drafts(const std::vector<std::string>& models,
                    const std::vector<std::string>& synthetic, const DraftBenchOptions& options,
                    RunOptions run);

}  // namespace midge
