// Hostile files of tools and messages, one test for each item of docs/hostile-input.md.
#include <gtest/gtest.h>

#include "engine/chat/chat_json.h"
#include "tests/harness/colliding_keys.h"
#include "tests/harness/golden.h"
#include "tests/harness/refusal.h"

namespace midge {
namespace {

using test::expect_refused;

constexpr StatusCode kInvalid = StatusCode::kInvalidFile;
using Parts = std::initializer_list<std::string_view>;

void refuse_tools(const std::string& text, Parts parts) {
  expect_refused([&] { return parse_chat_tools("tools.json", text).status(); }, text.size(),
                 kInvalid, "tools.json: ", parts);
}

TEST(HostileChat, KeysMadeToCollide) {
  std::string tool = "{\"name\":\"f\"";
  for (const std::string& key : test::colliding_keys(40'000)) tool += ",\"" + key + "\":1";
  refuse_tools("[" + tool + "},{}]", {"tool 1", "'name' is missing"});
}

}  // namespace
}  // namespace midge
