// Answers to POST /v1/completions.
#include <iterator>

#include "server/answer_base.h"

namespace midge {
namespace {

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
      midge_request asked = base_request();
      if (is_for_the_engine(prompt)) {
        asked.text = prompt.text.c_str();
      } else {
        MIDGE_RETURN_IF_ERROR(give_tokens(prompt, &asked));
      }
      if (request.echo) {
        if (prompt.is_tokens) {
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
        const int64_t begin = request.echo ? begin_of(prompt, i) : 0;
        write_completion_logprobs(json, scored, offsets_of(scored, begin),
                                  request.top_logprobs > 0);
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

  // The engine counts tokens against the context while it makes them. What scores a prompt needs
  // its tokens here, and a NUL would end the text.
  bool is_for_the_engine(const CompletionRequest::Prompt& prompt) const {
    const bool is_scored = request.echo && request.logprobs;
    return !prompt.is_tokens && !is_scored && !prompt.text.empty() &&
           prompt.text.find('\0') == std::string::npos;
  }

  Status give_tokens(CompletionRequest::Prompt& prompt, midge_request* asked) const {
    if (!prompt.is_tokens) {
      MIDGE_ASSIGN_OR_RETURN(prompt.tokens, model_.tokenize(prompt.text, MIDGE_ADD_BOS));
    }
    if (prompt.tokens.empty()) {
      return Status(StatusCode::kInvalidArgument, "a prompt has no tokens");
    }
    asked->tokens = prompt.tokens.data();
    asked->token_count = prompt.tokens.size();
    return Status();
  }

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

  // Where the tokens of a prompt begin in its text: before it, as its start token and the space
  // that a SentencePiece encoder adds do not stand there.
  int64_t begin_of(const CompletionRequest::Prompt& prompt, size_t choice) const {
    int64_t begin = count_characters(prompt.text);
    for (const ScoredToken& token : prompt_scores_[choice / static_cast<size_t>(request.n)]) {
      begin -= count_characters(token.token.bytes);
    }
    return begin;
  }

  static std::vector<int64_t> offsets_of(std::span<const ScoredToken> scored, int64_t begin) {
    std::vector<int64_t> offsets;
    for (const ScoredToken& token : scored) {
      offsets.push_back(std::max<int64_t>(0, begin));
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
