// A file of measured rates, without its last line, then with it: what a damaged or planted file in
// the cache folder can say. Whatever it says, kernels are chosen that a core has.
#include "engine/calibration/calibration_file.h"

#include <algorithm>

#include "engine/platform/cpu_features.h"
#include "tests/fuzz/exercise.h"

namespace {

using namespace midge;

constexpr std::string_view kKey = "1 x fuzz, midge";

// The hash that ends a file (FNV-1a), so that changed lines get past it.
std::string with_hash(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  return std::string(text) + format_string("end %016llx\n", static_cast<unsigned long long>(hash));
}

void choose(const Calibration& calibration, CpuFeatures features) {
  const CoreType core = {"fuzz", {0}};
  const std::vector<TunedKernel> tuned = fastest_kernels(calibration, {&core, 1}, features);
  const KernelTable table = make_kernel_table({features, "", tuned});
  for (const KernelInfo& kernel : all_kernels()) {
    const auto is = [&](auto function) {
      return kernel.function == reinterpret_cast<void (*)()>(function);
    };
    const bool chosen =
        std::any_of(std::begin(table.gemv), std::end(table.gemv),
                    [&](const auto& by_rows) {
                      return std::any_of(std::begin(by_rows), std::end(by_rows), is);
                    }) ||
        is(table.gemm_panel) || is(table.quantize_panel);
    test::require(!chosen || features.has(kernel.features), "a chosen kernel runs on the core");
  }
}

void exercise(std::string_view text) {
  const auto calibration = parse_calibration(text, kKey);
  if (!calibration.ok()) return;
  for (const CpuFeatures features : {detect_cpu_features(), CpuFeatures()}) {
    choose(*calibration, features);
  }
  // What is understood is written and read again without a change.
  const std::string written = calibration_text(*calibration, kKey);
  const auto again = parse_calibration(written, kKey);
  test::require(again.ok(), "what was written can be read");
  test::require(calibration_text(*again, kKey) == written, "reading and writing change nothing");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  exercise(text);
  exercise(with_hash(text));
  return 0;
}
