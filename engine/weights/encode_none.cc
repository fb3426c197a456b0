// For builds that read packed files alone: their matrices are encoded already.
#include "engine/core/check.h"
#include "engine/weights/encode.h"

namespace midge {

bool can_encode(Encoding) { return false; }

void encode_row(Encoding, const float*, int64_t, const float*, void*) {
  MIDGE_DCHECK(false, "an encoding that can_encode() refuses");
}

}  // namespace midge
