// midge eval --tasks: how many questions with choices a model answers right.
#pragma once

#include <string>

#include "cli/common.h"

namespace midge {

struct TaskOptions {
  std::string file;  ///< see parse_task_file; empty: none
  std::string choices = "texts";
  bool bos = false;
};

/// --tasks, which is returned, and what goes with it alone.
CommandOption* add_task_options(CommandLine& command, TaskOptions& options);

/// role: "prompt" or "generated", of every token.
Status eval_tasks(RunOptions run, const TaskOptions& options, const std::string& role);

}  // namespace midge
