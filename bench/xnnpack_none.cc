#include "bench/cases.h"

namespace midge::bench {

void add_xnnpack_cases(const Machine&) {}

}  // namespace midge::bench
