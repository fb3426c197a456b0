#include "models/registry.h"
#include "engine/core/visible.h"
#include "engine/formats/json.h"

namespace midge {
namespace {

struct Family {
  SourceKind kind;
  const char* name;
  Status (*load)(ModelLoader&);
  const char* models;
};

// clang-format off: a line each
constexpr Family kFamilies[] = {
    {SourceKind::kHuggingFace, "phi3", load_phi3, "Phi-4-mini, Phi-4, Phi-3"},
    {SourceKind::kHuggingFace, "mimo", load_mimo, "MiMo-7B"},
    {SourceKind::kHuggingFace, "qwen2", load_qwen2, "Qwen2, Qwen2.5"},
    {SourceKind::kHuggingFace, "llama", load_llama, "SmolLM2, Phi-4 under Llama names"},
    {SourceKind::kHuggingFace, "mistral", load_mistral, "Mistral 7B"},
    {SourceKind::kGguf, "phi3", load_phi3, "Phi-4-mini, Phi-4, Phi-3"},
    {SourceKind::kGguf, "qwen2", load_qwen2, "Qwen2, Qwen2.5, MiMo-7B"},
    {SourceKind::kGguf, "llama", load_llama, "SmolLM2, Mistral 7B, Phi-4 under Llama names"},
};
// clang-format on

Result<std::string> family_name(const WeightSource& source) {
  if (source.kind() == SourceKind::kGguf) {
    MIDGE_ASSIGN_OR_RETURN(const std::string_view name,
                           source.gguf()->string("general.architecture", kGgufNameBytesMax));
    return std::string(name);
  }
  MIDGE_ASSIGN_OR_RETURN(const JsonObject root, source.config()->root());
  MIDGE_ASSIGN_OR_RETURN(const std::string_view name, root.string("model_type"));
  return std::string(name);
}

}  // namespace

std::vector<SupportedFamily> supported_families() {
  std::vector<SupportedFamily> families;
  for (const Family& family : kFamilies) {
    families.push_back({family.kind, family.name, family.models});
  }
  return families;
}

Result<std::unique_ptr<Model>> open_model(std::shared_ptr<const WeightSource> source,
                                          const std::function<Status(const ModelConfig&)>& accept) {
  MIDGE_ASSIGN_OR_RETURN(const std::string name, family_name(*source));
  std::string known;
  for (const Family& family : kFamilies) {
    if (family.kind != source->kind()) continue;
    if (name == family.name) {
      ModelLoader loader(std::move(source));
      MIDGE_RETURN_IF_ERROR(family.load(loader));
      MIDGE_ASSIGN_OR_RETURN(std::unique_ptr<Model> model, loader.finish());
      if (accept != nullptr) MIDGE_RETURN_IF_ERROR(accept(model->config()));
      MIDGE_RETURN_IF_ERROR(model->copy_odd_matrices());
      return model;
    }
    known += known.empty() ? family.name : std::string(", ") + family.name;
  }
  return make_status(StatusCode::kUnsupported, "%s: %s '%s', expected one of: %s",
                     shown_path(source->path()).c_str(),
                     source->kind() == SourceKind::kGguf ? "architecture" : "model_type",
                     printable(name).c_str(), known.c_str());
}

Result<std::unique_ptr<Model>> open_model(const std::string& path, FileAccess access,
                                          const CopyProgress& on_copy) {
  MIDGE_ASSIGN_OR_RETURN(std::unique_ptr<WeightSource> source,
                         WeightSource::open(path, access, on_copy));
  return open_model(std::move(source));
}

Status lay_mtp_over(WeightSource& source, const std::string& path, const CopyProgress& on_copy) {
  return source.lay_over(path, kMtpPrefix, on_copy);
}

}  // namespace midge
