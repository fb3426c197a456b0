// Packed weights row by row: quantize, gemv and lookup.
#include <cinttypes>
#include <cstdio>

#include "tests/harness/test_data.h"
#include "tests/kernels/kernel_checks.h"

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
      lhs.floats = test_floats(c.sort, c.m * c.k, 2);
    } else {
      lhs.blocks = test_lhs_blocks(c.sort, c.m, c.k, 2);
    }
  }

  std::vector<uint8_t> packed;
  std::vector<float> addend;
  GemvLhs lhs;
};

void check_case(const KernelInfo& kernel, const GemvCase& c, Failures* failures) {
  const GemvData data(kernel.encoding, c);
  compare_with_generic(kernel, c.name(), failures, [&](KernelCall& call) {
    GemvArgs args = gemv_operands(kernel.encoding, c.m, c.n, c.k, c.padding, data.lhs,
                                  data.packed.data(), call);
    place_out(c.addend, c.padding, data.addend.data(), call, &args);
    return args;
  });
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
      compare_with_generic(kernel, shape, failures,
                           [&](KernelCall& call) { return quantize_operands(k, in.data(), call); });
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
          return lookup_operands(kernel.encoding, k, row, tile.data(), call);
        });
        if (failures->enough()) return;
      }
    }
  }
}

}  // namespace midge::test
