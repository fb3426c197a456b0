// What is done at the end of a scope, whatever ends it.
#pragma once

#include <utility>

namespace midge {

/// Calls at the end of a scope, also where an exception leaves it, unless it was called off. The
/// call throws nothing.
template <typename Call>
class AtEnd {
 public:
  explicit AtEnd(Call call) : call_(std::move(call)) {}
  ~AtEnd() {
    if (is_on_) call_();
  }
  AtEnd(const AtEnd&) = delete;
  AtEnd& operator=(const AtEnd&) = delete;

  void call_off() { is_on_ = false; }

 private:
  Call call_;
  bool is_on_ = true;
};

}  // namespace midge
