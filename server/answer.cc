#include "server/answer.h"

#include <algorithm>
#include <ctime>
#include <optional>
#include <utility>

#include "engine/formats/json_writer.h"
#include "server/openai/writer.h"

namespace midge {
namespace {

constexpr const char* kJson = "application/json";
constexpr const char* kEventStream = "text/event-stream; charset=utf-8";

// What a status of the engine means to a client.
Refusal refusal_of(const Status& status) {
  Refusal refusal;
  refusal.message = status.message();
  switch (status.code()) {
    case StatusCode::kBusy:
      refusal.status = 429;
      refusal.type = "rate_limit_error";
      refusal.code = "queue_full";
      refusal.retry_seconds = 1;
      break;
    case StatusCode::kContextFull:
    case StatusCode::kNoPages: refusal.code = "context_length_exceeded"; break;
    case StatusCode::kCancelled:
      refusal.status = 503;
      refusal.type = "server_error";
      refusal.code = "stopping";
      refusal.retry_seconds = 5;
      break;
    case StatusCode::kInternal:
    case StatusCode::kOutOfMemory:
      refusal.status = 500;
      refusal.type = "server_error";
      break;
    default: break;
  }
  return refusal;
}

// What ended an answer before its time; nothing if it is whole.
std::optional<Refusal> failure_of(const GenerationEvent& event) {
  Refusal refusal;
  switch (event.end) {
    case MIDGE_END_DEADLINE:
      refusal = {504, "server_error", "deadline", "", "the request took too long", 0};
      return refusal;
    case MIDGE_END_CANCELLED:
      refusal = {503, "server_error", "stopping", "", "the server stops", 5};
      return refusal;
    case MIDGE_END_FAILED:
      refusal = refusal_of(Status(static_cast<StatusCode>(event.status), event.error_text));
      // A grammar that can go nowhere: its fuel is out.
      if (event.status == MIDGE_UNSUPPORTED || event.status == MIDGE_INVALID_ARGUMENT) {
        refusal.code = "grammar_failed";
      }
      return refusal;
    default: return std::nullopt;
  }
}

const char* finish_reason(int32_t end) {
  return end == MIDGE_END_TOKENS_MAX || end == MIDGE_END_CONTEXT_FULL ? "length" : "stop";
}

/// What both kinds of answers do.
class Answer : public std::enable_shared_from_this<Answer> {
 public:
  Answer(const AnswerContext& context, NamedModel& model, std::shared_ptr<HttpExchange> exchange,
         std::string id, const CommonRequest& request)
      : context_(context),
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
    exchange_->begin_stream(kEventStream);
    begin_stream();
    flush();
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

  const AnswerContext& context_;
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
      exchange_->respond(200, kJson, json.text());
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
  void flush() {
    if (buffer_.empty()) return;
    exchange_->send(buffer_);
    buffer_.clear();
    is_silent_ = false;
    // A client that does not read must not fill the memory.
    if (exchange_->unsent_bytes() > context_.unsent_bytes_max) client_has_gone();
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
  bool is_silent_ = true;
  bool pings_ = false;
  bool is_over_ = false;
  bool is_reported_ = false;
};

std::string new_id(const char* prefix, const AnswerContext& context) {
  return prefix + format_string("%016llx", static_cast<unsigned long long>(context.draw_seed()));
}

// ---------------------------------------------------------------------------------------- chat --

// Kept before the base that refers to it.
struct ChatHolder {
  ChatRequest request;
};

class ChatAnswer : private ChatHolder, public Answer {
 public:
  ChatAnswer(const AnswerContext& context, NamedModel& model, ChatRequest given,
             std::shared_ptr<HttpExchange> exchange)
      : ChatHolder{std::move(given)},
        Answer(context, model, std::move(exchange), new_id("chatcmpl-", context), request) {
    std::optional<ChatFamily> tools;
    if (request.may_call && model.chat().has_value()) tools = model.chat()->family;
    for (int32_t i = 0; i < request.n; ++i) choices_.emplace_back(tools);
  }

 protected:
  std::string blamed(const Status& status) const override {
    if (status.code() == StatusCode::kContextFull || status.code() == StatusCode::kNoPages) {
      return "messages";
    }
    switch (request.rule.kind) {
      case TextRule::Kind::kJsonSchema: return "response_format";
      case TextRule::Kind::kToolCalls: return "tools";
      case TextRule::Kind::kAny: break;
    }
    return request.may_call ? "tools" : "messages";
  }

  const char* object_name(bool is_chunk) const override {
    return is_chunk ? "chat.completion.chunk" : "chat.completion";
  }

  Status submit() override {
    midge_request asked = base_request();
    asked.messages_json = request.messages_json.c_str();
    if (!request.tools_json.empty()) asked.tools_json = request.tools_json.c_str();
    asked.chat_template = context_.chat_template;
    MIDGE_ASSIGN_OR_RETURN(std::vector<std::unique_ptr<GrammarState>> grammars,
                           model_.make_grammars(request.rule, request.n));
    return submit_one(asked, 0, std::move(grammars));
  }

  void begin_stream() override {
    for (int32_t i = 0; i < request.n; ++i) {
      send_chunk(i, [&](JsonWriter& json) {
        json.begin_object("delta").member("role", "assistant").member("content", "").end_object();
        json.member_json("logprobs", "null").member_json("finish_reason", "null");
      });
    }
  }

  void on_token(int32_t index, GenerationEvent& event) override {
    Choice& choice = choices_[static_cast<size_t>(index)];
    std::vector<ScoredToken> scored;
    if (request.logprobs) {
      scored.push_back(scored_token(event.token, event.logprob, event.alternatives));
    }
    AnswerDelta delta = choice.text.push(event.text);
    if (!request.stream) return add(choice, std::move(delta), std::move(scored));
    if (delta.is_empty() && scored.empty()) return;
    send_delta(index, delta, scored, nullptr);
  }

  void on_end(int32_t index, GenerationEvent& event) override {
    Choice& choice = choices_[static_cast<size_t>(index)];
    AnswerDelta delta = choice.text.push(event.text);
    AnswerDelta rest = choice.text.finish();
    delta.thought += rest.thought;
    delta.content += rest.content;
    delta.tool_calls = std::move(rest.tool_calls);
    if (request.is_one_call && delta.tool_calls.size() > 1) delta.tool_calls.resize(1);
    choice.finish_reason = delta.tool_calls.empty() ? finish_reason(event.end) : "tool_calls";
    if (!request.stream) return add(choice, std::move(delta), {});
    if (!delta.is_empty()) send_delta(index, delta, {}, nullptr);
    send_delta(index, {}, {}, choice.finish_reason);
  }

  void write_whole(JsonWriter& json) override {
    json.begin_array("choices");
    for (size_t i = 0; i < choices_.size(); ++i) {
      const Choice& choice = choices_[i];
      json.begin_object().member("index", static_cast<int64_t>(i)).begin_object("message");
      json.member("role", "assistant");
      const bool is_call = !choice.whole.tool_calls.empty();
      if (is_call && choice.whole.content.empty())
        json.member_json("content", "null");
      else
        json.member("content", choice.whole.content);
      json.member_json("refusal", "null");
      if (!choice.whole.thought.empty()) json.member("reasoning_content", choice.whole.thought);
      if (is_call) write_calls(json, static_cast<int32_t>(i), choice.whole.tool_calls, false);
      json.end_object();
      if (request.logprobs)
        write_chat_logprobs(json, choice.scored);
      else
        json.member_json("logprobs", "null");
      json.member("finish_reason", choice.finish_reason).end_object();
    }
    json.end_array();
  }

 private:
  struct Choice {
    explicit Choice(std::optional<ChatFamily> tools) : text(tools) {}

    AnswerText text;
    AnswerDelta whole;
    std::vector<ScoredToken> scored;
    const char* finish_reason = "stop";
  };

  static void add(Choice& choice, AnswerDelta delta, std::vector<ScoredToken> scored) {
    choice.whole.thought += delta.thought;
    choice.whole.content += delta.content;
    for (ToolCall& call : delta.tool_calls) choice.whole.tool_calls.push_back(std::move(call));
    for (ScoredToken& token : scored) choice.scored.push_back(std::move(token));
  }

  void write_calls(JsonWriter& json, int32_t choice, const std::vector<ToolCall>& calls,
                   bool with_index) {
    json.begin_array("tool_calls");
    for (size_t i = 0; i < calls.size(); ++i) {
      json.begin_object();
      if (with_index) json.member("index", static_cast<int64_t>(i));
      json.member("id", new_id("call_", context_) + format_string("_%d_%zu", choice, i));
      json.member("type", "function").begin_object("function");
      json.member("name", calls[i].name).member("arguments", calls[i].arguments);
      json.end_object().end_object();
    }
    json.end_array();
  }

  void send_delta(int32_t index, const AnswerDelta& delta, const std::vector<ScoredToken>& scored,
                  const char* reason) {
    send_chunk(index, [&](JsonWriter& json) {
      json.begin_object("delta");
      if (!delta.thought.empty()) json.member("reasoning_content", delta.thought);
      if (!delta.content.empty()) json.member("content", delta.content);
      if (!delta.tool_calls.empty()) write_calls(json, index, delta.tool_calls, true);
      json.end_object();
      if (scored.empty())
        json.member_json("logprobs", "null");
      else
        write_chat_logprobs(json, scored);
      reason == nullptr ? json.member_json("finish_reason", "null")
                        : json.member("finish_reason", reason);
    });
  }

  std::vector<Choice> choices_;
};

// ---------------------------------------------------------------------------------- completions --

struct CompletionHolder {
  CompletionRequest request;
};

class CompletionAnswer : private CompletionHolder, public Answer {
 public:
  CompletionAnswer(const AnswerContext& context, NamedModel& model, CompletionRequest given,
                   std::shared_ptr<HttpExchange> exchange)
      : CompletionHolder{std::move(given)},
        Answer(context, model, std::move(exchange), new_id("cmpl-", context), request) {}

 protected:
  std::string blamed(const Status&) const override { return "prompt"; }

  const char* object_name(bool) const override { return "text_completion"; }

  Status submit() override {
    if (request.prompts.size() > static_cast<size_t>(context_.requests_max)) {
      return make_status(StatusCode::kInvalidArgument,
                         "%zu prompts, the server takes %lld at a time (--running and --queue)",
                         request.prompts.size(), static_cast<long long>(context_.requests_max));
    }
    choices_.resize(request.prompts.size() * static_cast<size_t>(request.n));
    int32_t first = 0;
    for (CompletionRequest::Prompt& prompt : request.prompts) {
      if (!prompt.is_tokens) {
        MIDGE_ASSIGN_OR_RETURN(prompt.tokens, model_.tokenize(prompt.text, MIDGE_ADD_BOS));
      }
      if (prompt.tokens.empty()) {
        return Status(StatusCode::kInvalidArgument, "a prompt has no tokens");
      }
      midge_request asked = base_request();
      asked.tokens = prompt.tokens.data();
      asked.token_count = prompt.tokens.size();
      if (request.echo) {
        if (!prompt.is_tokens) {
          prompt.text.shrink_to_fit();
        } else {
          MIDGE_ASSIGN_OR_RETURN(prompt.text, model_.detokenize(prompt.tokens, true));
        }
        if (request.logprobs && prompt.tokens.size() > 1) asked.prompt_logprobs_from = 1;
      }
      MIDGE_RETURN_IF_ERROR(submit_one(asked, first, {}));
      first += request.n;
    }
    return Status();
  }

  void begin_stream() override {
    if (!request.echo) return;
    for (size_t i = 0; i < choices_.size(); ++i) send_text(i, prompt_of(i).text, {}, nullptr);
  }

  void on_token(int32_t index, GenerationEvent& event) override {
    if (request.tokens_max == 0) return;
    const auto i = static_cast<size_t>(index);
    Choice& choice = choices_[i];
    std::vector<ScoredToken> scored;
    if (request.logprobs) {
      scored.push_back(scored_token(event.token, event.logprob, event.alternatives));
    }
    if (request.stream) {
      if (!event.text.empty() || !scored.empty()) send_text(i, event.text, scored, nullptr);
      return;
    }
    choice.text += event.text;
    for (ScoredToken& token : scored) choice.scored.push_back(std::move(token));
  }

  void on_end(int32_t index, GenerationEvent& event) override {
    const auto i = static_cast<size_t>(index);
    Choice& choice = choices_[i];
    const bool has_answer = request.tokens_max != 0;
    choice.finish_reason = has_answer ? finish_reason(event.end) : "length";
    if (request.stream) {
      return send_text(i, has_answer ? event.text : std::string(), {}, choice.finish_reason);
    }
    if (has_answer) choice.text += event.text;
    if (request.echo && request.logprobs) {
      score_prompt(prompt_of(i), event);
    }
  }

  void write_whole(JsonWriter& json) override {
    json.begin_array("choices");
    for (size_t i = 0; i < choices_.size(); ++i) {
      Choice& choice = choices_[i];
      const CompletionRequest::Prompt& prompt = prompt_of(i);
      json.begin_object().member("text", request.echo ? prompt.text + choice.text : choice.text);
      json.member("index", static_cast<int64_t>(i));
      if (!request.logprobs) {
        json.member_json("logprobs", "null");
      } else {
        std::vector<ScoredToken> scored;
        if (request.echo) scored = prompt_scores_[i / static_cast<size_t>(request.n)];
        scored.insert(scored.end(), std::make_move_iterator(choice.scored.begin()),
                      std::make_move_iterator(choice.scored.end()));
        write_completion_logprobs(json, scored, offsets_of(scored, 0), request.top_logprobs > 0);
      }
      json.member("finish_reason", choice.finish_reason).end_object();
    }
    json.end_array();
  }

 private:
  struct Choice {
    std::string text;
    std::vector<ScoredToken> scored;
    int64_t offset = 0;  // of a stream: characters that were sent
    const char* finish_reason = "stop";
  };

  CompletionRequest::Prompt& prompt_of(size_t choice) {
    return request.prompts[choice / static_cast<size_t>(request.n)];
  }

  // Once for each prompt: its answers share them.
  void score_prompt(const CompletionRequest::Prompt& prompt, const GenerationEvent& event) {
    if (event.sample != 0) return;
    const auto place = static_cast<size_t>(&prompt - request.prompts.data());
    prompt_scores_.resize(request.prompts.size());
    std::vector<ScoredToken>& scored = prompt_scores_[place];
    scored.push_back({{model_.token_bytes(prompt.tokens.front()), 0, false}, {}});
    for (size_t i = 0; i < event.prompt_logprobs.size(); ++i) {
      const midge_logprob& own = event.prompt_logprobs[i];
      const std::span<const midge_logprob> all = event.prompt_alternatives;
      scored.push_back(scored_token(
          own.token, own.logprob,
          all.subspan(i * event.alternatives_per_token, event.alternatives_per_token)));
    }
  }

  static std::vector<int64_t> offsets_of(std::span<const ScoredToken> scored, int64_t begin) {
    std::vector<int64_t> offsets;
    for (const ScoredToken& token : scored) {
      offsets.push_back(begin);
      begin += count_characters(token.token.bytes);
    }
    return offsets;
  }

  void send_text(size_t index, std::string_view text, const std::vector<ScoredToken>& scored,
                 const char* reason) {
    Choice& choice = choices_[index];
    send_chunk(static_cast<int32_t>(index), [&](JsonWriter& json) {
      json.member("text", text);
      if (scored.empty()) {
        json.member_json("logprobs", "null");
      } else {
        write_completion_logprobs(json, scored, offsets_of(scored, choice.offset),
                                  request.top_logprobs > 0);
        for (const ScoredToken& token : scored) {
          choice.offset += count_characters(token.token.bytes);
        }
      }
      reason == nullptr ? json.member_json("finish_reason", "null")
                        : json.member("finish_reason", reason);
    });
  }

  std::vector<Choice> choices_;
  std::vector<std::vector<ScoredToken>> prompt_scores_;  // by prompt
};

}  // namespace

void refuse(HttpExchange& exchange, const Refusal& refusal) {
  HttpFields fields;
  if (refusal.retry_seconds > 0) {
    fields.emplace_back("Retry-After", std::to_string(refusal.retry_seconds));
  }
  if (refusal.status == 401) fields.emplace_back("WWW-Authenticate", "Bearer");
  exchange.respond(refusal.status, kJson, refusal.body(), std::move(fields));
}

void answer_chat(const AnswerContext& context, NamedModel& model, ChatRequest request,
                 std::shared_ptr<HttpExchange> exchange) {
  std::make_shared<ChatAnswer>(context, model, std::move(request), std::move(exchange))->start();
}

void answer_completion(const AnswerContext& context, NamedModel& model, CompletionRequest request,
                       std::shared_ptr<HttpExchange> exchange) {
  if (request.stream && request.echo && request.logprobs) {
    Refusal refusal;
    refusal.param = "stream";
    refusal.message = "'stream' beside 'echo' and 'logprobs'";
    return refuse(*exchange, refusal);
  }
  std::make_shared<CompletionAnswer>(context, model, std::move(request), std::move(exchange))
      ->start();
}

}  // namespace midge
