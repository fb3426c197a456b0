// The pages that hold keys and values of the sequences of one model.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/core/aligned_buffer.h"
#include "engine/decoder/model.h"
#include "engine/ops/kv_pages.h"

namespace midge {

/// The type of a name, see kv_type_name; f16 for an empty one. Errors: invalid_argument.
Result<KvType> kv_type_from_name(std::string_view name);

struct KvPoolOptions {
  KvType type = KvType::kF16;
  int64_t page_tokens = 64;  ///< a multiple of kAttnStep
  int64_t pages = 0;         ///< at least 1
  bool with_mtp = false;     ///< room for the MTP layers behind the model's
};

/// Pages of one size, all taken at creation. Each is free or has holders, who share it; what is
/// written into a page is seen by all of them, so who writes holds it alone (Sequence sees to
/// that). Tokens of a page may be written in any order and again. Not for several threads.
class KvPool {
 public:
  /// Errors: out_of_memory, invalid_argument (page_tokens).
  static Result<std::unique_ptr<KvPool>> create(const ModelConfig& config,
                                                const KvPoolOptions& options);
  /// Bytes of the pages. Errors: invalid_argument (page_tokens).
  static Result<int64_t> bytes_for(const ModelConfig& config, const KvPoolOptions& options);

  KvPool(const KvPool&) = delete;
  KvPool& operator=(const KvPool&) = delete;

  const KvLayout& layout() const { return layout_; }
  int64_t page_count() const { return static_cast<int64_t>(holders_.size()); }
  int64_t free_count() const { return static_cast<int64_t>(free_.size()); }
  int64_t bytes() const { return buffer_.bytes(); }
  uint8_t* page(int32_t id) const { return buffer_.data() + id * layout_.page_bytes(); }
  int32_t holders(int32_t id) const { return holders_[static_cast<size_t>(id)]; }
  /// Pages with more than one holder.
  int64_t shared_count() const { return shared_count_; }

  /// A free page, which has one holder then: the one that was given back last. free_count() > 0.
  int32_t take();
  /// One holder more.
  void share(int32_t id) { shared_count_ += ++holders_[static_cast<size_t>(id)] == 2 ? 1 : 0; }
  /// One holder less; without any it is free.
  void give_back(int32_t id);
  /// Copies what the first `tokens` tokens have in a page into another one.
  void copy(int32_t from, int32_t to, int64_t tokens) const;

  /// Errors: those of AlignedBuffer::settle.
  Status settle(Residency residency) const { return buffer_.settle(residency, "the KV cache"); }
  /// Gives the memory of a page back to the system, but for that of the first `tokens` tokens, see
  /// AlignedBuffer::release.
  void release_from(int32_t id, int64_t tokens) const;
  /// The same of free pages.
  void release_free() const;

 private:
  KvPool() = default;

  AlignedBuffer buffer_;
  KvLayout layout_;
  std::vector<int32_t> holders_;  // of each page
  std::vector<int32_t> free_;     // pages; the last one is taken next
  int64_t shared_count_ = 0;
};

}  // namespace midge
