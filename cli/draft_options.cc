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

Status check_draft_options(const RunOptions& options) {
  const Drafter drafter = draft_options(options).drafter;
  const char* found = options.drafter.c_str();
  if (!options.mtp.empty() && (drafter == Drafter::kNone || drafter == Drafter::kLookup)) {
    return make_status(StatusCode::kInvalidArgument,
                       "--mtp needs --draft mtp or auto, found --draft %s", found);
  }
  if (options.draft_remembered > 0 && (drafter == Drafter::kNone || drafter == Drafter::kMtp)) {
    return make_status(StatusCode::kInvalidArgument,
                       "--draft-remember needs --draft lookup or auto, found --draft %s", found);
  }
  return Status();
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

void print_acceptance(const MtpAcceptance& acceptance) {
  if (!acceptance.is_measured()) return;
  const auto percent = [](const MtpAcceptance::Count& count) {
    return 100 * static_cast<double>(count.right) / static_cast<double>(count.read);
  };
  const bool behind = acceptance.takes_normed();
  print(stdout,
        "MTP layer    %.1f %% of %lld drafts right from hidden states before the final norm%s, "
        "%.1f %% of %lld from those behind it%s\n",
        percent(acceptance.before_norm), static_cast<long long>(acceptance.before_norm.read),
        behind ? "" : " (used)", percent(acceptance.behind_norm),
        static_cast<long long>(acceptance.behind_norm.read), behind ? " (used)" : "");
}

void write_acceptance_json(JsonWriter& json, const MtpAcceptance& acceptance) {
  if (!acceptance.is_measured()) return;
  json.begin_object("mtp_acceptance");
  json.member("before_norm_read", acceptance.before_norm.read);
  json.member("before_norm_right", acceptance.before_norm.right);
  json.member("behind_norm_read", acceptance.behind_norm.read);
  json.member("behind_norm_right", acceptance.behind_norm.right);
  json.member("takes_normed", acceptance.takes_normed()).end_object();
}

namespace {

// "; in steps of one row: 2 rows 1.10, 8 rows 1.60, the MTP layer 0.05". What was seldom measured
// is left out.
std::string step_times(const Speculation& speculation) {
  constexpr int64_t kSeldom = 4;
  const StepTimes& times = speculation.times();
  if (times.count(1) < kSeldom) return {};
  const double one = times.seconds(1);
  std::string text;
  const auto add = [&](const std::string& what, double seconds) {
    text += format_string("%s %s %.2f", text.empty() ? "; in steps of one row:" : ",", what.c_str(),
                          seconds / one);
  };
  for (int rows = 2; rows <= 1 + kDraftsMax; ++rows) {
    if (times.count(rows) >= kSeldom) add(std::to_string(rows) + " rows", times.seconds(rows));
  }
  if (speculation.mtp_step_seconds() > 0) add("the MTP layer", speculation.mtp_step_seconds());
  return text;
}

}  // namespace

void report_drafts(const GenerateResult& result, const OpenedModel& loaded) {
  if (result.drafts.all_read() == 0) return;
  print(stderr, "drafts: %lld of %lld right, in %lld of %lld steps; %.2f tokens a step%s\n",
        static_cast<long long>(result.drafts.all_drawn()),
        static_cast<long long>(result.drafts.all_read()),
        static_cast<long long>(result.drafts.read[0]), static_cast<long long>(result.drafts.steps),
        result.drafts.tokens_per_step(),
        loaded.speculation == nullptr ? "" : step_times(*loaded.speculation).c_str());
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
