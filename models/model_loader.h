// Binds the tensors of a weight source to the weights of a model, and checks each against the
// config. Used by the families' files.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "engine/core/visible.h"
#include "engine/decoder/limits.h"
#include "engine/decoder/model.h"
#include "engine/formats/weight_source.h"

namespace midge {

/// Tensors of a MTP layer in Hugging Face's files begin with it.
inline constexpr const char* kMtpPrefix = "model.mtp_layers.0.";

/// Where a family's numbers stand in a file; see ModelLoader::bind_decoder.
struct DecoderLayout {
  bool fused_qkv = false;      ///< one matrix [q; k; v]
  bool fused_gate_up = false;  ///< one matrix [gate; up]
};

/// One model being loaded. Functions return the first contradiction they find, naming file, tensor,
/// what was found and what was expected (model_mismatch, invalid_file, unsupported).
class ModelLoader {
 public:
  explicit ModelLoader(std::shared_ptr<const WeightSource> source);

  const WeightSource& source() const { return *source_; }
  ModelConfig& config() { return parts_.config; }
  void warn(std::string_view line) {
    parts_.warnings.push_back(visible_text(line, Layout::kOneLine));
  }

  bool has(const std::string& name) const { return source().find(name) != nullptr; }
  /// Marks a tensor as known but unused.
  void ignore(const std::string& name) { bound_.insert(name); }

  /// A matrix [n, k] in an encoding that midge computes with.
  Status matrix(const std::string& name, int64_t n, int64_t k, WeightRows* out);
  /// A dense vector [n], as f32.
  Status vector(const std::string& name, int64_t n, std::span<const float>* out);

  /// Embedding, layers, final norm and head by the names of the source's kind (spec: docs/models/).
  Status bind_decoder(const DecoderLayout& layout);
  /// MTP layer 0 under `prefix` (Hugging Face names).
  Status bind_mtp(const std::string& prefix);

  /// Call before binding.
  Status check_config() const;
  /// Refuses tensors that nothing bound, and hands the model over.
  Result<std::unique_ptr<Model>> finish();

 private:
  Status bind_layer(const std::string& prefix, const DecoderLayout& layout,
                    LayerWeights<WeightRows>* layer);
  // Reads the rows while scan_left_ lasts, and a few of each matrix beyond.
  void warn_of_bad_rows(const std::string& name, const WeightRows& w);
  Result<const SourceTensor*> expect(const std::string& name, const std::vector<int64_t>& shape);

  std::shared_ptr<const WeightSource> source_;
  ModelParts parts_;  // all but the weights
  SourceWeights weights_;
  std::set<std::string, std::less<>> bound_;
  // Weights that are looked at when a model is opened: all of a small one's. Reading those of a
  // large one would take as long as its file takes to come from the disk.
  int64_t scan_left_ = 1 << 22;
};

}  // namespace midge
