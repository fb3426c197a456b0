// One of the models that a server serves.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/chat/chat.h"
#include "engine/core/status.h"
#include "midge/midge.h"
#include "server/openai/request.h"
#include "server/schema/grammar.h"

namespace midge {

class NamedModel {
 public:
  /// The model is open, and outlives this. index: its place in the engine's list.
  NamedModel(std::string name, midge_model* model, uint32_t index);

  const std::string& name() const { return name_; }
  uint32_t index() const { return index_; }
  const midge_model_info& info() const { return info_; }
  /// How its chat template writes tool calls; nothing: it has no template that is known.
  const std::optional<ChatTemplate>& chat() const { return chat_; }

  /// Ids of a text. Errors: those of midge_tokenize.
  Result<std::vector<int32_t>> tokenize(std::string_view text, uint32_t flags) const;
  /// Bytes of tokens, special ones too. Errors: out_of_range.
  Result<std::string> detokenize(const std::vector<int32_t>& tokens, bool with_special) const;
  /// Bytes of one token as they stand within a text; empty where it has none.
  std::string token_bytes(int32_t token) const { return inner_bytes(token, true); }

  /// Grammars for `count` answers that hold to the rule. The first call reads the vocabulary.
  /// Errors: unsupported (no grammars in this build; a model without tool calls), invalid_argument
  /// (the schema).
  Result<std::vector<std::unique_ptr<GrammarState>>> make_grammars(const TextRule& rule,
                                                                   int32_t count);

 private:
  std::string inner_bytes(int32_t token, bool with_special) const;
  bool is_special(std::string_view text) const;
  std::string tag(std::string_view text) const;
  Result<std::string> tool_grammar(const TextRule& rule) const;
  void read_vocabulary();

  std::string name_;
  midge_model* model_;
  uint32_t index_;
  midge_model_info info_ = {};
  std::optional<ChatTemplate> chat_;
  std::unique_ptr<GrammarMaker> grammars_;
};

}  // namespace midge
