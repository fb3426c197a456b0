// Seeded operands of kernels.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace midge::test {

/// Of every random operand: the environment variable MIDGE_TEST_SEED, or a fixed number.
uint64_t test_seed();

/// What the numbers of an operand are like.
enum class DataSort {
  kNormal,
  kZeros,       ///< of both signs
  kSaturating,  ///< everything at the largest magnitude of its type or block, both signs
  kExtreme,     ///< every exponent of f32 and f16, subnormals included
  kSpecial,     ///< normal with some NaN and infinities; weights as in kNormal
};
inline constexpr DataSort kDataSorts[] = {DataSort::kNormal, DataSort::kZeros,
                                          DataSort::kSaturating, DataSort::kExtreme,
                                          DataSort::kSpecial};
const char* data_sort_name(DataSort sort);

/// Random numbers that depend on the seed and `stream` only.
class TestRandom {
 public:
  explicit TestRandom(uint64_t stream) : stream_(stream) {}
  uint32_t bits();
  /// 0..bound - 1
  uint32_t below(uint32_t bound);
  /// -1..1
  float uniform();

 private:
  uint64_t stream_;
  uint64_t counter_ = 0;
  uint32_t words_[4] = {};
};

std::vector<float> test_floats(DataSort sort, int64_t count, uint64_t stream);

/// Finite f16 numbers.
std::vector<uint16_t> test_halves(DataSort sort, int64_t count, uint64_t stream);

/// [m] rows of lhs_blocks(k) blocks, consistent, zeros beyond k.
std::vector<LhsBlock> test_lhs_blocks(DataSort sort, int64_t m, int64_t k, uint64_t stream);

/// The packed tiles of [n, k]; zeros beyond k, but for encodings whose blocks in files are whole
/// units.
std::vector<uint8_t> test_packed(Encoding encoding, DataSort sort, int64_t n, int64_t k,
                                 uint64_t stream);

/// [n] rows of k weights as they lie in files.
std::vector<uint8_t> test_encoded_rows(Encoding encoding, DataSort sort, int64_t n, int64_t k,
                                       uint64_t stream);

}  // namespace midge::test
