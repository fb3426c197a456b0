#include "tests/reference/reference.h"

#include <algorithm>
#include <cmath>

#include "kernels/half.h"
#include "kernels/kernels.h"

namespace midge::reference {
namespace {

// The weights of row `i` as floats.
std::vector<float> weight_row(const WeightRows& w, int64_t i) {
  std::vector<float> row(static_cast<size_t>(w.k));
  const DequantizeArgs args = {w.k, w.rows(i, 1).data, row.data()};
  static const KernelTable kernels = make_kernel_table();
  kernels.dequantize[static_cast<int>(w.encoding)](&args);
  return row;
}

// y = x * w^T + bias
Rows linear(const Rows& x, const PreparedMatrix& matrix, std::span<const float> bias) {
  const WeightRows& w = matrix.rows;
  Rows y(x.count(), w.n);
  for (int64_t j = 0; j < w.n; ++j) {
    const std::vector<float> weights = weight_row(w, j);
    for (int64_t i = 0; i < x.count(); ++i) {
      double sum = bias.empty() ? 0.0 : bias[static_cast<size_t>(j)];
      for (int64_t c = 0; c < w.k; ++c)
        sum += double{x.row(i)[c]} * weights[static_cast<size_t>(c)];
      y.row(i)[j] = static_cast<float>(sum);
    }
  }
  return y;
}

// y = x / sqrt(mean(x^2) + epsilon) * weight
Rows rmsnorm(const Rows& x, std::span<const float> weight, float epsilon) {
  Rows y(x.count(), x.columns);
  for (int64_t i = 0; i < x.count(); ++i) {
    double squares = 0;
    for (int64_t c = 0; c < x.columns; ++c) squares += double{x.row(i)[c]} * x.row(i)[c];
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(x.columns) + epsilon);
    for (int64_t c = 0; c < x.columns; ++c) {
      y.row(i)[c] = static_cast<float>(x.row(i)[c] * scale * weight[static_cast<size_t>(c)]);
    }
  }
  return y;
}

// Rotates the first `width` elements of every head in halves; row i is at position i.
void rope(Rows& x, int64_t head_dim, const RopeConfig& config, bool long_rope) {
  const std::vector<float>& factors = long_rope ? config.long_factors : config.short_factors;
  const int64_t half = config.width / 2;
  for (int64_t i = 0; i < x.count(); ++i) {
    for (int64_t j = 0; j < half; ++j) {
      const double factor = factors.empty() ? 1.0 : factors[static_cast<size_t>(j)];
      const double exponent = -2.0 * static_cast<double>(j) / static_cast<double>(config.width);
      const double angle =
          static_cast<double>(i) * std::pow(double{config.theta}, exponent) / factor;
      const double c = std::cos(angle) * config.attention_factor;
      const double s = std::sin(angle) * config.attention_factor;
      for (int64_t head = 0; head < x.columns; head += head_dim) {
        float* a = x.row(i) + head + j;
        float* b = a + half;
        const double a_old = *a;
        const double b_old = *b;
        *a = static_cast<float>(a_old * c - b_old * s);
        *b = static_cast<float>(b_old * c + a_old * s);
      }
    }
  }
}

void round_to_f16(Rows& x) {
  for (float& value : x.values) value = f16_to_f32(f32_to_f16(value));
}

// softmax(q . K^T / sqrt(head_dim)) * V, causal, each group of query heads on one KV head
Rows attention(const Rows& q, const Rows& k, const Rows& v, const ModelConfig& c) {
  Rows out(q.count(), q.columns);
  const int64_t d = c.head_dim;
  const int64_t group = c.head_count / c.kv_head_count;
  for (int64_t i = 0; i < q.count(); ++i) {
    const int64_t first = c.sliding_window > 0 ? std::max<int64_t>(0, i + 1 - c.sliding_window) : 0;
    for (int64_t head = 0; head < c.head_count; ++head) {
      const float* query = q.row(i) + head * d;
      const int64_t kv = head / group * d;
      std::vector<double> weights;
      double maximum = -INFINITY;
      for (int64_t t = first; t <= i; ++t) {
        double score = 0;
        for (int64_t e = 0; e < d; ++e) score += double{query[e]} * k.row(t)[kv + e];
        weights.push_back(score / std::sqrt(static_cast<double>(d)));
        maximum = std::max(maximum, weights.back());
      }
      double total = 0;
      for (double& weight : weights) total += weight = std::exp(weight - maximum);
      for (int64_t e = 0; e < d; ++e) {
        double sum = 0;
        for (int64_t t = first; t <= i; ++t) {
          sum += weights[static_cast<size_t>(t - first)] * v.row(t)[kv + e];
        }
        out.row(i)[head * d + e] = static_cast<float>(sum / total);
      }
    }
  }
  return out;
}

void add(Rows& x, const Rows& y) {
  for (size_t i = 0; i < x.values.size(); ++i) x.values[i] += y.values[i];
}

// x += Wo * attention(norm(x)); x += Wdown * (silu(Wgate * norm(x)) * (Wup * norm(x)))
void run_layer(Rows& x, const LayerWeights<PreparedMatrix>& layer, const ModelConfig& c,
               const Options& options) {
  const Rows attn_in = rmsnorm(x, layer.attn_norm, c.rms_epsilon);
  Rows q = linear(attn_in, layer.q, layer.q_bias);
  Rows k = linear(attn_in, layer.k, layer.k_bias);
  Rows v = linear(attn_in, layer.v, layer.v_bias);
  rope(q, c.head_dim, c.rope, options.long_rope);
  rope(k, c.head_dim, c.rope, options.long_rope);
  if (options.round_kv_to_f16) {
    round_to_f16(k);
    round_to_f16(v);
  }
  add(x, linear(attention(q, k, v, c), layer.o, {}));

  const Rows mlp_in = rmsnorm(x, layer.mlp_norm, c.rms_epsilon);
  Rows gate = linear(mlp_in, layer.gate, {});
  const Rows up = linear(mlp_in, layer.up, {});
  for (size_t i = 0; i < gate.values.size(); ++i) {
    const double z = gate.values[i];
    gate.values[i] = static_cast<float>(z / (1.0 + std::exp(-z)) * up.values[i]);
  }
  add(x, linear(gate, layer.down, {}));
}

Rows embed(const Model& model, std::span<const int32_t> tokens) {
  Rows x(static_cast<int64_t>(tokens.size()), model.config().hidden_size);
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::vector<float> row = weight_row(model.weights().embedding.rows, tokens[i]);
    std::copy(row.begin(), row.end(), x.row(static_cast<int64_t>(i)));
  }
  return x;
}

}  // namespace

Output forward(const Model& model, std::span<const int32_t> tokens, const Options& options) {
  const ModelConfig& c = model.config();
  Rows x = embed(model, tokens);
  for (const LayerWeights<PreparedMatrix>& layer : model.weights().layers)
    run_layer(x, layer, c, options);
  Rows normed = rmsnorm(x, model.weights().final_norm, c.rms_epsilon);
  Rows logits = linear(normed, model.weights().head, {});
  return {std::move(x), std::move(normed), std::move(logits)};
}

Rows mtp_logits(const Model& model, const Rows& hidden, std::span<const int32_t> next_tokens,
                bool mask_first, const Options& options) {
  const ModelConfig& c = model.config();
  const MtpWeights<PreparedMatrix>& mtp = model.weights().mtp.front();
  Rows embedded = embed(model, next_tokens);
  if (mask_first) std::fill_n(embedded.row(0), embedded.columns, 0.0f);
  const Rows token_part = rmsnorm(embedded, mtp.token_norm, c.rms_epsilon);
  const Rows hidden_part = rmsnorm(hidden, mtp.hidden_norm, c.rms_epsilon);
  Rows joined(token_part.count(), 2 * c.hidden_size);
  for (int64_t i = 0; i < joined.count(); ++i) {
    std::copy_n(hidden_part.row(i), c.hidden_size, joined.row(i));
    std::copy_n(token_part.row(i), c.hidden_size, joined.row(i) + c.hidden_size);
  }
  Rows x = linear(joined, mtp.input_proj, {});
  run_layer(x, mtp.layer, c, options);
  return linear(rmsnorm(x, mtp.final_norm, c.rms_epsilon), model.weights().head, {});
}

}  // namespace midge::reference
