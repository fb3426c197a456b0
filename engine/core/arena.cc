#include "engine/core/arena.h"

#include <bit>
#include <limits>

#include "engine/core/poison.h"

namespace midge {
namespace {

// Poisoned bytes behind a part. Four cache lines: a kernel that reads one vector too far, or one
// row of 64 floats, still lands in them.
constexpr int64_t kGap = kPoisons ? 256 : 0;

constexpr int64_t kAlignmentMax = 4096;  // AlignedBuffer starts on a page
constexpr int64_t kTooMuch = std::numeric_limits<int64_t>::max();

uint8_t* align(uint8_t* at, int64_t alignment) {
  const auto address = reinterpret_cast<uintptr_t>(at);
  return at + (-address & (static_cast<uintptr_t>(alignment) - 1));
}

}  // namespace

Arena::Arena(const AlignedBuffer& buffer)
    : at_(buffer.data()), end_(buffer.data() + buffer.bytes()) {
  poison(at_, buffer.bytes());
}

int64_t Arena::room(int64_t bytes, int64_t alignment) {
  if (bytes == 0) return 0;
  int64_t room = 0;
  // Whatever was taken before ends at a multiple of kArenaAlignment; from there to a multiple of a
  // larger alignment are less than `alignment` bytes.
  const int64_t to_start = alignment > kArenaAlignment ? alignment - kArenaAlignment : 0;
  if (__builtin_add_overflow(bytes, kArenaAlignment - 1 + kGap + to_start, &room)) return kTooMuch;
  return room / kArenaAlignment * kArenaAlignment;
}

uint8_t* Arena::take_bytes(int64_t count, int64_t size, int64_t alignment) {
  MIDGE_DCHECK(count >= 0, "%lld", static_cast<long long>(count));
  MIDGE_DCHECK(alignment > 0 && alignment <= kAlignmentMax &&
                   std::has_single_bit(static_cast<uint64_t>(alignment)),
               "%lld", static_cast<long long>(alignment));
  if (count == 0) return nullptr;
  uint8_t* part = align(at_, alignment);
  MIDGE_DCHECK(part <= end_ && count <= (end_ - part) / size, "%lld of %lld bytes, %lld are left",
               static_cast<long long>(count), static_cast<long long>(size),
               static_cast<long long>(end_ - at_));
  // The last part may lack its gap: behind the buffer all is forbidden anyway.
  uint8_t* next = align(part + count * size, kArenaAlignment) + kGap;
  at_ = next < end_ ? next : end_;
  unpoison(part, count * size);
  return part;
}

void ArenaPlan::grow(int64_t count, int64_t size, int64_t alignment) {
  int64_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes) ||
      __builtin_add_overflow(bytes_, Arena::room(bytes, alignment), &bytes_)) {
    bytes_ = kTooMuch;
  }
}

Result<AlignedBuffer> ArenaPlan::create(const char* what) {
  MIDGE_ASSIGN_OR_RETURN(AlignedBuffer buffer, AlignedBuffer::create(bytes_, what));
  Arena arena(buffer);
  for (const Part& part : parts_) part.point(part.where, arena, part);
  return buffer;
}

}  // namespace midge
