// What a model would do on a device that is not at hand: the limits of its memory and its cores.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/status.h"

namespace midge::bench {

/// Cores of one design.
struct DeviceCores {
  std::string design;  ///< as in engine/platform/core_designs.cc
  int count = 0;
  double hertz = 0;
};

struct Device {
  std::string name;
  std::string title;
  double bandwidth = 0;  ///< of its memory, bytes per second, by its data sheet
  int64_t memory = 0;    ///< bytes, of the usual model
  std::vector<DeviceCores> cores;
  std::string source;  ///< of these facts
};

/// Devices that are described here.
const std::vector<Device>& known_devices();

/// One of them by its name; or, of a path that ends with .json, the description there: an object
/// with "title", "bandwidth" (bytes per second) and "cores", a list of objects with "design",
/// "count" and "hertz". Errors: not_found, those of JsonDocument::load, invalid_file (an unknown
/// design).
Result<Device> find_device(const std::string& name);

/// What limits allow, and what midge reached of them where it was measured.
struct Prediction {
  double decode_limit = 0;     ///< tokens per second: every weight read once for each
  double prompt_limit = 0;     ///< tokens per second: every multiply-add at the cores' peak, with
                               ///< matrix products where they have them
  double decode_expected = 0;  ///< with the parts of the limits that were reached
  double prompt_expected = 0;
};

/// Parts of read bandwidth and of integer peak that whole models reached on x86-64
/// (docs/performance.md); and the part of a data sheet's bandwidth that reads are assumed to reach,
/// until a device was measured.
inline constexpr double kDecodeFraction = 0.82;
inline constexpr double kPromptFraction = 0.28;
inline constexpr double kSheetBandwidth = 0.70;

/// What a token costs.
struct TokenCost {
  double bytes = 0;        ///< of weights that a decoded token reads
  double macs = 0;         ///< multiply-adds of its matrices
  double prompt_macs = 0;  ///< of a token of a prompt, of which only the last is multiplied with
                           ///< the head
};

/// Errors: invalid_file (an unknown design).
Result<Prediction> predict(const Device& device, const TokenCost& cost);

}  // namespace midge::bench
