// What the two kinds of answers share: the request to the engine, the stream, the end.
#pragma once

#include <algorithm>
#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/formats/json_writer.h"
#include "server/answer.h"
#include "server/openai/writer.h"

namespace midge {

/// What a status of the engine means to a client.
Refusal refusal_of(const Status& status);

/// What ended an answer before its time; nothing if it is whole.
std::optional<Refusal> failure_of(const GenerationEvent& event);

/// "stop" or "length".
const char* finish_reason(int32_t end);

/// "chatcmpl-" and 16 hexadecimal digits, for example.
std::string new_id(const char* prefix, const AnswerContext& context);

/// What both kinds of answers do.
class Answer : public std::enable_shared_from_this<Answer> {
 public:
  Answer(AnswerContext context, NamedModel& model, std::shared_ptr<HttpExchange> exchange,
         std::string id, const CommonRequest& request)
      : context_(std::move(context)),
        model_(model),
        exchange_(std::move(exchange)),
        id_(std::move(id)),
        created_(static_cast<int64_t>(std::time(nullptr))),
        common_(request) {}
  virtual ~Answer() = default;
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  /// Submits everything, and begins the stream if there is one.
  void start() {
    if (const std::optional<Refusal> wrong = check_common()) return fail(*wrong);
    const Status status = submit();
    if (!status.ok()) {
      cancel();
      Refusal refusal = refusal_of(status);
      // Whatever else is wrong was found before.
      if (refusal.status == 400 && refusal.param.empty()) refusal.param = blamed(status);
      return fail(refusal);
    }
    exchange_->on_gone([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->client_has_gone();
    });
    if (!common_.stream) return;
    exchange_->begin_stream("text/event-stream; charset=utf-8");
    begin_stream();
    send_buffer();
    // Prompts that are sent back are as long as the request asks for.
    unsent_max_ = context_.unsent_bytes_max + exchange_->unsent_bytes();
    schedule_ping();
  }

 protected:
  virtual Status submit() = 0;
  /// The field that a status of submit() is about.
  virtual std::string blamed(const Status& status) const = 0;
  virtual void begin_stream() {}
  virtual void on_token(int32_t choice, GenerationEvent& event) = 0;
  virtual void on_end(int32_t choice, GenerationEvent& event) = 0;
  /// Everything has ended well.
  virtual void write_whole(JsonWriter& json) = 0;
  virtual const char* object_name(bool is_chunk) const = 0;

  static Refusal wrong_field(const char* param, std::string message) {
    Refusal refusal;
    refusal.param = param;
    refusal.message = std::move(message);
    return refusal;
  }

  /// What every request to the engine has.
  midge_request base_request() {
    midge_request request = {};
    request.size = sizeof(request);
    request.model = model_.index();
    request.samples = common_.n;
    const int64_t most = model_.info().context_length;  // the engine stops at its own, or before
    request.tokens_max =
        common_.tokens_max < 0 ? most : std::clamp<int64_t>(common_.tokens_max, 1, most);
    stops_.clear();  // of the prompt before
    for (const std::string& stop : common_.stops) stops_.push_back(stop.c_str());
    request.stop_strings = stops_.data();
    request.stop_string_count = stops_.size();
    request.ignore_stop_tokens = common_.ignore_stop_tokens ? 1 : 0;
    request.temperature = common_.temperature;
    request.top_k = common_.top_k;
    request.top_p = common_.top_p;
    request.min_p = common_.min_p;
    request.repetition_penalty = common_.repetition_penalty;
    request.presence_penalty = common_.presence_penalty;
    request.frequency_penalty = common_.frequency_penalty;
    request.seed = common_.has_seed ? common_.seed : context_.draw_seed();
    request.logit_bias = common_.logit_bias.data();
    request.logit_bias_count = common_.logit_bias.size();
    if (common_.logprobs) request.logprobs = std::max(1, common_.top_logprobs);
    request.deadline_seconds = context_.deadline_seconds;
    return request;
  }

  /// Submits a request whose answers are the choices from `first` on.
  Status submit_one(const midge_request& request, int32_t first,
                    std::vector<std::unique_ptr<GrammarState>> grammars) {
    ends_left_ += common_.n;
    const Result<uint64_t> key = context_.generations->submit(
        request,
        [self = shared_from_this(), first](GenerationEvent event) {
          self->on_event(first + event.sample, std::move(event));
        },
        std::move(grammars));
    if (!key.ok()) return key.status();
    keys_.push_back(*key);
    return Status();
  }

  void begin_object(JsonWriter& json, bool is_chunk) const {
    json.begin_object().member("id", id_).member("object", object_name(is_chunk));
    json.member("created", created_).member("model", model_.name());
  }
  void write_usage(JsonWriter& json) const {
    json.begin_object("usage").member("prompt_tokens", sums_.prompt_tokens);
    json.member("completion_tokens", sums_.answer_tokens);
    json.member("total_tokens", sums_.prompt_tokens + sums_.answer_tokens);
    json.begin_object("prompt_tokens_details").member("cached_tokens", sums_.cached_tokens);
    json.end_object().end_object();
    json.begin_object("midge").member("queue_seconds", stats_.queue_seconds);
    json.member("first_token_seconds", stats_.first_token_seconds);
    json.member("prompt_tokens_per_second", stats_.prompt_tokens_per_second);
    json.member("answer_tokens_per_second", stats_.answer_tokens_per_second).end_object();
  }

  // A chunk of the stream: choices[0] is what write_choice writes.
  template <typename WriteChoice>
  void send_chunk(int32_t choice, const WriteChoice& write_choice) {
    JsonWriter json;
    begin_object(json, true);
    json.begin_array("choices").begin_object().member("index", int64_t{choice});
    write_choice(json);
    json.end_object().end_array();
    if (common_.include_usage) json.member_json("usage", "null");
    json.end_object();
    send_data(json.text());
  }

  ScoredToken scored_token(int32_t token, float logprob,
                           std::span<const midge_logprob> alternatives) const {
    ScoredToken scored;
    scored.token = {model_.token_bytes(token), logprob, true};
    const auto most = static_cast<size_t>(common_.top_logprobs);
    for (const midge_logprob& other : alternatives.first(std::min(most, alternatives.size()))) {
      if (other.token < 0) break;
      scored.top.push_back({model_.token_bytes(other.token), other.logprob, true});
    }
    return scored;
  }

  const AnswerContext context_;
  NamedModel& model_;
  std::shared_ptr<HttpExchange> exchange_;
  AnswerSums sums_;

 private:
  void on_event(int32_t choice, GenerationEvent event) {
    if (sums_.has_gone || is_over_) {
      if (event.is_end) count_end(choice, event);
      return;
    }
    if (!event.is_end) {
      on_token(choice, event);
      return flush();
    }
    count_end(choice, event);
    if (const std::optional<Refusal> failure = failure_of(event)) {
      cancel();
      return fail(*failure);
    }
    on_end(choice, event);
    flush();
    if (ends_left_ == 0) finish();
  }

  void count_end(int32_t choice, const GenerationEvent& event) {
    --ends_left_;
    if (event.sample == 0) {
      sums_.prompt_tokens += event.stats.prompt_tokens;
      sums_.cached_tokens += event.stats.cached_tokens;
    }
    sums_.answer_tokens += common_.tokens_max == 0 ? 0 : event.stats.answer_tokens;
    if (choice == 0) stats_ = event.stats;
    if (ends_left_ == 0 && sums_.has_gone) report(499);
  }

  void finish() {
    is_over_ = true;
    JsonWriter json;
    if (!common_.stream) {
      begin_object(json, false);
      write_whole(json);
      write_usage(json);
      json.end_object();
      if (context_.on_content) context_.on_content(json.text());
      exchange_->respond(200, "application/json", json.text());
    } else {
      if (common_.include_usage) {
        begin_object(json, true);
        json.begin_array("choices").end_array();
        write_usage(json);
        json.end_object();
        send_data(json.text());
      }
      buffer_ += "data: [DONE]\n\n";
      flush();
      exchange_->end_stream();
    }
    report(200);
  }

  // The first thing that goes wrong is told; after it nothing is.
  void fail(const Refusal& refusal) {
    if (std::exchange(is_over_, true)) return;
    sums_.code = refusal.code.empty() ? refusal.param : refusal.code;
    if (common_.stream && has_begun()) {
      send_data(refusal.body());
      flush();
      exchange_->end_stream();
    } else {
      refuse(*exchange_, refusal);
    }
    report(refusal.status);
  }

  bool has_begun() const { return pings_; }

  // What depends on the model and on the engine's options.
  std::optional<Refusal> check_common() const {
    if (common_.n > context_.running_max) {
      return wrong_field("n",
                         format_string("'n' is %d, at most %lld answers share a pass "
                                       "(--running)",
                                       common_.n, static_cast<long long>(context_.running_max)));
    }
    for (const midge_logprob& bias : common_.logit_bias) {
      if (bias.token < model_.info().vocab_size) continue;
      return wrong_field(
          "logit_bias",
          format_string("'logit_bias' has token %d, expected one below %lld", bias.token,
                        static_cast<long long>(model_.info().vocab_size)));
    }
    return std::nullopt;
  }

  void client_has_gone() {
    if (is_over_) return;
    sums_.has_gone = true;
    cancel();
    if (ends_left_ == 0) report(499);
  }

  void cancel() {
    for (const uint64_t key : keys_) context_.generations->cancel(key);
  }

  void report(int status) {
    if (!std::exchange(is_reported_, true) && context_.on_end) context_.on_end(status, sums_);
  }

  void send_data(std::string_view json) {
    if (context_.on_content) context_.on_content(json);
    buffer_ += "data: ";
    buffer_ += json;
    buffer_ += "\n\n";
  }
  void send_buffer() {
    if (buffer_.empty()) return;
    exchange_->send(buffer_);
    buffer_.clear();
    is_silent_ = false;
  }
  void flush() {
    send_buffer();
    // A client that does not read must not fill the memory.
    if (exchange_->unsent_bytes() > unsent_max_) exchange_->abort();
  }

  // Proxies and clients give up on streams that are silent for long, as while a prompt is read.
  void schedule_ping() {
    pings_ = true;
    context_.http->after(context_.ping_seconds, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (self == nullptr || self->is_over_ || self->sums_.has_gone) return;
      if (self->is_silent_) self->exchange_->send(": waiting\n\n");
      self->is_silent_ = true;
      self->schedule_ping();
    });
  }

  std::string id_;
  int64_t created_;
  const CommonRequest& common_;  // of the class that is derived
  std::vector<const char*> stops_;
  std::vector<uint64_t> keys_;
  int32_t ends_left_ = 0;
  midge_request_stats stats_ = {};  // of the first choice
  std::string buffer_;
  size_t unsent_max_ = 0;
  bool is_silent_ = true;
  bool pings_ = false;
  bool is_over_ = false;
  bool is_reported_ = false;
};

}  // namespace midge
