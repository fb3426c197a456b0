// midge inspect: what is in a model's files.
#include <algorithm>
#include <cstdio>
#include <map>

#include "api/foreign_model.h"
#include "cli/common.h"
#include "cli/draft_options.h"
#include "cli/find_model.h"
#include "cli/open_model.h"
#include "engine/core/visible.h"
#include "engine/formats/gguf_types.h"
#include "engine/packed/packed_model.h"
#include "engine/packed/packed_quality.h"
#include "engine/packed/tensor_directory.h"
#include "models/registry.h"

namespace midge {
namespace {

struct Options {
  RunOptions run;
  bool tensors = false;
  bool supported = false;
};

// A tensor as it lies in its file.
struct Entry {
  std::string name;
  std::string type;
  std::vector<int64_t> shape;
  std::string file;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  bool is_matrix = true;
};

// What a model's files hold, of whichever kind they are.
struct Listing {
  std::string path;
  const char* format = "";  // for reports
  const char* format_name = "";
  std::vector<SourceFile> files;
  std::vector<Entry> tensors;
  // Of packed files.
  std::string content_id;
  std::vector<PackedQuality> qualities;

  uint64_t file_bytes() const {
    uint64_t bytes = 0;
    for (const SourceFile& file : files) bytes += file.bytes;
    return bytes;
  }
};

Listing listing_of(const WeightSource& source) {
  Listing listing;
  listing.path = source.path();
  const bool gguf = source.kind() == SourceKind::kGguf;
  listing.format = gguf ? "gguf" : "huggingface";
  listing.format_name = gguf ? "GGUF" : "Hugging Face directory";
  listing.files = source.files();
  for (const SourceTensor& tensor : source.tensors()) {
    listing.tensors.push_back({tensor.name, tensor.type_name, tensor.shape, *tensor.path,
                               tensor.offset, tensor.bytes, tensor.shape.size() > 1});
  }
  return listing;
}

Result<Listing> listing_of(const PackedFile& file) {
  Listing listing;
  listing.path = file.path();
  listing.format = "midge";
  listing.format_name = "packed";
  listing.files = {{file.path(), file.file_bytes()}};
  listing.content_id = to_hex(file.content_id());
  MIDGE_ASSIGN_OR_RETURN(listing.qualities, read_packed_quality(file));
  MIDGE_ASSIGN_OR_RETURN(const std::vector<PackedTensor> tensors,
                         read_tensors(file.bytes("tensors")));
  for (const PackedTensor& tensor : tensors) {
    Entry entry;
    entry.name = tensor.name;
    entry.type = tensor.encoding;
    entry.shape = {tensor.n, tensor.columns + tensor.tail_columns};
    entry.is_matrix = tensor.layout != kLayoutVector;
    if (!entry.is_matrix) entry.shape.pop_back();
    if (!tensor.tail_encoding.empty()) entry.type += "+" + tensor.tail_encoding;
    entry.file = file.path();
    const PackedSection* section = file.find(tensor.section);
    entry.offset = tensor.offset + (section == nullptr ? 0 : section->offset);
    entry.bytes = tensor.bytes;
    listing.tensors.push_back(std::move(entry));
  }
  return listing;
}

struct TypeTotal {
  int64_t tensors = 0;
  int64_t bytes = 0;
  int64_t weights = 0;
};

int64_t weight_count(const Entry& entry) {
  int64_t count = 1;
  for (const int64_t size : entry.shape) count *= size;
  return count;
}

double bits_per_weight(int64_t bytes, int64_t weights) {
  return weights == 0 ? 0 : 8 * static_cast<double>(bytes) / static_cast<double>(weights);
}

std::map<std::string, TypeTotal> totals_by_type(const Listing& listing) {
  std::map<std::string, TypeTotal> totals;
  for (const Entry& entry : listing.tensors) {
    TypeTotal& total = totals[entry.type];
    ++total.tensors;
    total.bytes += static_cast<int64_t>(entry.bytes);
    total.weights += weight_count(entry);
  }
  return totals;
}

// Of the matrices alone, or of those of a packed file's layers.
double bits_per_matrix_weight(const Listing& listing, bool of_layers = false) {
  TypeTotal total;
  for (const Entry& entry : listing.tensors) {
    if (!entry.is_matrix || (of_layers && !entry.name.starts_with("layers."))) continue;
    total.bytes += static_cast<int64_t>(entry.bytes);
    total.weights += weight_count(entry);
  }
  return bits_per_weight(total.bytes, total.weights);
}

std::string tokenizer_summary(const Result<Tokenizer>& tokenizer) {
  if (!tokenizer.ok()) return "none: " + tokenizer.status().message();
  return format_string("%d tokens, %zu added", tokenizer->token_count(),
                       tokenizer->added_tokens().size());
}

void print_text(const Listing& listing, const Model& model, const Result<Tokenizer>& tokenizer,
                bool tensors) {
  const ModelConfig& c = model.config();
  const auto ll = [](int64_t value) { return static_cast<long long>(value); };
  print(stdout, "model        %s (%s)\n", visible_text(listing.path, Layout::kOneLine).c_str(),
        listing.format_name);
  if (!listing.content_id.empty()) {
    print(stdout, "content id   %s\n", listing.content_id.c_str());
  }
  print(stdout, "family       %s\n", c.family.c_str());
  print(stdout, "layers       %lld%s\n", ll(c.layer_count),
        c.mtp_layer_count > 0 ? " and one MTP layer" : "");
  print(stdout, "hidden       %lld, intermediate %lld\n", ll(c.hidden_size),
        ll(c.intermediate_size));
  print(stdout, "heads        %lld, KV heads %lld, head size %lld%s\n", ll(c.head_count),
        ll(c.kv_head_count), ll(c.head_dim), c.qkv_bias ? ", biases on q, k, v" : "");
  print(stdout, "rope         theta %g, %lld of %lld elements", static_cast<double>(c.rope.theta),
        ll(c.rope.width), ll(c.head_dim));
  if (c.rope.has_regimes()) {
    print(stdout, ", longrope beyond %lld tokens, attention factor %.6f",
          ll(c.rope.original_context), static_cast<double>(c.rope.attention_factor));
  }
  print(stdout, "\ncontext      %lld tokens", ll(c.context_length));
  if (c.sliding_window > 0) print(stdout, ", sliding window %lld", ll(c.sliding_window));
  print(stdout, "\nvocabulary   %lld rows, head %s\n", ll(c.vocab_size),
        c.tied_head ? "tied" : "separate");
  print(stdout, "tokenizer    %s\n", tokenizer_summary(tokenizer).c_str());
  print(stdout, "end ids     ");
  for (const int32_t id : c.eos_ids) print(stdout, " %d", id);
  print(stdout, "\nparameters   %lld", ll(model.parameter_count()));
  if (c.mtp_layer_count > 0)
    print(stdout, " and %lld in the MTP layer", ll(model.mtp_parameter_count()));
  const std::vector<SourceFile>& files = listing.files;
  print(stdout, "\nfiles        %zu, %.3f MB\n", files.size(),
        static_cast<double>(listing.file_bytes()) * 1e-6);
  for (const SourceFile& file : files) {
    if (files.size() == 1) break;
    print(stdout, "             %s, %.3f MB\n", visible_text(file.path, Layout::kOneLine).c_str(),
          static_cast<double>(file.bytes) * 1e-6);
  }
  print(stdout, "per token    %.3f MB of weights, %lld bytes of f16 KV\n",
        static_cast<double>(model.token_bytes()) * 1e-6,
        ll(c.layer_count * c.kv_head_count * c.head_dim * 4));
  print(stdout, "matrices     %.3f bits per weight", bits_per_matrix_weight(listing));
  if (!listing.content_id.empty()) {
    print(stdout, ", those of the layers %.3f", bits_per_matrix_weight(listing, true));
  }
  print(stdout, "\n");
  for (const auto& [type, total] : totals_by_type(listing)) {
    print(stdout, "%-12s %lld tensors, %.3f MB, %.3f bits per weight\n", type.c_str(),
          ll(total.tensors), static_cast<double>(total.bytes) * 1e-6,
          bits_per_weight(total.bytes, total.weights));
  }
  for (const PackedQuality& quality : listing.qualities) {
    print(
        stdout,
        "quality      KL %.5f from %s, 99 %% below %.4f, same first token %.1f %%: %lld tokens of "
        "%s, %s\n",
        quality.kl_mean, printable(quality.reference).c_str(), quality.kl_p99,
        100 * quality.top1_agreement, ll(quality.scored), printable(quality.text).c_str(),
        quality.generated ? "generated" : "prompt");
  }
  print_acceptance(model.mtp_acceptance());
  for (const std::string& warning : model.warnings()) {
    print(stdout, "warning      %s\n", warning.c_str());
  }
  if (!tensors) return;
  for (const Entry& tensor : listing.tensors) {
    print(stdout, "%-48s %-5s %-16s %12llu bytes at %llu\n", printable(tensor.name).c_str(),
          tensor.type.c_str(), shape_to_string(tensor.shape).c_str(),
          static_cast<unsigned long long>(tensor.bytes),
          static_cast<unsigned long long>(tensor.offset));
  }
}

void write_config(JsonWriter& json, const ModelConfig& c) {
  json.begin_object("config").member("family", c.family).member("layer_count", c.layer_count);
  json.member("hidden_size", c.hidden_size).member("intermediate_size", c.intermediate_size);
  json.member("head_count", c.head_count).member("kv_head_count", c.kv_head_count);
  json.member("head_dim", c.head_dim).member("vocab_size", c.vocab_size);
  json.member("context_length", c.context_length).member("sliding_window", c.sliding_window);
  json.member("rms_epsilon", static_cast<double>(c.rms_epsilon)).member("qkv_bias", c.qkv_bias);
  json.member("tied_head", c.tied_head).member("mtp_layer_count", c.mtp_layer_count);
  json.begin_object("rope").member("theta", static_cast<double>(c.rope.theta));
  json.member("width", c.rope.width).member("longrope", c.rope.has_regimes());
  json.member("original_context", c.rope.original_context);
  json.member("attention_factor", static_cast<double>(c.rope.attention_factor)).end_object();
  json.begin_array("eos_ids");
  for (const int32_t id : c.eos_ids) json.element(int64_t{id});
  json.end_array().end_object();
}

void write_qualities(JsonWriter& json, const std::vector<PackedQuality>& qualities) {
  json.begin_array("quality");
  for (const PackedQuality& quality : qualities) {
    json.begin_object().member("text", quality.text).member("reference", quality.reference);
    json.member("scored", quality.scored).member("window", quality.window);
    json.member("role", quality.generated ? "generated" : "prompt");
    json.member("perplexity", quality.perplexity);
    json.member("reference_perplexity", quality.reference_perplexity);
    json.member("kl_mean", quality.kl_mean).member("kl_p99", quality.kl_p99);
    json.member("top1_agreement", quality.top1_agreement).end_object();
  }
  json.end_array();
}

void print_report(const Listing& listing, const Model& model, const Result<Tokenizer>& tokenizer) {
  JsonWriter json;
  json.begin_object().member("schema", "midge.inspect").member("version", int64_t{1});
  json.member("model", listing.path).member("format", listing.format);
  if (!listing.content_id.empty()) json.member("content_id", listing.content_id);
  write_config(json, model.config());
  json.member("parameter_count", model.parameter_count());
  json.member("mtp_parameter_count", model.mtp_parameter_count());
  json.member("file_bytes", static_cast<int64_t>(listing.file_bytes()));
  json.member("bits_per_matrix_weight", bits_per_matrix_weight(listing));
  json.begin_array("files");
  for (const SourceFile& file : listing.files) {
    json.begin_object().member("path", file.path);
    json.member("bytes", static_cast<int64_t>(file.bytes)).end_object();
  }
  json.end_array();
  json.member("weight_bytes_per_token", model.token_bytes());
  json.member("has_tokenizer", tokenizer.ok());
  if (tokenizer.ok()) json.member("token_count", int64_t{tokenizer->token_count()});
  write_qualities(json, listing.qualities);
  write_acceptance_json(json, model.mtp_acceptance());
  json.begin_array("warnings");
  for (const std::string& warning : model.warnings()) json.element(warning);
  json.end_array().begin_array("tensors");
  for (const Entry& tensor : listing.tensors) {
    json.begin_object().member("name", tensor.name).member("type", tensor.type);
    json.begin_array("shape");
    for (const int64_t dim : tensor.shape) json.element(dim);
    json.end_array().member("file", tensor.file);
    json.member("offset", static_cast<int64_t>(tensor.offset));
    json.member("bytes", static_cast<int64_t>(tensor.bytes)).end_object();
  }
  json.end_array().end_object();
  print_json(json);
}

void report(const Options& options, const Listing& listing, const Model& model,
            const Result<Tokenizer>& tokenizer) {
  if (options.run.json) {
    print_report(listing, model, tokenizer);
  } else {
    print_text(listing, model, tokenizer, options.tensors);
  }
}

// Levels with kernels of an operation for the encoding, but for the portable one.
std::string fast_levels(Op op, Encoding encoding) {
  std::string levels;
  for (int i = 0; i < kIsaLevelCount; ++i) {
    const auto level = static_cast<IsaLevel>(i);
    const bool has_kernel =
        std::any_of(all_kernels().begin(), all_kernels().end(), [&](const KernelInfo& kernel) {
          return kernel.op == op && kernel.encoding == encoding && kernel.level == level;
        });
    if (!has_kernel || level == IsaLevel::kGeneric) continue;
    levels += (levels.empty() ? "" : " ") + std::string(isa_level_name(level));
  }
  return levels.empty() ? "-" : levels;
}

Status print_supported(bool as_json) {
  if (as_json) {
    JsonWriter json;
    json.begin_object().member("schema", "midge.supported").member("version", int64_t{1});
    json.begin_array("families");
    for (const SupportedFamily& family : supported_families()) {
      json.begin_object().member("name", family.name).member("models", family.models);
      json.member("format", family.kind == SourceKind::kGguf ? "gguf" : "huggingface");
      json.end_object();
    }
    json.end_array().begin_array("encodings");
    for (int i = 0; i < kEncodingCount; ++i) {
      const auto encoding = static_cast<Encoding>(i);
      json.begin_object().member("name", encoding_info(encoding).name);
      json.member("file_type", gguf_type_name(encoding));
      json.member("levels", fast_levels(Op::kGemv, encoding)).end_object();
    }
    json.end_array().end_object();
    print_json(json);
    return Status();
  }
  print(stdout,
        "files    packed (.midge), GGUF (also in parts), Hugging Face folders (safetensors)\n");
  for (const SourceKind kind : {SourceKind::kHuggingFace, SourceKind::kGguf}) {
    print(stdout, "\n%s\n",
          kind == SourceKind::kGguf ? "general.architecture of GGUF files"
                                    : "model_type of Hugging Face folders");
    for (const SupportedFamily& family : supported_families()) {
      if (family.kind != kind) continue;
      print(stdout, "  %-9s %s\n", family.name, family.models);
    }
  }
  print(stdout, "\nweights      in files  levels with fast kernels, beside portable ones\n");
  for (int i = 0; i < kEncodingCount; ++i) {
    const auto encoding = static_cast<Encoding>(i);
    print(stdout, "  %-11s %-8s %s\n", encoding_info(encoding).name, gguf_type_name(encoding),
          fast_levels(Op::kGemv, encoding).c_str());
  }
  return Status();
}

Status inspect_packed(const Options& options, const std::string& path) {
  std::shared_ptr<const PackedFile> file;
  {
    CopyProgressBar bar;
    MIDGE_ASSIGN_OR_RETURN(file, PackedFile::open(path, file_access(options.run), bar.callback()));
  }
  MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, open_packed_model(file));
  MIDGE_ASSIGN_OR_RETURN(const Listing listing, listing_of(*file));
  report(options, listing, *model, open_packed_tokenizer(file));
  return Status();
}

Status inspect_command(const Options& options) {
  if (options.supported) return print_supported(options.run.json);
  MIDGE_ASSIGN_OR_RETURN(const std::string path, find_model(options.run.model));
  if (is_packed_file(path)) return inspect_packed(options, path);
  std::shared_ptr<const WeightSource> source;
  {
    CopyProgressBar bar;
    MIDGE_ASSIGN_OR_RETURN(source,
                           WeightSource::open(path, file_access(options.run), bar.callback()));
  }
  MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, open_model(source));
  // A file without a vocabulary is worth a look all the same.
  report(options, listing_of(*source), *model, load_tokenizer(*source));
  return Status();
}

}  // namespace

void add_inspect_command(CommandLine& app, Command* run) {
  auto options = std::make_shared<Options>();
  CommandLine* command = app.add_subcommand("inspect", "Show config, tensors and sizes of a model");
  add_model_option(*command, options->run);
  command->add_flag("--tensors", options->tensors, "List every tensor");
  command->add_flag("--supported", options->supported,
                    "List the families, file types and encodings that this build runs");
  add_json_option(*command, options->run);
  command->footer(
      "  midge inspect model.gguf --tensors\n"
      "  midge inspect --supported\n");
  command->callback([=] { *run = [=] { return inspect_command(*options); }; });
}

}  // namespace midge
