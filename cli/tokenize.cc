// midge tokenize: text to token ids, and back.
#include <cstdio>
#include <iostream>
#include <iterator>

#include "cli/common.h"
#include "cli/find_model.h"
#include "cli/open_model.h"
#include "cli/option_checks.h"

namespace midge {
namespace {

struct Options {
  RunOptions run;
  std::string text;
  std::vector<int32_t> decode;
  bool special = false;
  bool ids_only = false;
};

Status print_decoded(const Tokenizer& tokenizer, const Options& options) {
  MIDGE_ASSIGN_OR_RETURN(const std::string text, tokenizer.decode(options.decode));
  if (options.run.json) {
    JsonWriter json;
    json.begin_object().member("schema", "midge.detokenize").member("version", int64_t{1});
    json.member("text", text).end_object();
    print_json(json);
    return Status();
  }
  TextOutput output;
  output.write(text);
  output.finish();
  print(stdout, "\n");
  return Status();
}

void print_ids(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, size_t lost,
               const Options& options) {
  if (options.run.json) {
    JsonWriter json;
    json.begin_object().member("schema", "midge.tokenize").member("version", int64_t{1});
    json.begin_array("tokens");
    for (const int32_t id : ids) {
      json.begin_object().member("id", int64_t{id});
      json.member("text", tokenizer.token_bytes(id)).end_object();
    }
    json.end_array();
    json.member("bytes_without_token", static_cast<int64_t>(lost)).end_object();
    print_json(json);
  } else if (options.ids_only) {
    for (size_t i = 0; i < ids.size(); ++i) print(stdout, i == 0 ? "%d" : " %d", ids[i]);
    print(stdout, "\n");
  } else {
    for (const int32_t id : ids) {
      print(stdout, "%8d  '%s'\n", id, printable(tokenizer.token_bytes(id), 1000).c_str());
    }
    print(stderr, "%zu tokens\n", ids.size());
  }
}

Status tokenize_command(const Options& options) {
  MIDGE_ASSIGN_OR_RETURN(const std::string path, find_model(options.run.model));
  CopyProgressBar bar;
  MIDGE_ASSIGN_OR_RETURN(const Tokenizer tokenizer,
                         load_tokenizer(path, file_access(options.run), bar.callback()));
  if (!options.decode.empty()) return print_decoded(tokenizer, options);
  std::string text = options.text;
  if (text == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  }
  std::vector<int32_t> ids;
  MIDGE_RETURN_IF_ERROR(tokenizer.encode(
      text, options.special ? SpecialTokens::kParse : SpecialTokens::kAsText, &ids));
  const size_t lost = tokenizer.bytes_without_token(text);
  print_ids(tokenizer, ids, lost, options);
  if (lost > 0) {
    print(stderr, "%zu bytes of the text have no token and are left out\n", lost);
  }
  return Status();
}

}  // namespace

void add_tokenize_command(CommandLine& app, Command* run) {
  auto options = std::make_shared<Options>();
  CommandLine* command =
      app.add_subcommand("tokenize", "Turn text into token ids, or ids into text");
  add_model_option(*command, options->run);
  auto* text =
      command->add_option("-p,--text,TEXT", options->text, "The text; '-' reads standard input");
  auto* decode =
      command->add_option("-d,--decode", options->decode, "Ids to turn into text, as 1,2,3")
          ->delimiter(',')
          ->type_name("IDS")
          ->check(whole_number(0, INT32_MAX))
          ->allow_extra_args(false);
  command->add_flag("--special", options->special, "Recognise special tokens in the text");
  command->add_flag("--ids-only", options->ids_only, "Print ids on one line");
  add_json_option(*command, options->run);
  decode->excludes(text);
  command->footer(
      "  midge tokenize tiny-phi \"Once upon a time\"\n"
      "  midge tokenize model.gguf -d 300,301\n");
  command->callback([=] {
    const bool has_input = text->count() + decode->count() > 0;
    *run = [=] {
      return has_input ? tokenize_command(*options)
                       : Status(StatusCode::kInvalidArgument,
                                "--text or --decode is missing; see midge tokenize -h");
    };
  });
}

}  // namespace midge
