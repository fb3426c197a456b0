// The midge program. Exit codes are the numbers of StatusCode (engine/core/status.h).
#include <cstdio>
#include <new>
#include <sstream>

#include "cli/bus_error.h"
#include "cli/common.h"
#include "engine/core/visible.h"

int main(int argc, char** argv) {
  CLI::App app("LLM inference for Arm edge devices", "midge");
  app.set_version_flag("--version", MIDGE_VERSION);
  app.require_subcommand(1);
  midge::Command command;
  midge::add_run_command(app, &command);
  midge::add_chat_command(app, &command);
  midge::add_inspect_command(app, &command);
  midge::add_tokenize_command(app, &command);
  midge::add_eval_command(app, &command);
  midge::add_importance_command(app, &command);
  midge::add_plan_command(app, &command);
  midge::add_pack_command(app, &command);
  midge::add_verify_command(app, &command);
  midge::add_bench_command(app, &command);
  midge::add_cpu_command(app, &command);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream help;
    std::ostringstream complaint;
    const int code = app.exit(error, help, complaint);
    midge::print(stdout, "%s", help.str().c_str());
    if (code != 0) {
      // An argument in it must not make a line of its own.
      const std::string what = midge::visible_text(error.what(), midge::Layout::kOneLine);
      midge::print(stderr, "%s\nRun with --help for more information.\n", what.c_str());
    }
    return code == 0 ? 0 : static_cast<int>(midge::StatusCode::kInvalidArgument);
  }
  midge::report_bus_errors();
  midge::Status status;
  try {
    status = command();
  } catch (const std::bad_alloc&) {
    // The library reserves its large buffers with errors as values; this is for small ones.
    status = midge::Status(midge::StatusCode::kOutOfMemory, "out of memory");
  }
  // A full disk shows here, or when an earlier write failed.
  if (status.ok() && (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)) {
    status = midge::Status(midge::StatusCode::kIoError, "standard output cannot be written");
  }
  if (status.ok()) return 0;
  midge::print(stderr, "midge: error: %s\n", status.message().c_str());
  return static_cast<int>(status.code());
}
