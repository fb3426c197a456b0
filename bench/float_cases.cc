// Element-wise operations and attention, on operands that stay in the caches.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "bench/cases.h"
#include "engine/weights/encode.h"

namespace midge::bench {
namespace {

// What args of any of these operations point to.
struct Operands {
  std::vector<float> a;
  std::vector<float> b;
  std::vector<float> c;
  std::vector<float> out;  // large enough for any type
};

// make_args(operands) points to operands->out as the output; what is there before is `a` if the
// operation works in place.
template <typename Args, typename MakeArgs>
Prepared prepare(const KernelInfo& kernel, std::shared_ptr<Operands> operands, double bytes,
                 const MakeArgs& make_args) {
  using Function = void (*)(const Args*);
  const auto function = reinterpret_cast<Function>(kernel.function);
  const auto generic = reinterpret_cast<Function>(generic_of(kernel).function);
  operands->out = operands->a;
  const Args args = make_args(*operands);
  generic(&args);
  const std::vector<float> expected = operands->out;
  operands->out.assign(operands->a.begin(), operands->a.end());  // the same memory
  function(&args);
  Prepared p;
  p.error = difference(kernel, operands->out, expected);
  p.generic_seconds = best_seconds([&] { generic(&args); }, 10, 1e-3);
  p.call = [operands, args, function](int64_t) { function(&args); };
  p.bytes = bytes;
  return p;
}

std::shared_ptr<Operands> make_operands(int64_t count) {
  auto operands = std::make_shared<Operands>();
  operands->a = random_floats(count, 1);
  operands->b = random_floats(count, 2);
  operands->c = random_floats(count, 3);
  return operands;
}

std::string case_name(const KernelInfo& kernel, const std::string& shape) {
  return std::string(op_name(kernel.op)) + '/' + kernel.name + '/' + shape;
}

// The heads that share a KV head.
Prepared prepare_attn(const KernelInfo& kernel, const ModelShape& model, int64_t length) {
  struct AttnCall {
    OperandMemory memory;
    AttnArgs args;
  };
  const int64_t d = model.head_dim;
  const int64_t heads = model.heads / model.kv_heads;
  const std::vector<SeenKeys> seen(static_cast<size_t>(heads), SeenKeys{0, length});
  const AttnShape shape = {kernel.encoding, d, length, 1.0f / std::sqrt(static_cast<float>(d))};
  auto operands = std::make_shared<AttnCall>();
  double cache_bytes = 0;
  if (kernel.op == Op::kAttn) {
    const int64_t row_bytes = encoded_row_bytes(kernel.encoding, d);
    const auto cache = [&](uint64_t seed) {
      const std::vector<float> values = random_floats(length * d, seed);
      std::vector<uint8_t> rows(static_cast<size_t>(length * row_bytes));
      if (kernel.encoding == Encoding::kF32) {
        std::memcpy(rows.data(), values.data(), rows.size());
      } else {
        encode_row(kernel.encoding, values.data(), length * d, nullptr, rows.data());
      }
      return rows;
    };
    operands->args = attn_operands(shape, seen, random_floats(heads * d, 1).data(), cache(4).data(),
                                   cache(5).data(), operands->memory);
    cache_bytes = static_cast<double>(2 * length * row_bytes);
  } else {
    const QuantizedAttn cache =
        random_quantized_attn(kernel.op, d, length, heads, 1, [](int64_t) { return 0.01f; });
    operands->args = quantized_attn_operands(shape, seen, cache, operands->memory);
    cache_bytes = static_cast<double>(cache.keys.size() + cache.values.size() +
                                      4 * (cache.key_scales.size() + cache.value_scales.size()));
  }
  const auto call = [operands](const KernelInfo& info) {
    reinterpret_cast<AttnFunction>(info.function)(&operands->args);
  };
  Prepared p;
  p.error = operands->memory.status().message();
  if (!p.error.empty()) return p;
  float* out = operands->args.queries[0].out;
  call(generic_of(kernel));
  const std::vector<float> expected(out, out + heads * d);
  std::fill_n(out, heads * d, 0.0f);
  call(kernel);
  p.error = difference(kernel, std::vector<float>(out, out + heads * d), expected);
  p.generic_seconds = best_seconds([&] { call(generic_of(kernel)); }, 10, 1e-3);
  p.call = [call, &kernel](int64_t) { call(kernel); };
  p.bytes = cache_bytes;
  p.macs = static_cast<double>(2 * heads * length * d);
  return p;
}

Prepared prepare_rope(const KernelInfo& kernel, const ModelShape& model) {
  const int64_t heads = model.heads + model.kv_heads;
  const int64_t count = heads * model.head_dim;
  auto operands = make_operands(count);
  // Rotations: the vectors keep their length however often they are turned.
  for (int64_t i = 0; i < model.rope_width / 2; ++i) {
    const auto angle = static_cast<float>(i);
    operands->b[static_cast<size_t>(i)] = std::cos(angle);
    operands->c[static_cast<size_t>(i)] = std::sin(angle);
  }
  const auto bytes = static_cast<double>(8 * heads * model.rope_width);  // read and written
  return prepare<RopeArgs>(kernel, operands, bytes, [=](Operands& o) {
    return RopeArgs{heads,      model.head_dim * 4, model.rope_width, 1, model.rope_width / 2,
                    o.b.data(), o.c.data(),         o.out.data()};
  });
}

Prepared prepare_rows(const KernelInfo& kernel, int64_t n) {
  auto operands = make_operands(n);
  const auto bytes = [&](int64_t numbers) { return static_cast<double>(4 * numbers); };
  switch (kernel.op) {
    case Op::kRmsnorm:
      return prepare<RmsnormArgs>(kernel, operands, bytes(3 * n), [=](Operands& o) {
        return RmsnormArgs{1, n, o.a.data(), n * 4, o.b.data(), 1e-5f, o.out.data(), n * 4};
      });
    case Op::kSiluMul:
      return prepare<SiluMulArgs>(kernel, operands, bytes(3 * n), [=](Operands& o) {
        return SiluMulArgs{n, o.b.data(), o.c.data(), o.out.data()};
      });
    case Op::kExpSum:
      return prepare<ExpSumArgs>(kernel, operands, bytes(n), [=](Operands& o) {
        return ExpSumArgs{n, o.b.data(), 8.0f, reinterpret_cast<double*>(o.out.data())};
      });
    case Op::kConvert:
      return prepare<ConvertArgs>(
          kernel, operands,
          static_cast<double>(n * (4 + encoding_info(kernel.encoding).block_bytes)),
          [=](Operands& o) { return ConvertArgs{n, o.b.data(), o.out.data()}; });
    default:
      return prepare<AddArgs>(kernel, operands, bytes(3 * n), [=](Operands& o) {
        return AddArgs{n, o.b.data(), o.c.data(), o.out.data()};
      });
  }
}

}  // namespace

void add_float_cases(const Machine& machine, const KernelInfo& kernel) {
  for (const ModelShape& model : kModels) {
    const std::string name = model.name;
    if (kernel.op == Op::kAttn || kernel.op == Op::kAttnQ8 || kernel.op == Op::kAttnK8V4) {
      for (const int64_t length : {128, 1024, 4096}) {
        add_case(machine, case_name(kernel, name + ".head/length:" + std::to_string(length)),
                 [&kernel, &model, length] { return prepare_attn(kernel, model, length); });
      }
      continue;
    }
    if (kernel.op == Op::kRope) {
      add_case(machine, case_name(kernel, name + ".qk"),
               [&kernel, &model] { return prepare_rope(kernel, model); });
      continue;
    }
    RowShape row = rows(model)[kernel.op == Op::kSiluMul ? 1 : 0];
    if (kernel.op == Op::kExpSum) row = {name + ".logits", model.vocabulary};
    if (kernel.op == Op::kConvert) row = {name + ".kv", model.kv_heads * model.head_dim};
    add_case(machine, case_name(kernel, row.name),
             [&kernel, row] { return prepare_rows(kernel, row.k); });
  }
}

}  // namespace midge::bench
