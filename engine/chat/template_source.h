// What the source of a chat template consists of, without executing any of it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/core/status.h"

namespace midge {

/// The lexical parts of a Jinja template, in the form in which templates are compared.
struct TemplateSource {
  /// The code without white space; string literals in single quotes with their escapes resolved and
  /// those joined by + or ~ as one; .name as ['name']; text outside of tags as {{'text'}}.
  std::string code;
  /// The contents of these literals.
  std::vector<std::string> texts;
  /// Names of the filters, and of the functions and methods called.
  std::vector<std::string> calls;
};

/// Takes a template apart. White space outside of tags that Jinja drops (next to {%- -%}, and as
/// transformers sets it up, around blocks that stand on lines of their own) is left out.
/// Any bytes; time O(n). Errors: unsupported (a tag, literal or comment that does not end, an
/// escape that is not known).
Result<TemplateSource> read_template_source(std::string_view source);

}  // namespace midge
