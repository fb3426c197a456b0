// Operations in f32: gemm and dequantize of file encodings, attention, and the element-wise ones.
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <limits>

#include "engine/core/checked_math.h"
#include "tests/harness/test_data.h"
#include "tests/kernels/kernel_checks.h"

namespace midge::test {
namespace {

template <typename... Values>
std::string shape_name(const char* pattern, Values... values) {
  char text[128];
  std::snprintf(text, sizeof(text), pattern, values...);
  return text;
}

constexpr int64_t kLengths[] = {1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 65, 130, 259};

}  // namespace

void check_gemm(const KernelInfo& kernel, Failures* failures) {
  int at = 0;
  for (const int64_t m : {1, 2, 7, 8, 9, 17}) {
    for (const int64_t n : {1, 3, 5, 33}) {
      for (const int64_t k : {1, 15, 32, 96, 256, 511, 512, 544, 768}) {
        if (++at % kShapeStep != 0) continue;
        const DataSort sort = kDataSorts[at % 5];
        const std::vector<float> lhs = test_floats(sort, m * k, 1);
        const std::vector<uint8_t> rhs = test_encoded_rows(kernel.encoding, sort, n, k, 2);
        const std::vector<float> addends = test_floats(DataSort::kNormal, m * n, 3);
        const int64_t padding = at / 20 % 3;
        const Addend addend = kAddends[at / 5 % 4];
        const std::string shape = shape_name(
            "m=%" PRId64 " n=%" PRId64 " k=%" PRId64 " data=%s addend=%s padding=%" PRId64, m, n, k,
            data_sort_name(sort), addend_name(addend), padding);
        compare_with_generic(kernel, shape, failures, [&](KernelCall& call) {
          GemmArgs args =
              gemm_operands(kernel.encoding, m, n, k, padding, lhs.data(), rhs.data(), call);
          place_out(addend, padding, addends.data(), call, &args);
          return args;
        });
        if (failures->enough()) return;
      }
    }
  }
}

void check_dequantize(const KernelInfo& kernel, Failures* failures) {
  const int64_t block = encoding_info(kernel.encoding).block_elements;
  for (const DataSort sort : kDataSorts) {
    for (const int64_t blocks : {1, 2, 3, 7, 16, 33}) {
      // The last block is partly used where it can be.
      const int64_t k = blocks * block - (blocks % 2 == 0 ? block / 3 : 0);
      const std::vector<uint8_t> row = test_encoded_rows(kernel.encoding, sort, 1, k, 1);
      const std::string shape = shape_name("k=%" PRId64 " data=%s", k, data_sort_name(sort));
      compare_with_generic(kernel, shape, failures, [&](KernelCall& call) {
        return dequantize_operands(kernel.encoding, k, row.data(), call);
      });
      if (failures->enough()) return;
    }
  }
}

namespace {

// What the queries of a call see.
enum class Sight { kAll, kCausal, kWindow, kRagged };
constexpr Sight kSights[] = {Sight::kAll, Sight::kCausal, Sight::kWindow, Sight::kRagged};

struct AttnCase {
  int64_t count;
  int64_t group;
  int64_t head_dim;
  int64_t first;  // key that the call begins with
  int64_t end;
};
constexpr AttnCase kAttnCases[] = {
    {1, 1, 8, 0, 1},      {1, 1, 64, 0, 17},     {3, 3, 128, 0, 65},   {4, 4, 128, 64, 200},
    {8, 8, 96, 0, 63},    {5, 1, 80, 100, 131},  {7, 4, 33, 0, 130},   {8, 4, 64, 512, 600},
    {24, 3, 128, 0, 140}, {32, 4, 16, 130, 300}, {11, 3, 256, 0, 70},  {2, 1, 300, 48, 150},
    {6, 3, 2, 0, 64},     {9, 8, 40, 15, 129},   {12, 4, 112, 0, 128}, {32, 1, 24, 0, 90},
};

// What query i sees; queries of one row are a group.
SeenKeys sight_of(Sight sight, int64_t i, const AttnCase& c) {
  const int64_t rows_after = (c.count - 1 - i) / c.group;
  const int64_t end = std::max(c.end - rows_after, c.first + 1);
  switch (sight) {
    case Sight::kAll: return {c.first, c.end};
    case Sight::kCausal: return {c.first, end};
    case Sight::kWindow: return {std::max(c.first, end - 37), end};
    case Sight::kRagged: return {c.first + i * 13 % 90, c.end - i * 29 % 150};  // or nothing
  }
  return {0, 0};
}

}  // namespace

void check_attn(const KernelInfo& kernel, Failures* failures) {
  const int64_t size = encoding_info(kernel.encoding).block_bytes;
  int at = 0;
  for (const DataSort sort : kDataSorts) {
    for (const AttnCase& c : kAttnCases) {
      for (const Sight sight : kSights) {
        if (++at % kShapeStep != 0) continue;
        const int64_t d = c.head_dim;
        const int64_t blocks = ceil_div(c.end, kKeyBlock);
        const int64_t padding = at % 3;
        const std::vector<float> q = test_floats(sort, c.count * d, 1);
        // The scores of normal numbers are within a few units of each other; times `scale`, some
        // weights vanish.
        const float scale = at % 2 == 0 ? 0.3f : 40.0f;
        const std::vector<uint8_t> k =
            test_encoded_rows(kernel.encoding, sort, blocks, d * kKeyBlock, 2);
        std::vector<uint8_t> v = test_encoded_rows(kernel.encoding, sort, c.end, d, 3);
        // NaN in the values of the last key reach those only that see it.
        if (sort == DataSort::kSpecial) std::fill(v.end() - d * size, v.end(), uint8_t{0xFF});
        const std::string shape = shape_name(
            "queries=%" PRId64 " head_dim=%" PRId64 " keys=%" PRId64 "..%" PRId64
            " sight=%d data=%s padding=%" PRId64,
            c.count, d, c.first, c.end, static_cast<int>(sight), data_sort_name(sort), padding);
        std::vector<SeenKeys> seen;
        for (int64_t i = 0; i < c.count; ++i) seen.push_back(sight_of(sight, i, c));
        compare_with_generic(kernel, shape, failures, [&](KernelCall& call) {
          const AttnShape attn_shape = {.encoding = kernel.encoding,
                                        .head_dim = d,
                                        .keys = c.end,
                                        .scale = scale,
                                        .padding = padding,
                                        .page_tokens = (at % 4 / 2 + 1) * kAttnStep,
                                        .values_first = at % 2 == 0,
                                        .first_key = c.first};
          return attn_operands(attn_shape, seen, q.data(), k.data(), v.data(), call);
        });
        if (failures->enough()) return;
      }
    }
  }
}

void check_quantized_attn(const KernelInfo& kernel, Failures* failures) {
  int at = 0;
  for (const DataSort sort : {DataSort::kNormal, DataSort::kZeros, DataSort::kSpecial}) {
    for (const AttnCase& c : kAttnCases) {
      for (const Sight sight : kSights) {
        if (++at % kShapeStep != 0) continue;
        const std::vector<float> scales = test_floats(sort, 4096, 5);
        const QuantizedAttn cache = random_quantized_attn(
            kernel.op, c.head_dim, c.end, c.count, static_cast<uint64_t>(at), [&](int64_t i) {
              const float scale = scales[static_cast<size_t>(i) % scales.size()];
              return kernel.op == Op::kAttnQ8 ? std::fabs(scale) : scale;
            });
        const int64_t padding = at % 3;
        const std::string shape =
            shape_name("queries=%" PRId64 " head_dim=%" PRId64 " keys=%" PRId64 "..%" PRId64
                       " sight=%d data=%s padding=%" PRId64,
                       c.count, c.head_dim, c.first, c.end, static_cast<int>(sight),
                       data_sort_name(sort), padding);
        std::vector<SeenKeys> seen;
        for (int64_t i = 0; i < c.count; ++i) seen.push_back(sight_of(sight, i, c));
        compare_with_generic(kernel, shape, failures, [&](KernelCall& call) {
          const AttnShape attn_shape = {.encoding = Encoding::kF32,
                                        .head_dim = c.head_dim,
                                        .keys = c.end,
                                        .scale = at % 2 == 0 ? 0.001f : 0.02f,
                                        .padding = padding,
                                        .page_tokens = (at % 4 / 2 + 1) * kAttnStep,
                                        .values_first = at % 2 == 0,
                                        .first_key = c.first};
          return quantized_attn_operands(attn_shape, seen, cache, call);
        });
        if (failures->enough()) return;
      }
    }
  }
}

void check_convert(const KernelInfo& kernel, Failures* failures) {
  const int64_t size = encoding_info(kernel.encoding).block_bytes;
  for (const DataSort sort : kDataSorts) {
    for (const int64_t n : kLengths) {
      const std::vector<float> in = test_floats(sort, n, 1);
      const std::string shape = shape_name("n=%" PRId64 " data=%s", n, data_sort_name(sort));
      compare_with_generic(kernel, shape, failures, [&](KernelCall& call) {
        ConvertArgs args = {};
        args.n = n;
        args.in = call.input("in", extent(n * 4), in.data());
        args.out = call.output<void>("out", extent(n * size, size),
                                     size == 2 ? OperandType::kF16 : OperandType::kF32);
        return args;
      });
      if (failures->enough()) return;
    }
  }
}

void check_rmsnorm(const KernelInfo& kernel, Failures* failures) {
  for (const DataSort sort : kDataSorts) {
    for (const int64_t n : kLengths) {
      for (const bool in_place : {false, true}) {
        const int64_t m = n % 4 + 1;
        const std::vector<float> in = test_floats(sort, m * n, 1);
        const std::vector<float> weight = test_floats(DataSort::kNormal, n, 2);
        const std::string shape = shape_name("m=%" PRId64 " n=%" PRId64 " data=%s%s", m, n,
                                             data_sort_name(sort), in_place ? " in place" : "");
        compare_with_generic(kernel, shape, failures, [&](KernelCall& call) {
          RmsnormArgs args = {};
          args.m = m;
          args.n = n;
          args.weight = call.input("weight", extent(n * 4), weight.data());
          args.epsilon = 1e-5f;
          args.out_stride = (n + 3) * 4;
          const Extent out = {m, n * 4, args.out_stride};
          if (in_place) {
            args.out = call.in_out("out", out, in.data(), OperandType::kF32);
            args.in = args.out;
            args.in_stride = args.out_stride;
          } else {
            args.in_stride = (n + 1) * 4;
            args.in = call.input("in", {m, n * 4, args.in_stride}, in.data());
            args.out = call.output<float>("out", out, OperandType::kF32);
          }
          return args;
        });
        if (failures->enough()) return;
      }
    }
  }
}

void check_rope(const KernelInfo& kernel, Failures* failures) {
  for (const DataSort sort : kDataSorts) {
    for (const int64_t width : {2, 4, 6, 8, 16, 30, 32, 64, 96, 128}) {
      for (const bool interleaved : {false, true}) {
        const int64_t heads = width % 5 + 1;
        const int64_t head_dim = width + width % 3 * 4;
        const std::vector<float> x = test_floats(sort, heads * head_dim, 1);
        const std::vector<float> cos = test_floats(DataSort::kNormal, width / 2, 2);
        const std::vector<float> sin = test_floats(DataSort::kNormal, width / 2, 3);
        const std::string shape =
            shape_name("heads=%" PRId64 " width=%" PRId64 " of %" PRId64 " data=%s%s", heads, width,
                       head_dim, data_sort_name(sort), interleaved ? " interleaved" : "");
        compare_with_generic(kernel, shape, failures, [&](KernelCall& call) {
          RopeArgs args = {};
          args.heads = heads;
          args.head_stride = (head_dim + 1) * 4;
          args.width = width;
          args.step = interleaved ? 2 : 1;
          args.partner = interleaved ? 1 : width / 2;
          args.cos = call.input("cos", extent(width / 2 * 4), cos.data());
          args.sin = call.input("sin", extent(width / 2 * 4), sin.data());
          args.x = call.in_out("x", {heads, head_dim * 4, args.head_stride}, x.data(),
                               OperandType::kF32);
          return args;
        });
        if (failures->enough()) return;
      }
    }
  }
}

namespace {

// silu_mul and add: two inputs, either of which may be the output.
template <typename Place>
void check_two_inputs(const KernelInfo& kernel, Failures* failures, const Place& place) {
  constexpr const char* kNames[] = {"apart", "out is the first", "out is the second"};
  for (const DataSort sort : kDataSorts) {
    for (const int64_t n : kLengths) {
      for (int in_place = 0; in_place < 3; ++in_place) {
        const std::vector<float> a = test_floats(sort, n, 1);
        const std::vector<float> b = test_floats(sort, n, 2);
        const std::string shape =
            shape_name("n=%" PRId64 " data=%s %s", n, data_sort_name(sort), kNames[in_place]);
        compare_with_generic(kernel, shape, failures, [&](KernelCall& call) {
          const Extent all = extent(n * 4);
          const float* first = nullptr;
          const float* second = nullptr;
          float* out = nullptr;
          if (in_place == 0) out = call.output<float>("out", all, OperandType::kF32);
          if (in_place == 1) first = out = call.in_out("out", all, a.data(), OperandType::kF32);
          if (in_place == 2) second = out = call.in_out("out", all, b.data(), OperandType::kF32);
          if (first == nullptr) first = call.input("first", all, a.data());
          if (second == nullptr) second = call.input("second", all, b.data());
          return place(n, first, second, out);
        });
        if (failures->enough()) return;
      }
    }
  }
}

}  // namespace

void check_silu_mul(const KernelInfo& kernel, Failures* failures) {
  check_two_inputs(kernel, failures, [](int64_t n, const float* gate, const float* up, float* out) {
    return SiluMulArgs{n, gate, up, out};
  });
}

void check_exp_sum(const KernelInfo& kernel, Failures* failures) {
  for (const DataSort sort : kDataSorts) {
    for (const int64_t n : kLengths) {
      std::vector<float> x = test_floats(sort, n, 1);
      const float maximum = *std::max_element(x.begin(), x.end());
      for (size_t i = 3; i < x.size(); i += 5) x[i] = -std::numeric_limits<float>::infinity();
      const std::string shape = shape_name("n=%" PRId64 " data=%s", n, data_sort_name(sort));
      compare_with_generic(kernel, shape, failures, [&](KernelCall& call) {
        double* sums =
            call.output<double>("sums", extent(ceil_div(n, kExpSumBlock) * 8), OperandType::kBytes);
        return ExpSumArgs{n, call.input("x", extent(n * 4), x.data()), maximum, sums};
      });
      if (failures->enough()) return;
    }
  }
}

void check_add(const KernelInfo& kernel, Failures* failures) {
  check_two_inputs(kernel, failures, [](int64_t n, const float* a, const float* b, float* out) {
    return AddArgs{n, a, b, out};
  });
}

}  // namespace midge::test
