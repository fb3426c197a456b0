#include "bench/model/device.h"

#include <algorithm>

#include "engine/core/visible.h"
#include "engine/formats/json.h"
#include "engine/platform/topology.h"

namespace midge::bench {
namespace {

constexpr double kGiga = 1e9;
constexpr int64_t kGibibyte = int64_t{1} << 30;
constexpr uint64_t kDescriptionBytesMax = 64 << 10;
// Multiply-adds of a dot product of 16 bytes, and of a matrix product.
constexpr double kMacsPerProduct = 16;
constexpr double kMacsPerMatrixProduct = 32;

}  // namespace

const std::vector<Device>& known_devices() {
  // Bandwidth is transfers per second by the width of the bus, as makers state them.
  static const std::vector<Device> devices = {
      {"pi4",
       "Raspberry Pi 4",
       12.8 * kGiga,
       4 * kGibibyte,
       {{"Cortex-A72", 4, 1.8 * kGiga}},
       "Raspberry Pi Ltd: BCM2711, LPDDR4-3200, 32 bits"},
      {"pi5",
       "Raspberry Pi 5",
       17.1 * kGiga,
       8 * kGibibyte,
       {{"Cortex-A76", 4, 2.4 * kGiga}},
       "Raspberry Pi Ltd: BCM2712, LPDDR4X-4267, 32 bits"},
      {"rk3588",
       "RK3588 board",
       34.1 * kGiga,
       16 * kGibibyte,
       {{"Cortex-A76", 4, 2.4 * kGiga}, {"Cortex-A55", 4, 1.8 * kGiga}},
       "Rockchip: RK3588, LPDDR4X-4266, 64 bits"},
      {"imx8mp",
       "i.MX 8M Plus board",
       16.0 * kGiga,
       4 * kGibibyte,
       {{"Cortex-A53", 4, 1.8 * kGiga}},
       "NXP: i.MX 8M Plus, LPDDR4-4000, 32 bits"},
      {"pixel8",
       "Google Pixel 8",
       51.2 * kGiga,
       8 * kGibibyte,
       {{"Cortex-X3", 1, 2.91 * kGiga},
        {"Cortex-A715", 4, 2.37 * kGiga},
        {"Cortex-A510", 4, 1.7 * kGiga}},
       "Google: Tensor G3, LPDDR5X-6400, 64 bits"},
      {"sd8gen3",
       "Snapdragon 8 Gen 3 phone",
       76.8 * kGiga,
       12 * kGibibyte,
       {{"Cortex-X4", 1, 3.3 * kGiga},
        {"Cortex-A720", 5, 3.0 * kGiga},
        {"Cortex-A520", 2, 2.3 * kGiga}},
       "Qualcomm: SM8650, LPDDR5X-9600, 64 bits"},
  };
  return devices;
}

namespace {

Result<DeviceCores> read_cores(const JsonObject& object) {
  DeviceCores cores;
  MIDGE_ASSIGN_OR_RETURN(cores.design, object.string("design"));
  MIDGE_ASSIGN_OR_RETURN(const int64_t count, object.integer("count", 1, 1024));
  cores.count = static_cast<int>(count);
  MIDGE_ASSIGN_OR_RETURN(cores.hertz, object.number("hertz"));
  return cores;
}

Result<Device> load_device(const std::string& path) {
  MIDGE_ASSIGN_OR_RETURN(const JsonDocument document,
                         JsonDocument::load(path, kDescriptionBytesMax));
  MIDGE_ASSIGN_OR_RETURN(const JsonObject root, document.root());
  Device device;
  device.name = path;
  device.source = path;
  MIDGE_ASSIGN_OR_RETURN(device.title, root.string("title"));
  MIDGE_ASSIGN_OR_RETURN(device.bandwidth, root.number("bandwidth"));
  MIDGE_ASSIGN_OR_RETURN(const simdjson::dom::array cores, root.array("cores"));
  const std::string name = path + ": cores";
  for (const simdjson::dom::element element : cores) {
    simdjson::dom::object object;
    if (element.get(object) != simdjson::SUCCESS) {
      return make_status(StatusCode::kInvalidFile, "%s: expected objects, found %s",
                         shown_path(name).c_str(), json_type_name(element));
    }
    MIDGE_ASSIGN_OR_RETURN(DeviceCores of_design, read_cores(JsonObject(object, &name)));
    device.cores.push_back(std::move(of_design));
  }
  if (!(device.bandwidth > 0)) {
    return make_status(StatusCode::kInvalidFile, "%s: 'bandwidth' is %g, expected more than 0",
                       shown_path(path).c_str(), device.bandwidth);
  }
  return device;
}

}  // namespace

Result<Device> find_device(const std::string& name) {
  if (name.ends_with(".json")) return load_device(name);
  std::string names;
  for (const Device& device : known_devices()) {
    if (device.name == name) return device;
    names += (names.empty() ? "" : ", ") + device.name;
  }
  return make_status(StatusCode::kNotFound,
                     "no device '%s', expected one of %s, or a description in a .json file",
                     printable(name).c_str(), names.c_str());
}

Result<Prediction> predict(const Device& device, const TokenCost& cost) {
  double row_peak = 0;
  double prompt_peak = 0;
  for (const DeviceCores& cores : device.cores) {
    const CoreDesign* design = find_core_design(cores.design);
    if (design == nullptr) {
      return make_status(StatusCode::kInvalidFile, "%s: no design of core '%s' is known",
                         shown_path(device.name).c_str(), printable(cores.design).c_str());
    }
    const double products = cores.count * cores.hertz * design->products_per_cycle;
    row_peak += products * kMacsPerProduct;
    prompt_peak += products * (design->has_i8mm ? kMacsPerMatrixProduct : kMacsPerProduct);
  }
  Prediction prediction;
  prediction.prompt_limit = prompt_peak / cost.prompt_macs;
  prediction.prompt_expected = kPromptFraction * prediction.prompt_limit;
  // A token cannot be decoded faster than it is computed, which bounds small cores.
  const double computed = row_peak / cost.macs;
  prediction.decode_limit = std::min(device.bandwidth / cost.bytes, computed);
  prediction.decode_expected =
      std::min(kSheetBandwidth * kDecodeFraction * device.bandwidth / cost.bytes,
               kPromptFraction * computed);
  return prediction;
}

}  // namespace midge::bench
