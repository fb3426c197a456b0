#include "cli/task_file.h"

#include <algorithm>
#include <cstdarg>

#include "engine/core/utf8.h"
#include "engine/core/visible.h"
#include "engine/formats/json.h"

namespace midge {
namespace {

std::string place(const std::string& name, int64_t line) {
  return format_string("%s:%lld", name.c_str(), static_cast<long long>(line));
}

[[gnu::format(printf, 2, 3)]] Status bad(const std::string& where, const char* format, ...) {
  std::va_list args;
  va_start(args, format);
  const std::string what = format_string_list(format, args);
  va_end(args);
  return with_file_name(where, Status(StatusCode::kInvalidFile, what));
}

// What some editors put before the first line.
std::string_view without_byte_order_mark(std::string_view text) {
  return text.starts_with("\xEF\xBB\xBF") ? text.substr(3) : text;
}

// The letters that answers of so many choices have.
char last_letter(size_t choices) {
  return static_cast<char>('A' + std::min<size_t>(choices, 26) - 1);
}

Status read_letter(const std::string& where, std::string_view text, TaskQuestion* question) {
  const char last = last_letter(question->choices.size());
  if (text.size() != 1 || text[0] < 'A' || text[0] > last) {
    return bad(where, "'answer' is '%s', expected a letter from A to %c",
               printable(text, 20).c_str(), last);
  }
  question->answer = static_cast<size_t>(text[0] - 'A');
  return Status();
}

// What both formats ask of a question, once it is read but for its answer.
Status check_texts(const std::string& where, const TaskQuestion& question) {
  if (question.question.empty()) return bad(where, "'question' is empty, expected a text");
  const size_t count = question.choices.size();
  if (count < kTaskChoicesMin || count > kTaskChoicesMax) {
    return bad(where, "%zu choices, expected %zu..%zu", count, kTaskChoicesMin, kTaskChoicesMax);
  }
  for (size_t i = 0; i < count; ++i) {
    if (question.choices[i].empty()) {
      return bad(where, "choice %zu of %zu is empty, expected a text", i + 1, count);
    }
  }
  return Status();
}

Status check_count(const std::string& name, size_t count) {
  if (count >= 1 && count <= kTaskQuestionsMax) return Status();
  return count == 0 ? bad(name, "no questions")
                    : bad(name, "more than %zu questions", kTaskQuestionsMax);
}

Status check_line_bytes(const std::string& where, size_t bytes) {
  if (bytes <= kTaskLineBytesMax) return Status();
  return bad(where, "a line of more than %zu bytes", kTaskLineBytesMax);
}

Status read_answer(const JsonObject& object, TaskQuestion* question) {
  const Result<std::string_view> letter = object.string("answer");
  if (letter.ok()) return read_letter(object.name(), *letter, question);
  const auto last = static_cast<int64_t>(question->choices.size()) - 1;
  MIDGE_ASSIGN_OR_RETURN(const int64_t answer, object.integer("answer", 0, last));
  question->answer = static_cast<size_t>(answer);
  return Status();
}

Status read_json_line(const std::string& where, std::string_view line, TaskQuestion* question) {
  MIDGE_RETURN_IF_ERROR(check_line_bytes(where, line.size()));
  MIDGE_ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::parse(where, line));
  MIDGE_ASSIGN_OR_RETURN(const JsonObject object, document.root());
  MIDGE_ASSIGN_OR_RETURN(question->question, object.string("question"));
  MIDGE_ASSIGN_OR_RETURN(const simdjson::dom::array choices, object.array("choices"));
  for (const simdjson::dom::element choice : choices) {
    std::string_view text;
    if (choice.get(text) != simdjson::SUCCESS) {
      return bad(where, "choice %zu is %s, expected a string", question->choices.size() + 1,
                 json_type_name(choice));
    }
    question->choices.emplace_back(text);
  }
  MIDGE_RETURN_IF_ERROR(check_texts(where, *question));
  MIDGE_ASSIGN_OR_RETURN(question->subject, object.string_or("subject", ""));
  return read_answer(object, question);
}

/// Takes a text apart into records of fields.
class CsvReader {
 public:
  CsvReader(const std::string& name, std::string_view text) : name_(name), text_(text) {}

  bool at_end() const { return at_ == text_.size(); }
  /// The line where the record began that was read last.
  int64_t line() const { return record_line_; }
  std::string where() const { return place(name_, record_line_); }

  Status read_record(std::vector<std::string>* fields) {
    fields->clear();
    record_line_ = line_;
    const size_t begin = at_;
    for (bool more = true; more;) {
      fields->emplace_back();
      MIDGE_RETURN_IF_ERROR(read_field(fields->size(), &fields->back()));
      MIDGE_RETURN_IF_ERROR(check_line_bytes(where(), at_ - begin));
      more = !at_end() && text_[at_] == ',';
      if (more) ++at_;
    }
    skip_newline();
    return Status();
  }

 private:
  // Up to a comma, the end of the line or of the text.
  Status read_field(size_t number, std::string* field) {
    if (at_end() || text_[at_] != '"') {
      const size_t end = std::min(text_.find_first_of(",\"\r\n", at_), text_.size());
      field->assign(text_.substr(at_, end - at_));
      at_ = end;
      if (at_ends_field()) return Status();
      return bad(where(), "field %zu has %s, expected it within quotes, quotes twice", number,
                 text_[at_] == '"' ? "a quote" : "a line end");
    }
    ++at_;
    for (;;) {
      const size_t end = text_.find('"', at_);
      if (end == std::string_view::npos) {
        return bad(where(), "field %zu has no closing quote", number);
      }
      const std::string_view part = text_.substr(at_, end - at_);
      line_ += std::count(part.begin(), part.end(), '\n');
      field->append(part);
      at_ = end + 1;
      if (at_end() || text_[at_] != '"') break;
      field->push_back('"');
      ++at_;
    }
    if (at_ends_field()) return Status();
    return bad(where(),
               "field %zu has text behind its closing quote, expected a "
               "comma or the end of the line",
               number);
  }

  bool at_ends_field() const {
    return at_end() || text_[at_] == ',' || text_[at_] == '\n' ||
           text_.substr(at_).starts_with("\r\n");
  }

  void skip_newline() {
    if (at_end()) return;
    at_ += text_[at_] == '\r' ? 2 : 1;
    ++line_;
  }

  const std::string& name_;
  std::string_view text_;
  size_t at_ = 0;
  int64_t line_ = 1;
  int64_t record_line_ = 1;
};

bool is_header(const std::vector<std::string>& fields) {
  constexpr std::string_view kAnswer = "answer";
  return std::equal(kAnswer.begin(), kAnswer.end(), fields.back().begin(), fields.back().end(),
                    [](char a, char b) { return a == b || a == b + ('a' - 'A'); });
}

Status read_fields(const std::string& where, std::vector<std::string>* fields,
                   TaskQuestion* question) {
  for (size_t i = 0; i < fields->size(); ++i) {
    if (!is_utf8((*fields)[i])) return bad(where, "field %zu is not UTF-8", i + 1);
  }
  if (fields->size() < 2 + kTaskChoicesMin) {
    return bad(where,
               "%zu fields, expected a question, at least %zu choices, and the letter "
               "of the answer",
               fields->size(), kTaskChoicesMin);
  }
  question->question = std::move(fields->front());
  question->choices.assign(std::make_move_iterator(fields->begin() + 1),
                           std::make_move_iterator(fields->end() - 1));
  MIDGE_RETURN_IF_ERROR(check_texts(where, *question));
  return read_letter(where, fields->back(), question);
}

}  // namespace

Result<std::vector<TaskQuestion>> parse_task_json_lines(const std::string& name,
                                                        std::string_view text) {
  text = without_byte_order_mark(text);
  std::vector<TaskQuestion> questions;
  int64_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    questions.emplace_back().line = number;
    MIDGE_RETURN_IF_ERROR(check_count(name, questions.size()));
    MIDGE_RETURN_IF_ERROR(read_json_line(place(name, number), line, &questions.back()));
  }
  MIDGE_RETURN_IF_ERROR(check_count(name, questions.size()));
  return questions;
}

Result<std::vector<TaskQuestion>> parse_task_csv(const std::string& name, std::string_view text) {
  CsvReader reader(name, without_byte_order_mark(text));
  std::vector<TaskQuestion> questions;
  std::vector<std::string> fields;
  size_t field_count = 0;
  while (!reader.at_end()) {
    MIDGE_RETURN_IF_ERROR(reader.read_record(&fields));
    if (fields.size() == 1 && fields[0].empty()) continue;  // an empty line
    const bool first = field_count == 0;
    if (first) field_count = fields.size();
    if (fields.size() != field_count) {
      return bad(reader.where(), "%zu fields, expected %zu as in the first line", fields.size(),
                 field_count);
    }
    if (first && is_header(fields)) continue;
    questions.emplace_back().line = reader.line();
    MIDGE_RETURN_IF_ERROR(check_count(name, questions.size()));
    MIDGE_RETURN_IF_ERROR(read_fields(reader.where(), &fields, &questions.back()));
  }
  MIDGE_RETURN_IF_ERROR(check_count(name, questions.size()));
  return questions;
}

std::string shown_task_file(const std::string& path) {
  return path == "-" ? "standard input" : shown_path(path);
}

Result<std::vector<TaskQuestion>> parse_task_file(const std::string& path, std::string_view text) {
  const std::string name = shown_task_file(path);
  if (path.ends_with(".csv")) return parse_task_csv(name, text);
  if (path == "-" || path.ends_with(".jsonl") || path.ends_with(".json")) {
    return parse_task_json_lines(name, text);
  }
  return make_status(StatusCode::kInvalidArgument,
                     "--tasks is '%s', expected a file whose name ends with .jsonl or .csv",
                     name.c_str());
}

}  // namespace midge
