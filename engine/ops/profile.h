// Where the time of a pass goes: what every worker keeps of the operations it takes part in.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/platform/event_log.h"

namespace midge {

/// Kinds of events (Event::kind) that operations write.
enum class OpKind : uint8_t {
  kEmbed,        ///< subject: the table, a PreparedMatrix
  kNorm,         ///< norms that are not part of kQuantize, and hidden states handed out
  kQuantize,     ///< rows for the linear layers, with the norm or silu * mul that makes them;
                 ///< subject: the first matrix that they are for
  kLinear,       ///< matrix products; subject: the first of the matrices
  kRope,         ///< rotation and storing of keys and values; angles
  kAttention,    ///< with the layer
  kElementwise,  ///< residuals that are not added by the products
};
inline constexpr int kOpKindCount = 7;

inline constexpr const char* op_kind_name(OpKind kind) {
  constexpr const char* kNames[kOpKindCount] = {"embed", "norm",      "quantize",   "linear",
                                                "rope",  "attention", "elementwise"};
  return kNames[static_cast<int>(kind)];
}

/// A log for each worker of a team.
class Profile {
 public:
  /// events_each: that a log holds.
  Profile(int workers, size_t events_each) {
    for (int i = 0; i < workers; ++i) logs_.emplace_back(events_each);
  }
  EventLog* log(int worker) { return &logs_[static_cast<size_t>(worker)]; }
  const std::vector<EventLog>& logs() const { return logs_; }
  void clear() {
    for (EventLog& log : logs_) log.clear();
  }

 private:
  std::vector<EventLog> logs_;
};

/// Adds its lifetime to a log; does nothing without one.
class OpScope {
 public:
  OpScope(EventLog* log, OpKind kind, int64_t rows, const void* subject = nullptr,
          int64_t layer = -1) {
    if constexpr (kHasProfiler) {
      log_ = log;
      if (log_ == nullptr) return;
      event_ = {EventLog::now(),           0, subject, rows, static_cast<int32_t>(layer),
                static_cast<uint8_t>(kind)};
    }
  }
  ~OpScope() {
    if constexpr (kHasProfiler) {
      if (log_ == nullptr) return;
      event_.end = EventLog::now();
      log_->add(event_);
    }
  }
  OpScope(const OpScope&) = delete;
  OpScope& operator=(const OpScope&) = delete;

 private:
  EventLog* log_ = nullptr;
  Event event_;
};

}  // namespace midge
