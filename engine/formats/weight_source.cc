#include "engine/formats/weight_source.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <set>

#include "engine/core/checked_math.h"
#include "engine/core/utf8.h"
#include "engine/core/visible.h"
#include "engine/formats/gguf/split.h"
#include "engine/formats/gguf_types.h"
#include "engine/formats/json.h"

namespace midge {
namespace {

// Both of a model are kept as they were parsed, while the larger documents are read.
constexpr uint64_t kConfigBytesMax = 1u << 20;
constexpr uint64_t kConfigParsedBytesMax = 4u << 20;
constexpr uint64_t kIndexBytesMax = 16u << 20;
constexpr size_t kIndexEntriesMax = 1u << 16;
constexpr size_t kShardCountMax = 4096;

struct TypeRow {
  uint32_t id;
  const char* name;
  std::optional<Encoding> encoding;
};

// ggml type ids (ggml.h, enum ggml_type).
constexpr TypeRow kGgufTypes[] = {
    {0, "F32", Encoding::kF32},
    {1, "F16", Encoding::kF16},
    {2, "Q4_0", Encoding::kQ4B32},
    {3, "Q4_1", Encoding::kQ4B32M},
    {6, "Q5_0", Encoding::kQ5B32},
    {7, "Q5_1", Encoding::kQ5B32M},
    {8, "Q8_0", Encoding::kQ8B32},
    {9, "Q8_1", std::nullopt},
    {10, "Q2_K", std::nullopt},
    {11, "Q3_K", std::nullopt},
    {12, "Q4_K", Encoding::kQ4B32MS256},
    {13, "Q5_K", Encoding::kQ5B32MS256},
    {14, "Q6_K", Encoding::kQ6B16S256},
    {15, "Q8_K", std::nullopt},
    {16, "IQ2_XXS", std::nullopt},
    {17, "IQ2_XS", std::nullopt},
    {18, "IQ3_XXS", std::nullopt},
    {19, "IQ1_S", std::nullopt},
    {20, "IQ4_NL", std::nullopt},
    {21, "IQ3_S", std::nullopt},
    {22, "IQ2_S", std::nullopt},
    {23, "IQ4_XS", std::nullopt},
    {24, "I8", std::nullopt},
    {25, "I16", std::nullopt},
    {26, "I32", std::nullopt},
    {27, "I64", std::nullopt},
    {28, "F64", std::nullopt},
    {29, "IQ1_M", std::nullopt},
    {30, "BF16", Encoding::kBF16},
    {34, "TQ1_0", std::nullopt},
    {35, "TQ2_0", std::nullopt},
    {39, "MXFP4", std::nullopt},
    {40, "NVFP4", std::nullopt},
    {41, "Q1_0", std::nullopt},
    {42, "Q2_0", std::nullopt},
};

const TypeRow* find_gguf_type(uint32_t id) {
  for (const TypeRow& row : kGgufTypes) {
    if (row.id == id) return &row;
  }
  return nullptr;
}

std::optional<Encoding> safetensors_encoding(const std::string& dtype) {
  if (dtype == "F32") return Encoding::kF32;
  if (dtype == "F16") return Encoding::kF16;
  if (dtype == "BF16") return Encoding::kBF16;
  return std::nullopt;
}

// A shard name from an index must stay inside of the model's directory, and every report names it.
bool is_plain_file_name(std::string_view name) {
  for (size_t i = 0; i < name.size(); i += decode_utf8(name, i).length) {
    if (steers_terminal(decode_utf8(name, i).value)) return false;
  }
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of("/\\") == std::string_view::npos;
}

Status make_gguf_tensor(const GgufFile& gguf, const GgufTensor& info, SourceTensor* tensor) {
  tensor->name = info.name;
  tensor->path = &gguf.path();
  tensor->offset = info.offset;
  tensor->data = gguf.file().data() + info.offset;
  for (uint32_t d = info.dims; d > 0; --d) {
    tensor->shape.push_back(static_cast<int64_t>(info.ne[d - 1]));
  }
  const TypeRow* type = find_gguf_type(info.type);
  if (type == nullptr) {
    return make_status(StatusCode::kInvalidFile, "%s: tensor '%s' has the unknown type %u",
                       shown_path(gguf.path()).c_str(), printable(info.name).c_str(), info.type);
  }
  tensor->type_name = type->name;
  tensor->encoding = type->encoding;
  if (!type->encoding.has_value()) return Status();
  const EncodingInfo& encoding = encoding_info(*type->encoding);
  const auto block = static_cast<uint64_t>(encoding.block_elements);
  if (info.ne[0] % block != 0) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: tensor '%s' has rows of %llu, expected a multiple of %llu for %s",
                       shown_path(gguf.path()).c_str(), printable(info.name).c_str(),
                       static_cast<unsigned long long>(info.ne[0]),
                       static_cast<unsigned long long>(block), type->name);
  }
  uint64_t bytes = info.ne[0] / block;
  const bool fits = checked_mul(bytes, static_cast<uint64_t>(encoding.block_bytes), &bytes) &&
                    checked_mul(bytes, info.ne[1], &bytes) &&
                    checked_mul(bytes, info.ne[2], &bytes) &&
                    checked_mul(bytes, info.ne[3], &bytes);
  if (!fits || bytes > gguf.file().size() - info.offset) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: tensor '%s' %s %s at offset %llu does not fit in the file of %llu "
                       "bytes (truncated?)",
                       shown_path(gguf.path()).c_str(), printable(info.name).c_str(), type->name,
                       shape_to_string(tensor->shape).c_str(),
                       static_cast<unsigned long long>(info.offset),
                       static_cast<unsigned long long>(gguf.file().size()));
  }
  tensor->bytes = bytes;
  return Status();
}

// Two tensors over the same bytes would let a small file claim any amount of weights.
Status refuse_overlaps(const std::vector<SourceTensor>& tensors) {
  std::vector<const SourceTensor*> sorted;
  for (const SourceTensor& tensor : tensors) {
    if (tensor.bytes > 0) sorted.push_back(&tensor);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const SourceTensor* a, const SourceTensor* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i - 1]->offset + sorted[i - 1]->bytes > sorted[i]->offset) {
      return make_status(
          StatusCode::kInvalidFile, "%s: tensors '%s' and '%s' overlap at offset %llu",
          shown_path(*sorted[i]->path).c_str(), printable(sorted[i - 1]->name).c_str(),
          printable(sorted[i]->name).c_str(), static_cast<unsigned long long>(sorted[i]->offset));
    }
  }
  return Status();
}

// The weight_map of an index. Compact, as it is kept while the headers of the shards are parsed.
class WeightMap {
 public:
  static Result<WeightMap> load(const std::string& path);

  const std::vector<std::string>& files() const { return files_; }
  /// Of a file.
  size_t tensors_of(size_t file) const { return counts_[file]; }
  size_t size() const { return entries_.size(); }
  std::string_view name(size_t i) const {
    return std::string_view(names_).substr(entries_[i].begin, entries_[i].length);
  }
  const std::string& file(size_t i) const { return files_[entries_[i].file]; }
  /// The entry of a tensor; size() if there is none.
  size_t find(std::string_view tensor) const;

 private:
  struct Entry {
    uint32_t begin;  // of the name, in names_
    uint32_t length;
    uint32_t file;  // in files_
  };

  std::string names_;
  std::vector<Entry> entries_;      // by name
  std::vector<std::string> files_;  // by name
  std::vector<size_t> counts_;      // of each, how many tensors it has
};

Result<WeightMap> WeightMap::load(const std::string& path) {
  MIDGE_ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::load(path, kIndexBytesMax));
  MIDGE_ASSIGN_OR_RETURN(const JsonObject root, document.root());
  MIDGE_ASSIGN_OR_RETURN(const JsonObject members, root.object("weight_map"));
  std::vector<std::pair<std::string_view, std::string_view>> tensors;  // and their files
  std::set<std::string_view> files;
  size_t names_bytes = 0;
  for (const auto member : members.members()) {
    std::string_view file;
    if (member.value.get_string().get(file) != simdjson::SUCCESS || !is_plain_file_name(file)) {
      return make_status(
          StatusCode::kInvalidFile, "%s: weight_map entry '%s' is '%s', expected a plain file name",
          shown_path(path).c_str(), printable(member.key).c_str(), printable(file).c_str());
    }
    if (tensors.size() == kIndexEntriesMax) {
      return make_status(StatusCode::kInvalidFile, "%s: weight_map has more than %zu entries",
                         shown_path(path).c_str(), kIndexEntriesMax);
    }
    tensors.emplace_back(member.key, file);  // the document has no key twice
    files.insert(file);
    names_bytes += member.key.size();
  }
  if (files.empty() || files.size() > kShardCountMax) {
    return make_status(StatusCode::kInvalidFile, "%s: %zu shards, expected 1..%zu",
                       shown_path(path).c_str(), files.size(), kShardCountMax);
  }
  std::sort(tensors.begin(), tensors.end());
  WeightMap map;
  map.files_.assign(files.begin(), files.end());
  map.counts_.resize(files.size());
  map.names_.reserve(names_bytes);
  map.entries_.reserve(tensors.size());
  for (const auto& [name, file] : tensors) {
    const auto place = std::lower_bound(map.files_.begin(), map.files_.end(), file);
    map.entries_.push_back({static_cast<uint32_t>(map.names_.size()),
                            static_cast<uint32_t>(name.size()),
                            static_cast<uint32_t>(place - map.files_.begin())});
    map.names_ += name;
    ++map.counts_[map.entries_.back().file];
  }
  return map;
}

size_t WeightMap::find(std::string_view tensor) const {
  const auto name_of = [this](const Entry& entry) {
    return std::string_view(names_).substr(entry.begin, entry.length);
  };
  const auto at = std::lower_bound(
      entries_.begin(), entries_.end(), tensor,
      [&](const Entry& entry, std::string_view key) { return name_of(entry) < key; });
  return at != entries_.end() && name_of(*at) == tensor ? static_cast<size_t>(at - entries_.begin())
                                                        : size();
}

}  // namespace

std::string shape_to_string(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

const char* gguf_type_name(Encoding encoding) {
  const auto* row = std::find_if(std::begin(kGgufTypes), std::end(kGgufTypes),
                                 [&](const TypeRow& type) { return type.encoding == encoding; });
  return row == std::end(kGgufTypes) ? "" : row->name;
}

WeightSource::WeightSource() = default;
WeightSource::~WeightSource() = default;

Result<std::unique_ptr<WeightSource>> WeightSource::open(const std::string& path, FileAccess access,
                                                         const CopyProgress& on_copy) {
  std::unique_ptr<WeightSource> source(new WeightSource());
  source->path_ = path;
  source->access_ = access;
  source->on_copy_ = on_copy;
  if (is_directory(path)) {
    MIDGE_RETURN_IF_ERROR(source->open_directory());
  } else {
    MIDGE_RETURN_IF_ERROR(source->open_gguf());
  }
  source->on_copy_ = nullptr;
  return source;
}

uint64_t WeightSource::file_bytes() const {
  uint64_t bytes = 0;
  for (const SourceFile& file : files_) bytes += file.bytes;
  return bytes;
}

void WeightSource::release_pages(const void* start, int64_t bytes) const {
  if (access_ != FileAccess::kMap) return;
  const auto holds = [start](const MappedFile& file) {
    const auto at = reinterpret_cast<uintptr_t>(start);
    const auto begin = reinterpret_cast<uintptr_t>(file.data());
    return at >= begin && at - begin < file.size();
  };
  const bool is_of_file = std::any_of(gguf_parts_.begin(), gguf_parts_.end(),
                                      [&](const GgufFile& part) { return holds(part.file()); }) ||
                          std::any_of(shards_.begin(), shards_.end(),
                                      [&](const auto& shard) { return holds(shard->file()); });
  if (is_of_file) midge::release_pages(start, static_cast<uint64_t>(bytes));
}

Status WeightSource::open_gguf() {
  kind_ = SourceKind::kGguf;
  MIDGE_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path_, access_, on_copy_));
  if (file.size() < 4 || std::memcmp(file.data(), "GGUF", 4) != 0) {
    return make_status(
        StatusCode::kUnsupported,
        "%s: no packed file (.midge), no GGUF file and no directory with config.json and "
        "safetensors",
        shown_path(path_).c_str());
  }
  MIDGE_ASSIGN_OR_RETURN(GgufFile first, GgufFile::parse(std::move(file)));
  MIDGE_ASSIGN_OR_RETURN(gguf_parts_, open_gguf_parts(std::move(first), access_, on_copy_));
  for (const GgufFile& part : gguf_parts_) {
    files_.push_back({part.path(), part.file().size()});
    std::vector<SourceTensor> tensors;
    for (const GgufTensor& info : part.tensors()) {
      MIDGE_RETURN_IF_ERROR(make_gguf_tensor(part, info, &tensors.emplace_back()));
    }
    MIDGE_RETURN_IF_ERROR(refuse_overlaps(tensors));
    std::move(tensors.begin(), tensors.end(), std::back_inserter(tensors_));
  }
  return index_tensors();
}

Status WeightSource::open_directory() {
  kind_ = SourceKind::kHuggingFace;
  JsonLimits limits;
  limits.parsed_bytes = kConfigParsedBytesMax;
  MIDGE_ASSIGN_OR_RETURN(JsonDocument config, JsonDocument::load(join_path(path_, "config.json"),
                                                                 kConfigBytesMax, limits));
  config_ = std::make_unique<const JsonDocument>(std::move(config));
  const std::string generation = join_path(path_, "generation_config.json");
  if (is_regular_file(generation)) {
    MIDGE_ASSIGN_OR_RETURN(JsonDocument document,
                           JsonDocument::load(generation, kConfigBytesMax, limits));
    generation_config_ = std::make_unique<const JsonDocument>(std::move(document));
  }
  // In the order of transformers: an index may be left over from before the parts were joined.
  const std::string whole = join_path(path_, "model.safetensors");
  const std::string index = join_path(path_, "model.safetensors.index.json");
  if (!is_regular_file(whole) && is_regular_file(index)) return open_sharded(index);
  MIDGE_RETURN_IF_ERROR(add_shard(whole));
  return index_tensors();
}

Status WeightSource::open_sharded(const std::string& index_path) {
  MIDGE_ASSIGN_OR_RETURN(const WeightMap map, WeightMap::load(index_path));
  SafetensorsLimits left;
  for (size_t i = 0; i < map.files().size(); ++i) {
    left.tensors_max = map.tensors_of(i);
    MIDGE_RETURN_IF_ERROR(add_shard(join_path(path_, map.files()[i]), left));
    left.header_bytes_max -= shards_.back()->header_bytes();
  }
  MIDGE_RETURN_IF_ERROR(index_tensors());
  // Index and shards must tell the same story.
  for (const SourceTensor& tensor : tensors_) {
    const size_t entry = map.find(tensor.name);
    const std::string where = entry == map.size() ? "" : join_path(path_, map.file(entry));
    if (where != *tensor.path) {
      return make_status(StatusCode::kInvalidFile,
                         "%s: tensor '%s' lies in %s, but the index says %s",
                         shown_path(index_path).c_str(), printable(tensor.name).c_str(),
                         shown_path(*tensor.path).c_str(),
                         where.empty() ? "nothing of it" : shown_path(where).c_str());
    }
  }
  for (size_t i = 0; i < map.size(); ++i) {
    if (find(map.name(i)) != nullptr) continue;
    return make_status(StatusCode::kInvalidFile, "%s: tensor '%s' is not in its shard %s",
                       shown_path(index_path).c_str(), printable(map.name(i)).c_str(),
                       printable(map.file(i)).c_str());
  }
  return Status();
}

Status WeightSource::add_shard(const std::string& path, const SafetensorsLimits& limits) {
  const auto [same, is_new] = shard_of_id_.emplace(file_id(path), shards_.size());
  if (!is_new) {
    return make_status(StatusCode::kInvalidFile, "%s: is the same file as %s",
                       shown_path(path).c_str(), shown_path(shards_[same->second]->path()).c_str());
  }
  MIDGE_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(path, access_, on_copy_));
  MIDGE_ASSIGN_OR_RETURN(SafetensorsFile opened, SafetensorsFile::parse(std::move(mapped), limits));
  shards_.push_back(std::make_unique<SafetensorsFile>(std::move(opened)));
  const SafetensorsFile& shard = *shards_.back();
  files_.push_back({shard.path(), shard.file().size()});
  for (const SafetensorsTensor& info : shard.tensors()) {
    SourceTensor tensor;
    tensor.name = info.name;
    tensor.type_name = info.dtype;
    tensor.encoding = safetensors_encoding(info.dtype);
    for (const uint64_t dim : info.shape) tensor.shape.push_back(static_cast<int64_t>(dim));
    tensor.data = shard.data(info);
    tensor.bytes = info.bytes;
    tensor.path = &shard.path();
    tensor.offset = info.offset;
    tensors_.push_back(std::move(tensor));
  }
  return Status();
}

Status WeightSource::lay_over(const std::string& path, std::string_view prefix,
                              const CopyProgress& on_copy) {
  if (kind_ != SourceKind::kHuggingFace) {
    return make_status(StatusCode::kUnsupported,
                       "%s: a GGUF file, expected a Hugging Face folder to lay %s over",
                       shown_path(path_).c_str(), shown_path(path).c_str());
  }
  on_copy_ = on_copy;
  std::vector<SourceTensor> below = std::move(tensors_);
  tensors_.clear();
  index_.clear();  // of the names that move
  const Status added = add_shard(path);
  on_copy_ = nullptr;
  MIDGE_RETURN_IF_ERROR(added);
  MIDGE_RETURN_IF_ERROR(index_tensors());
  for (const SourceTensor& tensor : tensors_) {
    if (tensor.name.starts_with(prefix)) continue;
    return make_status(StatusCode::kInvalidFile, "%s: tensor '%s', expected a name in %s",
                       shown_path(path).c_str(), printable(tensor.name).c_str(),
                       std::string(prefix).c_str());
  }
  if (tensors_.empty()) {
    return make_status(StatusCode::kInvalidFile, "%s: no tensors", shown_path(path).c_str());
  }
  std::erase_if(below, [this](const SourceTensor& tensor) { return find(tensor.name) != nullptr; });
  std::move(below.begin(), below.end(), std::back_inserter(tensors_));
  index_.clear();
  return index_tensors();
}

Status WeightSource::index_tensors() {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const auto [entry, added] = index_.emplace(tensors_[i].name, i);
    if (!added) {
      return make_status(StatusCode::kInvalidFile, "tensor '%s' is in %s and again in %s",
                         printable(tensors_[i].name).c_str(),
                         shown_path(*tensors_[entry->second].path).c_str(),
                         shown_path(*tensors_[i].path).c_str());
    }
  }
  return Status();
}

const SourceTensor* WeightSource::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

}  // namespace midge
