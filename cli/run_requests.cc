#include "cli/run_requests.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <deque>
#include <mutex>
#include <vector>

#include <midge/midge.h>

#include "cli/find_model.h"
#include "cli/open_model.h"
#include "cli/prompt.h"
#include "cli/terminal.h"
#include "engine/core/mapped_file.h"
#include "engine/core/seconds.h"
#include "engine/core/visible.h"
#include "engine/formats/json.h"
#include "engine/formats/json_writer.h"

namespace midge {
namespace {

constexpr uint64_t kFileBytesMax = uint64_t{1} << 30;

/// A line of the file. Owns what its midge_request points to.
struct Line {
  std::string id;  // as given; may be empty
  std::string prompt;
  std::string messages;  // JSON
  std::vector<int32_t> tokens;
  std::vector<std::string> stops;
  std::vector<const char*> stop_texts;
  midge_request request = {};
};

/// An answer that is being written.
struct Answer {
  std::string text;
  int64_t tokens = 0;
};

Status failure(midge_status status, const std::string& text) {
  return Status(static_cast<StatusCode>(status), text);
}

Status check(midge_status status, const void* handle) {
  if (status == MIDGE_OK) return Status();
  std::string text(512, '\0');
  midge_error_text(handle, text.data(), text.size());
  return failure(status, text.c_str());
}

// Members that a line may have.
Status check_members(const JsonObject& object) {
  constexpr std::string_view kKnown[] = {
      "id",    "prompt", "messages", "tokens",   "max_tokens",         "temperature",
      "top_k", "top_p",  "min_p",    "seed",     "repetition_penalty", "presence_penalty",
      "stop",  "n",      "priority", "deadline", "frequency_penalty"};
  for (const auto& member : object.members()) {
    if (std::find(std::begin(kKnown), std::end(kKnown), member.key) != std::end(kKnown)) continue;
    return make_status(StatusCode::kInvalidFile, "%s: unknown member '%s'", object.name().c_str(),
                       printable(member.key).c_str());
  }
  return Status();
}

Status read_number(const JsonObject& object, const char* name, float* value) {
  MIDGE_ASSIGN_OR_RETURN(const double number, object.number_or(name, *value));
  *value = static_cast<float>(number);
  return Status();
}

Status read_sampling(const JsonObject& object, midge_request* request) {
  MIDGE_RETURN_IF_ERROR(read_number(object, "temperature", &request->temperature));
  MIDGE_RETURN_IF_ERROR(read_number(object, "top_p", &request->top_p));
  MIDGE_RETURN_IF_ERROR(read_number(object, "min_p", &request->min_p));
  MIDGE_RETURN_IF_ERROR(read_number(object, "repetition_penalty", &request->repetition_penalty));
  MIDGE_RETURN_IF_ERROR(read_number(object, "presence_penalty", &request->presence_penalty));
  MIDGE_RETURN_IF_ERROR(read_number(object, "frequency_penalty", &request->frequency_penalty));
  MIDGE_ASSIGN_OR_RETURN(const int64_t top_k,
                         object.integer_or("top_k", 0, INT32_MAX, request->top_k));
  request->top_k = static_cast<int32_t>(top_k);
  MIDGE_ASSIGN_OR_RETURN(
      const int64_t seed,
      object.integer_or("seed", 0, INT64_MAX, static_cast<int64_t>(request->seed)));
  request->seed = static_cast<uint64_t>(seed);
  return Status();
}

Status read_prompt(const JsonObject& object, Line* line) {
  MIDGE_ASSIGN_OR_RETURN(const std::string_view prompt, object.string_or("prompt", ""));
  line->prompt = prompt;
  if (object.has("prompt")) line->request.text = line->prompt.c_str();
  if (object.has("messages")) {
    MIDGE_ASSIGN_OR_RETURN(const simdjson::dom::array messages, object.array("messages"));
    line->messages = simdjson::minify(messages);
    line->request.messages_json = line->messages.c_str();
  }
  if (!object.has("tokens")) return Status();
  MIDGE_ASSIGN_OR_RETURN(const simdjson::dom::array tokens, object.array("tokens"));
  for (const simdjson::dom::element token : tokens) {
    int64_t id = 0;
    if (token.get(id) != simdjson::SUCCESS || id < 0 || id > INT32_MAX) {
      return make_status(StatusCode::kInvalidFile, "%s: 'tokens' has something that is no id",
                         object.name().c_str());
    }
    line->tokens.push_back(static_cast<int32_t>(id));
  }
  line->request.tokens = line->tokens.data();
  line->request.token_count = line->tokens.size();
  return Status();
}

Status check_prompt(const JsonObject& object, const Line& line) {
  int given = 0;
  for (const char* name : {"prompt", "messages", "tokens"}) given += object.has(name) ? 1 : 0;
  if (given == 1 && (!object.has("tokens") || !line.tokens.empty())) return Status();
  return make_status(StatusCode::kInvalidFile,
                     "%s: expected one of 'prompt', 'messages' and 'tokens', which is not empty",
                     object.name().c_str());
}

Status read_stops(const JsonObject& object, Line* line) {
  if (object.has("stop")) {
    MIDGE_ASSIGN_OR_RETURN(const simdjson::dom::array stops, object.array("stop"));
    line->stops.clear();
    for (const simdjson::dom::element stop : stops) {
      std::string_view text;
      if (stop.get(text) != simdjson::SUCCESS) {
        return make_status(StatusCode::kInvalidFile, "%s: 'stop' has something that is no text",
                           object.name().c_str());
      }
      line->stops.emplace_back(text);
    }
  }
  for (const std::string& stop : line->stops) line->stop_texts.push_back(stop.c_str());
  line->request.stop_strings = line->stop_texts.data();
  line->request.stop_string_count = line->stop_texts.size();
  return Status();
}

Status read_line(const std::string& name, std::string_view text, Line* line) {
  MIDGE_ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::parse(name, text));
  MIDGE_ASSIGN_OR_RETURN(const JsonObject object, document.root());
  MIDGE_RETURN_IF_ERROR(check_members(object));
  MIDGE_ASSIGN_OR_RETURN(const std::string_view id, object.string_or("id", ""));
  line->id = id;
  midge_request& request = line->request;
  MIDGE_RETURN_IF_ERROR(read_prompt(object, line));
  MIDGE_RETURN_IF_ERROR(check_prompt(object, *line));
  MIDGE_RETURN_IF_ERROR(read_sampling(object, &request));
  MIDGE_RETURN_IF_ERROR(read_stops(object, line));
  MIDGE_ASSIGN_OR_RETURN(request.tokens_max,
                         object.integer_or("max_tokens", 1, INT32_MAX, request.tokens_max));
  MIDGE_ASSIGN_OR_RETURN(const int64_t samples, object.integer_or("n", 1, 64, 1));
  request.samples = static_cast<int32_t>(samples);
  MIDGE_ASSIGN_OR_RETURN(const int64_t priority, object.integer_or("priority", -1000, 1000, 0));
  request.priority = static_cast<int32_t>(priority);
  MIDGE_ASSIGN_OR_RETURN(request.deadline_seconds, object.number_or("deadline", 0));
  return Status();
}

midge_request defaults_of(const SampleOptions& sample) {
  midge_request request = {};
  request.size = sizeof(request);
  request.tokens_max = sample.tokens_max;
  const SamplerOptions& s = sample.sampler;
  request.temperature = s.temperature;
  request.top_k = s.top_k;
  request.top_p = s.top_p;
  request.min_p = s.min_p;
  request.repetition_penalty = s.repetition_penalty;
  request.presence_penalty = s.presence_penalty;
  request.frequency_penalty = s.frequency_penalty;
  request.seed = sample.seed.value_or(0);
  return request;
}

// Empty lines are passed over.
Result<std::deque<Line>> read_lines(const std::string& path, const SampleOptions& sample) {
  MIDGE_ASSIGN_OR_RETURN(const std::string text, read_text_or_stdin(path, kFileBytesMax));
  std::deque<Line> lines;
  int64_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line(text.data() + at, end - at);
    at = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    lines.emplace_back();
    lines.back().request = defaults_of(sample);
    lines.back().stops = sample.stop_strings;
    MIDGE_RETURN_IF_ERROR(read_line(
        format_string("%s:%lld", shown_path(path).c_str(), static_cast<long long>(number)), line,
        &lines.back()));
  }
  if (lines.empty()) {
    return make_status(StatusCode::kInvalidFile, "%s: no requests", shown_path(path).c_str());
  }
  return lines;
}

const char* end_name(int32_t end) {
  switch (end) {
    case MIDGE_END_STOP_TOKEN: return "stop_token";
    case MIDGE_END_STOP_STRING: return "stop_string";
    case MIDGE_END_TOKENS_MAX: return "tokens_max";
    case MIDGE_END_CONTEXT_FULL: return "context_full";
    case MIDGE_END_CANCELLED: return "cancelled";
    case MIDGE_END_DEADLINE: return "deadline";
    default: return "failed";
  }
}

/// Serves the lines and prints what becomes of them.
class RequestFile {
 public:
  explicit RequestFile(std::deque<Line> lines) : lines_(std::move(lines)) {
    for (Line& line : lines_) answers_ += line.request.samples;
  }
  ~RequestFile() {
    if (engine_ != nullptr) midge_engine_close(&engine_, MIDGE_CANCEL);
    if (model_ != nullptr) midge_model_close(&model_);
  }
  RequestFile(const RequestFile&) = delete;
  RequestFile& operator=(const RequestFile&) = delete;

  Status open(const std::string& path, const midge_model_options& model,
              const midge_engine_options& engine) {
    midge_error error;
    midge_status status = midge_model_open(path.c_str(), &model, &model_, &error);
    if (status != MIDGE_OK) return failure(status, error.text);
    status = midge_engine_create(&model_, 1, &engine, &engine_, &error);
    return status == MIDGE_OK ? Status() : failure(status, error.text);
  }

  Status run() {
    start_ = Clock::now();
    ProgressBar bar("answers");
    std::deque<uint64_t> pending;
    for (size_t i = 0; i < lines_.size(); ++i) {
      Status status = submit(i, &pending);
      while (status.code() == StatusCode::kBusy) {
        MIDGE_RETURN_IF_ERROR(finish_first(&pending, &bar));
        status = submit(i, &pending);
      }
      // One that cannot be served does not stop the others.
      if (!status.ok()) print_refused(i, status);
    }
    while (!pending.empty()) MIDGE_RETURN_IF_ERROR(finish_first(&pending, &bar));
    seconds_ = seconds_between(start_, Clock::now());
    return Status();
  }

  Status summarize(const RunOptions& run) {
    midge_engine_stats stats = {};
    stats.size = sizeof(stats);
    MIDGE_RETURN_IF_ERROR(check(midge_engine_stats_get(engine_, 0, &stats), engine_));
    const auto rate = [this](int64_t tokens) { return static_cast<double>(tokens) / seconds_; };
    if (run.json) {
      print_summary(stats);
    } else if (!run.quiet) {
      print(
          stderr,
          "%zu requests, %d answers (%d refused, %lld not finished) in %.2f s: %lld prompt tokens "
          "(%lld found), "
          "%lld written, %.1f tok/s\n"
          "first token after %.3f s (p95 %.3f), then one each %.1f ms (p95 %.1f, p99 %.1f); "
          "%.1f sequences a pass\n",
          lines_.size(), answers_, refused_,
          static_cast<long long>(stats.cancelled + stats.deadline + stats.failed), seconds_,
          static_cast<long long>(stats.prompt_tokens), static_cast<long long>(stats.cached_tokens),
          static_cast<long long>(stats.tokens_written), rate(stats.tokens_written),
          stats.first_token_seconds_p50, stats.first_token_seconds_p95,
          stats.token_seconds_p50 * 1e3, stats.token_seconds_p95 * 1e3,
          stats.token_seconds_p99 * 1e3, sequences_per_pass(stats));
    }
    return interrupted() ? make_status(StatusCode::kCancelled, "cancelled") : Status();
  }

 private:
  using Clock = std::chrono::steady_clock;
  // What a callback needs to know of a request.
  struct Pending {
    RequestFile* file;
    size_t line;
    std::vector<Answer> answers;
  };

  Status submit(size_t i, std::deque<uint64_t>* pending) {
    midge_request request = lines_[i].request;
    requests_.push_back({this, i, std::vector<Answer>(static_cast<size_t>(request.samples))});
    request.on_event = &listen;
    request.user = &requests_.back();
    uint64_t id = 0;
    const Status status = check(midge_submit(engine_, &request, &id), engine_);
    if (status.ok()) {
      pending->push_back(id);
    } else {
      requests_.pop_back();
    }
    return status;
  }

  // Until the oldest one has ended.
  Status finish_first(std::deque<uint64_t>* pending, ProgressBar* bar) {
    for (;;) {
      const midge_status status = midge_wait(engine_, pending->front(), 0.1);
      if (interrupted()) {
        for (const uint64_t id : *pending) midge_cancel(engine_, id);
      }
      bar->update(ended_, answers_);
      if (status == MIDGE_TIMEOUT) continue;
      if (status == MIDGE_OK) pending->pop_front();
      return check(status, engine_);
    }
  }

  static int32_t listen(void* user, const midge_event* event) {
    auto* pending = static_cast<Pending*>(user);
    Answer& answer = pending->answers[static_cast<size_t>(event->sample)];
    answer.text.append(event->text, event->text_bytes);
    if (event->type == MIDGE_EVENT_TOKEN) {
      ++answer.tokens;
    } else {
      pending->file->print_answer(*pending, answer, *event);
    }
    return 0;
  }

  void print_answer(const Pending& pending, const Answer& answer, const midge_event& event) {
    JsonWriter json;
    begin_line(pending.line, &json);
    json.member("sample", int64_t{event.sample}).member("text", answer.text);
    json.member("end", end_name(event.end));
    if (event.end == MIDGE_END_FAILED) json.member("error", event.error_text);
    const midge_request_stats& stats = *event.stats;
    json.member("prompt_tokens", stats.prompt_tokens)
        .member("cached_tokens", stats.cached_tokens)
        .member("tokens", answer.tokens);
    json.member("steps", stats.steps)
        .member("drafts_read", stats.drafts_read)
        .member("drafts_right", stats.drafts_right);
    json.member("queue_seconds", stats.queue_seconds)
        .member("first_token_seconds", stats.first_token_seconds)
        .member("tokens_per_second", stats.answer_tokens_per_second)
        .end_object();
    print_line(json);
  }

  void print_refused(size_t i, const Status& status) {
    JsonWriter json;
    begin_line(i, &json);
    json.member("end", "refused").member("error", status.message()).end_object();
    refused_ += lines_[i].request.samples;
    print_line(json);
  }

  void begin_line(size_t i, JsonWriter* json) {
    json->begin_object().member("request", static_cast<int64_t>(i));
    if (!lines_[i].id.empty()) json->member("id", lines_[i].id);
  }

  // From the driver and from run().
  void print_line(const JsonWriter& json) {
    const std::lock_guard lock(mutex_);
    print_json(json);
    flush(stdout);
    ++ended_;
  }

  static double sequences_per_pass(const midge_engine_stats& stats) {
    int64_t sum = 0;
    for (int64_t n = 0; n < 65; ++n) sum += n * stats.passes_by_sequences[n];
    return stats.passes == 0 ? 0 : static_cast<double>(sum) / static_cast<double>(stats.passes);
  }

  void print_summary(const midge_engine_stats& stats) {
    JsonWriter json;
    json.begin_object().member("schema", "midge.requests").member("version", int64_t{1});
    json.member("requests", static_cast<int64_t>(lines_.size()))
        .member("answers", int64_t{answers_})
        .member("refused", int64_t{refused_});
    json.member("done", stats.done)
        .member("cancelled", stats.cancelled)
        .member("deadline", stats.deadline)
        .member("failed", stats.failed)
        .member("preemptions", stats.preemptions);
    json.member("seconds", seconds_)
        .member("prompt_tokens", stats.prompt_tokens)
        .member("cached_tokens", stats.cached_tokens)
        .member("tokens", stats.tokens_written);
    json.member("tokens_per_second", static_cast<double>(stats.tokens_written) / seconds_)
        .member("passes", stats.passes)
        .member("sequences_per_pass", sequences_per_pass(stats));
    write_quantiles(json, "queue_seconds", stats.queue_seconds_p50, stats.queue_seconds_p95,
                    stats.queue_seconds_p99);
    write_quantiles(json, "first_token_seconds", stats.first_token_seconds_p50,
                    stats.first_token_seconds_p95, stats.first_token_seconds_p99);
    write_quantiles(json, "token_seconds", stats.token_seconds_p50, stats.token_seconds_p95,
                    stats.token_seconds_p99);
    json.begin_object("drafts")
        .member("steps", stats.steps)
        .member("read", stats.drafts_read)
        .member("right", stats.drafts_right)
        .end_object();
    json.begin_object("pages")
        .member("all", stats.pages)
        .member("used_max", stats.pages_used_max)
        .member("cached", stats.pages_cached)
        .member("evicted", stats.pages_evicted)
        .end_object();
    json.member("memory_bytes", stats.memory).end_object();
    print_json(json);
  }

  static void write_quantiles(JsonWriter& json, const char* name, double p50, double p95,
                              double p99) {
    json.begin_object(name).member("p50", p50).member("p95", p95).member("p99", p99).end_object();
  }

  std::deque<Line> lines_;
  int answers_ = 0;
  int refused_ = 0;
  std::atomic<int> ended_ = 0;
  std::mutex mutex_;
  std::deque<Pending> requests_;
  Clock::time_point start_;
  double seconds_ = 0;
  midge_model* model_ = nullptr;
  midge_engine* engine_ = nullptr;
};

void log_warning(void*, int32_t, const char* text) { print(stderr, "midge: warning: %s\n", text); }

Status check_options(const RunOptions& run, const SampleOptions& sample) {
  for (const auto& [name, is_set] :
       {std::pair("--tensor", !run.tensors.empty()), std::pair("--weights", !run.weights.empty()),
        std::pair("--importance", !run.importance.empty()),
        std::pair("--kernel", !run.kernels.empty()), std::pair("--rope", run.rope != "auto"),
        std::pair("--logit-bias", !sample.logit_bias.empty()),
        std::pair("--draft-max", run.drafts_max != RunOptions().drafts_max),
        std::pair("--draft-match", run.draft_match != RunOptions().draft_match),
        std::pair("--cache-size", run.cache_size != RunOptions().cache_size),
        std::pair("--no-huge-pages", run.no_huge_pages),
        std::pair("--logprobs", sample.sampler.logprobs > 0)}) {
    if (!is_set) continue;
    return make_status(StatusCode::kInvalidArgument, "--requests does not go with %s", name);
  }
  return Status();
}

}  // namespace

Status run_requests(const RunOptions& run, const SampleOptions& given, const std::string& path) {
  MIDGE_RETURN_IF_ERROR(check_options(run, given));
  SampleOptions sample = given;
  sample.seed = draw_seed(run, sample);
  MIDGE_ASSIGN_OR_RETURN(std::deque<Line> lines, read_lines(path, sample));
  MIDGE_ASSIGN_OR_RETURN(const std::string model, find_model(run.model));
  const std::string cache = cache_dir(run);
  midge_model_options options = {};
  options.size = sizeof(options);
  options.log = &log_warning;
  options.copy_files = run.no_mmap ? 1 : 0;
  options.recipe = run.recipe.empty() ? nullptr : run.recipe.c_str();
  options.arithmetic = run.arithmetic.c_str();
  options.isa = run.isa.empty() ? nullptr : run.isa.c_str();
  options.calibrate = calibrates(run) ? 1 : 0;
  options.cache_dir = cache.empty() ? nullptr : cache.c_str();
  options.context_length = run.context_length;
  options.batch_rows = run.batch_rows;
  options.kv_type = run.kv_type.c_str();
  options.drafter = run.drafter.c_str();
  options.draft_remembered = run.draft_remembered;
  if (!run.mtp.empty()) options.mtp_file = run.mtp.c_str();
  options.lock_memory = run.lock ? 1 : 0;
  // Room for several contexts: what is not used costs nothing until it is.
  constexpr int64_t kContexts = 4;
  constexpr int64_t kContextOfModels = 4096;
  const int64_t context = run.context_length > 0 ? run.context_length : kContextOfModels;
  options.kv_tokens = kContexts * context;
  if (!run.budget.empty()) {
    MIDGE_ASSIGN_OR_RETURN(options.memory_budget, parse_size(run.budget));
  }
  midge_engine_options engine = {};
  engine.size = sizeof(engine);
  engine.threads = run.threads;
  engine.cores = run.cores.empty() ? nullptr : run.cores.c_str();
  engine.no_pinning = run.no_pin ? 1 : 0;
  RequestFile file(std::move(lines));
  MIDGE_RETURN_IF_ERROR(file.open(model, options, engine));
  watch_interrupts();
  MIDGE_RETURN_IF_ERROR(file.run());
  return file.summarize(run);
}

}  // namespace midge
