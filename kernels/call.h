// How the engine calls a kernel: in development builds what kernel_types.h asks of the args is
// checked first.
#pragma once

#include "kernels/check.h"
#include "kernels/kernel_types.h"

namespace midge {

/// The first rule of kernel_types.h that args break, as text that lives for ever; null if they keep
/// all that can be seen without knowing the kernel: sizes, alignment, strides, missing pointers,
/// outputs that lie over inputs. The memory behind the pointers is not read, but for the queries of
/// attention. Thread-safe.
const char* broken_rule(const GemmArgs& args);
const char* broken_rule(const DequantizeArgs& args);
const char* broken_rule(const QuantizeArgs& args);
const char* broken_rule(const GemvArgs& args);
const char* broken_rule(const LookupArgs& args);
const char* broken_rule(const TakeOutliersArgs& args);
const char* broken_rule(const QuantizePanelArgs& args);
const char* broken_rule(const UnpackArgs& args);
const char* broken_rule(const GemmPanelArgs& args);
const char* broken_rule(const AddOutliersArgs& args);
const char* broken_rule(const RmsnormArgs& args);
const char* broken_rule(const RopeArgs& args);
const char* broken_rule(const AttnArgs& args);
const char* broken_rule(const SiluMulArgs& args);
const char* broken_rule(const ExpSumArgs& args);
const char* broken_rule(const AddArgs& args);
const char* broken_rule(const ConvertArgs& args);

/// Calls the kernel. A null kernel and broken rules stop development builds (MIDGE_DCHECK).
template <typename Args>
inline void call_kernel(void (*kernel)(const Args*), const Args& args) {
  MIDGE_DCHECK(kernel != nullptr, "no kernel takes these operands");
  if constexpr (kDchecks) {
    const char* const rule = broken_rule(args);
    MIDGE_DCHECK(rule == nullptr, "%s", rule);
  }
  kernel(&args);
}

}  // namespace midge
