#include "cli/line_editor.h"

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <iostream>

#include "cli/terminal.h"

#ifdef MIDGE_HAS_LIBEDIT
#include <histedit.h>
#endif

namespace midge {
namespace {

class PlainReader final : public LineEditor {
 public:
  explicit PlainReader(std::string prompt) : prompt_(std::move(prompt)) {}

  LineStatus read(std::string* line) override {
    if (stdin_is_terminal()) print(stderr, "%s", prompt_.c_str());
    if (std::getline(std::cin, *line)) return LineStatus::kLine;
    if (interrupted().exchange(false)) {
      std::cin.clear();
      std::clearerr(stdin);
      return LineStatus::kInterrupted;
    }
    return LineStatus::kEnd;
  }

 private:
  std::string prompt_;
};

#ifdef MIDGE_HAS_LIBEDIT

constexpr int kHistoryLines = 500;

class EditReader final : public LineEditor {
 public:
  explicit EditReader(std::string prompt) : prompt_(std::move(prompt)) {
    // libedit reads characters in the locale of the user; without it, only ASCII can be typed.
    std::setlocale(LC_CTYPE, "");
    history_ = history_init();
    HistEvent event;
    history(history_, &event, H_SETSIZE, kHistoryLines);
    edit_ = el_init("midge", stdin, stderr, stderr);
    el_set(edit_, EL_CLIENTDATA, this);
    el_set(edit_, EL_PROMPT, &EditReader::prompt_of);
    el_set(edit_, EL_EDITOR, "emacs");
    el_set(edit_, EL_HIST, history, history_);
    el_source(edit_, nullptr);
  }
  ~EditReader() override {
    el_end(edit_);
    history_end(history_);
  }

  LineStatus read(std::string* line) override {
    int count = 0;
    const char* text = el_gets(edit_, &count);
    if (interrupted().exchange(false)) {
      el_reset(edit_);
      print(stderr, "\n");
      return LineStatus::kInterrupted;
    }
    if (text == nullptr || count <= 0) return LineStatus::kEnd;
    *line = text;
    while (!line->empty() && (line->back() == '\n' || line->back() == '\r')) line->pop_back();
    if (!line->empty()) {
      HistEvent event;
      history(history_, &event, H_ENTER, line->c_str());
    }
    return LineStatus::kLine;
  }

 private:
  static char* prompt_of(EditLine* edit) {
    EditReader* self = nullptr;
    el_get(edit, EL_CLIENTDATA, &self);
    return self->prompt_.data();
  }

  std::string prompt_;
  History* history_ = nullptr;
  EditLine* edit_ = nullptr;
};

#endif  // MIDGE_HAS_LIBEDIT

}  // namespace

std::unique_ptr<LineEditor> LineEditor::create(std::string prompt) {
#ifdef MIDGE_HAS_LIBEDIT
  if (stdin_is_terminal()) return std::make_unique<EditReader>(std::move(prompt));
#endif
  return std::make_unique<PlainReader>(std::move(prompt));
}

}  // namespace midge
