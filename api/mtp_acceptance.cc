#include "api/mtp_acceptance.h"

#include "engine/scheduler/generate.h"

namespace midge {

Result<MtpAcceptance> measure_mtp_acceptance(
    const LoadedModel& loaded, const std::function<bool(int64_t done, int64_t total)>& on_token) {
  // Drawn, as the best tokens of many models soon repeat themselves.
  GenerateOptions generation;
  generation.tokens_max = kAcceptanceTokens;
  generation.sampler.temperature = 0.8f;
  generation.sampler.seed = 1;
  MIDGE_ASSIGN_OR_RETURN(const std::vector<int32_t> prompt, loaded.encode_prompt("The"));
  SequenceOptions sequence;
  sequence.context_length = static_cast<int64_t>(prompt.size()) + kAcceptanceTokens;
  sequence.kv_page_tokens = kDraftPageTokens;
  sequence.mtp = true;

  int64_t done = 0;
  const auto run = [&](bool takes_normed) -> Result<MtpAcceptance::Count> {
    DraftOptions drafts;
    drafts.drafter = Drafter::kMtp;
    drafts.always = true;
    drafts.takes_normed = takes_normed;
    MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, loaded.new_session(sequence));
    MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<Speculation> speculation,
                           Speculation::create(loaded.executor(), drafts, 1));
    const auto on_text = [&](std::string_view) {
      return on_token == nullptr || on_token(++done, 2 * kAcceptanceTokens);
    };
    MIDGE_ASSIGN_OR_RETURN(const GenerateResult result,
                           generate(*session, loaded.tokenizer(), loaded.allowed_tokens(), prompt,
                                    generation, on_text, speculation.get()));
    if (result.reason == FinishReason::kCancelled) {
      return Status(StatusCode::kCancelled, "cancelled");
    }
    return MtpAcceptance::Count{result.drafts.all_read(), result.drafts.all_drawn()};
  };
  MtpAcceptance acceptance;
  MIDGE_ASSIGN_OR_RETURN(acceptance.before_norm, run(false));
  MIDGE_ASSIGN_OR_RETURN(acceptance.behind_norm, run(true));
  return acceptance;
}

}  // namespace midge
