// From the matrices of files to an image of prepared ones: plan, sink, image.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/core/aligned_buffer.h"
#include "engine/core/status.h"
#include "engine/platform/worker_team.h"
#include "engine/weights/matrix.h"
#include "engine/weights/weight_storage.h"
#include "kernels/kernels.h"

namespace midge {

/// What becomes of a matrix.
struct MatrixTarget {
  enum class Form : uint8_t {
    kTiles,
    kFloats,  ///< the weights that tiles would hold, as f32 rows
    kRows,    ///< as they are in their file
  };

  Encoding encoding = Encoding::kF32;
  Form form = Form::kTiles;
  const float* importance = nullptr;  ///< see encode_row; outlives the preparing
};

/// A matrix of the image. Its last columns may be a part of their own, see main_columns.
struct PlannedMatrix {
  std::string name;  ///< for messages
  WeightRows from;
  MatrixTarget to;
  int64_t columns = 0;      ///< of the first part
  int64_t offset = 0;       ///< in the image, a multiple of 64
  int64_t tail_offset = 0;  ///< of the second part's tiles
  int64_t bytes = 0;        ///< in the image, of both
};

/// What an image holds, known before anything is read.
class PreparePlan {
 public:
  /// Adds a matrix at the end. kTiles: can_pack(from.encoding, to.encoding); kFloats:
  /// can_encode(to.encoding); kRows: to.encoding is from.encoding.
  void add(std::string name, const WeightRows& from, const MatrixTarget& to);

  /// What is added from now on begins at a multiple of `bytes`.
  void align(int64_t bytes);

  const std::vector<PlannedMatrix>& matrices() const { return matrices_; }
  int64_t bytes() const { return bytes_; }

 private:
  std::vector<PlannedMatrix> matrices_;
  int64_t bytes_ = 0;
};

/// Where an image goes. One caller at a time.
class WeightSink {
 public:
  virtual ~WeightSink() = default;
  /// Memory for the whole image, zeros, aligned to 64; called once. Errors: out_of_memory and what
  /// the sink is subject to.
  virtual Result<uint8_t*> begin(int64_t bytes) = 0;
  /// These bytes have their values; called in ascending order.
  virtual Status written(int64_t offset, int64_t bytes) = 0;
};

/// An image in anonymous memory.
class MemorySink : public WeightSink {
 public:
  /// huge_pages: ask the system for large pages.
  explicit MemorySink(bool huge_pages) : huge_pages_(huge_pages) {}

  Result<uint8_t*> begin(int64_t bytes) override;
  Status written(int64_t, int64_t) override { return Status(); }
  AlignedBuffer take() { return std::move(image_); }

 private:
  bool huge_pages_;
  AlignedBuffer image_;
};

/// Fills the sink with the planned matrices, one after the other, and lets go of the pages they
/// came from. on_progress(done, total), if given, is told bytes of the image.
/// Errors: invalid_file (a scale or an f16 weight is infinite or not a number; the message has
/// the storage's path, the matrix and the first one's row and column), those of the sink.
Status prepare_weights(const PreparePlan& plan, const WeightStorage& storage,
                       const WorkerTeam& team, const KernelTable& kernels, WeightSink& sink,
                       const std::function<void(int64_t, int64_t)>& on_progress = nullptr);

/// The matrix in an image that was made by the plan it belongs to.
PreparedMatrix prepared_matrix(const PlannedMatrix& planned, const uint8_t* image);

}  // namespace midge
