#include "kernels/call.h"

#include <algorithm>
#include <initializer_list>

#include "kernels/kernels.h"

namespace midge {
namespace {

constexpr int64_t kFloat = sizeof(float);

struct Rule {
  bool holds;
  const char* text;
};

const char* first_broken(std::initializer_list<Rule> rules) {
  for (const Rule& rule : rules) {
    if (!rule.holds) return rule.text;
  }
  return nullptr;
}

uintptr_t address(const void* p) { return reinterpret_cast<uintptr_t>(p); }

// There, and aligned to so many bytes.
bool placed(const void* p, int64_t alignment) {
  return p != nullptr && address(p) % static_cast<uintptr_t>(alignment) == 0;
}
bool floats(const float* p) { return placed(p, kFloat); }

// From row to row: whole floats, and no row over the next.
bool stride_fits(int64_t stride, int64_t rows, int64_t row_bytes) {
  return stride % kFloat == 0 && (rows <= 1 || stride >= row_bytes);
}
// Of an addend: a row of its own for each row of the output, or one for all.
bool addend_fits(const float* addend, int64_t stride, int64_t rows, int64_t row_bytes) {
  return addend == nullptr ||
         (floats(addend) && (stride == 0 || stride_fits(stride, rows, row_bytes)));
}

bool apart(const void* a, int64_t a_bytes, const void* b, int64_t b_bytes) {
  return address(a) + static_cast<uintptr_t>(a_bytes) <= address(b) ||
         address(b) + static_cast<uintptr_t>(b_bytes) <= address(a);
}
// The same place or places apart.
bool same_or_apart(const float* a, const float* b, int64_t n) {
  return a == b || apart(a, n * kFloat, b, n * kFloat);
}

int64_t rows_bytes(int64_t rows, int64_t stride, int64_t row_bytes) {
  return (rows - 1) * stride + row_bytes;
}

constexpr const char* kNumbers = "operands that are missing or not aligned to 4 bytes";
constexpr const char* kOverlap = "an output lies over an input";

}  // namespace

const char* broken_rule(const GemmArgs& a) {
  return first_broken({
      {a.m > 0 && a.n > 0 && a.k > 0, "m, n and k are at least 1"},
      {floats(a.lhs) && floats(a.out), kNumbers},
      {placed(a.rhs, 2), "rhs is aligned to 2 bytes"},
      {stride_fits(a.lhs_stride, a.m, a.k * kFloat), "lhs_stride holds a row of lhs"},
      {stride_fits(a.out_stride, a.m, a.n * kFloat), "out_stride holds a row of out"},
      {a.rhs_stride > 0 || a.n == 1, "rhs_stride holds a row of rhs"},
      {addend_fits(a.addend, a.addend_stride, a.m, a.n * kFloat), "addend_stride is 0 or a row"},
      {apart(a.out, rows_bytes(a.m, a.out_stride, a.n * kFloat), a.lhs,
             rows_bytes(a.m, a.lhs_stride, a.k * kFloat)),
       kOverlap},
  });
}

const char* broken_rule(const DequantizeArgs& a) {
  return first_broken({
      {a.k > 0, "k is at least 1"},
      {placed(a.row, 2), "row is aligned to 2 bytes"},
      {floats(a.out), kNumbers},
  });
}

const char* broken_rule(const QuantizeArgs& a) {
  return first_broken({
      {a.k > 0, "k is at least 1"},
      {floats(a.in) && placed(a.out, alignof(LhsBlock)), kNumbers},
      {apart(a.in, a.k * kFloat, a.out, lhs_blocks(a.k) * int64_t{sizeof(LhsBlock)}), kOverlap},
  });
}

const char* broken_rule(const GemvArgs& a) {
  // Of blocks or of floats.
  const int64_t lhs_row = std::min(lhs_blocks(a.k) * int64_t{sizeof(LhsBlock)}, a.k * kFloat);
  return first_broken({
      {a.m > 0 && a.m <= kGemvRowsMax, "m is 1 to kGemvRowsMax"},
      {a.n > 0 && a.k > 0, "n and k are at least 1"},
      {placed(a.lhs, kFloat) && floats(a.out), kNumbers},
      {placed(a.rhs, 64), "rhs is aligned to 64 bytes"},
      {stride_fits(a.lhs_stride, a.m, lhs_row), "lhs_stride holds a row of lhs"},
      {stride_fits(a.out_stride, a.m, a.n * kFloat), "out_stride holds a row of out"},
      {addend_fits(a.addend, a.addend_stride, a.m, a.n * kFloat), "addend_stride is 0 or a row"},
      {apart(a.out, rows_bytes(a.m, a.out_stride, a.n * kFloat), a.lhs,
             rows_bytes(a.m, a.lhs_stride, lhs_row)),
       kOverlap},
  });
}

const char* broken_rule(const LookupArgs& a) {
  return first_broken({
      {a.k > 0, "k is at least 1"},
      {placed(a.tile, 64), "tile is aligned to 64 bytes"},
      {a.row >= 0 && a.row < kTileRows, "row is one of the tile"},
      {floats(a.out), kNumbers},
  });
}

const char* broken_rule(const TakeOutliersArgs& a) {
  return first_broken({
      {a.k > 0 && a.k <= kPanelColumns, "k is 1 to 256"},
      {floats(a.x) && placed(a.count, 1) && placed(a.items, alignof(Outlier)), kNumbers},
  });
}

const char* broken_rule(const QuantizePanelArgs& a) {
  return first_broken({
      {a.first >= 0 && a.m > 0 && a.k > 0, "first is at least 0, m and k at least 1"},
      {a.first + a.m <= a.out.rows, "the rows are rows of out"},
      {floats(a.in) && placed(a.out.values, kFloat) && floats(a.out.scales) &&
           placed(a.out.sums, kFloat),
       kNumbers},
      {stride_fits(a.in_stride, a.m, a.k * kFloat), "in_stride holds a row of in"},
  });
}

const char* broken_rule(const UnpackArgs& a) {
  return first_broken({
      {a.k > 0 && a.k <= kPanelColumns, "k is 1 to 256"},
      {placed(a.rhs, 64), "rhs is aligned to 64 bytes"},
      {placed(a.panel, 64), "panel is aligned to 64 bytes"},
      {floats(a.scales), kNumbers},
  });
}

const char* broken_rule(const GemmPanelArgs& a) {
  return first_broken({
      {a.m > 0, "m is at least 1"},
      {placed(a.lhs, kFloat) && floats(a.lhs_scales) && placed(a.lhs_sums, kFloat) &&
           floats(a.panel_scales),
       kNumbers},
      {placed(a.panel, 64), "panel is aligned to 64 bytes"},
      {placed(a.acc, 64), "acc is aligned to 64 bytes"},
      {apart(a.acc, a.m * kTileRows * kFloat, a.panel, kPanelBytes), kOverlap},
  });
}

const char* broken_rule(const AddOutliersArgs& a) {
  return first_broken({
      {a.m > 0, "m is at least 1"},
      {placed(a.rhs, 64), "rhs is aligned to 64 bytes"},
      {placed(a.counts, 1) && placed(a.items, alignof(Outlier)) && floats(a.columns) &&
           floats(a.acc),
       kNumbers},
      {apart(a.columns, kPanelColumns * kTileRows * kFloat, a.acc, a.m * kTileRows * kFloat),
       "columns lie over acc"},
  });
}

const char* broken_rule(const RmsnormArgs& a) {
  return first_broken({
      {a.m > 0 && a.n > 0, "m and n are at least 1"},
      {floats(a.in) && floats(a.weight) && floats(a.out), kNumbers},
      {stride_fits(a.in_stride, a.m, a.n * kFloat), "in_stride holds a row of in"},
      {stride_fits(a.out_stride, a.m, a.n * kFloat), "out_stride holds a row of out"},
      {(a.in == a.out && (a.in_stride == a.out_stride || a.m == 1)) ||
           apart(a.in, rows_bytes(a.m, a.in_stride, a.n * kFloat), a.out,
                 rows_bytes(a.m, a.out_stride, a.n * kFloat)),
       kOverlap},
  });
}

const char* broken_rule(const RopeArgs& a) {
  return first_broken({
      {a.heads > 0 && a.width > 0 && a.width % 2 == 0, "heads are there, width is even"},
      {a.step > 0 && a.partner > 0, "step and partner are at least 1"},
      {floats(a.cos) && floats(a.sin) && floats(a.x), kNumbers},
      {stride_fits(a.head_stride, a.heads, a.width * kFloat), "head_stride holds a head"},
  });
}

const char* broken_rule(const AttnArgs& a) {
  if (const char* rule = first_broken({
          {a.count > 0 && a.count <= kAttnQueries, "count is 1 to kAttnQueries"},
          {a.head_dim > 0, "head_dim is at least 1"},
          {a.queries != nullptr && floats(a.maximums) && floats(a.totals), kNumbers},
          {a.page_tokens > 0 && a.page_tokens % kAttnStep == 0,
           "page_tokens is a multiple of kAttnStep"},
          {a.k_offset % 32 == 0 && a.k_stride % 32 == 0,
           "k_offset and k_stride are multiples of 32"},
          {a.page_count >= 0 && (a.page_count == 0 || a.pages != nullptr), "the pages are there"},
      })) {
    return rule;
  }
  for (int64_t i = 0; i < a.count; ++i) {
    const AttnQuery& query = a.queries[i];
    if (!floats(query.q) || !floats(query.out)) return kNumbers;
    if (query.begin < query.end && (query.begin < 0 || query.end > a.page_count * a.page_tokens)) {
      return "queries see keys of the pages";
    }
  }
  return nullptr;
}

const char* broken_rule(const SiluMulArgs& a) {
  return first_broken({
      {a.n >= 0, "n is at least 0"},
      {floats(a.gate) && floats(a.up) && floats(a.out), kNumbers},
      {same_or_apart(a.out, a.gate, a.n) && same_or_apart(a.out, a.up, a.n), kOverlap},
  });
}

const char* broken_rule(const ExpSumArgs& a) {
  return first_broken({
      {a.n >= 0, "n is at least 0"},
      {floats(a.x) && placed(a.sums, sizeof(double)), "operands that are missing or not aligned"},
  });
}

const char* broken_rule(const AddArgs& a) {
  return first_broken({
      {a.n >= 0, "n is at least 0"},
      {floats(a.a) && floats(a.b) && floats(a.out), kNumbers},
      {same_or_apart(a.out, a.a, a.n) && same_or_apart(a.out, a.b, a.n), kOverlap},
  });
}

const char* broken_rule(const ConvertArgs& a) {
  return first_broken({
      {a.n >= 0, "n is at least 0"},
      {floats(a.in) && placed(a.out, 2), "operands that are missing or not aligned"},
  });
}

}  // namespace midge
