// midge eval --tasks: files of questions, how they are put to a model, and its figures against
// plain formulas over the logits of whole steps.
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cli/multiple_choice.h"
#include "cli/task_file.h"
#include "engine/formats/json.h"
#include "engine/tokenizer_files/tokenizer_json.h"
#include "tests/e2e/program.h"
#include "tests/harness/running.h"
#include "tests/harness/temp_dir.h"
#include "tests/harness/tolerance.h"

namespace midge {
namespace {

const std::string kQuestions = test::data_path("tasks/questions.jsonl");
const std::string kCsv = test::data_path("tasks/questions.csv");

using Questions = std::vector<TaskQuestion>;

std::string error_of(const Result<Questions>& parsed) {
  EXPECT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.status().code(), StatusCode::kInvalidFile);
  return parsed.status().message();
}

std::string json_error(const std::string& text) {
  return error_of(parse_task_json_lines("f.jsonl", text));
}

std::string csv_error(const std::string& text) { return error_of(parse_task_csv("f.csv", text)); }

TEST(TaskFile, ReadsJsonLines) {
  const auto parsed = parse_task_json_lines(
      "f",
      "\xEF\xBB\xBF{\"question\":\"a\\nb\",\"choices\":[\"x\",\"\\u00e9\"],\"answer\":1}\r\n"
      "\n"
      "{\"answer\":\"C\",\"choices\":[\"1\",\"2\",\"3\"],\"question\":\"q \",\"subject\":\"s\","
      "\"id\":7}");
  MIDGE_ASSERT_OK(parsed);
  ASSERT_EQ(parsed->size(), 2u);
  EXPECT_EQ((*parsed)[0].question, "a\nb");
  EXPECT_EQ((*parsed)[0].choices, (std::vector<std::string>{"x", "é"}));
  EXPECT_EQ((*parsed)[0].answer, 1u);
  EXPECT_EQ((*parsed)[0].subject, "");
  EXPECT_EQ((*parsed)[0].line, 1);
  EXPECT_EQ((*parsed)[1].question, "q ");
  EXPECT_EQ((*parsed)[1].answer, 2u);
  EXPECT_EQ((*parsed)[1].subject, "s");
  EXPECT_EQ((*parsed)[1].line, 3);
}

TEST(TaskFile, SaysWhichLineOfJsonIsWrong) {
  const std::string good = "{\"question\":\"q\",\"choices\":[\"a\",\"b\"],\"answer\":0}\n";
  EXPECT_EQ(json_error(""), "f.jsonl: no questions");
  EXPECT_EQ(json_error(" \n\n"), "f.jsonl: no questions");
  EXPECT_EQ(json_error(good + "[1]"), "f.jsonl:2: is an array, expected an object");
  EXPECT_EQ(json_error(good + "\n{").find("f.jsonl:3: not valid JSON"), 0u);
  EXPECT_EQ(json_error("{\"choices\":[\"a\",\"b\"],\"answer\":0}"),
            "f.jsonl:1: 'question' is missing, expected a string");
  EXPECT_EQ(json_error("{\"question\":\"\",\"choices\":[\"a\",\"b\"],\"answer\":0}"),
            "f.jsonl:1: 'question' is empty, expected a text");
  EXPECT_EQ(json_error("{\"question\":\"q\",\"choices\":\"ab\",\"answer\":0}"),
            "f.jsonl:1: 'choices' is a string, expected an array");
  EXPECT_EQ(json_error("{\"question\":\"q\",\"choices\":[\"a\",2],\"answer\":0}"),
            "f.jsonl:1: choice 2 is an integer, expected a string");
  EXPECT_EQ(json_error("{\"question\":\"q\",\"choices\":[\"a\"],\"answer\":0}"),
            "f.jsonl:1: 1 choices, expected 2..64");
  EXPECT_EQ(json_error("{\"question\":\"q\",\"choices\":[\"a\",\"\"],\"answer\":0}"),
            "f.jsonl:1: choice 2 of 2 is empty, expected a text");
  const std::string choices = "{\"question\":\"q\",\"choices\":[\"a\",\"b\"]";
  EXPECT_EQ(json_error(choices + "}"), "f.jsonl:1: 'answer' is missing, expected an integer");
  EXPECT_EQ(json_error(choices + ",\"answer\":2}"), "f.jsonl:1: 'answer' is 2, expected 0..1");
  EXPECT_EQ(json_error(choices + ",\"answer\":-1}"), "f.jsonl:1: 'answer' is -1, expected 0..1");
  EXPECT_EQ(json_error(choices + ",\"answer\":true}"),
            "f.jsonl:1: 'answer' is a boolean, expected an integer");
  for (const char* letter : {"C", "a", "AB", "", "@", "1"}) {
    EXPECT_EQ(
        json_error(choices + ",\"answer\":\"" + letter + "\"}"),
        std::string("f.jsonl:1: 'answer' is '") + letter + "', expected a letter from A to B");
  }
  EXPECT_EQ(json_error(choices + ",\"answer\":0,\"subject\":3}"),
            "f.jsonl:1: 'subject' is an integer, expected a string");
  EXPECT_EQ(json_error(good + "{\"question\":\"" + std::string(kTaskLineBytesMax, 'x') + "\"}"),
            "f.jsonl:2: a line of more than 1048576 bytes");
}

TEST(TaskFile, HasUpTo64Choices) {
  const auto line = [](size_t count, const std::string& answer) {
    std::string text = "{\"question\":\"q\",\"choices\":[\"0\"";
    for (size_t i = 1; i < count; ++i) text += ",\"" + std::to_string(i) + "\"";
    return text + "],\"answer\":" + answer + "}";
  };
  const auto most = parse_task_json_lines("f", line(64, "63"));
  MIDGE_ASSERT_OK(most);
  EXPECT_EQ((*most)[0].answer, 63u);
  const auto last_letter = parse_task_json_lines("f", line(64, "\"Z\""));
  MIDGE_ASSERT_OK(last_letter);
  EXPECT_EQ((*last_letter)[0].answer, 25u);
  EXPECT_EQ(json_error(line(65, "0")), "f.jsonl:1: 65 choices, expected 2..64");
  EXPECT_EQ(json_error(line(64, "\"[\"")),
            "f.jsonl:1: 'answer' is '[', expected a letter from A to Z");
}

TEST(TaskFile, ReadsCsv) {
  const std::string rows =
      "\"a \"\"b\"\", c\",x,\"y\nz\",\"\"\"\",w,C\r\n"
      "\n"
      "q,1,2,3, 4 ,D";
  for (const std::string& text :
       {rows, "question,A,B,C,D,answer\n" + rows, "\xEF\xBB\xBFx,A,B,C,D,\"Answer\"\r\n" + rows}) {
    const auto parsed = parse_task_csv("f", text);
    MIDGE_ASSERT_OK(parsed);
    ASSERT_EQ(parsed->size(), 2u);
    const int64_t first = text == rows ? 1 : 2;
    EXPECT_EQ((*parsed)[0].question, "a \"b\", c");
    EXPECT_EQ((*parsed)[0].choices, (std::vector<std::string>{"x", "y\nz", "\"", "w"}));
    EXPECT_EQ((*parsed)[0].answer, 2u);
    EXPECT_EQ((*parsed)[0].line, first);
    EXPECT_EQ((*parsed)[1].question, "q");
    EXPECT_EQ((*parsed)[1].choices, (std::vector<std::string>{"1", "2", "3", " 4 "}));
    EXPECT_EQ((*parsed)[1].answer, 3u);
    EXPECT_EQ((*parsed)[1].line, first + 3);
  }
}

TEST(TaskFile, SaysWhichLineOfCsvIsWrong) {
  const std::string good = "q,1,\"2\n2\",3,4,D\n";
  EXPECT_EQ(csv_error(""), "f.csv: no questions");
  EXPECT_EQ(csv_error("question,A,B,C,D,answer\n"), "f.csv: no questions");
  EXPECT_EQ(csv_error("q,1,A"),
            "f.csv:1: 3 fields, expected a question, at least 2 choices, and the letter of the "
            "answer");
  EXPECT_EQ(csv_error(good + "q,1,2,3,D"), "f.csv:3: 5 fields, expected 6 as in the first line");
  EXPECT_EQ(csv_error(good + "q,1,2,3,4,5,D"),
            "f.csv:3: 7 fields, expected 6 as in the first line");
  EXPECT_EQ(csv_error(good + "q,1,2,3,4,E"),
            "f.csv:3: 'answer' is 'E', expected a letter from A to D");
  EXPECT_EQ(csv_error(good + "q,1,2,3,4,answer"),
            "f.csv:3: 'answer' is 'answer', expected a letter from A to D");
  EXPECT_EQ(csv_error(good + "q,1,,3,4,A"), "f.csv:3: choice 2 of 4 is empty, expected a text");
  EXPECT_EQ(csv_error(good + ",1,2,3,4,A"), "f.csv:3: 'question' is empty, expected a text");
  EXPECT_EQ(csv_error(good + "q,1,\"2,3,4,A"), "f.csv:3: field 3 has no closing quote");
  EXPECT_EQ(csv_error(good + "q,1,\"2\"x,3,4,A"),
            "f.csv:3: field 3 has text behind its closing quote, expected a comma or the end of "
            "the line");
  EXPECT_EQ(csv_error(good + "q,1,2\"x,3,4,A"),
            "f.csv:3: field 3 has a quote, expected it within quotes, quotes twice");
  EXPECT_EQ(csv_error(good + "q,1,2\rx,3,4,A"),
            "f.csv:3: field 3 has a line end, expected it within quotes, quotes twice");
  EXPECT_EQ(csv_error(good + "q,1,2,3,\xFF,A"), "f.csv:3: field 5 is not UTF-8");
  EXPECT_EQ(csv_error(good + "q,1,2,3,\"" + std::string(kTaskLineBytesMax, '\n') + "\",A"),
            "f.csv:3: a line of more than 1048576 bytes");
}

// Each text that a file may begin with is parsed or refused, whole or cut.
TEST(TaskFile, TakesAnyBytes) {
  for (const std::string& file : {kQuestions, kCsv}) {
    const std::string text = test::read_bytes(file);
    for (size_t length = 0; length < text.size(); length += 7) {
      for (const char byte : {'"', ',', '\n', '\xFF', '{'}) {
        std::string changed = text.substr(0, length) + byte + text.substr(length, 50);
        static_cast<void>(parse_task_csv("f", changed).ok());
        static_cast<void>(parse_task_json_lines("f", changed).ok());
      }
    }
  }
}

TEST(TaskFile, IsOfTheKindThatItsNameEndsWith) {
  EXPECT_TRUE(parse_task_file(kCsv, test::read_bytes(kCsv)).ok());
  EXPECT_TRUE(parse_task_file(kQuestions, test::read_bytes(kQuestions)).ok());
  EXPECT_TRUE(parse_task_file("-", test::read_bytes(kQuestions)).ok());
  EXPECT_EQ(parse_task_file("a.txt", "").status().code(), StatusCode::kInvalidArgument);
}

TaskQuestion question_of(const std::string& text, const std::vector<std::string>& choices) {
  TaskQuestion question;
  question.question = text;
  question.choices = choices;
  return question;
}

AskedQuestion asked_of(const std::string& context, const std::vector<std::string>& continuations) {
  AskedQuestion asked;
  asked.context = context;
  asked.continuations = continuations;
  return asked;
}

TEST(MultipleChoice, TextsFollowTheQuestion) {
  const TaskQuestion question = question_of(" Q:  ", {"one", "größer", "🐾"});
  const AskedQuestion asked = ask(question, ChoicesAs::kTexts);
  EXPECT_EQ(asked.context, " Q:  ");
  EXPECT_EQ(asked.continuations, (std::vector<std::string>{" one", " größer", " 🐾"}));
  EXPECT_EQ(choice_length(question, 1, ChoicesAs::kTexts), 6);
  EXPECT_EQ(choice_length(question, 2, ChoicesAs::kTexts), 1);
  EXPECT_EQ(choice_length(question, 0, ChoicesAs::kLetters), 1);
}

TEST(MultipleChoice, LettersFollowTheChoices) {
  const AskedQuestion asked =
      ask(question_of(" \n What?\xC2\xA0 ", {"one", "two"}), ChoicesAs::kLetters);
  EXPECT_EQ(asked.context, "What?\nA. one\nB. two\nAnswer:");
  EXPECT_EQ(asked.continuations, (std::vector<std::string>{" A", " B"}));
}

TEST(MultipleChoice, SpaceAtTheEndIsWhatPythonStrips) {
  for (const char* space : {" ", "\t", "\n", "\x1c", "\x1f", "\xC2\x85", "\xC2\xA0", "\xE2\x80\x83",
                            "\xE3\x80\x80", "\xE2\x80\xA8"}) {
    EXPECT_EQ(without_trailing_space(std::string("a b") + space + space), "a b") << space;
  }
  for (const char* other : {"x", "\xE2\x80\x8B", "\xFF", "\xEF\xBB\xBF", "\x1b"}) {
    EXPECT_EQ(without_trailing_space(other), other);
  }
  EXPECT_EQ(without_trailing_space(" \n"), "");
}

TEST(MultipleChoice, TokensOfAContinuationFollowThoseOfTheContext) {
  const auto tokenizer = load_tokenizer_json(test::kTinyPhi);
  MIDGE_ASSERT_OK(tokenizer);
  const auto encode = [&](const std::string& text) {
    std::vector<int32_t> tokens;
    EXPECT_TRUE(tokenizer->encode(text, SpecialTokens::kAsText, &tokens).ok());
    return tokens;
  };
  for (const int32_t bos : {-1, 5}) {
    const auto encoded =
        encode_question(*tokenizer, asked_of("Once upon a  ", {" time", " hill,"}), bos);
    MIDGE_ASSERT_OK(encoded);
    std::vector<int32_t> context = encode("Once upon a");
    for (size_t i = 0; i < 2; ++i) {
      // The two spaces of the question and that of the continuation.
      const std::vector<int32_t> whole =
          encode(i == 0 ? "Once upon a   time" : "Once upon a   hill,");
      EXPECT_EQ(encoded->continuations[i],
                std::vector<int32_t>(whole.begin() + static_cast<std::ptrdiff_t>(context.size()),
                                     whole.end()));
    }
    if (bos >= 0) context.insert(context.begin(), bos);
    EXPECT_EQ(encoded->context, context);
  }
  const auto blank = encode_question(*tokenizer, asked_of(" \n", {" a"}), -1);
  EXPECT_EQ(blank.status().code(), StatusCode::kInvalidFile);
}

TEST(MultipleChoice, TheErrorIsThatOfTheMeanOfASample) {
  const Accuracy accuracy = accuracy_of(3, 5);
  EXPECT_EQ(accuracy.count, 5u);
  EXPECT_DOUBLE_EQ(accuracy.mean, 0.6);
  // sqrt((3 * 0.16 + 2 * 0.36) / 4) / sqrt(5)
  EXPECT_DOUBLE_EQ(accuracy.standard_error, std::sqrt(0.3) / std::sqrt(5.0));
  EXPECT_EQ(accuracy_of(2, 2).standard_error, 0);
  EXPECT_TRUE(std::isnan(accuracy_of(1, 1).standard_error));
}

// The program's report beside the plain formulas.
class EvalTasks : public ::testing::TestWithParam<const char*> {
 protected:
  // As lm-eval has it: the mean, and sqrt(sum((x - mean)^2) / (n - 1)) / sqrt(n).
  static void expect_mean(const JsonObject& report, const std::string& name,
                          const std::vector<double>& right) {
    double mean = 0;
    for (const double x : right) mean += x / static_cast<double>(right.size());
    double squares = 0;
    for (const double x : right) squares += (x - mean) * (x - mean);
    const auto n = static_cast<double>(right.size());
    EXPECT_NEAR(*report.number(name), mean, 1e-12);
    EXPECT_NEAR(*report.number(name + "_stderr"), std::sqrt(squares / (n - 1)) / std::sqrt(n),
                1e-12);
    EXPECT_EQ(*report.integer("n", 0, 1000), static_cast<int64_t>(right.size()));
  }

  // Over a step with all tokens but the last.
  double log_sum(const std::string& context, const std::string& continuation, bool* is_greedy) {
    std::vector<int32_t> first;
    std::vector<int32_t> whole;
    EXPECT_TRUE(tokenizer_->encode(context, SpecialTokens::kAsText, &first).ok());
    EXPECT_TRUE(tokenizer_->encode(context + continuation, SpecialTokens::kAsText, &whole).ok());
    EXPECT_TRUE(run_.session->truncate(0).ok());
    const std::vector<float> logits =
        test::step_logits(*run_.session, std::span(whole).first(whole.size() - 1));
    const auto vocab = static_cast<size_t>(run_.model->config().vocab_size);
    double sum = 0;
    *is_greedy = true;
    for (size_t i = first.size(); i < whole.size(); ++i) {
      const auto row = std::span(logits).subspan((i - 1) * vocab, vocab);
      double total = 0;
      for (const float logit : row) total += std::exp(static_cast<double>(logit));
      const auto token = static_cast<size_t>(whole[i]);
      sum += static_cast<float>(static_cast<double>(row[token]) - std::log(total));
      *is_greedy &= row[token] == *std::max_element(row.begin(), row.end());
    }
    return sum;
  }

  std::optional<Tokenizer> tokenizer_;
  test::Running run_;
};

TEST_P(EvalTasks, FiguresAreThoseOfPlainFormulas) {
  const bool letters = std::string(GetParam()) == "letters";
  const std::string& file = letters ? kCsv : kQuestions;
  auto tokenizer = load_tokenizer_json(test::kTinyPhi);
  MIDGE_ASSERT_OK(tokenizer);
  tokenizer_ = std::move(*tokenizer);
  test::open({.path = test::kTinyPhi, .arithmetic = Arithmetic::kPacked}, &run_);
  if (HasFatalFailure()) return;
  const auto questions = parse_task_file(file, test::read_bytes(file));
  MIDGE_ASSERT_OK(questions);

  const auto document = JsonDocument::parse(
      "report", test::in_pipe({"eval", test::kTinyPhi, "--tasks", file, "--choices", GetParam(),
                               "--json", "--no-calibration"}));
  MIDGE_ASSERT_OK(document);
  const JsonObject report = *document->root();
  EXPECT_EQ(*report.string("schema"), "midge.eval_tasks");
  EXPECT_EQ(*report.string("choices"), GetParam());
  EXPECT_EQ(*report.string("role"), "prompt");
  EXPECT_FALSE(*report.boolean("bos"));
  const simdjson::dom::array items = *report.array("items");
  ASSERT_EQ(items.size(), questions->size());

  std::vector<double> right;
  std::vector<double> right_norm;
  std::map<std::string, std::vector<double>> of_subjects;
  for (size_t i = 0; i < questions->size(); ++i) {
    const TaskQuestion& question = (*questions)[i];
    const std::string name = "item";
    const JsonObject item(items.at(i).get_object().value(), &name);
    std::string context = question.question;
    const std::string letter_names = "ABCDEFGH";
    if (letters) {
      while (context.ends_with(' ')) context.pop_back();
      for (size_t c = 0; c < question.choices.size(); ++c) {
        context += std::string("\n") + letter_names[c] + ". " + question.choices[c];
      }
      context += "\nAnswer:";
    }
    std::string space;
    while (context.ends_with(' ')) {
      context.pop_back();
      space += ' ';
    }
    std::vector<double> sums;
    std::vector<double> normed;
    for (size_t c = 0; c < question.choices.size(); ++c) {
      const std::string choice = letters ? letter_names.substr(c, 1) : question.choices[c];
      bool is_greedy = false;
      sums.push_back(log_sum(context, space + " " + choice, &is_greedy));
      normed.push_back(sums.back() / static_cast<double>(
                                         std::count_if(choice.begin(), choice.end(), [](char byte) {
                                           return (static_cast<uint8_t>(byte) & 0xC0) != 0x80;
                                         })));
      const double found = (*item.array("loglikelihoods")).at(c).get_double().value();
      // Each logarithm is rounded to f32, of a sum whose exponentials are.
      EXPECT_NEAR(found, sums.back(), 1e-5) << question.question;
      EXPECT_EQ((*item.array("is_greedy")).at(c).get_bool().value(), is_greedy);
    }
    EXPECT_EQ((*item.array("loglikelihoods")).size(), question.choices.size());
    const auto best = std::max_element(sums.begin(), sums.end()) - sums.begin();
    const auto best_norm = std::max_element(normed.begin(), normed.end()) - normed.begin();
    const auto answer = static_cast<int64_t>(question.answer);
    EXPECT_EQ(*item.integer("answer", 0, 63), answer);
    EXPECT_EQ(*item.integer("predicted", 0, 63), best);
    EXPECT_EQ(*item.integer("predicted_norm", 0, 63), best_norm);
    right.push_back(best == answer ? 1 : 0);
    right_norm.push_back(best_norm == answer ? 1 : 0);
    of_subjects[question.subject].push_back(right.back());
  }
  expect_mean(report, "acc", right);
  expect_mean(report, "acc_norm", right_norm);
  const simdjson::dom::array subjects = *report.array("subjects");
  EXPECT_EQ(subjects.size(), letters ? 0u : 4u);
  for (const simdjson::dom::element element : subjects) {
    const std::string name = "subject";
    const JsonObject subject(element.get_object().value(), &name);
    expect_mean(subject, "acc", of_subjects[std::string(*subject.string("subject"))]);
  }
}

INSTANTIATE_TEST_SUITE_P(Choices, EvalTasks, ::testing::Values("texts", "letters"),
                         [](const auto& c) { return std::string(c.param); });

TEST(EvalTasksProgram, PrintsATable) {
  const std::string table = test::in_pipe({"eval", "tiny-phi", "--tasks", kQuestions});
  EXPECT_EQ(table.find("subject       n  acc              acc_norm\n"), 0u) << table;
  EXPECT_NE(table.find("\ntales        12  0."), std::string::npos) << table;
  EXPECT_NE(table.find("\nall          40  0."), std::string::npos) << table;
  EXPECT_NE(table.find(" ± 0."), std::string::npos) << table;
  const std::string one = test::in_pipe(
      {"eval", "tiny-phi", "--tasks", "-"},
      "{\"question\": \"2 + 3 =\", \"choices\": [\"4\", \"5\", \"6\"], \"answer\": \"B\"}\n");
  EXPECT_NE(one.find("\nall       1  1.0000 ± n/a     1.0000 ± n/a\n"), std::string::npos) << one;
}

// A model's weights are floats here; encoded ones have two arithmetics.
TEST(EvalTasksProgram, TheRoleChoosesTheArithmetic) {
  const auto report = [](const char* role) {
    return test::in_pipe(
        {"eval", "tiny-phi", "--tasks", kCsv, "--json", "--weights", "q4b32", "--role", role});
  };
  const std::string prompt = report("prompt");
  const std::string generated = report("generated");
  EXPECT_NE(prompt.find("\"role\":\"prompt\""), std::string::npos) << prompt;
  EXPECT_NE(generated.find("\"role\":\"generated\""), std::string::npos) << generated;
  EXPECT_NE(prompt.substr(prompt.find("\"items\"")), generated.substr(generated.find("\"items\"")));
}

TEST(EvalTasksProgram, RefusesWhatDoesNotFit) {
  const test::TempDir dir;
  dir.write("many.jsonl",
            "{\"question\":\"q\",\"choices\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\","
            "\"g\",\"h\",\"i\",\"j\",\"k\",\"l\",\"m\",\"n\",\"o\",\"p\",\"q\",\"r\","
            "\"s\",\"t\",\"u\",\"v\",\"w\",\"x\",\"y\",\"z\",\"0\"],\"answer\":0}");
  const std::string letters = test::in_pipe(
      {"eval", "tiny-phi", "--tasks", dir.file("many.jsonl"), "--choices", "letters"});
  EXPECT_NE(letters.find("many.jsonl:1: 27 choices, expected at most 26 with --choices letters"),
            std::string::npos)
      << letters;
  test::Program program({"eval", "tiny-phi", "--tasks", kQuestions, "-c", "8"});
  EXPECT_EQ(program.exit_code(), static_cast<int>(StatusCode::kContextFull));
  EXPECT_NE(program.text().find("questions.jsonl:"), std::string::npos) << program.text();
  EXPECT_NE(program.text().find("tokens, the context holds 8; -c N makes it larger"),
            std::string::npos)
      << program.text();
}

}  // namespace
}  // namespace midge
