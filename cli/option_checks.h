// What options take: checked before they are converted, refused in words that people use.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command_line.h"

namespace midge {

/// "expected a whole number from 0 to 256", "… of at least 1".
OptionCheck whole_number(int64_t least, int64_t most = std::numeric_limits<int64_t>::max());

/// "expected a number", "… from 0 to 1", "… of at least 0".
OptionCheck number(double least = -std::numeric_limits<double>::infinity(),
                   double most = std::numeric_limits<double>::infinity());

/// "expected a number above 0, at most 1".
OptionCheck number_above(double least, double most = std::numeric_limits<double>::infinity());

/// "expected a text that is not empty".
OptionCheck not_empty();

/// Lets the option take one of these names, which help and completions show.
CommandOption* takes_one_of(CommandOption* option, const std::vector<std::string>& names);

/// The name among `names` that somebody may have meant by `word`; empty if none is close.
std::string closest(std::string_view word, const std::vector<std::string>& names);

/// "a, b or c".
std::string list_of(const std::vector<std::string>& names);

}  // namespace midge
