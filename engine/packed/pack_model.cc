#include "engine/packed/pack_model.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "engine/core/visible.h"
#include "engine/packed/hashing.h"
#include "engine/packed/packed_acceptance.h"
#include "engine/packed/packed_tokenizer.h"
#include "engine/packed/packed_writer.h"
#include "engine/packed/tensor_directory.h"
#include "engine/weights/encode.h"
#include "engine/weights/pack.h"
#include "engine/weights/prepare.h"

namespace midge {
namespace {

// What the image of the weights consists of: those of a token's way first, the MTP layer's behind.
struct ImagePlan {
  PreparePlan plan;
  size_t mtp_first = 0;                         // index of the first matrix of the MTP layer
  int64_t mtp_offset = 0;                       // where its section begins
  std::vector<std::vector<float>> importances;  // that the plan points into
};

Status add_matrix(const std::string& name, const PreparedMatrix& w, const PackOptions& options,
                  ImagePlan& image) {
  if (w.form != PreparedMatrix::Form::kRows) {
    return make_status(StatusCode::kUnsupported, "matrix '%s' is packed already", name.c_str());
  }
  const Encoding target = options.recipe.encoding_of(name).value_or(w.rows.encoding);
  MatrixTarget to = {.encoding = target};
  if (!can_pack(w.rows.encoding, target)) to.form = MatrixTarget::Form::kRows;
  if (options.importance != nullptr && target != w.rows.encoding) {
    MIDGE_ASSIGN_OR_RETURN(std::vector<float> values,
                           options.importance->of_matrix(name, w.rows.k));
    image.importances.push_back(std::move(values));
    if (!image.importances.back().empty()) to.importance = image.importances.back().data();
  }
  image.plan.add(name, w.rows, to);
  return Status();
}

Result<ImagePlan> plan_image(const Model& model, const PackOptions& options) {
  ImagePlan image;
  Status status;
  const auto add = [&](const std::string& name, const PreparedMatrix& w, bool of_mtp) {
    if (status.ok() && is_of_mtp(name) == of_mtp) status = add_matrix(name, w, options, image);
  };
  for (const bool of_mtp : {false, true}) {
    if (of_mtp) {
      image.mtp_first = image.plan.matrices().size();
      if (model.config().mtp_layer_count == 0) break;
      image.plan.align(int64_t{kPackedSectionAlignment});
      image.mtp_offset = image.plan.bytes();
    }
    const bool tied = model.config().tied_head;
    visit_matrices(model.weights(), tied,
                   [&](const std::string& name, const PreparedMatrix& w) { add(name, w, of_mtp); });
  }
  if (model.config().mtp_layer_count == 0) image.mtp_offset = image.plan.bytes();
  MIDGE_RETURN_IF_ERROR(status);
  std::vector<std::string> names;
  for (const PlannedMatrix& matrix : image.plan.matrices()) names.push_back(matrix.name);
  MIDGE_RETURN_IF_ERROR(options.recipe.check_names(names));
  return image;
}

PackedTensor tensor_of(const PlannedMatrix& matrix, bool of_mtp, int64_t section_offset) {
  PackedTensor tensor;
  tensor.name = matrix.name;
  tensor.section = of_mtp ? "mtp" : "weights";
  const bool is_tiled = matrix.to.form == MatrixTarget::Form::kTiles;
  tensor.layout = is_tiled ? kLayoutTiles : kLayoutRows;
  tensor.encoding = encoding_info(matrix.to.encoding).name;
  tensor.n = matrix.from.n;
  tensor.columns = matrix.columns;
  tensor.tail_columns = matrix.from.k - matrix.columns;
  tensor.offset = static_cast<uint64_t>(matrix.offset - section_offset);
  if (tensor.tail_columns > 0) {
    tensor.tail_encoding = encoding_info(tail_encoding(matrix.to.encoding)).name;
    tensor.tail_offset = static_cast<uint64_t>(matrix.tail_offset - section_offset);
  }
  tensor.bytes = static_cast<uint64_t>(matrix.bytes);
  return tensor;
}

// The vectors one after another, and their entries.
std::string write_vectors(const Model& model, std::vector<PackedTensor>& tensors) {
  std::string bytes;
  visit_vectors(model.weights(), [&](const std::string& name, std::span<const float> vector) {
    if (vector.empty()) return;
    PackedTensor tensor;
    tensor.name = name;
    tensor.section = "vectors";
    tensor.layout = kLayoutVector;
    tensor.encoding = encoding_info(Encoding::kF32).name;
    tensor.n = static_cast<int64_t>(vector.size());
    tensor.columns = 1;
    tensor.offset = bytes.size();
    tensor.bytes = vector.size_bytes();
    const auto* data = reinterpret_cast<const uint8_t*>(vector.data());
    tensor.checksum = short_hash({data, vector.size_bytes()});
    bytes.append(reinterpret_cast<const char*>(data), vector.size_bytes());
    bytes.resize(static_cast<size_t>(round_up(static_cast<int64_t>(bytes.size()), 64)));
    tensors.push_back(std::move(tensor));
  });
  return bytes;
}

// Takes the image into the file, and the checksums of its tensors and sections as they come.
class FileSink : public WeightSink {
 public:
  /// tensors: those of the image first, in the order of its matrices.
  FileSink(const PackedWriter& writer, uint64_t offset, const ImagePlan& image,
           std::vector<PackedTensor>& tensors)
      : writer_(writer), offset_(offset), image_(image), tensors_(tensors) {}

  Result<uint8_t*> begin(int64_t) override { return writer_.data() + offset_; }

  Status written(int64_t offset, int64_t bytes) override {
    const uint64_t at = offset_ + static_cast<uint64_t>(offset);
    const std::span<const uint8_t> matrix = {writer_.data() + at, static_cast<size_t>(bytes)};
    tensors_[done_].checksum = short_hash(matrix);
    (done_ < image_.mtp_first ? weights_ : mtp_).add(matrix);
    ++done_;
    writer_.written(at, matrix.size());
    return Status();
  }

  ContentHash weights_hash() const { return weights_.hash(); }
  ContentHash mtp_hash() const { return mtp_.hash(); }

 private:
  const PackedWriter& writer_;
  uint64_t offset_;
  const ImagePlan& image_;
  std::vector<PackedTensor>& tensors_;
  size_t done_ = 0;
  ContentHasher weights_;
  ContentHasher mtp_;
};

}  // namespace

Result<PackedFileInfo> pack_model(const Model& model, const Tokenizer* tokenizer,
                                  const PackOptions& options, const WorkerTeam& team,
                                  const KernelTable& kernels, const std::string& path,
                                  const std::function<void(int64_t, int64_t)>& on_progress) {
  MIDGE_RETURN_IF_ERROR(options.recipe.check());
  const Result<ImagePlan> image = plan_image(model, options);
  if (!image.ok()) return with_file_name(model.storage().path(), image.status());
  const std::vector<PlannedMatrix>& matrices = image->plan.matrices();

  std::vector<PackedTensor> tensors;
  for (size_t i = 0; i < matrices.size(); ++i) {
    const bool of_mtp = i >= image->mtp_first;
    tensors.push_back(tensor_of(matrices[i], of_mtp, of_mtp ? image->mtp_offset : 0));
  }
  const std::string config = write_config(model.config());
  const std::string vectors = write_vectors(model, tensors);
  std::string tokens;
  if (tokenizer != nullptr) {
    MIDGE_ASSIGN_OR_RETURN(tokens, write_packed_tokenizer(*tokenizer));
  }

  std::vector<PlannedSection> sections;
  std::vector<std::string_view> contents;  // of the small sections
  const auto add_section = [&](std::string_view name, uint32_t flags, std::string_view bytes) {
    sections.push_back({name, flags | kPackedIdentity, bytes.size()});
    contents.push_back(bytes);
  };
  const std::string tensor_bytes = write_tensors(tensors);  // checksums follow: as many bytes
  add_section("config", kPackedRequired, config);
  const size_t tensors_section = sections.size();
  add_section("tensors", kPackedRequired, tensor_bytes);
  add_section("vectors", kPackedRequired, vectors);
  if (tokenizer != nullptr) add_section("tokenizer", 0, tokens);
  const size_t weights_section = sections.size();
  const auto image_bytes = static_cast<uint64_t>(image->plan.bytes());
  const auto mtp_offset = static_cast<uint64_t>(image->mtp_offset);
  constexpr uint32_t kOfWeights = kPackedIdentity | kPackedBulk;
  const uint64_t weights_bytes = image->mtp_first == 0
                                     ? 0
                                     : static_cast<uint64_t>(matrices[image->mtp_first - 1].offset +
                                                             matrices[image->mtp_first - 1].bytes);
  sections.push_back({"weights", kOfWeights | kPackedRequired, weights_bytes});
  if (mtp_offset < image_bytes) {
    sections.push_back({"mtp", kOfWeights, image_bytes - mtp_offset});
  }
  const size_t acceptance_section = sections.size();
  const bool measures_mtp = options.measure_mtp != nullptr && mtp_offset < image_bytes;
  if (measures_mtp) sections.push_back({kAcceptanceSection, 0, kAcceptanceBytes});

  MIDGE_ASSIGN_OR_RETURN(PackedWriter writer,
                         PackedWriter::create(path, sections, options.readers));
  FileSink sink(writer, writer.offset(weights_section), *image, tensors);
  MIDGE_RETURN_IF_ERROR(
      prepare_weights(image->plan, model.storage(), team, kernels, sink, on_progress));
  const std::string with_checksums = write_tensors(tensors);
  contents[tensors_section] = with_checksums;
  for (size_t i = 0; i < contents.size(); ++i) {
    if (contents[i].empty()) continue;
    std::memcpy(writer.bytes(i).data(), contents[i].data(), contents[i].size());
  }
  writer.set_hash(weights_section, sink.weights_hash());
  if (mtp_offset < image_bytes) writer.set_hash(weights_section + 1, sink.mtp_hash());
  PackedFileInfo info;
  if (measures_mtp) {
    writer.complete();
    const std::span<const uint8_t> whole = {writer.data(),
                                            static_cast<size_t>(writer.file_bytes())};
    MIDGE_ASSIGN_OR_RETURN(info.mtp_acceptance, options.measure_mtp(whole));
    const std::string kept = write_acceptance(info.mtp_acceptance);
    std::memcpy(writer.bytes(acceptance_section).data(), kept.data(), kept.size());
  }
  info.matrices_encoded = std::count_if(
      matrices.begin(), matrices.end(),
      [](const PlannedMatrix& matrix) { return matrix.to.encoding != matrix.from.encoding; });
  info.bytes = writer.file_bytes();
  MIDGE_ASSIGN_OR_RETURN(info.content_id, writer.publish());
  return info;
}

}  // namespace midge
