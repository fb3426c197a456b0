#include "engine/session/stop_matcher.h"

#include <gtest/gtest.h>

namespace midge {
namespace {

struct Shown {
  std::string text;
  bool stopped;
};

// Feeds `text` in pieces of `piece` bytes.
Shown feed(std::vector<std::string> stops, std::string_view text, size_t piece) {
  StopMatcher matcher(std::move(stops));
  Shown shown = {"", false};
  for (size_t i = 0; i < text.size(); i += piece) {
    if (matcher.push(text.substr(i, piece), &shown.text)) {
      shown.stopped = true;
      return shown;
    }
  }
  matcher.flush(&shown.text);
  return shown;
}

TEST(StopMatcher, EndsBeforeTheEarliestStop) {
  for (size_t piece = 1; piece < 20; ++piece) {
    const Shown a = feed({"END", "\n\n"}, "some text\n\nmore END", piece);
    EXPECT_EQ(a.text, "some text");
    EXPECT_TRUE(a.stopped);
    const Shown b = feed({"abab"}, "xababab", piece);
    EXPECT_EQ(b.text, "x");
    const Shown c = feed({"abab"}, "abaabx", piece);
    EXPECT_EQ(c.text, "abaabx");
    EXPECT_FALSE(c.stopped);
    const Shown d = feed({"aab"}, "aaab", piece);
    EXPECT_EQ(d.text, "a");
    const Shown e = feed({}, "anything", piece);
    EXPECT_EQ(e.text, "anything");
    const Shown f = feed({""}, "anything", piece);
    EXPECT_FALSE(f.stopped);
  }
}

TEST(StopMatcher, HoldsBackOnlyWhatMayBecomeAStop) {
  StopMatcher matcher({"<end>"});
  std::string shown;
  EXPECT_FALSE(matcher.push("abc<e", &shown));
  EXPECT_EQ(shown, "abc");
  EXPECT_FALSE(matcher.push("x", &shown));
  EXPECT_EQ(shown, "abc<ex");
  EXPECT_FALSE(matcher.push("<end", &shown));
  matcher.flush(&shown);
  EXPECT_EQ(shown, "abc<ex<end");
}

}  // namespace
}  // namespace midge
