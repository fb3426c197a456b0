// Ends generation at given strings, without ever showing a part of one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace midge {

/// Watches text that arrives in pieces. Text that may still become a stop string is held back.
class StopMatcher {
 public:
  /// Pieces of up to so many bytes take no memory.
  static constexpr size_t kPieceBytes = 256;

  /// Empty strings are ignored.
  explicit StopMatcher(std::vector<std::string> stops);

  /// Takes the next piece. Appends to *shown what can be shown now. Returns true when a stop string
  /// is complete: what precedes the earliest one has been shown, it and the rest never will be.
  bool push(std::string_view piece, std::string* shown);

  /// Appends what is held back; for the end of generation without a stop string.
  void flush(std::string* shown);

 private:
  std::vector<std::string> stops_;
  std::string held_;
};

}  // namespace midge
