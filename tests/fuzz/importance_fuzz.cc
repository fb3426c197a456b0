// An importance file without its checksum, then with it: files of this kind are shared. What is
// accepted comes back byte for byte, and weighs the errors of an encoder.
#include "engine/weights/importance.h"

#include <algorithm>
#include <vector>

#include "engine/core/fnv.h"
#include "engine/weights/encode.h"
#include "tests/fuzz/exercise.h"

namespace {

using namespace midge;

std::string with_checksum(std::string_view bytes) {
  const uint64_t checksum = fnv1a(bytes);
  return std::string(bytes) +
         std::string(reinterpret_cast<const char*>(&checksum), sizeof(checksum));
}

// Encodes a row whose errors are weighed by the first channels.
void encode(const std::vector<float>& importance) {
  constexpr size_t kColumnsMax = 512;
  const size_t k = std::min(importance.size(), kColumnsMax);
  std::vector<float> row(k);
  for (size_t i = 0; i < k; ++i) row[i] = static_cast<float>(static_cast<int>(i * 37 % 101) - 50);
  for (const Encoding encoding : {Encoding::kQ4B32, Encoding::kQ4B32MS256}) {
    std::vector<uint8_t> out(
        static_cast<size_t>(encoded_row_bytes(encoding, static_cast<int64_t>(k))));
    encode_row(encoding, row.data(), static_cast<int64_t>(k), importance.data(), out.data());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  static_cast<void>(Importance::parse(input));
  const std::string file = with_checksum(input);
  const Result<Importance> importance = Importance::parse(file);
  if (!importance.ok()) return 0;
  const Result<Importance> again = Importance::parse(importance->text());
  test::require(again.ok() && again->text() == importance->text(), "what is written is read");
  for (const char* matrix : {"layers.0.q", "layers.0.down", "layers.1.gate", "head", "mtp.o"}) {
    const std::vector<float> values = importance->of(matrix);
    test::require(std::ranges::all_of(values, [](float value) { return value >= 0; }),
                  "importance is a number and not negative");
    if (!values.empty()) encode(values);
    static_cast<void>(importance->of_matrix(matrix, 8));
  }
  return 0;
}
