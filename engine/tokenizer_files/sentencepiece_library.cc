#include "engine/tokenizer_files/sentencepiece_library.h"
#include "engine/core/utf8.h"

#include <algorithm>
#include <functional>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

#include <sentencepiece_processor.h>

// Exported by some builds of the library, declared by none; weak, for those that lack it.
namespace sentencepiece::logging {
[[gnu::weak]] void SetMinLogLevel(int level);
}  // namespace sentencepiece::logging

namespace midge {
namespace {

constexpr int kLogNothing = 4;  // beyond the library's "fatal"

// The library's tables use the standard library's hash, whose seed everybody knows: with pieces
// made for it, each search would walk all of them. Random pieces, one to a bucket on average, share
// one with a dozen at most.
constexpr size_t kBucketMax = 48;

// The sizes that a table of the standard library takes while it grows to `count` entries, one to a
// bucket at most. It is asked for them: other libraries have other ones.
std::vector<size_t> sizes_until(size_t count) {
  std::unordered_set<std::string_view> table;
  table.emplace();
  std::vector<size_t> sizes = {table.bucket_count()};
  table.clear();
  while (sizes.back() < count) {
    table.rehash(2 * sizes.back());
    sizes.push_back(table.bucket_count());
  }
  return sizes;
}

// The size of a table that is made for `count` entries.
size_t reserved_size(size_t count) {
  std::unordered_set<std::string_view> table;
  table.reserve(count);
  return table.bucket_count();
}

// Most of `hashes` in one of `size` buckets.
size_t fullest_bucket(std::span<const size_t> hashes, size_t size) {
  std::vector<uint32_t> counts(size);
  for (const size_t hash : hashes) ++counts[hash % size];
  return *std::max_element(counts.begin(), counts.end());
}

Status refuse_flooding(const std::string& name, std::span<const size_t> hashes, bool any_of_them) {
  std::vector<size_t> sizes = sizes_until(hashes.size());
  if (!any_of_them) sizes.push_back(reserved_size(hashes.size()));
  for (const size_t size : sizes) {
    // Of pieces in file order, a table of this size holds the first; or some that a text chooses.
    const size_t held = any_of_them ? hashes.size() : std::min(hashes.size(), size);
    const size_t bucket_max = kBucketMax + (any_of_them ? 8 * (held / size) : 0);
    const size_t fullest = fullest_bucket(hashes.first(held), size);
    if (std::min(fullest, size) <= bucket_max) continue;
    return make_status(StatusCode::kInvalidFile,
                       "%s: %zu pieces are made to collide in the library's tables, in one bucket "
                       "of %zu, expected at most %zu",
                       name.c_str(), fullest, size, bucket_max);
  }
  return Status();
}

// The library has two tables of all pieces (sentencepiece::ModelInterface), which grow with each
// piece or are made for all of them. A third one, for each text, has the unused pieces in it.
Status refuse_flooding(const std::string& name, const SentencepieceModel& model) {
  std::vector<size_t> hashes[3];
  for (const SentencepieceModel::Piece& piece : model.pieces) {
    const size_t hash = std::hash<std::string_view>()(piece.text);
    const bool reserved = piece.type == PieceType::kControl || piece.type == PieceType::kUnknown ||
                          piece.type == PieceType::kByte;
    hashes[reserved ? 1 : 0].push_back(hash);
    if (piece.type == PieceType::kUnused) hashes[2].push_back(hash);
  }
  MIDGE_RETURN_IF_ERROR(refuse_flooding(name, hashes[0], false));
  MIDGE_RETURN_IF_ERROR(refuse_flooding(name, hashes[1], false));
  return refuse_flooding(name, hashes[2], true);
}

// A letter whose only piece is a control piece becomes that one, which stands for no text: the
// library then fails for all texts with it.
Status refuse_control_letters(const std::string& name, const SentencepieceModel& model) {
  for (const SentencepieceModel::Piece& piece : model.pieces) {
    if (piece.type != PieceType::kControl || piece.text.empty()) continue;
    if (decode_utf8(piece.text, 0).length == piece.text.size()) {
      return make_status(StatusCode::kInvalidFile,
                         "%s: control piece '%s' is one character, which text could become",
                         name.c_str(), printable(piece.text).c_str());
    }
  }
  return Status();
}

class SentencepieceEncoder : public TextEncoder {
 public:
  explicit SentencepieceEncoder(std::unique_ptr<sentencepiece::SentencePieceProcessor> processor)
      : processor_(std::move(processor)) {}

  Status encode(std::string_view text, std::vector<int32_t>* tokens) const override {
    std::vector<int> ids;
    const auto status = processor_->Encode(text, &ids);
    if (!status.ok()) {
      return make_status(StatusCode::kInternal, "libsentencepiece: %s",
                         printable(status.ToString()).c_str());
    }
    tokens->insert(tokens->end(), ids.begin(), ids.end());
    return Status();
  }

 private:
  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
};

}  // namespace

bool has_sentencepiece_library() { return true; }

Result<std::shared_ptr<const TextEncoder>> make_sentencepiece_encoder(
    const std::string& name, const SentencepieceModel& model) {
  MIDGE_RETURN_IF_ERROR(refuse_control_letters(name, model));
  MIDGE_RETURN_IF_ERROR(refuse_flooding(name, model));
  if (sentencepiece::logging::SetMinLogLevel != nullptr) {
    sentencepiece::logging::SetMinLogLevel(kLogNothing);
  }
  std::string known;
  for (const std::string_view field : model.known_fields) known += field;
  auto processor = std::make_unique<sentencepiece::SentencePieceProcessor>();
  const auto status = processor->LoadFromSerializedProto(known);
  if (!status.ok()) {
    return make_status(StatusCode::kInvalidFile, "%s: libsentencepiece refuses the model: %s",
                       name.c_str(), printable(status.ToString()).c_str());
  }
  return std::shared_ptr<const TextEncoder>(
      std::make_shared<SentencepieceEncoder>(std::move(processor)));
}

}  // namespace midge
