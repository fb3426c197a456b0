#include "server/metrics.h"

#include <unistd.h>

#include <cstdio>

#include "engine/core/status.h"

namespace midge {
namespace {

class MetricsWriter {
 public:
  void family(const char* name, const char* type, const char* help) {
    text_ += format_string("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
    name_ = name;
  }
  void value(const std::string& labels, double value) {
    text_ += name_;
    if (!labels.empty()) text_ += "{" + labels + "}";
    text_ += format_string(" %.9g\n", value);
  }
  void value(const std::string& labels, int64_t value) {
    this->value(labels, static_cast<double>(value));
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::string name_;
};

// Backslashes, quotes and line feeds are escaped in labels.
std::string label(const char* name, const std::string& value) {
  std::string text = std::string(name) + "=\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    if (c == '\n')
      text += "\\n";
    else
      text += c;
  }
  return text + "\"";
}

int64_t resident_bytes() {
  long long pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%*s %lld", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return pages * sysconf(_SC_PAGESIZE);
}

using Field = int64_t midge_engine_stats::*;
struct Count {
  const char* name;
  const char* type;
  const char* help;
  Field field;
};
constexpr Count kCounts[] = {
    {"midge_prompt_tokens_total", "counter", "Tokens of prompts.",
     &midge_engine_stats::prompt_tokens},
    {"midge_cached_tokens_total", "counter", "Tokens of prompts that were found and not read.",
     &midge_engine_stats::cached_tokens},
    {"midge_answer_tokens_total", "counter", "Tokens that were written.",
     &midge_engine_stats::tokens_written},
    {"midge_passes_total", "counter", "Passes over the weights.", &midge_engine_stats::passes},
    {"midge_preemptions_total", "counter", "Times that an answer gave its pages back.",
     &midge_engine_stats::preemptions},
    {"midge_drafts_read_total", "counter", "Tokens that were guessed.",
     &midge_engine_stats::drafts_read},
    {"midge_drafts_right_total", "counter", "Tokens that were guessed right.",
     &midge_engine_stats::drafts_right},
    {"midge_kv_pages", "gauge", "Pages of the KV cache, 64 tokens each.",
     &midge_engine_stats::pages},
    {"midge_kv_pages_free", "gauge", "Pages of the KV cache that are free.",
     &midge_engine_stats::pages_free},
    {"midge_kv_pages_cached", "gauge", "Pages of the KV cache with beginnings for later requests.",
     &midge_engine_stats::pages_cached},
};

struct Quantiles {
  const char* name;
  const char* help;
  double midge_engine_stats::* p50;
  double midge_engine_stats::* p95;
  double midge_engine_stats::* p99;
};
constexpr Quantiles kQuantiles[] = {
    {"midge_queue_seconds", "From a request until it is first run.",
     &midge_engine_stats::queue_seconds_p50, &midge_engine_stats::queue_seconds_p95,
     &midge_engine_stats::queue_seconds_p99},
    {"midge_first_token_seconds", "From a request until its first token.",
     &midge_engine_stats::first_token_seconds_p50, &midge_engine_stats::first_token_seconds_p95,
     &midge_engine_stats::first_token_seconds_p99},
    {"midge_token_seconds", "From token to token.", &midge_engine_stats::token_seconds_p50,
     &midge_engine_stats::token_seconds_p95, &midge_engine_stats::token_seconds_p99},
};

}  // namespace

std::string metrics_text(const AnswerCounts& answers, const HttpCounts& http, int64_t running,
                         const std::vector<ModelMetrics>& models) {
  MetricsWriter out;
  out.family("midge_http_answers_total", "counter", "Answers by path and status.");
  for (const auto& [key, count] : answers) {
    out.value(label("path", key.first) + ",status=\"" + std::to_string(key.second) + "\"", count);
  }
  out.family("midge_http_refused_total", "counter", "Heads and bodies that were no request.");
  out.value("", http.refused_heads);
  out.family("midge_http_connections", "gauge", "Open connections.");
  out.value("", http.connections);
  out.family("midge_requests_running", "gauge", "Requests in the engine.");
  out.value("", running);
  out.family("midge_resident_bytes", "gauge", "Resident memory of the process.");
  out.value("", resident_bytes());
  out.family("midge_memory_bytes", "gauge",
             "Taken at the start by all models, mapped weights not counted.");
  out.value("", models.empty() ? int64_t{0} : models.front().stats.memory);
  for (const Count& count : kCounts) {
    out.family(count.name, count.type, count.help);
    for (const ModelMetrics& model : models) {
      out.value(label("model", model.name), model.stats.*count.field);
    }
  }
  out.family("midge_ended_total", "counter", "Answers by how they ended.");
  for (const ModelMetrics& model : models) {
    const std::string name = label("model", model.name);
    out.value(name + ",end=\"done\"", model.stats.done);
    out.value(name + ",end=\"cancelled\"", model.stats.cancelled);
    out.value(name + ",end=\"deadline\"", model.stats.deadline);
    out.value(name + ",end=\"failed\"", model.stats.failed);
  }
  for (const Quantiles& quantiles : kQuantiles) {
    out.family(quantiles.name, "gauge", quantiles.help);
    for (const ModelMetrics& model : models) {
      const std::string name = label("model", model.name);
      out.value(name + ",quantile=\"0.5\"", model.stats.*quantiles.p50);
      out.value(name + ",quantile=\"0.95\"", model.stats.*quantiles.p95);
      out.value(name + ",quantile=\"0.99\"", model.stats.*quantiles.p99);
    }
  }
  return out.text();
}

}  // namespace midge
