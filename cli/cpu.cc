// midge cpu: what this machine may run, how fast, and which kernels are chosen for it.
#include <cstdio>
#include <ctime>

#include "api/kernel_names.h"
#include "cli/common.h"
#include "cli/core_report.h"
#include "cli/open_model.h"
#include "engine/calibration/calibrate.h"
#include "engine/calibration/operands.h"
#include "engine/core/visible.h"
#include "engine/platform/cpu_features.h"

namespace midge {
namespace {

struct Options {
  RunOptions run;
  bool all = false;
  bool calibrate = false;
  std::string topology;  // a recording; empty: this machine
};

// Random weights to measure on, more than most caches hold; their width; and how long the
// measurements may take per type of core.
constexpr int64_t kWeightsBytes = 128 << 20;
constexpr int64_t kWeightsColumns = 4096;
constexpr double kCalibrateSeconds = 0.5;

struct Choice {
  Op op;
  Encoding encoding;
  int rows_min;
  int rows_max;  // 0: any number from rows_min on
  const KernelInfo* kernel;
};

bool is_first_of_its_kind(const KernelInfo& kernel) {
  for (const KernelInfo& other : all_kernels()) {
    if (other.op == kernel.op && other.encoding == kernel.encoding) return &other == &kernel;
  }
  return false;
}

// The kernel of every operation and encoding, in registry order; runs of row numbers with the same
// kernel are one entry.
std::vector<Choice> choices(const KernelChoice& choice) {
  std::vector<Choice> result;
  for (const KernelInfo& kind : all_kernels()) {
    if (!is_first_of_its_kind(kind)) continue;
    const int rows_max = kind.op == Op::kGemv ? kGemvRowsMax : 1;
    for (int rows = 1; rows <= rows_max; ++rows) {
      const KernelInfo* kernel = select_kernel(kind.op, kind.encoding, choice, rows);
      if (kernel == nullptr) continue;
      if (rows > 1 && result.back().kernel == kernel) {
        result.back().rows_max = rows;
      } else {
        result.push_back({kind.op, kind.encoding, rows, kind.op == Op::kGemv ? rows : 0, kernel});
      }
    }
  }
  return result;
}

// Levels that this machine has or that this build has kernels of.
struct Level {
  IsaLevel level;
  bool available;
  int64_t kernels;
};

std::vector<Level> levels_of_build(CpuFeatures available) {
  std::vector<Level> result;
  for (int i = 0; i < kIsaLevelCount; ++i) {
    Level level = {static_cast<IsaLevel>(i), has_level(available, static_cast<IsaLevel>(i)), 0};
    for (const KernelInfo& kernel : all_kernels()) level.kernels += kernel.level == level.level;
    if (level.available || level.kernels > 0) result.push_back(level);
  }
  return result;
}

std::string rows_text(int rows_min, int rows_max) {
  if (rows_max == 0) return "any";
  if (rows_min == rows_max) return std::to_string(rows_min);
  return format_string("%d-%d", rows_min, rows_max);
}

void print_line(Op op, Encoding encoding, const std::string& rows, const char* name) {
  print(stdout, "%-15s %-11s %-4s  %s\n", op_name(op), encoding_info(encoding).name, rows.c_str(),
        name);
}

// The rates of the file; measured ones with --calibrate.
Result<CalibrationReport> find_rates(const Options& options, const WorkerTeam& team,
                                     CpuFeatures features) {
  CalibrateOptions calibrate_options;
  calibrate_options.features = features;
  calibrate_options.cache_dir = cache_dir(options.run);
  if (!options.calibrate) return calibrate(team, {}, calibrate_options);
  calibrate_options.again = true;
  calibrate_options.seconds = kCalibrateSeconds;
  MIDGE_ASSIGN_OR_RETURN(const AlignedBuffer weights, random_weights(kWeightsBytes));
  std::vector<WeightTiles> samples;
  for (int i = 0; i < kEncodingCount; ++i) {
    const auto encoding = static_cast<Encoding>(i);
    if (packed_info(encoding).unit_bytes == 0) continue;
    const int64_t tiles = kWeightsBytes / packed_tile_bytes(encoding, kWeightsColumns);
    samples.push_back({encoding, tiles * kTileRows, kWeightsColumns, weights.data()});
  }
  return calibrate(team, samples, calibrate_options);
}

bool is_chosen(const KernelRate& rate, const KernelChoice& choice) {
  const Encoding encoding = rate.at.op == Op::kGemmPanel ? Encoding::kF32 : rate.at.encoding;
  return select_kernel(rate.at.op, encoding, choice, rate.at.op == Op::kGemv ? rate.at.rows : 1) ==
         rate.kernel;
}

// "2026-11-27".
std::string day_of(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts = {};
  ::gmtime_r(&time, &parts);
  char text[16] = "";
  std::strftime(text, sizeof(text), "%F", &parts);
  return text;
}

const char* rate_unit(Op op) { return op == Op::kGemmPanel ? "GMAC/s" : "GB/s"; }

void print_rates(const CalibrationReport& report, const KernelChoice& choice) {
  for (size_t i = 0; i < report.cores.size(); ++i) {
    print(stdout, "core type %zu     %s, %zu cores\n", i, report.cores[i].name.c_str(),
          report.cores[i].cores.size());
  }
  for (const ReadRate& read : report.calibration.reads) {
    print(stdout, "reads           %.1f GB/s, %d threads\n", static_cast<double>(read.rate) * 1e-9,
          read.threads);
  }
  print(stdout, "rates           ");
  if (report.seconds > 0) {
    print(stdout, "measured in %.0f ms\n", report.seconds * 1e3);
  } else if (report.calibration.kernels.empty()) {
    print(stdout, "none yet: measured with a model's weights, or by --calibrate\n");
    if (!report.loaded.ok() && report.loaded.code() != StatusCode::kNotFound) {
      print(stdout, "                %s\n", report.loaded.message().c_str());
    }
  } else {
    print(stdout, "of %s\n", visible_text(report.path, Layout::kOneLine).c_str());
  }
  if (report.noisy > 0) {
    print(stdout,
          "                %zu not kept: their runs were more than %.0f %% apart, the machine was "
          "busy\n",
          report.noisy, kSpreadMax * 0.1);
  }
  if (!report.saved.ok())
    print(stdout, "                not kept: %s\n", report.saved.message().c_str());
  if (report.calibration.kernels.empty()) return;
  print(stdout,
        "\noperation       weights     rows  core type  rate            spread  measured    "
        "candidate\n");
  for (const KernelRate& rate : report.calibration.kernels) {
    print(stdout, "%-15s %-11s %-4d  %-9d %8.2f %-6s %5.1f %%  %s  %s %s\n", op_name(rate.at.op),
          encoding_info(rate.at.encoding).name, rate.at.rows, rate.core_type,
          static_cast<double>(rate.rate) * 1e-9, rate_unit(rate.at.op), rate.spread * 0.1,
          day_of(rate.measured).c_str(), is_chosen(rate, choice) ? "*" : " ", rate.kernel->name);
  }
}

void write_rates(JsonWriter& json, const CalibrationReport& report, const KernelChoice& choice) {
  json.begin_object("calibration").member("file", report.path);
  json.member("seconds", report.seconds).begin_array("core_types");
  for (const CoreType& type : report.cores) {
    json.begin_object().member("name", type.name);
    json.member("cores", static_cast<int64_t>(type.cores.size())).end_object();
  }
  json.end_array().begin_array("reads");
  for (const ReadRate& read : report.calibration.reads) {
    json.begin_object().member("threads", int64_t{read.threads});
    json.member("bytes_per_second", read.rate).end_object();
  }
  json.end_array().begin_array("rates");
  for (const KernelRate& rate : report.calibration.kernels) {
    json.begin_object().member("operation", op_name(rate.at.op));
    json.member("encoding", encoding_info(rate.at.encoding).name);
    json.member("rows", int64_t{rate.at.rows}).member("core_type", int64_t{rate.core_type});
    json.member("kernel", rate.kernel->name).member("chosen", is_chosen(rate, choice));
    json.member("spread", rate.spread * 1e-3).member("measured", rate.measured);
    json.member(rate.at.op == Op::kGemmPanel ? "macs_per_second" : "bytes_per_second", rate.rate);
    json.end_object();
  }
  json.end_array().end_object();
}

void print_text(const std::vector<Level>& levels, const KernelChoice& choice,
                const CalibrationReport& report, bool all) {
  for (const Level& level : levels) {
    print(stdout, "level           %-11s %s, %lld kernels%s\n", isa_level_name(level.level),
          level.available ? "available" : "missing", static_cast<long long>(level.kernels),
          level.available && !has_level(choice.features, level.level) ? ", not used" : "");
  }
  if (!report.cores.empty()) print_rates(report, choice);
  print(stdout, "\noperation       encoding    rows  kernel\n");
  if (all) {
    for (const KernelInfo& kernel : all_kernels()) {
      if (!choice.features.has(kernel.features)) continue;
      print_line(kernel.op, kernel.encoding, rows_text(1, kernel.rows_max), kernel.name);
    }
    return;
  }
  for (const Choice& c : choices(choice)) {
    print_line(c.op, c.encoding, rows_text(c.rows_min, c.rows_max), c.kernel->name);
  }
}

void print_report(const Topology& topology, const CoreChoice& cores,
                  const std::vector<Level>& levels, const KernelChoice& choice,
                  const CalibrationReport& report) {
  JsonWriter json;
  json.begin_object().member("schema", "midge.cpu").member("version", int64_t{1});
  write_cores(json, topology, cores);
  json.begin_array("levels");
  for (const Level& level : levels) {
    json.begin_object().member("name", isa_level_name(level.level));
    json.member("available", level.available)
        .member("used", has_level(choice.features, level.level));
    json.member("kernel_count", level.kernels).end_object();
  }
  json.end_array().begin_array("chosen");
  for (const Choice& c : choices(choice)) {
    json.begin_object().member("operation", op_name(c.op));
    json.member("encoding", encoding_info(c.encoding).name);
    json.member("rows_min", int64_t{c.rows_min});
    if (c.rows_max != 0) json.member("rows_max", int64_t{c.rows_max});
    json.member("kernel", c.kernel->name).end_object();
  }
  json.end_array();
  if (!report.cores.empty()) write_rates(json, report, choice);
  json.begin_array("kernels");
  for (const KernelInfo& kernel : all_kernels()) {
    json.begin_object().member("name", kernel.name).member("level", isa_level_name(kernel.level));
    json.member("usable", choice.features.has(kernel.features)).end_object();
  }
  json.end_array().end_object();
  print_json(json);
}

void print_recorded(const Options& options, const Topology& topology, const CoreChoice& cores) {
  const char* level = isa_level_name(top_level(topology.features));
  const bool is_known = topology.features != cpu::kNone;
  if (options.run.json) {
    JsonWriter json;
    json.begin_object().member("schema", "midge.cpu").member("version", int64_t{1});
    write_cores(json, topology, cores);
    json.member("level", is_known ? level : "").end_object();
    print_json(json);
    return;
  }
  print_cores(topology, cores);
  print(stdout, "level           %s\n",
        is_known ? level : "not known: recordings of x86 do not tell");
}

Status cpu_command(const Options& options) {
  MIDGE_ASSIGN_OR_RETURN(KernelChoice choice, kernel_choice(options.run.isa, options.run.kernels));
  Topology topology;
  if (options.topology.empty()) {
    topology = detect_topology();
  } else {
    MIDGE_ASSIGN_OR_RETURN(topology, replay_topology(options.topology));
    choice.features = topology.features;
  }
  TeamOptions team_options = {
      {options.run.threads, options.run.cores}, !options.run.no_pin, topology};
  MIDGE_ASSIGN_OR_RETURN(const WorkerTeam team, WorkerTeam::create(team_options));
  const std::vector<Level> levels = levels_of_build(topology.features);
  CalibrationReport report;
  std::vector<TunedKernel> tuned;
  if (calibrates(options.run) && options.topology.empty()) {
    MIDGE_ASSIGN_OR_RETURN(report, find_rates(options, team, choice.features));
    tuned = fastest_kernels(report.calibration, report.cores, choice.features);
    choice.tuned = tuned;
    team.use_rates(core_rates(report.calibration, topology, choice.features, Encoding::kQ4B32));
  }
  if (!options.topology.empty()) {
    // The kernels of this build need not be those of a build for that machine.
    print_recorded(options, topology, team.choice());
  } else if (options.run.json) {
    print_report(topology, team.choice(), levels, choice, report);
  } else {
    print_cores(topology, team.choice());
    print_text(levels, choice, report, options.all);
  }
  return Status();
}

}  // namespace

void add_cpu_command(CommandLine& app, Command* run) {
  auto options = std::make_shared<Options>();
  CommandLine* command = app.add_subcommand(
      "cpu", "Show the cores and levels of this machine, and what is chosen for them");
  add_threads_option(*command, options->run);
  add_cores_options(*command, options->run);
  add_kernel_options(*command, options->run);
  command->add_flag("--all", options->all, "List every kernel that may be used");
  command
      ->add_flag("--calibrate", options->calibrate,
                 "Measure the candidates on random weights now, and keep the rates")
      ->excludes(command->get_option("--isa"))
      ->excludes(command->get_option("--kernel"))
      ->excludes(command->get_option("--no-calibration"));
  add_json_option(*command, options->run);
  command
      ->add_option("--topology", options->topology,
                   "Show the choices for a recorded machine: a folder like /, or a file of "
                   "tools/record_topology.sh")
      ->type_name("PATH")
      ->excludes(command->get_option("--calibrate"));
  command->footer(
      "  midge cpu\n"
      "  midge cpu --calibrate\n"
      "  midge cpu --topology phone.txt\n");
  command->callback([=] { *run = [=] { return cpu_command(*options); }; });
}

}  // namespace midge
