#include "models/synthetic.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>

#include "engine/core/checked_math.h"
#include "engine/core/visible.h"
#include "engine/weights/pack.h"

namespace midge {
namespace {

// Published numbers: the config.json of each model.
struct Shape {
  const char* name;
  const char* family;
  int64_t layers;
  int64_t hidden;
  int64_t intermediate;
  int64_t heads;
  int64_t kv_heads;
  int64_t vocab;
  int64_t context;
  float theta;
  int64_t rope_width;
  int64_t original_context;  // of longrope; 0: none
  bool tied;
  bool bias;
  int64_t mtp_layers;
};
constexpr Shape kShapes[] = {
    {"phi4-mini", "phi3", 32, 3072, 8192, 24, 8, 200064, 131072, 1e4f, 96, 4096, true, false, 0},
    {"mimo-7b", "mimo", 36, 4096, 11008, 32, 8, 151680, 32768, 64e4f, 128, 0, false, true, 1},
    {"phi4", "phi3", 40, 5120, 17920, 40, 10, 100352, 16384, 25e4f, 128, 0, false, false, 0},
};

constexpr float kEpsilon = 1e-5f;
constexpr float kDeviation = 0.02f;  // of weights, as models are initialised
constexpr int64_t kPoolTiles = 8;
constexpr int64_t kPieceBytes = int64_t{64} << 20;  // between reports of progress

/// A stream of numbers that is the same everywhere (SplitMix64, Steele et al., OOPSLA 2014).
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// Close to normally distributed: the sum of four uniform ones, by additions alone, so that no
  /// library's rounding decides.
  float normal() {
    const uint64_t bits = next();
    int64_t sum = 0;
    for (int i = 0; i < 4; ++i) sum += static_cast<int64_t>((bits >> (16 * i)) & 0xFFFF) - 32768;
    return static_cast<float>(sum) * (1.0f / 37837.0f);  // sqrt(4 * 65536^2 / 12)
  }

 private:
  uint64_t state_;
};

uint64_t seed_of(std::string_view name) {
  uint64_t seed = 0xCBF29CE484222325u;  // FNV-1a
  for (const char c : name) seed = (seed ^ static_cast<uint8_t>(c)) * 0x100000001B3u;
  return seed;
}

class SyntheticStorage : public WeightStorage {
 public:
  SyntheticStorage(std::string path, int64_t bytes) : path_(std::move(path)), bytes_(bytes) {}
  const std::string& path() const override { return path_; }
  uint64_t file_bytes() const override { return static_cast<uint64_t>(bytes_); }
  bool is_used_in_place() const override { return true; }
  void release_pages(const void*, int64_t) const override {}

 private:
  std::string path_;
  int64_t bytes_;
};

/// Tiles that matrices of k columns are made of.
struct Pool {
  AlignedBuffer bytes;
  int64_t tile_bytes = 0;
};

Result<Pool> make_pool(int64_t k, Encoding encoding, const WorkerTeam& team) {
  Numbers numbers(static_cast<uint64_t>(k));
  const int64_t rows = kPoolTiles * kTileRows;
  std::vector<float> values(static_cast<size_t>(rows * k));
  for (float& value : values) value = kDeviation * numbers.normal();
  const WeightRows w = {Encoding::kF32, rows, k, values.data(), k * int64_t{sizeof(float)}};
  Pool pool;
  pool.tile_bytes = packed_tile_bytes(encoding, k);
  MIDGE_ASSIGN_OR_RETURN(pool.bytes,
                         AlignedBuffer::create(packed_bytes(w, encoding), "random weights"));
  MIDGE_RETURN_IF_ERROR(pack_matrix(team, make_kernel_table(), w, encoding, nullptr,
                                    "random weights", pool.bytes.data()));
  return pool;
}

/// Puts a model together.
class Builder {
 public:
  Builder(const ModelConfig& config, Encoding encoding) : c_(config), encoding_(encoding) {}

  SyntheticBytes count() {
    give_shapes();
    SyntheticBytes bytes;
    visit_matrices(weights_, c_.tied_head, [&](const std::string& name, PreparedMatrix& w) {
      w.tiles.encoding = encoding_;
      bytes.all += w.tiles.bytes();
      if (is_of_mtp(name) || name == "embedding") return;
      bytes.token += w.tiles.bytes();
      bytes.token_macs += w.tiles.n * w.tiles.k;
      if (name != "head") bytes.prompt_macs += w.tiles.n * w.tiles.k;
    });
    return bytes;
  }

  Result<ModelParts> build(std::string_view name, const WorkerTeam& team,
                           const std::function<void(int64_t, int64_t)>& on_progress) {
    give_shapes();
    visit_matrices(weights_, c_.tied_head, [&](const std::string&, PreparedMatrix& w) {
      w.form = PreparedMatrix::Form::kTiles;
      w.tiles.encoding = encoding_;
      columns_[w.tiles.k] = Pool();
      bytes_ += round_up(w.tiles.bytes(), 64);
    });
    for (auto& [k, pool] : columns_) {
      if (k % encoding_info(encoding_).block_elements != 0) {
        return make_status(StatusCode::kUnsupported,
                           "matrices of %lld columns have no whole blocks of %s",
                           static_cast<long long>(k), encoding_info(encoding_).name);
      }
      MIDGE_ASSIGN_OR_RETURN(pool, make_pool(k, encoding_, team));
    }
    MIDGE_ASSIGN_OR_RETURN(AlignedBuffer image, AlignedBuffer::create(bytes_, "random weights"));
    image.prefer_huge_pages();
    place_matrices(image.data());
    fill(team, on_progress);
    ModelParts parts;
    parts.copies.push_back(std::move(image));
    parts.config = c_;
    parts.weights = std::move(weights_);
    parts.vectors = std::move(vectors_);
    parts.storage = std::make_shared<SyntheticStorage>(std::string(name), bytes_);
    return parts;
  }

 private:
  void shape(PreparedMatrix& w, int64_t n, int64_t k) {
    w.tiles.n = n;
    w.tiles.k = k;
  }

  std::span<const float> vector(int64_t count, float mean, float deviation) {
    Numbers numbers(vectors_.size());
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) value = mean + deviation * numbers.normal();
    vectors_.push_back(std::move(values));
    return vectors_.back();  // its memory stays where it is when the list grows
  }

  void give_layer_shapes(LayerWeights<PreparedMatrix>& layer) {
    const int64_t q = c_.head_count * c_.head_dim;
    const int64_t kv = c_.kv_head_count * c_.head_dim;
    layer.attn_norm = vector(c_.hidden_size, 1, 0.01f);
    layer.mlp_norm = vector(c_.hidden_size, 1, 0.01f);
    shape(layer.q, q, c_.hidden_size);
    shape(layer.k, kv, c_.hidden_size);
    shape(layer.v, kv, c_.hidden_size);
    shape(layer.o, c_.hidden_size, q);
    shape(layer.gate, c_.intermediate_size, c_.hidden_size);
    shape(layer.up, c_.intermediate_size, c_.hidden_size);
    shape(layer.down, c_.hidden_size, c_.intermediate_size);
    if (!c_.qkv_bias) return;
    layer.q_bias = vector(q, 0, kDeviation);
    layer.k_bias = vector(kv, 0, kDeviation);
    layer.v_bias = vector(kv, 0, kDeviation);
  }

  void give_shapes() {
    weights_.layers.resize(static_cast<size_t>(c_.layer_count));
    for (LayerWeights<PreparedMatrix>& layer : weights_.layers) give_layer_shapes(layer);
    weights_.final_norm = vector(c_.hidden_size, 1, 0.01f);
    shape(weights_.head, c_.vocab_size, c_.hidden_size);
    shape(weights_.embedding, c_.vocab_size, c_.hidden_size);
    weights_.mtp.resize(static_cast<size_t>(c_.mtp_layer_count));
    for (MtpWeights<PreparedMatrix>& mtp : weights_.mtp) {
      mtp.token_norm = vector(c_.hidden_size, 1, 0.01f);
      mtp.hidden_norm = vector(c_.hidden_size, 1, 0.01f);
      mtp.final_norm = vector(c_.hidden_size, 1, 0.01f);
      shape(mtp.input_proj, c_.hidden_size, 2 * c_.hidden_size);
      give_layer_shapes(mtp.layer);
    }
  }

  void place_matrices(uint8_t* image) {
    int64_t offset = 0;
    visit_matrices(weights_, c_.tied_head, [&](const std::string& name, PreparedMatrix& w) {
      w.tiles.data = image + offset;
      offset += round_up(w.tiles.bytes(), 64);
      places_.push_back({image + offset - round_up(w.tiles.bytes(), 64), w.tiles.tile_count(),
                         &columns_[w.tiles.k], seed_of(name)});
    });
    if (c_.tied_head) weights_.embedding = weights_.head;
  }

  void fill(const WorkerTeam& team, const std::function<void(int64_t, int64_t)>& on_progress) {
    int64_t done = 0;
    for (const Place& place : places_) {
      const int64_t tile_bytes = place.pool->tile_bytes;
      const int64_t piece = std::max<int64_t>(1, kPieceBytes / tile_bytes);
      for (int64_t first = 0; first < place.tiles; first += piece) {
        const int64_t count = std::min(piece, place.tiles - first);
        team.run([&](const Worker& worker) {
          worker.for_each(count, [&](int64_t i) {
            const auto from = static_cast<int64_t>(
                Numbers(place.seed + static_cast<uint64_t>(first + i)).next() % kPoolTiles);
            std::memcpy(place.at + (first + i) * tile_bytes,
                        place.pool->bytes.data() + from * tile_bytes,
                        static_cast<size_t>(tile_bytes));
          });
        });
        done += count * tile_bytes;
        if (on_progress != nullptr) on_progress(done, bytes_);
      }
    }
  }

  struct Place {
    uint8_t* at;
    int64_t tiles;
    const Pool* pool;
    uint64_t seed;
  };

  const ModelConfig& c_;
  const Encoding encoding_;
  PreparedWeights weights_;
  std::vector<std::vector<float>> vectors_;
  std::map<int64_t, Pool> columns_;
  std::vector<Place> places_;
  int64_t bytes_ = 0;
};

// "phi4-mini-8L" is phi4-mini with 8 layers; 0: no such ending.
int64_t layers_of(std::string_view* name) {
  const size_t dash = name->rfind('-');
  if (dash == std::string_view::npos || !name->ends_with('L')) return 0;
  const char* const last = name->data() + name->size() - 1;
  int64_t layers = 0;
  const auto [end, error] = std::from_chars(name->data() + dash + 1, last, layers);
  if (error != std::errc() || end != last || layers < 1) return 0;
  *name = name->substr(0, dash);
  return layers;
}

Status check_encoding(Encoding encoding) {
  if (can_pack(Encoding::kF32, encoding)) return Status();
  return make_status(StatusCode::kUnsupported, "random weights cannot be packed as %s",
                     encoding_info(encoding).name);
}

}  // namespace

Result<SyntheticBytes> synthetic_bytes(const ModelConfig& config, Encoding encoding) {
  MIDGE_RETURN_IF_ERROR(check_encoding(encoding));
  return Builder(config, encoding).count();
}

Result<ModelConfig> synthetic_config(std::string_view name) {
  std::string_view base = name;
  const int64_t layers = layers_of(&base);
  const auto* shape = std::find_if(std::begin(kShapes), std::end(kShapes),
                                   [&](const Shape& s) { return base == s.name; });
  if (shape == std::end(kShapes) || layers > shape->layers) {
    return make_status(StatusCode::kNotFound,
                       "no synthetic model '%s', expected phi4-mini, mimo-7b or phi4, or one of "
                       "them with fewer layers: phi4-mini-8L",
                       printable(std::string(name)).c_str());
  }
  ModelConfig c;
  c.family = shape->family;
  c.hidden_size = shape->hidden;
  c.layer_count = layers > 0 ? layers : shape->layers;
  c.intermediate_size = shape->intermediate;
  c.head_count = shape->heads;
  c.kv_head_count = shape->kv_heads;
  c.head_dim = shape->hidden / shape->heads;
  c.vocab_size = shape->vocab;
  c.rms_epsilon = kEpsilon;
  c.rope.width = shape->rope_width;
  c.rope.theta = shape->theta;
  if (shape->original_context > 0) {
    // The published factors change angles, not times.
    c.rope.original_context = shape->original_context;
    c.rope.short_factors.assign(static_cast<size_t>(shape->rope_width / 2), 1.0f);
    c.rope.long_factors.assign(static_cast<size_t>(shape->rope_width / 2), 2.0f);
  }
  c.context_length = shape->context;
  c.qkv_bias = shape->bias;
  c.tied_head = shape->tied;
  c.mtp_layer_count = shape->mtp_layers;
  return c;
}

Result<std::unique_ptr<Model>> synthetic_model(
    std::string_view name, Encoding encoding, const WorkerTeam& team,
    const std::function<void(int64_t, int64_t)>& on_progress) {
  MIDGE_ASSIGN_OR_RETURN(const ModelConfig config, synthetic_config(name));
  MIDGE_RETURN_IF_ERROR(check_encoding(encoding));
  MIDGE_ASSIGN_OR_RETURN(ModelParts parts,
                         Builder(config, encoding).build(name, team, on_progress));
  return std::make_unique<Model>(std::move(parts));
}

}  // namespace midge
