#include "api/packing.h"

#include "api/loaded_model.h"
#include "engine/core/visible.h"
#include "models/registry.h"

namespace midge {
namespace {

// Whether the layers are of floats: four bits are what they are packed for.
bool has_float_layers(const Model& model) {
  return encoding_info(model.weights().layers.front().q.rows.encoding).block_elements == 1;
}

Status check_paths(const std::string& source, const std::string& out) {
  const char* what = nullptr;
  if (is_directory(out)) what = "is a folder";
  if (is_regular_file(out) && file_id(out) == file_id(source)) what = "is the source";
  if (is_packed_file(source)) {
    return make_status(StatusCode::kInvalidArgument, "%s: packed already",
                       shown_path(source).c_str());
  }
  if (what == nullptr) return Status();
  return make_status(StatusCode::kInvalidArgument, "%s: %s, expected the name of a new file",
                     shown_path(out).c_str(), what);
}

}  // namespace

Result<PackedFileInfo> pack_file(const std::string& source, const std::string& out,
                                 const PackingOptions& options, Status* tokenizer_status) {
  MIDGE_RETURN_IF_ERROR(check_paths(source, out));
  MIDGE_ASSIGN_OR_RETURN(std::shared_ptr<const WeightSource> files,
                         WeightSource::open(source, options.access));
  MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, open_model(files));
  const Result<Tokenizer> tokenizer = load_tokenizer(*files);
  *tokenizer_status = tokenizer.status();
  PackOptions pack;
  if (options.recipe.has_value()) {
    pack.recipe = *options.recipe;
  } else if (has_float_layers(*model)) {
    MIDGE_ASSIGN_OR_RETURN(pack.recipe, recipe_from_name("fast"));
  }
  pack.recipe.overrides.insert(pack.recipe.overrides.end(), options.overrides.begin(),
                               options.overrides.end());
  pack.importance = options.importance;
  pack.readers = options.readers;
  MIDGE_ASSIGN_OR_RETURN(const WorkerTeam team, WorkerTeam::create(options.threads));
  const KernelTable kernels = make_kernel_table({options.isa});
  return pack_model(*model, tokenizer.ok() ? &*tokenizer : nullptr, pack, team, kernels, out,
                    options.on_weights);
}

}  // namespace midge
