// midge profile: where the time of a step goes, operation by operation.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "bench/limits/read_pass.h"
#include "bench/model/gate.h"
#include "bench/model/hardware_counters.h"
#include "bench/model/model_runner.h"
#include "bench/model/op_summary.h"
#include "cli/common.h"
#include "cli/open_model.h"
#include "cli/option_checks.h"
#include "cli/terminal.h"
#include "engine/core/checked_math.h"
#include "engine/core/visible.h"
#include "engine/core/whole_file.h"

namespace midge {
namespace {

using bench::HardwareCounters;
using bench::OpLine;
using bench::OpSummary;

struct Options {
  RunOptions run;
  std::string synthetic;
  int64_t prompt = 128;
  int64_t depth = 128;
  int64_t rows = 1;
  int64_t steps = 16;
  std::string trace;
};

/// Steps of one kind.
struct Phase {
  std::string name;
  OpSummary summary;
  double bandwidth = 0;     ///< of reads, bytes per second, beside it
  double integer_peak = 0;  ///< multiply-adds per second
  std::vector<HardwareCounters::Reading> counters;
  int64_t steps = 0;
};

void print_line(const OpLine& line, const Phase& phase) {
  const double steps = static_cast<double>(phase.steps);
  const double busy = std::max(1e-12, *std::max_element(line.busy.begin(), line.busy.end()));
  const auto cell = [](double value, const char* format) {
    char text[32] = "";
    if (value > 0) std::snprintf(text, sizeof(text), format, value);
    return std::string(text);
  };
  print(stdout, "%-20s %6.0f %10.3f %6.1f%% %7s %8s %6s %6s %8.1f%% %6.2f\n", line.name.c_str(),
        static_cast<double>(line.calls) / steps, line.seconds / steps * 1e3,
        100 * line.seconds / phase.summary.wall,
        cell(line.bytes / line.seconds * 1e-9, "%.1f").c_str(),
        cell(2 * line.macs / line.seconds * 1e-9, "%.0f").c_str(),
        cell(phase.bandwidth > 0 ? line.bytes / busy / phase.bandwidth : 0, "%.2f").c_str(),
        cell(phase.integer_peak > 0 ? line.macs / busy / phase.integer_peak : 0, "%.2f").c_str(),
        100 * line.waits.front() / line.seconds, line.imbalance());
}

void print_phase(const Phase& phase) {
  const OpSummary& summary = phase.summary;
  const double steps = static_cast<double>(phase.steps);
  print(stdout, "\n%s: %.3f ms a step, mean of %lld; reads %.1f GB/s", phase.name.c_str(),
        summary.wall / steps * 1e3, static_cast<long long>(phase.steps), phase.bandwidth * 1e-9);
  if (phase.integer_peak > 0) {
    print(stdout, ", integer peak %.0f GMAC/s", phase.integer_peak * 1e-9);
  }
  print(stdout,
        "\n\noperation             calls         ms   share    GB/s    GOP/s   read   peak     wait"
        "   even\n");
  for (const OpLine& line : summary.lines) print_line(line, phase);
  print(stdout, "%-20s %6s %10.3f %6.1f%%\n", "other barriers", "", summary.outside / steps * 1e3,
        100 * summary.outside / summary.wall);
  print(stdout, "%-20s %6s %10.3f %6.1f%%\n", "between", "",
        summary.wall * (1 - summary.accounted()) / steps * 1e3, 100 * (1 - summary.accounted()));
  const size_t workers = summary.lines.empty() ? 0 : summary.lines.front().busy.size();
  for (size_t worker = 0; worker < workers; ++worker) {
    double busy = 0;
    double waits = 0;
    for (const OpLine& line : summary.lines) {
      busy += line.busy[worker];
      waits += line.waits[worker];
    }
    print(stdout, "worker %-13zu        %10.3f %6.1f%% busy, %.1f%% at barriers of operations\n",
          worker, busy / steps * 1e3, 100 * busy / summary.wall, 100 * waits / summary.wall);
  }
  for (const HardwareCounters::Reading& reading : phase.counters) {
    print(stdout, "%-20s        %14.0f a step\n", reading.name, reading.count / steps);
  }
  for (const OpLine& line : summary.lines) {
    if (!line.kernels.empty()) {
      print(stdout, "kernel of %-20s %s\n", line.name.c_str(), line.kernels.c_str());
    }
  }
  if (summary.dropped > 0) {
    print(stdout, "note: there was no room for %lld events, which are not counted above\n",
          static_cast<long long>(summary.dropped));
  }
}

void write_phase(JsonWriter& json, const Phase& phase) {
  json.begin_object().member("name", phase.name).member("steps", phase.steps);
  json.member("seconds", phase.summary.wall).member("accounted", phase.summary.accounted());
  json.member("other_barriers_seconds", phase.summary.outside);
  json.member("dropped_events", phase.summary.dropped);
  json.member("read_bandwidth", phase.bandwidth).member("integer_peak", phase.integer_peak);
  json.begin_array("operations");
  for (const OpLine& line : phase.summary.lines) {
    json.begin_object().member("name", line.name).member("kernels", line.kernels);
    json.member("calls", line.calls).member("seconds", line.seconds);
    json.member("bytes", line.bytes).member("macs", line.macs);
    json.begin_array("busy_seconds");
    for (const double seconds : line.busy) json.element(seconds);
    json.end_array().begin_array("wait_seconds");
    for (const double seconds : line.waits) json.element(seconds);
    json.end_array().member("imbalance", line.imbalance()).end_object();
  }
  json.end_array().begin_object("counters");
  for (const HardwareCounters::Reading& reading : phase.counters) {
    json.member(reading.name, reading.count);
  }
  json.end_object().end_object();
}

/// Runs and logs the steps of a phase; the trace of the last one goes to *trace.
class Profiler {
 public:
  Profiler(const LoadedModel& model, const Options& options, KvType kv_type,
           HardwareCounters& counters)
      : model_(model),
        options_(options),
        kv_type_(kv_type),
        counters_(counters),
        read_(executor()) {}

  Executor& executor() const { return model_.executor(); }

  Result<Phase> run(const std::string& name, bench::ModelRunner& runner, int64_t steps,
                    int64_t first_position, int64_t step_rows, bool is_prompt,
                    const std::function<Result<double>()>& step) {
    const auto layers = static_cast<size_t>(runner.config().layer_count);
    // A prompt takes several passes.
    const auto passes = static_cast<size_t>(ceil_div(step_rows, executor().rows_max()));
    Profile profile(executor().thread_count(),
                    static_cast<size_t>(steps) * passes * (layers * 64 + 256));
    MIDGE_RETURN_IF_ERROR(step().status());  // pages and caches settle
    Phase phase;
    phase.name = name;
    phase.steps = steps;
    const PassClass c = is_prompt ? PassClass::kPanel : pass_class(step_rows, 0);
    phase.bandwidth = read_.measure(c);
    phase.integer_peak = bench::measure_integer_peak(executor().team(), executor().isa(), c);
    MIDGE_RETURN_IF_ERROR(step().status());  // and once more behind the passes of the limits
    counters_.read();
    executor().set_profile(&profile);
    double wall = 0;
    for (int64_t i = 0; i < steps; ++i) {
      Result<double> seconds = step();
      if (!seconds.ok()) {
        executor().set_profile(nullptr);
        return seconds.status();
      }
      wall += *seconds;
    }
    executor().set_profile(nullptr);
    phase.counters = counters_.read();
    const KvLayout& kv = runner.pool().layout();
    const bench::SummaryInput input = {&profile,
                                       &executor(),
                                       wall,
                                       kv_type_,
                                       static_cast<double>(kv.token_bytes() * kv.kv_heads),
                                       first_position,
                                       step_rows,
                                       runner.config().sliding_window,
                                       is_prompt};
    phase.summary = bench::summarize_ops(input);
    if (!options_.trace.empty()) trace_ = bench::trace_json(input);
    return phase;
  }

  const std::string& trace() const { return trace_; }

 private:
  const LoadedModel& model_;
  const Options& options_;
  const KvType kv_type_;
  HardwareCounters& counters_;
  bench::ReadPass read_;
  std::string trace_;
};

Status profile_command(const Options& options) {
  if (!kHasProfiler) {
    return make_status(StatusCode::kUnsupported, "this build has no profiler: MIDGE_PROFILER");
  }
  if (!options.synthetic.empty() && !options.run.model.empty()) {
    return make_status(StatusCode::kInvalidArgument, "--synthetic takes the place of a model");
  }
  // Before the threads that it counts.
  HardwareCounters counters;
  RunOptions run = options.run;
  run.needs_tokenizer = false;
  run.quiet = true;
  run.logit_rows = kGemvRowsMax;
  bench::RunnerOptions runner_options;
  MIDGE_ASSIGN_OR_RETURN(runner_options.kv_type, kv_type_from_name(run.kv_type));
  runner_options.depth_max = options.depth;
  runner_options.prompt_max = std::max<int64_t>(1, options.prompt);
  runner_options.requests_max = 0;
  runner_options.cancel = &interrupted();
  if (run.context_length == 0) {
    run.context_length = bench::ModelRunner::context_for(runner_options);
  }
  MIDGE_ASSIGN_OR_RETURN(
      const std::unique_ptr<LoadedModel> model,
      options.synthetic.empty() ? load_model_alone(run) : load_synthetic(options.synthetic, run));
  watch_interrupts();
  MIDGE_RETURN_IF_ERROR(bench::check_output(*model, runner_options.kv_type).status());
  MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<bench::ModelRunner> runner,
                         bench::ModelRunner::create(*model, runner_options));
  Profiler profiler(*model, options, runner_options.kv_type, counters);
  std::vector<Phase> phases;
  if (options.prompt > 0) {
    MIDGE_ASSIGN_OR_RETURN(
        Phase phase,
        profiler.run(format_string("prompt of %lld tokens", static_cast<long long>(options.prompt)),
                     *runner, std::max<int64_t>(1, options.steps / 8), 0, options.prompt, true,
                     [&] { return runner->prompt(options.prompt, false); }));
    phases.push_back(std::move(phase));
  }
  MIDGE_ASSIGN_OR_RETURN(
      Phase decode, profiler.run(format_string("decode of %lld rows behind %lld tokens",
                                               static_cast<long long>(options.rows),
                                               static_cast<long long>(options.depth)),
                                 *runner, options.steps, options.depth, options.rows, false, [&] {
                                   return runner->at_depth(options.depth, options.rows, true);
                                 }));
  phases.push_back(std::move(decode));
  if (!options.trace.empty())
    MIDGE_RETURN_IF_ERROR(write_users_file(options.trace, profiler.trace()));
  if (options.run.json) {
    JsonWriter json;
    json.begin_object().member("schema", "midge.profile").member("version", int64_t{1});
    json.member("model", model->path());
    json.member("threads", int64_t{model->executor().thread_count()});
    json.member("isa", isa_level_name(top_level(model->executor().isa())));
    json.member("counters_refused", counters.refusal()).begin_array("phases");
    for (const Phase& phase : phases) write_phase(json, phase);
    json.end_array().end_object();
    print_json(json);
    return Status();
  }
  print(stdout, "model    %s, %d threads, level %s\n",
        visible_text(model->path(), Layout::kOneLine).c_str(), model->executor().thread_count(),
        isa_level_name(top_level(model->executor().isa())));
  if (!counters.refusal().empty()) print(stdout, "counters %s\n", counters.refusal().c_str());
  for (const Phase& phase : phases) print_phase(phase);
  return Status();
}

}  // namespace

void add_profile_command(CommandLine& app, Command* run) {
  auto options = std::make_shared<Options>();
  CommandLine* command =
      app.add_subcommand("profile", "Show where the time of a step goes, operation by operation");
  add_run_options(*command, options->run);
  command
      ->add_option("--synthetic", options->synthetic,
                   "A model of random weights, as in midge bench")
      ->type_name("NAME");
  command->add_option("--prompt", options->prompt, "Tokens of the prompt; 0: none")
      ->check(whole_number(0))
      ->capture_default_str();
  command->add_option("--depth", options->depth, "Tokens in the cache before a decode step")
      ->check(whole_number(1))
      ->capture_default_str();
  command->add_option("--rows", options->rows, "Tokens per decode step")
      ->check(whole_number(1, kGemvRowsMax))
      ->capture_default_str();
  command->add_option("-n,--steps", options->steps, "Decode steps; of prompts an eighth")
      ->check(whole_number(1, 10000))
      ->capture_default_str();
  command
      ->add_option("--trace", options->trace,
                   "Write what each worker did, step by step, for Perfetto and chrome://tracing: "
                   "the decode steps")
      ->type_name("FILE");
  add_json_option(*command, options->run);
  command->footer(
      "  midge profile model.midge\n"
      "  midge profile --synthetic phi4-mini --trace trace.json\n");
  command->callback([=] { *run = [=] { return profile_command(*options); }; });
}

}  // namespace midge
