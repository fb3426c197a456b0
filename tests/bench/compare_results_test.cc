// What changed between two results, and what is noise.
#include <algorithm>
#include <fstream>

#include <gtest/gtest.h>

#include "bench/model/compare.h"
#include "engine/core/status.h"

namespace midge::bench {
namespace {

// A result with one figure.
std::string result_of(double seconds, double spread, double bandwidth, const char* label) {
  return format_string(
      "{\"schema\":\"midge.bench\",\"version\":2,\"machine\":{\"cores\":\"2 x core\"},"
      "\"subjects\":[{\"name\":\"m\",\"figures\":[{\"section\":\"decode\",\"label\":\"%s\","
      "\"seconds\":%.9g,\"spread\":%.9g,\"read_bandwidth\":%.9g}]}]}",
      label, seconds, spread, bandwidth);
}

std::string file(const char* name, const std::string& text) {
  const std::string path = testing::TempDir() + "midge_compare_" + name + ".json";
  std::ofstream(path) << text;
  return path;
}

Change only_change(const std::string& old_text, const std::string& new_text) {
  const Result<Comparison> comparison =
      compare_results(file("old", old_text), file("new", new_text));
  EXPECT_TRUE(comparison.ok()) << comparison.status().message();
  EXPECT_EQ(comparison->changes.size(), 1u);
  return comparison->changes.front();
}

TEST(CompareResults, FindsWhatIsBeyondTheNoise) {
  const Change change =
      only_change(result_of(0.100, 0.01, 2e10, "0 deep"), result_of(0.120, 0.01, 2e10, "0 deep"));
  EXPECT_DOUBLE_EQ(change.ratio, 1.2);
  EXPECT_TRUE(change.is_change());
}

TEST(CompareResults, SpreadIsNoise) {
  EXPECT_FALSE(
      only_change(result_of(0.100, 0.08, 2e10, "0 deep"), result_of(0.120, 0.08, 2e10, "0 deep"))
          .is_change());
}

TEST(CompareResults, SlowerMemoryIsNoise) {
  EXPECT_FALSE(only_change(result_of(0.100, 0.01, 2.0e10, "0 deep"),
                           result_of(0.117, 0.01, 1.7e10, "0 deep"))
                   .is_change());
}

TEST(CompareResults, TwoPercentIsNoise) {
  EXPECT_FALSE(
      only_change(result_of(0.100, 0, 0, "0 deep"), result_of(0.1015, 0, 0, "0 deep")).is_change());
}

TEST(CompareResults, SaysWhatWasSetOtherwise) {
  const std::string one = result_of(1, 0, 0, "0 deep");
  const auto with = [&](const char* members) {
    std::string text = one;
    return text.insert(text.find("\"figures\""), members);
  };
  const Result<Comparison> comparison =
      compare_results(file("old", with("\"threads\":1,\"kv_type\":\"f16\",")),
                      file("new", with("\"threads\":4,\"kv_type\":\"f16\",")));
  ASSERT_TRUE(comparison.ok()) << comparison.status().message();
  const std::vector<std::string>& notes = comparison->notes;
  EXPECT_EQ(std::count(notes.begin(), notes.end(), "m: threads: 1, now 4"), 1);
}

TEST(CompareResults, MarksWhatWasDisturbed) {
  std::string disturbed = result_of(1, 0, 0, "0 deep");
  disturbed.insert(disturbed.find("\"seconds\""), "\"disturbed\":true,");
  EXPECT_TRUE(only_change(result_of(1, 0, 0, "0 deep"), disturbed).is_disturbed);
  EXPECT_FALSE(
      only_change(result_of(1, 0, 0, "0 deep"), result_of(1, 0, 0, "0 deep")).is_disturbed);
}

TEST(CompareResults, SaysWhatOnlyOneHas) {
  const Result<Comparison> comparison = compare_results(file("a", result_of(1, 0, 0, "0 deep")),
                                                        file("b", result_of(1, 0, 0, "1 deep")));
  ASSERT_TRUE(comparison.ok());
  EXPECT_TRUE(comparison->changes.empty());
  EXPECT_EQ(comparison->notes.size(), 2u);
}

TEST(CompareResults, RefusesOtherFiles) {
  const std::string good = file("good", result_of(1, 0, 0, "0 deep"));
  for (const char* text :
       {"", "{}", "[]", "{\"schema\":\"midge.plan\"}", "{\"schema\":\"midge.bench\"}",
        "{\"schema\":\"midge.bench\",\"machine\":{\"cores\":3},\"subjects\":[]}",
        "{\"schema\":\"midge.bench\",\"machine\":{\"cores\":\"x\"},"
        "\"subjects\":[{\"name\":\"m\",\"figures\":[{}]}]}"}) {
    EXPECT_EQ(compare_results(file("bad", text), good).status().code(), StatusCode::kInvalidFile)
        << text;
  }
  EXPECT_EQ(compare_results(good + ".absent", good).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace midge::bench
