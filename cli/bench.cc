// midge bench: the speed of decoding and of reading a prompt, against the bandwidth of the memory.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>

#include "cli/bench_mixed.h"
#include "cli/common.h"
#include "cli/core_report.h"
#include "cli/machine_load.h"
#include "cli/option_checks.h"
#include "cli/terminal.h"
#include "engine/core/visible.h"
#include "engine/decoder/model.h"
#include "engine/session/random.h"
#include "kernels/kernels.h"

namespace midge {
namespace {

constexpr uint64_t kTokenSeed = 20250101;

// Prompts: enough for a median, few enough for large models.
constexpr int kPrefillRuns = 3;
// Cores of others from which on figures are too low to be compared.
constexpr double kBusyCores = 0.1;

struct Options {
  RunOptions run;
  bool decode_only = false;
  bool prefill_only = false;
  bool mixed = false;
  int64_t tokens = 0;  ///< 0: a default of the mode
  int64_t rows = 1;
  int64_t depth = 1;  ///< tokens in the cache before the first decode step
};

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// The kernels of the matrices' products, of the encodings that the model has.
std::string used_kernels(const Executor& executor) {
  std::vector<std::string> names;
  const auto add = [&](auto function) {
    for (const KernelInfo& kernel : all_kernels()) {
      if (kernel.function != reinterpret_cast<void (*)()>(function)) continue;
      if (std::find(names.begin(), names.end(), kernel.name) == names.end()) {
        names.emplace_back(kernel.name);
      }
    }
  };
  visit_linear_matrices(*executor.engine().weights,
                        [&](const std::string&, const PreparedMatrix& matrix) {
                          if (matrix.form != PreparedMatrix::Form::kTiles) return;
                          const auto encoding = static_cast<size_t>(matrix.tiles.encoding);
                          add(executor.kernels().gemv[encoding][1]);
                        });
  if (names.empty()) return "none: float arithmetic";
  add(executor.kernels().gemm_panel);
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

/// A loaded model and a stream of random tokens for it.
class BenchRun {
 public:
  explicit BenchRun(OpenedModel* loaded)
      : loaded_(*loaded), vocab_size_(loaded->model->model().config().vocab_size) {}

  Session& session() { return *loaded_.session; }
  Executor& executor() { return loaded_.model->executor(); }

  /// Memory for the logits of `rows` rows.
  void reserve(int64_t rows) {
    logits_.resize(static_cast<size_t>(rows * vocab_size_));
    rows_.resize(static_cast<size_t>(rows));
    std::iota(rows_.begin(), rows_.end(), 0);
  }

  /// The next `count` tokens of the stream.
  std::span<const int32_t> next_tokens(int64_t count) {
    tokens_.resize(static_cast<size_t>(count));
    for (int32_t& token : tokens_) {
      token =
          static_cast<int32_t>(uniform_at(kTokenSeed, drawn_++) * static_cast<double>(vocab_size_));
    }
    return tokens_;
  }

  /// One step that reads a prompt of `count` tokens; logits of the last one.
  Status prefill(int64_t count) {
    const std::span<const int32_t> tokens = next_tokens(count);
    const auto last = static_cast<int32_t>(count - 1);
    RowOutputs outputs;
    outputs.logits_rows = {&last, 1};
    outputs.logits = logits_.data();
    return session().step(tokens, outputs, RowRole::kPrompt);
  }

  /// One step of `rows` generated tokens; logits of all.
  Status decode(int64_t rows) {
    RowOutputs outputs;
    outputs.logits_rows = rows_;
    outputs.logits = logits_.data();
    return session().step(next_tokens(rows), outputs, RowRole::kGenerated);
  }

  /// Seconds to read every packed weight once, with the workers of the steps.
  double read_weights() {
    constexpr int64_t kPiece = 1 << 20;
    const std::span<const uint8_t> bytes = executor().packed();
    const auto pieces = static_cast<int64_t>(bytes.size()) / kPiece;
    std::atomic<uint64_t> total = 0;
    const Clock::time_point start = Clock::now();
    executor().team().run([&](const Worker& worker) {
      uint64_t sum = 0;
      worker.for_each(pieces, [&](int64_t piece) {
        const auto* words = reinterpret_cast<const uint64_t*>(bytes.data() + piece * kPiece);
        for (int64_t i = 0; i < kPiece / 8; ++i) sum += words[i];
      });
      total += sum;
    });
    const double seconds = seconds_since(start);
    checksum_ = total;
    return seconds * static_cast<double>(bytes.size()) / static_cast<double>(pieces * kPiece);
  }

  uint64_t checksum() const { return checksum_; }

 private:
  OpenedModel& loaded_;
  int64_t vocab_size_;
  std::vector<float> logits_;
  std::vector<int32_t> rows_;
  std::vector<int32_t> tokens_;
  uint64_t drawn_ = 0;
  uint64_t checksum_ = 0;  // keeps the compiler from dropping the reads
};

/// Of repetitions.
struct Spread {
  double median = 0;
  double half_range = 0;  ///< half of the distance between the quartiles, by the median
};

Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t count = values.size();
  const double middle = median(values);
  return {middle, (values[3 * count / 4] - values[count / 4]) / 2 / middle};
}

struct Report {
  int64_t decode_steps = 0;
  double decode_seconds = 0;  ///< per step
  double decode_spread = 0;
  double decode_total = 0;          ///< seconds of all steps
  std::vector<double> decode_ends;  ///< of each step, since the first began; of one run
  int64_t prefill_tokens = 0;
  double prefill_seconds = 0;
  double prefill_spread = 0;
  double prefill_total = 0;
  int prefill_runs = 0;
  double others = -1;         ///< cores that other programs took
  double read_seconds = 0;    ///< one pass over the packed weights; 0: not measured
  double linear_seconds = 0;  ///< matrix products of a decode step; 0: not measured
  OpProfile decode_profile;   ///< of all decode steps
  OpProfile prefill_profile;
};

// Alternates passes over the weights and steps, so that both see the same machine.
Status measure_decode(BenchRun& run, int64_t steps, const Options& options, Report* report) {
  MIDGE_RETURN_IF_ERROR(run.prefill(options.depth));
  std::vector<double> reads;
  std::vector<double> decodes;
  std::vector<double> linears;
  for (int64_t i = 0; i <= steps; ++i) {
    const double read = run.executor().packed().empty() ? 0 : run.read_weights();
    OpProfile profile;
    run.executor().set_profile(&profile);
    const Clock::time_point start = Clock::now();
    MIDGE_RETURN_IF_ERROR(run.decode(options.rows));
    const double seconds = seconds_since(start);
    run.executor().set_profile(nullptr);
    if (i == 0) continue;  // pages and caches settle
    reads.push_back(read);
    decodes.push_back(seconds);
    linears.push_back(static_cast<double>(profile.ns[static_cast<int>(OpKind::kLinear)]) * 1e-9);
    for (int k = 0; k < kOpKindCount; ++k) report->decode_profile.ns[k] += profile.ns[k];
  }
  report->decode_steps = steps;
  const Spread spread = spread_of(decodes);
  report->decode_seconds = spread.median;
  report->decode_spread = spread.half_range;
  report->decode_total = std::accumulate(decodes.begin(), decodes.end(), 0.0);
  report->read_seconds = median(reads);
  report->linear_seconds = median(linears);
  return Status();
}

Status measure_prefill(BenchRun& run, int64_t tokens, Report* report) {
  std::vector<double> runs;
  for (int i = 0; i < kPrefillRuns; ++i) {
    MIDGE_RETURN_IF_ERROR(run.session().truncate(0));
    OpProfile profile;
    run.executor().set_profile(&profile);
    const Clock::time_point start = Clock::now();
    MIDGE_RETURN_IF_ERROR(run.prefill(tokens));
    runs.push_back(seconds_since(start));
    run.executor().set_profile(nullptr);
    for (int k = 0; k < kOpKindCount; ++k) report->prefill_profile.ns[k] += profile.ns[k];
  }
  const Spread spread = spread_of(runs);
  report->prefill_seconds = spread.median;
  report->prefill_spread = spread.half_range;
  report->prefill_total = std::accumulate(runs.begin(), runs.end(), 0.0);
  report->prefill_runs = kPrefillRuns;
  report->prefill_tokens = tokens;
  return Status();
}

// Exactly one run of what the options name: nothing else that counts instructions.
Status run_once(const Options& options, BenchRun& run, Report* report) {
  if (options.prefill_only) {
    const Clock::time_point start = Clock::now();
    MIDGE_RETURN_IF_ERROR(run.prefill(options.tokens));
    report->prefill_seconds = seconds_since(start);
    report->prefill_tokens = options.tokens;
    return Status();
  }
  MIDGE_RETURN_IF_ERROR(run.prefill(options.depth));
  const Clock::time_point start = Clock::now();
  report->decode_ends.reserve(static_cast<size_t>(options.tokens));
  for (int64_t i = 0; i < options.tokens; ++i) {
    MIDGE_RETURN_IF_ERROR(run.decode(options.rows));
    report->decode_ends.push_back(seconds_since(start));
  }
  report->decode_steps = options.tokens;
  report->decode_seconds = seconds_since(start) / static_cast<double>(options.tokens);
  return Status();
}

void print_profile(const char* what, const OpProfile& profile, double seconds) {
  print(stdout, "%s", what);
  double rest = seconds;
  for (int k = 0; k < kOpKindCount; ++k) {
    const double part = static_cast<double>(profile.ns[k]) * 1e-9;
    rest -= part;
    print(stdout, " %s %.1f%%", op_kind_name(static_cast<OpKind>(k)), 100 * part / seconds);
  }
  print(stdout, " other %.1f%%\n", 100 * rest / seconds);
}

// What is measured, with what.
void print_header(const OpenedModel& loaded) {
  const Executor& executor = loaded.model->executor();
  const Model& model = loaded.model->model();
  print(stdout, "model    %s\n", visible_text(loaded.model->path(), Layout::kOneLine).c_str());
  const auto parameters = static_cast<double>(model.parameter_count());
  print(stdout, "size     %.1f %s parameters, %.1f MB a token (%s)\n",
        parameters < 1e9 ? parameters * 1e-6 : parameters * 1e-9,
        parameters < 1e9 ? "million" : "billion", static_cast<double>(model.token_bytes()) * 1e-6,
        model.config().family.c_str());
  print(stdout, "machine  %d threads, level %s\n", executor.thread_count(),
        isa_level_name(top_level(executor.isa())));
  print(stdout, "kernels  %s\n", used_kernels(executor).c_str());
}

void print_report(const Options& options, const BenchRun& run, const OpenedModel& loaded,
                  const Report& report) {
  print_header(loaded);
  const auto bytes = static_cast<double>(loaded.model->executor().packed_bytes());
  if (report.decode_steps > 0) {
    print(stdout,
          "decode   %8.2f tok/s ± %.1f %%   %.2f ms a step of %lld, median of %lld behind %lld "
          "tokens\n",
          static_cast<double>(options.rows) / report.decode_seconds, 100 * report.decode_spread,
          report.decode_seconds * 1e3, static_cast<long long>(options.rows),
          static_cast<long long>(report.decode_steps), static_cast<long long>(options.depth));
  }
  if (report.read_seconds > 0) {
    print(stdout,
          "read     %8.2f GB/s    %.2f ms for %.1f MB of packed weights (checksum %016llx)\n",
          bytes / report.read_seconds * 1e-9, report.read_seconds * 1e3, bytes * 1e-6,
          static_cast<unsigned long long>(run.checksum()));
    print(stdout, "fraction of the read bandwidth: %.3f whole step, %.3f matrix products\n",
          report.read_seconds / report.decode_seconds, report.read_seconds / report.linear_seconds);
    print_profile("decode time:", report.decode_profile, report.decode_total);
  }
  if (report.prefill_tokens > 0) {
    print(stdout, "prefill  %8.2f tok/s ± %.1f %%   %.1f ms for %lld tokens, median of %d\n",
          static_cast<double>(report.prefill_tokens) / report.prefill_seconds,
          100 * report.prefill_spread, report.prefill_seconds * 1e3,
          static_cast<long long>(report.prefill_tokens), std::max(1, report.prefill_runs));
    if (report.linear_seconds > 0) {
      print_profile("prefill time:", report.prefill_profile, report.prefill_total);
    }
  }
  print_core_work(stdout, loaded.model->executor().team());
}

void write_profile(JsonWriter& json, const char* name, const OpProfile& profile) {
  json.begin_object(name);
  for (int k = 0; k < kOpKindCount; ++k) {
    json.member(op_kind_name(static_cast<OpKind>(k)), static_cast<double>(profile.ns[k]) * 1e-9);
  }
  json.end_object();
}

void print_json_report(const Options& options, const OpenedModel& loaded, const Report& report) {
  JsonWriter json;
  json.begin_object().member("schema", "midge.bench").member("version", int64_t{1});
  json.member("model", loaded.model->path())
      .member("threads", int64_t{loaded.model->executor().thread_count()});
  json.member("isa", isa_level_name(top_level(loaded.model->executor().isa())));
  json.member("rows", options.rows).member("depth", options.depth);
  json.member("packed_bytes", loaded.model->executor().packed_bytes());
  json.member("decode_steps", report.decode_steps);
  json.member("decode_step_seconds", report.decode_seconds);
  json.member("decode_linear_seconds", report.linear_seconds);
  json.begin_array("decode_ends_seconds");
  for (const double end : report.decode_ends) json.element(end);
  json.end_array().member("read_seconds", report.read_seconds);
  json.member("calibration_seconds", loaded.model->executor().calibration().seconds);
  json.member("prefill_tokens", report.prefill_tokens);
  json.member("prefill_seconds", report.prefill_seconds);
  json.member("decode_spread", report.decode_spread);
  json.member("prefill_spread", report.prefill_spread);
  json.member("prefill_runs", int64_t{report.prefill_runs});
  json.member("other_cores", report.others);
  json.member("kernels", used_kernels(loaded.model->executor()));
  write_profile(json, "decode_profile_seconds", report.decode_profile);
  write_profile(json, "prefill_profile_seconds", report.prefill_profile);
  write_core_work(json, loaded.model->executor().team());
  write_memory(json, loaded);
  json.end_object();
  print_json(json);
}

Status mixed_command(const Options& options, const RunOptions& run_options) {
  MIDGE_ASSIGN_OR_RETURN(const OpenedModel loaded, load_model(run_options));
  MIDGE_ASSIGN_OR_RETURN(const MixedReport report,
                         measure_mixed(*loaded.model, options.tokens > 0 ? options.tokens : 5));
  if (!options.run.json) {
    print_mixed(report);
    return Status();
  }
  JsonWriter json;
  json.begin_object().member("schema", "midge.bench_mixed").member("version", int64_t{1});
  json.member("model", loaded.model->path());
  json.member("threads", int64_t{loaded.model->executor().thread_count()});
  json.member("isa", isa_level_name(top_level(loaded.model->executor().isa())));
  write_mixed(json, report);
  json.end_object();
  print_json(json);
  return Status();
}

Status bench_command(Options options) {
  const bool once = options.decode_only || options.prefill_only;
  const int64_t decode_steps = options.tokens > 0 ? options.tokens : 15;
  int64_t prefill_tokens = options.tokens > 0 && once ? options.tokens : 512;
  if (once && options.tokens == 0) options.tokens = options.prefill_only ? 512 : 15;
  const int64_t decoded = options.depth + (decode_steps + 1) * options.rows;
  RunOptions run_options = options.run;
  run_options.needs_tokenizer = false;
  // Instructions of single runs are counted and subtracted from each other.
  if (once) run_options.no_calibration = true;
  if (run_options.context_length == 0) {
    run_options.context_length = options.prefill_only ? options.tokens
                                 : options.decode_only
                                     ? options.depth + options.tokens * options.rows
                                     : std::max(decoded, prefill_tokens);
  }
  if (options.mixed) {
    make_room_for_mixed(&run_options);
    return mixed_command(options, run_options);
  }
  MIDGE_ASSIGN_OR_RETURN(OpenedModel loaded, load_model(run_options));
  // A smaller context (--context, or the model's own) makes the prompt shorter.
  prefill_tokens = std::min(prefill_tokens, loaded.session->context_length());
  watch_interrupts();
  loaded.session->set_cancel_flag(&interrupted());
  BenchRun run(&loaded);
  run.reserve(options.rows);
  const MachineLoad load;
  Report report;
  if (once) {
    MIDGE_RETURN_IF_ERROR(run_once(options, run, &report));
  } else {
    MIDGE_RETURN_IF_ERROR(measure_decode(run, decode_steps, options, &report));
    MIDGE_RETURN_IF_ERROR(measure_prefill(run, prefill_tokens, &report));
  }
  report.others = load.others();
  if (report.others > kBusyCores) {
    print(stderr,
          "midge: warning: other programs took %.1f of the machine's cores, so these figures are "
          "too low\n",
          report.others);
  }
  if (options.run.json) {
    print_json_report(options, loaded, report);
  } else {
    print_report(options, run, loaded, report);
  }
  return Status();
}

}  // namespace

void add_bench_command(CommandLine& app, Command* run) {
  auto options = std::make_shared<Options>();
  CommandLine* command = app.add_subcommand(
      "bench", "Measure the speed of a model, against the bandwidth of the memory");
  add_run_options(*command, options->run);
  CommandOption* decode =
      command->add_flag("--decode-only", options->decode_only,
                        "One run after a prompt of --depth tokens, no warm-up, nothing else "
                        "measured");
  command
      ->add_flag("--mixed", options->mixed,
                 "A prompt of 256 tokens alone and beside generated rows of three sequences, and "
                 "sampling of eight; --tokens rounds (default 5), nothing else measured")
      ->excludes(decode);
  command
      ->add_flag("--prefill-only", options->prefill_only,
                 "One prompt of --tokens tokens in one step, nothing else measured")
      ->excludes(decode);
  command->add_option("-n,--tokens", options->tokens, "Decode steps, or tokens of the prompt")
      ->check(whole_number(1));
  command->add_option("--rows", options->rows, "Tokens per decode step")
      ->check(whole_number(1, 512))
      ->capture_default_str();
  command->add_option("--depth", options->depth, "Tokens in the cache before the first decode step")
      ->check(whole_number(1))
      ->capture_default_str();
  command->add_option("--batch", options->run.batch_rows, "Rows of one pass through the layers")
      ->check(whole_number(1, 4096))
      ->capture_default_str();
  add_json_option(*command, options->run);
  command->callback([=] { *run = [=] { return bench_command(*options); }; });
}

}  // namespace midge
