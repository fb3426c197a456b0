// Bounds of floating-point error, which show how much of them is used.
#pragma once

#include <cstdio>
#include <string>

#include <gtest/gtest.h>

namespace midge::test {

/// Expects observed <= allowed, which NaN is not, and prints both. A bound follows from the number
/// of terms and the epsilon of the type, or is at most four times what was observed.
inline void expect_within(double observed, double allowed, const std::string& what) {
  std::printf("[ error    ] %s: observed %.2g, allowed %.2g\n", what.c_str(), observed, allowed);
  EXPECT_LE(observed, allowed) << what;
}

}  // namespace midge::test
