// Where the time of a step goes, by kind of operation.
#pragma once

#include <chrono>
#include <cstdint>

namespace midge {

enum class OpKind : uint8_t {
  kEmbed,
  kNorm,
  kQuantize,  ///< rows for the linear layers, with the norm or silu * mul that makes them
  kLinear,    ///< matrix products
  kRope,      ///< rotation and storing of keys and values
  kAttention,
  kElementwise,  ///< residuals that are not added by the products
};
inline constexpr int kOpKindCount = 7;

inline constexpr const char* op_kind_name(OpKind kind) {
  constexpr const char* kNames[kOpKindCount] = {"embed", "norm",      "quantize",   "linear",
                                                "rope",  "attention", "elementwise"};
  return kNames[static_cast<int>(kind)];
}

/// Nanoseconds spent in operations so far, as worker 0 sees them: waiting for the others included.
struct OpProfile {
  int64_t ns[kOpKindCount] = {};
};

/// Adds its lifetime to a profile; does nothing without one.
class ProfileScope {
 public:
  ProfileScope(OpProfile* profile, OpKind kind) : profile_(profile), kind_(kind) {
    if (profile_ != nullptr) start_ = now();
  }
  ~ProfileScope() {
    if (profile_ != nullptr) profile_->ns[static_cast<int>(kind_)] += now() - start_;
  }
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

 private:
  static int64_t now() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

  OpProfile* profile_;
  OpKind kind_;
  int64_t start_ = 0;
};

}  // namespace midge
