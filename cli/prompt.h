// The prompt of midge run: from the command line, from standard input, or both.
#pragma once

#include <string>

#include "cli/common.h"
#include "cli/open_model.h"

namespace midge {

struct PromptText {
  std::string text;
  bool typed = false;       ///< at the terminal that shows the answer: it is there already
  size_t bytes_behind = 0;  ///< of standard input, behind what was given
};

/// given: of the command line, "-" for standard input alone; nothing is the same. Standard input is
/// read too if it is a pipe or a file: its text follows what was given, a line further down.
/// Errors: invalid_argument (no prompt), context_full (more than any prompt can have).
Result<PromptText> read_prompt(const std::string& given, const OpenedModel& loaded);

/// False if nothing is given and nothing can be read: no model needs to be opened to say so.
bool has_prompt(const std::string& given);
/// What read_prompt says then.
Status no_prompt();

/// The bytes of a file, or of standard input for "-". Errors: those of read_small_file.
Result<std::string> read_text_or_stdin(const std::string& path, size_t bytes_max);

}  // namespace midge
