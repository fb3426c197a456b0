// Predictions for devices, against what one works out by hand.
#include <fstream>

#include <gtest/gtest.h>

#include "bench/model/device.h"
#include "engine/platform/topology.h"

namespace midge::bench {
namespace {

TEST(Device, FollowsFromBandwidthAndPeak) {
  // A token of Phi-4-mini in q4b32: 2.158 GB and 3.836 G multiply-adds.
  const Result<Device> pi5 = find_device("pi5");
  ASSERT_TRUE(pi5.ok());
  // Of them 0.610 G are of the head, which a prompt is multiplied with once.
  const Result<Prediction> prediction = predict(*pi5, {2.158e9, 3.836e9, 3.226e9});
  ASSERT_TRUE(prediction.ok());
  EXPECT_NEAR(prediction->decode_limit, 17.1 / 2.158, 1e-9);
  // 4 cores, 2.4 GHz, 2 sdot of 16 multiply-adds a cycle.
  EXPECT_NEAR(prediction->prompt_limit, 4 * 2.4 * 2 * 16 / 3.226, 1e-9);
  EXPECT_LT(prediction->decode_expected, prediction->decode_limit);
}

TEST(Device, PromptsTakeMatrixProductsWhereCoresHaveThem) {
  const Device device = {"x", "x", 1e15, 0, {{"Cortex-A720", 1, 1e9}, {"Cortex-A76", 1, 1e9}}, "x"};
  const Result<Prediction> prediction = predict(device, {1, 1e9, 1e9});
  ASSERT_TRUE(prediction.ok());
  EXPECT_NEAR(prediction->prompt_limit, 2 * 32 + 2 * 16, 1e-9);
  EXPECT_NEAR(prediction->decode_limit, 2 * 16 + 2 * 16, 1e-9);
}

TEST(Device, EveryDesignIsKnown) {
  for (const Device& device : known_devices()) {
    EXPECT_TRUE(predict(device, {1e9, 1e9, 1e9}).ok()) << device.name;
    EXPECT_FALSE(device.source.empty()) << device.name;
  }
}

TEST(Device, ReadsADescription) {
  const std::string path = testing::TempDir() + "midge_device.json";
  std::ofstream(path) << R"({"title": "a board", "bandwidth": 8e9,
    "cores": [{"design": "Cortex-A53", "count": 4, "hertz": 1e9}]})";
  const Result<Device> device = find_device(path);
  ASSERT_TRUE(device.ok()) << device.status().message();
  EXPECT_NEAR(predict(*device, {1e9, 1e9, 1e9})->prompt_limit, 4 * 0.5 * 16, 1e-9);
}

TEST(Device, RefusesWhatIsNoDescription) {
  EXPECT_EQ(find_device("pi6").status().code(), StatusCode::kNotFound);
  const std::string path = testing::TempDir() + "midge_device_bad.json";
  for (const char* text : {"[]", "{}", R"({"title": "x", "bandwidth": 0, "cores": []})",
                           R"({"title": "x", "bandwidth": 1, "cores": [1]})",
                           R"({"title": "x", "bandwidth": 1, "cores": [{"design": "y"}]})"}) {
    std::ofstream(path) << text;
    EXPECT_EQ(find_device(path).status().code(), StatusCode::kInvalidFile) << text;
  }
  std::ofstream(path) << R"({"title": "x", "bandwidth": 1,
    "cores": [{"design": "Z80", "count": 1, "hertz": 4e6}]})";
  EXPECT_EQ(predict(*find_device(path), {1, 1, 1}).status().code(), StatusCode::kInvalidFile);
}

}  // namespace
}  // namespace midge::bench
