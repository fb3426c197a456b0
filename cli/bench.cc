// midge bench: the speed of models, beside the limits of the machine.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "bench/model/compare.h"
#include "bench/model/gate.h"
#include "bench/model/measure.h"
#include "cli/bench_drafts.h"
#include "cli/bench_mixed.h"
#include "cli/bench_once.h"
#include "cli/bench_report.h"
#include "cli/common.h"
#include "cli/draft_options.h"
#include "cli/find_model.h"
#include "cli/open_model.h"
#include "cli/option_checks.h"
#include "cli/terminal.h"
#include "models/synthetic.h"

namespace midge {
namespace {

struct Options {
  RunOptions run;
  std::vector<std::string> models;
  std::vector<std::string> synthetic;
  std::vector<std::string> settings;  ///< of --with
  bench::BenchOptions bench;
  std::vector<std::string> prompts;
  std::vector<std::string> depths;
  std::vector<std::string> only;
  std::vector<std::string> compared;
  bool has_compare = false;
  bool has_rounds = false;
  std::string format = "text";
  bool quick = false;
  double sustained_minutes = 0;
  bool cost = false;
  double watts = 0;
  double price_per_kwh = 0;
  std::vector<std::string> list_prices;

  // The modes that measure one thing.
  OnceOptions once;
  bool decode_only = false;
  bool prefill_only = false;
  bool mixed = false;
  bool spec = false;
  DraftBenchOptions drafts;
  double accept = -1;  ///< negative: as it comes
  std::vector<std::string> requests;
  int64_t tokens = 0;          ///< 0: a default of the mode
  std::string needs_one_mode;  ///< an option that was given and is of these modes alone
  std::string needs_table;     ///< one that was given and is of none of them
};

std::string now_text() {
  const std::time_t time = std::time(nullptr);
  std::tm parts = {};
  ::gmtime_r(&time, &parts);
  char text[32] = "";
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

Status mixed_command(const Options& options) {
  RunOptions run_options = options.run;
  run_options.needs_tokenizer = false;
  make_room_for_mixed(&run_options);
  MIDGE_ASSIGN_OR_RETURN(const OpenedModel loaded, load_model(run_options));
  MIDGE_ASSIGN_OR_RETURN(const KvType kv_type, kv_type_from_name(run_options.kv_type));
  MIDGE_RETURN_IF_ERROR(bench::check_output(*loaded.model, kv_type).status());
  MIDGE_ASSIGN_OR_RETURN(
      const MixedReport report,
      measure_mixed(*loaded.model, kv_type, options.tokens > 0 ? options.tokens : 5));
  if (!options.run.json) {
    print_mixed(report);
    return Status();
  }
  JsonWriter json;
  json.begin_object().member("schema", "midge.bench_mixed").member("version", int64_t{1});
  json.member("model", loaded.model->path());
  json.member("threads", int64_t{loaded.model->executor().thread_count()});
  json.member("isa", isa_level_name(top_level(loaded.model->executor().isa())));
  json.member("kv_type", kv_type_name(kv_type));
  write_mixed(json, report);
  json.end_object();
  print_json(json);
  return Status();
}

Status compare_command(const Options& options) {
  if (options.compared.size() != 2) {
    return make_status(StatusCode::kInvalidArgument,
                       "--compare has %zu files, expected two with a comma between: "
                       "old.json,new.json",
                       options.compared.size());
  }
  MIDGE_ASSIGN_OR_RETURN(const bench::Comparison comparison,
                         bench::compare_results(options.compared[0], options.compared[1]));
  print_document(comparison_text(comparison));
  if (comparison.changes.empty()) {
    return make_status(StatusCode::kInvalidArgument, "no figure is in both results");
  }
  return Status();
}

// "-t 1 --kv int8" on top of the other options.
Result<RunOptions> with_setting(const RunOptions& options, const std::string& setting) {
  RunOptions changed = options;
  if (setting.empty()) return changed;
  CommandLine line("midge", "");
  CommandLine* command = line.add_subcommand("bench", "");
  add_run_settings(*command, changed);
  command->callback([] {});
  std::vector<std::string> words = {"midge", "bench"};
  for (size_t at = 0; at < setting.size();) {
    const size_t from = setting.find_first_not_of(' ', at);
    if (from == std::string::npos) break;
    at = std::min(setting.find(' ', from), setting.size());
    words.push_back(setting.substr(from, at - from));
  }
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  const ParsedCommandLine parsed = line.parse(static_cast<int>(arguments.size()), arguments.data());
  if (parsed.kind == ParsedCommandLine::Kind::kError) {
    return make_status(StatusCode::kInvalidArgument, "--with '%s': %s", printable(setting).c_str(),
                       parsed.error.c_str());
  }
  return changed;
}

Result<int64_t> context_of_model(const RunOptions& options) {
  MIDGE_ASSIGN_OR_RETURN(const std::string path, find_model(options.model));
  LoadOptions load;
  load.access = file_access(options);
  load.needs_tokenizer = false;
  load.makes_executor = false;
  MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<LoadedModel> model, LoadedModel::open(path, load));
  return model->model().config().context_length;
}

// A model, or a synthetic one, with the options of a setting.
Result<bench::Subject> make_subject(RunOptions options, const bench::BenchOptions& bench,
                                    const std::string& model, bool is_synthetic,
                                    const std::string& name, const std::string& setting) {
  bench::Subject subject;
  subject.name = name;
  if (!setting.empty()) subject.name += " " + setting;
  options.model = model;
  options.needs_tokenizer = false;
  options.quiet = true;
  options.logit_rows = kGemvRowsMax;
  for (const int64_t count : bench.requests) {
    options.logit_rows = std::max(options.logit_rows, count);
  }
  MIDGE_ASSIGN_OR_RETURN(subject.kv_type, kv_type_from_name(options.kv_type));
  if (is_synthetic) {
    MIDGE_ASSIGN_OR_RETURN(const ModelConfig config, synthetic_config(model));
    subject.context_length = config.context_length;
  } else {
    MIDGE_ASSIGN_OR_RETURN(subject.path, find_model(model));
    MIDGE_ASSIGN_OR_RETURN(subject.context_length, context_of_model(options));
  }
  if (options.context_length > 0) {
    subject.context_length = std::min(subject.context_length, options.context_length);
  }
  options.context_length = bench::context_of(bench, subject.context_length);
  subject.open = [=] {
    return is_synthetic ? load_synthetic(model, options) : load_model_alone(options);
  };
  return subject;
}

// What a model is called: its file, without the folders, which say nothing to who reads a result.
// Unless another one is called the same.
std::string name_among(const std::string& model, const std::vector<std::string>& models) {
  if (model.empty()) return "tiny-phi";
  const auto file_of = [](const std::string& path) {
    const size_t end = path.find_last_not_of('/') + 1;
    const size_t slash = end == 0 ? std::string::npos : path.rfind('/', end - 1);
    return path.substr(slash + 1, end - slash - 1);
  };
  const std::string name = file_of(model);
  const auto count = std::count_if(models.begin(), models.end(), [&](const std::string& other) {
    return file_of(other) == name;
  });
  return count > 1 || name.empty() ? model : name;
}

Result<std::vector<bench::Subject>> make_subjects(const Options& options) {
  std::vector<bench::Subject> subjects;
  std::vector<std::string> models = options.models;
  if (models.empty() && options.synthetic.empty()) models.emplace_back();
  std::vector<std::string> settings = options.settings;
  // The options as they are come first.
  settings.insert(settings.begin(), std::string());
  for (const std::string& setting : settings) {
    MIDGE_ASSIGN_OR_RETURN(const RunOptions run, with_setting(options.run, setting));
    for (const std::string& name : options.synthetic) {
      MIDGE_ASSIGN_OR_RETURN(bench::Subject subject, make_subject(run, options.bench, name, true,
                                                                  "synthetic " + name, setting));
      subjects.push_back(std::move(subject));
    }
    for (const std::string& model : models) {
      MIDGE_ASSIGN_OR_RETURN(
          bench::Subject subject,
          make_subject(run, options.bench, model, false, name_among(model, models), setting));
      subjects.push_back(std::move(subject));
    }
  }
  return subjects;
}

Result<std::vector<int64_t>> numbers_of(const std::vector<std::string>& words, const char* option) {
  std::vector<int64_t> numbers;
  for (const std::string& word : words) {
    if (word == "none") continue;
    const std::string wrong = whole_number(0)(word);
    if (!wrong.empty()) {
      return make_status(StatusCode::kInvalidArgument, "%s %s", option, wrong.c_str());
    }
    numbers.push_back(std::stoll(word));
  }
  return numbers;
}

// "name=price".
Result<std::vector<std::pair<std::string, double>>> prices_of(
    const std::vector<std::string>& words) {
  std::vector<std::pair<std::string, double>> prices;
  for (const std::string& word : words) {
    const size_t equals = word.rfind('=');
    char* end = nullptr;
    const double price =
        equals == std::string::npos ? -1 : std::strtod(word.c_str() + equals + 1, &end);
    if (price < 0 || equals == 0 || *end != '\0') {
      return make_status(StatusCode::kInvalidArgument, "--list-price is '%s', expected NAME=PRICE",
                         printable(word).c_str());
    }
    prices.emplace_back(word.substr(0, equals), price);
  }
  return prices;
}

Result<bench::CostOptions> cost_options(const Options& options) {
  bench::CostOptions cost;
  if (options.watts > 0) cost.watts = options.watts;
  if (options.price_per_kwh > 0) cost.price_per_kwh = options.price_per_kwh;
  MIDGE_ASSIGN_OR_RETURN(cost.list_prices, prices_of(options.list_prices));
  return cost;
}

Status measure_more(const Options& options, const bench::CostOptions& cost,
                    const std::vector<bench::Subject>& subjects, BenchDocument* document) {
  for (const bench::Subject& subject : subjects) {
    MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<LoadedModel> model, subject.open());
    if (options.sustained_minutes > 0) {
      ProgressBar bar("sustained " + subject.name);
      MIDGE_ASSIGN_OR_RETURN(
          bench::SustainedReport report,
          bench::measure_sustained(
              subject.name, *model, subject.kv_type, options.sustained_minutes,
              [&](double part) { bar.update(static_cast<int64_t>(part * 1000), 1000); },
              &interrupted()));
      document->sustained.push_back(std::move(report));
    }
    if (options.cost) {
      MIDGE_ASSIGN_OR_RETURN(bench::CostReport report,
                             bench::measure_cost(subject.name, *model, subject.kv_type, cost,
                                                 SystemFiles::of_system(), &interrupted()));
      document->costs.push_back(std::move(report));
    }
  }
  return Status();
}

// Leaves out the sections that --only does not name.
void keep_sections(const std::vector<std::string>& only, bench::BenchOptions* bench) {
  if (only.empty()) return;
  const auto wants = [&](const char* name) {
    return std::find(only.begin(), only.end(), name) != only.end();
  };
  bench->opens = wants("open");
  if (!wants("prompt")) bench->prompts.clear();
  if (!wants("decode")) bench->depths.clear();
  if (!wants("rows")) bench->rows.clear();
  if (!wants("requests")) bench->requests.clear();
}

Status measure_command(Options options) {
  if (options.quick) {
    if (!options.has_rounds) options.bench.rounds = 3;
    options.bench.rows = {1, 2, 4, 8};
    if (options.depths.empty()) options.depths = {"0", "1024"};
    if (options.prompts.empty()) options.prompts = {"128"};
  }
  if (!options.depths.empty()) {
    MIDGE_ASSIGN_OR_RETURN(options.bench.depths, numbers_of(options.depths, "--depths"));
  }
  if (!options.prompts.empty()) {
    MIDGE_ASSIGN_OR_RETURN(options.bench.prompts, numbers_of(options.prompts, "--prompts"));
    std::erase(options.bench.prompts, 0);
  }
  keep_sections(options.only, &options.bench);
  MIDGE_ASSIGN_OR_RETURN(const bench::CostOptions cost, cost_options(options));
  MIDGE_ASSIGN_OR_RETURN(const std::vector<bench::Subject> subjects, make_subjects(options));
  watch_interrupts();
  options.bench.cancel = &interrupted();
  BenchDocument document;
  document.date = now_text();
  document.machine = bench::machine_info(detect_topology(), SystemFiles::of_system());
  {
    std::string shown;
    std::unique_ptr<ProgressBar> bar;
    options.bench.on_progress = [&](const std::string& what, double part) {
      if (bar == nullptr || shown != what) {
        bar.reset();
        bar = std::make_unique<ProgressBar>(what);
        shown = what;
      }
      bar->update(static_cast<int64_t>(part * 1000), 1000);
    };
    MIDGE_ASSIGN_OR_RETURN(document.subjects, bench::run_bench(subjects, options.bench));
  }
  MIDGE_RETURN_IF_ERROR(measure_more(options, cost, subjects, &document));
  const std::string& format = options.run.json ? "json" : options.format;
  print_document(format == "json"       ? bench_json(document)
                 : format == "csv"      ? bench_csv(document)
                 : format == "markdown" ? bench_markdown(document)
                                        : bench_text(document));
  return Status();
}

// Options that do not go together. is_table: everything is measured, not one thing alone.
Status check_options(const Options& options, bool is_table) {
  const char* wrong = nullptr;
  const bool more = options.cost || options.sustained_minutes > 0;
  const bool has_rows = options.format == "csv" || options.format == "markdown";
  if (options.run.json && has_rows) wrong = "--json and --format say different things";
  if (more && has_rows) wrong = "--cost and --sustained have no place in csv and markdown";
  if (!is_table && has_rows) wrong = "--format csv and markdown go with the whole table";
  if (!is_table && options.bench.wrong_kernel) {
    wrong = "--wrong-kernel goes with runs that check the output";
  }
  if (!is_table && !options.needs_table.empty()) {
    return make_status(StatusCode::kInvalidArgument,
                       "%s goes with the whole table, not with --decode-only, --prefill-only, "
                       "--mixed or --spec",
                       options.needs_table.c_str());
  }
  for (const std::string& setting : options.settings) {
    if (setting.find_first_not_of(' ') == std::string::npos) wrong = "--with is empty";
  }
  return wrong == nullptr ? Status() : make_status(StatusCode::kInvalidArgument, "%s", wrong);
}

// --spec.
Status drafts_command(Options options) {
  MIDGE_RETURN_IF_ERROR(check_draft_options(options.run));
  if (!options.requests.empty()) {
    MIDGE_ASSIGN_OR_RETURN(options.drafts.requests, numbers_of(options.requests, "--requests"));
  }
  for (const int64_t requests : options.drafts.requests) {
    constexpr int64_t kRequestsMost = 16;
    if (requests >= 1 && requests <= kRequestsMost) continue;
    return make_status(StatusCode::kInvalidArgument, "--requests is %lld, expected 1..%lld",
                       static_cast<long long>(requests), static_cast<long long>(kRequestsMost));
  }
  options.drafts.rounds = options.bench.rounds;
  if (options.accept >= 0) options.drafts.acceptance = options.accept;
  if (options.tokens > 0) options.drafts.tokens = options.tokens;
  return bench_drafts(options.models, options.synthetic, options.drafts, options.run);
}

Status bench_command(Options options) {
  if (options.has_compare) return compare_command(options);
  const bool one_model = options.decode_only || options.prefill_only || options.mixed;
  if (options.format == "json") options.run.json = true;
  MIDGE_RETURN_IF_ERROR(check_options(options, !one_model && !options.spec));
  if (options.spec) return drafts_command(std::move(options));
  options.run.drafter = "none";
  if (!one_model) {
    if (!options.needs_one_mode.empty()) {
      return make_status(StatusCode::kInvalidArgument,
                         "%s goes with --decode-only, --prefill-only, --mixed or --spec; else see "
                         "--rounds, --prompts and --depths",
                         options.needs_one_mode.c_str());
    }
    return measure_command(std::move(options));
  }
  if (options.models.size() > 1 || !options.synthetic.empty()) {
    return make_status(StatusCode::kInvalidArgument,
                       "--decode-only, --prefill-only and --mixed take one model, from a file");
  }
  if (!options.models.empty()) options.run.model = options.models.front();
  if (options.mixed) return mixed_command(options);
  options.once.is_prefill = options.prefill_only;
  options.once.tokens = options.tokens > 0 ? options.tokens : options.prefill_only ? 512 : 15;
  return bench_once(options.once, options.run);
}

void add_measure_options(CommandLine& command, const std::shared_ptr<Options>& options) {
  command
      .add_option("--synthetic", options->synthetic,
                  "A model of random weights in place of a file: phi4-mini, mimo-7b, phi4, or "
                  "with fewer layers phi4-mini-8L; a list is possible")
      ->type_name("NAME")
      ->allow_extra_args(false)
      ->delimiter(',');
  command
      .add_option("--with", options->settings,
                  "Measure once more with these options on top, as '-t 1 --kv int8'; repeatable")
      ->type_name("OPTIONS")
      ->allow_extra_args(false);
  command.add_option("--rounds", options->bench.rounds, "Times that everything is measured")
      ->check(whole_number(1, 10000))
      ->capture_default_str();
  command.add_flag("--quick", options->quick, "Less of everything: three rounds of fewer lines");
  command
      .add_option("--prompts", options->prompts,
                  "Lengths of prompts in tokens, or none (default: 16,128,512)")
      ->type_name("N,N")
      ->allow_extra_args(false)
      ->delimiter(',');
  command
      .add_option("--depths", options->depths,
                  "Tokens in the cache before a decode step, or none (default: "
                  "0,1024,4096,16384)")
      ->type_name("N,N")
      ->allow_extra_args(false)
      ->delimiter(',');
  takes_one_of(command.add_option("--only", options->only, "Measure these sections alone")
                   ->allow_extra_args(false)
                   ->delimiter(','),
               {"open", "prompt", "decode", "rows", "requests"});
  takes_one_of(command.add_option("--format", options->format, "How the report is written"),
               {"text", "json", "csv", "markdown"})
      ->capture_default_str();
  command
      .add_option("--compare", options->compared,
                  "Say what differs between two results of --json, beyond their noise; nothing "
                  "is measured")
      ->type_name("OLD.json,NEW.json")
      ->allow_extra_args(false)
      ->delimiter(',');
  command
      .add_option("--sustained", options->sustained_minutes,
                  "Decode for so many minutes too, and show the rate over time")
      ->type_name("MINUTES")
      ->check(number_above(0));
}

void add_spec_options(CommandLine& command, const std::shared_ptr<Options>& options) {
  CommandOption* spec = command.add_flag(
      "--spec", options->spec,
      "What drafts gain: answers without and with them, in turns, --tokens long (default 64), "
      "to free and to repetitive texts; of both bundled models where none is named");
  spec->group("Drafts");
  command
      .add_option("--accept", options->accept,
                  "Make so large a part of the drafts right, 0 to 1: what that would gain")
      ->check(number(0, 1))
      ->group("Drafts")
      ->needs(spec);
  command.add_option("--requests", options->requests, "Answers at a time (default: 1)")
      ->type_name("N,N")
      ->allow_extra_args(false)
      ->delimiter(',')
      ->group("Drafts")
      ->needs(spec);
  add_draft_options(command, options->run);
  for (const char* name : {"--draft", "--draft-max", "--draft-match", "--mtp"}) {
    command.get_option(name)->needs(spec);
  }
}

void add_cost_options(CommandLine& command, const std::shared_ptr<Options>& options) {
  constexpr const char* kGroup = "Cost";
  CommandOption* cost =
      command.add_flag("--cost", options->cost, "Measure the energy of a token too")->group(kGroup);
  command
      .add_option("--watts", options->watts,
                  "Power of the machine while it works, where it does not tell")
      ->check(number_above(0))
      ->group(kGroup)
      ->needs(cost);
  command.add_option("--price-kwh", options->price_per_kwh, "Price of a kWh, in any currency")
      ->check(number_above(0))
      ->group(kGroup)
      ->needs(cost);
  command
      .add_option("--list-price", options->list_prices,
                  "What a million tokens cost elsewhere, in the same currency; repeatable")
      ->type_name("NAME=PRICE")
      ->allow_extra_args(false)
      ->group(kGroup)
      ->needs(cost);
}

void add_single_modes(CommandLine& command, const std::shared_ptr<Options>& options) {
  constexpr const char* kGroup = "One thing alone";
  CommandOption* decode =
      command
          .add_flag("--decode-only", options->decode_only,
                    "One run after a prompt of --depth tokens, no warm-up, no check, nothing "
                    "else measured")
          ->group(kGroup);
  command
      .add_flag("--mixed", options->mixed,
                "A prompt of 256 tokens alone and beside generated rows of three sequences, and "
                "sampling of eight; --tokens rounds (default 5)")
      ->group(kGroup)
      ->excludes(decode);
  command
      .add_flag("--prefill-only", options->prefill_only,
                "One prompt of --tokens tokens in one step")
      ->group(kGroup)
      ->excludes(decode);
  constexpr int64_t kTokensMost = 1 << 24;
  command.add_option("-n,--tokens", options->tokens, "Decode steps, or tokens of the prompt")
      ->check(whole_number(1, kTokensMost))
      ->group(kGroup);
  command.add_option("--rows", options->once.rows, "Tokens per decode step")
      ->check(whole_number(1, 512))
      ->group(kGroup)
      ->capture_default_str();
  command
      .add_option("--depth", options->once.depth,
                  "Tokens in the cache before the first decode step")
      ->check(whole_number(1, kTokensMost))
      ->group(kGroup)
      ->capture_default_str();
  command
      .add_flag("--mtp-pass", options->once.mtp,
                "Run the MTP layer, with the head of drafts, behind each decode step")
      ->group(kGroup)
      ->needs(decode);
  command
      .add_flag("--wrong-kernel", options->bench.wrong_kernel,
                "Break a kernel on purpose, to see that no speed is printed")
      ->group(kGroup);
}

}  // namespace

void add_bench_command(CommandLine& app, Command* run) {
  auto options = std::make_shared<Options>();
  CommandLine* command =
      app.add_subcommand("bench", "Measure the speed of models, beside the limits of the machine");
  command
      ->add_option("-m,--model,MODELS", options->models,
                   "Models as in midge run; several are measured in turn (default: the bundled "
                   "tiny-phi)")
      ->type_name("FILE");
  add_measure_options(*command, options);
  add_json_option(*command, options->run);
  add_spec_options(*command, options);
  add_cost_options(*command, options);
  add_single_modes(*command, options);
  add_no_mmap_option(*command, options->run);
  add_run_settings(*command, options->run);
  command->add_option("--batch", options->run.batch_rows, "Rows of one pass through the layers")
      ->check(whole_number(1, 4096))
      ->capture_default_str();
  command->footer(
      "  midge bench model.gguf\n"
      "  midge bench --synthetic phi4-mini --json > result.json\n"
      "  midge bench --synthetic mimo-7b,phi4-mini,phi4 --quick\n"
      "  midge bench model.midge --with '--kv int8' --with '-t 1'\n"
      "  midge bench --compare old.json,new.json\n");
  command->callback([=] {
    for (const char* name : {"--tokens", "--rows", "--depth"}) {
      if (command->get_option(name)->count() > 0) options->needs_one_mode = name;
    }
    for (const char* name :
         {"--with", "--only", "--prompts", "--depths", "--quick", "--cost", "--sustained"}) {
      if (command->get_option(name)->count() > 0) options->needs_table = name;
    }
    options->has_rounds = command->get_option("--rounds")->count() > 0;
    options->has_compare = command->get_option("--compare")->count() > 0;
    *run = [=] { return bench_command(*options); };
  });
}

}  // namespace midge
