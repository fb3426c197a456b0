#include "engine/scheduler/model_identity.h"

#include <algorithm>

#include "engine/packed/bytes.h"
#include "engine/packed/hashing.h"

namespace midge {
namespace {

constexpr int64_t kSampleBytes = 4096;

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

void add_config(const ModelConfig& c, ByteWriter& out) {
  for (const int64_t number :
       {c.hidden_size, c.layer_count, c.intermediate_size, c.head_count, c.kv_head_count,
        c.head_dim, c.vocab_size, c.sliding_window, c.rope.width, c.rope.original_context}) {
    out.number(number);
  }
  out.flag(c.rope.interleaved);
  for (const float number : {c.rms_epsilon, c.rope.theta, c.rope.attention_factor}) {
    out.number(number);
  }
  out.array(std::span<const float>(c.rope.short_factors));
  out.array(std::span<const float>(c.rope.long_factors));
}

}  // namespace

ContentHash model_identity(const Executor& executor) {
  const DecoderEngine engine = executor.engine();
  ContentHasher hasher;
  ByteWriter numbers;
  add_config(*engine.config, numbers);
  hasher.add(bytes_of(numbers.bytes()));
  visit_vectors(*engine.weights, [&](const std::string& name, std::span<const float> values) {
    hasher.add(bytes_of(name));
    hasher.add({reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()});
  });
  visit_matrices(
      *engine.weights, engine.config->tied_head,
      [&](const std::string& name, const PreparedMatrix& w) {
        ByteWriter head;
        head.text(name);
        head.number(w.n());
        head.number(w.k());
        head.number(static_cast<int32_t>(w.form));
        head.number(static_cast<int32_t>(w.form == PreparedMatrix::Form::kTiles ? w.tiles.encoding
                                                                                : w.rows.encoding));
        hasher.add(bytes_of(head.bytes()));
        w.visit_memory([&](const uint8_t* start, int64_t bytes) {
          const int64_t sample = std::min(kSampleBytes, bytes);
          for (const int64_t from : {int64_t{0}, (bytes - sample) / 2, bytes - sample}) {
            hasher.add({start + from, static_cast<size_t>(sample)});
          }
        });
      });
  return hasher.hash();
}

}  // namespace midge
