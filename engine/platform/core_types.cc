#include "engine/platform/core_types.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iterator>

#include "engine/core/status.h"

namespace midge {
namespace {

// What tells designs apart: x86-64, then arm64.
constexpr std::string_view kNameKeys[] = {"vendor_id",   "cpu family",  "model",
                                          "stepping",    "CPU part",    "CPU implementer",
                                          "CPU variant", "CPU revision"};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool is_plain(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Adds a word to a name. Names stand in files and reports, so nothing else than plain characters.
void append_word(std::string_view word, std::string* name) {
  if (!name->empty() && !word.empty()) *name += ' ';
  for (const char c : word) *name += is_plain(c) ? c : '-';
}

struct Processor {
  int number;
  std::string name;
};

// The blocks that begin with a line "processor : N".
std::vector<Processor> processors(std::string_view cpuinfo) {
  std::vector<Processor> found;
  while (!cpuinfo.empty()) {
    const std::string_view line = cpuinfo.substr(0, cpuinfo.find('\n'));
    cpuinfo.remove_prefix(std::min(line.size() + 1, cpuinfo.size()));
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view key = trimmed(line.substr(0, colon));
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (key == "processor") {
      int number = -1;
      std::from_chars(value.data(), value.data() + value.size(), number);
      found.push_back({number, {}});
    } else if (!found.empty() &&
               std::find(std::begin(kNameKeys), std::end(kNameKeys), key) != std::end(kNameKeys)) {
      append_word(value, &found.back().name);
    }
  }
  return found;
}

}  // namespace

std::vector<CoreType> core_types_of(std::string_view cpuinfo, std::span<const int> allowed) {
  const std::vector<Processor> known = processors(cpuinfo);
  std::vector<CoreType> types;
  for (const int core : allowed) {
    const auto processor = std::find_if(known.begin(), known.end(),
                                        [&](const Processor& p) { return p.number == core; });
    const bool named = processor != known.end() && !processor->name.empty();
    const std::string name = named ? processor->name : kUnknownCoreType;
    auto type =
        std::find_if(types.begin(), types.end(), [&](const CoreType& t) { return t.name == name; });
    if (type == types.end()) type = types.insert(types.end(), {name, {}});
    type->cores.push_back(core);
  }
  return types;
}

std::string core_type_name(uint32_t midr) {
  return format_string("0x%02x 0x%x 0x%03x %u", midr >> 24 & 0xff, midr >> 20 & 0xf,
                       midr >> 4 & 0xfff, midr & 0xf);
}

uint32_t midr_of_core_type(std::string_view name) {
  // Implementer, variant, part and revision.
  constexpr std::string_view kBefore[] = {"0x", " 0x", " 0x", " "};
  uint32_t numbers[4] = {};
  for (int i = 0; i < 4; ++i) {
    if (!name.starts_with(kBefore[i])) return 0;
    name.remove_prefix(kBefore[i].size());
    const auto parsed =
        std::from_chars(name.data(), name.data() + name.size(), numbers[i], i == 3 ? 10 : 16);
    if (parsed.ec != std::errc()) return 0;
    name.remove_prefix(static_cast<size_t>(parsed.ptr - name.data()));
  }
  return (numbers[0] & 0xff) << 24 | (numbers[1] & 0xf) << 20 | 0xfu << 16 |
         (numbers[2] & 0xfff) << 4 | (numbers[3] & 0xf);
}

}  // namespace midge
