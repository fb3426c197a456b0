// Prefill arithmetic: quantize_panel by its order of activations; unpack together with the
// gemm_panel that reads its order of panels.
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "tests/harness/test_data.h"
#include "tests/kernels/kernel_checks.h"

namespace midge::test {
namespace {

int64_t super_blocks(int64_t k) { return (k + kPanelColumns - 1) / kPanelColumns; }

// The values of a PanelLhs from those with tokens 1 and group 256, [super_blocks][rows][256]; rows
// a multiple of the shape's tokens if there are several super-blocks.
std::vector<int8_t> reordered(const std::vector<int8_t>& plain, int64_t rows, PanelShape shape) {
  const auto unit = static_cast<size_t>(shape.tokens * kPanelColumns);
  // Places of rows that do not exist may hold anything.
  std::vector<int8_t> values((plain.size() + unit - 1) / unit * unit, -77);
  for (size_t i = 0; i < plain.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const int64_t column = at % kPanelColumns;
    const int64_t row = at / kPanelColumns % rows;
    const int64_t block = at / kPanelColumns / rows;
    const int64_t to = (block * rows + row / shape.tokens * shape.tokens) * kPanelColumns +
                       column / shape.group * shape.tokens * shape.group +
                       row % shape.tokens * shape.group + column % shape.group;
    values[static_cast<size_t>(to)] = plain[i];
  }
  return values;
}

// The kernel of the prefill arithmetic that goes with `partner` on a core that has what it needs;
// null and a failure if there is none.
const KernelInfo* panel_kernel(Op op, Encoding encoding, const KernelInfo& partner,
                               Failures* failures) {
  const KernelInfo* kernel = select_panel_kernel(op, encoding, partner, {partner.features});
  if (kernel == nullptr) {
    failures->add(std::string(partner.name) + " has no " + op_name(op) + " for " +
                  encoding_info(encoding).name);
  }
  return kernel;
}

struct Panel {
  std::vector<uint8_t> values;
  std::vector<uint8_t> scales;
};

// Unpacks by `kernel` with both placements, which must agree; scales also with those of `expected`,
// if there is one.
bool unpack(const KernelInfo& kernel, const std::vector<uint8_t>& units, int64_t k,
            const std::string& shape, const Panel* expected, Failures* failures, Panel* panel) {
  const auto place = [&](KernelCall& call) {
    return unpack_operands(kernel.encoding, k, units.data(), call);
  };
  const std::string label = std::string(kernel.name) + ' ' + shape;
  KernelCall at_end(label, Placement::kAtEnd, failures);
  const UnpackArgs args = place(at_end);
  if (!at_end.run(kernel.function, &args)) return false;
  if (expected != nullptr) at_end.compare_result("scales", expected->scales.data());
  *panel = {at_end.result("panel"), at_end.result("scales")};
  KernelCall at_start(label, Placement::kAtStart, failures);
  const UnpackArgs args_at_start = place(at_start);
  if (!at_start.run(kernel.function, &args_at_start)) return false;
  at_start.compare_with(at_end);
  return true;
}

// Operands of gemm_panel in plain order.
struct PanelCase {
  int64_t m;
  DataSort sort;
  bool first;
  std::vector<int8_t> values;
  std::vector<float> scales;
  std::vector<int32_t> sums;
  std::vector<float> acc;
};

PanelCase make_panel_case(int64_t m, DataSort sort, bool first) {
  PanelCase c = {m, sort, first, {}, test_floats(sort, m, 11), {}, test_floats(sort, m * 32, 12)};
  TestRandom random(13);
  for (int64_t i = 0; i < m; ++i) {
    int32_t sum = 0;
    for (int64_t column = 0; column < kPanelColumns; ++column) {
      const auto magnitude =
          sort == DataSort::kSaturating ? 127 : static_cast<int>(random.below(128));
      const auto value = static_cast<int8_t>(random.below(4) == 0 ? magnitude : -magnitude);
      c.values.push_back(value);
      sum += value;
    }
    c.sums.push_back(sum);
  }
  return c;
}

GemmPanelArgs place(const PanelCase& c, const std::vector<int8_t>& lhs, const Panel& panel,
                    KernelCall& call) {
  PanelProduct product;
  product.m = c.m;
  product.first = c.first;
  product.lhs = lhs.data();
  product.lhs_rows = static_cast<int64_t>(lhs.size()) / kPanelColumns;
  product.lhs_scales = c.scales.data();
  product.lhs_sums = c.sums.data();
  product.panel = reinterpret_cast<const int8_t*>(panel.values.data());
  product.panel_scales = reinterpret_cast<const float*>(panel.scales.data());
  product.acc = c.acc.data();
  return gemm_panel_operands(product, call);
}

// gemm_panel of the kernels' level on a panel that unpack of the level made, next to the
// specification of both.
void check_pair(const KernelInfo& unpack_kernel, const KernelInfo& gemm_kernel, int64_t k,
                DataSort sort, const std::vector<int64_t>& rows, Failures* failures) {
  const Encoding encoding = unpack_kernel.encoding;
  const std::vector<uint8_t> units = test_packed(encoding, sort, kTileRows, k, 10);
  char shape[64];
  std::snprintf(shape, sizeof(shape), "k=%" PRId64 " data=%s", k, data_sort_name(sort));
  Panel expected_panel;
  Panel panel;
  const KernelInfo& generic_unpack = generic_of(unpack_kernel);
  if (!unpack(generic_unpack, units, k, shape, nullptr, failures, &expected_panel)) return;
  if (!unpack(unpack_kernel, units, k, shape, &expected_panel, failures, &panel)) return;
  for (const int64_t m : rows) {
    for (const bool first : {true, false}) {
      const PanelCase c = make_panel_case(m, sort, first);
      const std::vector<int8_t> lhs = reordered(c.values, m, panel_shape(gemm_kernel.layout.lhs));
      char label[256];
      std::snprintf(label, sizeof(label), " (panel by %s %s) m=%" PRId64 "%s", unpack_kernel.name,
                    shape, m, first ? " first" : "");
      const KernelInfo& generic = generic_of(gemm_kernel);
      KernelCall expected(generic.name + std::string(label), Placement::kAtEnd, failures);
      const GemmPanelArgs args = place(c, c.values, expected_panel, expected);
      if (!expected.run(generic.function, &args)) return;
      for (const Placement placement : {Placement::kAtEnd, Placement::kAtStart}) {
        KernelCall found(gemm_kernel.name + std::string(label), placement, failures);
        const GemmPanelArgs found_args = place(c, lhs, panel, found);
        if (found.run(gemm_kernel.function, &found_args)) found.compare_with(expected);
      }
      if (failures->enough()) return;
    }
  }
}

void check_pairs(const KernelInfo& unpack_kernel, const KernelInfo& gemm_kernel,
                 Failures* failures) {
  const PanelShape shape = panel_shape(gemm_kernel.layout.lhs);
  std::vector<int64_t> rows;
  for (const int64_t count : {1, 2, 3, 4, 5, 7}) rows.push_back(count * shape.tokens);
  for (int64_t m = shape.step; m < 2 * shape.tokens; m += shape.step) {
    if (m % shape.tokens != 0) rows.push_back(m);
  }
  // Around the tiles of kernels that take any number.
  if (shape.tokens == 1) {
    rows.insert(rows.end(), {8, 9, 15, 16, 17, 31, 32, 33, 48, 50, 64, 65, 97});
  }
  for (const DataSort sort : kDataSorts) {
    check_pair(unpack_kernel, gemm_kernel, kPanelColumns, sort, rows, failures);
    for (const int64_t k : {1, 31, 32, 40, 64, 96, 160, 224, 255}) {
      if (!failures->enough()) {
        check_pair(unpack_kernel, gemm_kernel, k, sort, {shape.tokens}, failures);
      }
    }
  }
}

void check_quantize_panel_case(const KernelInfo& kernel, DataSort sort, int64_t first, int64_t m,
                               int64_t k, int64_t padding, Failures* failures) {
  const PanelShape shape = panel_shape(kernel.layout.lhs);
  const int64_t rows = (first + m + shape.tokens - 1) / shape.tokens * shape.tokens + shape.tokens;
  const int64_t blocks = super_blocks(k);
  const std::vector<float> in = test_floats(sort, m * k, 20);
  char text[128];
  std::snprintf(text, sizeof(text),
                " first=%" PRId64 " m=%" PRId64 " k=%" PRId64 " data=%s padding=%" PRId64, first, m,
                k, data_sort_name(sort), padding);
  // Rows that are not asked for keep what they have.
  const auto place = [&](KernelCall& call) {
    return quantize_panel_operands(first, m, k, padding, rows, in.data(), 85, call);
  };

  const KernelInfo& generic = generic_of(kernel);
  KernelCall expected(generic.name + std::string(text), Placement::kAtEnd, failures);
  const QuantizePanelArgs args = place(expected);
  if (!expected.run(generic.function, &args)) return;
  // The specification has no rows to fill up; the other levels' tokens make zeros of them.
  const auto zero_rows = [&](std::vector<uint8_t> bytes, int64_t row_bytes) {
    const int64_t filled = (first + m + shape.tokens - 1) / shape.tokens * shape.tokens;
    for (int64_t block = 0; block < blocks; ++block) {
      const auto begin = bytes.begin() + (block * rows + first + m) * row_bytes;
      std::fill(begin, begin + (filled - first - m) * row_bytes, uint8_t{0});
    }
    return bytes;
  };
  const std::vector<uint8_t> plain = zero_rows(expected.result("values"), kPanelColumns);
  const std::vector<int8_t> values =
      reordered(std::vector<int8_t>(plain.begin(), plain.end()), rows, shape);
  const std::vector<uint8_t> scales = zero_rows(expected.result("scales"), 4);
  const std::vector<uint8_t> sums = zero_rows(expected.result("sums"), 4);

  for (const Placement placement : {Placement::kAtEnd, Placement::kAtStart}) {
    KernelCall found(kernel.name + std::string(text), placement, failures);
    const QuantizePanelArgs found_args = place(found);
    if (!found.run(kernel.function, &found_args)) continue;
    found.compare_result("values", values.data());
    found.compare_result("scales", scales.data());
    found.compare_result("sums", sums.data());
  }
}

}  // namespace

void check_quantize_panel(const KernelInfo& kernel, Failures* failures) {
  const int64_t tokens = panel_shape(kernel.layout.lhs).tokens;
  int at = 0;
  for (const DataSort sort : kDataSorts) {
    for (const int64_t k : {1, 7, 32, 100, 255, 256, 257, 300, 512, 1056}) {
      for (const int64_t m : {1, 2, 3, 7, 8, 9, 12, 13, 25}) {
        ++at;
        if (at % kShapeStep != 0) continue;
        check_quantize_panel_case(kernel, sort, at % 4 * tokens, m, k, at / 4 % 3, failures);
        if (failures->enough()) return;
      }
    }
  }
}

// Every kernel of the operation is compared with sums in plain loops: there may be one alone.
void check_add_outliers_case(const KernelInfo& kernel, DataSort sort, int64_t m, int64_t k,
                             Failures* failures) {
  const std::vector<uint8_t> units = test_packed(kernel.encoding, sort, kTileRows, k, 30);
  const std::vector<float> acc = test_floats(DataSort::kNormal, m * kTileRows, 31);
  TestRandom random(static_cast<uint64_t>(32 + m));
  std::vector<uint8_t> counts(static_cast<size_t>(m));
  std::vector<Outlier> items(static_cast<size_t>(m * kOutliersMax), Outlier{-1, 0.0f});
  std::vector<float> expected = acc;
  const auto lookup =
      reinterpret_cast<LookupFunction>(select_kernel(Op::kLookup, kernel.encoding)->function);
  std::vector<float> weights(static_cast<size_t>(kTileRows * k));
  for (int64_t row = 0; row < kTileRows; ++row) {
    const LookupArgs args = {k, units.data(), row, weights.data() + row * k};
    lookup(&args);
  }
  for (int64_t i = 0; i < m; ++i) {
    // Most rows have none, as in models; some all that fit. With many rows all of them, so that
    // each column comes up.
    const bool all_columns = m * kOutliersMax >= 2 * kPanelColumns && k == kPanelColumns;
    const uint32_t choice = all_columns ? 7 : random.below(8);
    const auto count = std::min<int64_t>(k, choice < 5   ? 0
                                            : choice < 7 ? choice - 4
                                                         : kOutliersMax);
    counts[static_cast<size_t>(i)] = static_cast<uint8_t>(count);
    for (int64_t o = 0; o < count; ++o) {
      const int64_t step = k / count;
      const int64_t at =
          all_columns ? i % step : static_cast<int64_t>(random.below(static_cast<uint32_t>(step)));
      const auto column = static_cast<int32_t>(o * step + at);
      const float value = 100 * random.uniform();
      items[static_cast<size_t>(i * kOutliersMax + o)] = {column, value};
      for (int64_t row = 0; row < kTileRows; ++row) {
        const float product = value * weights[static_cast<size_t>(row * k + column)];
        expected[static_cast<size_t>(i * kTileRows + row)] += product;
      }
    }
  }
  char label[160];
  std::snprintf(label, sizeof(label), "%s m=%" PRId64 " k=%" PRId64 " data=%s", kernel.name, m, k,
                data_sort_name(sort));
  for (const Placement placement : {Placement::kAtEnd, Placement::kAtStart}) {
    KernelCall call(label, placement, failures);
    const AddOutliersArgs args = add_outliers_operands(
        kernel.encoding, m, k, units.data(), counts.data(), items.data(), acc.data(), call);
    if (call.run(kernel.function, &args)) call.compare_result("acc", expected.data());
  }
}

// What is an outlier, tests/unit/outliers_test.cc says.
void check_take_outliers(const KernelInfo& kernel, Failures* failures) {
  for (const DataSort sort : kDataSorts) {
    for (const int64_t k : {1, 7, 15, 16, 17, 64, 255, 256}) {
      for (const int64_t outliers : {0, 1, 3, 8, 12}) {
        std::vector<float> x = test_floats(sort, k, static_cast<uint64_t>(k));
        for (int64_t o = 0; o < outliers; ++o) x[static_cast<size_t>(o * 37 % k)] *= 100;
        char shape[64];
        std::snprintf(shape, sizeof(shape), "k=%" PRId64 " data=%s outliers=%" PRId64, k,
                      data_sort_name(sort), outliers);
        compare_with_generic(kernel, shape, failures, [&](KernelCall& call) {
          return take_outliers_operands(k, x.data(), call);
        });
        if (failures->enough()) return;
      }
    }
  }
}

void check_add_outliers(const KernelInfo& kernel, Failures* failures) {
  for (const DataSort sort : kDataSorts) {
    for (const int64_t k : {1, 33, 64, 256}) {
      for (const int64_t m : {1, 7, 8, 9, 40, 65}) {
        check_add_outliers_case(kernel, sort, m, k, failures);
        if (failures->enough()) return;
      }
    }
  }
}

void check_unpack(const KernelInfo& kernel, Failures* failures) {
  const KernelInfo* gemm = panel_kernel(Op::kGemmPanel, Encoding::kF32, kernel, failures);
  if (gemm != nullptr) check_pairs(kernel, *gemm, failures);
}

void check_gemm_panel(const KernelInfo& kernel, Failures* failures) {
  for (const KernelInfo& other : all_kernels()) {
    if (other.op != Op::kUnpack || other.level != IsaLevel::kGeneric) continue;
    const KernelInfo* unpack = panel_kernel(Op::kUnpack, other.encoding, kernel, failures);
    if (unpack != nullptr) check_pairs(*unpack, kernel, failures);
  }
}

}  // namespace midge::test
