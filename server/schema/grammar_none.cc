// Grammars of builds without llguidance.
#include "server/schema/grammar.h"

namespace midge {

std::unique_ptr<GrammarMaker> GrammarMaker::create(const GrammarVocabulary&) { return nullptr; }

std::string with_short_space(const std::string& schema) { return schema; }

bool has_grammars() { return false; }

}  // namespace midge
