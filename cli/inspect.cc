// midge inspect: what is in a model's files.
#include <cstdio>
#include <map>

#include "cli/common.h"
#include "engine/core/visible.h"
#include "models/registry.h"

namespace midge {
namespace {

struct Options {
  RunOptions run;
  bool tensors = false;
};

struct TypeTotal {
  int64_t tensors = 0;
  int64_t bytes = 0;
};

std::map<std::string, TypeTotal> totals_by_type(const WeightSource& source) {
  std::map<std::string, TypeTotal> totals;
  for (const SourceTensor& tensor : source.tensors()) {
    TypeTotal& total = totals[tensor.type_name];
    ++total.tensors;
    total.bytes += static_cast<int64_t>(tensor.bytes);
  }
  return totals;
}

std::string tokenizer_summary(const Result<Tokenizer>& tokenizer) {
  if (!tokenizer.ok()) return "none: " + tokenizer.status().message();
  return format_string("%d tokens, %zu added", tokenizer->token_count(),
                       tokenizer->added_tokens().size());
}

void print_text(const WeightSource& source, const Model& model, const Result<Tokenizer>& tokenizer,
                bool tensors) {
  const ModelConfig& c = model.config();
  const auto ll = [](int64_t value) { return static_cast<long long>(value); };
  print(stdout, "model        %s (%s)\n", visible_text(source.path(), Layout::kOneLine).c_str(),
        source.kind() == SourceKind::kGguf ? "GGUF" : "Hugging Face directory");
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
  const std::vector<SourceFile>& files = source.files();
  print(stdout, "\nfiles        %zu, %.3f MB\n", files.size(),
        static_cast<double>(source.file_bytes()) * 1e-6);
  for (const SourceFile& file : files) {
    if (files.size() == 1) break;
    print(stdout, "             %s, %.3f MB\n", visible_text(file.path, Layout::kOneLine).c_str(),
          static_cast<double>(file.bytes) * 1e-6);
  }
  print(stdout, "per token    %.3f MB of weights, %lld bytes of f16 KV\n",
        static_cast<double>(model.token_bytes()) * 1e-6,
        ll(c.layer_count * c.kv_head_count * c.head_dim * 4));
  for (const auto& [type, total] : totals_by_type(source)) {
    print(stdout, "%-12s %lld tensors, %.3f MB\n", type.c_str(), ll(total.tensors),
          static_cast<double>(total.bytes) * 1e-6);
  }
  for (const std::string& warning : model.warnings()) {
    print(stdout, "warning      %s\n", warning.c_str());
  }
  if (!tensors) return;
  for (const SourceTensor& tensor : source.tensors()) {
    print(stdout, "%-48s %-5s %-16s %12llu bytes at %llu\n", printable(tensor.name).c_str(),
          tensor.type_name.c_str(), shape_to_string(tensor.shape).c_str(),
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

void print_report(const WeightSource& source, const Model& model,
                  const Result<Tokenizer>& tokenizer) {
  JsonWriter json;
  json.begin_object().member("schema", "midge.inspect").member("version", int64_t{1});
  json.member("model", source.path());
  json.member("format", source.kind() == SourceKind::kGguf ? "gguf" : "huggingface");
  write_config(json, model.config());
  json.member("parameter_count", model.parameter_count());
  json.member("mtp_parameter_count", model.mtp_parameter_count());
  json.member("file_bytes", static_cast<int64_t>(source.file_bytes()));
  json.begin_array("files");
  for (const SourceFile& file : source.files()) {
    json.begin_object().member("path", file.path);
    json.member("bytes", static_cast<int64_t>(file.bytes)).end_object();
  }
  json.end_array();
  json.member("weight_bytes_per_token", model.token_bytes());
  json.member("has_tokenizer", tokenizer.ok());
  if (tokenizer.ok()) json.member("token_count", int64_t{tokenizer->token_count()});
  json.begin_array("warnings");
  for (const std::string& warning : model.warnings()) json.element(warning);
  json.end_array().begin_array("tensors");
  for (const SourceTensor& tensor : source.tensors()) {
    json.begin_object().member("name", tensor.name).member("type", tensor.type_name);
    json.begin_array("shape");
    for (const int64_t dim : tensor.shape) json.element(dim);
    json.end_array().member("file", *tensor.path);
    json.member("offset", static_cast<int64_t>(tensor.offset));
    json.member("bytes", static_cast<int64_t>(tensor.bytes)).end_object();
  }
  json.end_array().end_object();
  print_json(json);
}

Status inspect_command(const Options& options) {
  MIDGE_ASSIGN_OR_RETURN(const std::string path, model_path(options.run));
  std::shared_ptr<const WeightSource> source;
  {
    CopyProgressBar bar;
    MIDGE_ASSIGN_OR_RETURN(source,
                           WeightSource::open(path, file_access(options.run), bar.callback()));
  }
  MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, open_model(source));
  // A file without a vocabulary is worth a look all the same.
  const Result<Tokenizer> tokenizer = load_tokenizer(*source);
  if (options.run.json) {
    print_report(*source, *model, tokenizer);
  } else {
    print_text(*source, *model, tokenizer, options.tensors);
  }
  return Status();
}

}  // namespace

void add_inspect_command(CLI::App& app, Command* run) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("inspect", "Show config, tensors and sizes of a model");
  add_model_option(*command, options->run);
  command->add_flag("--tensors", options->tensors, "List every tensor");
  command->add_flag("--json", options->run.json, "Report as JSON");
  command->callback([=] { *run = [=] { return inspect_command(*options); }; });
}

}  // namespace midge
