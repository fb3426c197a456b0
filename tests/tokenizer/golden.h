// Comparison with token ids that other implementations gave; see tests/data/tokenizer/README.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/tokenizer/tokenizer.h"

namespace midge {

struct GoldenStrings {
  std::vector<std::string> plain;    // without any added token
  std::vector<std::string> special;  // with added tokens in them
};

GoldenStrings load_golden_strings();

/// The lists of ids_<name>.bin: of the plain strings, of the special ones, of these as text.
std::vector<std::vector<int32_t>> load_golden_ids(const std::string& name);

/// Counts strings that get other ids than expected; the first five fail the test with their text.
struct IdComparison {
  int compared = 0;
  int different = 0;

  void expect(const std::string& text, const std::vector<int32_t>& found,
              const std::vector<int32_t>& expected);
};

/// The tokenizer that the tables of a packed file make of it.
Tokenizer from_packed_tables(const Tokenizer& tokenizer);

/// Expects the ids of ids_<name>.bin for every string of strings.json, from the tokenizer and from
/// its packed tables.
void compare_with_goldens(const Tokenizer& tokenizer, const std::string& name);

/// Expects llama.cpp's ids for its test strings, ggml-vocab-<name>.gguf.inp. These are in normal
/// form, so that its lack of NFC does not show.
void compare_with_llama_cpp(const Tokenizer& tokenizer, const std::string& name);

/// Expects that a user's text gives no added token, whatever it says.
void expect_no_smuggling(const Tokenizer& tokenizer);

}  // namespace midge
