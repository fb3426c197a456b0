#include "engine/platform/core_watch.h"

#include <algorithm>
#include <cmath>

#include "engine/core/check.h"

namespace midge {
namespace {

// How long readings are gathered before they count; within a second of a change there are several.
constexpr double kWindowSeconds = 0.1;
// Between probes of a busy core.
constexpr double kProbeSeconds = 0.25;
// A core is left out for at least this much of its time.
constexpr double kAwayMin = 0.04;
// Leaving a core out is tried where passes would become faster, or slower by less than this.
constexpr double kTryMargin = 0.1;
// If they did become slower than this share of before, it comes back, for a time that doubles.
constexpr double kRegret = 0.97;
constexpr int kTrialPasses = 4;
constexpr double kBackoffSeconds = 1;
constexpr double kBackoffSecondsMax = 16;
// A core may stand in for one that is at most this much faster.
constexpr double kAlike = 0.9;

}  // namespace

CoreWatch::CoreWatch(const Topology& topology, const CoreRates& rates, const CoreChoice& choice,
                     bool adapts)
    : adapts_(adapts) {
  const auto is_chosen = [&](int number) {
    for (const CoreSet& set : choice.sets) {
      if (std::find(set.cores.begin(), set.cores.end(), number) != set.cores.end()) return true;
    }
    return false;
  };
  const auto index_of = [&](int number) {
    return static_cast<size_t>(topology.find(number) - topology.cores.data());
  };
  // Others of a chosen core's cluster may stand in for it.
  const auto may_stand_in = [&](int number) {
    const CpuCore& core = *topology.find(number);
    return core.smt_rank == 0 &&
           std::any_of(topology.cores.begin(), topology.cores.end(), [&](const CpuCore& other) {
             return other.cluster == core.cluster && is_chosen(other.number);
           });
  };
  for (const int number : cores_by_speed(topology, rates)) {
    if (is_chosen(number) || may_stand_in(number)) numbers_.push_back(number);
  }
  for (const int number : numbers_) {
    Core core;
    core.cluster = topology.find(number)->cluster;
    for (int c = 0; c < kPassClassCount; ++c) {
      const std::vector<double>& known =
          rates.weights[c].empty() ? rates.compute : rates.weights[c];
      core.rate[c] = known[index_of(number)];
    }
    cores_.push_back(core);
  }
  for (int c = 0; c < kPassClassCount; ++c) {
    ClassState& state = classes_[c];
    const std::vector<int>& chosen = choice.sets[c].cores;
    state.count = static_cast<int>(std::max<size_t>(1, chosen.size()));
    double slowest = INFINITY;
    for (size_t i = 0; i < numbers_.size(); ++i) {
      if (std::find(chosen.begin(), chosen.end(), numbers_[i]) != chosen.end()) {
        slowest = std::min(slowest, cores_[i].rate[c]);
      }
    }
    for (size_t i = 0; i < numbers_.size(); ++i) {
      const bool is_member = std::find(chosen.begin(), chosen.end(), numbers_[i]) != chosen.end();
      if (is_member || cores_[i].rate[c] >= kAlike * slowest) {
        state.eligible.push_back(static_cast<int>(i));
      }
    }
    // The chosen ones first: the others stand in. Places ascend with less speed.
    std::sort(state.eligible.begin(), state.eligible.end(), [&](int a, int b) {
      const auto is_member = [&](int place) {
        const int number = numbers_[static_cast<size_t>(place)];
        return std::find(chosen.begin(), chosen.end(), number) != chosen.end();
      };
      return is_member(a) != is_member(b) ? is_member(a) : a < b;
    });
    state.active.reserve(numbers_.size());
    state.rates.reserve(numbers_.size());
    state.calm_speeds.assign(numbers_.size() + 1, 0);
  }
}

void CoreWatch::refresh(ClassState& state, PassClass c) {
  state.active.clear();
  state.rates.clear();
  for (const int place : state.eligible) {
    if (static_cast<int>(state.active.size()) == state.count) break;
    if (!cores_[static_cast<size_t>(place)].is_busy) state.active.push_back(place);
  }
  state.is_pinned = !state.active.empty();
  if (state.active.empty()) state.active.push_back(state.eligible.front());
  for (const int place : state.active) {
    state.rates.push_back(cores_[static_cast<size_t>(place)].rate[static_cast<int>(c)]);
  }
  state.is_stale = false;
}

ActiveCores CoreWatch::active(PassClass c) {
  ClassState& state = classes_[static_cast<int>(c)];
  if (state.is_stale) refresh(state, c);
  return {state.active, state.rates, state.is_measured, state.is_pinned};
}

void CoreWatch::take_rates(ClassState& state, PassClass c,
                           std::span<const WorkerReading> readings) {
  for (size_t i = 0; i < readings.size(); ++i) {
    if (readings[i].rate <= 0) return;
    cores_[static_cast<size_t>(state.active[i])].rate[static_cast<int>(c)] = readings[i].rate;
    state.rates[i] = readings[i].rate;
  }
  if (state.is_measured) return;
  // Those that take no part now are measured by those that do.
  state.is_measured = true;
  for (size_t place = 0; place < cores_.size(); ++place) {
    const int at = static_cast<int>(place);
    if (std::find(state.active.begin(), state.active.end(), at) == state.active.end()) {
      take_rate_of_kind(at);
    }
  }
}

void CoreWatch::note_pass(PassClass c, std::span<const WorkerReading> readings, double seconds,
                          double now) {
  ClassState& state = classes_[static_cast<int>(c)];
  if (state.is_stale || readings.size() != state.active.size()) return;
  take_rates(state, c, readings);
  if (!adapts_) return;
  for (size_t i = 0; i < readings.size(); ++i) {
    Core& core = cores_[static_cast<size_t>(state.active[i])];
    core.seconds += seconds;
    core.away += readings[i].away;
    state.window_work += readings[i].work;
  }
  state.window_seconds += seconds;
  ++state.trial.passes;
  if (state.window_seconds >= kWindowSeconds) consider(state, now);
}

void CoreWatch::consider(ClassState& state, double now) {
  const double speed = state.window_work / state.window_seconds;
  const size_t workers = state.active.size();
  double away_of_all = 0;  // share of the time in which a worker is missing
  double away_most = 0;
  size_t worst = 0;
  for (size_t i = 0; i < workers; ++i) {
    const Core& core = cores_[static_cast<size_t>(state.active[i])];
    const double away = core.away / core.seconds;
    away_of_all += away;
    if (away > away_most && now >= core.may_leave_after) {
      away_most = away;
      worst = i;
    }
  }
  clear_windows();
  if (away_of_all < kAwayMin) {
    double& calm = state.calm_speeds[workers];
    calm = calm == 0 ? speed : 0.5 * (calm + speed);
  }
  Trial& trial = state.trial;
  if (trial.core >= 0 && trial.passes >= kTrialPasses) {
    Core& core = cores_[static_cast<size_t>(trial.core)];
    if (core.is_busy && speed < kRegret * trial.speed_with) {
      core.backoff = std::clamp(2 * core.backoff, kBackoffSeconds, kBackoffSecondsMax);
      core.may_leave_after = now + core.backoff;
      come_back(trial.core);
      trial.core = -1;
      return;
    }
    if (core.is_busy) core.backoff = 0;
    trial.core = -1;
  }
  if (workers < 2 || away_most < kAwayMin) {
    // One worker on a busy core: another core, or where the system puts it.
    if (workers == 1 && state.is_pinned && away_most >= kAwayMin) {
      leave(state, 0, speed, now);
    }
    return;
  }
  // What is gained by not waiting for it, against what its own work is worth.
  double without = state.calm_speeds[workers - 1];
  double with = state.calm_speeds[workers];
  if (without == 0 || with == 0) {
    with = 0;
    for (const double rate : state.rates) with += rate;
    without = with - state.rates[worst];
  }
  const double waits = std::min(away_of_all, 0.99);
  const double waits_less = std::max(waits - away_most, 0.0);
  if ((1 - waits) / (1 - waits_less) < without / with + kTryMargin) {
    leave(state, static_cast<int>(worst), speed, now);
  }
}

void CoreWatch::leave(ClassState& state, int worker, double speed, double now) {
  const int place = state.active[static_cast<size_t>(worker)];
  Core& core = cores_[static_cast<size_t>(place)];
  core.is_busy = true;
  core.next_probe = now + kProbeSeconds;
  core.idle_after = 0;
  state.trial = {place, speed, 0};
  for (ClassState& other : classes_) other.is_stale = true;
}

void CoreWatch::come_back(int place) {
  cores_[static_cast<size_t>(place)].is_busy = false;
  for (ClassState& state : classes_) state.is_stale = true;
  take_rate_of_kind(place);
}

// A core that was not measured of late is as fast as the fastest one of its kind.
void CoreWatch::take_rate_of_kind(int place) {
  Core& core = cores_[static_cast<size_t>(place)];
  for (int c = 0; c < kPassClassCount; ++c) {
    ClassState& state = classes_[c];
    if (!state.is_measured) continue;
    double alike = 0;
    double slowest = INFINITY;
    for (const int other : state.active) {
      if (other == place) continue;
      const Core& o = cores_[static_cast<size_t>(other)];
      slowest = std::min(slowest, o.rate[c]);
      if (o.cluster == core.cluster) alike = std::max(alike, o.rate[c]);
    }
    if (alike > 0) {
      core.rate[c] = alike;
    } else if (core.rate[c] <= 0 || !std::isfinite(core.rate[c])) {
      core.rate[c] = std::isfinite(slowest) ? slowest : 1;
    }
  }
}

void CoreWatch::clear_windows() {
  for (Core& core : cores_) core.seconds = core.away = 0;
  for (ClassState& state : classes_) state.window_work = state.window_seconds = 0;
}

int CoreWatch::take_probe(double now) {
  for (size_t place = 0; place < cores_.size(); ++place) {
    Core& core = cores_[place];
    if (!core.is_busy || now < core.next_probe) continue;
    core.next_probe = now + kProbeSeconds;
    return static_cast<int>(place);
  }
  return -1;
}

void CoreWatch::note_probe_impossible(int place, double when) {
  Core& core = cores_[static_cast<size_t>(place)];
  if (core.idle_after == 0) {
    core.idle_after = when;
  } else if (core.next_probe >= core.idle_after) {
    core.idle_after = 0;
    come_back(place);
  }
}

void CoreWatch::note_probe(int place, bool is_busy) {
  Core& core = cores_[static_cast<size_t>(place)];
  if (core.is_busy && !is_busy) come_back(place);
}

}  // namespace midge
