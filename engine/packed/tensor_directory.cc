#include "engine/packed/tensor_directory.h"

#include "engine/decoder/limits.h"
#include "engine/packed/bytes.h"

namespace midge {
namespace {

// A model of kLayerCountMax layers has some 14,000.
constexpr uint32_t kTensorsMax = 1 << 15;

Status wrong(const char* section, const ByteReader& in) {
  return make_status(StatusCode::kInvalidFile, "section '%s' ends or goes wrong at byte %zu",
                     section, in.position());
}

}  // namespace

std::string write_tensors(std::span<const PackedTensor> tensors) {
  ByteWriter out;
  out.number(static_cast<uint32_t>(tensors.size()));
  for (const PackedTensor& tensor : tensors) {
    out.text(tensor.name);
    out.text(tensor.section);
    out.text(tensor.layout);
    out.text(tensor.encoding);
    out.number(tensor.n);
    out.number(tensor.columns);
    out.text(tensor.tail_encoding);
    out.number(tensor.tail_columns);
    out.number(tensor.offset);
    out.number(tensor.tail_offset);
    out.number(tensor.bytes);
    out.number(tensor.checksum);
  }
  return out.bytes();
}

Result<std::vector<PackedTensor>> read_tensors(std::span<const uint8_t> section) {
  ByteReader in(section);
  const auto count = in.number<uint32_t>();
  if (count > kTensorsMax) {
    return make_status(StatusCode::kInvalidFile, "%u tensors, expected at most %u", count,
                       kTensorsMax);
  }
  std::vector<PackedTensor> tensors;
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    PackedTensor tensor;
    tensor.name = in.text();
    tensor.section = in.text();
    tensor.layout = in.text();
    tensor.encoding = in.text();
    tensor.n = in.number<int64_t>();
    tensor.columns = in.number<int64_t>();
    tensor.tail_encoding = in.text();
    tensor.tail_columns = in.number<int64_t>();
    tensor.offset = in.number<uint64_t>();
    tensor.tail_offset = in.number<uint64_t>();
    tensor.bytes = in.number<uint64_t>();
    tensor.checksum = in.number<uint64_t>();
    tensors.push_back(std::move(tensor));
  }
  if (!in.at_end()) return wrong("tensors", in);
  return tensors;
}

std::string write_config(const ModelConfig& c) {
  ByteWriter out;
  out.text(c.family);
  for (const int64_t number :
       {c.hidden_size, c.layer_count, c.intermediate_size, c.head_count, c.kv_head_count,
        c.head_dim, c.vocab_size, c.context_length, c.sliding_window, c.mtp_layer_count}) {
    out.number(number);
  }
  out.number(c.rms_epsilon);
  out.flag(c.qkv_bias);
  out.flag(c.tied_head);
  out.array(std::span<const int32_t>(c.eos_ids));
  out.number(c.rope.width);
  out.flag(c.rope.interleaved);
  out.number(c.rope.theta);
  out.number(c.rope.attention_factor);
  out.number(c.rope.original_context);
  out.array(std::span<const float>(c.rope.short_factors));
  out.array(std::span<const float>(c.rope.long_factors));
  return out.bytes();
}

Result<ModelConfig> read_config(std::span<const uint8_t> section) {
  ByteReader in(section);
  ModelConfig c;
  c.family = in.text();
  for (int64_t* number :
       {&c.hidden_size, &c.layer_count, &c.intermediate_size, &c.head_count, &c.kv_head_count,
        &c.head_dim, &c.vocab_size, &c.context_length, &c.sliding_window, &c.mtp_layer_count}) {
    *number = in.number<int64_t>();
  }
  c.rms_epsilon = in.number<float>();
  c.qkv_bias = in.flag();
  c.tied_head = in.flag();
  const auto eos_ids = in.array<int32_t>();
  c.rope.width = in.number<int64_t>();
  c.rope.interleaved = in.flag();
  c.rope.theta = in.number<float>();
  c.rope.attention_factor = in.number<float>();
  c.rope.original_context = in.number<int64_t>();
  const auto short_factors = in.array<float>();
  const auto long_factors = in.array<float>();
  if (!in.at_end()) return wrong("config", in);
  c.eos_ids.assign(eos_ids.begin(), eos_ids.end());
  c.rope.short_factors.assign(short_factors.begin(), short_factors.end());
  c.rope.long_factors.assign(long_factors.begin(), long_factors.end());
  MIDGE_RETURN_IF_ERROR(check_config(c));
  return c;
}

}  // namespace midge
