#include "engine/weights/prepare.h"

#include "engine/core/checked_math.h"
#include "engine/core/visible.h"
#include "engine/weights/pack.h"

namespace midge {

void PreparePlan::add(std::string name, const WeightRows& from, Encoding encoding, bool packed) {
  const int64_t bytes = packed ? packed_bytes(from, encoding)
                               : round_up(from.n * encoded_row_bytes(encoding, from.k), 64);
  matrices_.push_back({std::move(name), from, encoding, packed, bytes_, bytes});
  bytes_ += bytes;
}

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
    const auto convert = matrix.packed ? pack_matrix : encode_matrix;
    MIDGE_RETURN_IF_ERROR(
        convert(team, kernels, matrix.from, matrix.encoding, what, image + matrix.offset));
    MIDGE_RETURN_IF_ERROR(sink.written(matrix.offset, matrix.bytes));
    storage.release_pages(matrix.from.data, matrix.from.bytes());
    if (on_progress != nullptr) on_progress(matrix.offset + matrix.bytes, plan.bytes());
  }
  return Status();
}

PreparedMatrix prepared_matrix(const PlannedMatrix& planned, const uint8_t* image) {
  const uint8_t* data = image + planned.offset;
  PreparedMatrix matrix;
  if (planned.packed) {
    matrix.form = PreparedMatrix::Form::kTiles;
    matrix.tiles = {planned.encoding, planned.from.n, planned.from.k, data};
  } else {
    matrix.rows = {planned.encoding, planned.from.n, planned.from.k, data,
                   encoded_row_bytes(planned.encoding, planned.from.k)};
  }
  return matrix;
}

}  // namespace midge
