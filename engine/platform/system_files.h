// The small files in which Linux tells about its cores: those of this system, of a folder that has
// the same paths below it, or of a recording.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/status.h"

namespace midge {

class SystemFiles {
 public:
  /// Those of this system.
  static SystemFiles of_system() { return SystemFiles("/"); }
  /// path: a folder that stands for "/"; or a recording, a file of lines "PATH: LINE", where '#'
  /// begins a comment and a path that comes again is the next line of the same file.
  /// Errors: not_found, io_error, invalid_file (a line without a path; more than 4 MiB).
  static Result<SystemFiles> open(const std::string& path);
  /// The text of a recording; `path` names it in errors. Errors: invalid_file. Pure.
  static Result<SystemFiles> parse(std::string_view text, const std::string& path);

  /// False of a recording.
  bool is_folder() const { return !root_.empty(); }

  /// The file "sys/...", "proc/...", without blanks at its end; nothing if it is not there, cannot
  /// be read or is longer than 1 MiB.
  std::optional<std::string> read(const std::string& path) const;

 private:
  SystemFiles() = default;
  explicit SystemFiles(std::string root) : root_(std::move(root)) {}

  std::string root_;  // ends with /; empty: a recording
  std::map<std::string, std::string> recorded_;
};

/// The numbers of a list as Linux writes it, "0-3,6", ascending and each once; nothing if it is not
/// such a list or has a number above 4095. Pure.
std::optional<std::vector<int>> parse_core_list(std::string_view text);

/// "0-3,6", of ascending numbers. Pure.
std::string core_list_text(const std::vector<int>& cores);

}  // namespace midge
