// Answers to POST /v1/chat/completions.
#include "server/answer_base.h"
#include "server/answer_text.h"

namespace midge {
namespace {

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

}  // namespace

void answer_chat(const AnswerContext& context, NamedModel& model, ChatRequest request,
                 std::shared_ptr<HttpExchange> exchange) {
  std::make_shared<ChatAnswer>(context, model, std::move(request), std::move(exchange))->start();
}

}  // namespace midge
