// The midge program. Exit codes are the numbers of StatusCode (engine/core/status.h).
#include <cstdio>
#include <new>
#include <optional>

#include "cli/bus_error.h"
#include "cli/common.h"
#include "cli/help.h"
#include "cli/option_checks.h"
#include "cli/version.h"
#include "engine/core/visible.h"

namespace midge {
namespace {

// Man page and completions, for the build and for people.
void add_generate_command(CommandLine& app, Command* run) {
  auto what = std::make_shared<std::string>();
  CommandLine* command =
      app.add_subcommand("generate", "Print the man page, or the completions of a shell");
  takes_one_of(command->add_option("WHAT", *what, "What to print: the man page, or completions"),
               {"man", "bash", "zsh", "fish"})
      ->required();
  command->footer(
      "  midge generate man | man -l -\n"
      "  midge generate bash > ~/.local/share/bash-completion/completions/midge\n");
  command->callback([=, &app] {
    *run = [=, &app] {
      print_document(*what == "man"    ? man_page(app, version_number())
                     : *what == "bash" ? bash_completion(app)
                     : *what == "zsh"  ? zsh_completion(app)
                                       : fish_completion(app));
      return Status();
    };
  });
}

void add_help_command(CommandLine& app, Command* run) {
  auto name = std::make_shared<std::string>();
  CommandLine* command = app.add_subcommand("help", "Show all options of a command");
  command->add_option("COMMAND", *name, "The command; without, all commands are listed");
  command->callback([=, &app] {
    *run = [=, &app] {
      std::string page = overview(app);
      if (!name->empty()) {
        const CommandLine* shown = app.find_command(*name);
        if (shown == nullptr) {
          return Status(StatusCode::kInvalidArgument, app.describe_unknown_command(*name));
        }
        page = long_help(*shown);
      }
      print(stdout, "%s", page.c_str());
      return Status();
    };
  });
}

void add_commands(CommandLine& app, Command* run) {
  add_run_command(app, run);
  add_chat_command(app, run);
#ifdef MIDGE_HAS_SERVER
  add_serve_command(app, run);
#endif
  add_pack_command(app, run);
  add_inspect_command(app, run);
  add_plan_command(app, run);
  add_bench_command(app, run);
  add_profile_command(app, run);
  add_eval_command(app, run);
  add_importance_command(app, run);
  add_tokenize_command(app, run);
  add_verify_command(app, run);
  add_cpu_command(app, run);
  add_generate_command(app, run);
  add_help_command(app, run);
}

int fail(StatusCode code, const std::string& message) {
  print(stderr, "midge: error: %s\n", visible_text(message, Layout::kOneLine).c_str());
  return static_cast<int>(code);
}

// What a command line asks for beside a command. The exit code, or nothing where there is one.
std::optional<int> answer(const CommandLine& app, const ParsedCommandLine& parsed) {
  const bool is_program = parsed.command == &app;
  switch (parsed.kind) {
    case ParsedCommandLine::Kind::kCommand: return std::nullopt;
    case ParsedCommandLine::Kind::kError: return fail(StatusCode::kInvalidArgument, parsed.error);
    case ParsedCommandLine::Kind::kVersion: print(stdout, "%s", version_text().c_str()); break;
    case ParsedCommandLine::Kind::kShortHelp:
    case ParsedCommandLine::Kind::kLongHelp:
      print(stdout, "%s",
            (is_program                                           ? overview(app)
             : parsed.kind == ParsedCommandLine::Kind::kShortHelp ? short_help(*parsed.command)
                                                                  : long_help(*parsed.command))
                .c_str());
  }
  if (std::fflush(stdout) == 0) return 0;
  return fail(StatusCode::kIoError, "standard output cannot be written");
}

Status run_command(const Command& command) {
  try {
    Status status = command();
    // A full disk shows here, or when an earlier write failed.
    if (status.ok() && (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)) {
      return Status(StatusCode::kIoError, "standard output cannot be written");
    }
    return status;
  } catch (const std::bad_alloc&) {
    // The library reserves its large buffers with errors as values; this is for small ones.
    return Status(StatusCode::kOutOfMemory, "out of memory");
  } catch (const std::exception& error) {
    return Status(StatusCode::kInternal, error.what());
  }
}

int run_program(int argc, char** argv) {
  CommandLine app("midge", "LLM inference for Arm edge devices");
  app.footer(
      "  midge run tiny-phi \"What is 7 + 5?\"\n"
      "  midge chat path/to/model.gguf\n"
      "  echo \"Say hello.\" | midge run path/to/model\n");
  Command command;
  add_commands(app, &command);
  const std::optional<int> ended = answer(app, app.parse(argc, argv));
  if (ended.has_value()) return *ended;
  report_bus_errors();
  const Status status = run_command(command);
  return status.ok() ? 0 : fail(status.code(), status.message());
}

}  // namespace
}  // namespace midge

int main(int argc, char** argv) { return midge::run_program(argc, argv); }
