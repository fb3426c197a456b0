#include "engine/ops/quantize.h"

#include <algorithm>
#include <numeric>

#include "engine/core/checked_math.h"
#include "kernels/call.h"

namespace midge {
namespace {

// Columns of one row that are quantised as a task. A multiple of 256.
constexpr int64_t kQuantizeColumns = 2048;

constexpr int64_t kFloatBytes = sizeof(float);

// out[rows, k] = rows row..row+rows-1 of the input. out may be in place.
void make(const KernelTable& kernels, const LinearInput& input, int64_t k, int64_t row,
          int64_t rows, float* out) {
  const float* x = input.x + row * k;
  if (input.norm != nullptr) {
    const RmsnormArgs args = {rows,           k, x, k * kFloatBytes, input.norm, input.epsilon, out,
                              k * kFloatBytes};
    call_kernel(kernels.rmsnorm, args);
  } else if (input.up != nullptr) {
    const SiluMulArgs args = {rows * k, x, input.up + row * k, out};
    call_kernel(kernels.silu_mul, args);
  } else if (out != x) {
    std::copy_n(x, rows * k, out);
  }
}

}  // namespace

int64_t quantize_strip_rows(const KernelTables& kernels) {
  int64_t tokens = 1;
  for (const LhsOrder order : kernels.orders())
    tokens = std::lcm(tokens, panel_shape(order).tokens);
  return round_up(8, tokens);
}

void make_rows(const OpContext& context, const LinearInput& input, int64_t m, int64_t k,
               float* out) {
  if (input.norm == nullptr) {  // element by element: one long row
    const LinearInput flat = {.x = input.x, .up = input.up};
    const int64_t count = m * k;
    context.worker->for_each(ceil_div(count, kQuantizeColumns), [&](int64_t piece) {
      const int64_t first = piece * kQuantizeColumns;
      make(*context.kernels, flat, 1, first, std::min(kQuantizeColumns, count - first),
           out + first);
    });
    return;
  }
  context.worker->for_each(
      m, [&](int64_t row) { make(*context.kernels, input, k, row, 1, out + row * k); });
}

void quantize_rows(const OpContext& context, const LinearInput& input, int64_t m, int64_t k,
                   float* strip, LhsBlock* out) {
  const KernelTable& kernels = *context.kernels;
  // Whole rows if there are enough for all workers.
  const int64_t columns = m < context.worker->count() ? kQuantizeColumns : k;
  const int64_t pieces = ceil_div(k, columns);
  int64_t normed_row = -1;
  context.worker->for_each(m * pieces, [&](int64_t item) {
    const int64_t row = item / pieces;
    const int64_t first = item % pieces * columns;
    const int64_t count = std::min(columns, k - first);
    const float* x = input.x + row * k + first;
    if (input.norm != nullptr) {
      // Every worker needs the whole row for its norm: making it again costs less than a barrier.
      if (row != normed_row) make(kernels, input, k, row, 1, strip);
      normed_row = row;
      x = strip + first;
    } else if (input.up != nullptr) {
      const SiluMulArgs args = {count, x, input.up + row * k + first, strip};
      call_kernel(kernels.silu_mul, args);
      x = strip;
    }
    const QuantizeArgs args = {count, x, out + row * lhs_blocks(k) + first / 32};
    call_kernel(kernels.quantize, args);
  });
}

void quantize_panels(const OpContext& context, const LinearInput& input, int64_t m, int64_t k,
                     float* strip, const KernelTables& kernels, const PanelLhs* out,
                     const Outliers& outliers) {
  const int64_t rows = quantize_strip_rows(kernels);
  context.worker->for_each(ceil_div(m, rows), [&](int64_t item) {
    const int64_t first = item * rows;
    const int64_t count = std::min(rows, m - first);
    make(*context.kernels, input, k, first, count, strip);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t column = 0; column < k; column += kPanelColumns) {
        const Outliers at = outliers.from(column / kPanelColumns * m + first + i);
        const TakeOutliersArgs args = {std::min(kPanelColumns, k - column), strip + i * k + column,
                                       at.counts, at.items};
        call_kernel(context.kernels->take_outliers, args);
      }
    }
    for (size_t i = 0; i < kernels.orders().size(); ++i) {
      const QuantizePanelArgs args = {first, count, k, strip, k * kFloatBytes, out[i]};
      call_kernel(kernels.table_of_order(static_cast<int>(i)).quantize_panel, args);
    }
  });
}

}  // namespace midge
