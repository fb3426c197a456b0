// How a question with choices is put to a model, and how answers are counted: what lm-eval does
// for tasks with `output_type: multiple_choice`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/task_file.h"
#include "engine/tokenizer/tokenizer.h"

namespace midge {

enum class ChoicesAs : uint8_t {
  kTexts,    ///< after the question comes " " and the text of a choice
  kLetters,  ///< the choices stand below the question, and what comes is " A", " B" ...
};

/// Choices that can have a letter.
inline constexpr size_t kLetteredChoicesMax = 26;

/// Texts of a question as a model gets them.
struct AskedQuestion {
  std::string context;
  std::vector<std::string> continuations;  ///< of each choice
};

/// choices_as: of kLetters, the question has kLetteredChoicesMax choices at most.
AskedQuestion ask(const TaskQuestion& question, ChoicesAs choices_as);

/// The same in tokens.
struct EncodedQuestion {
  std::vector<int32_t> context;
  std::vector<std::vector<int32_t>> continuations;
};

/// White space at the end of the context goes to the continuations. Tokens of a continuation are
/// those of both texts together from the count of the context's own on. Special tokens are plain
/// text. bos_id: stands before all; negative: nothing does.
/// Errors: invalid_file (a context or a continuation of no tokens), those of encode.
Result<EncodedQuestion> encode_question(const Tokenizer& tokenizer, const AskedQuestion& asked,
                                        int32_t bos_id);

/// The length of what is chosen, in code points.
double choice_length(const TaskQuestion& question, size_t choice, ChoicesAs choices_as);

/// A share of questions.
struct Accuracy {
  size_t count = 0;
  double mean = 0;
  /// Of the mean: the sample's standard deviation (count - 1) over the root of the count. NaN of
  /// one question.
  double standard_error = 0;
};

/// right of count questions were answered so; count is at least 1.
Accuracy accuracy_of(size_t right, size_t count);

/// Code points; each byte that is not UTF-8 counts as one.
size_t count_code_points(std::string_view text);
/// The text without white space at its end, as Python's str.rstrip() has it.
std::string_view without_trailing_space(std::string_view text);

}  // namespace midge
