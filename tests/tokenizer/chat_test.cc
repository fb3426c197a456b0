#include "engine/chat/chat.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "engine/chat/chat_json.h"
#include "engine/chat/template_json.h"
#include "engine/core/mapped_file.h"
#include "engine/formats/gguf/gguf.h"
#include "engine/formats/json.h"
#include "engine/tokenizer_files/tokenizer_gguf.h"
#include "engine/tokenizer_files/tokenizer_json.h"
#include "test_vocabulary.h"
#include "tests/harness/real_model.h"

namespace midge {
namespace {

using Ids = std::vector<int32_t>;
using Messages = std::vector<ChatMessage>;

struct Conversation {
  Messages messages;
  std::vector<ChatTool> tools;
  GenerationPrompt prompt = GenerationPrompt::kNone;
  std::string text;
  Ids ids;  // empty: contents have added tokens in them
};

// The conversations of a family, as tools/vocab/make_chat_goldens.py rendered them.
std::vector<Conversation> goldens(std::string_view family) {
  std::vector<Conversation> conversations;
  const auto document = JsonDocument::load(MIDGE_TEST_DATA "/tokenizer/chat.json", 1 << 24);
  EXPECT_TRUE(document.ok()) << document.status().message();
  if (!document.ok()) return conversations;
  const auto entries = document->root()->array(family);
  EXPECT_TRUE(entries.ok());
  for (const simdjson::dom::element entry : *entries) {
    Conversation& conversation = conversations.emplace_back();
    auto messages = parse_chat_messages("golden", template_json(entry["messages"].value()));
    EXPECT_TRUE(messages.ok()) << messages.status().message();
    conversation.messages = std::move(*messages);
    simdjson::dom::element tools;
    if (entry["tools"].get(tools) == simdjson::SUCCESS) {
      auto parsed = parse_chat_tools("golden", template_json(tools));
      EXPECT_TRUE(parsed.ok()) << parsed.status().message();
      conversation.tools = std::move(*parsed);
    }
    conversation.prompt = entry["generate"].get_bool().value() ? GenerationPrompt::kAssistant
                                                               : GenerationPrompt::kNone;
    conversation.text = entry["text"].get_string().value();
    simdjson::dom::array ids;
    if (entry["ids"].get_array().get(ids) != simdjson::SUCCESS) continue;
    for (const simdjson::dom::element id : ids) {
      conversation.ids.push_back(static_cast<int32_t>(id.get_int64().value()));
    }
  }
  EXPECT_GE(conversations.size(), 30U);
  return conversations;
}

ChatTemplate named(std::string_view name) {
  if (name == "phi4-reasoning") {
    // Has no name: its system text is in the models' files only. This is the goldens' own.
    return {ChatFamily::kPhi4, SystemRule::kReplaced,
            "You are Phi, a language model trained by Microsoft to help users. Answer as <think> "
            "{Thought section} </think> {Solution section}. Now, begin:"};
  }
  const auto chat = chat_template_from_name(name);
  EXPECT_TRUE(chat.ok()) << chat.status().message();
  return *chat;
}

std::string text_of(const ChatTemplate& chat, const Messages& messages,
                    GenerationPrompt prompt = GenerationPrompt::kAssistant,
                    const std::vector<ChatTool>& tools = {}) {
  const auto parts = render_chat(chat, messages, prompt, tools);
  EXPECT_TRUE(parts.ok()) << parts.status().message();
  return parts.ok() ? render_text(*parts) : "";
}

Ids ids_of_parts(const Tokenizer& tokenizer, const Result<std::vector<PromptPart>>& parts) {
  Ids ids;
  EXPECT_TRUE(parts.ok()) << parts.status().message();
  const Status status = tokenizer.encode_parts(*parts, &ids);
  EXPECT_TRUE(status.ok()) << status.message();
  return ids;
}

// Every conversation of a family, as parts of which the tokenizer makes ids.
void compare_ids(const char* name, const Tokenizer& tokenizer) {
  int compared = 0;
  for (const Conversation& conversation : goldens(name)) {
    const auto parts =
        render_chat(named(name), conversation.messages, conversation.prompt, conversation.tools);
    const Ids ids = ids_of_parts(tokenizer, parts);
    const auto added_in = [&](const Ids& list) {
      return std::count_if(list.begin(), list.end(), [&](int32_t id) {
        return tokenizer.token_kind(id) != TokenKind::kNormal;
      });
    };
    // Added tokens come from the template alone, whatever the contents say.
    const auto token_parts =
        std::count_if(parts->begin(), parts->end(), [&](const PromptPart& part) {
          return part.is_token && tokenizer.find_added(part.text) != nullptr;
        });
    EXPECT_EQ(added_in(ids), token_parts) << conversation.text;
    if (conversation.ids.empty()) continue;
    EXPECT_EQ(ids, conversation.ids) << conversation.text;
    ++compared;
  }
  EXPECT_GE(compared, 30);
}

// A family with a tokenizer that has its added tokens.
struct Family {
  const char* name;
  std::string directory;
};

std::vector<Family> families() {
  return {{"phi4", vocabulary_directory("phi-4")},
          {"phi4-reasoning", vocabulary_directory("phi-4")},
          {"phi4-mini", MIDGE_SOURCE_DIR "/assets/models/tiny-phi"},
          {"phi4-mini-reasoning", MIDGE_SOURCE_DIR "/assets/models/tiny-phi"},
          {"mimo", MIDGE_SOURCE_DIR "/assets/models/tiny-mimo"}};
}

TEST(Chat, RendersTheTextOfTheTemplates) {
  for (const char* name :
       {"phi3", "phi4", "phi4-reasoning", "phi4-mini", "phi4-mini-reasoning", "mimo", "smollm2"}) {
    for (const Conversation& conversation : goldens(name)) {
      EXPECT_EQ(
          text_of(named(name), conversation.messages, conversation.prompt, conversation.tools),
          conversation.text)
          << name;
    }
  }
}

// Phi-4-mini-reasoning: what its published template, which goes over the messages twice, makes of
// these (jinja2 on kMiniReasoning of chat_detect_test.cc).
TEST(Chat, AppendsEverySystemMessageToTheFirstTurn) {
  const ChatTemplate chat = named("phi4-mini-reasoning");
  const std::string head = "<|system|>Your name is Phi, an AI math expert developed by Microsoft.";
  EXPECT_EQ(text_of(chat, {{ChatRole::kUser, "U"}, {ChatRole::kSystem, "S"}},
                    GenerationPrompt::kAssistant, {}),
            head + " S<|end|><|user|>U<|end|><|assistant|>");
  EXPECT_EQ(
      text_of(chat, {{ChatRole::kSystem, "A"}, {ChatRole::kSystem, "B"}, {ChatRole::kUser, "U"}},
              GenerationPrompt::kAssistant, {}),
      head + " A B<|end|><|user|>U<|end|><|assistant|>");
  const Messages late = {{ChatRole::kSystem, "S"}};
  EXPECT_EQ(render_chat_continuation(chat, TurnEnd::kMissing, late).status().code(),
            StatusCode::kUnsupported);
}

TEST(Chat, RendersTheIdsOfHuggingFace) {
  for (const Family& family : families()) {
    if (!is_directory(family.directory)) GTEST_SKIP() << family.directory << " " << kHowToFetch;
    const auto tokenizer = load_tokenizer_json(family.directory);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    compare_ids(family.name, *tokenizer);
  }
}

TEST(Chat, RendersTheIdsOfHuggingFaceForTheRealModel) {
  if (!test::has_real_model()) {
    GTEST_SKIP() << test::real_model_path() << " " << test::kHowToFetchModel;
  }
  const auto file = GgufFile::open(test::real_model_path());
  ASSERT_TRUE(file.ok()) << file.status().message();
  const auto tokenizer = load_tokenizer_gguf(*file);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  const auto chat = detect_chat_template(tokenizer->chat_template());
  ASSERT_TRUE(chat.ok()) << chat.status().message();
  EXPECT_EQ(chat->system_text, kSmollm2DefaultSystem);
  compare_ids("smollm2", *tokenizer);
}

// What a chat appends turn by turn is what rendering the whole conversation at once gives.
TEST(Chat, ContinuationsAddUpToTheWholeConversation) {
  const Messages whole = {{ChatRole::kSystem, "Be brief."},    {ChatRole::kUser, "Hello, who?"},
                          {ChatRole::kAssistant, "A helper."}, {ChatRole::kUser, "\nWhy? "},
                          {ChatRole::kAssistant, ""},          {ChatRole::kUser, "Bye"}};
  for (const Family& family : families()) {
    if (!is_directory(family.directory)) GTEST_SKIP() << family.directory << " " << kHowToFetch;
    const auto tokenizer = load_tokenizer_json(family.directory);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    for (const TurnEnd end : {TurnEnd::kMissing, TurnEnd::kIncluded}) {
      for (const bool with_system : {true, false}) {
        const ChatTemplate chat = named(family.name);
        const Messages messages(whole.begin() + (with_system ? 0 : 1), whole.end());
        const size_t first_user = with_system ? 1 : 0;
        const std::span<const ChatMessage> all = messages;
        Ids cache = ids_of_parts(
            *tokenizer, render_chat(chat, all.first(first_user + 1), GenerationPrompt::kAssistant));
        for (size_t user = first_user + 2; user < messages.size(); user += 2) {
          const Ids answer = ids_of(*tokenizer, messages[user - 1].content, SpecialTokens::kAsText);
          cache.insert(cache.end(), answer.begin(), answer.end());
          if (end == TurnEnd::kIncluded) {
            cache.push_back(
                tokenizer->id_of(chat.family == ChatFamily::kPhi4Mini ? "<|end|>" : "<|im_end|>"));
          }
          const Ids next =
              ids_of_parts(*tokenizer, render_chat_continuation(chat, end, all.subspan(user, 1)));
          cache.insert(cache.end(), next.begin(), next.end());
          EXPECT_EQ(cache, ids_of_parts(*tokenizer, render_chat(chat, all.first(user + 1),
                                                                GenerationPrompt::kAssistant)))
              << family.name;
        }
      }
    }
  }
}

TEST(Chat, SystemTurnOfMimo) {
  const ChatTemplate chat = named("mimo");
  EXPECT_EQ(text_of(chat, {{ChatRole::kUser, "Hi"}}),
            "<|im_start|>system\nYou are MiMo, an AI assistant developed by Xiaomi.<|im_end|>\n"
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(text_of(chat, {{ChatRole::kSystem, ""}, {ChatRole::kUser, "Hi"}}),
            "<|im_start|>system\n<|im_end|>\n"
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

// A tool's result continues a conversation like a message of the user.
TEST(Chat, ContinuesWithResultsOfTools) {
  const Messages whole = {{ChatRole::kUser, "Add."},
                          {ChatRole::kAssistant, "", {{"add", "{\"a\": 1}"}, {"add", "{}"}}},
                          {ChatRole::kTool, "1"},
                          {ChatRole::kTool, "2"}};
  const std::span<const ChatMessage> all = whole;
  for (const char* name : {"phi4-mini", "mimo"}) {
    const ChatTemplate chat = named(name);
    const std::string answered = text_of(chat, {whole[0], whole[1]}, GenerationPrompt::kNone);
    const auto next = render_chat_continuation(chat, TurnEnd::kIncluded, all.subspan(2));
    ASSERT_TRUE(next.ok()) << next.status().message();
    // Up to the end token of the calls' turn, which every rendering has.
    const std::string end = name == std::string("mimo") ? "<|im_end|>" : "<|end|>";
    const std::string begin = answered.substr(0, answered.rfind(end) + end.size());
    EXPECT_EQ(begin + render_text(*next), text_of(chat, whole));
  }
}

TEST(Chat, ToolsOfPhi4Mini) {
  const std::vector<ChatTool> tools = {{"", "{\"name\": \"f\"}"}};
  EXPECT_EQ(text_of(named("phi4-mini"),
                    {{ChatRole::kUser, "Hi"},
                     {ChatRole::kAssistant, "", {{"a\"b", "{}"}}},
                     {ChatRole::kTool, "1"},
                     {ChatRole::kToolResponse, "2"}},
                    GenerationPrompt::kAssistant, tools),
            "<|system|><|tool|>[{\"name\": \"f\"}]<|/tool|><|end|><|user|>Hi<|end|><|assistant|>"
            "<|tool_call|>[{\"name\": \"a\\\"b\", \"arguments\": {}}]<|/tool_call|><|end|>"
            "<|tool|>1<|end|><|tool_response|>2<|end|><|assistant|>");
}

TEST(Chat, RefusesToolsWhereThereIsNoPlaceForThem) {
  const ChatMessage user = {ChatRole::kUser, "Hi"};
  const auto refusal = [](const ChatTemplate& chat, const Messages& messages,
                          const std::vector<ChatTool>& tools = {}) {
    return render_chat(chat, messages, GenerationPrompt::kAssistant, tools).status().message();
  };
  for (const char* name : {"phi3", "phi4", "phi4-reasoning"}) {
    EXPECT_EQ(refusal(named(name), {user}, {{"{}", "{}"}}),
              "the chat template has no tools; 1 are given");
    EXPECT_EQ(refusal(named(name), {user, {ChatRole::kTool, "1"}}),
              "the chat template has no tools; found a message of role 'tool'");
    EXPECT_EQ(
        refusal(named(name), {user, {ChatRole::kAssistant, "", {{"f", "{}"}}}}),
        "the chat template has no tools; found a message of role 'assistant' with tool calls");
  }
  EXPECT_EQ(refusal(named("mimo"), {user, {ChatRole::kToolResponse, "1"}}),
            "the chat template has no role 'tool_response', expected 'tool'");
  EXPECT_EQ(refusal(named("mimo"), {{ChatRole::kUser, "Hi", {{"f", "{}"}}}}),
            "a message of role 'user' has tool calls, expected role 'assistant'");
}

// Tags in the template's own text are tokens where the vocabulary has them, and text elsewhere.
TEST(Chat, OwnTagsAreTokensWhereTheyExist) {
  SmallJson json;
  json.added = R"({"id":300,"content":"<|im_start|>","special":true},)"
               R"({"id":301,"content":"<|im_sep|>","special":true},)"
               R"({"id":302,"content":"<|im_end|>","special":true},)"
               R"({"id":303,"content":"<think>","special":false})";
  const auto tokenizer = parse_small(json);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  const ChatTemplate chat = {ChatFamily::kPhi4, SystemRule::kReplaced, "a<think></think>"};
  const Messages messages = {{ChatRole::kUser, "<think>"}};
  const Ids ids =
      ids_of_parts(*tokenizer, render_chat(chat, messages, GenerationPrompt::kAssistant));
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 303), 1);
  const auto text = tokenizer->decode(ids);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text,
            "<|im_start|>system<|im_sep|>a<think></think><|im_end|>"
            "<|im_start|>user<|im_sep|><think><|im_end|><|im_start|>assistant<|im_sep|>");
}

TEST(Chat, NeedsMessages) {
  for (const char* name : {"phi3", "phi4", "phi4-mini", "mimo"}) {
    EXPECT_EQ(render_chat(named(name), {}, GenerationPrompt::kAssistant).status().code(),
              StatusCode::kInvalidArgument);
    EXPECT_EQ(render_chat_continuation(named(name), TurnEnd::kMissing, {}).status().code(),
              StatusCode::kInvalidArgument);
  }
}

TEST(Chat, NamesTheAddedTokenThatIsMissing) {
  const auto tokenizer = parse_small();
  ASSERT_TRUE(tokenizer.ok());
  Ids ids;
  const Messages messages = {{ChatRole::kUser, "Hi"}};
  const auto parts = render_chat(named("phi4"), messages, GenerationPrompt::kAssistant);
  EXPECT_EQ(tokenizer->encode_parts(*parts, &ids).message(),
            "the vocabulary has no added token '<|im_start|>'");
  EXPECT_TRUE(ids.empty());
}

TEST(StopIds, AreTheUnionOfWhatFilesSayAndEndTokens) {
  SmallJson json;
  json.added = R"({"id":300,"content":"<|end|>","special":true},)"
               R"({"id":301,"content":"<|endoftext|>","special":true},)"
               R"({"id":302,"content":"<other>","special":true})";
  const auto tokenizer = parse_small(json, R"({"eos_token":"<other>"})");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(*stop_ids(*tokenizer, {}), (Ids{300, 301, 302}));
  EXPECT_EQ(*stop_ids(*tokenizer, Ids{97, 300}), (Ids{97, 300, 301, 302}));
  EXPECT_EQ(stop_ids(*tokenizer, Ids{303}).status().code(), StatusCode::kOutOfRange);
  EXPECT_EQ(stop_ids(*tokenizer, Ids{-1}).status().code(), StatusCode::kOutOfRange);
}

TEST(StopIds, EndIsInnerWhereReturnAndCallExist) {
  SmallJson json;
  json.added = R"({"id":300,"content":"<|end|>","special":true},)"
               R"({"id":301,"content":"<|return|>","special":true},)"
               R"({"id":302,"content":"<|call|>","special":true},)"
               R"({"id":303,"content":"<|im_end|>","special":true})";
  const auto tokenizer = parse_small(json);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(*stop_ids(*tokenizer, {}), (Ids{303}));
}

}  // namespace
}  // namespace midge
