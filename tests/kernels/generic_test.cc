// What the scalar specifications compute, against f64 arithmetic. The other kernels equal them bit
// for bit (kernel_tests.cc).
#include <cmath>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

#include "engine/core/checked_math.h"
#include "kernels/declarations.h"
#include "kernels/half.h"
#include "kernels/kernels.h"
#include "tests/harness/test_data.h"

namespace midge {
namespace {

constexpr float kCanary = 1.2345678e30f;

std::vector<float> random_floats(int64_t count, uint64_t stream, float scale = 1) {
  test::TestRandom random(stream);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = random.uniform() * scale;
  return values;
}

std::vector<float> decode(Encoding encoding, const uint8_t* row, int64_t k) {
  std::vector<float> values(static_cast<size_t>(k));
  const DequantizeArgs args = {k, row, values.data()};
  const KernelInfo* kernel = select_kernel(Op::kDequantize, encoding);
  reinterpret_cast<DequantizeFunction>(kernel->function)(&args);
  return values;
}

// Calls body(kernel, function) for every scalar kernel of an operation.
template <typename Function, typename Body>
void for_kernels(Op op, const Body& body) {
  int kernels = 0;
  for (const KernelInfo& kernel : all_kernels()) {
    if (kernel.op != op || kernel.level != IsaLevel::kGeneric) continue;
    SCOPED_TRACE(kernel.name);
    body(kernel, reinterpret_cast<Function>(kernel.function));
    ++kernels;
  }
  EXPECT_GT(kernels, 0);
}

void check_gemm(const KernelInfo& kernel, int64_t m, int64_t n, int64_t k, bool with_bias) {
  SCOPED_TRACE(::testing::Message() << kernel.name << " m=" << m << " n=" << n << " k=" << k);
  const int64_t rhs_stride = encoded_row_bytes(kernel.encoding, k);
  const std::vector<float> lhs = random_floats(m * k, 1, 3);
  const std::vector<uint8_t> rhs =
      test::test_encoded_rows(kernel.encoding, test::DataSort::kNormal, n, k, 2);
  const std::vector<float> bias = random_floats(n, 9);
  std::vector<float> out(static_cast<size_t>(m * n));
  const GemmArgs args = {m,     n,          k,          lhs.data(),
                         k * 4, rhs.data(), rhs_stride, with_bias ? bias.data() : nullptr,
                         0,     out.data(), n * 4};
  reinterpret_cast<GemmFunction>(kernel.function)(&args);
  for (int64_t j = 0; j < n; ++j) {
    const std::vector<float> w = decode(kernel.encoding, rhs.data() + j * rhs_stride, k);
    for (int64_t i = 0; i < m; ++i) {
      const float found = out[static_cast<size_t>(i * n + j)];
      double sum = with_bias ? bias[static_cast<size_t>(j)] : 0.0;
      double magnitude = std::fabs(sum);
      for (int64_t c = 0; c < k; ++c) {
        const double product =
            double{lhs[static_cast<size_t>(i * k + c)]} * w[static_cast<size_t>(c)];
        sum += product;
        magnitude += std::fabs(product);
      }
      // k / 16 + 5 roundings on the way of each product, the product's own included.
      const double bound = (static_cast<double>(k) / 16 + 6) * 0x1p-24 * magnitude;
      EXPECT_LE(std::fabs(found - sum), bound) << i << " " << j;
    }
  }
}

TEST(Generic, Gemm) {
  for_kernels<GemmFunction>(Op::kGemm, [](const KernelInfo& kernel, GemmFunction) {
    for (const int64_t m : {1, 2, 9}) {
      for (const int64_t n : {1, 5}) {
        for (const int64_t k : {1, 15, 32, 96, 511, 544, 768}) {
          check_gemm(kernel, m, n, k, n == 5);
        }
      }
    }
  });
}

void check_rmsnorm(RmsnormFunction rmsnorm) {
  for (const int64_t n : {1, 16, 31, 192}) {
    const std::vector<float> in = random_floats(2 * n, 3, 10);
    const std::vector<float> weight = random_floats(n, 4);
    std::vector<float> out(static_cast<size_t>(2 * (n + 3)), kCanary);
    const RmsnormArgs args = {2,     n,          in.data(),  n * 4, weight.data(),
                              1e-5f, out.data(), (n + 3) * 4};
    rmsnorm(&args);
    for (int64_t i = 0; i < 2; ++i) {
      double squares = 0;
      for (int64_t j = 0; j < n; ++j) {
        const double x = in[static_cast<size_t>(i * n + j)];
        squares += x * x;
      }
      const double scale = 1 / std::sqrt(squares / static_cast<double>(n) + 1e-5);
      for (int64_t j = 0; j < n; ++j) {
        const auto at = static_cast<size_t>(i * n + j);
        const double expected = in[at] * scale * weight[static_cast<size_t>(j)];
        EXPECT_NEAR(out[static_cast<size_t>(i * (n + 3) + j)], expected, std::fabs(expected) * 2e-6)
            << n << " " << i << " " << j;
      }
      for (int64_t j = n; j < n + 3; ++j) {
        EXPECT_EQ(out[static_cast<size_t>(i * (n + 3) + j)], kCanary);
      }
    }
  }
}

TEST(Generic, Rmsnorm) {
  for_kernels<RmsnormFunction>(
      Op::kRmsnorm, [](const KernelInfo&, RmsnormFunction rmsnorm) { check_rmsnorm(rmsnorm); });
}

void check_rope(RopeFunction rope) {
  const int64_t head_dim = 10;
  const int64_t width = 6;
  const std::vector<float> cos = {0.5f, -0.25f, 1.0f};
  const std::vector<float> sin = {0.125f, 2.0f, 0.0f};
  for (const bool interleaved : {false, true}) {
    std::vector<float> x = random_floats(2 * head_dim, 5);
    const std::vector<float> before = x;
    const int64_t step = interleaved ? 2 : 1;
    const int64_t partner = interleaved ? 1 : 3;
    const RopeArgs args = {2, head_dim * 4, width, step, partner, cos.data(), sin.data(), x.data()};
    rope(&args);
    for (size_t h = 0; h < 2; ++h) {
      const float* a = before.data() + h * head_dim;
      const float* b = x.data() + h * head_dim;
      for (size_t j = 0; j < 3; ++j) {
        const size_t first = interleaved ? 2 * j : j;
        const size_t second = interleaved ? 2 * j + 1 : j + 3;
        EXPECT_FLOAT_EQ(b[first], a[first] * cos[j] - a[second] * sin[j]);
        EXPECT_FLOAT_EQ(b[second], a[second] * cos[j] + a[first] * sin[j]);
      }
      for (size_t j = width; j < head_dim; ++j) EXPECT_EQ(b[j], a[j]);
    }
  }
}

TEST(Generic, RopeRotatesPairsAndLeavesTheRest) {
  for_kernels<RopeFunction>(Op::kRope,
                            [](const KernelInfo&, RopeFunction rope) { check_rope(rope); });
}

void check_silu_mul(SiluMulFunction silu_mul) {
  const std::vector<float> gate = {0.0f, 1.0f, -1.0f, 20.0f, -20.0f, 200.0f, -200.0f, 1e-20f};
  const std::vector<float> up = {3.0f, 2.0f, 2.0f, 1.0f, 1.0f, 2.0f, 2.0f, 1.0f};
  std::vector<float> out(gate.size());
  const SiluMulArgs args = {static_cast<int64_t>(gate.size()), gate.data(), up.data(), out.data()};
  silu_mul(&args);
  for (size_t i = 0; i < gate.size(); ++i) {
    const double z = gate[i];
    const double expected = z / (1 + std::exp(-z)) * up[i];
    // Below the smallest normal f32, 0 is right.
    EXPECT_NEAR(out[i], expected, std::fabs(expected) * 4e-7 + 0x1p-126) << i;
  }
}

TEST(Generic, SiluMul) {
  for_kernels<SiluMulFunction>(
      Op::kSiluMul, [](const KernelInfo&, SiluMulFunction silu_mul) { check_silu_mul(silu_mul); });
}

TEST(Generic, ExpSum) {
  for_kernels<ExpSumFunction>(Op::kExpSum, [](const KernelInfo&, ExpSumFunction exp_sum) {
    for (const int64_t n : {1, 8, 63, 64, 65, 200}) {
      const std::vector<float> x = random_floats(n, 12);
      const float maximum = *std::max_element(x.begin(), x.end());
      std::vector<double> sums(static_cast<size_t>(ceil_div(n, kExpSumBlock)) + 1, -1.0);
      const ExpSumArgs args = {n, x.data(), maximum, sums.data()};
      exp_sum(&args);
      EXPECT_EQ(sums.back(), -1.0);
      for (size_t b = 0; b + 1 < sums.size(); ++b) {
        double expected = 0;
        for (size_t i = b * 64; i < std::min(x.size(), (b + 1) * 64); ++i) {
          expected += std::exp(static_cast<double>(x[i]) - static_cast<double>(maximum));
        }
        // exp_f32 is within one ulp, its operand within half of one of numbers up to 2.
        EXPECT_NEAR(sums[b], expected, expected * 3e-7) << n << " " << b;
      }
    }
  });
}

TEST(Generic, Add) {
  for_kernels<AddFunction>(Op::kAdd, [](const KernelInfo&, AddFunction add) {
    for (const int64_t n : {1, 7, 64, 130}) {
      const std::vector<float> a = random_floats(n, 10);
      const std::vector<float> b = random_floats(n, 11);
      std::vector<float> out(static_cast<size_t>(n) + 1, kCanary);
      const AddArgs args = {n, a.data(), b.data(), out.data()};
      add(&args);
      for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(out[i], a[i] + b[i]);
      EXPECT_EQ(out.back(), kCanary);
    }
  });
}

TEST(Generic, Convert) {
  const std::vector<float> in = random_floats(131, 12, 70000);
  for_kernels<ConvertFunction>(
      Op::kConvert, [&](const KernelInfo& kernel, ConvertFunction convert) {
        ASSERT_TRUE(kernel.encoding == Encoding::kF32 || kernel.encoding == Encoding::kF16);
        const bool half = kernel.encoding == Encoding::kF16;
        std::vector<uint8_t> out(in.size() * 4 + 1, 0xA5);
        const ConvertArgs args = {static_cast<int64_t>(in.size()), in.data(), out.data()};
        convert(&args);
        for (size_t i = 0; i < in.size(); ++i) {
          const uint16_t expected16 = f32_to_f16(in[i]);
          EXPECT_EQ(half ? std::memcmp(out.data() + 2 * i, &expected16, 2)
                         : std::memcmp(out.data() + 4 * i, &in[i], 4),
                    0);
        }
        EXPECT_EQ(out[in.size() * (half ? 2 : 4)], 0xA5);
      });
}

// A cache of one head: keys and values [tokens, head_dim], rounded to f16, and both types of it.
struct AttentionData {
  AttentionData(int64_t tokens, int64_t head_dim)
      : keys(random_floats(tokens * head_dim, 7, 2)),
        values(random_floats(tokens * head_dim, 8, 2)) {
    for (std::vector<float>* all : {&keys, &values}) {
      for (float& value : *all) value = f16_to_f32(f32_to_f16(value));
    }
    const int64_t padded = round_up(tokens, kKeyBlock) * head_dim;
    k.resize(static_cast<size_t>(padded));
    k16.resize(static_cast<size_t>(padded));
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t d = 0; d < head_dim; ++d) {
        const int64_t at = (t / kKeyBlock * head_dim + d) * kKeyBlock + t % kKeyBlock;
        const float key = keys[static_cast<size_t>(t * head_dim + d)];
        k[static_cast<size_t>(at)] = key;
        k16[static_cast<size_t>(at)] = f32_to_f16(key);
      }
    }
    for (const float value : values) v16.push_back(f32_to_f16(value));
  }

  std::vector<float> keys;
  std::vector<float> values;
  std::vector<float> k;
  std::vector<uint16_t> k16;
  std::vector<uint16_t> v16;
};

// maximum, total and out of one query in double precision.
struct AttentionResult {
  double maximum = -std::numeric_limits<double>::infinity();
  double total = 0;
  std::vector<double> out;
};
AttentionResult attend(const AttentionData& data, const float* q, int64_t head_dim, int64_t begin,
                       int64_t end, double scale) {
  AttentionResult result;
  result.out.resize(static_cast<size_t>(head_dim));
  std::vector<double> scores;
  for (int64_t t = begin; t < end; ++t) {
    double score = 0;
    for (int64_t d = 0; d < head_dim; ++d) {
      score += double{q[d]} * data.keys[static_cast<size_t>(t * head_dim + d)];
    }
    scores.push_back(score * scale);
    result.maximum = std::max(result.maximum, scores.back());
  }
  for (int64_t t = begin; t < end; ++t) {
    const double weight = std::exp(scores[static_cast<size_t>(t - begin)] - result.maximum);
    result.total += weight;
    for (int64_t d = 0; d < head_dim; ++d) {
      result.out[static_cast<size_t>(d)] +=
          weight * data.values[static_cast<size_t>(t * head_dim + d)];
    }
  }
  return result;
}

void check_attention(const KernelInfo& kernel, AttnFunction function, int64_t head_dim,
                     int64_t tokens) {
  const bool half = kernel.encoding == Encoding::kF16;
  const AttentionData data(tokens, head_dim);
  constexpr int64_t kCount = 3;
  const std::vector<float> q = random_floats(kCount * head_dim, 6, 4);
  std::vector<float> out(static_cast<size_t>(kCount * head_dim + 1), kCanary);
  const int64_t begins[kCount] = {0, tokens / 3, tokens};
  std::vector<AttnQuery> queries;
  for (int64_t j = 0; j < kCount; ++j) {
    queries.push_back({q.data() + j * head_dim, begins[j], tokens, out.data() + j * head_dim});
  }
  const int64_t size = half ? 2 : 4;
  const void* k = half ? static_cast<const void*>(data.k16.data()) : data.k.data();
  const void* v = half ? static_cast<const void*>(data.v16.data()) : data.values.data();
  // A page: values, then keys.
  const int64_t v_bytes = tokens * head_dim * size;
  const int64_t k_bytes = round_up(tokens, kKeyBlock) * head_dim * size;
  std::vector<uint8_t> page_bytes(static_cast<size_t>(v_bytes + k_bytes));
  std::memcpy(page_bytes.data(), v, static_cast<size_t>(v_bytes));
  std::memcpy(page_bytes.data() + v_bytes, k, static_cast<size_t>(k_bytes));
  const uint8_t* const page = page_bytes.data();
  float maximums[kCount];
  float totals[kCount];
  const AttnArgs args = {.count = kCount,
                         .head_dim = head_dim,
                         .queries = queries.data(),
                         .pages = &page,
                         .page_count = 1,
                         .page_tokens = round_up(tokens, kAttnStep),
                         .k_offset = v_bytes,
                         .k_stride = kKeyBlock * head_dim * size,
                         .v_offset = 0,
                         .v_stride = head_dim * size,
                         .scale = 0.3f,
                         .maximums = maximums,
                         .totals = totals};
  function(&args);
  for (size_t j = 0; j < kCount; ++j) {
    const AttentionResult expected =
        attend(data, queries[j].q, head_dim, queries[j].begin, tokens, 0.3f);
    if (queries[j].begin == tokens) {
      EXPECT_EQ(maximums[j], -std::numeric_limits<float>::infinity());
      EXPECT_EQ(totals[j], 0.0f);
    } else {
      EXPECT_NEAR(maximums[j], expected.maximum, 1e-4);
      EXPECT_NEAR(totals[j], expected.total, 1e-4 * expected.total);
    }
    for (size_t d = 0; d < expected.out.size(); ++d) {
      EXPECT_NEAR(queries[j].out[d], expected.out[d], 2e-4 * (1 + expected.total)) << kernel.name;
    }
  }
  EXPECT_EQ(out.back(), kCanary);
}

TEST(Generic, Attention) {
  for_kernels<AttnFunction>(Op::kAttn, [](const KernelInfo& kernel, AttnFunction function) {
    ASSERT_TRUE(kernel.encoding == Encoding::kF32 || kernel.encoding == Encoding::kF16);
    for (const int64_t head_dim : {2, 16, 33, 300}) {
      for (const int64_t tokens : {1, 2, 65, 200}) {
        check_attention(kernel, function, head_dim, tokens);
      }
    }
  });
}

}  // namespace
}  // namespace midge
