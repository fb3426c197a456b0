// How many drafts a step takes, by what steps cost and how often drafts are right.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "engine/session/generator.h"

namespace midge {

/// Seconds of a step by its rows, as measured: a mean in which the last steps count most. For rows
/// that have not been measured it guesses between those that have, and little more than the next
/// smaller ones otherwise, so that they are tried.
class StepTimes {
 public:
  static constexpr int kRowsMax = 64;

  void note(int rows, double seconds);
  /// 0 if nothing was measured.
  double seconds(int rows) const;
  /// Steps of so many rows that were measured.
  int64_t count(int rows) const;

 private:
  struct Time {
    double seconds = 0;
    int64_t count = 0;
  };
  std::array<Time, kRowsMax + 1> times_ = {};
};

/// How often drafts are what is drawn: a mean over a window of some 30 drafts, and before that
/// what others of the kind were.
class Acceptance {
 public:
  explicit Acceptance(double prior) : prior_(prior) {}

  /// The first `right` of `drafts` were drawn; those behind the first wrong one say nothing.
  void note(int64_t drafts, int64_t right);
  void note(bool right) { note(1, right ? 1 : 0); }
  /// That the next draft is drawn, 0..1.
  double share() const;

 private:
  double prior_;
  double right_ = 0;
  double tried_ = 0;
};

/// Drafts that a sequence could have in the next step.
struct DraftOffer {
  int64_t most = 0;                            ///< drafts, at most kDraftsMax
  std::array<double, kDraftsMax> shares = {};  ///< that each is drawn if those before are
  bool is_costly = false;                      ///< a pass of the MTP layer makes them
  int64_t chosen = 0;                          ///< set by choose_drafts
};

/// What a step costs.
struct StepCosts {
  const StepTimes* times = nullptr;
  double costly_seconds = 0;  ///< of a pass that makes drafts, for all sequences
  int64_t rows_max = 0;       ///< of drafts
};

/// Sets offers[].chosen to what gives the most tokens per second for `sequences` that have a token
/// each, and more than without drafts by a margin. Returns their number.
int64_t choose_drafts(std::span<DraftOffer> offers, int64_t sequences, const StepCosts& costs);

}  // namespace midge
