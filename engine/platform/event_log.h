// What the workers of a team did, and when: for profiles.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace midge {

/// Whether this build can keep logs at all (the option MIDGE_PROFILER). Without, what would write
/// them is compiled away.
inline constexpr bool kHasProfiler = MIDGE_PROFILER != 0;

/// A stretch of time of one worker.
struct Event {
  int64_t start = 0;  ///< nanoseconds of the steady clock
  int64_t end = 0;
  const void* subject = nullptr;  ///< what it was about; see who writes the kind
  int64_t rows = 0;
  int32_t layer = -1;
  uint8_t kind = 0;
};

/// Waiting at a barrier; the other kinds are the writer's. A wait lies within the event of another
/// kind that it belongs to, or behind all of them.
inline constexpr uint8_t kBarrierEvent = 255;

/// The events of one worker, in the order of their ends. Of one thread at a time.
class EventLog {
 public:
  /// capacity: events that it can hold; later ones are dropped and counted.
  explicit EventLog(size_t capacity) { events_.reserve(capacity); }

  void add(const Event& event) {
    if (events_.size() < events_.capacity()) {
      events_.push_back(event);
    } else {
      ++dropped_;
    }
  }
  const std::vector<Event>& events() const { return events_; }
  int64_t dropped() const { return dropped_; }
  void clear() {
    events_.clear();
    dropped_ = 0;
  }

  /// The clock of the events.
  static int64_t now() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

 private:
  std::vector<Event> events_;
  int64_t dropped_ = 0;
};

}  // namespace midge
