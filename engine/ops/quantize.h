// From the rows that linear() is given to what its kernels read: floats, LhsBlocks or a PanelLhs.
#pragma once

#include "engine/ops/ops.h"

namespace midge {

/// Rows per item of quantize_panels(): a strip of them stays in the inner caches from the floats to
/// the int8 values.
int64_t quantize_strip_rows(const KernelTables& kernels);

/// out[m, k] = the rows of `input`.
void make_rows(const OpContext& context, const LinearInput& input, int64_t m, int64_t k,
               float* out);

/// Rows in the decode arithmetic: out[m, lhs_blocks(k)]. `strip`: k floats of this worker.
void quantize_rows(const OpContext& context, const LinearInput& input, int64_t m, int64_t k,
                   float* strip, LhsBlock* out);

/// Rows in the prefill arithmetic, in each order that `kernels` has (out[i] for orders()[i]), and
/// their outliers [super-blocks of k][m]. `strip`: quantize_strip_rows() * k floats of this worker.
void quantize_panels(const OpContext& context, const LinearInput& input, int64_t m, int64_t k,
                     float* strip, const KernelTables& kernels, const PanelLhs* out,
                     const Outliers& outliers);

}  // namespace midge
