// What passes tell about their cores while they run: how fast each is, and which ones are kept from
// the work by something else. The sets of cores follow.
//
// A worker that the system takes off its core keeps all others waiting at the next barrier, so a
// core that is busy with something else is left out until a probe finds it idle.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/platform/core_choice.h"

namespace midge {

/// What one worker did in a pass.
struct WorkerReading {
  double busy = 0;  ///< seconds in loops whose work is counted
  double work = 0;  ///< done in them, in units that are the same for all loops of a class
  double away = 0;  ///< seconds of the pass for which it wanted its core and did not have it
  double rate = 0;  ///< of the worker, as LoopShares has learned it; 0: not measured yet
};

/// Where a pass runs.
struct ActiveCores {
  std::span<const int> cores;     ///< places in CoreWatch::cores(), one per worker
  std::span<const double> rates;  ///< of the workers, in any unit
  bool are_measured = false;      ///< see LoopShares::start
  bool is_pinned = true;          ///< false: all of them are busy, the system places the workers
};

/// Decides between passes. Pure but for its own state: the time is an argument. Allocates nothing
/// after construction.
class CoreWatch {
 public:
  /// `adapts`: leaves out busy cores.
  CoreWatch(const Topology& topology, const CoreRates& rates, const CoreChoice& choice,
            bool adapts);

  /// Numbers of all cores that passes may run on, fastest first.
  const std::vector<int>& cores() const { return numbers_; }

  /// Where a pass of this class runs from now on. Valid until the next call of note_pass() or
  /// note_probe().
  ActiveCores active(PassClass c);

  /// Takes in a pass of active(c): readings of its workers; `seconds` it took; `now`: seconds on
  /// any clock, at its end.
  void note_pass(PassClass c, std::span<const WorkerReading> readings, double seconds, double now);

  /// A core (its place) that is to be probed now; -1: none. It counts as asked for.
  int take_probe(double now);
  /// What the probe found: whether something else runs there.
  void note_probe(int core, bool is_busy);

  /// Nobody is there to probe it: it counts as idle from `when` on.
  void note_probe_impossible(int core, double when);

  bool is_busy(int core) const { return cores_[static_cast<size_t>(core)].is_busy; }
  /// The rate of a core in a class: measured, or relative to others where it was not yet.
  double rate(PassClass c, int core) const {
    return cores_[static_cast<size_t>(core)].rate[static_cast<int>(c)];
  }

 private:
  struct Core {
    double rate[kPassClassCount] = {};
    int cluster = 0;
    bool is_busy = false;
    double next_probe = 0;
    double idle_after = 0;       // 0: a probe tells
    double may_leave_after = 0;  // leaving it out was no use: not again before
    double backoff = 0;
    // Since the window began.
    double seconds = 0;
    double away = 0;
  };
  // A core that was left out, and how fast passes were with it.
  struct Trial {
    int core = -1;
    double speed_with = 0;
    int passes = 0;
  };
  struct ClassState {
    std::vector<int> active;
    std::vector<double> rates;
    std::vector<int> eligible;  // places, fastest first
    int count = 1;              // workers that the choice asks for
    bool is_measured = false;
    bool is_pinned = true;
    bool is_stale = true;
    // Since the window began.
    double window_work = 0;
    double window_seconds = 0;
    // Work per second when no core was busy, by the number of workers; 0: not known.
    std::vector<double> calm_speeds;
    Trial trial;
  };

  void refresh(ClassState& state, PassClass c);
  void take_rates(ClassState& state, PassClass c, std::span<const WorkerReading> readings);
  void consider(ClassState& state, double now);
  void leave(ClassState& state, int worker, double speed, double now);
  void come_back(int core);
  void take_rate_of_kind(int core);
  void clear_windows();

  std::vector<int> numbers_;
  std::vector<Core> cores_;
  ClassState classes_[kPassClassCount];
  bool adapts_;
};

}  // namespace midge
