#include "engine/weights/pack.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "engine/core/aligned_buffer.h"
#include "engine/core/checked_math.h"
#include "engine/weights/encode.h"
#include "kernels/call.h"
#include "kernels/decode_block.h"

namespace midge {
namespace {

bool is_finite(uint16_t half) { return (half & 0x7C00u) != 0x7C00u; }

// q = 0..15 of weight i of 32 in the order of BlockQ4B32.
uint8_t nibble_of(const uint8_t* nibbles, int i) {
  return static_cast<uint8_t>(i < 16 ? nibbles[i] & 15 : nibbles[i - 16] >> 4);
}

// Puts the 32 weights of `row` of a tile into their nibbles of 8 lines; the lines are zero before.
void put_nibbles(const uint8_t* nibbles, int row, uint8_t (*lines)[64]) {
  const int lane = row % 16 * 4;
  for (int i = 0; i < 32; ++i) {
    const uint8_t q = nibble_of(nibbles, i);
    uint8_t& byte = lines[i / 4][lane + i % 4];
    byte = static_cast<uint8_t>(byte | (row < 16 ? q : (q ^ 8) << 4));
  }
}

// A block of a row into its unit.
void put_block(const BlockQ4B32& block, int row, UnitQ4B32* unit) {
  unit->scales[row] = block.scale;
  put_nibbles(block.nibbles, row, unit->nibbles);
}

void put_block(const BlockQ4B32M& block, int row, UnitQ4B32M* unit) {
  unit->scales[row] = block.scale;
  unit->minimums[row] = block.minimum;
  put_nibbles(block.nibbles, row, unit->block.nibbles);
}

void put_block(const BlockQ8B32& block, int row, UnitQ8B32* unit) {
  unit->scales[row] = block.scale;
  for (int i = 0; i < 32; i += 4) {
    std::memcpy(&unit->values[i / 4][row / 16][row % 16 * 4], block.values + i, 4);
  }
}

// Ors the bits of `value` into a byte.
void put_bits(int value, uint8_t& byte) { byte = static_cast<uint8_t>(byte | value); }

// The scales and minimums of 6 bits of a row of a tile, see UnitQ4B32MS256.
void put_sub_scales(const uint8_t* packed_scales, int row, uint8_t (*to)[8][16]) {
  const int lane = row % 16;
  for (int b = 0; b < 8; ++b) {
    const generic::SubScale sub = generic::sub_scale_and_minimum(packed_scales, b);
    put_bits(sub.scale, to[row / 16][b][lane]);
    if (row < 16) {
      put_bits(sub.minimum, to[2][b][lane]);
    } else {
      for (int i = 0; i < 3; ++i) put_bits((sub.minimum >> (2 * i) & 3) << 6, to[i][b][lane]);
    }
  }
}

// Weight l of sub-block b of blocks with pairs of sub-blocks in 32 bytes, without a fifth bit.
int nibble_of_pair(const uint8_t* nibbles, int b, int l) {
  return nibbles[b / 2 * 32 + l] >> (4 * (b % 2)) & 15;
}

void put_block(const BlockQ4B32MS256& block, int row, UnitQ4B32MS256* unit) {
  unit->scales[row] = block.scale;
  unit->minimums[row] = block.minimum;
  put_sub_scales(block.packed_scales, row, unit->sub_scales);
  // Four weights at a time: they are neighbours in both forms.
  for (int i = 0; i < 256; i += 4) {
    const int b = i / 32;
    uint32_t q = 0;
    std::memcpy(&q, block.nibbles + b / 2 * 32 + i % 32, sizeof(q));
    q = q >> (4 * (b % 2)) & 0x0F0F0F0F;
    if (row >= 16) q = (q ^ 0x08080808) << 4;
    uint8_t* to = &unit->blocks[b].nibbles[i % 32 / 4][row % 16 * 4];
    uint32_t old = 0;
    std::memcpy(&old, to, sizeof(old));
    old |= q;
    std::memcpy(to, &old, sizeof(old));
  }
}

// Puts q of a column of a block and of `row` of a tile into a zeroed block of 5 bits.
void put_fifth(int q, int row, int column, UnitQ5B32MS256::Block* block) {
  const int at = row % 16 * 4 + column % 4;
  put_bits((q & 15) << (row < 16 ? 0 : 4), block->nibbles[column / 4][at]);
  put_bits((q >> 4 ^ 1) << (column / 4), block->high_bits[row / 16][at]);
}

// The same of 32 weights in the order of BlockQ5B32.
void put_fifths(const uint8_t* high_bits, const uint8_t* nibbles, int row,
                UnitQ5B32MS256::Block* block) {
  for (int i = 0; i < 32; ++i) {
    put_fifth(nibble_of(nibbles, i) | generic::fifth_bit(high_bits, i), row, i, block);
  }
}

void put_block(const BlockQ5B32& block, int row, UnitQ5B32* unit) {
  unit->scales[row] = block.scale;
  put_fifths(block.high_bits, block.nibbles, row, &unit->block);
}

void put_block(const BlockQ5B32M& block, int row, UnitQ5B32M* unit) {
  unit->scales[row] = block.scale;
  unit->minimums[row] = block.minimum;
  put_fifths(block.high_bits, block.nibbles, row, &unit->block);
}

void put_block(const BlockQ5B32MS256& block, int row, UnitQ5B32MS256* unit) {
  unit->scales[row] = block.scale;
  unit->minimums[row] = block.minimum;
  put_sub_scales(block.packed_scales, row, unit->sub_scales);
  for (int i = 0; i < 256; ++i) {
    const int nibble = nibble_of_pair(block.nibbles, i / 32, i % 32);
    const int fifth = block.high_bits[i % 32] >> (i / 32) & 1;
    put_fifth(nibble | fifth << 4, row, i % 32, &unit->blocks[i / 32]);
  }
}

void put_block(const BlockQ6B16S256& block, int row, UnitQ6B16S256* unit) {
  unit->scales[row] = block.scale;
  for (int run = 0; run < 16; ++run) unit->sub_scales[run][row] = block.scales[run];
  for (int i = 0; i < 256; ++i) {
    UnitQ6B16S256::Columns8& to = unit->columns8[i / 32][i % 32 / 8];
    const int line = i % 8 / 4;
    const int at = row % 16 * 4 + i % 4;
    const int q = generic::q6_of(block, i);
    put_bits((q & 15) << (row < 16 ? 0 : 4), to.nibbles[line][at]);
    put_bits((q ^ 32) >> 4 << (4 * line + row / 16 * 2), to.high_bits[at]);
  }
}

void put_block(const uint16_t& weight, int row, UnitF16* unit) { unit->values[row] = weight; }

// The blocks of one row of a tile into its units.
template <typename Block, typename Unit>
void put_row(const void* blocks, int64_t count, int row, uint8_t* tile) {
  const auto* from = static_cast<const Block*>(blocks);
  auto* to = reinterpret_cast<Unit*>(tile);
  for (int64_t b = 0; b < count; ++b) put_block(from[b], row, to + b);
}

void put_row(Encoding target, const void* blocks, int64_t count, int row, uint8_t* tile) {
  switch (target) {
#define MIDGE_PACKED_ENCODING(token, Name, Block, elements) \
  case Encoding::k##Name: return put_row<Block, Unit##Name>(blocks, count, row, tile);
#include "kernels/encodings.def"
    case Encoding::kF16: return put_row<uint16_t, UnitF16>(blocks, count, row, tile);
    default: return;  // has no packed form: can_pack() said so
  }
}

int64_t block_count(Encoding encoding, int64_t k) {
  return ceil_div(k, encoding_info(encoding).block_elements);
}

template <typename Block>
constexpr bool kHasMinimum = requires(Block block) { block.minimum; };

bool has_minimum(Encoding encoding) {
  switch (encoding) {
#define MIDGE_ENCODING(token, Name, Block, elements) \
  case Encoding::k##Name: return kHasMinimum<Block>;
#include "kernels/encodings.def"
  }
  return false;
}

// The first of `count` blocks that is not finite, or -1. Every encoding that has a packed form
// begins its blocks with an f16, the scale (and then the minimum) or the weight itself, but for one
// that ends them so.
int64_t first_bad_block(Encoding encoding, const void* blocks, int64_t count) {
  const size_t offset =
      encoding == Encoding::kQ6B16S256 ? offsetof(BlockQ6B16S256, scale) : size_t{0};
  const auto* at = static_cast<const uint8_t*>(blocks) + offset;
  for (int64_t b = 0; b < count; ++b, at += encoding_info(encoding).block_bytes) {
    uint16_t halves[2] = {};
    std::memcpy(halves, at, has_minimum(encoding) ? sizeof(halves) : sizeof(halves[0]));
    if (!is_finite(halves[0]) || !is_finite(halves[1])) return b;
  }
  return -1;
}

void keep_smallest(std::atomic<int64_t>& kept, int64_t value) {
  int64_t seen = kept.load();
  while (value < seen && !kept.compare_exchange_weak(seen, value)) {
  }
}

// Calls put(row, blocks) for every row of `w` as blocks of `target`, the rows of a tile in order
// on one worker. Errors: those of pack_matrix; then some rows may not have been put.
template <typename Put>
Status for_encoded_rows(const WorkerTeam& team, const KernelTable& kernels, const WeightRows& w,
                        Encoding target, const float* importance, const std::string& what,
                        const Put& put) {
  const int64_t blocks = block_count(target, w.k);
  // Room per worker for a row as f32 and one in the target's row form.
  const int64_t float_bytes = round_up(w.k * static_cast<int64_t>(sizeof(float)), 64);
  const int64_t room = float_bytes + round_up(encoded_row_bytes(target, w.k), 64);
  MIDGE_ASSIGN_OR_RETURN(const AlignedBuffer rows,
                         AlignedBuffer::create(room * team.thread_count(), "rows to encode"));
  constexpr int64_t kNone = INT64_MAX;
  std::atomic<int64_t> bad = kNone;  // row * blocks + block of the first that is not finite
  const DequantizeFunction dequantize = kernels.dequantize[static_cast<int>(w.encoding)];
  team.run([&](const Worker& worker) {
    auto* floats = reinterpret_cast<float*>(rows.data() + worker.index() * room);
    uint8_t* encoded = rows.data() + worker.index() * room + float_bytes;
    worker.for_each(ceil_div(w.n, kTileRows), [&](int64_t tile) {
      const int64_t last = std::min(w.n, (tile + 1) * kTileRows);
      for (int64_t row = tile * kTileRows; row < last; ++row) {
        const void* from = w.row(row);
        if (w.encoding != target) {
          const DequantizeArgs args = {w.k, from, floats};
          call_kernel(dequantize, args);
          encode_row(target, floats, w.k, importance, encoded);
          from = encoded;
        }
        const int64_t bad_block = first_bad_block(target, from, blocks);
        if (bad_block >= 0) return keep_smallest(bad, row * blocks + bad_block);
        put(row, from);
      }
    });
  });
  if (bad == kNone) return Status();
  return make_status(StatusCode::kInvalidFile,
                     "%s: row %lld, column %lld: the %s is infinite or not a number as f16",
                     what.c_str(), static_cast<long long>(bad / blocks),
                     static_cast<long long>(bad % blocks * encoding_info(target).block_elements),
                     target == Encoding::kF16 ? "weight"
                     : has_minimum(target)    ? "scale or the minimum of the block"
                                              : "scale of the block");
}

}  // namespace

bool can_pack(Encoding encoding, Encoding target) {
  return packed_info(target).unit_elements > 0 && (encoding == target || can_encode(target));
}

int64_t packed_bytes(const WeightRows& w, Encoding target) {
  return ceil_div(w.n, kTileRows) * packed_tile_bytes(target, w.k);
}

int64_t main_columns(const WeightRows& w, Encoding target) {
  const bool is_encoded = w.encoding != target;
  return is_encoded && tail_encoding(target) != target ? w.k / kPanelColumns * kPanelColumns : w.k;
}

Encoding tail_encoding(Encoding target) {
  if (target == Encoding::kQ4B32MS256) return Encoding::kQ4B32;
  if (target == Encoding::kQ5B32MS256) return Encoding::kQ5B32;
  return target;
}

Status pack_matrix(const WorkerTeam& team, const KernelTable& kernels, const WeightRows& w,
                   Encoding target, const float* importance, const std::string& what,
                   uint8_t* out) {
  const int64_t blocks = block_count(target, w.k);
  const int64_t tile_bytes = packed_tile_bytes(target, w.k);
  return for_encoded_rows(team, kernels, w, target, importance, what,
                          [&](int64_t row, const void* from) {
                            put_row(target, from, blocks, static_cast<int>(row % kTileRows),
                                    out + row / kTileRows * tile_bytes);
                          });
}

Status round_matrix(const WorkerTeam& team, const KernelTable& kernels, const WeightRows& w,
                    Encoding target, const float* importance, const std::string& what,
                    int64_t row_floats, float* out) {
  const DequantizeFunction dequantize = kernels.dequantize[static_cast<int>(target)];
  return for_encoded_rows(team, kernels, w, target, importance, what,
                          [&](int64_t row, const void* from) {
                            const DequantizeArgs args = {w.k, from, out + row * row_floats};
                            call_kernel(dequantize, args);
                          });
}

}  // namespace midge
