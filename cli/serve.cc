// midge serve: an OpenAI-compatible server on the public interface.
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "cli/common.h"
#include "cli/draft_options.h"
#include "cli/find_model.h"
#include "cli/help.h"
#include "cli/open_model.h"
#include "cli/option_checks.h"
#include "cli/prompt.h"
#include "engine/chat/chat.h"
#include "engine/core/visible.h"
#include "midge/midge.h"
#include "server/service.h"

namespace midge {
namespace {

constexpr const char* kServerGroup = "Server";
constexpr const char* kRequestsGroup = "Requests";

struct Options {
  std::vector<std::string> models;
  RunOptions run;
  ServiceOptions service;
  int64_t port = 8080;
  std::string key_file;
  int64_t running_max = 16;
  int64_t queue_max = 64;
  int64_t kv_tokens = 0;
  int64_t prompt_rows = 128;
};

/// Closes what was opened, in the order that the C interface asks for.
struct Opened {
  std::vector<midge_model*> models;
  midge_engine* engine = nullptr;

  Opened() = default;
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  ~Opened() {
    if (engine != nullptr) midge_engine_close(&engine, MIDGE_CANCEL);
    for (midge_model*& model : models) {
      if (model != nullptr) midge_model_close(&model);
    }
  }
};

Status error_of(const midge_error& error) {
  return Status(static_cast<StatusCode>(error.status), error.text);
}

// "NAME=MODEL", or a model, whose name is then that of its file or folder.
std::pair<std::string, std::string> name_and_path(const std::string& given) {
  const size_t equals = given.find('=');
  if (equals != std::string::npos && equals > 0 && !std::filesystem::exists(given)) {
    return {given.substr(0, equals), given.substr(equals + 1)};
  }
  std::filesystem::path path(given);
  if (!path.has_filename()) path = path.parent_path();
  const std::string extension = path.extension().string();
  const bool is_file = extension == ".midge" || extension == ".gguf";
  return {is_file ? path.stem().string() : path.filename().string(), given};
}

// A key is one line of visible characters: it travels in a header.
Result<std::string> read_key(const std::string& path) {
  std::string key;
  if (!path.empty()) {
    MIDGE_ASSIGN_OR_RETURN(key, read_text_or_stdin(path, 4096));
  } else if (const char* value = std::getenv("MIDGE_API_KEY"); value != nullptr && *value != 0) {
    key = value;
  } else {
    return std::string();
  }
  while (key.ends_with('\n') || key.ends_with('\r')) key.pop_back();
  const bool is_fine =
      std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (key.size() < 8 || !is_fine) {
    return make_status(StatusCode::kInvalidArgument,
                       "the key in %s: expected one line of at least 8 visible ASCII characters",
                       path.empty() ? "$MIDGE_API_KEY" : shown_path(path).c_str());
  }
  return key;
}

void print_warning(void*, int32_t level, const char* text) {
  if (level == MIDGE_LOG_WARNING) print(stderr, "midge: warning: %s\n", text);
}

void show_progress(void* user, int64_t done, int64_t total) {
  static_cast<ProgressBar*>(user)->update(done, total);
}

Status open_model(const Options& options, const std::string& path, Opened* opened,
                  ServedName* served) {
  const RunOptions& run = options.run;
  midge_model_options model = {};
  model.size = sizeof(model);
  ProgressBar bar("loading");
  model.log = &print_warning;
  model.progress = &show_progress;
  model.user = &bar;
  model.copy_files = run.no_mmap ? 1 : 0;
  if (!run.recipe.empty()) model.recipe = run.recipe.c_str();
  if (!run.isa.empty()) model.isa = run.isa.c_str();
  model.calibrate = calibrates(run) ? 1 : 0;
  const std::string folder = cache_dir(run);
  if (!folder.empty()) model.cache_dir = folder.c_str();
  model.context_length = run.context_length;
  model.batch_rows = run.batch_rows;
  model.kv_type = run.kv_type.c_str();
  // Two contexts: one long conversation does not push the others out.
  constexpr int64_t kUsualContext = 4096;
  const int64_t asked = run.context_length != 0 ? run.context_length : kUsualContext;
  model.kv_tokens = options.kv_tokens != 0 ? options.kv_tokens : 2 * asked;
  if (!run.budget.empty()) {
    MIDGE_ASSIGN_OR_RETURN(model.memory_budget, parse_size(run.budget));
  }
  model.lock_memory = run.lock ? 1 : 0;
  model.running_max = options.running_max;
  model.prompt_rows = options.prompt_rows;
  model.drafter = run.drafter.c_str();
  model.draft_remembered = run.draft_remembered;
  MIDGE_ASSIGN_OR_RETURN(const std::string found, find_model(path));
  midge_error error;
  midge_model* handle = nullptr;
  if (midge_model_open(found.c_str(), &model, &handle, &error) != MIDGE_OK) return error_of(error);
  opened->models.push_back(handle);
  midge_model_info info = {};
  info.size = sizeof(info);
  midge_model_info_get(handle, &info);
  const int64_t context = run.context_length != 0 ? asked : std::min(info.context_length, asked);
  if (options.kv_tokens != 0 && options.kv_tokens < context) {
    return make_status(StatusCode::kInvalidArgument,
                       "--kv-tokens is %lld, expected at least the context of %lld (-c)",
                       static_cast<long long>(options.kv_tokens), static_cast<long long>(context));
  }
  served->model = opened->models.back();
  served->context_length = context;
  return Status();
}

Status create_engine(const Options& options, Opened* opened) {
  midge_engine_options engine = {};
  engine.size = sizeof(engine);
  engine.threads = options.run.threads;
  engine.requests_max = options.running_max + options.queue_max;
  if (!options.run.cores.empty()) engine.cores = options.run.cores.c_str();
  engine.no_pinning = options.run.no_pin ? 1 : 0;
  midge_error error;
  if (midge_engine_create(opened->models.data(), opened->models.size(), &engine, &opened->engine,
                          &error) != MIDGE_OK) {
    return error_of(error);
  }
  return Status();
}

// "2026-11-28T16:00:00Z ..."
void log_line(const std::string& line) {
  const std::time_t now = std::time(nullptr);
  std::tm utc = {};
  gmtime_r(&now, &utc);
  char stamp[32];
  std::strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &utc);
  print(stderr, "%s %s\n", stamp, visible_text(line, Layout::kOneLine).c_str());
}

// An origin as browsers send it, scheme://host[:port], and a name as a Host has it.
Status check_names(const AccessOptions& access) {
  const std::string& origin = access.cors_origin;
  const size_t scheme = origin.find("://");
  const bool has_path =
      scheme != std::string::npos && origin.find('/', scheme + 3) != std::string::npos;
  if (!origin.empty() && (scheme == std::string::npos || scheme == 0 || has_path)) {
    return make_status(StatusCode::kInvalidArgument,
                       "--cors is '%s', expected an origin, as https://example.org:8443",
                       printable(origin).c_str());
  }
  for (const std::string& name : access.names) {
    const bool is_name = std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '.' || c == '-';
    });
    if (is_name && !name.empty()) continue;
    return make_status(StatusCode::kInvalidArgument,
                       "--name is '%s', expected a host name without port, as box.local",
                       printable(name).c_str());
  }
  return Status();
}

Status serve_command(const Options& given) {
  Options options = given;
  MIDGE_RETURN_IF_ERROR(check_draft_options(options.run));
  MIDGE_RETURN_IF_ERROR(check_names(options.service.access));
  if (!options.service.chat_template.empty()) {
    MIDGE_RETURN_IF_ERROR(chat_template_from_name(options.service.chat_template).status());
  }
  options.service.requests_max = options.running_max + options.queue_max;
  options.service.running_max = options.running_max;
  MIDGE_ASSIGN_OR_RETURN(options.service.access.key, read_key(options.key_file));
  options.service.http.port = static_cast<uint16_t>(options.port);
  if (!options.run.quiet) options.service.log = &log_line;
  if (options.models.empty()) options.models.emplace_back("tiny-phi");
  Opened opened;
  std::vector<ServedName> served;
  for (const std::string& model : options.models) {
    const auto [name, path] = name_and_path(model);
    for (const ServedName& other : served) {
      if (other.name != name) continue;
      return make_status(StatusCode::kInvalidArgument,
                         "two models are called '%s': give one another name, as NAME=MODEL",
                         printable(name).c_str());
    }
    served.push_back({name, nullptr, 0});
    MIDGE_RETURN_IF_ERROR(open_model(options, path, &opened, &served.back()));
  }
  MIDGE_RETURN_IF_ERROR(create_engine(options, &opened));
  MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<Service> service,
                         Service::create(opened.engine, served, options.service));
  const bool is_v6 = options.service.http.host.find(':') != std::string::npos;
  print(stderr, "serving");
  for (const ServedName& model : served) print(stderr, " %s", printable(model.name).c_str());
  print(stderr, is_v6 ? " at http://[%s]:%u/\n" : " at http://%s:%u/\n",
        options.service.http.host.c_str(), service->port());
  service->run();
  return Status();
}

void add_server_options(CommandLine& command, Options& options) {
  ServiceOptions& service = options.service;
  command
      .add_option("--host", service.http.host,
                  "IP address to listen at; one that others can reach needs a key")
      ->type_name("ADDRESS")
      ->capture_default_str();
  command.add_option("--port", options.port, "Port; 0: any free one")
      ->check(whole_number(0, 65535))
      ->capture_default_str();
  command
      .add_option("--key-file", options.key_file,
                  "File with the key that clients must send (default: $MIDGE_API_KEY, else none)")
      ->type_name("FILE");
  command
      .add_option("--name", service.access.names,
                  "Host name that clients use for this server; repeatable. Addresses and localhost "
                  "need none")
      ->allow_extra_args(false)
      ->type_name("HOST")
      ->group(kServerGroup);
  command
      .add_option("--cors", service.access.cors_origin,
                  "Origin whose pages may ask, as https://example.org (default: none)")
      ->type_name("ORIGIN")
      ->group(kServerGroup);
  command
      .add_option("--stop-seconds", service.stop_seconds,
                  "At SIGTERM: what is being answered may take so long to end")
      ->check(number(0, 86400))
      ->group(kServerGroup)
      ->capture_default_str();
  command
      .add_option("--ping-seconds", service.ping_seconds,
                  "A stream that is silent for so long gets a comment, which clients skip")
      ->check(number(0.1, 3600))
      ->group(kServerGroup)
      ->capture_default_str();
  command
      .add_flag("--log-content", service.logs_content, "Log the texts of requests and answers too")
      ->group(kServerGroup);
}

void add_request_options(CommandLine& command, Options& options) {
  command.add_option("--running", options.running_max, "Answers that share a pass, 1 to 64")
      ->check(whole_number(1, 64))
      ->group(kRequestsGroup)
      ->capture_default_str();
  command
      .add_option("--queue", options.queue_max,
                  "Requests that may wait beside; more get status 429")
      ->check(whole_number(0, 100000))
      ->group(kRequestsGroup)
      ->capture_default_str();
  command
      .add_option("--prompt-rows", options.prompt_rows,
                  "Tokens of prompts that a pass may read while answers are written")
      ->check(whole_number(1, 4096))
      ->group(kRequestsGroup)
      ->capture_default_str();
  command
      .add_option("--deadline", options.service.deadline_seconds,
                  "Seconds that a request may take; 0: any time")
      ->check(number(0, 1e6))
      ->group(kRequestsGroup)
      ->capture_default_str();
  command
      .add_option("--template", options.service.chat_template,
                  "Chat template of all models, by name (default: each its own)")
      ->type_name("NAME")
      ->group(kRequestsGroup);
  command
      .add_option("--kv-tokens", options.kv_tokens,
                  "Tokens that the KV cache of a model holds (default: twice -c, 8192 without -c)")
      ->check(whole_number(0))
      ->group(kMemoryGroup);
}

void add_engine_options(CommandLine& command, RunOptions& run) {
  add_threads_option(command, run);
  add_cores_options(command, run);
  command
      .add_option("-c,--context", run.context_length,
                  "Tokens of a prompt and its answer; 0: the model's, at most 4096")
      ->check(whole_number(0));
  takes_one_of(command.add_option("--kv", run.kv_type, "Type of the KV cache"),
               {"f16", "f32", "int8", "k8v4"})
      ->group(kMemoryGroup)
      ->capture_default_str();
  command
      .add_option("--budget", run.budget,
                  "Most memory that a model may take, as '2GiB': refused if it does not fit")
      ->type_name("SIZE")
      ->group(kMemoryGroup);
  command.add_flag("--lock", run.lock, "Keep weights, cache and scratch in memory")
      ->group(kMemoryGroup);
  add_no_mmap_option(command, run);
  takes_one_of(command.add_option("--recipe", run.recipe,
                                  "Encode the matrices first: fast 4 bits, balanced 5, int8 8, "
                                  "half 16 (default: as in the files)"),
               {"fast", "balanced", "int8", "half"})
      ->group(kWeightsGroup);
  run.drafter = "auto";
  takes_one_of(command.add_option("--draft", run.drafter,
                                  "Who guesses the tokens to come; the answers are the same"),
               {"auto", "lookup", "mtp", "none"})
      ->group(kDraftsGroup)
      ->capture_default_str();
  add_draft_remember_option(command, run);
  add_kernel_options(command, run);
}

}  // namespace

void add_serve_command(CommandLine& app, Command* run) {
  auto options = std::make_shared<Options>();
  CommandLine* command =
      app.add_subcommand("serve", "Answer requests over HTTP, as OpenAI's interface has them");
  command
      ->add_option("MODEL", options->models,
                   "Models, as for midge run, or NAME=MODEL; NAME is what requests give (default: "
                   "tiny-phi)")
      ->type_name("[NAME=]MODEL...");
  add_server_options(*command, *options);
  add_quiet_option(*command, options->run);
  add_request_options(*command, *options);
  add_engine_options(*command, options->run);
  command->footer(
      "  midge serve tiny-phi\n"
      "  midge serve phi=Phi-4-mini-Q4_0.gguf -c 8192 --kv int8\n"
      "  midge serve model.midge --host 0.0.0.0 --key-file key.txt --name box.local\n");
  command->callback([=] { *run = [=] { return serve_command(*options); }; });
}

}  // namespace midge
