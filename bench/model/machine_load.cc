#include "bench/model/machine_load.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>

#include <sys/resource.h>
#include <unistd.h>

namespace midge::bench {
namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

}  // namespace

MachineLoad::MachineLoad() : start_(now()) {}

MachineLoad::Times MachineLoad::now() {
  Times times;
  // "cpu user nice system idle iowait irq softirq steal ..." in ticks (proc(5)).
  std::ifstream file("/proc/stat");
  std::string name;
  double ticks[8] = {};
  file >> name;
  for (double& value : ticks) file >> value;
  if (file && name == "cpu") {
    constexpr int kIdle = 3;
    constexpr int kWaiting = 4;
    double busy = 0;
    for (int i = 0; i < 8; ++i) busy += i == kIdle || i == kWaiting ? 0 : ticks[i];
    times.busy = busy / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  times.own = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  times.elapsed =
      std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  return times;
}

double MachineLoad::others() const {
  const Times end = now();
  const double elapsed = end.elapsed - start_.elapsed;
  if (start_.busy < 0 || end.busy < 0 || elapsed <= 0) return -1;
  return std::max(0.0, (end.busy - start_.busy) - (end.own - start_.own)) / elapsed;
}

}  // namespace midge::bench
