// midge cpu: what this machine may run, and which kernels are chosen for it.
#include <cstdio>

#include "cli/common.h"
#include "engine/platform/cpu_features.h"
#include "engine/platform/worker_team.h"

namespace midge {
namespace {

struct Options {
  RunOptions run;
  bool all = false;
};

struct Choice {
  Op op;
  Encoding encoding;
  int rows_min;
  int rows_max;  // 0: any number from rows_min on
  const KernelInfo* kernel;
};

bool is_prefill(Op op) {
  return op == Op::kQuantizePanel || op == Op::kUnpack || op == Op::kGemmPanel;
}

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
    const KernelChoice of_op = is_prefill(kind.op) ? panel_choice(choice) : choice;
    const int rows_max = kind.op == Op::kGemv ? kGemvRowsMax : 1;
    for (int rows = 1; rows <= rows_max; ++rows) {
      const KernelInfo* kernel = select_kernel(kind.op, kind.encoding, of_op, rows);
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

std::vector<Level> levels_of_build(const IsaLevels& available) {
  std::vector<Level> result;
  for (int i = 0; i < kIsaLevelCount; ++i) {
    Level level = {static_cast<IsaLevel>(i), available.has(static_cast<IsaLevel>(i)), 0};
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
  std::printf("%-15s %-11s %-4s  %s\n", op_name(op), encoding_info(encoding).name, rows.c_str(),
              name);
}

void print_text(const std::vector<Level>& levels, const KernelChoice& choice, bool all) {
  std::printf("cores           %d\n", allowed_cores());
  for (const Level& level : levels) {
    std::printf("level           %-11s %s, %lld kernels%s\n", isa_level_name(level.level),
                level.available ? "available" : "missing", static_cast<long long>(level.kernels),
                level.available && !choice.levels.has(level.level) ? ", not used" : "");
  }
  std::printf("\noperation       encoding    rows  kernel\n");
  if (all) {
    for (const KernelInfo& kernel : all_kernels()) {
      if (!choice.levels.has(kernel.level)) continue;
      print_line(kernel.op, kernel.encoding, rows_text(1, kernel.rows_max), kernel.name);
    }
    return;
  }
  for (const Choice& c : choices(choice)) {
    print_line(c.op, c.encoding, rows_text(c.rows_min, c.rows_max), c.kernel->name);
  }
}

void print_report(const std::vector<Level>& levels, const KernelChoice& choice) {
  JsonWriter json;
  json.begin_object().member("schema", "midge.cpu").member("version", int64_t{1});
  json.member("cores", int64_t{allowed_cores()});
  json.begin_array("levels");
  for (const Level& level : levels) {
    json.begin_object().member("name", isa_level_name(level.level));
    json.member("available", level.available).member("used", choice.levels.has(level.level));
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
  json.end_array().begin_array("kernels");
  for (const KernelInfo& kernel : all_kernels()) {
    json.begin_object().member("name", kernel.name).member("level", isa_level_name(kernel.level));
    json.member("usable", choice.levels.has(kernel.level)).end_object();
  }
  json.end_array().end_object();
  print_json(json);
}

Status cpu_command(const Options& options) {
  MIDGE_ASSIGN_OR_RETURN(const KernelChoice choice, kernel_choice(options.run));
  const std::vector<Level> levels = levels_of_build(detect_isa_levels());
  if (options.run.json) {
    print_report(levels, choice);
  } else {
    print_text(levels, choice, options.all);
  }
  return Status();
}

}  // namespace

void add_cpu_command(CLI::App& app, Command* run) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("cpu", "Show instruction set levels and the kernels chosen for them");
  add_kernel_options(*command, options->run);
  command->add_flag("--all", options->all, "List every kernel that may be used");
  command->add_flag("--json", options->run.json, "Report as JSON");
  command->callback([=] { *run = [=] { return cpu_command(*options); }; });
}

}  // namespace midge
