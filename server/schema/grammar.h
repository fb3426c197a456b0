// What an answer may be, token by token: JSON by a schema, or calls of tools.
//
// llguidance decides (docs/dependencies.md); builds without it have no grammars.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/status.h"
#include "midge/midge.h"

namespace midge {

/// The tokens of a vocabulary as grammars see them.
struct GrammarVocabulary {
  /// By id. Of a special token 0xFF and its text, which no text of an answer can spell. Empty: no
  /// grammar ever takes it.
  std::vector<std::string> tokens;
  std::vector<int32_t> stop_ids;  ///< at least one
};

/// The grammar of one answer, at a place in it. One thread at a time.
class GrammarState {
 public:
  virtual ~GrammarState() = default;

  /// Sets to 0 in allowed[vocab_size] what cannot come next; stop tokens can where the text is
  /// whole. Everything, if error() is not empty.
  virtual void restrict_tokens(uint8_t* allowed, size_t vocab_size) = 0;
  /// `token` came next.
  virtual void accept(int32_t token) = 0;
  /// Why it cannot go on: out of fuel, most often. Empty: it can.
  virtual std::string error() const = 0;
};

/// The schema of a JSON object, with white space that is one space, or a line feed and an indent.
/// Any white space would be right too, and a model that has lost its way writes nothing else.
std::string with_short_space(const std::string& schema);

/// Makes the grammars of one vocabulary. What is compiled is bounded by limits of our own, below
/// those of the library: a schema takes at most tens of milliseconds and megabytes.
class GrammarMaker {
 public:
  /// Null where this build has no grammars. Takes a tenth of a second and some ten megabytes.
  static std::unique_ptr<GrammarMaker> create(const GrammarVocabulary& vocabulary);
  virtual ~GrammarMaker() = default;

  /// Of JSON text that the schema holds. Errors: invalid_argument (it cannot be compiled, or takes
  /// too much fuel).
  virtual Result<std::unique_ptr<GrammarState>> json(const std::string& schema) = 0;
  /// Of a grammar in llguidance's Lark dialect.
  virtual Result<std::unique_ptr<GrammarState>> lark(const std::string& grammar) = 0;
};

/// True if this build has grammars.
bool has_grammars();

}  // namespace midge
