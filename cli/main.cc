// The midge program. Exit codes are the numbers of StatusCode (engine/core/status.h).
#include <cstdio>
#include <new>
#include <optional>

#include "cli/bus_error.h"
#include "cli/common.h"
#include "cli/help.h"
#include "cli/option_checks.h"
#include "cli/option_list.h"
#include "cli/parse_errors.h"
#include "cli/version.h"
#include "engine/core/visible.h"

namespace midge {
namespace {

// Not part of the page: the shells' own files are made from it.
void add_generate_command(CLI::App& app, Command* run) {
  auto what = std::make_shared<std::string>();
  CLI::App* command =
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

void add_help_command(CLI::App& app, Command* run) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("help", "Show all options of a command");
  command->add_option("COMMAND", *name, "The command; without, all commands are listed");
  command->callback([=, &app] {
    *run = [=, &app] {
      std::string page = overview(app);
      if (!name->empty()) {
        const CLI::App* shown = find_command(app, *name);
        if (shown == nullptr) {
          return Status(StatusCode::kInvalidArgument, describe_unknown_command(app, *name));
        }
        page = long_help(*shown);
      }
      print(stdout, "%s", page.c_str());
      return Status();
    };
  });
}

void add_commands(CLI::App& app, Command* run) {
  add_run_command(app, run);
  add_chat_command(app, run);
  add_pack_command(app, run);
  add_inspect_command(app, run);
  add_plan_command(app, run);
  add_bench_command(app, run);
  add_eval_command(app, run);
  add_importance_command(app, run);
  add_tokenize_command(app, run);
  add_verify_command(app, run);
  add_cpu_command(app, run);
  add_generate_command(app, run);
  add_help_command(app, run);
  for (CLI::App* command : app.get_subcommands({})) {
    command->set_help_flag("-h", "The most used options");
    command->set_help_all_flag("--help", "All options");
    command->get_option("-h")->group("Help");
    command->get_option("--help")->group("Help");
  }
}

// The page that -h or --help of a command asks for.
std::string help_page(const CLI::App& app, bool all) {
  for (const CLI::App* command : commands_of(app)) {
    if (command->parsed()) return all ? long_help(*command) : short_help(*command);
  }
  return overview(app);
}

int fail(StatusCode code, const std::string& message) {
  print(stderr, "midge: error: %s\n", visible_text(message, Layout::kOneLine).c_str());
  return static_cast<int>(code);
}

// Reads the command line. The exit code, if that was all.
std::optional<int> parse(CLI::App& app, int argc, char** argv) {
  if (argc < 2) {
    print(stdout, "%s", overview(app).c_str());
    return 0;
  }
  const std::string first = argv[1];
  const bool is_own_option = first == "-h" || first == "--help" || first == "--version";
  if (!is_own_option && find_command(app, first) == nullptr) {
    return fail(StatusCode::kInvalidArgument, describe_unknown_command(app, first));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForVersion&) {
    print(stdout, "%s", version_text().c_str());
    return 0;
  } catch (const CLI::CallForHelp&) {
    print(stdout, "%s", help_page(app, false).c_str());
    return 0;
  } catch (const CLI::CallForAllHelp&) {
    print(stdout, "%s", help_page(app, true).c_str());
    return 0;
  } catch (const CLI::ParseError& error) {
    return fail(StatusCode::kInvalidArgument, describe_parse_error(app, error));
  }
  return std::nullopt;
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
  }
}

int run_program(int argc, char** argv) {
  CLI::App app("LLM inference for Arm edge devices", "midge");
  app.set_version_flag("--version", version_number());
  app.set_help_flag("-h", "The most used options");
  app.set_help_all_flag("--help", "All options");
  app.footer(
      "  midge run tiny-phi \"What is 7 + 5?\"\n"
      "  midge chat path/to/model.gguf\n"
      "  echo \"Say hello.\" | midge run path/to/model\n");
  app.require_subcommand(1);
  Command command;
  add_commands(app, &command);
  const std::optional<int> ended = parse(app, argc, argv);
  if (ended.has_value()) {
    if (std::fflush(stdout) == 0) return *ended;
    return fail(StatusCode::kIoError, "standard output cannot be written");
  }
  report_bus_errors();
  const Status status = run_command(command);
  return status.ok() ? 0 : fail(status.code(), status.message());
}

}  // namespace
}  // namespace midge

int main(int argc, char** argv) { return midge::run_program(argc, argv); }
