#include "cli/multiple_choice.h"

#include <cmath>
#include <limits>

#include "engine/core/utf8.h"
#include "engine/tokenizer/unicode.h"

namespace midge {
namespace {

// White_Space, and what Python's str.isspace() takes beside it.
bool is_space(uint32_t code_point) {
  return char_class(code_point) == kSpace || (code_point >= 0x1C && code_point <= 0x1F);
}

std::string_view without_leading_space(std::string_view text) {
  size_t begin = 0;
  while (begin < text.size()) {
    const CodePoint c = decode_utf8(text, begin);
    if (!is_space(c.value)) break;
    begin += c.length;
  }
  return text.substr(begin);
}

}  // namespace

size_t count_code_points(std::string_view text) {
  size_t count = 0;
  for (size_t i = 0; i < text.size(); ++count) i += decode_utf8(text, i).length;
  return count;
}

std::string_view without_trailing_space(std::string_view text) {
  while (!text.empty()) {
    const CodePoint c = decode_utf8_before(text, text.size());
    if (!is_space(c.value)) break;
    text.remove_suffix(c.length);
  }
  return text;
}

AskedQuestion ask(const TaskQuestion& question, ChoicesAs choices_as) {
  AskedQuestion asked;
  if (choices_as == ChoicesAs::kTexts) {
    asked.context = question.question;
    for (const std::string& choice : question.choices) asked.continuations.push_back(" " + choice);
    return asked;
  }
  asked.context = without_leading_space(without_trailing_space(question.question));
  char letter = 'A';
  for (const std::string& choice : question.choices) {
    asked.context.append({'\n', letter, '.', ' '}).append(choice);
    asked.continuations.push_back({' ', letter});
    ++letter;
  }
  asked.context += "\nAnswer:";
  return asked;
}

double choice_length(const TaskQuestion& question, size_t choice, ChoicesAs choices_as) {
  if (choices_as == ChoicesAs::kLetters) return 1;
  return static_cast<double>(count_code_points(question.choices[choice]));
}

Result<EncodedQuestion> encode_question(const Tokenizer& tokenizer, const AskedQuestion& asked,
                                        int32_t bos_id) {
  const std::string_view context = without_trailing_space(asked.context);
  EncodedQuestion encoded;
  if (bos_id >= 0) encoded.context.push_back(bos_id);
  MIDGE_RETURN_IF_ERROR(tokenizer.encode(context, SpecialTokens::kAsText, &encoded.context));
  if (encoded.context.empty()) {
    return make_status(StatusCode::kInvalidFile, "'question' has no tokens, expected at least 1");
  }
  for (size_t i = 0; i < asked.continuations.size(); ++i) {
    std::string text = asked.context;  // with the space at its end
    text += asked.continuations[i];
    std::vector<int32_t> whole;
    if (bos_id >= 0) whole.push_back(bos_id);
    MIDGE_RETURN_IF_ERROR(tokenizer.encode(text, SpecialTokens::kAsText, &whole));
    if (whole.size() <= encoded.context.size()) {
      return make_status(StatusCode::kInvalidFile,
                         "choice %zu has no tokens behind the question, expected at least 1",
                         i + 1);
    }
    whole.erase(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(encoded.context.size()));
    encoded.continuations.push_back(std::move(whole));
  }
  return encoded;
}

Accuracy accuracy_of(size_t right, size_t count) {
  const auto ones = static_cast<double>(right);
  const auto zeros = static_cast<double>(count - right);
  const auto n = static_cast<double>(count);
  Accuracy accuracy;
  accuracy.count = count;
  accuracy.mean = ones / n;
  // The sum of (x - mean)^2 over zeros and ones.
  const double squares =
      ones * (1 - accuracy.mean) * (1 - accuracy.mean) + zeros * accuracy.mean * accuracy.mean;
  accuracy.standard_error = count < 2 ? std::numeric_limits<double>::quiet_NaN()
                                      : std::sqrt(squares / (n - 1)) / std::sqrt(n);
  return accuracy;
}

}  // namespace midge
