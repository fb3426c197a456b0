#include "api/packing.h"

#include <algorithm>
#include <filesystem>

#include "api/foreign_model.h"
#include "api/loaded_model.h"
#include "api/mtp_acceptance.h"
#include "engine/core/visible.h"
#include "engine/session/sensitivity.h"
#include "models/registry.h"

namespace midge {
namespace {

std::vector<std::string> matrix_names(const Model& model) {
  std::vector<std::string> names;
  const bool tied = model.config().tied_head;
  visit_matrices(model.weights(), tied,
                 [&](const std::string& name, const PreparedMatrix&) { names.push_back(name); });
  return names;
}

// Whether the layers are of floats: four bits are what they are packed for.
bool has_float_layers(const Model& model) {
  return encoding_info(model.weights().layers.front().q.rows.encoding).block_elements == 1;
}

// Of a packed file in memory.
Result<MtpAcceptance> measure_packed_mtp(const std::string& path, std::span<const uint8_t> image,
                                         const PackingOptions& options) {
  LoadOptions load;
  load.image = image;
  load.executor.threads = options.threads;
  load.executor.isa = options.isa;
  load.executor.calibrate = false;
  load.executor.rows_max = 64;
  load.executor.context_max = 2 * kAcceptanceTokens;
  load.executor.logit_rows_max = 1 + kDraftsMax;
  MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<LoadedModel> loaded, LoadedModel::open(path, load));
  return measure_mtp_acceptance(*loaded, options.on_mtp);
}

}  // namespace

Status check_pack_paths(const std::string& source, const std::string& out) {
  const char* what = nullptr;
  if (is_directory(out)) what = "is a folder";
  if (is_regular_file(out) && file_id(out) == file_id(source)) what = "is the source";
  if (is_packed_file(source)) {
    return make_status(StatusCode::kInvalidArgument, "%s: packed already",
                       shown_path(source).c_str());
  }
  const std::filesystem::path folder = std::filesystem::path(out).parent_path();
  if (what == nullptr && !folder.empty() && !is_directory(folder.string())) {
    return make_status(StatusCode::kNotFound, "%s: there is no such folder",
                       shown_path(folder.string()).c_str());
  }
  if (what == nullptr) return Status();
  return make_status(StatusCode::kInvalidArgument, "%s: %s, expected the name of a new file",
                     shown_path(out).c_str(), what);
}

Result<PackedFileInfo> pack_file(const std::string& source, const std::string& out,
                                 const PackingOptions& options, Status* tokenizer_status) {
  MIDGE_RETURN_IF_ERROR(check_pack_paths(source, out));
  MIDGE_ASSIGN_OR_RETURN(std::unique_ptr<WeightSource> opened,
                         WeightSource::open(source, options.access));
  if (!options.mtp_file.empty()) MIDGE_RETURN_IF_ERROR(lay_mtp_over(*opened, options.mtp_file));
  const std::shared_ptr<const WeightSource> files = std::move(opened);
  MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, open_model(files));
  const Result<Tokenizer> tokenizer = load_tokenizer(*files);
  *tokenizer_status = tokenizer.status();
  if (options.needs_tokenizer) MIDGE_RETURN_IF_ERROR(tokenizer.status());
  if (tokenizer.ok()) {
    MIDGE_RETURN_IF_ERROR(check_vocabulary_size(source, *tokenizer, model->config()));
  }
  PackOptions pack;
  if (options.recipe.has_value()) {
    pack.recipe = *options.recipe;
  } else if (has_float_layers(*model)) {
    MIDGE_ASSIGN_OR_RETURN(pack.recipe, recipe_from_name("fast"));
  }
  pack.recipe.overrides.insert(pack.recipe.overrides.end(), options.overrides.begin(),
                               options.overrides.end());
  pack.importance = options.importance;
  if (pack.importance != nullptr) {
    MIDGE_RETURN_IF_ERROR(pack.importance->check_inputs(matrix_names(*model)));
  }
  pack.readers = options.readers;
  if (tokenizer.ok()) {
    pack.measure_mtp = [&](std::span<const uint8_t> image) {
      return measure_packed_mtp(out, image, options);
    };
  }
  MIDGE_ASSIGN_OR_RETURN(const WorkerTeam team, WorkerTeam::create(options.threads));
  const KernelTable kernels = make_kernel_table({options.isa});
  return pack_model(*model, tokenizer.ok() ? &*tokenizer : nullptr, pack, team, kernels, out,
                    options.on_weights);
}

Result<EncodingChoice> choose_encodings(const std::string& source, const PackingOptions& options,
                                        const BitBudget& budget) {
  LoadOptions load;
  load.access = options.access;
  load.mtp_file = options.mtp_file;
  load.executor.arithmetic = budget.arithmetic;
  load.executor.threads = options.threads;
  load.executor.isa = options.isa;
  MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<LoadedModel> model, LoadedModel::open(source, load));
  SensitivityOptions sensitivity;
  sensitivity.candidates = {Encoding::kQ4B32MS256, Encoding::kQ5B32MS256, Encoding::kQ8B32};
  sensitivity.importance = options.importance;
  sensitivity.fixed.overrides = options.overrides;
  sensitivity.on_run = budget.on_run;
  MIDGE_RETURN_IF_ERROR(sensitivity.fixed.check());
  MIDGE_RETURN_IF_ERROR(sensitivity.fixed.check_names(matrix_names(model->model())));
  SequenceOptions sequence;
  sequence.context_length = sensitivity.window;
  MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, model->new_session(sequence));
  EncodingChoice choice;
  MIDGE_ASSIGN_OR_RETURN(choice.costs, candidate_costs(*session, sensitivity));
  if (choice.costs.empty()) {
    return make_status(StatusCode::kInvalidArgument,
                       "every matrix of the layers has its encoding already: there is nothing to "
                       "choose");
  }
  MIDGE_RETURN_IF_ERROR(allocate_bits(choice.costs, budget.bits_per_weight).status());

  std::vector<int32_t> tokens;
  MIDGE_RETURN_IF_ERROR(model->tokenizer().encode(budget.text, SpecialTokens::kAsText, &tokens));
  tokens.resize(std::min(tokens.size(), static_cast<size_t>(budget.tokens_max)));
  choice.tokens = static_cast<int64_t>(tokens.size());
  if (choice.tokens < 2) {
    return make_status(StatusCode::kInvalidArgument,
                       "a text of %lld tokens to measure with, expected at least 2",
                       static_cast<long long>(choice.tokens));
  }
  MIDGE_ASSIGN_OR_RETURN(choice.costs, measure_sensitivity(*session, tokens, sensitivity));
  MIDGE_ASSIGN_OR_RETURN(choice.chosen, allocate_bits(choice.costs, budget.bits_per_weight));
  MIDGE_ASSIGN_OR_RETURN(choice.recipe, recipe_from_name("fast"));
  int64_t bytes = 0;
  int64_t weights = 0;
  for (size_t i = 0; i < choice.costs.size(); ++i) {
    const MatrixCosts& matrix = choice.costs[i];
    const EncodingCost& cost = matrix.costs[choice.chosen[i]];
    choice.recipe.overrides.emplace_back(matrix.name, cost.encoding);
    choice.divergence += cost.divergence;
    bytes += cost.bytes;
    weights += matrix.weights;
  }
  choice.bits_per_weight = 8 * static_cast<double>(bytes) / static_cast<double>(weights);
  return choice;
}

}  // namespace midge
