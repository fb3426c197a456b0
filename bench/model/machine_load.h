// How much of the machine other programs took.
#pragma once

#include <cstdint>

namespace midge::bench {

/// Begins with its construction. Linux; without /proc/stat nothing is known.
class MachineLoad {
 public:
  MachineLoad();

  /// Processor time since then that went to other programs and, of a virtual machine, to other
  /// machines, in cores: 0.5 is half a core. Negative: not known.
  double others() const;

 private:
  struct Times {
    double busy = -1;    ///< seconds of all cores
    double own = 0;      ///< seconds of this process
    double elapsed = 0;  ///< seconds
  };
  static Times now();

  Times start_;
};

}  // namespace midge::bench
