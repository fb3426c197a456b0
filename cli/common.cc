// What commands share: their options, and what they say of an answer.
#include "cli/common.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "cli/encoding_option.h"
#include "cli/help.h"
#include "cli/open_model.h"
#include "cli/option_checks.h"
#include "engine/core/visible.h"

namespace midge {
namespace {

Result<std::pair<int32_t, float>> parse_logit_bias(const std::string& text) {
  const size_t split = text.find('=');
  int32_t id = 0;
  if (split != std::string::npos) {
    const char* end = text.data() + split;
    const auto parsed = std::from_chars(text.data(), end, id);
    char* rest = nullptr;
    const float bias = std::strtof(end + 1, &rest);
    if (parsed.ec == std::errc() && parsed.ptr == end && *rest == '\0' && rest != end + 1) {
      return std::pair(id, bias);
    }
  }
  return make_status(StatusCode::kInvalidArgument, "logit bias '%s', expected ID=NUMBER",
                     printable(text).c_str());
}

}  // namespace

void add_model_option(CommandLine& app, RunOptions& options) {
  app.add_option("-m,--model,MODEL", options.model,
                 "A .midge file, a GGUF file, a Hugging Face folder, org/name in the Hugging Face "
                 "cache, tiny-mimo or tiny-phi (default: the bundled tiny-phi)")
      ->type_name("FILE");
  add_no_mmap_option(app, options);
}

void add_no_mmap_option(CommandLine& app, RunOptions& options) {
  app.add_flag("--no-mmap", options.no_mmap, "Read the files into memory instead of mapping them")
      ->group(kMemoryGroup);
}

void add_json_option(CommandLine& app, RunOptions& options) {
  app.add_flag("--json", options.json, "Report as JSON on standard output");
}

void add_quiet_option(CommandLine& app, RunOptions& options) {
  app.add_flag("-q,--quiet", options.quiet, "Nothing beside the answer but warnings and errors");
}

void add_cores_options(CommandLine& app, RunOptions& options) {
  app.add_option(
         "--cores", options.cores,
         "Cores to run on: a list such as 0-3,6; prime: the fastest cluster; big: those with half "
         "of its speed; all (default: chosen)")
      ->type_name("LIST")
      ->group(kCoresGroup);
  app.add_flag("--no-pin", options.no_pin,
               "Let the system place the threads, and keep their number when cores are busy")
      ->group(kCoresGroup);
}

void add_threads_option(CommandLine& app, RunOptions& options) {
  app.add_option("-t,--threads", options.threads,
                 "Threads; 0: as many as help, by measured rates; see midge cpu")
      ->check(whole_number(0, 256));
}

void add_mtp_option(CommandLine& app, RunOptions& options) {
  app.add_option(
         "--mtp", options.mtp,
         "Safetensors file with an MTP layer to use instead of the model's own, as one that "
         "was trained further; the model is a Hugging Face folder")
      ->type_name("FILE")
      ->group(kDraftsGroup);
}

void add_kernel_options(CommandLine& app, RunOptions& options) {
  app.add_option("--isa", options.isa, "Highest instruction set level to use; see midge cpu")
      ->type_name("LEVEL")
      ->group(kKernelsGroup);
  app.add_option("--kernel", options.kernels, "Prefer kernels whose names match this glob")
      ->type_name("GLOB")
      ->group(kKernelsGroup);
  app.add_flag("--no-calibration", options.no_calibration,
               "Choose kernels by level, not by measured rates (as with --isa and --kernel)")
      ->group(kKernelsGroup);
  app.add_option("--cache-dir", options.cache_dir,
                 "Folder that keeps measured rates and packed files; empty: none (default: "
                 "$XDG_CACHE_HOME/midge or ~/.cache/midge)")
      ->type_name("DIR")
      ->group(kKernelsGroup);
}

void add_weight_options(CommandLine& app, RunOptions& options) {
  auto* weights =
      app.add_option("--weights", options.weights,
                     "Encode every matrix first, as q4b32, q8b32 ... or by the name that GGUF "
                     "gives, as Q4_0 (default: as in the files)");
  weights->type_name("ENCODING")->check(encoding_check())->group(kWeightsGroup);
  takes_one_of(
      app.add_option("--recipe", options.recipe,
                     "Encode the matrices first: fast 4 bits, balanced 5, int8 8, half 16"),
      {"fast", "balanced", "int8", "half"})
      ->excludes(weights)
      ->group(kWeightsGroup);
  app.add_option("--tensor", options.tensors,
                 "Encoding of the matrices that match, as 'layers.*.down=q8b32': of q, k, v, o, "
                 "gate, up, down of layers, of head, embedding or mtp.NAME; beside what the other "
                 "options say; repeatable")
      ->allow_extra_args(false)
      ->type_name("PATTERN=ENCODING")
      ->group(kWeightsGroup);
  app.add_option("--importance", options.importance,
                 "File of 'midge importance': weighs errors by what their channels are worth")
      ->type_name("FILE")
      ->group(kWeightsGroup);
}

void add_run_options(CommandLine& app, RunOptions& options) {
  add_model_option(app, options);
  add_run_settings(app, options);
}

void add_run_settings(CommandLine& app, RunOptions& options) {
  add_threads_option(app, options);
  add_cores_options(app, options);
  app.add_option("-c,--context", options.context_length,
                 "Context in tokens; 0: the model's, at most 4096")
      ->check(whole_number(0));
  app.add_flag("--no-huge-pages", options.no_huge_pages,
               "Keep the packed weights in pages of the usual size")
      ->group(kMemoryGroup);
  takes_one_of(app.add_option("--arithmetic", options.arithmetic,
                              "How matrices are multiplied: packed, int8 activations on packed "
                              "weights; float, f32 on the weights in place, a slow reference; "
                              "xnnpack, float weights through XNNPACK"),
               {"packed", "float", "xnnpack"})
      ->group(kKernelsGroup)
      ->capture_default_str();
  add_weight_options(app, options);
  add_kernel_options(app, options);
  takes_one_of(app.add_option("--kv", options.kv_type, "Type of the KV cache"),
               {"f16", "f32", "int8", "k8v4"})
      ->group(kMemoryGroup)
      ->capture_default_str();
  app.add_flag("--no-cache", options.no_cache,
               "Pack anew each time: without, models whose files take 500 MB and more are packed "
               "once, into the cache folder")
      ->group(kMemoryGroup);
  app.add_option("--cache-size", options.cache_size, "Most that packed files there may take")
      ->type_name("SIZE")
      ->group(kMemoryGroup)
      ->capture_default_str();
  app.add_option("--budget", options.budget,
                 "Most memory to take, as '2GiB': refused if it does not fit, see midge plan")
      ->type_name("SIZE")
      ->group(kMemoryGroup);
  app.add_flag("--lock", options.lock,
               "Keep weights, cache and scratch in memory: the system takes none of it away")
      ->group(kMemoryGroup);
  takes_one_of(app.add_option("--rope", options.rope, "Factors of longrope models"),
               {"auto", "short", "long"})
      ->group(kKernelsGroup)
      ->capture_default_str();
}

void add_sample_options(CommandLine& app, SampleOptions& options) {
  SamplerOptions& sampler = options.sampler;
  app.add_option("-n,--tokens", options.tokens_max, "Most tokens to generate")
      ->check(whole_number(1))
      ->capture_default_str();
  app.add_option("--temp", sampler.temperature, "Temperature; 0 takes the best token")
      ->check(number(0))
      ->capture_default_str();
  app.add_option("--seed", options.seed,
                 "Seed of the sampling (default: drawn, and shown, where --temp is above 0)")
      ->type_name("N")
      ->check(whole_number(0));
  app.add_option("--stop", options.stop_strings, "Text that ends the output; repeatable")
      ->check(not_empty())
      ->allow_extra_args(false);
  app.add_option("--top-k", sampler.top_k, "Keep the k best tokens; 0 keeps all")
      ->check(whole_number(0, INT32_MAX))
      ->group(kSamplingGroup)
      ->capture_default_str();
  app.add_option("--top-p", sampler.top_p, "Keep the best tokens up to this probability mass")
      ->check(number_above(0, 1))
      ->group(kSamplingGroup)
      ->capture_default_str();
  app.add_option("--min-p", sampler.min_p, "Drop tokens below this share of the best one")
      ->check(number(0, 1))
      ->group(kSamplingGroup)
      ->capture_default_str();
  app.add_option("--repetition-penalty", sampler.repetition_penalty,
                 "Divides the logits of tokens seen before")
      ->check(number_above(0))
      ->group(kSamplingGroup)
      ->capture_default_str();
  app.add_option("--presence-penalty", sampler.presence_penalty,
                 "Subtracted from logits of tokens in the output")
      ->check(number())
      ->group(kSamplingGroup)
      ->capture_default_str();
  app.add_option("--frequency-penalty", sampler.frequency_penalty,
                 "Subtracted per occurrence in the output")
      ->check(number())
      ->group(kSamplingGroup)
      ->capture_default_str();
  app.add_option("--logit-bias", options.logit_bias, "Added to the logit of a token; repeatable")
      ->allow_extra_args(false)
      ->type_name("ID=NUMBER")
      ->group(kSamplingGroup);
}

Result<GenerateOptions> make_generate_options(const SampleOptions& options,
                                              const OpenedModel& loaded) {
  GenerateOptions generate;
  generate.tokens_max = options.tokens_max;
  generate.stop_strings = options.stop_strings;
  generate.sampler = options.sampler;
  generate.sampler.seed = options.seed.value_or(0);
  for (const std::string& text : options.logit_bias) {
    MIDGE_ASSIGN_OR_RETURN(const auto bias, parse_logit_bias(text));
    generate.sampler.logit_bias.push_back(bias);
  }
  MIDGE_ASSIGN_OR_RETURN(generate.stop_ids, loaded.model->stop_ids());
  return generate;
}

void warn_of_unused(const SampleOptions& options) {
  const SamplerOptions& sampler = options.sampler;
  if (sampler.temperature > 0) return;
  const SamplerOptions defaults;
  std::string unused;
  for (const auto& [name, is_set] : {std::pair("--top-k", sampler.top_k != defaults.top_k),
                                     std::pair("--top-p", sampler.top_p != defaults.top_p),
                                     std::pair("--min-p", sampler.min_p != defaults.min_p),
                                     std::pair("--seed", options.seed.has_value())}) {
    if (is_set) unused += (unused.empty() ? "" : ", ") + std::string(name);
  }
  if (unused.empty()) return;
  print(stderr, "midge: warning: without --temp the best token is taken: no effect of %s\n",
        unused.c_str());
}

std::optional<uint64_t> draw_seed(const RunOptions& run, const SampleOptions& options) {
  if (options.seed.has_value() || options.sampler.temperature <= 0) return options.seed;
  const uint64_t seed = std::random_device()();
  if (!run.quiet) print(stderr, "seed %llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

void report_speed(const GenerateResult& result) {
  print(stderr, "prompt %lld tokens, %.1f tok/s; output %zu tokens, %.1f tok/s (%s)\n",
        static_cast<long long>(result.prompt_tokens), result.prompt_tokens_per_second(),
        result.tokens.size(), result.decode_tokens_per_second(), finish_reason_name(result.reason));
}

void write_memory(JsonWriter& json, const OpenedModel& loaded) {
  json.begin_object("memory");
  // Mapped and shared, or with --no-mmap a copy of the files.
  json.member("file_bytes", static_cast<int64_t>(loaded.model->model().storage().file_bytes()));
  json.member("kv_bytes", loaded.session->kv_bytes());
  json.member("scratch_bytes", loaded.model->executor().scratch_bytes());
  json.member("packed_bytes", loaded.model->executor().packed_bytes()).end_object();
}

void write_sampling(JsonWriter& json, const SamplerOptions& options) {
  const auto number = [&](const char* name, float value) {
    json.member(name, static_cast<double>(value));
  };
  json.begin_object("sampling");
  number("temperature", options.temperature);
  json.member("top_k", int64_t{options.top_k});
  number("top_p", options.top_p);
  number("min_p", options.min_p);
  number("repetition_penalty", options.repetition_penalty);
  number("presence_penalty", options.presence_penalty);
  number("frequency_penalty", options.frequency_penalty);
  // As text: JSON readers lose the low bits of large integers.
  json.member("seed", std::to_string(options.seed));
  json.begin_array("logit_bias");
  for (const auto& [id, bias] : options.logit_bias) {
    json.begin_object().member("token", int64_t{id});
    number("bias", bias);
    json.end_object();
  }
  json.end_array().end_object();
}

void write_result(JsonWriter& json, const GenerateResult& result) {
  json.member("reason", finish_reason_name(result.reason)).member("text", result.text);
  json.begin_array("tokens");
  for (const GeneratedToken& token : result.tokens) json.element(int64_t{token.token});
  json.end_array();
  bool has_logprobs = false;
  for (const GeneratedToken& token : result.tokens) has_logprobs |= token.alternative_count > 0;
  if (has_logprobs) {
    json.begin_array("logprobs");
    for (const GeneratedToken& token : result.tokens) {
      json.begin_object().member("token", int64_t{token.token});
      json.member("logprob", static_cast<double>(token.logprob)).begin_array("best");
      for (const TokenLogprob& other : result.alternatives_of(token)) {
        json.begin_object().member("token", int64_t{other.token});
        json.member("logprob", static_cast<double>(other.logprob)).end_object();
      }
      json.end_array().end_object();
    }
    json.end_array();
  }
  json.member("prompt_tokens", result.prompt_tokens)
      .member("prompt_seconds", result.prompt_seconds)
      .member("decode_seconds", result.decode_seconds)
      .member("prompt_tokens_per_second", result.prompt_tokens_per_second())
      .member("decode_tokens_per_second", result.decode_tokens_per_second());
}

void print_json(const JsonWriter& json) {
  print_document(json.text());
  print(stdout, "\n");
}

}  // namespace midge
