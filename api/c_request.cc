// Requests of include/midge/midge.h: what they ask for, what they tell. Both share the mailbox and
// what is kept of an answer, so they stand together, long as that is.
#include <chrono>
#include <cmath>

#include "api/c_handles.h"
#include "engine/chat/chat_json.h"
#include "engine/core/at_end.h"
#include "engine/core/check.h"
#include "engine/core/exceptions.h"

namespace midge {
namespace {

// Shown as the caller's.
static_assert(sizeof(midge_logprob) == sizeof(TokenLogprob) &&
              offsetof(midge_logprob, token) == offsetof(TokenLogprob, token) &&
              offsetof(midge_logprob, logprob) == offsetof(TokenLogprob, logprob));
const midge_logprob* as_logprobs(const TokenLogprob* values) {
  return reinterpret_cast<const midge_logprob*>(values);
}

/// What the callbacks of one request need. Shared by its answers.
struct Telling {
  midge_engine* engine = nullptr;
  int32_t (*on_event)(void* user, const midge_event* event) = nullptr;
  void* user = nullptr;
  std::shared_ptr<Mailbox> mailbox;  // without a callback
  bool keeps = false;
  size_t model = 0;
  std::vector<int32_t> prompt;  // if it keeps ...
  std::vector<RowRole> roles;   // ... it
  std::vector<uint8_t> threw;   // by answer
  size_t alternatives = 0;
};

/// The mask of an answer, by the caller's functions. What they throw makes it allow nothing.
class CallerMask : public TokenMask {
 public:
  CallerMask(const midge_token_mask& mask, int32_t sample, std::shared_ptr<Telling> telling)
      : mask_(mask), sample_(sample), telling_(std::move(telling)) {}

  void restrict(std::span<uint8_t> allowed) override {
    const bool held =
        call([&] { mask_.restrict_tokens(mask_.user, sample_, allowed.data(), allowed.size()); });
    if (!held) std::fill(allowed.begin(), allowed.end(), uint8_t{0});
  }
  void accept(int32_t token) override {
    if (mask_.accept == nullptr) return;
    call([&] { mask_.accept(mask_.user, sample_, token); });
  }
  void rollback(int64_t tokens) override {
    if (mask_.rollback == nullptr) return;
    call([&] { mask_.rollback(mask_.user, sample_, static_cast<size_t>(tokens)); });
  }

 private:
  template <typename Call>
  bool call(const Call& body) {
    MIDGE_TRY {
      if (telling_->threw[static_cast<size_t>(sample_)] == 0) body();
    }
    MIDGE_CATCH(...) { telling_->threw[static_cast<size_t>(sample_)] = 1; }
    return telling_->threw[static_cast<size_t>(sample_)] == 0;
  }

  midge_token_mask mask_;
  int32_t sample_;
  std::shared_ptr<Telling> telling_;
};

// False if the answer shall end.
bool tell(Telling& telling, const midge_event& event) {
  uint8_t& threw = telling.threw[static_cast<size_t>(event.sample)];
  MIDGE_TRY {
    if (telling.on_event == nullptr) {
      auto stored = std::make_unique<StoredEvent>(event);
      {
        const std::lock_guard lock(telling.engine->mutex);
        telling.mailbox->waiting.push_back(std::move(stored));
      }
      telling.engine->told.notify_all();
      return true;
    }
    return telling.on_event(telling.user, &event) == 0 && threw == 0;
  }
  MIDGE_CATCH(...) {
    threw = 1;
    if (telling.on_event == nullptr && event.type == MIDGE_EVENT_END) {
      // No memory for the end: whoever waits for it hears that there is none.
      const std::lock_guard lock(telling.engine->mutex);
      --telling.mailbox->ends_left;
      telling.engine->told.notify_all();
    }
    return false;
  }
}

bool tell_token(Telling& telling, const TokenOutput& output) {
  midge_event event = {};
  event.size = sizeof(event);
  event.type = MIDGE_EVENT_TOKEN;
  event.sample = output.sample;
  event.request = output.id;
  event.text = output.text.data();
  event.text_bytes = output.text.size();
  event.token = output.token->token;
  event.logprob = output.token->logprob;
  event.alternatives = as_logprobs(output.alternatives.data());
  event.alternative_count = output.alternatives.size();
  event.text_offset = output.token->text_offset;
  return tell(telling, event);
}

int32_t end_of(const RequestResult& result) {
  switch (result.end) {
    case RequestEnd::kCancelled: return MIDGE_END_CANCELLED;
    case RequestEnd::kDeadline: return MIDGE_END_DEADLINE;
    case RequestEnd::kFailed: return MIDGE_END_FAILED;
    case RequestEnd::kDone: break;
  }
  switch (result.generated.reason) {
    case FinishReason::kStopToken: return MIDGE_END_STOP_TOKEN;
    case FinishReason::kStopString: return MIDGE_END_STOP_STRING;
    case FinishReason::kTokensMax: return MIDGE_END_TOKENS_MAX;
    case FinishReason::kContextFull: return MIDGE_END_CONTEXT_FULL;
    case FinishReason::kCancelled: break;
  }
  return MIDGE_END_CANCELLED;
}

midge_request_stats stats_of(const RequestResult& result) {
  midge_request_stats stats = {};
  const GenerateResult& generated = result.generated;
  stats.prompt_tokens = generated.prompt_tokens;
  stats.cached_tokens = result.cached_tokens;
  stats.answer_tokens = static_cast<int64_t>(generated.tokens.size());
  stats.preemptions = result.preemptions;
  stats.queue_seconds = result.queue_seconds;
  stats.first_token_seconds = result.first_token_seconds;
  const double reading = result.first_token_seconds - result.queue_seconds;
  if (reading > 0) {
    stats.prompt_tokens_per_second =
        static_cast<double>(generated.prompt_tokens - result.cached_tokens) / reading;
  }
  stats.answer_tokens_per_second = generated.decode_tokens_per_second();
  stats.token_seconds_p50 = result.token_latency.quantile(0.50);
  stats.token_seconds_p95 = result.token_latency.quantile(0.95);
  stats.token_seconds_p99 = result.token_latency.quantile(0.99);
  stats.steps = generated.drafts.steps;
  stats.drafts_read = generated.drafts.all_read();
  stats.drafts_right = generated.drafts.all_drawn();
  return stats;
}

// The alternatives of each token of the prompt in a row of its own.
std::vector<midge_logprob> table_of(const RequestResult& result, size_t columns) {
  std::vector<midge_logprob> table(result.prompt_scores.size() * columns, {-1, 0});
  for (size_t i = 0; i < result.prompt_scores.size(); ++i) {
    const GeneratedToken& score = result.prompt_scores[i];
    std::copy_n(as_logprobs(result.prompt_alternatives.data()) + score.first_alternative,
                std::min(columns, score.alternative_count), table.begin() + ptrdiff_t(i * columns));
  }
  return table;
}

// What an answer leaves for the one that continues it: without its end token, which the next turn
// writes.
void keep_transcript(const Telling& telling, const RequestResult& result) {
  Transcript transcript = {telling.model, telling.prompt, telling.roles};
  for (const GeneratedToken& token : result.generated.tokens) {
    transcript.tokens.push_back(token.token);
    transcript.roles.push_back(RowRole::kGenerated);
  }
  if (result.generated.reason == FinishReason::kStopToken) {
    transcript.tokens.pop_back();
    transcript.roles.pop_back();
  }
  midge_engine& engine = *telling.engine;
  const std::lock_guard lock(engine.mutex);
  engine.kept.emplace(result.id, std::move(transcript));
  engine.kept_order.push_back(result.id);
  while (engine.kept_order.size() > engine.requests_max) {
    engine.kept.erase(engine.kept_order.front());
    engine.kept_order.pop_front();
  }
}

void tell_whole_end(Telling& telling, const RequestResult& result) {
  const bool threw = telling.threw[static_cast<size_t>(result.sample)] != 0;
  if (telling.keeps && result.sample == 0 && !threw && result.end != RequestEnd::kFailed) {
    keep_transcript(telling, result);
  }
  const midge_request_stats stats = stats_of(result);
  const std::vector<midge_logprob> table = table_of(result, telling.alternatives);
  std::vector<midge_logprob> scores;
  for (const GeneratedToken& score : result.prompt_scores) {
    scores.push_back({score.token, score.logprob});
  }
  midge_event event = {};
  event.size = sizeof(event);
  event.type = MIDGE_EVENT_END;
  event.sample = result.sample;
  event.request = result.id;
  event.text = result.last_text.data();
  event.text_bytes = result.last_text.size();
  event.end = threw ? MIDGE_END_FAILED : end_of(result);
  event.status = threw ? MIDGE_CALLBACK_FAILED : static_cast<midge_status>(result.status.code());
  event.error_text = threw ? "an exception left a callback" : result.status.message().c_str();
  event.stats = &stats;
  event.prompt_logprobs = scores.data();
  event.prompt_logprob_count = scores.size();
  event.prompt_alternatives = table.data();
  event.alternatives_per_token = telling.alternatives;
  tell(telling, event);
}

void tell_end(Telling& telling, const RequestResult& result) {
  MIDGE_TRY { return tell_whole_end(telling, result); }
  MIDGE_CATCH(const std::bad_alloc&) {}
  // Without what takes memory.
  const midge_request_stats stats = stats_of(result);
  midge_event event = {};
  event.size = sizeof(event);
  event.type = MIDGE_EVENT_END;
  event.sample = result.sample;
  event.request = result.id;
  event.text = "";
  event.end = MIDGE_END_FAILED;
  event.status = MIDGE_OUT_OF_MEMORY;
  event.error_text = "no memory for the end of the answer";
  event.stats = &stats;
  tell(telling, event);
}

// Text in one of its forms: how many are set.
int prompts_given(const midge_request& given) {
  return (given.text != nullptr ? 1 : 0) + (given.tokens != nullptr ? 1 : 0) +
         (given.messages != nullptr ? 1 : 0) + (given.messages_json != nullptr ? 1 : 0);
}

Result<std::vector<ChatMessage>> read_messages(const midge_request& given) {
  if (given.messages_json != nullptr) {
    return parse_chat_messages("messages_json", given.messages_json);
  }
  std::vector<ChatMessage> messages;
  for (size_t i = 0; i < given.message_count; ++i) {
    const midge_chat_message& message = given.messages[i];
    if (message.role == nullptr || message.content == nullptr) {
      return make_status(StatusCode::kInvalidArgument, "messages[%zu] has a null text", i);
    }
    const std::optional<ChatRole> role = chat_role_from_name(message.role);
    if (!role.has_value()) {
      return make_status(StatusCode::kInvalidArgument,
                         "messages[%zu] has role '%s', expected system, user, assistant or tool", i,
                         printable(message.role).c_str());
    }
    messages.push_back({*role, message.content});
  }
  return messages;
}

Status add_chat(const midge_model& model, const midge_request& given, bool continues,
                size_t tokens_max, std::vector<int32_t>* tokens) {
  ChatTemplate chat;
  if (given.chat_template != nullptr) {
    MIDGE_ASSIGN_OR_RETURN(chat, chat_template_from_name(given.chat_template));
  } else if (model.chat.has_value()) {
    chat = *model.chat;
  } else {
    return Status(StatusCode::kUnsupported, model.chat_error);
  }
  MIDGE_ASSIGN_OR_RETURN(const std::vector<ChatMessage> messages, read_messages(given));
  std::vector<ChatTool> tools;
  if (given.tools_json != nullptr) {
    MIDGE_ASSIGN_OR_RETURN(tools, parse_chat_tools("tools_json", given.tools_json));
  }
  Result<std::vector<PromptPart>> parts =
      continues ? render_chat_continuation(chat, TurnEnd::kMissing, messages)
                : render_chat(chat, messages, GenerationPrompt::kAssistant, tools);
  MIDGE_RETURN_IF_ERROR(parts.status());
  return model.loaded->tokenizer().encode_parts(*parts, tokens, tokens_max);
}

// Adds what the request gives to what it continues.
Status add_prompt(const midge_model& model, const midge_request& given, Request* request) {
  const bool continues = given.continues != 0;
  std::vector<int32_t> tokens;
  // Of a text that is longer than the context no more is encoded than that takes to see.
  const auto context = static_cast<size_t>(model.served.scheduling.context_length);
  const size_t most = context - std::min(context, request->prompt.size());
  if (given.text != nullptr && continues) {
    MIDGE_RETURN_IF_ERROR(
        model.loaded->tokenizer().encode(given.text, SpecialTokens::kAsText, &tokens, most));
  } else if (given.text != nullptr) {
    MIDGE_ASSIGN_OR_RETURN(tokens, model.loaded->encode_prompt(given.text, most));
  } else if (given.tokens != nullptr) {
    tokens.assign(given.tokens, given.tokens + given.token_count);
  } else {
    MIDGE_RETURN_IF_ERROR(add_chat(model, given, continues, most, &tokens));
  }
  for (size_t i = 0; i < tokens.size(); ++i) {
    const bool generated = given.tokens != nullptr && given.token_roles != nullptr &&
                           given.token_roles[i] == MIDGE_ROLE_GENERATED;
    request->roles.push_back(generated ? RowRole::kGenerated : RowRole::kPrompt);
  }
  request->prompt.insert(request->prompt.end(), tokens.begin(), tokens.end());
  return Status();
}

Status add_options(const midge_model& model, const midge_request& given, Request* request) {
  GenerateOptions& generate = request->generate;
  if (given.tokens_max != 0) generate.tokens_max = given.tokens_max;
  if (given.ignore_stop_tokens == 0) generate.stop_ids = model.stop_ids;
  if (given.stop_string_count > 0 && given.stop_strings == nullptr) {
    return null_argument("stop_strings");
  }
  for (size_t i = 0; i < given.stop_string_count; ++i) {
    if (given.stop_strings[i] == nullptr) return null_argument("stop_strings[i]");
    generate.stop_strings.emplace_back(given.stop_strings[i]);
  }
  const bool is_chat = given.messages != nullptr || given.messages_json != nullptr;
  generate.special_text = is_chat || given.special_text != 0;
  SamplerOptions& sampler = generate.sampler;
  sampler.temperature = given.temperature;
  sampler.top_k = given.top_k;
  if (given.top_p != 0) sampler.top_p = given.top_p;
  sampler.min_p = given.min_p;
  if (given.repetition_penalty != 0) sampler.repetition_penalty = given.repetition_penalty;
  sampler.presence_penalty = given.presence_penalty;
  sampler.frequency_penalty = given.frequency_penalty;
  sampler.seed = given.seed;
  sampler.logprobs = given.logprobs;
  if (given.logit_bias_count > 0 && given.logit_bias == nullptr) return null_argument("logit_bias");
  for (size_t i = 0; i < given.logit_bias_count; ++i) {
    sampler.logit_bias.emplace_back(given.logit_bias[i].token, given.logit_bias[i].logprob);
  }
  request->priority = given.priority;
  request->no_drafts = given.no_drafts != 0;
  if (given.samples != 0) request->samples = given.samples;
  request->score_from = given.prompt_logprobs_from;
  if (given.deadline_seconds < 0 || given.deadline_seconds != given.deadline_seconds) {
    return make_status(StatusCode::kOutOfRange, "a deadline in %g s", given.deadline_seconds);
  }
  constexpr double kForever = 1e9;
  if (given.deadline_seconds > 0 && given.deadline_seconds < kForever) {
    using Clock = std::chrono::steady_clock;
    request->deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                           std::chrono::duration<double>(given.deadline_seconds));
  }
  return Status();
}

// What an earlier request has left.
// Taken out, so that nobody else continues it too.
Result<Transcript> take_transcript(midge_engine& engine, const midge_request& given) {
  const std::lock_guard lock(engine.mutex);
  const auto found = engine.kept.find(given.continues);
  if (found == engine.kept.end()) {
    return make_status(StatusCode::kNotFound, "no request %llu that was kept and has ended",
                       static_cast<unsigned long long>(given.continues));
  }
  if (found->second.model != given.model) {
    return make_status(StatusCode::kInvalidArgument, "request %llu was one of model %zu, not %u",
                       static_cast<unsigned long long>(given.continues), found->second.model,
                       given.model);
  }
  Transcript taken = std::move(found->second);
  engine.kept.erase(found);
  std::erase(engine.kept_order, given.continues);
  return taken;
}

void put_back(midge_engine& engine, uint64_t id, Transcript transcript) {
  const std::lock_guard lock(engine.mutex);
  MIDGE_TRY {
    engine.kept_order.push_back(id);
    engine.kept.emplace(id, std::move(transcript));
  }
  MIDGE_CATCH(const std::bad_alloc&) {}  // then it is gone
}

Status check_request(const midge_engine& engine, const midge_request& given) {
  if (given.model >= engine.models.size()) {
    return make_status(StatusCode::kOutOfRange, "model %u, the engine has %zu", given.model,
                       engine.models.size());
  }
  if (prompts_given(given) != 1) {
    return make_status(StatusCode::kInvalidArgument,
                       "%d of text, tokens, messages and messages_json are set, expected one",
                       prompts_given(given));
  }
  const bool is_chat = given.messages != nullptr || given.messages_json != nullptr;
  if (!is_chat && (given.tools_json != nullptr || given.chat_template != nullptr)) {
    return Status(StatusCode::kInvalidArgument, "tools_json or chat_template without messages");
  }
  if (given.mask != nullptr && given.mask->restrict_tokens == nullptr) {
    return null_argument("mask->restrict_tokens");
  }
  return Status();
}

// Requests all of whose events were handed out keep the last one, until so many others have ended.
constexpr size_t kHandedOutMax = 64;

// Room for the events of a request without a callback.
Result<std::shared_ptr<Mailbox>> make_mailbox(midge_engine& engine, int32_t answers) {
  auto mailbox = std::make_shared<Mailbox>();
  mailbox->ends_left = answers;
  const std::lock_guard lock(engine.mutex);
  const size_t waiting = engine.mailboxes.size() - engine.handed_out.size();
  if (waiting < engine.requests_max) return mailbox;
  return make_status(StatusCode::kBusy, "the events of %zu requests wait to be taken", waiting);
}

// The last event of a request was handed out.
void note_handed_out(midge_engine& engine, uint64_t id) {
  engine.handed_out.push_back(id);
  while (engine.handed_out.size() > kHandedOutMax) {
    engine.mailboxes.erase(engine.handed_out.front());
    engine.handed_out.pop_front();
  }
}

}  // namespace

StoredEvent::StoredEvent(const midge_event& from)
    : event(from),
      text(from.text, from.text_bytes),
      error_text(from.error_text ? from.error_text : "") {
  const auto copy = [](std::vector<midge_logprob>& to, const midge_logprob*& values, size_t count) {
    if (count > 0) to.assign(values, values + count);
    values = to.data();
  };
  copy(alternatives, event.alternatives, event.alternative_count);
  copy(prompt_logprobs, event.prompt_logprobs, event.prompt_logprob_count);
  copy(prompt_alternatives, event.prompt_alternatives,
       event.prompt_logprob_count * event.alternatives_per_token);
  event.text = text.data();
  if (event.type != MIDGE_EVENT_END) return;
  stats = *from.stats;
  event.stats = &stats;
  event.error_text = error_text.c_str();
}

Result<uint64_t> submit_request(midge_engine& engine, const midge_request& given) {
  MIDGE_RETURN_IF_ERROR(check_request(engine, given));
  const midge_model& model = *engine.models[given.model];
  Request request;
  Transcript transcript;
  if (given.continues != 0) {
    MIDGE_ASSIGN_OR_RETURN(transcript, take_transcript(engine, given));
    request.prompt = transcript.tokens;
    request.roles = transcript.roles;
  }
  AtEnd refused([&] {
    if (given.continues == 0 || transcript.tokens.empty()) return;
    put_back(engine, given.continues, std::move(transcript));
  });
  MIDGE_RETURN_IF_ERROR(add_prompt(model, given, &request));
  MIDGE_RETURN_IF_ERROR(add_options(model, given, &request));

  const auto telling = std::make_shared<Telling>();
  telling->engine = &engine;
  telling->on_event = given.on_event;
  telling->user = given.user;
  telling->keeps = given.keep != 0;
  telling->model = given.model;
  telling->alternatives = static_cast<size_t>(std::max(0, given.logprobs));
  telling->threw.assign(static_cast<size_t>(std::clamp(request.samples, 1, 4096)), 0);
  if (telling->keeps) {
    telling->prompt = request.prompt;
    telling->roles = request.roles;
  }
  if (given.on_event == nullptr) {
    MIDGE_ASSIGN_OR_RETURN(telling->mailbox, make_mailbox(engine, request.samples));
  }
  if (given.mask != nullptr) {
    request.make_mask = [mask = *given.mask, telling](int32_t sample) {
      return std::make_unique<CallerMask>(mask, sample, telling);
    };
  }
  request.on_token = [telling](const TokenOutput& output) { return tell_token(*telling, output); };
  request.on_end = [telling](const RequestResult& result) { tell_end(*telling, result); };
  MIDGE_ASSIGN_OR_RETURN(const uint64_t id, engine.engine->submit(given.model, std::move(request)));
  refused.call_off();
  if (telling->mailbox != nullptr) {
    const std::lock_guard lock(engine.mutex);
    engine.mailboxes.emplace(id, telling->mailbox);
  }
  return id;
}

namespace {

using Clock = std::chrono::steady_clock;

Status no_events(uint64_t id) {
  return make_status(StatusCode::kNotFound, "no request %llu with events to take",
                     static_cast<unsigned long long>(id));
}

Result<std::shared_ptr<Mailbox>> find_mailbox(midge_engine& engine, uint64_t id) {
  const auto found = engine.mailboxes.find(id);
  if (found != engine.mailboxes.end()) return found->second;
  return no_events(id);
}

Status check_seconds(double seconds) {
  if (!std::isnan(seconds)) return Status();
  return Status(StatusCode::kOutOfRange, "seconds is not a number");
}

Status late(uint64_t id) {
  return make_status(StatusCode::kTimeout, "no event of request %llu",
                     static_cast<unsigned long long>(id));
}

// Waits for an event; the lock is held before and after.
Status await_event(midge_engine& engine, uint64_t id, const Mailbox& mailbox, double seconds,
                   std::unique_lock<std::mutex>& lock) {
  constexpr double kForever = 1e9;
  const double most = seconds < 0 ? kForever : std::min(seconds, kForever);
  const auto end = Clock::now() +
                   std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(most));
  // Another thread may take the last one.
  const auto has_some = [&] { return !mailbox.waiting.empty() || mailbox.ends_left == 0; };
  if (!engine.caller_driven) {
    return engine.told.wait_until(lock, end, has_some) ? Status() : late(id);
  }
  while (!has_some()) {
    if (most == 0 || Clock::now() >= end) return late(id);
    lock.unlock();
    const Status stepped = engine.engine->step().status();
    lock.lock();
    MIDGE_RETURN_IF_ERROR(stepped);
  }
  return Status();
}

Status next_event(midge_engine& engine, uint64_t id, double seconds, midge_event* event) {
  MIDGE_RETURN_IF_ERROR(check_filled("midge_event", event));
  MIDGE_RETURN_IF_ERROR(check_seconds(seconds));
  if (engine.engine->is_inside()) {
    return Status(StatusCode::kBusy, "midge_next_event: called from a callback");
  }
  std::unique_lock lock(engine.mutex);
  MIDGE_ASSIGN_OR_RETURN(const std::shared_ptr<Mailbox> mailbox, find_mailbox(engine, id));
  mailbox->handed_out.reset();
  if (mailbox->ends_left == 0) {  // its last event was handed out before
    engine.mailboxes.erase(id);
    std::erase(engine.handed_out, id);
    return find_mailbox(engine, id).status();
  }
  MIDGE_RETURN_IF_ERROR(await_event(engine, id, *mailbox, seconds, lock));
  if (mailbox->waiting.empty()) return no_events(id);
  mailbox->handed_out = std::move(mailbox->waiting.front());
  mailbox->waiting.pop_front();
  fill_struct(mailbox->handed_out->event, event);
  if (event->type == MIDGE_EVENT_END && --mailbox->ends_left == 0) {
    note_handed_out(engine, id);
    engine.told.notify_all();
  }
  return Status();
}

}  // namespace
}  // namespace midge

using midge::as_engine;
using midge::guarded;
using midge::Status;

midge_status midge_submit(midge_engine* engine, const midge_request* request, uint64_t* id) {
  if (as_engine(engine) == nullptr) return MIDGE_INVALID_ARGUMENT;
  return guarded(engine, [&]() -> Status {
    if (request == nullptr) return midge::null_argument("request");
    midge_request known;
    MIDGE_RETURN_IF_ERROR(midge::read_struct("midge_request", request, &known));
    MIDGE_ASSIGN_OR_RETURN(const uint64_t given, midge::submit_request(*engine, known));
    if (id != nullptr) *id = given;
    return Status();
  });
}

midge_status midge_cancel(midge_engine* engine, uint64_t id) {
  if (as_engine(engine) == nullptr) return MIDGE_INVALID_ARGUMENT;
  return guarded(engine, [&] { return engine->engine->cancel(id); });
}

midge_status midge_wait(midge_engine* engine, uint64_t id, double seconds) {
  if (as_engine(engine) == nullptr) return MIDGE_INVALID_ARGUMENT;
  return guarded(engine, [&]() -> Status {
    MIDGE_RETURN_IF_ERROR(midge::check_seconds(seconds));
    return engine->engine->wait(id, seconds);
  });
}

midge_status midge_next_event(midge_engine* engine, uint64_t id, double seconds,
                              midge_event* event) {
  if (as_engine(engine) == nullptr) return MIDGE_INVALID_ARGUMENT;
  return guarded(engine, [&] { return midge::next_event(*engine, id, seconds, event); });
}
