#include "engine/scheduler/prefix_file.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include <unistd.h>

#include "engine/core/temporary_file.h"
#include "engine/core/visible.h"
#include "engine/packed/bytes.h"
#include "engine/packed/hashing.h"

namespace midge {
namespace {

constexpr char kMagic[8] = {'m', 'i', 'd', 'g', 'e', '-', 'k', 'v'};
constexpr uint32_t kVersion = 1;
constexpr int64_t kAlignment = 64;

}  // namespace

struct PrefixHeader {
  char magic[8] = {};
  uint32_t version = kVersion;
  uint32_t reserved = 0;
  uint64_t file_bytes = 0;
  uint64_t info_bytes = 0;  // behind the header
  ContentHash hash = {};    // of the whole file, this field being zero
  int64_t mtp_begin = 0;
  int64_t mtp_length = 0;
};
static_assert(sizeof(PrefixHeader) == 64);

namespace {

template <typename T>
std::span<const uint8_t> bytes_of(const T& object) {
  return {reinterpret_cast<const uint8_t*>(&object), sizeof(T)};
}
std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

int64_t used_bytes(const KvLayout& layout, int64_t tokens) {
  int64_t sum = 0;
  layout.visit_used(tokens, [&](int64_t, int64_t used, int64_t) { sum += used; });
  return sum;
}

// Of page `index` of `tokens` tokens.
int64_t tokens_in_page(const KvLayout& layout, int64_t tokens, int64_t index) {
  return std::min(layout.page_tokens, tokens - index * layout.page_tokens);
}

// What comes behind the header, up to the pages.
std::string write_info(const PrefixInfo& info, const KvLayout& layout) {
  ByteWriter out;
  for (const uint64_t part : info.model) out.number(part);
  out.text(kv_type_name(layout.type));
  out.number(static_cast<uint8_t>(info.regime));
  for (const int64_t number :
       {layout.page_tokens, layout.layers, layout.kv_heads, layout.head_dim}) {
    out.number(number);
  }
  out.array(info.tokens);
  out.array(info.roles);
  std::string bytes = out.bytes();
  bytes.resize(static_cast<size_t>(round_up(static_cast<int64_t>(bytes.size()), kAlignment)));
  return bytes;
}

// Calls add(bytes) for all that comes behind the header.
template <typename Add>
Status add_all(const std::string& info_bytes, int64_t tokens, const KvPool& pool,
               std::span<const int32_t> page_ids, const Add& add) {
  MIDGE_RETURN_IF_ERROR(add(bytes_of(info_bytes)));
  Status status;
  for (size_t i = 0; i < page_ids.size(); ++i) {
    const uint8_t* page = pool.page(page_ids[i]);
    pool.layout().visit_used(tokens_in_page(pool.layout(), tokens, static_cast<int64_t>(i)),
                             [&](int64_t offset, int64_t used, int64_t) {
                               if (status.ok()) {
                                 status = add({page + offset, static_cast<size_t>(used)});
                               }
                             });
  }
  return status;
}

}  // namespace

Status save_prefix_file(const std::string& path, const PrefixInfo& info, const KvPool& pool,
                        std::span<const int32_t> page_ids) {
  const auto tokens = static_cast<int64_t>(info.tokens.size());
  const std::string info_bytes = write_info(info, pool.layout());
  PrefixHeader header;
  std::copy(std::begin(kMagic), std::end(kMagic), header.magic);
  header.info_bytes = info_bytes.size();
  header.mtp_begin = info.mtp.begin;
  header.mtp_length = info.mtp.length;
  header.file_bytes = sizeof(PrefixHeader) + info_bytes.size();
  for (size_t i = 0; i < page_ids.size(); ++i) {
    header.file_bytes += static_cast<uint64_t>(
        used_bytes(pool.layout(), tokens_in_page(pool.layout(), tokens, static_cast<int64_t>(i))));
  }
  ContentHasher hasher;
  hasher.add(bytes_of(header));
  const auto hash = [&](std::span<const uint8_t> bytes) {
    hasher.add(bytes);
    return Status();
  };
  MIDGE_RETURN_IF_ERROR(add_all(info_bytes, tokens, pool, page_ids, hash));
  header.hash = hasher.hash();

  MIDGE_ASSIGN_OR_RETURN(TemporaryFile file,
                         TemporaryFile::create(path, TemporaryFile::Readers::kOwner));
  const auto write = [&](std::span<const uint8_t> bytes) {
    while (!bytes.empty()) {
      const ssize_t done = ::write(file.fd(), bytes.data(), bytes.size());
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) {
        return make_status(StatusCode::kIoError, "%s: cannot write: %s", shown_path(path).c_str(),
                           std::strerror(errno));
      }
      bytes = bytes.subspan(static_cast<size_t>(done));
    }
    return Status();
  };
  MIDGE_RETURN_IF_ERROR(write(bytes_of(header)));
  MIDGE_RETURN_IF_ERROR(add_all(info_bytes, tokens, pool, page_ids, write));
  return file.publish(true);
}

Result<PrefixFile> PrefixFile::open(const std::string& path, const ContentHash& model,
                                    const KvLayout& layout, const ModelConfig& config) {
  PrefixFile file;
  MIDGE_ASSIGN_OR_RETURN(file.file_, MappedFile::open(path));
  PrefixHeader header;  // read once: who writes to the file meanwhile changes no size
  MIDGE_RETURN_IF_ERROR(file.read_header(&header));
  MIDGE_RETURN_IF_ERROR(file.read(header, model, layout, config));
  return file;
}

Status PrefixFile::refuse(StatusCode code, const std::string& what) const {
  return with_file_name(shown_path(file_.path()), Status(code, what));
}

Status PrefixFile::read_header(PrefixHeader* into) const {
  PrefixHeader& header = *into;
  if (file_.size() < sizeof(PrefixHeader)) {
    return refuse(
        StatusCode::kInvalidFile,
        format_string("%llu bytes, a saved prefix has at least %zu",
                      static_cast<unsigned long long>(file_.size()), sizeof(PrefixHeader)));
  }
  std::memcpy(&header, file_.data(), sizeof(PrefixHeader));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) {
    return refuse(StatusCode::kInvalidFile, "not a saved prefix: it does not begin with midge-kv");
  }
  if (header.version != kVersion) {
    return refuse(StatusCode::kUnsupported,
                  format_string("version %u, expected %u", header.version, kVersion));
  }
  if (header.file_bytes != file_.size()) {
    return refuse(StatusCode::kInvalidFile,
                  format_string("%llu bytes, its header says %llu: it is cut or was changed",
                                static_cast<unsigned long long>(file_.size()),
                                static_cast<unsigned long long>(header.file_bytes)));
  }
  const ContentHash expected = header.hash;
  header.hash = {};
  ContentHasher hasher;
  hasher.add(bytes_of(header));
  hasher.add({file_.data() + sizeof(PrefixHeader),
              static_cast<size_t>(file_.size() - sizeof(PrefixHeader))});
  if (hasher.hash() != expected) {
    return refuse(StatusCode::kInvalidFile,
                  format_string("damaged: the checksum is %s, expected %s",
                                to_hex(hasher.hash()).c_str(), to_hex(expected).c_str()));
  }
  if (header.info_bytes > file_.size() - sizeof(PrefixHeader) ||
      header.info_bytes % kAlignment != 0) {
    return refuse(StatusCode::kInvalidFile,
                  format_string("%llu bytes before its pages",
                                static_cast<unsigned long long>(header.info_bytes)));
  }
  return Status();
}

Status PrefixFile::read(const PrefixHeader& header, const ContentHash& model,
                        const KvLayout& layout, const ModelConfig& config) {
  ByteReader in({file_.data() + sizeof(PrefixHeader), static_cast<size_t>(header.info_bytes)});
  for (uint64_t& part : info_.model) part = in.number<uint64_t>();
  if (in.ok() && info_.model != model) {
    return refuse(StatusCode::kModelMismatch,
                  format_string("of model %s, this one is %s", to_hex(info_.model).c_str(),
                                to_hex(model).c_str()));
  }
  const std::string_view type = in.text();
  const auto regime = in.number<uint8_t>();
  const auto page_tokens = in.number<int64_t>();
  const auto layers = in.number<int64_t>();
  const auto kv_heads = in.number<int64_t>();
  const auto head_dim = in.number<int64_t>();
  info_.tokens = in.array<int32_t>();
  const std::span<const uint8_t> roles = in.array<uint8_t>();
  if (!in.ok() || regime >= kRopeRegimeCount || info_.tokens.empty() ||
      roles.size() != info_.tokens.size()) {
    return refuse(StatusCode::kInvalidFile,
                  format_string("%zu tokens with %zu roles, factors of set %d", info_.tokens.size(),
                                roles.size(), regime));
  }
  // The MTP layer is the last one, where there is room for it.
  const bool has_layers = layers == layout.layers || layers == config.layer_count ||
                          layers == config.layer_count + config.mtp_layer_count;
  if (type != kv_type_name(layout.type) || page_tokens != layout.page_tokens || !has_layers ||
      kv_heads != layout.kv_heads || head_dim != layout.head_dim) {
    return refuse(
        StatusCode::kModelMismatch,
        format_string("pages of %lld tokens in %s, %lld layers of %lld heads of %lld; expected "
                      "%lld in %s, %lld, %lld, %lld",
                      static_cast<long long>(page_tokens), printable(type, 20).c_str(),
                      static_cast<long long>(layers), static_cast<long long>(kv_heads),
                      static_cast<long long>(head_dim), static_cast<long long>(layout.page_tokens),
                      kv_type_name(layout.type), static_cast<long long>(layout.layers),
                      static_cast<long long>(layout.kv_heads),
                      static_cast<long long>(layout.head_dim)));
  }
  info_.regime = static_cast<RopeRegime>(regime);
  layout_ = layout;
  layout_.layers = layers;
  page_bytes_ = layout.page_bytes();
  for (size_t i = 0; i < info_.tokens.size(); ++i) {
    if (info_.tokens[i] >= 0 && info_.tokens[i] < config.vocab_size && roles[i] < kRowRoleCount)
      continue;
    return refuse(StatusCode::kInvalidFile,
                  format_string("token %zu is %d with role %d", i, info_.tokens[i], roles[i]));
  }
  info_.roles = {reinterpret_cast<const RowRole*>(roles.data()), roles.size()};
  const auto tokens = static_cast<int64_t>(info_.tokens.size());
  if (header.mtp_begin < 0 || header.mtp_begin % page_tokens != 0 ||
      header.mtp_length < header.mtp_begin || header.mtp_length > tokens ||
      (header.mtp_length > 0 && layers == config.layer_count)) {
    return refuse(
        StatusCode::kInvalidFile,
        format_string("positions %lld to %lld of the MTP layer, of %lld tokens",
                      static_cast<long long>(header.mtp_begin),
                      static_cast<long long>(header.mtp_length), static_cast<long long>(tokens)));
  }
  if (layout.layers > config.layer_count) {
    info_.mtp.begin = header.mtp_begin;
    info_.mtp.length = header.mtp_length;
  }
  const int64_t whole = tokens / page_tokens;
  const int64_t expected =
      whole * used_bytes(layout_, page_tokens) +
      (tokens % page_tokens == 0 ? 0 : used_bytes(layout_, tokens % page_tokens));
  const auto found = static_cast<int64_t>(file_.size() - sizeof(PrefixHeader) - header.info_bytes);
  if (found != expected) {
    return refuse(StatusCode::kInvalidFile,
                  format_string("%lld bytes of pages for %lld tokens, expected %lld",
                                static_cast<long long>(found), static_cast<long long>(tokens),
                                static_cast<long long>(expected)));
  }
  pages_ = file_.data() + sizeof(PrefixHeader) + header.info_bytes;
  return Status();
}

int64_t PrefixFile::page_count() const {
  return ceil_div(static_cast<int64_t>(info_.tokens.size()), layout_.page_tokens);
}

void PrefixFile::read_page(int64_t index, uint8_t* page) const {
  const uint8_t* from = pages_ + index * used_bytes(layout_, layout_.page_tokens);
  const auto tokens = static_cast<int64_t>(info_.tokens.size());
  layout_.visit_used(tokens_in_page(layout_, tokens, index),
                     [&](int64_t offset, int64_t used, int64_t) {
                       if (offset < page_bytes_) {
                         std::memcpy(page + offset, from, static_cast<size_t>(used));
                       }
                       from += used;
                     });
  if (layout_.type != KvType::kInt8) return;
  // No writer makes negative scales, and kernels rely on it; a forged file may have them.
  for (int64_t layer = 0; layer < layout_.layers; ++layer) {
    for (int64_t head = 0; head < layout_.kv_heads; ++head) {
      const int64_t offset = layout_.value_scales_offset(layer, head);
      if (offset >= page_bytes_) return;
      auto* scales = reinterpret_cast<float*>(page + offset);
      std::transform(scales, scales + tokens_in_page(layout_, tokens, index), scales,
                     [](float scale) { return std::fabs(scale); });
    }
  }
}

}  // namespace midge
