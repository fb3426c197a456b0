#include "engine/calibration/operands.h"

#include <algorithm>
#include <cstring>

#include "kernels/declarations.h"

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
  // An f16, bf16 or f32 with bit 14 of its upper half clear is less than 2; with bit 13 set it is
  // not subnormal, which takes some CPUs a hundred cycles.
  for (int64_t i = 0; i < buffer.bytes() / 8; ++i) {
    words[i] = (next_random(&state) & 0xBFFFBFFFBFFFBFFFu) | 0x2000200020002000u;
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

QuantizedAttn random_quantized_attn(Op op, int64_t head_dim, int64_t keys, int64_t count,
                                    uint64_t seed, const std::function<float(int64_t)>& scale) {
  uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
  QuantizedAttn cache;
  const int64_t padded = round_up(head_dim, kKeyGroup);
  const int64_t blocks = ceil_div(keys, kKeyBlock);
  const int64_t value_blocks = op == Op::kAttnK8V4 ? ceil_div(head_dim, kValueBlock) : 1;
  cache.key_block_bytes = padded * kKeyBlock;
  cache.value_row_bytes = op == Op::kAttnK8V4 ? value_blocks * kValueBlock / 2 : head_dim;
  cache.by_pairs = op == Op::kAttnQ8;
  cache.query_bytes = static_cast<int64_t>(sizeof(QuantizedQuery)) + padded;
  // -127 .. 127
  const auto random_byte = [&] {
    return static_cast<int8_t>(static_cast<int64_t>((next_random(&state) >> 32) % 255) - 127);
  };
  for (int64_t i = 0; i < count; ++i) {
    std::vector<int8_t> values(static_cast<size_t>(padded));
    QuantizedQuery query = {scale(i) * 0.01f, 0};
    for (int64_t d = 0; d < head_dim; ++d) {
      values[static_cast<size_t>(d)] = random_byte();
      query.sum += values[static_cast<size_t>(d)];
    }
    const auto* head = reinterpret_cast<const uint8_t*>(&query);
    cache.queries.insert(cache.queries.end(), head, head + sizeof(query));
    cache.queries.insert(cache.queries.end(), values.begin(), values.end());
  }
  for (int64_t i = 0; i < blocks * padded * kKeyBlock; ++i) {
    // Zeros behind the last dimension.
    const int64_t d =
        i / (kKeyBlock * kKeyGroup) % (padded / kKeyGroup) * kKeyGroup + i % kKeyGroup;
    cache.keys.push_back(static_cast<uint8_t>(d < head_dim ? random_byte() : 0));
  }
  // Whole pairs of tokens.
  for (int64_t i = 0; i < round_up(keys, int64_t{2}) * cache.value_row_bytes; ++i) {
    cache.values.push_back(static_cast<uint8_t>(random_byte()));
  }
  for (int64_t i = 0; i < blocks * kKeyBlock; ++i) cache.key_scales.push_back(scale(i + 1000));
  for (int64_t i = 0; i < value_blocks * blocks * kKeyBlock; ++i) {
    cache.value_scales.push_back(scale(i + 2000));
  }
  return cache;
}

std::vector<uint8_t> quantized_attn_page(const AttnShape& shape, const AttnArgs& args,
                                         int64_t begin, const QuantizedAttn& cache) {
  const int64_t count = std::min(args.page_tokens, shape.keys - begin);
  const int64_t scales = std::min(args.page_tokens, round_up(count, kKeyBlock));
  std::vector<uint8_t> page;
  const auto put = [&](int64_t at, const void* from, int64_t bytes) {
    page.resize(std::max(page.size(), static_cast<size_t>(at + bytes)), 0xFF);
    std::memcpy(page.data() + at, from, static_cast<size_t>(bytes));
  };
  const int64_t pair = 2 * cache.value_row_bytes;
  for (int64_t t = 0; t < count; t += cache.by_pairs ? 2 : 1) {
    put(args.v_offset + t * args.v_stride,
        cache.values.data() + (begin + t) * cache.value_row_bytes,
        cache.by_pairs ? pair : cache.value_row_bytes);
  }
  for (int64_t t = 0; t < count; t += kKeyBlock) {
    put(args.k_offset + t / kKeyBlock * args.k_stride,
        cache.keys.data() + (begin + t) / kKeyBlock * cache.key_block_bytes, cache.key_block_bytes);
  }
  put(args.k_scales_offset, cache.key_scales.data() + begin, scales * 4);
  const auto all = static_cast<int64_t>(cache.key_scales.size());
  for (int64_t b = 0; b * all < static_cast<int64_t>(cache.value_scales.size()); ++b) {
    put(args.v_scales_offset + b * args.v_scales_stride,
        cache.value_scales.data() + b * all + begin, scales * 4);
  }
  return page;
}

}  // namespace midge
