#include "cli/encoding_option.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <vector>

#include "cli/help.h"
#include "engine/core/visible.h"
#include "engine/formats/gguf_types.h"

namespace midge {
namespace {

// Those that matrices are made into.
constexpr Encoding kTargets[] = {Encoding::kF16,        Encoding::kQ4B32,     Encoding::kQ4B32M,
                                 Encoding::kQ5B32,      Encoding::kQ5B32M,    Encoding::kQ8B32,
                                 Encoding::kQ4B32MS256, Encoding::kQ5B32MS256};

std::string target_names() {
  std::vector<std::string> names;
  for (const Encoding encoding : kTargets) names.emplace_back(encoding_info(encoding).name);
  return list_of(names);
}

}  // namespace

Result<Encoding> encoding_of_name(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  for (int i = 0; i < kEncodingCount; ++i) {
    const auto encoding = static_cast<Encoding>(i);
    if (name == gguf_type_name(encoding)) return encoding;
  }
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  Encoding encoding = Encoding::kF32;
  if (find_encoding(name, &encoding)) return encoding;
  return make_status(StatusCode::kInvalidArgument, "no encoding '%s', expected %s",
                     printable(name).c_str(), target_names().c_str());
}

OptionCheck encoding_check() {
  return OptionCheck([](const std::string& text) -> std::string {
    const Result<Encoding> encoding = encoding_of_name(text);
    const bool is_target = encoding.ok() && std::find(std::begin(kTargets), std::end(kTargets),
                                                      *encoding) != std::end(kTargets);
    return is_target ? std::string() : "is '" + printable(text) + "', expected " + target_names();
  });
}

}  // namespace midge
