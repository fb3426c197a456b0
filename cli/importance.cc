// midge importance: what errors in the channels of a model's matrices are worth.
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "cli/common.h"
#include "cli/open_model.h"
#include "cli/option_checks.h"
#include "cli/prompt.h"
#include "cli/terminal.h"
#include "engine/core/visible.h"
#include "engine/ops/dense_backend.h"
#include "engine/scheduler/generate.h"
#include "engine/session/activations.h"

namespace midge {
namespace {

constexpr uint64_t kTextBytesMaxOfImportance = uint64_t{256} << 20;

struct Options {
  RunOptions run;
  std::string text;
  std::string out;
  int64_t own_output = 0;  ///< tokens that the model writes itself; 0: the text of --text
  bool counts_tokens = false;
  int64_t window = 512;
};

// Before anything is computed: whether the file can be written, and is no other kind of file.
Status check_out(const std::string& path) {
  if (is_regular_file(path) && !Importance::load(path).ok()) {
    return make_status(StatusCode::kInvalidArgument,
                       "%s: exists and holds no importance, expected the name of a new file",
                       shown_path(path).c_str());
  }
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (folder.empty() || is_directory(folder.string())) return Status();
  return make_status(StatusCode::kNotFound, "%s: there is no such folder",
                     shown_path(folder.string()).c_str());
}

// What the model writes: texts of at most a window, drawn as its predictions say.
Result<std::vector<int32_t>> tokens_of_model(const Options& options, const OpenedModel& loaded) {
  MIDGE_ASSIGN_OR_RETURN(std::vector<int32_t> prompt, loaded.model->encode_prompt(""));
  if (prompt.empty()) {
    MIDGE_ASSIGN_OR_RETURN(prompt, loaded.model->encode_prompt("\n"));
  }
  GenerateOptions generation;
  generation.sampler.temperature = 1;
  MIDGE_ASSIGN_OR_RETURN(generation.stop_ids, loaded.model->stop_ids());
  const int64_t text_tokens = options.window - static_cast<int64_t>(prompt.size());
  std::vector<int32_t> tokens;
  ProgressBar bar("writing");
  const auto written = [&] { return static_cast<int64_t>(tokens.size()); };
  while (written() < options.own_output) {
    generation.tokens_max = std::min(text_tokens, options.own_output - written());
    MIDGE_RETURN_IF_ERROR(loaded.session->truncate(0));
    MIDGE_ASSIGN_OR_RETURN(const GenerateResult result,
                           generate(*loaded.session, loaded.model->tokenizer(),
                                    loaded.model->allowed_tokens(), prompt, generation, nullptr));
    if (result.reason == FinishReason::kCancelled)
      return Status(StatusCode::kCancelled, "cancelled");
    for (const GeneratedToken& token : result.tokens) tokens.push_back(token.token);
    bar.update(written(), options.own_output);
    ++generation.sampler.seed;
  }
  MIDGE_RETURN_IF_ERROR(loaded.session->truncate(0));
  return tokens;
}

Status importance_command(Options options) {
  RunOptions& run = options.run;
  if (run.context_length == 0) run.context_length = options.window;
  MIDGE_RETURN_IF_ERROR(check_out(options.out));
  if (options.text.empty() == (options.own_output == 0)) {
    return Status(StatusCode::kInvalidArgument,
                  "expected a text to read: --text FILE, or --own-output N");
  }
  std::string text;
  if (options.own_output == 0) {
    MIDGE_ASSIGN_OR_RETURN(text, read_text_or_stdin(options.text, kTextBytesMaxOfImportance));
  }
  MIDGE_ASSIGN_OR_RETURN(OpenedModel loaded, load_model(run));
  watch_interrupts();
  loaded.session->set_cancel_flag(&interrupted());
  std::vector<int32_t> tokens;
  if (options.own_output == 0) {
    MIDGE_RETURN_IF_ERROR(loaded.model->tokenizer().encode(text, SpecialTokens::kAsText, &tokens));
  } else {
    MIDGE_ASSIGN_OR_RETURN(tokens, tokens_of_model(options, loaded));
  }
  Result<Importance> importance = Importance();
  {
    ProgressBar bar("reading");
    importance = measure_importance(*loaded.session, tokens, options.window, [&](int64_t done) {
      bar.update(done, static_cast<int64_t>(tokens.size()));
      return !interrupted();
    });
  }
  MIDGE_RETURN_IF_ERROR(importance.status());
  if (options.counts_tokens) {
    importance->count_tokens(tokens, loaded.model->model().config().vocab_size);
  }
  MIDGE_RETURN_IF_ERROR(importance->save(options.out));
  if (options.run.json) {
    JsonWriter json;
    json.begin_object().member("schema", "midge.importance").member("version", int64_t{1});
    json.member("model", loaded.model->path()).member("text", options.text);
    json.member("own_output", options.own_output);
    json.member("file", options.out).member("tokens", importance->tokens());
    json.member("inputs", static_cast<int64_t>(importance->input_count())).end_object();
    print_json(json);
  } else {
    print(stdout, "%s: %zu inputs of matrices%s, over %lld tokens\n",
          shown_path(options.out).c_str(),
          importance->input_count() - (options.counts_tokens ? 1 : 0),
          options.counts_tokens ? " and how often each token came" : "",
          static_cast<long long>(importance->tokens()));
  }
  return Status();
}

}  // namespace

void add_importance_command(CommandLine& app, Command* run) {
  auto options = std::make_shared<Options>();
  options->run.arithmetic = dense_backend_available() ? "xnnpack" : "float";
  CommandLine* command =
      app.add_subcommand("importance", "Measure which channels matter, for encoding with few bits");
  add_run_options(*command, options->run);
  command->get_option("--model")->description(
      "Hugging Face folder or GGUF file (default: the bundled tiny-phi)");
  takes_one_of(command->get_option("--arithmetic"), {"float", "xnnpack"})
      ->description(
          "How matrices are multiplied: float, f32 on the weights in place; xnnpack, "
          "float weights through XNNPACK");
  CommandOption* text =
      command->add_option("--text", options->text, "Text file like what the model will read");
  text->type_name("FILE");
  command
      ->add_option("--own-output", options->own_output,
                   "So many tokens that the model writes itself, instead of a text")
      ->check(whole_number(2, 1 << 24))
      ->excludes(text);
  command->add_option("-o,--out", options->out, "File to write")->type_name("FILE")->required();
  command->add_option("--window", options->window, "Tokens per window")
      ->check(whole_number(2, 1 << 24))
      ->capture_default_str();
  command->add_flag("--token-counts", options->counts_tokens,
                    "Count the tokens too: they choose the part of the head that the "
                    "MTP layer drafts with");
  add_json_option(*command, options->run);
  command->footer(
      "  midge importance path/to/model --text sample.txt -o model.importance\n"
      "  midge importance path/to/model --own-output 4096 --token-counts -o model.importance\n");
  command->callback([=] { *run = [=] { return importance_command(*options); }; });
}

}  // namespace midge
