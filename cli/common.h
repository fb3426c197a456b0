// What the subcommands share: options, opening a model, reports.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/loaded_model.h"
#include "cli/command_line.h"
#include "cli/terminal.h"
#include "engine/formats/json_writer.h"

namespace midge {

/// Options of every subcommand that runs a model.
struct RunOptions {
  std::string model;  ///< as find_model takes it
  bool no_mmap = false;
  bool no_huge_pages = false;
  int threads = 0;
  std::string cores;  ///< list or name; empty: chosen
  bool no_pin = false;
  int64_t context_length = 0;
  std::string arithmetic = "packed";
  std::string weights;               ///< encoding; empty: as in the files
  std::string recipe;                ///< name of a recipe; empty: none
  std::vector<std::string> tensors;  ///< "PATTERN=ENCODING"
  std::string importance;            ///< path; empty: none
  std::string isa;                   ///< level; empty: the highest
  std::string kernels;               ///< glob of kernel names to prefer
  bool no_calibration = false;
  std::optional<std::string> cache_dir;  ///< empty: none
  std::string kv_type = "f16";
  std::string rope = "auto";
  bool json = false;
  bool quiet = false;  ///< nothing on stderr but warnings and errors
  bool needs_tokenizer = true;
  int64_t batch_rows = SequenceOptions().batch_rows;
  int64_t logit_rows = 1;  ///< rows of logits that a step is asked for
  std::string budget;      ///< "2GiB"; empty: none
  bool lock = false;       ///< keep weights, cache and scratch in memory
  bool no_cache = false;   ///< keep no packed files of large models
  std::string cache_size = "32GiB";
  std::string drafter = "none";
  int64_t draft_remembered = 0;
  std::string mtp;  ///< safetensors file with an MTP layer; empty: the model's own
  int64_t drafts_max = kDraftsMax;
  int64_t draft_match = DraftOptions().match_min;
};

/// Options of every subcommand that samples.
struct SampleOptions {
  int64_t tokens_max = 256;
  std::vector<std::string> stop_strings;
  std::vector<std::string> logit_bias;  ///< "ID=BIAS"
  std::optional<uint64_t> seed;         ///< nothing: drawn, if it is needed
  SamplerOptions sampler;
};

void add_model_option(CommandLine& app, RunOptions& options);
void add_no_mmap_option(CommandLine& app, RunOptions& options);
void add_json_option(CommandLine& app, RunOptions& options);
/// --quiet.
void add_quiet_option(CommandLine& app, RunOptions& options);
void add_threads_option(CommandLine& app, RunOptions& options);
/// --cores, --no-pin.
void add_cores_options(CommandLine& app, RunOptions& options);
/// --mtp.
void add_mtp_option(CommandLine& app, RunOptions& options);
/// --weights, --recipe, --tensor, --importance.
void add_weight_options(CommandLine& app, RunOptions& options);
void add_kernel_options(CommandLine& app, RunOptions& options);
void add_run_options(CommandLine& app, RunOptions& options);
/// The same but for the model.
void add_run_settings(CommandLine& app, RunOptions& options);
void add_sample_options(CommandLine& app, SampleOptions& options);

struct OpenedModel;  // cli/open_model.h

/// For `--importance` where nothing is encoded.
inline constexpr const char* kImportanceUnused =
    "midge: warning: --importance has no effect: no matrix is encoded (see --recipe)\n";

/// Says on stderr which options change nothing, as the best token is taken anyway.
void warn_of_unused(const SampleOptions& options);

/// A seed for options that draw and name none; nothing: none is needed. Says so on stderr.
std::optional<uint64_t> draw_seed(const RunOptions& run, const SampleOptions& options);

/// Turns the options into those of generate(), stop ids included. Errors: invalid_argument.
Result<GenerateOptions> make_generate_options(const SampleOptions& options,
                                              const OpenedModel& loaded);

/// "prompt 12 tokens, 340 tok/s; output 200 tokens, 85.1 tok/s (stop_token)" on stderr.
void report_speed(const GenerateResult& result);

/// Member "memory": bytes of the files and of what was taken beside them.
void write_memory(JsonWriter& json, const OpenedModel& loaded);

/// Member "sampling": every option that decides which token is taken.
void write_sampling(JsonWriter& json, const SamplerOptions& options);

/// Members "reason", "text", "tokens" ... of a finished generation.
void write_result(JsonWriter& json, const GenerateResult& result);

/// Prints the document and a newline on stdout.
void print_json(const JsonWriter& json);

// The subcommands. Each registers itself and sets *run to what main() calls.
using Command = std::function<Status()>;
void add_run_command(CommandLine& app, Command* run);
void add_chat_command(CommandLine& app, Command* run);
void add_inspect_command(CommandLine& app, Command* run);
void add_tokenize_command(CommandLine& app, Command* run);
void add_eval_command(CommandLine& app, Command* run);
void add_importance_command(CommandLine& app, Command* run);
void add_plan_command(CommandLine& app, Command* run);
void add_pack_command(CommandLine& app, Command* run);
void add_verify_command(CommandLine& app, Command* run);
void add_bench_command(CommandLine& app, Command* run);
void add_profile_command(CommandLine& app, Command* run);
void add_cpu_command(CommandLine& app, Command* run);
void add_serve_command(CommandLine& app, Command* run);

}  // namespace midge
