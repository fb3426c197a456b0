#include "engine/calibration/operands.h"

#include <algorithm>
#include <cstring>

namespace midge {
namespace {

uint64_t next_random(uint64_t* state) {  // xorshift64 (Marsaglia)
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

}  // namespace

void* OperandMemory::place(const Extent& extent, const void* dense) {
  // Buffers begin on pages: at the same place of each, operands would meet in the same cache sets.
  constexpr int64_t kLine = 64;
  const int64_t offset = static_cast<int64_t>(buffers_.size()) * 5 * kLine % 4096;
  Result<AlignedBuffer> buffer =
      AlignedBuffer::create(offset + extent.bytes(), "operands of a kernel");
  if (!buffer.ok()) {
    status_ = buffer.status();
    return nullptr;
  }
  uint8_t* at = buffer->data() + offset;
  for (int64_t row = 0; row < extent.rows && dense != nullptr; ++row) {
    std::memcpy(at + row * extent.stride,
                static_cast<const uint8_t*>(dense) + row * extent.row_bytes,
                static_cast<size_t>(extent.row_bytes));
  }
  buffers_.push_back(std::move(*buffer));
  return at;
}

Result<AlignedBuffer> random_weights(int64_t bytes) {
  MIDGE_ASSIGN_OR_RETURN(AlignedBuffer buffer,
                         AlignedBuffer::create(round_up(bytes, 8), "random weights"));
  buffer.prefer_huge_pages();
  uint64_t state = 1;
  auto* words = reinterpret_cast<uint64_t*>(buffer.data());
  // An f16 or f32 with bit 14 of its upper half clear is less than 2.
  for (int64_t i = 0; i < buffer.bytes() / 8; ++i) {
    words[i] = next_random(&state) & 0xBFFFBFFFBFFFBFFFu;
  }
  return buffer;
}

std::vector<float> random_floats(int64_t count, uint64_t seed) {
  uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) {
    value = static_cast<float>(static_cast<int32_t>(next_random(&state) >> 32)) * 0x1p-31f;
  }
  return values;
}

std::vector<LhsBlock> quantized_rows(const std::vector<float>& in, int64_t m, int64_t k) {
  std::vector<LhsBlock> blocks(static_cast<size_t>(m * lhs_blocks(k)));
  for (int64_t row = 0; row < m; ++row) {
    const QuantizeArgs args = {k, in.data() + row * k, blocks.data() + row * lhs_blocks(k)};
    quantize_q8b32_f32_generic(&args);
  }
  return blocks;
}

std::vector<uint8_t> attn_page(const AttnShape& shape, const AttnArgs& args, int64_t begin,
                               const uint8_t* k, const uint8_t* v) {
  const int64_t row_bytes = shape.head_dim * encoding_info(shape.encoding).block_bytes;
  const int64_t count = std::min(args.page_tokens, shape.keys - begin);
  std::vector<uint8_t> page;
  const auto put = [&](int64_t at, const uint8_t* from, int64_t bytes) {
    page.resize(std::max(page.size(), static_cast<size_t>(at + bytes)), 0xFF);
    std::memcpy(page.data() + at, from, static_cast<size_t>(bytes));
  };
  for (int64_t t = 0; t < count; ++t) {
    put(args.v_offset + t * args.v_stride, v + (begin + t) * row_bytes, row_bytes);
  }
  for (int64_t t = 0; t < count; t += kKeyBlock) {
    put(args.k_offset + t / kKeyBlock * args.k_stride, k + (begin + t) * row_bytes,
        row_bytes * kKeyBlock);
  }
  return page;
}

}  // namespace midge
