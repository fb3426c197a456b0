// Element-wise operations and attention, on operands that stay in the caches.
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
  std::vector<uint8_t> cache;  // of keys and values
  const uint8_t* page = nullptr;
  std::vector<float> scratch;
  std::vector<AttnQuery> queries;
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
  const int64_t d = model.head_dim;
  const int64_t heads = model.heads / model.kv_heads;
  auto operands = make_operands(heads * d);
  operands->scratch.resize(static_cast<size_t>(2 * heads));
  operands->queries.resize(static_cast<size_t>(heads));
  const int64_t stride = encoded_row_bytes(kernel.encoding, d);
  // Keys, then values.
  const std::vector<float> values = random_floats(2 * length * d, 4);
  operands->cache.resize(static_cast<size_t>(2 * length * stride));
  if (kernel.encoding == Encoding::kF32) {
    std::memcpy(operands->cache.data(), values.data(), operands->cache.size());
  } else {
    encode_row(kernel.encoding, values.data(), 2 * length * d, operands->cache.data());
  }
  operands->page = operands->cache.data();
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  Prepared p = prepare<AttnArgs>(
      kernel, operands, static_cast<double>(2 * length * stride), [=](Operands& o) {
        for (int64_t j = 0; j < heads; ++j) {
          o.queries[static_cast<size_t>(j)] = {o.a.data() + j * d, 0, length, o.out.data() + j * d};
        }
        float* maximums = o.scratch.data();
        return AttnArgs{.count = heads,
                        .head_dim = d,
                        .queries = o.queries.data(),
                        .pages = &o.page,
                        .page_count = 1,
                        .page_tokens = length,
                        .k_offset = 0,
                        .k_stride = stride * kKeyBlock,
                        .v_offset = length * stride,
                        .v_stride = stride,
                        .scale = scale,
                        .maximums = maximums,
                        .totals = maximums + heads};
      });
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
  return prepare<RopeArgs>(kernel, operands, static_cast<double>(8 * count), [=](Operands& o) {
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
    if (kernel.op == Op::kAttn) {
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
    if (kernel.op == Op::kConvert) row = {name + ".kv", model.kv_heads * model.head_dim};
    add_case(machine, case_name(kernel, row.name),
             [&kernel, row] { return prepare_rows(kernel, row.k); });
  }
}

}  // namespace midge::bench
