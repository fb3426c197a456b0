// For builds without XNNPACK.
#include "engine/ops/dense_backend.h"

namespace midge {

bool DenseBackend::available() { return false; }

Result<std::unique_ptr<DenseBackend>> DenseBackend::create(
    std::span<const WeightMatrix>, const std::function<void(int64_t, int64_t)>&) {
  return make_status(StatusCode::kUnsupported,
                     "this build has no XNNPACK (configure with MIDGE_WITH_XNNPACK=ON)");
}

}  // namespace midge
