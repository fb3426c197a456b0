#include "engine/platform/system_files.h"

#include <algorithm>
#include <bitset>
#include <charconv>
#include <cstdio>
#include <memory>

#include <sys/stat.h>

#include "engine/core/visible.h"

namespace midge {
namespace {

constexpr size_t kFileBytesMax = 1 << 20;
constexpr size_t kRecordingBytesMax = 4 << 20;
constexpr int kCoreMax = 4095;

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// Files of /proc and /sys have no length, so they are read to their end.
std::optional<std::string> read_file(const std::string& path, size_t bytes_max) {
  const std::unique_ptr<std::FILE, FileCloser> file(std::fopen(path.c_str(), "re"));
  if (file == nullptr) return std::nullopt;
  std::string text;
  char piece[4096];
  for (size_t got = 1; got > 0 && text.size() <= bytes_max;) {
    got = std::fread(piece, 1, sizeof(piece), file.get());
    text.append(piece, got);
  }
  if (std::ferror(file.get()) != 0 || text.size() > bytes_max) return std::nullopt;
  return text;
}

std::string_view without_blanks_at_end(std::string_view text) {
  const size_t last = text.find_last_not_of(" \t\r\n");
  return last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
}

std::string_view take_line(std::string_view* text) {
  const std::string_view line = text->substr(0, text->find('\n'));
  text->remove_prefix(std::min(line.size() + 1, text->size()));
  return line;
}

}  // namespace

Result<SystemFiles> SystemFiles::open(const std::string& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) {
    return make_status(StatusCode::kNotFound,
                       "%s: expected a folder like / or a recording of one, found nothing",
                       shown_path(path).c_str());
  }
  if (S_ISDIR(info.st_mode)) return SystemFiles(path + "/");
  const std::optional<std::string> text = read_file(path, kRecordingBytesMax);
  if (text.has_value()) return parse(*text, path);
  return make_status(StatusCode::kIoError, "%s: expected a recording of at most %zu bytes",
                     shown_path(path).c_str(), kRecordingBytesMax);
}

Result<SystemFiles> SystemFiles::parse(std::string_view text, const std::string& path) {
  SystemFiles files;
  for (int number = 1; !text.empty(); ++number) {
    const std::string_view line = take_line(&text);
    if (line.empty() || line.front() == '#') continue;
    // Names of devices have colons, without a blank behind.
    size_t colon = line.find(": ");
    if (colon == std::string_view::npos) colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) {
      return make_status(StatusCode::kInvalidFile,
                         "%s: line %d of a recording: expected PATH: VALUE, found '%s'",
                         shown_path(path).c_str(), number, printable(line).c_str());
    }
    std::string_view value = line.substr(colon + 1);
    if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    const auto [file, is_new] = files.recorded_.try_emplace(std::string(line.substr(0, colon)));
    if (!is_new) file->second += '\n';
    file->second += value;
  }
  return files;
}

std::optional<std::string> SystemFiles::read(const std::string& path) const {
  if (!root_.empty()) {
    std::optional<std::string> text = read_file(root_ + path, kFileBytesMax);
    if (text.has_value()) text->resize(without_blanks_at_end(*text).size());
    return text;
  }
  const auto file = recorded_.find(path);
  if (file == recorded_.end()) return std::nullopt;
  return std::string(without_blanks_at_end(file->second));
}

std::optional<std::vector<int>> parse_core_list(std::string_view text) {
  // However often a long text names them.
  std::bitset<kCoreMax + 1> is_named;
  const char* at = text.data();
  const char* end = at + text.size();
  const auto take_number = [&](int* number) {
    const auto [rest, error] = std::from_chars(at, end, *number);
    at = rest;
    return error == std::errc() && *number >= 0 && *number <= kCoreMax;
  };
  while (at != end) {
    int first = 0;
    if (!take_number(&first)) return std::nullopt;
    int last = first;
    if (at != end && *at == '-') {
      ++at;
      if (!take_number(&last) || last < first) return std::nullopt;
    }
    for (int core = first; core <= last; ++core) is_named.set(static_cast<size_t>(core));
    if (at == end) break;
    if (*at != ',') return std::nullopt;
    if (++at == end) return std::nullopt;
  }
  std::vector<int> cores;
  for (int core = 0; core <= kCoreMax; ++core) {
    if (is_named.test(static_cast<size_t>(core))) cores.push_back(core);
  }
  return cores;
}

std::string core_list_text(const std::vector<int>& cores) {
  std::string text;
  for (size_t i = 0; i < cores.size();) {
    size_t last = i;
    while (last + 1 < cores.size() && cores[last + 1] == cores[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += std::to_string(cores[i]);
    if (last > i) text += '-' + std::to_string(cores[last]);
    i = last + 1;
  }
  return text;
}

}  // namespace midge
