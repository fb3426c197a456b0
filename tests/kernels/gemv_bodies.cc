// Packed weights row by row: quantize, gemv and lookup.
#include <cinttypes>
#include <cstdio>

#include "tests/harness/test_data.h"
#include "tests/kernels/kernel_bodies.h"

namespace midge::test {
namespace {

struct GemvCase {
  int64_t m;
  int64_t n;
  int64_t k;
  DataSort sort;
  Addend addend;
  int64_t padding;  // elements between rows

  std::string name() const {
    char text[128];
    std::snprintf(text, sizeof(text),
                  "m=%" PRId64 " n=%" PRId64 " k=%" PRId64 " data=%s addend=%s padding=%" PRId64, m,
                  n, k, data_sort_name(sort), addend_name(addend), padding);
    return text;
  }
};

// What all calls of a case share.
struct GemvData {
  GemvData(Encoding encoding, const GemvCase& c)
      : packed(test_packed(encoding, c.sort, c.n, c.k, 1)),
        addend(test_floats(DataSort::kNormal, c.m * c.n, 3)) {
    if (encoding == Encoding::kF16) {
      floats = test_floats(c.sort, c.m * c.k, 2);
    } else {
      blocks = test_lhs_blocks(c.sort, c.m, c.k, 2);
    }
  }

  std::vector<uint8_t> packed;
  std::vector<float> addend;
  std::vector<float> floats;
  std::vector<LhsBlock> blocks;
};

GemvArgs place(const GemvCase& c, const GemvData& data, KernelCall& call) {
  GemvArgs args = {};
  args.m = c.m;
  args.n = c.n;
  args.k = c.k;
  if (data.blocks.empty()) {
    args.lhs_stride = (c.k + c.padding) * 4;
    args.lhs = call.input("lhs", {c.m, c.k * 4, args.lhs_stride}, data.floats.data());
  } else {
    const int64_t row_bytes = lhs_blocks(c.k) * static_cast<int64_t>(sizeof(LhsBlock));
    args.lhs_stride = row_bytes + c.padding * 4;
    args.lhs = call.input("lhs", {c.m, row_bytes, args.lhs_stride}, data.blocks.data());
  }
  args.rhs =
      call.input("rhs", extent(static_cast<int64_t>(data.packed.size()), 64), data.packed.data());
  place_out(c.addend, c.padding, data.addend.data(), call, &args);
  return args;
}

void check_case(const KernelInfo& kernel, const GemvCase& c, Failures* failures) {
  const GemvData data(kernel.encoding, c);
  compare_with_generic(kernel, c.name(), failures,
                       [&](KernelCall& call) { return place(c, data, call); });
}

}  // namespace

void check_gemv(const KernelInfo& kernel, Failures* failures) {
  constexpr int64_t kColumns[] = {32, 64, 96, 256, 288, 512, 1056, 1, 40, 263};
  constexpr int64_t kRows[] = {1, 31, 32, 33, 63, 64, 100};
  int at = 0;
  for (int64_t m = 1; m <= kernel.rows_max; ++m) {
    for (const int64_t k : kColumns) {
      for (const int64_t n : kRows) {
        // Steps without common factors: in the run of all shapes each value of the others comes up
        // with each of these.
        ++at;
        if (at % kShapeStep != 0) continue;
        const GemvCase c = {m, n, k, kDataSorts[at % 5], kAddends[at / 5 % 4], at / 20 % 3};
        check_case(kernel, c, failures);
        if (failures->enough()) return;
      }
    }
  }
  for (const DataSort sort : kDataSorts) {
    check_case(kernel, {kernel.rows_max, 70, 768, sort, Addend::kNone, 1}, failures);
  }
}

void check_quantize(const KernelInfo& kernel, Failures* failures) {
  for (const DataSort sort : kDataSorts) {
    for (const int64_t k : {1, 7, 31, 32, 33, 64, 100, 255, 256, 257, 288, 511, 1056}) {
      const std::vector<float> in = test_floats(sort, k, static_cast<uint64_t>(k));
      char shape[64];
      std::snprintf(shape, sizeof(shape), "k=%" PRId64 " data=%s", k, data_sort_name(sort));
      compare_with_generic(kernel, shape, failures, [&](KernelCall& call) {
        const int64_t bytes = lhs_blocks(k) * static_cast<int64_t>(sizeof(LhsBlock));
        QuantizeArgs args = {};
        args.k = k;
        args.in = call.input("in", extent(k * 4), in.data());
        args.out = call.output<LhsBlock>("out", extent(bytes), Compare::kLhsBlocks);
        return args;
      });
      if (failures->enough()) return;
    }
  }
}

void check_lookup(const KernelInfo& kernel, Failures* failures) {
  for (const DataSort sort : kDataSorts) {
    for (const int64_t k : {1, 7, 31, 32, 33, 64, 100, 255, 256, 257, 288, 511, 1056}) {
      const std::vector<uint8_t> tile = test_packed(kernel.encoding, sort, kTileRows, k, 1);
      for (const int64_t row : {0, 1, 15, 16, 30, 31}) {
        char shape[64];
        std::snprintf(shape, sizeof(shape), "k=%" PRId64 " row=%" PRId64 " data=%s", k, row,
                      data_sort_name(sort));
        compare_with_generic(kernel, shape, failures, [&](KernelCall& call) {
          LookupArgs args = {};
          args.k = k;
          args.tile =
              call.input("tile", extent(static_cast<int64_t>(tile.size()), 64), tile.data());
          args.row = row;
          args.out = call.output<float>("out", extent(k * 4), Compare::kF32);
          return args;
        });
        if (failures->enough()) return;
      }
    }
  }
}

}  // namespace midge::test
