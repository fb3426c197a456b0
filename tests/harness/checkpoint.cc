#include "tests/harness/checkpoint.h"

#include <cmath>
#include <cstring>

#include <gtest/gtest.h>

#include "engine/core/status.h"
#include "engine/session/random.h"

namespace midge::test {
namespace {

// Roughly normal numbers (the sum of four uniforms, scaled to variance 1).
std::string random_f32(int64_t count, double mean, double deviation, uint64_t seed,
                       uint64_t stream) {
  std::vector<float> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const auto words = philox4x32({static_cast<uint32_t>(i), static_cast<uint32_t>(stream), 7, 0},
                                  {static_cast<uint32_t>(seed), 0});
    double sum = -2.0;
    for (const uint32_t word : words) sum += word * 0x1p-32;
    values[static_cast<size_t>(i)] = static_cast<float>(mean + deviation * sum * std::sqrt(3.0));
  }
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

class TensorFactory {
 public:
  TensorFactory(SafetensorsWriter& writer, uint64_t seed) : writer_(writer), seed_(seed) {}

  void matrix(const std::string& name, int64_t n, int64_t k) {
    writer_.add(name + ".weight", "F32", {n, k},
                random_f32(n * k, 0, 1.5 / std::sqrt(static_cast<double>(k)), seed_, stream_++));
  }
  void norm(const std::string& name, int64_t n) {
    writer_.add(name + ".weight", "F32", {n}, random_f32(n, 1, 0.2, seed_, stream_++));
  }
  void bias(const std::string& name, int64_t n) {
    writer_.add(name + ".bias", "F32", {n}, random_f32(n, 0, 0.5, seed_, stream_++));
  }

 private:
  SafetensorsWriter& writer_;
  uint64_t seed_;
  uint64_t stream_ = 0;
};

void add_layer(TensorFactory& make, const std::string& p, const CheckpointShape& s, bool fused) {
  const int64_t q = s.heads * s.head_dim;
  const int64_t kv = s.kv_heads * s.head_dim;
  make.norm(p + "input_layernorm", s.hidden);
  make.norm(p + "post_attention_layernorm", s.hidden);
  if (fused) {
    make.matrix(p + "self_attn.qkv_proj", q + 2 * kv, s.hidden);
    make.matrix(p + "mlp.gate_up_proj", 2 * s.intermediate, s.hidden);
  } else {
    make.matrix(p + "self_attn.q_proj", q, s.hidden);
    make.matrix(p + "self_attn.k_proj", kv, s.hidden);
    make.matrix(p + "self_attn.v_proj", kv, s.hidden);
    make.bias(p + "self_attn.q_proj", q);
    make.bias(p + "self_attn.k_proj", kv);
    make.bias(p + "self_attn.v_proj", kv);
    make.matrix(p + "mlp.gate_proj", s.intermediate, s.hidden);
    make.matrix(p + "mlp.up_proj", s.intermediate, s.hidden);
  }
  make.matrix(p + "self_attn.o_proj", s.hidden, q);
  make.matrix(p + "mlp.down_proj", s.hidden, s.intermediate);
}

}  // namespace

void SafetensorsWriter::add(const std::string& name, const std::string& dtype,
                            const std::vector<int64_t>& shape, const std::string& bytes) {
  entries_.push_back({name, dtype, shape, bytes});
}

std::string& SafetensorsWriter::bytes_of(const std::string& name) {
  for (Entry& entry : entries_) {
    if (entry.name == name) return entry.bytes;
  }
  ADD_FAILURE() << "no tensor " << name;
  return entries_.front().bytes;
}

std::string SafetensorsWriter::bytes(size_t padding) const {
  std::string header = "{";
  std::string buffer;
  for (const Entry& entry : entries_) {
    if (header.size() > 1) header += ",";
    header += "\"" + entry.name + "\":{\"dtype\":\"" + entry.dtype + "\",\"shape\":[";
    for (size_t i = 0; i < entry.shape.size(); ++i) {
      if (i > 0) header += ',';
      header += std::to_string(entry.shape[i]);
    }
    header += "],\"data_offsets\":[" + std::to_string(buffer.size()) + ",";
    buffer += entry.bytes;
    header += std::to_string(buffer.size()) + "]}";
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8 + padding, ' ');
  std::string file(8, '\0');
  const uint64_t length = header.size();
  std::memcpy(file.data(), &length, 8);
  return file + header + buffer;
}

std::string checkpoint_config(const CheckpointShape& s) {
  std::string window = s.window > 0 ? std::to_string(s.window) : "null";
  return format_string(
      "{\"model_type\":\"%s\",\"hidden_size\":%lld,\"num_hidden_layers\":%lld,"
      "\"intermediate_size\":%lld,\"num_attention_heads\":%lld,\"num_key_value_heads\":%lld,"
      "\"head_dim\":%lld,\"vocab_size\":%lld,\"max_position_embeddings\":%lld,"
      "\"rms_norm_eps\":1e-5,\"rope_theta\":10000.0,\"tie_word_embeddings\":%s,"
      "\"sliding_window\":%s,\"eos_token_id\":1,\"num_nextn_predict_layers\":%d}",
      s.model_type.c_str(), static_cast<long long>(s.hidden), static_cast<long long>(s.layers),
      static_cast<long long>(s.intermediate), static_cast<long long>(s.heads),
      static_cast<long long>(s.kv_heads), static_cast<long long>(s.head_dim),
      static_cast<long long>(s.vocab), static_cast<long long>(s.context), s.tied ? "true" : "false",
      window.c_str(), s.model_type == "mimo" ? 1 : 0);
}

SafetensorsWriter checkpoint_tensors(const CheckpointShape& s, uint64_t seed) {
  SafetensorsWriter writer;
  TensorFactory make(writer, seed);
  make.matrix("model.embed_tokens", s.vocab, s.hidden);
  for (int64_t i = 0; i < s.layers; ++i) {
    add_layer(make, "model.layers." + std::to_string(i) + ".", s, s.model_type == "phi3");
  }
  make.norm("model.norm", s.hidden);
  if (!s.tied) make.matrix("lm_head", s.vocab, s.hidden);
  if (s.model_type == "mimo") {
    const std::string p = "model.mtp_layers.0.";
    make.norm(p + "token_layernorm", s.hidden);
    make.norm(p + "hidden_layernorm", s.hidden);
    make.norm(p + "final_layernorm", s.hidden);
    make.matrix(p + "input_proj", s.hidden, 2 * s.hidden);
    add_layer(make, p, s, false);
  }
  return writer;
}

std::string write_checkpoint(const TempDir& dir, const CheckpointShape& shape, uint64_t seed) {
  dir.write("config.json", checkpoint_config(shape));
  dir.write("model.safetensors", checkpoint_tensors(shape, seed).bytes());
  return dir.path();
}

}  // namespace midge::test
