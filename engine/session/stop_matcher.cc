#include "engine/session/stop_matcher.h"

#include <algorithm>

namespace midge {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
  if (stops_.empty()) return;
  size_t longest = 0;
  for (const std::string& stop : stops_) longest = std::max(longest, stop.size());
  held_.reserve(longest + kPieceBytes);
}

bool StopMatcher::push(std::string_view piece, std::string* shown) {
  if (stops_.empty()) {
    *shown += piece;
    return false;
  }
  held_ += piece;
  size_t found = std::string::npos;
  for (const std::string& stop : stops_) found = std::min(found, held_.find(stop));
  if (found != std::string::npos) {
    shown->append(held_, 0, found);
    held_.clear();
    return true;
  }
  // The longest end of the text that begins a stop string.
  size_t keep = 0;
  for (const std::string& stop : stops_) {
    for (size_t length = std::min(stop.size() - 1, held_.size()); length > keep; --length) {
      if (held_.compare(held_.size() - length, length, stop, 0, length) == 0) keep = length;
    }
  }
  shown->append(held_, 0, held_.size() - keep);
  held_.erase(0, held_.size() - keep);
  return false;
}

void StopMatcher::flush(std::string* shown) {
  *shown += held_;
  held_.clear();
}

}  // namespace midge
