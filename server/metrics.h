// What /metrics tells, in Prometheus' text format.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "midge/midge.h"
#include "server/http/http_server.h"

namespace midge {

/// Answers by path and status.
using AnswerCounts = std::map<std::pair<std::string, int>, int64_t>;

struct ModelMetrics {
  std::string name;
  midge_engine_stats stats;
};

std::string metrics_text(const AnswerCounts& answers, const HttpCounts& http, int64_t running,
                         const std::vector<ModelMetrics>& models);

}  // namespace midge
