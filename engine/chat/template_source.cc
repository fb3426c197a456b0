#include "engine/chat/template_source.h"

#include <algorithm>
#include <array>

namespace midge {
namespace {

constexpr std::string_view kSpace = " \t\r\n";
constexpr size_t kNone = std::string_view::npos;

// Words that stand before a parenthesis without being called.
constexpr std::array<std::string_view, 8> kKeywords = {"if",  "elif", "and", "or",
                                                       "not", "in",   "is",  "set"};

bool is_space(char c) { return kSpace.find(c) != kNone; }

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

Status unreadable(const char* what, size_t place) {
  return make_status(StatusCode::kUnsupported, "has %s at byte %zu", what, place);
}

class Reader {
 public:
  explicit Reader(std::string_view source) : source_(source) {}

  Result<TemplateSource> read() {
    while (place_ < source_.size()) {
      const size_t tag = find_tag();
      read_outside(tag);
      if (tag == source_.size()) break;
      MIDGE_RETURN_IF_ERROR(source_[tag + 1] == '#' ? read_comment(tag) : read_code(tag));
    }
    return std::move(result_);
  }

 private:
  // Start of the next tag or comment; the end of the source if there is none.
  size_t find_tag() const {
    for (size_t i = source_.find('{', place_); i != kNone; i = source_.find('{', i + 1)) {
      if (i + 1 < source_.size() && std::string_view("{%#").find(source_[i + 1]) != kNone) return i;
    }
    return source_.size();
  }

  // Text from place_ to the tag, without the white space that is dropped.
  void read_outside(size_t tag) {
    std::string_view text = source_.substr(place_, tag - place_);
    const bool at_end = tag == source_.size();
    // One newline at the end of a file never counts, nor does one after a block.
    if (at_end && text.ends_with('\n')) text.remove_suffix(1);
    if (after_block_ && text.starts_with('\n')) text.remove_prefix(1);
    if (trim_after_) text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
    if (!at_end && tag + 2 < source_.size() && source_[tag + 2] == '-') {
      text = text.substr(0, text.find_last_not_of(kSpace) + 1);
    } else if (!at_end && source_[tag + 1] != '{') {
      // White space that a line begins with before a block.
      const size_t kept = text.find_last_not_of(" \t") + 1;
      if (kept == 0 ? starts_line(text) : text[kept - 1] == '\n') text = text.substr(0, kept);
    }
    if (text.empty()) return;
    result_.code += "{{";
    add_literal(std::string(text));
    result_.code += "}}";
  }

  // Whether white space that is all that is left of the text before a tag begins a line.
  bool starts_line(std::string_view text) const {
    const auto begin = static_cast<size_t>(text.data() - source_.data());
    return begin == 0 || source_[begin - 1] == '\n';
  }

  Status read_comment(size_t tag) {
    const size_t end = source_.find("#}", tag + 2);
    if (end == kNone) return unreadable("a comment without end", tag);
    close(source_[end - 1], '#', end + 2);
    return Status();
  }

  void close(char before, char kind, size_t next) {
    trim_after_ = before == '-';
    after_block_ = kind != '}';
    place_ = next;
  }

  Status read_code(size_t tag) {
    const char kind = source_[tag + 1] == '{' ? '}' : '%';
    result_.code += source_.substr(tag, 2);
    joinable_ = kNone;
    std::string word;  // the last token, if it is a word
    bool is_filter = false;
    int depth = 0;  // of braces: "}}" inside of a dictionary does not end the tag
    size_t i = tag + 2;
    if (i < source_.size() && (source_[i] == '-' || source_[i] == '+')) ++i;
    while (i < source_.size()) {
      const char c = source_[i];
      if (depth == 0 && c == kind && i + 1 < source_.size() && source_[i + 1] == '}') {
        result_.code += {kind, '}'};
        // The sign of white space control is the last thing in the tag.
        if (source_[i - 1] == '-') drop_sign();
        close(source_[i - 1], kind, i + 2);
        return Status();
      }
      if (is_space(c)) {
        ++i;
        continue;
      }
      if (c == '\'' || c == '"') {
        std::string literal;
        MIDGE_RETURN_IF_ERROR(read_literal(&i, &literal));
        add_literal(std::move(literal));
        word.clear();
        continue;
      }
      if (is_word(c)) {
        const size_t begin = i;
        while (i < source_.size() && is_word(source_[i])) ++i;
        word = source_.substr(begin, i - begin);
        if (is_filter) result_.calls.push_back(word);
        is_filter = false;
        add_word(word, next_char(i) == '(');
        continue;
      }
      if (c == '(' && !word.empty() &&
          std::find(kKeywords.begin(), kKeywords.end(), word) == kKeywords.end()) {
        result_.calls.push_back(word);
      }
      if (c == '{') ++depth;
      if (c == '}') --depth;
      is_filter = c == '|';
      word.clear();
      result_.code += c;
      ++i;
    }
    return unreadable("a tag without end", tag);
  }

  void drop_sign() {
    const size_t sign = result_.code.size() - 3;
    if (result_.code[sign] == '-') result_.code.erase(sign, 1);
  }

  char next_char(size_t i) const {
    while (i < source_.size() && is_space(source_[i])) ++i;
    return i < source_.size() ? source_[i] : '\0';
  }

  void add_word(const std::string& word, bool called) {
    if (result_.code.ends_with('.') && !called) {
      result_.code.pop_back();
      result_.code += "['" + word + "']";
    } else {
      result_.code += word;
    }
  }

  // Reads the literal that begins at source_[*i] and moves *i behind it.
  Status read_literal(size_t* i, std::string* literal) const {
    const size_t begin = *i;
    const char quote = source_[begin];
    for (size_t j = begin + 1; j < source_.size(); ++j) {
      if (source_[j] == quote) {
        *i = j + 1;
        return Status();
      }
      if (source_[j] != '\\') {
        *literal += source_[j];
        continue;
      }
      if (++j == source_.size()) break;
      switch (source_[j]) {
        case 'n': *literal += '\n'; break;
        case 't': *literal += '\t'; break;
        case 'r': *literal += '\r'; break;
        case '\\':
        case '\'':
        case '"': *literal += source_[j]; break;
        default: return unreadable("an unknown escape", j - 1);
      }
    }
    return unreadable("a string without end", begin);
  }

  void add_literal(std::string text) {
    std::string& code = result_.code;
    const bool joined = joinable_ != kNone && code.size() == joinable_ + 1 &&
                        (code.back() == '+' || code.back() == '~');
    if (joined) {
      code.resize(code.size() - 2);
      code += text;
      result_.texts.back() += text;
    } else {
      code += '\'';
      code += text;
      result_.texts.push_back(std::move(text));
    }
    code += '\'';
    joinable_ = code.size();
  }

  std::string_view source_;
  size_t place_ = 0;
  bool trim_after_ = false;   // the last tag ended with a minus sign
  bool after_block_ = false;  // the last tag was a block or a comment
  size_t joinable_ = kNone;   // size of the code just after its last literal
  TemplateSource result_;
};

}  // namespace

Result<TemplateSource> read_template_source(std::string_view source) {
  return Reader(source).read();
}

}  // namespace midge
