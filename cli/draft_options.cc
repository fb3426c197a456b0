#include "cli/draft_options.h"

#include "cli/help.h"
#include "cli/option_checks.h"
#include "engine/weights/importance.h"

namespace midge {

void add_draft_options(CommandLine& app, RunOptions& options) {
  options.drafter = "auto";
  takes_one_of(app.add_option("--draft", options.drafter,
                              "Who guesses the tokens to come, so that a pass can give several: "
                              "lookup, in the text so far; mtp, the model's MTP layer; auto, "
                              "both; none. The answer is the same, and all guess only where it "
                              "repays"),
               {"auto", "lookup", "mtp", "none"})
      ->group(kDraftsGroup)
      ->capture_default_str();
  app.add_option("--draft-max", options.drafts_max, "Most drafts of a pass, 1 to 7; mtp makes one")
      ->check(whole_number(1, kDraftsMax))
      ->group(kDraftsGroup)
      ->capture_default_str();
  app.add_option("--draft-match", options.draft_match,
                 "How many last tokens must be found again, 1 to 64")
      ->check(whole_number(1, TokenIndex::kLengthMax))
      ->group(kDraftsGroup)
      ->capture_default_str();
  add_mtp_option(app, options);
}

CommandOption* add_draft_remember_option(CommandLine& app, RunOptions& options) {
  return app
      .add_option("--draft-remember", options.draft_remembered,
                  "Tokens of ended requests that lookup looks in too, up to 2^24, 12 to 24 bytes "
                  "each; 0: none")
      ->check(whole_number(0, kRememberedMax))
      ->group(kDraftsGroup)
      ->capture_default_str();
}

DraftOptions draft_options(const RunOptions& options) {
  DraftOptions drafts;
  drafts.drafter = *drafter_from_name(options.drafter);  // one that the option lets through
  drafts.drafts_max = static_cast<int>(options.drafts_max);
  drafts.match_min = static_cast<int>(options.draft_match);
  return drafts;
}

Result<std::vector<uint32_t>> token_counts(const RunOptions& options) {
  if (options.importance.empty()) return std::vector<uint32_t>();
  MIDGE_ASSIGN_OR_RETURN(const Importance importance, Importance::load(options.importance));
  return importance.token_counts();
}

namespace {

// "; a step of 2 rows takes 1.10, of 8 rows 1.60 of one of a single row"
std::string step_times(const StepTimes& times) {
  std::string text;
  for (int rows = 2; rows <= 1 + kDraftsMax && times.count(1) > 0; ++rows) {
    if (times.count(rows) == 0) continue;
    text += format_string(text.empty() ? "; a step of %d rows takes %.2f" : ", of %d rows %.2f",
                          rows, times.seconds(rows) / times.seconds(1));
  }
  return text.empty() ? text : text + " of one of a single row";
}

}  // namespace

void report_drafts(const GenerateResult& result, const OpenedModel& loaded) {
  if (result.drafts.all_read() == 0) return;
  print(stderr, "drafts: %lld of %lld right, in %lld of %lld steps; %.2f tokens a step%s\n",
        static_cast<long long>(result.drafts.all_drawn()),
        static_cast<long long>(result.drafts.all_read()),
        static_cast<long long>(result.drafts.read[0]), static_cast<long long>(result.drafts.steps),
        result.drafts.tokens_per_step(),
        loaded.speculation == nullptr ? "" : step_times(loaded.speculation->times()).c_str());
}

void write_drafts(JsonWriter& json, const GenerateResult& result, const OpenedModel& loaded) {
  if (loaded.speculation == nullptr) return;
  const Speculation& speculation = *loaded.speculation;
  const DraftCounts& drafts = result.drafts;
  json.begin_object("drafts").member("drafter", drafter_name(speculation.options().drafter));
  json.member("steps", drafts.steps).member("tokens_per_step", drafts.tokens_per_step());
  json.begin_array("by_place");
  for (size_t i = 0; i < drafts.read.size(); ++i) {
    if (drafts.read[i] == 0) break;
    json.begin_object().member("read", drafts.read[i]).member("right", drafts.drawn[i]);
    json.member("acceptance",
                static_cast<double>(drafts.drawn[i]) / static_cast<double>(drafts.read[i]));
    json.end_object();
  }
  json.end_array();
  const DraftTotals& totals = speculation.totals();
  json.member("lookup_read", totals.lookup_drafts).member("lookup_right", totals.lookup_drawn);
  json.member("mtp_read", totals.mtp_drafts).member("mtp_right", totals.mtp_drawn);
  json.member("mtp_passes", totals.mtp_passes).member("mtp_seconds", totals.mtp_seconds);
  json.begin_array("step_seconds");  // by rows, from 1 on; 0: none was measured
  for (int rows = 1; rows <= 1 + kDraftsMax; ++rows) {
    const bool is_known = speculation.times().count(rows) > 0;
    json.element(is_known ? speculation.times().seconds(rows) : 0.0);
  }
  json.end_array().end_object();
}

}  // namespace midge
