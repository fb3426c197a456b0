// midge bench --decode-only, --prefill-only: one run of exactly what is asked for, for whoever
// counts instructions or times pairs of programs.
#include "cli/bench_once.h"

#include <chrono>
#include <numeric>

#include "bench/model/measure.h"
#include "cli/core_report.h"
#include "cli/open_model.h"
#include "cli/terminal.h"
#include "engine/core/seconds.h"
#include "engine/session/random.h"

namespace midge {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kTokenSeed = 20250101;

/// Steps on a stream of random tokens.
class OnceRun {
 public:
  OnceRun(Session& session, int64_t rows)
      : session_(session),
        vocab_size_(session.model().config().vocab_size),
        logits_(static_cast<size_t>(rows * vocab_size_)),
        rows_(static_cast<size_t>(rows)),
        head_(DraftHead::first_rows(session.executor().engine().weights->head,
                                    DraftOptions().head_rows)) {
    std::iota(rows_.begin(), rows_.end(), 0);
  }

  // One step that reads a prompt of `count` tokens; logits of the last one.
  Status prefill(int64_t count) {
    const auto last = static_cast<int32_t>(count - 1);
    RowOutputs outputs;
    outputs.logits_rows = {&last, 1};
    outputs.logits = logits_.data();
    return session_.step(next_tokens(count), outputs, RowRole::kPrompt);
  }

  // One step of generated tokens; logits of all.
  Status decode() {
    RowOutputs outputs;
    outputs.logits_rows = rows_;
    outputs.logits = logits_.data();
    outputs.hidden = hidden_.empty() ? nullptr : hidden_.data();
    return session_.step(next_tokens(static_cast<int64_t>(rows_.size())), outputs,
                         RowRole::kGenerated);
  }

  // From now on draft() can follow decode().
  void keep_hidden() {
    hidden_.resize(rows_.size() * static_cast<size_t>(session_.model().config().hidden_size));
  }

  // The MTP layer over the rows of the last step; logits of the last one, by the head of drafts.
  Status draft() {
    MtpPart part;
    part.sequence = &session_.sequence();
    part.begin = session_.length() - static_cast<int64_t>(rows_.size());
    part.next_tokens = next_tokens(static_cast<int64_t>(rows_.size()));
    part.outputs.logits_rows = {&rows_.back(), 1};
    part.outputs.logits = logits_.data();
    return run_mtp_pass(session_.executor(), {&part, 1},
                        {.hidden = hidden_.data(), .head = &head_.matrix()});
  }

 private:
  std::span<const int32_t> next_tokens(int64_t count) {
    tokens_.resize(static_cast<size_t>(count));
    for (int32_t& token : tokens_) {
      token =
          static_cast<int32_t>(uniform_at(kTokenSeed, drawn_++) * static_cast<double>(vocab_size_));
    }
    return tokens_;
  }

  Session& session_;
  const int64_t vocab_size_;
  std::vector<float> logits_;
  std::vector<int32_t> rows_;
  DraftHead head_;
  std::vector<float> hidden_;  // empty: not kept
  std::vector<int32_t> tokens_;
  uint64_t drawn_ = 0;
};

struct OnceReport {
  double decode_seconds = 0;        ///< per step
  std::vector<double> decode_ends;  ///< of each step, since the first began
  double prefill_seconds = 0;
};

Status measure(const OnceOptions& options, OnceRun& run, OnceReport* report) {
  if (options.is_prefill) {
    const Clock::time_point start = Clock::now();
    MIDGE_RETURN_IF_ERROR(run.prefill(options.tokens));
    report->prefill_seconds = seconds_between(start, Clock::now());
    return Status();
  }
  MIDGE_RETURN_IF_ERROR(run.prefill(options.depth));
  if (options.mtp) run.keep_hidden();
  report->decode_ends.reserve(static_cast<size_t>(options.tokens));
  const Clock::time_point start = Clock::now();
  for (int64_t i = 0; i < options.tokens; ++i) {
    MIDGE_RETURN_IF_ERROR(run.decode());
    if (options.mtp) MIDGE_RETURN_IF_ERROR(run.draft());
    report->decode_ends.push_back(seconds_between(start, Clock::now()));
  }
  report->decode_seconds = report->decode_ends.back() / static_cast<double>(options.tokens);
  return Status();
}

void print_report(const OnceOptions& options, const LoadedModel& model, const OnceReport& report) {
  print(stdout, "kernels  %s\n", bench::used_kernels(model.executor()).c_str());
  if (options.is_prefill) {
    print(stdout, "prefill  %8.2f tok/s   %.1f ms for %lld tokens, one run\n",
          static_cast<double>(options.tokens) / report.prefill_seconds,
          report.prefill_seconds * 1e3, static_cast<long long>(options.tokens));
  } else {
    print(stdout,
          "decode   %8.2f tok/s   %.2f ms a step of %lld, mean of %lld behind %lld tokens\n",
          static_cast<double>(options.rows) / report.decode_seconds, report.decode_seconds * 1e3,
          static_cast<long long>(options.rows), static_cast<long long>(options.tokens),
          static_cast<long long>(options.depth));
  }
  print_core_work(stdout, model.executor().team());
}

void print_json_report(const OnceOptions& options, const OpenedModel& loaded,
                       const OnceReport& report) {
  const LoadedModel& model = *loaded.model;
  JsonWriter json;
  json.begin_object().member("schema", "midge.bench_once").member("version", int64_t{1});
  json.member("model", model.path());
  json.member("threads", int64_t{model.executor().thread_count()});
  json.member("isa", isa_level_name(top_level(model.executor().isa())));
  json.member("kernels", bench::used_kernels(model.executor()));
  if (options.is_prefill) {
    json.member("prefill_tokens", options.tokens);
    json.member("prefill_seconds", report.prefill_seconds);
  } else {
    json.member("rows", options.rows).member("depth", options.depth);
    json.member("decode_steps", options.tokens);
    json.member("decode_step_seconds", report.decode_seconds);
    json.begin_array("decode_ends_seconds");
    for (const double end : report.decode_ends) json.element(end);
    json.end_array();
  }
  json.member("calibration_seconds", model.executor().calibration().seconds);
  write_core_work(json, model.executor().team());
  write_memory(json, loaded);
  json.end_object();
  print_json(json);
}

}  // namespace

Status bench_once(const OnceOptions& options, RunOptions run_options) {
  run_options.needs_tokenizer = false;
  if (options.mtp) run_options.drafter = "mtp";
  // Instructions of single runs are counted and subtracted from each other.
  run_options.no_calibration = true;
  if (run_options.context_length == 0) {
    run_options.context_length =
        options.is_prefill ? options.tokens : options.depth + options.tokens * options.rows;
  }
  MIDGE_ASSIGN_OR_RETURN(const OpenedModel loaded, load_model(run_options));
  watch_interrupts();
  loaded.session->set_cancel_flag(&interrupted());
  OnceRun run(*loaded.session, options.rows);
  OnceReport report;
  MIDGE_RETURN_IF_ERROR(measure(options, run, &report));
  if (run_options.json) {
    print_json_report(options, loaded, report);
  } else {
    print_report(options, *loaded.model, report);
  }
  return Status();
}

}  // namespace midge
