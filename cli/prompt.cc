#include "cli/prompt.h"

#include <algorithm>
#include <iostream>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include "cli/terminal.h"
#include "engine/core/mapped_file.h"

namespace midge {
namespace {

// Something was put there for this program to read. A service that starts it, or a shell in the
// background, leaves devices and sockets open that never end.
bool stdin_has_text() {
  struct stat info = {};
  return ::fstat(STDIN_FILENO, &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISREG(info.st_mode));
}

// False if there was more.
bool read_stdin(size_t bytes_max, std::string* text) {
  std::vector<char> buffer(size_t{64} << 10);
  while (std::cin.read(buffer.data(), static_cast<std::streamsize>(buffer.size())),
         std::cin.gcount() > 0) {
    text->append(buffer.data(), static_cast<size_t>(std::cin.gcount()));
    if (text->size() > bytes_max) return false;
  }
  return true;
}

}  // namespace

Result<PromptText> read_prompt(const std::string& given, const OpenedModel& loaded) {
  PromptText prompt;
  const bool asks_for_stdin = given == "-";
  if (!asks_for_stdin) prompt.text = given;
  if (asks_for_stdin || stdin_has_text()) {
    // White space that a vocabulary drops is not counted in tokens, and 16 MiB may be all that.
    constexpr size_t kAlwaysRead = size_t{16} << 20;
    const size_t longest = context_tokens(loaded) * loaded.model->tokenizer().token_bytes_max();
    const size_t bytes_max = std::min(std::max(longest, kAlwaysRead), kTextBytesMax);
    std::string text;
    if (!read_stdin(bytes_max, &text)) {
      return make_status(StatusCode::kContextFull,
                         "standard input has more than %zu bytes, the context holds %zu tokens",
                         bytes_max, context_tokens(loaded));
    }
    // What `echo` ends a line with is not a part of a prompt.
    if (text.ends_with('\n')) text.pop_back();
    if (text.ends_with('\r')) text.pop_back();
    if (!prompt.text.empty() && !text.empty()) {
      prompt.text += '\n';
      prompt.bytes_behind = text.size();
    }
    prompt.text += text;
    prompt.typed = stdin_is_terminal();
  }
  if (prompt.text.empty()) return no_prompt();
  return prompt;
}

bool has_prompt(const std::string& given) { return !given.empty() || stdin_has_text(); }

Status no_prompt() {
  return make_status(StatusCode::kInvalidArgument,
                     "no prompt: give it behind the model, with -p, or through a pipe; midge chat "
                     "talks");
}

Result<std::string> read_text_or_stdin(const std::string& path, size_t bytes_max) {
  if (path != "-") return read_small_file(path, bytes_max);
  std::string text;
  if (read_stdin(bytes_max, &text)) return text;
  return make_status(StatusCode::kOutOfRange, "standard input has more than %zu bytes", bytes_max);
}

}  // namespace midge
