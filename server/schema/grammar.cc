#include "server/schema/grammar.h"

#include <algorithm>
#include <mutex>

#include <llguidance.h>

namespace midge {
namespace {

// Counts of the library's own units, about 50 of them a microsecond. A step may take some ten
// milliseconds at the very most, since all requests wait meanwhile.
LlgParserLimits limits() {
  LlgParserLimits limits = {};
  limits.max_items_in_row = 2000;
  limits.initial_lexer_fuel = 1'000'000;
  limits.step_lexer_fuel = 200'000;
  limits.step_max_items = 50'000;
  limits.max_lexer_states = 50'000;  // of 1 to 2 kB
  limits.max_grammar_size = 100'000;
  limits.precompute_large_lexemes = false;
  limits.verbose_errors = false;
  return limits;
}

class State : public GrammarState {
 public:
  explicit State(LlgMatcher* matcher)
      : matcher_(matcher), mask_(llg_matcher_get_mask_byte_size(matcher) / sizeof(uint32_t)) {}
  ~State() override { llg_free_matcher(matcher_); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void restrict_tokens(uint8_t* allowed, size_t vocab_size) override {
    const size_t bytes = mask_.size() * sizeof(uint32_t);
    if (llg_matcher_compute_mask_into(matcher_, mask_.data(), bytes) != 0) {
      std::fill(allowed, allowed + vocab_size, uint8_t{0});
      return;
    }
    const size_t known = std::min(vocab_size, mask_.size() * 32);
    for (size_t i = 0; i < known; ++i) {
      if ((mask_[i / 32] >> (i % 32) & 1) == 0) allowed[i] = 0;
    }
    std::fill(allowed + known, allowed + vocab_size, uint8_t{0});
  }
  void accept(int32_t token) override {
    // What fails is told by error(), and by the next mask.
    if (llg_matcher_consume_token(matcher_, static_cast<uint32_t>(token)) != 0) return;
  }
  std::string error() const override {
    const char* text = llg_matcher_get_error(matcher_);
    return text == nullptr ? std::string() : std::string(text);
  }

 private:
  LlgMatcher* matcher_;
  std::vector<uint32_t> mask_;
};

class Maker : public GrammarMaker {
 public:
  explicit Maker(LlgTokenizer* tokenizer) : tokenizer_(tokenizer) {}
  ~Maker() override { llg_free_tokenizer(tokenizer_); }
  Maker(const Maker&) = delete;
  Maker& operator=(const Maker&) = delete;

  Result<std::unique_ptr<GrammarState>> json(const std::string& schema) override {
    return make("json_schema", with_short_space(schema));
  }
  Result<std::unique_ptr<GrammarState>> lark(const std::string& grammar) override {
    return make("lark", grammar);
  }

 private:
  Result<std::unique_ptr<GrammarState>> make(const char* kind, const std::string& text) {
    LlgConstraintInit init = {};
    llg_constraint_init_set_defaults(&init, tokenizer_);
    init.log_buffer_level = 0;
    init.log_stderr_level = 0;
    init.limits = limits();
    auto state = std::make_unique<State>(llg_new_matcher(&init, kind, text.c_str()));
    if (const std::string error = state->error(); !error.empty()) {
      constexpr size_t kShown = 400;
      return Status(StatusCode::kInvalidArgument, error.substr(0, kShown));
    }
    return std::unique_ptr<GrammarState>(std::move(state));
  }

  LlgTokenizer* tokenizer_;
};

}  // namespace

std::string with_short_space(const std::string& schema) {
  std::string out = R"({"x-guidance":{"whitespace_pattern":" |\\n {0,16}"})";
  const size_t first = schema.find_first_not_of("{ \n\r\t");
  out += schema[first] == '}' ? "" : ",";
  return out + schema.substr(first);
}

std::unique_ptr<GrammarMaker> GrammarMaker::create(const GrammarVocabulary& vocabulary) {
  std::vector<uint32_t> lengths;
  std::string bytes;
  for (const std::string& token : vocabulary.tokens) {
    lengths.push_back(static_cast<uint32_t>(token.size()));
    bytes += token;
  }
  std::vector<uint32_t> stops(vocabulary.stop_ids.begin(), vocabulary.stop_ids.end());
  LlgTokenizerInitV2 init = {};
  init.struct_size = sizeof(init);
  init.vocab_size = static_cast<uint32_t>(lengths.size());
  init.tok_eos = stops.front();
  init.token_lens = lengths.data();
  init.token_bytes = reinterpret_cast<const uint8_t*>(bytes.data());
  // Texts are only split to propose tokens, which is not asked for.
  init.use_approximate_greedy_tokenize_fn = true;
  init.tok_eos_extra = stops.data() + 1;
  init.tok_eos_extra_count = static_cast<uint32_t>(stops.size() - 1);
  char error[256] = {};
  LlgTokenizer* tokenizer = llg_new_tokenizer_v2(&init, error, sizeof(error));
  if (tokenizer == nullptr) return nullptr;
  return std::make_unique<Maker>(tokenizer);
}

bool has_grammars() { return true; }

}  // namespace midge
