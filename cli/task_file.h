// Questions with choices, from files of JSON lines or in MMLU's CSV.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/status.h"

namespace midge {

inline constexpr uint64_t kTaskFileBytesMax = uint64_t{256} << 20;
/// Of JSON a line, of CSV a record.
inline constexpr size_t kTaskLineBytesMax = size_t{1} << 20;
inline constexpr size_t kTaskQuestionsMax = size_t{1} << 20;
inline constexpr size_t kTaskChoicesMin = 2;
inline constexpr size_t kTaskChoicesMax = 64;

struct TaskQuestion {
  int64_t line = 0;  ///< of the file, from 1; of a CSV record the first one
  std::string question;
  std::vector<std::string> choices;  ///< none is empty
  size_t answer = 0;                 ///< index of the right one
  std::string subject;               ///< may be empty
};

/// A line {"question": "...", "choices": ["...", ...], "answer": 2 or "C", "subject": "..."} for
/// each question, subjects where there are some; other members and empty lines are passed over.
/// name: of the file, for messages. Errors (invalid_file): they name line, member, what was found
/// and what was expected; no questions, limits.
Result<std::vector<TaskQuestion>> parse_task_json_lines(const std::string& name,
                                                        std::string_view text);

/// A record question,choice,choice,...,letter for each question, all with equally many fields. A
/// first record that ends with "answer" is a header. Fields in quotes may hold commas and newlines,
/// and two quotes for one. Errors: the same.
Result<std::vector<TaskQuestion>> parse_task_csv(const std::string& name, std::string_view text);

/// A file as messages name it; "-" is standard input.
std::string shown_task_file(const std::string& path);

/// The one or the other, by the ending of the path: .csv, .jsonl or .json; "-" is JSON lines.
/// Errors: also invalid_argument (another ending).
Result<std::vector<TaskQuestion>> parse_task_file(const std::string& path, std::string_view text);

}  // namespace midge
