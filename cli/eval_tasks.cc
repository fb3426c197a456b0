#include "cli/eval_tasks.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>

#include "cli/find_model.h"
#include "cli/multiple_choice.h"
#include "cli/open_model.h"
#include "cli/option_checks.h"
#include "cli/prompt.h"
#include "cli/task_file.h"
#include "engine/core/visible.h"
#include "engine/session/likelihood.h"

namespace midge {
namespace {

/// How many questions of one subject, or of all, are answered right.
struct Score {
  size_t count = 0;
  size_t right = 0;
  size_t right_norm = 0;
};

struct Report {
  std::vector<TaskQuestion> questions;
  JsonWriter json;
  Score all;
  std::map<std::string, Score> subjects;  // one without a name where there are none

  bool has_subjects() const { return subjects.size() > 1 || !subjects.begin()->first.empty(); }
};

std::string place(const TaskOptions& options, const TaskQuestion& question) {
  return format_string("%s:%lld", shown_task_file(options.file).c_str(),
                       static_cast<long long>(question.line));
}

// Before a model is opened: whether each choice has a letter.
Status check_letters(const TaskOptions& options, const std::vector<TaskQuestion>& questions) {
  for (const TaskQuestion& question : questions) {
    if (question.choices.size() <= kLetteredChoicesMax) continue;
    return make_status(
        StatusCode::kInvalidFile, "%s: %zu choices, expected at most %zu with --choices letters",
        place(options, question).c_str(), question.choices.size(), kLetteredChoicesMax);
  }
  return Status();
}

// Nothing is computed if one question is too long.
Status check_room(const OpenedModel& loaded, const EncodedQuestion& encoded) {
  const auto longest =
      std::max_element(encoded.continuations.begin(), encoded.continuations.end(),
                       [](const auto& a, const auto& b) { return a.size() < b.size(); });
  const size_t tokens = encoded.context.size() + longest->size() - 1;
  if (tokens <= context_tokens(loaded)) return Status();
  return with_context_hint(
      make_status(StatusCode::kContextFull, "%zu tokens, the context holds %zu", tokens,
                  context_tokens(loaded)),
      loaded);
}

Result<int32_t> bos_id_of(const TaskOptions& options, const Tokenizer& tokenizer) {
  if (!options.bos) return -1;
  if (tokenizer.bos_id() >= 0) return tokenizer.bos_id();
  return make_status(StatusCode::kInvalidArgument,
                     "--bos with a model whose vocabulary names no such token");
}

void write_score(const Score& score, JsonWriter* json) {
  const Accuracy accuracy = accuracy_of(score.right, score.count);
  const Accuracy norm = accuracy_of(score.right_norm, score.count);
  json->member("n", static_cast<int64_t>(score.count));
  json->member("acc", accuracy.mean).member("acc_stderr", accuracy.standard_error);
  json->member("acc_norm", norm.mean).member("acc_norm_stderr", norm.standard_error);
}

void add_to(Score* score, bool right, bool right_norm) {
  ++score->count;
  score->right += right ? 1 : 0;
  score->right_norm += right_norm ? 1 : 0;
}

// Asks one question, and puts what the model makes of it into the report.
Status answer(LikelihoodScorer* scorer, const TaskQuestion& question, ChoicesAs choices_as,
              const EncodedQuestion& encoded, Report* report) {
  // The first of the best, as they are and divided by their lengths.
  size_t predicted = 0;
  size_t predicted_norm = 0;
  double best = -std::numeric_limits<double>::infinity();
  double best_norm = best;
  std::string is_greedy = "[";
  JsonWriter& json = report->json;
  json.begin_object().member("line", question.line).member("subject", question.subject);
  json.begin_array("loglikelihoods");
  for (size_t i = 0; i < encoded.continuations.size(); ++i) {
    MIDGE_ASSIGN_OR_RETURN(const Likelihood likelihood,
                           scorer->score(encoded.context, encoded.continuations[i]));
    json.element(likelihood.log_sum);
    is_greedy += i > 0 ? "," : "";
    is_greedy += likelihood.is_greedy ? "true" : "false";
    const double norm = likelihood.log_sum / choice_length(question, i, choices_as);
    if (likelihood.log_sum > best) {
      best = likelihood.log_sum;
      predicted = i;
    }
    if (norm > best_norm) {
      best_norm = norm;
      predicted_norm = i;
    }
  }
  json.end_array().member_json("is_greedy", is_greedy + "]");
  json.member("answer", static_cast<int64_t>(question.answer));
  json.member("predicted", static_cast<int64_t>(predicted));
  json.member("predicted_norm", static_cast<int64_t>(predicted_norm)).end_object();
  for (Score* score : {&report->all, &report->subjects[question.subject]}) {
    add_to(score, predicted == question.answer, predicted_norm == question.answer);
  }
  return Status();
}

void begin_json(const RunOptions& run, const TaskOptions& options, const std::string& role,
                JsonWriter* json) {
  json->begin_object().member("schema", "midge.eval_tasks").member("version", int64_t{1});
  json->member("model", run.model).member("file", options.file);
  json->member("choices", options.choices).member("role", role).member("bos", options.bos);
  json->begin_array("items");
}

void finish_json(Report* report) {
  JsonWriter& json = report->json;
  json.end_array();
  write_score(report->all, &json);
  json.begin_array("subjects");
  for (const auto& [subject, score] : report->subjects) {
    if (!report->has_subjects()) break;
    json.begin_object().member("subject", subject);
    write_score(score, &json);
    json.end_object();
  }
  json.end_array().end_object();
  print_json(json);
}

// "0.4250 ± 0.0791".
std::string shown(const Accuracy& accuracy) {
  return format_string("%.4f ± ", accuracy.mean) +
         (std::isnan(accuracy.standard_error) ? "n/a"
                                              : format_string("%.4f", accuracy.standard_error));
}

std::string shown_subject(const std::string& subject) {
  return subject.empty() ? "-" : visible_text(subject, Layout::kOneLine);
}

void print_row(const std::string& subject, size_t width, const Score& score) {
  const size_t columns = count_code_points(subject);
  const std::string padding(width > columns ? width - columns : 0, ' ');
  // One byte wider than 15 columns, as "±" has two.
  print(stdout, "%s%s %7zu  %-16s  %s\n", subject.c_str(), padding.c_str(), score.count,
        shown(accuracy_of(score.right, score.count)).c_str(),
        shown(accuracy_of(score.right_norm, score.count)).c_str());
}

void print_table(const Report& report) {
  const std::string title = report.has_subjects() ? "subject" : "   ";
  size_t width = title.size();
  if (report.has_subjects()) {
    for (const auto& [subject, score] : report.subjects) {
      width = std::max(width, count_code_points(shown_subject(subject)));
    }
  }
  print(stdout, "%-*s %7s  %-15s  %s\n", static_cast<int>(width), title.c_str(), "n", "acc",
        "acc_norm");
  if (report.has_subjects()) {
    for (const auto& [subject, score] : report.subjects) {
      print_row(shown_subject(subject), width, score);
    }
  }
  print_row("all", width, report.all);
}

}  // namespace

CommandOption* add_task_options(CommandLine& command, TaskOptions& options) {
  CommandOption* tasks = command.add_option(
      "--tasks", options.file,
      "Questions with choices, each compared by its likelihood: a .jsonl file with question, "
      "choices and answer, or MMLU's .csv");
  tasks->type_name("FILE");
  takes_one_of(command.add_option("--choices", options.choices,
                                  "What follows a question: the text of each choice, or, with all "
                                  "choices below the question, its letter"),
               {"texts", "letters"})
      ->capture_default_str()
      ->needs(tasks);
  command
      .add_flag(
          "--bos", options.bos,
          "Begin each question of --tasks with the vocabulary's bos token; without it nothing "
          "stands before the question")
      ->needs(tasks);
  return tasks;
}

Status eval_tasks(RunOptions run, const TaskOptions& options, const std::string& role) {
  const ChoicesAs choices_as =
      options.choices == "letters" ? ChoicesAs::kLetters : ChoicesAs::kTexts;
  Report report;
  MIDGE_ASSIGN_OR_RETURN(const std::string text,
                         read_text_or_stdin(options.file, kTaskFileBytesMax));
  MIDGE_ASSIGN_OR_RETURN(report.questions, parse_task_file(options.file, text));
  if (choices_as == ChoicesAs::kLetters) {
    MIDGE_RETURN_IF_ERROR(check_letters(options, report.questions));
  }
  MIDGE_ASSIGN_OR_RETURN(run.model, find_model(run.model));
  MIDGE_ASSIGN_OR_RETURN(OpenedModel loaded, load_model(run));
  const Tokenizer& tokenizer = loaded.model->tokenizer();
  MIDGE_ASSIGN_OR_RETURN(const int32_t bos_id, bos_id_of(options, tokenizer));
  MIDGE_ASSIGN_OR_RETURN(
      LikelihoodScorer scorer,
      LikelihoodScorer::create(*loaded.session,
                               role == "generated" ? RowRole::kGenerated : RowRole::kPrompt));
  watch_interrupts();
  loaded.session->set_cancel_flag(&interrupted());
  begin_json(run, options, role, &report.json);
  ProgressBar bar("evaluating");
  // A question that is too long is found before one is answered: encoding takes no time.
  for (const bool answers : {false, true}) {
    int64_t done = 0;
    for (const TaskQuestion& question : report.questions) {
      const Result<EncodedQuestion> encoded =
          encode_question(tokenizer, ask(question, choices_as), bos_id);
      const Status status = encoded.ok() ? check_room(loaded, *encoded) : encoded.status();
      if (!status.ok()) return with_file_name(place(options, question), status);
      if (!answers) continue;
      MIDGE_RETURN_IF_ERROR(answer(&scorer, question, choices_as, *encoded, &report));
      bar.update(++done, static_cast<int64_t>(report.questions.size()));
    }
  }
  if (run.json) {
    finish_json(&report);
  } else {
    print_table(report);
  }
  return Status();
}

}  // namespace midge
