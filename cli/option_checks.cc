#include "cli/option_checks.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "engine/core/status.h"

namespace midge {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

// Insertions, deletions, replacements and swaps of neighbours that lead from one to the other.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> rows(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        rows[i][j] = i + j;
        continue;
      }
      rows[i][j] = std::min({rows[i - 1][j] + 1, rows[i][j - 1] + 1,
                             rows[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        rows[i][j] = std::min(rows[i][j], rows[i - 2][j - 2] + 1);
      }
    }
  }
  return rows[a.size()][b.size()];
}

std::string complaint(const std::string& found, const std::string& expected) {
  return "is '" + printable(found) + "', expected " + expected;
}

// Finite ones alone, as f32 too, which many of them become.
bool read_number(const std::string& text, double* value) {
  char* end = nullptr;
  *value = std::strtod(text.c_str(), &end);
  return end != text.c_str() && *end == '\0' &&
         std::abs(*value) <= static_cast<double>(std::numeric_limits<float>::max());
}

}  // namespace

OptionCheck whole_number(int64_t least, int64_t most) {
  return OptionCheck([=](const std::string& text) -> std::string {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool is_number = error == std::errc() && end == text.data() + text.size();
    if (is_number && value >= least && value <= most) return {};
    return complaint(
        text, most == kNoLimit
                  ? format_string("a whole number of at least %lld", static_cast<long long>(least))
                  : format_string("a whole number from %lld to %lld", static_cast<long long>(least),
                                  static_cast<long long>(most)));
  });
}

OptionCheck number(double least, double most) {
  return OptionCheck([=](const std::string& text) -> std::string {
    double value = 0;
    if (read_number(text, &value) && value >= least && value <= most) return {};
    if (std::isinf(least)) return complaint(text, "a number");
    return complaint(text, std::isinf(most) ? format_string("a number of at least %g", least)
                                            : format_string("a number from %g to %g", least, most));
  });
}

OptionCheck number_above(double least, double most) {
  return OptionCheck([=](const std::string& text) -> std::string {
    double value = 0;
    if (read_number(text, &value) && value > least && value <= most) return {};
    return complaint(text, std::isinf(most)
                               ? format_string("a number above %g", least)
                               : format_string("a number above %g, at most %g", least, most));
  });
}

OptionCheck not_empty() {
  return OptionCheck([](const std::string& text) -> std::string {
    return text.empty() ? complaint(text, "a text that is not empty") : std::string();
  });
}

CommandOption* takes_one_of(CommandOption* option, const std::vector<std::string>& names) {
  const std::string shown = std::accumulate(
      std::next(names.begin()), names.end(), names.front(),
      [](const std::string& list, const std::string& name) { return list + "|" + name; });
  option->type_name(shown);
  return option->check(OptionCheck([names](const std::string& text) -> std::string {
    if (std::find(names.begin(), names.end(), text) != names.end()) return {};
    return complaint(text, list_of(names));
  }));
}

std::string closest(std::string_view word, const std::vector<std::string>& names) {
  // "--temprature" is "--temp" and more.
  constexpr size_t kPrefixMin = 4;
  std::string longest;
  for (const std::string& name : names) {
    if (name.size() >= kPrefixMin && word.starts_with(name) && name.size() > longest.size()) {
      longest = name;
    }
  }
  if (!longest.empty()) return longest;
  // One error in three letters: of "rnu" run, of "xyz" nothing.
  size_t best = std::max<size_t>(1, word.size() / 3) + 1;
  std::string found;
  for (const std::string& name : names) {
    const size_t distance = edit_distance(word, name);
    if (distance >= best) continue;
    best = distance;
    found = name;
  }
  return found;
}

std::string list_of(const std::vector<std::string>& names) {
  std::string list;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) list += i + 1 == names.size() ? " or " : ", ";
    list += names[i];
  }
  return list;
}

}  // namespace midge
