#include "cli/line_editor.h"

#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <utility>

#include "cli/terminal.h"

#include "engine/core/mapped_file.h"
#include "engine/core/utf8.h"
#include "engine/core/visible.h"
#include "engine/core/whole_file.h"

#ifdef MIDGE_HAS_LIBEDIT
#include <climits>
#include <cwchar>
#include <string_view>

#include <fcntl.h>
#include <histedit.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace midge {
namespace {

class PlainReader final : public LineEditor {
 public:
  void remember(const std::string&) override {}

  LineStatus read(const std::string& prompt, std::string* line) override {
    if (stdin_is_terminal()) print(stderr, "%s", prompt.c_str());
    if (std::getline(std::cin, *line)) {
      if (line->ends_with('\r')) line->pop_back();  // files of Windows
      return LineStatus::kLine;
    }
    if (interrupted().exchange(false)) {
      std::cin.clear();
      std::clearerr(stdin);
      return LineStatus::kInterrupted;
    }
    return LineStatus::kEnd;
  }
};

#ifdef MIDGE_HAS_LIBEDIT

constexpr int kHistoryLines = 500;

// libedit shows controls as ^X and \U+..., but bidirectional controls as they are, and a newline or
// a tab does something. To it such characters are others, which steer nothing: of private use, this
// much higher. The line that it returns has them as they came.
constexpr uint32_t kStandIn = 0xF0000;
// The two that pastes are full of are shown as what they mean; where these signs themselves are
// typed, they have stand-ins.
constexpr uint32_t kNewlineSign = 0x21B5;  // downwards arrow with corner leftwards
constexpr uint32_t kTabSign = 0x21E5;      // rightwards arrow to bar

bool is_bidirectional_control(uint32_t c) { return c > 0x9F && steers_terminal(c); }

bool has_stand_in(uint32_t c) {
  return is_bidirectional_control(c) || c < 0x20 || c == 0x7F || c == kNewlineSign || c == kTabSign;
}

// What libedit gets for a character of a paste, or for one that is typed and no key.
uint32_t stand_in_of(uint32_t c) {
  if (c == '\n') return kNewlineSign;
  if (c == '\t') return kTabSign;
  return has_stand_in(c) ? kStandIn + c : c;
}

std::string with_stand_ins(std::string_view text) {
  std::string line;
  for (size_t i = 0; i < text.size();) {
    const CodePoint point = decode_utf8(text, i);
    if (point.value != kInvalidCodePoint) append_utf8(stand_in_of(point.value), &line);
    i += point.length;
  }
  return line;
}

std::string without_stand_ins(std::string_view line) {
  std::string text;
  for (size_t i = 0; i < line.size();) {
    const CodePoint point = decode_utf8(line, i);
    const uint32_t original = point.value - kStandIn;
    if (point.value == kNewlineSign || point.value == kTabSign) {
      text += point.value == kNewlineSign ? '\n' : '\t';
    } else if (point.value != kInvalidCodePoint && point.value > kStandIn &&
               has_stand_in(original)) {
      append_utf8(original, &text);
    } else {
      text += line.substr(i, point.length);
    }
    i += point.length;
  }
  return text;
}

volatile std::sig_atomic_t g_resized = 0;
volatile std::sig_atomic_t g_stop_asked = 0;

void on_resize(int) {
  g_resized = 1;
  note_signal();
}
void on_stop(int) {
  g_stop_asked = 1;
  note_signal();
}

// Handlers that are there while a line is read.
class ReadingSignals {
 public:
  ReadingSignals() {
    set(SIGWINCH, on_resize, &resize_);
    set(SIGTSTP, on_stop, &stop_);
  }
  ~ReadingSignals() {
    ::sigaction(SIGWINCH, &resize_, nullptr);
    ::sigaction(SIGTSTP, &stop_, nullptr);
  }
  ReadingSignals(const ReadingSignals&) = delete;
  ReadingSignals& operator=(const ReadingSignals&) = delete;

  static void set(int signal, void (*handler)(int), struct sigaction* before) {
    struct sigaction action = {};
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    ::sigaction(signal, &action, before);
  }

 private:
  struct sigaction resize_ = {};
  struct sigaction stop_ = {};
};

class EditReader final : public LineEditor {
 public:
  explicit EditReader(std::string history_path) : history_path_(std::move(history_path)) {
    (void)signal_pipe();  // there before the first handler
    // libedit reads characters in the locale of the user; without it, only ASCII can be typed.
    std::setlocale(LC_CTYPE, "");
    history_ = history_init();
    HistEvent event;
    history(history_, &event, H_SETSIZE, kHistoryLines);
    history(history_, &event, H_SETUNIQUE, 1);
    edit_ = el_init("midge", stdin, stderr, stderr);
    el_set(edit_, EL_CLIENTDATA, this);
    el_set(edit_, EL_PROMPT, &EditReader::prompt_of);
    el_set(edit_, EL_EDITOR, "emacs");
    el_set(edit_, EL_HIST, history, history_);
    el_set(edit_, EL_GETCFN, &EditReader::read_character);
    el_source(edit_, nullptr);
    open_history();
  }
  ~EditReader() override {
    el_end(edit_);
    history_end(history_);
  }

  LineStatus read(const std::string& prompt, std::string* line) override {
    prompt_ = prompt;
    in_paste_ = false;
    int count = 0;
    const char* text = nullptr;
    {
      const ReadingSignals signals;
      el_resize(edit_);  // it may have changed while an answer was shown
      mark_pastes(true);
      text = el_gets(edit_, &count);
      mark_pastes(false);
    }
    if (interrupted().exchange(false)) {
      el_reset(edit_);
      print(stderr, "\n");
      return LineStatus::kInterrupted;
    }
    if (text == nullptr || count <= 0) return LineStatus::kEnd;
    *line = text;
    while (!line->empty() && (line->back() == '\n' || line->back() == '\r')) line->pop_back();
    *line = without_stand_ins(*line);
    return LineStatus::kLine;
  }

  void remember(const std::string& text) override {
    HistEvent event;
    history(history_, &event, H_ENTER, with_stand_ins(text).c_str());
    if (!history_path_.empty()) history(history_, &event, H_SAVE, history_path_.c_str());
  }

 private:
  static EditReader* self_of(EditLine* edit) {
    EditReader* self = nullptr;
    el_get(edit, EL_CLIENTDATA, &self);
    return self;
  }
  static char* prompt_of(EditLine* edit) { return self_of(edit)->prompt_.data(); }

  // Lines of earlier runs, if their file can be read or made. Nobody is told if not: a folder that
  // can't be written is no reason not to talk.
  void open_history() {
    if (history_path_.empty()) return;
    make_private_folders(std::filesystem::path(history_path_).parent_path().string());
    const int file = ::open(history_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
      history_path_.clear();
      return;
    }
    ::fchmod(file, 0600);
    ::close(file);
    HistEvent event;
    history(history_, &event, H_LOAD, history_path_.c_str());
  }

  // Stops the program as the terminal's user asked, and goes on where the line was.
  void stop() {
    mark_pastes(false);
    el_set(edit_, EL_PREP_TERM, 0);
    struct sigaction ours = {};
    ReadingSignals::set(SIGTSTP, SIG_DFL, &ours);
    ::raise(SIGTSTP);
    ::sigaction(SIGTSTP, &ours, nullptr);
    el_set(edit_, EL_PREP_TERM, 1);
    mark_pastes(true);
    el_set(edit_, EL_REFRESH);
  }

  void handle_signals() {
    if (g_stop_asked != 0) {
      g_stop_asked = 0;
      stop();
    }
    if (g_resized != 0) {
      g_resized = 0;
      el_resize(edit_);
      el_set(edit_, EL_REFRESH);
    }
  }

  // The next byte of the terminal: 1, 0 at the end, -1 if a signal asks to stop or nothing can be
  // read.
  int read_byte(char* byte) {
    if (!put_back_.empty()) {
      *byte = put_back_.front();
      put_back_.erase(0, 1);
      return 1;
    }
    for (;;) {
      struct pollfd ready[] = {{STDIN_FILENO, POLLIN, 0}, {signal_pipe(), POLLIN, 0}};
      if (::poll(ready, 2, -1) < 0 && errno != EINTR) return -1;
      forget_signals();
      handle_signals();
      if (interrupted()) return -1;
      if (ready[0].revents == 0) continue;
      const ssize_t got = ::read(STDIN_FILENO, byte, 1);
      if (got >= 0) return static_cast<int>(got);
      if (errno != EAGAIN && errno != EINTR) return -1;
    }
  }

  // True if what follows an escape character is `sequence`, which is then gone. What was read of
  // another one is put back.
  bool take_sequence(std::string_view sequence) {
    std::string taken;
    for (const char expected : sequence) {
      char byte = 0;
      if (read_byte(&byte) <= 0) break;
      taken += byte;
      if (byte != expected) break;
    }
    if (taken == sequence) return true;
    put_back_.insert(0, taken);
    return false;
  }

  // A character of the locale: 1, else as read_byte. Bytes that are none are dropped.
  int read_wide(wchar_t* character) {
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
        return 1;
      }
    }
  }

  // What libedit does by itself (EL_GETCFN), with stand-ins. Between ESC [200~ and ESC [201~ a
  // terminal sends what is pasted (xterm, "Bracketed Paste Mode").
  static int read_character(EditLine* edit, wchar_t* character) {
    constexpr wchar_t kEscape = L'\x1B';
    EditReader& self = *self_of(edit);
    for (;;) {
      const int got = self.read_wide(character);
      if (got <= 0) return got;
      if (*character == kEscape && self.take_sequence(self.in_paste_ ? "[201~" : "[200~")) {
        self.in_paste_ = !self.in_paste_;
        continue;
      }
      // Terminals send a return for each newline of a paste.
      if (self.in_paste_ && *character == L'\r') *character = L'\n';
      break;
    }
    const auto value = static_cast<uint32_t>(*character);
    const bool is_key = value < 0x20 || value == 0x7F;
    if (self.in_paste_ || !is_key) *character = static_cast<wchar_t>(stand_in_of(value));
    return 1;
  }

  std::string history_path_;
  std::string prompt_;
  std::string put_back_;  // bytes that are read again
  bool in_paste_ = false;
  History* history_ = nullptr;
  EditLine* edit_ = nullptr;
};

#endif  // MIDGE_HAS_LIBEDIT

}  // namespace

std::unique_ptr<LineEditor> LineEditor::create(const std::string& history_path) {
#ifdef MIDGE_HAS_LIBEDIT
  if (stdin_is_terminal()) return std::make_unique<EditReader>(history_path);
#else
  (void)history_path;
#endif
  return std::make_unique<PlainReader>();
}

std::string history_path() {
  for (const auto& [variable, file] : {std::pair("XDG_STATE_HOME", "midge/history"),
                                       std::pair("HOME", ".local/state/midge/history")}) {
    const char* value = std::getenv(variable);
    if (value != nullptr && value[0] == '/') return join_path(value, file);
  }
  return {};
}

}  // namespace midge
