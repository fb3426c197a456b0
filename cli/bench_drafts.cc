#include "cli/bench_drafts.h"

#include <algorithm>

#include "bench/model/speculative.h"
#include "cli/bench_report.h"
#include "cli/find_model.h"
#include "cli/open_model.h"
#include "cli/terminal.h"

namespace midge {
namespace {

constexpr int64_t kContext = 1024;

/// A line of the report.
struct Line {
  std::string model;
  std::string text;
  bench::SpeculativeReport report;
};

double share(int64_t part, int64_t all) {
  return all == 0 ? 0 : static_cast<double>(part) / static_cast<double>(all);
}

double rate(const bench::SpeculativeReport& r, double seconds) {
  return seconds > 0 ? static_cast<double>(r.tokens) / seconds : 0;
}

void print_head() {
  print(stdout, "%-24s %-15s %7s %9s %9s  %-29s %6s %6s %8s  %s\n", "", "text", "answers", "tok/s",
        "drafted", "speed-up", "drafts", "right", "per step", "2, 4, 8 rows; drafting; prompt");
}

void print_line(const Line& line) {
  const bench::SpeculativeReport& r = line.report;
  const int64_t read = r.totals.lookup_drafts + r.totals.mtp_drafts;
  const int64_t drawn = r.totals.lookup_drawn + r.totals.mtp_drawn;
  const auto by_one = [&](double seconds) {
    return seconds > 0 && r.step_seconds[1] > 0 ? format_string("%.2f", seconds / r.step_seconds[1])
                                                : std::string("-");
  };
  const std::string name = end_of_name(line.model, 24);
  const std::string right = read == 0 ? "-" : format_string("%.2f", share(drawn, read));
  const std::string prompt =
      r.prompt_share > 0 ? format_string("%.1f %%", 100 * r.prompt_share) : "-";
  print(stdout,
        "%-24s %-15s %7lld %9.1f %9.1f  %.3f (%.3f to %.3f, %.0f %%) %6lld %6s %8.2f  %s %s %s; "
        "%s; %s%s\n",
        name.c_str(), line.text.c_str(), static_cast<long long>(r.requests),
        rate(r, r.plain_seconds), rate(r, r.drafted_seconds), r.speed.middle, r.speed.low,
        r.speed.high, 100 * r.speed.confidence, static_cast<long long>(read), right.c_str(),
        r.tokens_per_step, by_one(r.step_seconds[2]).c_str(), by_one(r.step_seconds[4]).c_str(),
        by_one(r.step_seconds[8]).c_str(), by_one(r.draft_seconds).c_str(), prompt.c_str(),
        r.allowed > 0 ? format_string("; one draft allows %.3f", r.allowed).c_str() : "");
}

void write_line(JsonWriter& json, const Line& line) {
  const bench::SpeculativeReport& r = line.report;
  json.begin_object().member("model", line.model).member("text", line.text);
  json.member("requests", r.requests).member("tokens", r.tokens);
  if (r.acceptance.has_value()) json.member("faked_acceptance", *r.acceptance);
  json.member("plain_tokens_per_second", rate(r, r.plain_seconds));
  json.member("drafted_tokens_per_second", rate(r, r.drafted_seconds));
  json.begin_object("speed_up").member("middle", r.speed.middle).member("low", r.speed.low);
  json.member("high", r.speed.high).member("confidence", r.speed.confidence).end_object();
  json.member("prompt_share", r.prompt_share);
  json.member("steps", r.steps).member("tokens_per_step", r.tokens_per_step);
  json.member("lookup_read", r.totals.lookup_drafts).member("lookup_right", r.totals.lookup_drawn);
  json.member("mtp_read", r.totals.mtp_drafts).member("mtp_right", r.totals.mtp_drawn);
  json.member("mtp_passes", r.totals.mtp_passes).member("mtp_seconds", r.totals.mtp_seconds);
  json.begin_array("step_seconds");
  for (size_t rows = 1; rows < r.step_seconds.size(); ++rows) json.element(r.step_seconds[rows]);
  json.end_array().member("draft_seconds", r.draft_seconds);
  if (r.allowed > 0) json.member("allowed", r.allowed);
  json.end_object();
}

// A model over its texts.
Status measure(const std::string& name, const LoadedModel& model, const DraftBenchOptions& options,
               const RunOptions& run, std::vector<Line>* lines) {
  std::vector<std::pair<const char*, std::vector<std::string>>> texts = {
      {"free text", bench::free_prompts()}, {"repetitive text", bench::repetitive_prompts()}};
  if (!model.has_tokenizer()) texts = {{"random tokens", {}}};
  for (const int64_t requests : options.requests) {
    for (const auto& [what, prompts] : texts) {
      bench::SpeculativeOptions measured;
      measured.rounds = options.rounds;
      measured.tokens = options.tokens;
      measured.requests = requests;
      measured.acceptance = options.acceptance;
      MIDGE_ASSIGN_OR_RETURN(measured.drafts.drafter, drafter_from_name(run.drafter));
      measured.drafts.drafts_max = static_cast<int>(run.drafts_max);
      measured.drafts.match_min = static_cast<int>(run.draft_match);
      MIDGE_ASSIGN_OR_RETURN(measured.kv_type, kv_type_from_name(run.kv_type));
      measured.prompts = prompts;
      while (!prompts.empty() && measured.prompts.size() < static_cast<size_t>(requests)) {
        measured.prompts.push_back(prompts[measured.prompts.size() % prompts.size()]);
      }
      measured.cancel = &interrupted();
      ProgressBar bar(name + ", " + what);
      measured.on_progress = [&](double part) {
        bar.update(static_cast<int64_t>(part * 1000), 1000);
      };
      Line line = {name, what, {}};
      MIDGE_ASSIGN_OR_RETURN(line.report, bench::measure_drafts(model, measured));
      lines->push_back(std::move(line));
    }
  }
  return Status();
}

}  // namespace

Status bench_drafts(const std::vector<std::string>& models,
                    const std::vector<std::string>& synthetic, const DraftBenchOptions& options,
                    RunOptions run) {
  run.quiet = true;
  if (run.context_length == 0) run.context_length = kContext;
  for (const int64_t requests : options.requests) {
    run.logit_rows = std::max(run.logit_rows, (1 + kDraftsMax) * requests);
  }
  std::vector<std::string> files = models;
  if (files.empty() && synthetic.empty()) files = {"tiny-phi", "tiny-mimo"};
  watch_interrupts();
  std::vector<Line> lines;
  for (const std::string& name : synthetic) {
    MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<LoadedModel> model, load_synthetic(name, run));
    MIDGE_RETURN_IF_ERROR(measure("synthetic " + name, *model, options, run, &lines));
  }
  for (const std::string& file : files) {
    RunOptions of_file = run;
    of_file.model = file;
    MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<LoadedModel> model, load_model_alone(of_file));
    MIDGE_RETURN_IF_ERROR(measure(file, *model, options, run, &lines));
  }
  if (!run.json) {
    print_head();
    for (const Line& line : lines) print_line(line);
    print(stdout,
          "answers   at a time\n"
          "speed-up  time without drafts divided by time with them, in turns; the tokens are the "
          "same\n"
          "right     part of the drafts\n"
          "per step  tokens that a step gives to an answer\n"
          "rows      time of a step of so many tokens, in steps of one; -: not measured\n"
          "drafting  time of the MTP layer's pass, in the same\n"
          "one draft allows: the speed-up at that acceptance, (1 + acceptance) / (2 rows + "
          "drafting)\n"
          "prompt    the MTP layer's part of the time in which prompts were read\n");
    return Status();
  }
  JsonWriter json;
  json.begin_object().member("schema", "midge.bench_drafts").member("version", int64_t{1});
  json.begin_array("lines");
  for (const Line& line : lines) write_line(json, line);
  json.end_array().end_object();
  print_json(json);
  return Status();
}

}  // namespace midge
