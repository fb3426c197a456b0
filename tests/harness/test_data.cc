#include "tests/harness/test_data.h"

#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <type_traits>

#include "engine/session/random.h"
#include "kernels/half.h"

namespace midge::test {
namespace {

float test_float(DataSort sort, TestRandom& random) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  switch (sort) {
    case DataSort::kNormal: return random.uniform() * 3;
    case DataSort::kZeros: return random.below(4) == 0 ? -0.0f : 0.0f;
    case DataSort::kSaturating: return random.below(2) == 0 ? 2.5f : -2.5f;
    case DataSort::kExtreme: {
      const uint32_t bits = random.bits();
      return std::bit_cast<float>((bits & 0x7F800000u) == 0x7F800000u ? bits & ~0x40000000u : bits);
    }
    case DataSort::kSpecial: break;
  }
  switch (random.below(128)) {
    case 0: return kInfinity;
    case 1: return -kInfinity;
    case 2: return std::numeric_limits<float>::quiet_NaN();
    default: return random.uniform();
  }
}

uint16_t test_half(DataSort sort, TestRandom& random) {
  switch (sort) {
    case DataSort::kZeros: return random.below(2) == 0 ? 0x8000 : 0;
    case DataSort::kSaturating: return random.below(2) == 0 ? 0xFBFF : 0x7BFF;
    case DataSort::kExtreme: {
      const auto bits = static_cast<uint16_t>(random.bits());
      return (bits & 0x7C00) == 0x7C00 ? static_cast<uint16_t>(bits & ~0x4000) : bits;
    }
    case DataSort::kSpecial:  // scales of a packed file are not looked at
      if (random.below(64) == 0) return 0x7E00;
      return f32_to_f16(random.uniform() * 0.1f);
    default: return f32_to_f16(random.uniform() * 0.1f);
  }
}

int8_t test_activation(DataSort sort, TestRandom& random) {
  if (sort == DataSort::kZeros) return 0;
  if (sort == DataSort::kSaturating) return random.below(4) == 0 ? 127 : -127;
  return static_cast<int8_t>(static_cast<int>(random.below(255)) - 127);
}

// A packed or file byte of two nibbles, or of one 8-bit weight.
uint8_t test_weight_byte(Encoding encoding, DataSort sort, TestRandom& random) {
  const uint32_t bits = random.bits();
  if (sort != DataSort::kSaturating) return static_cast<uint8_t>(bits);
  if (encoding == Encoding::kQ8B32) return bits % 4 == 0 ? 0x7F : 0x80;
  // Nibbles at the ends, whether the high one is stored as q or as q ^ 8.
  constexpr uint8_t kBytes[] = {0x00, 0x0F, 0xF0, 0xFF, 0x70, 0x7F, 0x80, 0x8F};
  return kBytes[bits % 8];
}

template <typename Unit>
void fill_unit(Encoding encoding, DataSort sort, int64_t columns, TestRandom& random, Unit* unit) {
  for (uint16_t& scale : unit->scales) scale = test_half(sort, random);
  // The bytes behind the scales in groups of 4 columns; a zero is q = 8 in both nibbles.
  uint8_t* bytes = reinterpret_cast<uint8_t*>(unit) + sizeof(unit->scales);
  constexpr int kGroupBytes = sizeof(Unit) == sizeof(UnitQ8B32) ? 128 : 64;
  const uint8_t zero = sizeof(Unit) == sizeof(UnitQ8B32) ? 0 : 0x08;
  const auto groups = (reinterpret_cast<uint8_t*>(unit + 1) - bytes) / kGroupBytes;
  for (int64_t group = 0; group < groups; ++group) {
    for (int i = 0; i < kGroupBytes; ++i) {
      const bool exists = 4 * group + i % 4 < columns;
      *bytes++ = exists ? test_weight_byte(encoding, sort, random) : zero;
    }
  }
}

// A unit of columns that come in whole blocks only: all of them exist. Every byte stands for
// integers of any value.
template <typename Unit>
void fill_whole_unit(Encoding encoding, DataSort sort, TestRandom& random, Unit* unit) {
  auto* bytes = reinterpret_cast<uint8_t*>(unit);
  for (size_t i = 0; i < sizeof(Unit); ++i) bytes[i] = test_weight_byte(encoding, sort, random);
  for (uint16_t& scale : unit->scales) scale = test_half(sort, random);
  if constexpr (requires { unit->minimums; }) {
    for (uint16_t& minimum : unit->minimums) minimum = test_half(sort, random);
  }
}

template <typename Unit>
constexpr bool kIsWhole = !std::is_same_v<Unit, UnitQ4B32> && !std::is_same_v<Unit, UnitQ8B32>;

template <typename Unit>
std::vector<uint8_t> packed(Encoding encoding, DataSort sort, int64_t n, int64_t k,
                            TestRandom& random) {
  const int64_t tiles = (n + kTileRows - 1) / kTileRows;
  const int64_t elements = packed_info(encoding).unit_elements;
  std::vector<uint8_t> bytes(static_cast<size_t>(tiles * packed_tile_bytes(encoding, k)));
  auto* unit = reinterpret_cast<Unit*>(bytes.data());
  for (int64_t tile = 0; tile < tiles; ++tile) {
    for (int64_t first = 0; first < k; first += elements) {
      if constexpr (std::is_same_v<Unit, UnitF16>) {
        for (uint16_t& value : unit->values) value = test_half(sort, random);
      } else if constexpr (kIsWhole<Unit>) {
        fill_whole_unit(encoding, sort, random, unit);
      } else {
        fill_unit(encoding, sort, k - first, random, unit);
      }
      ++unit;
    }
  }
  return bytes;
}

// Byte offsets of the f16 numbers of a file's block.
std::vector<int64_t> half_offsets(Encoding encoding) {
  switch (encoding) {
    case Encoding::kF32:
    case Encoding::kBF16: return {};
    case Encoding::kQ6B16S256: return {offsetof(BlockQ6B16S256, scale)};
    case Encoding::kQ4B32M:
    case Encoding::kQ5B32M:
    case Encoding::kQ4B32MS256:
    case Encoding::kQ5B32MS256: return {0, 2};
    case Encoding::kF16:
    case Encoding::kQ4B32:
    case Encoding::kQ5B32:
    case Encoding::kQ8B32: return {0};
  }
  return {};
}

}  // namespace

uint64_t test_seed() {
  static const uint64_t seed = [] {
    const char* text = std::getenv("MIDGE_TEST_SEED");
    return text == nullptr ? uint64_t{20240607} : uint64_t{std::strtoull(text, nullptr, 0)};
  }();
  return seed;
}

const char* data_sort_name(DataSort sort) {
  switch (sort) {
    case DataSort::kNormal: return "normal";
    case DataSort::kZeros: return "zeros";
    case DataSort::kSaturating: return "saturating";
    case DataSort::kExtreme: return "extreme";
    case DataSort::kSpecial: return "special";
  }
  return "unknown";
}

uint32_t TestRandom::bits() {
  if (counter_ % 4 == 0) {
    const uint64_t seed = test_seed();
    const auto words =
        philox4x32({static_cast<uint32_t>(counter_ / 4), static_cast<uint32_t>(stream_),
                    static_cast<uint32_t>(stream_ >> 32), 0x7E57u},
                   {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
    std::memcpy(words_, words.data(), sizeof(words_));
  }
  return words_[counter_++ % 4];
}

uint32_t TestRandom::below(uint32_t bound) { return (bits() >> 8) % bound; }

float TestRandom::uniform() { return static_cast<float>(static_cast<int32_t>(bits())) * 0x1p-31f; }

std::vector<float> test_floats(DataSort sort, int64_t count, uint64_t stream) {
  TestRandom random(stream);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = test_float(sort, random);
  return values;
}

std::vector<uint16_t> test_halves(DataSort sort, int64_t count, uint64_t stream) {
  TestRandom random(stream);
  std::vector<uint16_t> values(static_cast<size_t>(count));
  for (uint16_t& value : values) value = test_half(sort, random);
  return values;
}

std::vector<LhsBlock> test_lhs_blocks(DataSort sort, int64_t m, int64_t k, uint64_t stream) {
  TestRandom random(stream);
  const int64_t blocks = lhs_blocks(k);
  std::vector<LhsBlock> rows(static_cast<size_t>(m * blocks));
  for (int64_t i = 0; i < m * blocks; ++i) {
    const int64_t columns = k - i % blocks * 32;
    LhsBlock& block = rows[static_cast<size_t>(i)];
    block = {};
    if (columns <= 0) continue;
    block.scale = test_float(sort, random);
    int32_t sum = 0;
    for (int64_t c = 0; c < std::min<int64_t>(columns, 32); ++c) {
      block.values[c] = test_activation(sort, random);
      sum += block.values[c];
    }
    block.correction = -8 * sum;
  }
  return rows;
}

std::vector<uint8_t> test_packed(Encoding encoding, DataSort sort, int64_t n, int64_t k,
                                 uint64_t stream) {
  TestRandom random(stream);
  switch (encoding) {
#define MIDGE_PACKED_ENCODING(token, Name, Block, elements) \
  case Encoding::k##Name: return packed<Unit##Name>(encoding, sort, n, k, random);
#include "kernels/encodings.def"
    case Encoding::kF16: return packed<UnitF16>(encoding, sort, n, k, random);
    default: return {};
  }
}

std::vector<uint8_t> test_encoded_rows(Encoding encoding, DataSort sort, int64_t n, int64_t k,
                                       uint64_t stream) {
  TestRandom random(stream);
  const EncodingInfo& info = encoding_info(encoding);
  std::vector<uint8_t> bytes(static_cast<size_t>(n * encoded_row_bytes(encoding, k)));
  for (uint8_t* block = bytes.data(); block != bytes.data() + bytes.size();
       block += info.block_bytes) {
    if (encoding == Encoding::kF32 || encoding == Encoding::kBF16) {
      const uint32_t bits = std::bit_cast<uint32_t>(test_float(sort, random));
      const uint32_t kept = encoding == Encoding::kF32 ? bits : bits >> 16;
      std::memcpy(block, &kept, static_cast<size_t>(info.block_bytes));
      continue;
    }
    for (int i = 0; i < info.block_bytes; ++i) block[i] = test_weight_byte(encoding, sort, random);
    for (const int64_t offset : half_offsets(encoding)) {
      const uint16_t half = test_half(sort, random);
      std::memcpy(block + offset, &half, sizeof(half));
    }
  }
  return bytes;
}

}  // namespace midge::test
