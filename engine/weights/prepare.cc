#include "engine/weights/prepare.h"

#include <cstring>

#include "engine/core/checked_math.h"
#include "engine/core/visible.h"
#include "engine/weights/pack.h"

namespace midge {

namespace {

bool has_tail(const PlannedMatrix& matrix) { return matrix.columns < matrix.from.k; }

WeightRows main_part(const PlannedMatrix& matrix) { return matrix.from.columns(0, matrix.columns); }
WeightRows tail_part(const PlannedMatrix& matrix) {
  return matrix.from.columns(matrix.columns, matrix.from.k - matrix.columns);
}

void copy_rows(const WeightRows& from, uint8_t* to) {
  const int64_t bytes = encoded_row_bytes(from.encoding, from.k);
  for (int64_t row = 0; row < from.n; ++row) {
    std::memcpy(to + row * bytes, from.row(row), static_cast<size_t>(bytes));
  }
}

// One part of a matrix, of its columns from `column` on.
Status prepare_part(const WorkerTeam& team, const KernelTable& kernels, const PlannedMatrix& matrix,
                    const WeightRows& part, int64_t column, const std::string& what,
                    uint8_t* image) {
  const Encoding encoding = column == 0 ? matrix.to.encoding : tail_encoding(matrix.to.encoding);
  const float* importance =
      matrix.to.importance != nullptr ? matrix.to.importance + column : nullptr;
  if (matrix.to.form == MatrixTarget::Form::kRows) {
    copy_rows(part, image + matrix.offset);
    return Status();
  }
  if (matrix.to.form == MatrixTarget::Form::kFloats) {
    auto* floats = reinterpret_cast<float*>(image + matrix.offset) + column;
    return round_matrix(team, kernels, part, encoding, importance, what, matrix.from.k, floats);
  }
  uint8_t* tiles = image + (column == 0 ? matrix.offset : matrix.tail_offset);
  return pack_matrix(team, kernels, part, encoding, importance, what, tiles);
}

}  // namespace

void PreparePlan::add(std::string name, const WeightRows& from, const MatrixTarget& to) {
  PlannedMatrix matrix = {std::move(name), from, to};
  matrix.offset = bytes_;
  const bool is_encoded = to.form != MatrixTarget::Form::kRows;
  matrix.columns = is_encoded ? main_columns(from, to.encoding) : from.k;
  if (matrix.columns == 0) {  // all of it is a tail
    matrix.to.encoding = tail_encoding(to.encoding);
    matrix.columns = from.k;
  }
  if (to.form == MatrixTarget::Form::kTiles) {
    matrix.bytes = packed_bytes(main_part(matrix), matrix.to.encoding);
    matrix.tail_offset = bytes_ + matrix.bytes;
    if (has_tail(matrix)) {
      matrix.bytes += packed_bytes(tail_part(matrix), tail_encoding(matrix.to.encoding));
    }
  } else if (to.form == MatrixTarget::Form::kFloats) {
    matrix.bytes = round_up(from.n * from.k * static_cast<int64_t>(sizeof(float)), 64);
  } else {
    matrix.bytes = round_up(from.bytes(), 64);
  }
  bytes_ += matrix.bytes;
  matrices_.push_back(std::move(matrix));
}

void PreparePlan::align(int64_t bytes) { bytes_ = round_up(bytes_, bytes); }

Result<uint8_t*> MemorySink::begin(int64_t bytes) {
  MIDGE_ASSIGN_OR_RETURN(image_, AlignedBuffer::create(bytes, "copies of the weights"));
  if (huge_pages_) image_.prefer_huge_pages();
  return image_.data();
}

Status prepare_weights(const PreparePlan& plan, const WeightStorage& storage,
                       const WorkerTeam& team, const KernelTable& kernels, WeightSink& sink,
                       const std::function<void(int64_t, int64_t)>& on_progress) {
  if (plan.bytes() == 0) return Status();
  MIDGE_ASSIGN_OR_RETURN(uint8_t* const image, sink.begin(plan.bytes()));
  for (const PlannedMatrix& matrix : plan.matrices()) {
    const std::string what = shown_path(storage.path()) + ": " + matrix.name;
    MIDGE_RETURN_IF_ERROR(prepare_part(team, kernels, matrix, main_part(matrix), 0, what, image));
    if (has_tail(matrix)) {
      MIDGE_RETURN_IF_ERROR(prepare_part(
          team, kernels, matrix, tail_part(matrix), matrix.columns,
          what + format_string(", from column %lld", static_cast<long long>(matrix.columns)),
          image));
    }
    MIDGE_RETURN_IF_ERROR(sink.written(matrix.offset, matrix.bytes));
    storage.release_pages(matrix.from.data, matrix.from.bytes());
    if (on_progress != nullptr) on_progress(matrix.offset + matrix.bytes, plan.bytes());
  }
  return Status();
}

PreparedMatrix prepared_matrix(const PlannedMatrix& planned, const uint8_t* image) {
  const uint8_t* data = image + planned.offset;
  const WeightRows& from = planned.from;
  PreparedMatrix matrix;
  if (planned.to.form == MatrixTarget::Form::kTiles) {
    matrix.form = PreparedMatrix::Form::kTiles;
    matrix.tiles = {planned.to.encoding, from.n, planned.columns, data};
    if (has_tail(planned)) {
      matrix.tail = {tail_encoding(planned.to.encoding), from.n, from.k - planned.columns,
                     image + planned.tail_offset};
    }
  } else {
    const bool is_copy = planned.to.form == MatrixTarget::Form::kRows;
    const Encoding encoding = is_copy ? from.encoding : Encoding::kF32;
    matrix.rows = {encoding, from.n, from.k, data, encoded_row_bytes(encoding, from.k)};
  }
  return matrix;
}

}  // namespace midge
