// For builds without XNNPACK.
#include "engine/ops/dense_backend.h"

namespace midge {

bool dense_backend_available() { return false; }

Result<std::unique_ptr<DenseOperator>> create_dense_operator(const WeightRows&, const KernelTable&,
                                                             int, int64_t*) {
  return make_status(StatusCode::kUnsupported,
                     "this build has no XNNPACK (configure with MIDGE_WITH_XNNPACK=ON)");
}

}  // namespace midge
