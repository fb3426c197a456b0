#include "engine/tokenizer/pretokenizer.h"

#include <initializer_list>

#include "engine/tokenizer/unicode.h"

namespace midge {
namespace {

// Contractions written as (?i:...) and spelled out differ for U+017F, see Pretokenizer::long_s.
struct KnownRegex {
  std::string_view regex;
  Pretokenizer pretokenizer;
};

constexpr KnownRegex kKnownRegexes[] = {
    // Phi-4.
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
     R"(|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {PretokenizerPattern::kCl100k, true}},
    // Phi-4 with the cases spelled out, as llama.cpp does.
    {R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+)"
     R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {PretokenizerPattern::kCl100k, false}},
    // tiktoken's spelling with possessive quantifiers, which cannot change what is matched here:
    // what they refuse to give back could not be matched by the next element either.
    {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*)"
     R"(|\s*[\r\n]|\s+(?!\S)|\s+)",
     {PretokenizerPattern::kCl100k, true}},
    // Phi-4-mini.
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+)"
     R"([\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3})"
     R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {PretokenizerPattern::kO200k, true}},
    // Phi-4-mini with the cases spelled out.
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
     R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?)"
     R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
     R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3})"
     R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {PretokenizerPattern::kO200k, false}},
    // MiMo.
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
     R"(|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {PretokenizerPattern::kQwen2, true}},
    // MiMo with the cases spelled out.
    {R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+)"
     R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {PretokenizerPattern::kQwen2, false}},
};

// A code point with its class and the position after it; at the end of the text all is zero
// except `end`, and `present` is false.
struct Point {
  uint32_t value = 0;
  CharClass kind = kOther;
  bool present = false;
  size_t end = 0;

  bool is(uint32_t mask) const { return present && (kind & mask) != 0; }
  bool is_newline() const { return present && (value == '\r' || value == '\n'); }
  /// [^\s\p{L}\p{N}]
  bool is_symbol() const { return present && (kind & (kLetter | kNumber | kSpace)) == 0; }
  /// [^\r\n\p{L}\p{N}], which may lead a word
  bool is_lead() const { return present && (kind & (kLetter | kNumber)) == 0 && !is_newline(); }
};

Point point_at(std::string_view text, size_t position) {
  Point point;
  point.end = position;
  if (position >= text.size()) return point;
  const CodePoint decoded = decode_utf8(text, position);
  point.value = decoded.value;
  point.kind = char_class(decoded.value);
  point.present = true;
  point.end = position + decoded.length;
  return point;
}

// End of the longest run of the classes in `mask` from `position`.
size_t run_end(std::string_view text, size_t position, uint32_t mask) {
  for (Point point = point_at(text, position); point.is(mask); point = point_at(text, position)) {
    position = point.end;
  }
  return position;
}

uint32_t ascii_lower(uint32_t value) { return value >= 'A' && value <= 'Z' ? value + 32 : value; }

// End of 's 't 're 've 'm 'll 'd (any case) at `position`; `position` if there is none.
size_t contraction_end(std::string_view text, size_t position, bool long_s) {
  if (position >= text.size() || text[position] != '\'') return position;
  const Point first = point_at(text, position + 1);
  if (!first.present) return position;
  if (long_s && first.value == 0x17F) return first.end;
  uint32_t second = 0;
  switch (ascii_lower(first.value)) {
    case 's':
    case 't':
    case 'm':
    case 'd': return first.end;
    case 'r':
    case 'v': second = 'e'; break;
    case 'l': second = 'l'; break;
    default: return position;
  }
  const Point next = point_at(text, first.end);
  return next.present && ascii_lower(next.value) == second ? next.end : position;
}

// \p{N}{1,max} from a code point that is \p{N}.
size_t number_end(std::string_view text, Point point, int max) {
  size_t end = point.end;
  for (int count = 1; count < max; ++count) {
    const Point next = point_at(text, end);
    if (!next.is(kNumber)) break;
    end = next.end;
  }
  return end;
}

// " ?[^\s\p{L}\p{N}]+[\r\n]*" (with "/" in the last class for o200k); `begin` if it does not match.
size_t symbols_end(std::string_view text, size_t begin, Point first, bool slash) {
  Point point = first;
  if (first.value == ' ') point = point_at(text, first.end);
  if (!point.is_symbol()) return begin;
  size_t end = point.end;
  for (point = point_at(text, end); point.is_symbol(); point = point_at(text, end)) {
    end = point.end;
  }
  while (end < text.size() &&
         (text[end] == '\r' || text[end] == '\n' || (slash && text[end] == '/'))) {
    ++end;
  }
  return end;
}

// "\s*[\r\n]+|\s+(?!\S)|\s+" from a code point that is \s.
size_t white_space_end(std::string_view text, size_t begin) {
  size_t end = begin;
  size_t newline_end = begin;  // after the last newline of the run
  size_t last_begin = begin;   // of the last code point of the run
  for (Point point = point_at(text, end); point.is(kSpace); point = point_at(text, end)) {
    last_begin = end;
    end = point.end;
    if (point.is_newline()) newline_end = end;
  }
  if (newline_end != begin) return newline_end;
  // Before a word the run gives up its last code point, unless it has only one.
  if (end < text.size() && last_begin != begin) return last_begin;
  return end;
}

// kCl100k and kQwen2.
size_t cl100k_end(Pretokenizer pretokenizer, std::string_view text, size_t begin) {
  const size_t contraction = contraction_end(text, begin, pretokenizer.long_s);
  if (contraction != begin) return contraction;
  const Point first = point_at(text, begin);
  if (first.is(kLetter)) return run_end(text, first.end, kLetter);
  if (first.is(kNumber)) {
    return number_end(text, first, pretokenizer.pattern == PretokenizerPattern::kQwen2 ? 1 : 3);
  }
  if (first.is_lead()) {
    const size_t end = run_end(text, first.end, kLetter);
    if (end != first.end) return end;
  }
  const size_t symbols = symbols_end(text, begin, first, false);
  return symbols != begin ? symbols : white_space_end(text, begin);
}

constexpr uint32_t kO200kUpper = kUpper | kOtherLetter | kMark;
constexpr uint32_t kO200kLower = kLower | kOtherLetter | kMark;

// "upper*lower+" at `begin`; `begin` if it does not match.
size_t upper_lower_end(std::string_view text, size_t begin) {
  size_t end = begin;
  size_t shared_end = begin;  // after the last code point of the run that is in both classes
  for (Point point = point_at(text, end); point.is(kO200kUpper); point = point_at(text, end)) {
    end = point.end;
    if (point.is(kO200kLower)) shared_end = end;
  }
  const size_t lower_end = run_end(text, end, kO200kLower);
  // Without a lower-case letter after the run, upper* gives back code points until one of them can
  // be lower+; what follows that one is upper case only, so the match ends there.
  return lower_end != end ? lower_end : shared_end;
}

size_t o200k_end(Pretokenizer pretokenizer, std::string_view text, size_t begin) {
  const Point first = point_at(text, begin);
  // The word branches, each with the optional leading code point first and then without. A mark
  // can be either; a letter is never a lead, a symbol never part of the word.
  size_t word = begin;
  if (first.is_lead()) {
    const size_t end = upper_lower_end(text, first.end);
    if (end != first.end) word = end;
  }
  if (word == begin) word = upper_lower_end(text, begin);
  if (word == begin && first.is_lead()) {
    // "upper+lower*": where this is reached there is no lower-case letter after the run.
    const size_t end = run_end(text, first.end, kO200kUpper);
    if (end != first.end) word = end;
  }
  if (word == begin) word = run_end(text, begin, kO200kUpper);
  if (word != begin) return contraction_end(text, word, pretokenizer.long_s);
  if (first.is(kNumber)) return number_end(text, first, 3);
  const size_t symbols = symbols_end(text, begin, first, true);
  return symbols != begin ? symbols : white_space_end(text, begin);
}

// Contractions in lower case only.
size_t lower_contraction_end(std::string_view text, size_t begin) {
  const std::string_view rest = text.substr(begin);
  for (const std::string_view contraction : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (rest.starts_with(contraction)) return begin + contraction.size();
  }
  return begin;
}

// "\s+(?!\S)|\s+" from a code point that is \s, in a text that ends before the next \p{N}.
size_t space_before_word_end(std::string_view text, size_t begin) {
  size_t end = begin;
  size_t last_begin = begin;  // of the last code point of the run
  Point point = point_at(text, end);
  for (; point.is(kSpace); point = point_at(text, end)) {
    last_begin = end;
    end = point.end;
  }
  const bool before_word = point.present && !point.is(kNumber);
  return before_word && last_begin != begin ? last_begin : end;
}

// \p{N} first, then "'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
// on each part between, of which the branch of numbers finds nothing.
size_t smollm_end(std::string_view text, size_t begin) {
  const Point first = point_at(text, begin);
  if (first.is(kNumber)) return first.end;
  const size_t contraction = lower_contraction_end(text, begin);
  if (contraction != begin) return contraction;
  const Point word = first.value == ' ' ? point_at(text, first.end) : first;
  if (word.is(kLetter)) return run_end(text, word.end, kLetter);
  if (!word.is_symbol()) return space_before_word_end(text, begin);
  size_t end = word.end;
  for (Point point = point_at(text, end); point.is_symbol(); point = point_at(text, end)) {
    end = point.end;
  }
  return end;
}

}  // namespace

Result<Pretokenizer> pretokenizer_from_regex(std::string_view regex) {
  for (const KnownRegex& known : kKnownRegexes) {
    if (known.regex == regex) return known.pretokenizer;
  }
  return make_status(StatusCode::kUnsupported,
                     "pre-tokenizer expression '%s' is not one of the known ones (cl100k, o200k, "
                     "qwen2); foreign expressions are not executed",
                     printable(regex, 200).c_str());
}

Result<Pretokenizer> pretokenizer_from_gguf_name(std::string_view name) {
  // The llama3 pattern is cl100k's, character for character.
  if (name == "dbrx" || name == "llama-bpe" || name == "llama3" || name == "llama-v3") {
    return Pretokenizer{PretokenizerPattern::kCl100k, true};
  }
  if (name == "gpt-4o") return Pretokenizer{PretokenizerPattern::kO200k, true};
  if (name == "qwen2") return Pretokenizer{PretokenizerPattern::kQwen2, true};
  if (name == "smollm") return Pretokenizer{PretokenizerPattern::kSmollm, false};
  return make_status(StatusCode::kUnsupported,
                     "pre-tokenizer name '%s' is not one of the known ones (dbrx, gpt-4o, "
                     "llama-bpe, llama3, llama-v3, qwen2, smollm)",
                     printable(name).c_str());
}

size_t pretoken_end(Pretokenizer pretokenizer, std::string_view text, size_t begin) {
  switch (pretokenizer.pattern) {
    case PretokenizerPattern::kCl100k:
    case PretokenizerPattern::kQwen2: return cl100k_end(pretokenizer, text, begin);
    case PretokenizerPattern::kO200k: return o200k_end(pretokenizer, text, begin);
    case PretokenizerPattern::kSmollm: return smollm_end(text, begin);
  }
  return text.size();
}

}  // namespace midge
