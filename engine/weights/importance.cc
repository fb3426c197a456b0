#include "engine/weights/importance.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "engine/core/fnv.h"
#include "engine/core/mapped_file.h"
#include "engine/core/visible.h"
#include "engine/core/whole_file.h"

namespace midge {
namespace {

// No matrix: a channel for each token.
constexpr std::string_view kTokenCounts = "token_counts";

constexpr std::string_view kMagic = "midgeimp";
constexpr uint32_t kVersion = 1;
constexpr uint64_t kFileBytesMax = uint64_t{1} << 30;
constexpr uint32_t kNameBytesMax = 64;

template <typename T>
void append(T value, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// Takes values off the front of a text.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <typename T>
  bool read(T* value) {
    if (rest_.size() < sizeof(T)) return false;
    std::memcpy(value, rest_.data(), sizeof(T));
    rest_.remove_prefix(sizeof(T));
    return true;
  }
  bool read(size_t size, std::string_view* bytes) {
    if (rest_.size() < size) return false;
    *bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

Status damaged(const char* what) {
  return make_status(StatusCode::kInvalidFile, "importance file: %s", what);
}

}  // namespace

std::string Importance::input_of(std::string_view matrix) {
  const size_t dot = matrix.rfind('.');
  const std::string_view part = dot == std::string_view::npos ? matrix : matrix.substr(dot + 1);
  const std::string prefix(matrix.substr(0, matrix.size() - part.size()));
  if (part == "q" || part == "k" || part == "v") return prefix + "qkv";
  if (part == "gate" || part == "up") return prefix + "gate_up";
  return std::string(matrix);
}

void Importance::add(std::string_view matrix, const float* x, int64_t rows, int64_t k) {
  Input& input = inputs_[input_of(matrix)];
  input.squares.resize(static_cast<size_t>(k));
  input.rows += rows;
  for (int64_t row = 0; row < rows; ++row, x += k) {
    for (int64_t i = 0; i < k; ++i) {
      input.squares[static_cast<size_t>(i)] +=
          static_cast<double>(x[i]) * static_cast<double>(x[i]);
    }
  }
}

void Importance::count_tokens(std::span<const int32_t> tokens, int64_t vocab_size) {
  Input& input = inputs_[std::string(kTokenCounts)];
  input.squares.resize(static_cast<size_t>(vocab_size));
  input.rows += static_cast<int64_t>(tokens.size());
  for (const int32_t token : tokens) input.squares[static_cast<size_t>(token)] += 1;
}

std::vector<uint32_t> Importance::token_counts() const {
  std::vector<uint32_t> counts;
  const auto found = inputs_.find(kTokenCounts);
  if (found == inputs_.end()) return counts;
  for (const double count : found->second.squares) {
    counts.push_back(static_cast<uint32_t>(std::min<double>(count, UINT32_MAX)));
  }
  return counts;
}

std::vector<float> Importance::of(std::string_view matrix) const {
  const auto found = inputs_.find(input_of(matrix));
  if (found == inputs_.end()) return {};
  const Input& input = found->second;
  double mean = 0;
  for (const double squares : input.squares) mean += squares;
  mean /= static_cast<double>(input.squares.size());
  std::vector<float> values;
  values.reserve(input.squares.size());
  // Relative to the mean channel, as only ratios count; so no sum overflows.
  for (const double squares : input.squares) {
    values.push_back(mean > 0 ? static_cast<float>(squares / mean + 1e-3) : 1.0f);
  }
  return values;
}

Result<std::vector<float>> Importance::of_matrix(std::string_view matrix, int64_t k) const {
  std::vector<float> values = of(matrix);
  if (values.empty() || static_cast<int64_t>(values.size()) == k) return values;
  return make_status(StatusCode::kModelMismatch,
                     "importance of %zu channels for '%s', expected %lld", values.size(),
                     printable(matrix).c_str(), static_cast<long long>(k));
}

Status Importance::check_inputs(std::span<const std::string> matrices) const {
  std::set<std::string> inputs = {std::string(kTokenCounts)};
  for (const std::string& matrix : matrices) inputs.insert(input_of(matrix));
  for (const auto& [name, input] : inputs_) {
    if (inputs.count(name) > 0 || name.starts_with("mtp.")) continue;
    return make_status(StatusCode::kModelMismatch,
                       "importance of the input '%s', which the model does not have",
                       printable(name).c_str());
  }
  return Status();
}

std::string Importance::text() const {
  std::string bytes(kMagic);
  append(kVersion, &bytes);
  append(static_cast<uint32_t>(inputs_.size()), &bytes);
  append(tokens_, &bytes);
  for (const auto& [name, input] : inputs_) {
    append(static_cast<uint32_t>(name.size()), &bytes);
    bytes += name;
    append(input.rows, &bytes);
    append(static_cast<uint64_t>(input.squares.size()), &bytes);
    for (const double squares : input.squares) append(squares, &bytes);
  }
  append(fnv1a(bytes), &bytes);
  return bytes;
}

Result<Importance> Importance::parse(std::string_view bytes) {
  if (!bytes.starts_with(kMagic)) return damaged("does not begin with 'midgeimp'");
  Reader reader(bytes.substr(kMagic.size()));
  uint32_t version = 0;
  uint32_t count = 0;
  Importance importance;
  if (!reader.read(&version)) return damaged("cut off");
  if (version != kVersion) {
    return make_status(StatusCode::kUnsupported, "importance file: version %u, expected %u",
                       version, kVersion);
  }
  uint64_t stored = 0;
  if (bytes.size() < kMagic.size() + sizeof(stored)) return damaged("cut off");
  std::memcpy(&stored, bytes.data() + bytes.size() - sizeof(stored), sizeof(stored));
  if (stored != fnv1a(bytes.substr(0, bytes.size() - sizeof(stored)))) {
    return damaged("its checksum is another: cut off or damaged");
  }
  reader = Reader(
      bytes.substr(0, bytes.size() - sizeof(stored)).substr(kMagic.size() + sizeof(version)));
  if (!reader.read(&count) || !reader.read(&importance.tokens_)) return damaged("cut off");
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t name_bytes = 0;
    std::string_view name;
    uint64_t k = 0;
    Input input;
    std::string_view values;
    if (!reader.read(&name_bytes) || name_bytes > kNameBytesMax ||
        !reader.read(name_bytes, &name) || !reader.read(&input.rows) || !reader.read(&k) ||
        k > kFileBytesMax || !reader.read(k * sizeof(double), &values)) {
      return damaged("cut off, or a name of more than 64 bytes");
    }
    if (k == 0 || input.rows <= 0) return damaged("an input without channels or rows");
    input.squares.resize(k);
    std::memcpy(input.squares.data(), values.data(), values.size());
    for (const double squares : input.squares) {
      if (!(squares >= 0) || std::isinf(squares)) {
        return damaged("a mean square that is negative, infinite or not a number");
      }
    }
    if (!importance.inputs_.emplace(name, std::move(input)).second) {
      return damaged("two inputs of one name");
    }
  }
  if (!reader.at_end()) return damaged("bytes behind its end");
  return importance;
}

Result<Importance> Importance::load(const std::string& path) {
  MIDGE_ASSIGN_OR_RETURN(const std::string bytes, read_small_file(path, kFileBytesMax));
  Result<Importance> importance = parse(bytes);
  if (importance.ok()) return importance;
  return Status(importance.status().code(),
                shown_path(path) + ": " + importance.status().message());
}

Status Importance::save(const std::string& path) const { return write_users_file(path, text()); }

}  // namespace midge
