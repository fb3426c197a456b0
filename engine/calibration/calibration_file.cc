#include "engine/calibration/calibration_file.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include <sys/stat.h>
#include <unistd.h>

#include "engine/core/fnv.h"
#include "engine/core/mapped_file.h"
#include "engine/core/visible.h"
#include "engine/core/whole_file.h"

namespace midge {
namespace {

// The first line. The number changes when the lines, or what is measured, change.
constexpr std::string_view kFirstLine = "midge kernel rates 2\n";
constexpr std::string_view kKey = "key ";
constexpr std::string_view kEnd = "end ";
constexpr uint64_t kFileBytesMax = 1 << 20;
// Each rate is sought among all: in 100,000 lines that took most of a second. A file has
// about 90 for each type of core.
constexpr size_t kLinesMax = 4096;

std::string hash_text(std::string_view text) {
  return format_string("%016llx", static_cast<unsigned long long>(fnv1a(text)));
}

bool parse_number(std::string_view text, int64_t min, int64_t max, int64_t* number) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), *number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && *number >= min &&
         *number <= max;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::string_view word = line.substr(0, line.find(' '));
    words.push_back(word);
    line.remove_prefix(std::min(word.size() + 1, line.size()));
  }
  return words;
}

// "read THREADS RATE TIME"
void parse_read(std::span<const std::string_view> words, Calibration* out) {
  int64_t threads = 0;
  int64_t rate = 0;
  int64_t measured = 0;
  if (words.size() == 4 && parse_number(words[1], 1, INT32_MAX, &threads) &&
      parse_number(words[2], 1, INT64_MAX, &rate) &&
      parse_number(words[3], 0, INT64_MAX, &measured)) {
    out->reads.push_back({static_cast<int>(threads), rate, measured});
  }
}

// "kernel NAME ENCODING ROWS CORE_TYPE RATE SPREAD TIME"
void parse_kernel(std::span<const std::string_view> words, Calibration* out) {
  int64_t rows = 0;
  int64_t core_type = 0;
  int64_t rate = 0;
  int64_t spread = 0;
  int64_t measured = 0;
  Encoding encoding = Encoding::kF32;
  if (words.size() != 8 || !find_encoding(words[2], &encoding) ||
      !parse_number(words[3], 1, INT32_MAX, &rows) ||
      !parse_number(words[4], 0, INT32_MAX, &core_type) ||
      !parse_number(words[5], 1, INT64_MAX, &rate) ||
      !parse_number(words[6], 0, INT32_MAX, &spread) ||
      !parse_number(words[7], 0, INT64_MAX, &measured)) {
    return;
  }
  for (const KernelInfo& kernel : all_kernels()) {
    if (kernel.name != words[1]) continue;
    out->kernels.push_back({{kernel.op, encoding, static_cast<int>(rows)},
                            &kernel,
                            static_cast<int>(core_type),
                            rate,
                            static_cast<int>(spread),
                            measured});
  }
}

}  // namespace

std::string calibration_key(std::span<const CoreType> cores) {
  std::string key;
  for (const CoreType& type : cores)
    key += format_string("%zu x ", type.cores.size()) + type.name + ", ";
  std::string registry;
  for (const KernelInfo& kernel : all_kernels()) {
    registry += format_string("%s %d %d\n", kernel.name, kernel.rows_max, kernel.priority);
  }
  return key + "midge " MIDGE_VERSION ", kernels " + hash_text(registry);
}

std::string calibration_text(const Calibration& calibration, std::string_view key) {
  std::string text(kFirstLine);
  text.append(kKey).append(key).append("\n");
  for (const ReadRate& read : calibration.reads) {
    text += format_string("read %d %lld %lld\n", read.threads, static_cast<long long>(read.rate),
                          static_cast<long long>(read.measured));
  }
  for (const KernelRate& k : calibration.kernels) {
    text +=
        format_string("kernel %s %s %d %d %lld %d %lld\n", k.kernel->name,
                      encoding_info(k.at.encoding).name, k.at.rows, k.core_type,
                      static_cast<long long>(k.rate), k.spread, static_cast<long long>(k.measured));
  }
  const std::string hash = hash_text(text);
  return text.append(kEnd).append(hash).append("\n");
}

Result<Calibration> parse_calibration(std::string_view text, std::string_view key) {
  if (!text.starts_with(kFirstLine)) {
    return make_status(StatusCode::kInvalidFile, "not a file of kernel rates of this version");
  }
  // Everything stands or falls with the last line: a file that was cut off or damaged is as none.
  const size_t end = text.rfind(kEnd);
  if (end == std::string_view::npos ||
      text.substr(end + kEnd.size()) != hash_text(text.substr(0, end)) + "\n") {
    return make_status(StatusCode::kInvalidFile, "kernel rates are cut off or damaged");
  }
  text = text.substr(kFirstLine.size(), end - kFirstLine.size());
  Calibration calibration;
  bool right_key = false;
  if (std::count(text.begin(), text.end(), '\n') > static_cast<int64_t>(kLinesMax)) {
    return make_status(StatusCode::kInvalidFile, "kernel rates have more than %zu lines",
                       kLinesMax);
  }
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::vector<std::string_view> words = words_of(line);
    if (line.starts_with(kKey)) {
      right_key = line.substr(kKey.size()) == key;
    } else if (line.starts_with("read ")) {
      parse_read(words, &calibration);
    } else if (line.starts_with("kernel ")) {
      parse_kernel(words, &calibration);
    }
  }
  if (!right_key) {
    return make_status(StatusCode::kInvalidFile, "kernel rates of another machine or build");
  }
  return calibration;
}

std::string calibration_path(const std::string& cache_dir, std::string_view key) {
  return join_path(cache_dir, "kernel-rates-" + hash_text(key) + ".txt");
}

Result<Calibration> load_calibration(const std::string& path, std::string_view key) {
  MIDGE_ASSIGN_OR_RETURN(const std::string text, read_small_file(path, kFileBytesMax));
  Result<Calibration> calibration = parse_calibration(text, key);
  if (!calibration.ok()) {
    const Status& status = calibration.status();
    return Status(status.code(), shown_path(path) + ": " + status.message());
  }
  return calibration;
}

Status save_calibration(const std::string& path, std::string_view key,
                        const Calibration& calibration) {
  make_private_folders(folder_of(path));
  return write_whole_file(path, calibration_text(calibration, key));
}

}  // namespace midge
