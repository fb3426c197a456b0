#include "engine/session/kv_pool.h"

#include <cstring>

#include "engine/core/check.h"

namespace midge {
namespace {

constexpr int64_t kShortPage = 4 * kAttnStep;

Result<KvLayout> layout_of(const ModelConfig& config, const KvPoolOptions& options) {
  if (options.page_tokens < 1 || options.page_tokens % kAttnStep != 0) {
    return make_status(
        StatusCode::kInvalidArgument, "KV pages of %lld tokens, expected a multiple of %lld",
        static_cast<long long>(options.page_tokens), static_cast<long long>(kAttnStep));
  }
  if (is_quantized(options.type) && config.head_dim < kQuantizedHeadMin) {
    return make_status(StatusCode::kUnsupported, "KV type %s with heads of %lld, expected %lld",
                       kv_type_name(options.type), static_cast<long long>(config.head_dim),
                       static_cast<long long>(kQuantizedHeadMin));
  }
  KvLayout layout;
  layout.type = options.type;
  layout.page_tokens = options.page_tokens;
  layout.layers = config.layer_count + (options.with_mtp ? config.mtp_layer_count : 0);
  layout.kv_heads = config.kv_head_count;
  layout.head_dim = config.head_dim;
  return layout;
}

}  // namespace

Result<KvType> kv_type_from_name(std::string_view name) {
  if (name.empty()) return KvType::kF16;
  for (const KvType type : {KvType::kF16, KvType::kF32, KvType::kInt8, KvType::kK8V4}) {
    if (name == kv_type_name(type)) return type;
  }
  return make_status(StatusCode::kInvalidArgument, "KV type '%s', expected f16, f32, int8 or k8v4",
                     printable(name).c_str());
}

Result<int64_t> KvPool::bytes_for(const ModelConfig& config, const KvPoolOptions& options) {
  MIDGE_ASSIGN_OR_RETURN(const KvLayout layout, layout_of(config, options));
  return options.pages * layout.page_bytes();
}

Result<std::unique_ptr<KvPool>> KvPool::create(const ModelConfig& config,
                                               const KvPoolOptions& options) {
  std::unique_ptr<KvPool> pool(new KvPool());
  MIDGE_ASSIGN_OR_RETURN(pool->layout_, layout_of(config, options));
  MIDGE_ASSIGN_OR_RETURN(
      pool->buffer_,
      AlignedBuffer::create(options.pages * pool->layout_.page_bytes(), "the KV cache"));
  // A page that is taken is soon full. In long ones the first token would touch all of them.
  if (options.page_tokens <= kShortPage) pool->buffer_.prefer_huge_pages();
  pool->holders_.resize(static_cast<size_t>(options.pages));
  // The first page is taken first.
  for (int64_t id = options.pages; id-- > 0;) pool->free_.push_back(static_cast<int32_t>(id));
  return pool;
}

int32_t KvPool::take() {
  MIDGE_DCHECK(!free_.empty(), "no free page");
  const int32_t id = free_.back();
  free_.pop_back();
  holders_[static_cast<size_t>(id)] = 1;
  return id;
}

void KvPool::give_back(int32_t id) {
  int32_t& holders = holders_[static_cast<size_t>(id)];
  MIDGE_DCHECK(holders > 0, "page %d is free already", id);
  --holders;
  if (holders == 1) --shared_count_;
  if (holders == 0) free_.push_back(id);  // there is room: it was there before
}

void KvPool::copy(int32_t from, int32_t to, int64_t tokens) const {
  layout_.visit_used(tokens, [&](int64_t offset, int64_t used, int64_t) {
    std::memcpy(page(to) + offset, page(from) + offset, static_cast<size_t>(used));
  });
}

void KvPool::release_from(int32_t id, int64_t tokens) const {
  const int64_t begin = id * layout_.page_bytes();
  if (tokens == 0) return buffer_.release(begin, begin + layout_.page_bytes());
  layout_.visit_used(tokens, [&](int64_t offset, int64_t used, int64_t bytes) {
    buffer_.release(begin + offset + used, begin + offset + bytes);
  });
}

void KvPool::release_free() const {
  for (const int32_t id : free_) release_from(id, 0);
}

}  // namespace midge
