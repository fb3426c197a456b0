#include "cli/line_editor.h"

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <iostream>

#include "cli/terminal.h"

#include "engine/core/utf8.h"
#include "engine/core/visible.h"

#ifdef MIDGE_HAS_LIBEDIT
#include <climits>
#include <cwchar>
#include <string_view>

#include <histedit.h>
#include <poll.h>
#include <unistd.h>
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

// libedit shows controls as ^X and \U+..., but bidirectional controls as they are. To it they are
// characters of private use, this much higher, which steer nothing; the line that it returns has
// them as they came.
constexpr uint32_t kStandIn = 0xF0000;

bool is_bidirectional_control(uint32_t c) { return c > 0x9F && steers_terminal(c); }

std::string without_stand_ins(std::string_view line) {
  std::string text;
  for (size_t i = 0; i < line.size();) {
    const CodePoint point = decode_utf8(line, i);
    const uint32_t control = point.value - kStandIn;
    if (point.value != kInvalidCodePoint && point.value > kStandIn &&
        is_bidirectional_control(control)) {
      append_utf8(control, &text);
    } else {
      text += line.substr(i, point.length);
    }
    i += point.length;
  }
  return text;
}

// The next byte of the terminal: 1, 0 at the end, -1 if a signal asks to stop or nothing can be
// read.
int read_byte(char* byte) {
  for (;;) {
    const ssize_t got = ::read(STDIN_FILENO, byte, 1);
    if (got >= 0) return static_cast<int>(got);
    if (errno == EAGAIN) {
      struct pollfd ready = {STDIN_FILENO, POLLIN, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return -1;
    }
    if (interrupted()) return -1;
  }
}

// What libedit does by itself (EL_GETCFN), with stand-ins: 1 for a character, else as read_byte.
// Bytes that are no character of the locale are dropped.
int read_character(EditLine*, wchar_t* character) {
  char bytes[MB_LEN_MAX];
  size_t count = 0;
  *character = L'\0';
  for (;;) {
    const int got = read_byte(bytes + count);
    if (got <= 0) return got;
    ++count;
    mbstate_t state = {};
    size_t length = std::mbrtowc(character, bytes, count, &state);
    if (length == static_cast<size_t>(-1) && count > 1) {  // the last byte may begin another one
      bytes[0] = bytes[count - 1];
      count = 1;
      state = {};
      length = std::mbrtowc(character, bytes, count, &state);
    }
    const bool is_incomplete = length == static_cast<size_t>(-2);
    if (length == static_cast<size_t>(-1) || (is_incomplete && count == MB_LEN_MAX)) {
      count = 0;
    } else if (!is_incomplete) {
      break;
    }
  }
  const auto value = static_cast<uint32_t>(*character);
  if (is_bidirectional_control(value)) *character = static_cast<wchar_t>(value + kStandIn);
  return 1;
}

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
    el_set(edit_, EL_GETCFN, &read_character);
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
    *line = without_stand_ins(*line);
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
