#include "engine/speculation/draft_head.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "engine/core/checked_math.h"

namespace midge {
namespace {

int64_t tiles_of(const PreparedMatrix& head, int64_t rows) {
  const int64_t all = ceil_div(head.n(), kTileRows);
  return rows <= 0 ? all : std::min(all, ceil_div(rows, kTileRows));
}

}  // namespace

DraftHead DraftHead::first_rows(const PreparedMatrix& head, int64_t rows) {
  DraftHead part;
  part.matrix_ = head;
  const int64_t tiles = tiles_of(head, rows);
  if (head.form == PreparedMatrix::Form::kTiles) {
    part.matrix_.tiles = head.tiles.tiles(0, tiles);
    if (head.tail.k > 0) part.matrix_.tail = head.tail.tiles(0, tiles);
  } else if (head.form == PreparedMatrix::Form::kRows) {
    part.matrix_.rows = head.rows.rows(0, std::min(head.n(), tiles * kTileRows));
  }  // XNNPACK's operator is whole
  return part;
}

Result<DraftHead> DraftHead::most_frequent(const PreparedMatrix& head, int64_t rows,
                                           std::span<const uint32_t> counts) {
  const int64_t tiles = tiles_of(head, rows);
  const bool is_whole = tiles == tiles_of(head, 0);
  if (head.form != PreparedMatrix::Form::kTiles || is_whole) return first_rows(head, rows);
  // The last tile may not be full: it is no tile among others.
  const int64_t full = head.n() / kTileRows;
  std::vector<uint64_t> sums(static_cast<size_t>(full));
  for (int64_t i = 0; i < std::min(full * kTileRows, static_cast<int64_t>(counts.size())); ++i) {
    sums[static_cast<size_t>(i / kTileRows)] += counts[static_cast<size_t>(i)];
  }
  DraftHead part;
  part.tiles_.resize(static_cast<size_t>(full));
  std::iota(part.tiles_.begin(), part.tiles_.end(), 0);
  std::sort(part.tiles_.begin(), part.tiles_.end(), [&](int32_t a, int32_t b) {
    const uint64_t count_a = sums[static_cast<size_t>(a)];
    const uint64_t count_b = sums[static_cast<size_t>(b)];
    return count_a != count_b ? count_a > count_b : a < b;
  });
  part.tiles_.resize(static_cast<size_t>(std::min(tiles, full)));
  std::sort(part.tiles_.begin(), part.tiles_.end());

  const auto count = static_cast<int64_t>(part.tiles_.size());
  const int64_t tail_bytes = head.tail.k > 0 ? head.tail.tile_bytes() : 0;
  MIDGE_ASSIGN_OR_RETURN(
      part.copy_,
      AlignedBuffer::create(round_up(count * head.tiles.tile_bytes(), 64) + count * tail_bytes,
                            "the head of drafts"));
  const auto gather = [&](const WeightTiles& from, uint8_t* to) {
    WeightTiles tiles_there = from;
    tiles_there.n = count * kTileRows;
    tiles_there.data = to;
    for (const int32_t tile : part.tiles_) {
      std::memcpy(to, from.tile(tile), static_cast<size_t>(from.tile_bytes()));
      to += from.tile_bytes();
    }
    return tiles_there;
  };
  part.matrix_ = head;
  part.matrix_.tiles = gather(head.tiles, part.copy_.data());
  if (head.tail.k > 0) {
    part.matrix_.tail =
        gather(head.tail, part.copy_.data() + round_up(part.matrix_.tiles.bytes(), 64));
  }
  return part;
}

}  // namespace midge
