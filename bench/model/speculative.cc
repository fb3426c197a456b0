#include "bench/model/speculative.h"

#include <algorithm>
#include <chrono>

#include "engine/core/seconds.h"
#include "engine/scheduler/scheduler.h"
#include "engine/session/random.h"

namespace midge::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Answers = std::vector<std::vector<int32_t>>;

constexpr uint64_t kTokenSeed = 20260102;
constexpr int64_t kMadeUpPrompt = 64;

/// A scheduler and what it has written.
class Writer {
 public:
  static Result<std::unique_ptr<Writer>> create(const LoadedModel& model,
                                                const Tokenizer& tokenizer,
                                                std::span<const uint8_t> allowed,
                                                const SchedulerOptions& options) {
    std::unique_ptr<Writer> writer(new Writer());
    MIDGE_ASSIGN_OR_RETURN(writer->scheduler_,
                           Scheduler::create(model.executor(), tokenizer, allowed, options));
    return writer;
  }

  const Scheduler& scheduler() const { return *scheduler_; }

  /// Seconds from when all answers have their first token to their end.
  Result<double> write(std::span<const std::vector<int32_t>> prompts, int64_t tokens,
                       std::span<const FakedDrafts> faked, const std::atomic<bool>* cancel,
                       Answers* answers) {
    size_t begun = 0;
    answers->assign(prompts.size(), {});
    steps = 0;
    for (size_t i = 0; i < prompts.size(); ++i) {
      Request request;
      request.prompt = prompts[i];
      request.generate.tokens_max = tokens;
      request.cancel = cancel;
      if (!faked.empty()) request.faked = &faked[i];
      request.on_token = [answers, i, &begun](const TokenOutput& output) {
        if ((*answers)[i].empty()) ++begun;
        (*answers)[i].push_back(output.token->token);
        return true;
      };
      request.on_end = [this](const RequestResult& result) {
        steps += result.generated.drafts.steps;
        if (!result.status.ok()) status_ = result.status;
      };
      MIDGE_RETURN_IF_ERROR(scheduler_->submit(request).status());
    }
    // A step may begin the last answer and finish others: time counts from the first full step.
    const Clock::time_point submitted = Clock::now();
    while (begun < prompts.size()) {
      MIDGE_ASSIGN_OR_RETURN(const bool more, scheduler_->step());
      if (!more) break;
    }
    counted_from = 0;
    for (const auto& answer : *answers) counted_from += static_cast<int64_t>(answer.size());
    const Clock::time_point start = Clock::now();
    prompt_seconds += seconds_between(submitted, start);
    MIDGE_RETURN_IF_ERROR(scheduler_->run());
    if (cancel != nullptr && *cancel) return make_status(StatusCode::kCancelled, "cancelled");
    MIDGE_RETURN_IF_ERROR(status_);
    return seconds_between(start, Clock::now());
  }

  int64_t counted_from = 0;  // tokens before the clock ran
  int64_t steps = 0;
  double prompt_seconds = 0;  // until all have their first token; of all calls

 private:
  std::unique_ptr<Scheduler> scheduler_;
  Status status_;
};

Result<std::vector<std::vector<int32_t>>> prompts_of(const LoadedModel& model,
                                                     const SpeculativeOptions& options) {
  std::vector<std::vector<int32_t>> prompts;
  if (model.has_tokenizer()) {
    for (const std::string& text : options.prompts) {
      MIDGE_ASSIGN_OR_RETURN(std::vector<int32_t> tokens, model.encode_prompt(text));
      prompts.push_back(std::move(tokens));
    }
    return prompts;
  }
  const auto vocab_size = static_cast<double>(model.model().config().vocab_size);
  for (int64_t i = 0; i < options.requests; ++i) {
    std::vector<int32_t> tokens;
    for (int64_t j = 0; j < kMadeUpPrompt; ++j) {
      const auto place = static_cast<uint64_t>(i * kMadeUpPrompt + j);
      tokens.push_back(static_cast<int32_t>(uniform_at(kTokenSeed, place) * vocab_size));
    }
    prompts.push_back(std::move(tokens));
  }
  return prompts;
}

int64_t count_tokens(const Answers& answers) {
  int64_t count = 0;
  for (const auto& answer : answers) count += static_cast<int64_t>(answer.size());
  return count;
}

// A tokenizer of made-up tokens, for models that have none.
Result<Tokenizer> made_up_tokenizer(int64_t vocab_size) {
  std::vector<std::string> texts;
  texts.reserve(static_cast<size_t>(vocab_size));
  TokenizerDefinition definition;
  definition.name = "made-up tokens";
  definition.family = TokenizerFamily::kSentencepiece;
  for (int64_t id = 0; id < vocab_size; ++id) {
    const bool is_byte = id < 256;
    texts.push_back(is_byte ? format_string("<0x%02X>", static_cast<unsigned>(id))
                            : format_string("token%lld.", static_cast<long long>(id)));
    definition.vocabulary.push_back({static_cast<int32_t>(id), texts.back(), is_byte, 0});
  }
  return Tokenizer::create(definition);
}

/// The rounds.
class Measurement {
 public:
  Measurement(const LoadedModel& model, const SpeculativeOptions& options)
      : model_(model), options_(options) {}

  Result<SpeculativeReport> run() {
    if (options_.drafts.drafter == Drafter::kNone) {
      return make_status(StatusCode::kInvalidArgument, "no drafter, expected auto, lookup or mtp");
    }
    MIDGE_RETURN_IF_ERROR(create());
    // Everything is in place, and what the answers are is known.
    Answers expected;
    MIDGE_RETURN_IF_ERROR(write(*plain_, {}, &expected).status());
    if (options_.acceptance.has_value()) fake(expected);
    MIDGE_RETURN_IF_ERROR(check(*drafted_, expected).status());
    const Speculation& speculation = *drafted_->scheduler().speculation();
    const DraftTotals learned = speculation.totals();
    std::vector<double> plain;
    std::vector<double> drafted;
    SpeculativeReport report;
    int64_t steps = 0;
    for (int64_t round = 0; round < options_.rounds; ++round) {
      MIDGE_ASSIGN_OR_RETURN(const double plain_seconds, check(*plain_, expected));
      MIDGE_ASSIGN_OR_RETURN(const double drafted_seconds, check(*drafted_, expected));
      plain.push_back(plain_seconds);
      drafted.push_back(drafted_seconds);
      steps += drafted_->steps;
      if (options_.on_progress != nullptr) {
        options_.on_progress(static_cast<double>(round + 1) / static_cast<double>(options_.rounds));
      }
    }
    report.requests = options_.requests;
    report.acceptance = options_.acceptance;
    report.tokens = count_tokens(expected) - static_cast<int64_t>(expected.size());
    report.plain_seconds = median(plain);
    report.drafted_seconds = median(drafted);
    report.speed = paired_ratio(plain, drafted);
    report.steps = steps;
    report.tokens_per_step = static_cast<double>(report.tokens * options_.rounds) /
                             static_cast<double>(std::max<int64_t>(1, steps));
    add_costs(speculation, &report);
    report.totals = speculation.totals().since(learned);
    return report;
  }

 private:
  Status create() {
    MIDGE_ASSIGN_OR_RETURN(prompts_, prompts_of(model_, options_));
    int64_t longest = 0;
    for (const auto& prompt : prompts_) {
      longest = std::max(longest, static_cast<int64_t>(prompt.size()));
    }
    if (!model_.has_tokenizer()) {
      MIDGE_ASSIGN_OR_RETURN(tokenizer_, made_up_tokenizer(model_.model().config().vocab_size));
      allowed_ = allowed_tokens(*tokenizer_, model_.model().config().vocab_size);
    }
    const Tokenizer& tokenizer = model_.has_tokenizer() ? model_.tokenizer() : *tokenizer_;
    const auto allowed = model_.has_tokenizer() ? model_.allowed_tokens() : allowed_;
    SchedulerOptions scheduling;
    scheduling.context_length =
        std::min(longest + options_.tokens + 1, model_.executor().context_max());
    scheduling.kv_type = options_.kv_type;
    scheduling.running_max = options_.requests;
    scheduling.pages = options_.requests * (scheduling.context_length / scheduling.page_tokens + 2);
    scheduling.keeps_prefixes = false;
    MIDGE_ASSIGN_OR_RETURN(plain_, Writer::create(model_, tokenizer, allowed, scheduling));
    scheduling.drafts = options_.drafts;
    MIDGE_ASSIGN_OR_RETURN(drafted_, Writer::create(model_, tokenizer, allowed, scheduling));
    return Status();
  }

  void fake(const Answers& expected) {
    for (size_t i = 0; i < prompts_.size(); ++i) {
      texts_.push_back(prompts_[i]);
      texts_.back().insert(texts_.back().end(), expected[i].begin(), expected[i].end());
    }
    for (const auto& text : texts_) faked_.push_back({text, *options_.acceptance});
  }

  Result<double> write(Writer& writer, std::span<const FakedDrafts> faked, Answers* answers) {
    // As many at a time as asked for.
    double seconds = 0;
    answers->clear();
    int64_t steps = 0;
    for (size_t i = 0; i < prompts_.size(); i += static_cast<size_t>(options_.requests)) {
      const size_t count = std::min(static_cast<size_t>(options_.requests), prompts_.size() - i);
      Answers some;
      MIDGE_ASSIGN_OR_RETURN(
          const double some_seconds,
          writer.write(std::span(prompts_).subspan(i, count), options_.tokens,
                       faked.empty() ? faked : faked.subspan(i, count), options_.cancel, &some));
      seconds +=
          some_seconds * static_cast<double>(count_tokens(some) - static_cast<int64_t>(count)) /
          static_cast<double>(std::max<int64_t>(1, count_tokens(some) - writer.counted_from));
      steps += writer.steps;
      answers->insert(answers->end(), some.begin(), some.end());
    }
    writer.steps = steps;
    return seconds;
  }

  Result<double> check(Writer& writer, const Answers& expected) {
    Answers answers;
    MIDGE_ASSIGN_OR_RETURN(const double seconds, write(writer, faked_, &answers));
    if (answers == expected) return seconds;
    return make_status(StatusCode::kInternal, "other tokens with drafts than without");
  }

  void add_costs(const Speculation& speculation, SpeculativeReport* report) const {
    if (drafted_->prompt_seconds > 0) {
      report->prompt_share = speculation.totals().mtp_prompt_seconds / drafted_->prompt_seconds;
    }
    report->step_seconds = drafted_->scheduler().statistics().step_seconds;
    report->draft_seconds = speculation.mtp_step_seconds();
    const auto one = static_cast<size_t>(options_.requests);
    if (!options_.acceptance.has_value() || 2 * one >= report->step_seconds.size()) return;
    const double plain = report->step_seconds[one];
    const double drafted = report->step_seconds[2 * one];
    if (plain > 0 && drafted > 0) {
      report->allowed = (1 + *options_.acceptance) * plain / (drafted + report->draft_seconds);
    }
  }

  const LoadedModel& model_;
  const SpeculativeOptions& options_;
  std::optional<Tokenizer> tokenizer_;
  std::vector<uint8_t> allowed_;
  std::vector<std::vector<int32_t>> prompts_;
  std::vector<std::vector<int32_t>> texts_;
  std::vector<FakedDrafts> faked_;
  std::unique_ptr<Writer> plain_;
  std::unique_ptr<Writer> drafted_;
};

}  // namespace

Result<SpeculativeReport> measure_drafts(const LoadedModel& model,
                                         const SpeculativeOptions& options) {
  return Measurement(model, options).run();
}

std::vector<std::string> free_prompts() {
  return {"Once upon a time, a small dog named Max lived in",
          "One morning, Anna and Tom went to the market to",
          "The old man looked at the sea and said",
          "A good way to learn a new language is",
          "In the middle of the night, the children heard",
          "The most important thing about water is"};
}

std::vector<std::string> repetitive_prompts() {
  const char* texts[] = {
      "Anna found a red kite in the garden. She ran to Peter and showed him the kite. The wind was "
      "strong, so they went up the hill and let it fly until the sun went down.",
      "The station opens at six in the morning. The first train leaves at half past six and stops "
      "at every village on the way. The last train comes back a little before midnight.",
      "To make the soup, cut two onions and three carrots. Cook them in a large pot with some "
      "butter. Add one litre of water, salt and pepper, and let it simmer for half an hour.",
  };
  std::vector<std::string> prompts;
  for (const char* text : texts) {
    prompts.push_back(
        format_string("Text:\n%s\n\nThe same text again:\n%s\n\nOnce more, the same "
                      "text:\n%.20s",
                      text, text, text));
  }
  return prompts;
}

}  // namespace midge::bench
