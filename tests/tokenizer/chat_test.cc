#include "engine/tokenizer/chat.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "engine/core/mapped_file.h"
#include "engine/formats/json.h"
#include "engine/tokenizer/tokenizer_json.h"
#include "test_vocabulary.h"

namespace midge {
namespace {

using Ids = std::vector<int32_t>;
using Messages = std::vector<ChatMessage>;

struct Conversation {
  Messages messages;
  GenerationPrompt prompt = GenerationPrompt::kNone;
  std::string text;
  Ids ids;  // empty: contents have added tokens in them
};

ChatRole role_of(std::string_view name) {
  if (name == "system") return ChatRole::kSystem;
  return name == "user" ? ChatRole::kUser : ChatRole::kAssistant;
}

// The conversations of a family that tools/vocab/make_chat_goldens.py rendered with jinja2.
std::vector<Conversation> goldens(std::string_view family) {
  std::vector<Conversation> conversations;
  const auto document = JsonDocument::load(MIDGE_TEST_DATA "/tokenizer/chat.json", 1 << 24);
  EXPECT_TRUE(document.ok()) << document.status().message();
  if (!document.ok()) return conversations;
  const auto entries = document->root()->array(family);
  EXPECT_TRUE(entries.ok());
  for (const simdjson::dom::element entry : *entries) {
    Conversation& conversation = conversations.emplace_back();
    for (const simdjson::dom::element message : entry["messages"].get_array()) {
      conversation.messages.push_back({role_of(message.at(0).get_string().value()),
                                       std::string(message.at(1).get_string().value())});
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
  const auto chat = chat_template_from_name(name);
  EXPECT_TRUE(chat.ok()) << chat.status().message();
  return *chat;
}

std::string text_of(const ChatTemplate& chat, const Messages& messages,
                    GenerationPrompt prompt = GenerationPrompt::kAssistant) {
  const auto parts = render_chat(chat, messages, prompt);
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

// A family with a tokenizer that has its added tokens.
struct Family {
  const char* name;
  std::string directory;
};

std::vector<Family> families() {
  return {{"phi4", vocabulary_directory("phi-4")},
          {"phi4-mini", MIDGE_SOURCE_DIR "/assets/models/tiny-phi"},
          {"mimo", MIDGE_SOURCE_DIR "/assets/models/tiny-mimo"}};
}

TEST(Chat, RendersTheTextOfTheTemplates) {
  for (const char* name : {"phi4", "phi4-mini", "mimo"}) {
    for (const Conversation& conversation : goldens(name)) {
      EXPECT_EQ(text_of(named(name), conversation.messages, conversation.prompt),
                conversation.text);
    }
  }
}

TEST(Chat, RendersTheIdsOfHuggingFace) {
  for (const Family& family : families()) {
    if (!is_directory(family.directory)) GTEST_SKIP() << family.directory << " " << kHowToFetch;
    const auto tokenizer = load_tokenizer_json(family.directory);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    int compared = 0;
    for (const Conversation& conversation : goldens(family.name)) {
      const auto parts =
          render_chat(named(family.name), conversation.messages, conversation.prompt);
      const Ids ids = ids_of_parts(*tokenizer, parts);
      const auto added_in = [&](const Ids& list) {
        return std::count_if(list.begin(), list.end(), [&](int32_t id) {
          return tokenizer->token_kind(id) != TokenKind::kNormal;
        });
      };
      // Added tokens come from the template alone, whatever the contents say.
      const auto token_parts = std::count_if(parts->begin(), parts->end(),
                                             [](const PromptPart& part) { return part.is_token; });
      EXPECT_EQ(added_in(ids), token_parts) << conversation.text;
      if (conversation.ids.empty()) continue;
      EXPECT_EQ(ids, conversation.ids) << conversation.text;
      ++compared;
    }
    EXPECT_GE(compared, 30);
  }
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

TEST(Chat, NeedsMessages) {
  for (const char* name : {"phi4", "phi4-mini", "mimo"}) {
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

TEST(ChatTemplate, DetectsFamilies) {
  const auto phi4 = detect_chat_template(
      "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '<|im_sep|>' + m['content'] + "
      "'<|im_end|>' }}{% endfor %}");
  ASSERT_TRUE(phi4.ok()) << phi4.status().message();
  EXPECT_EQ(phi4->family, ChatFamily::kPhi4);
  const auto mini = detect_chat_template(
      R"({% for message in messages %}{{ "<|" + message['role'] + "|>" + message['content'] + )"
      R"("<|end|>" }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %})");
  ASSERT_TRUE(mini.ok()) << mini.status().message();
  EXPECT_EQ(mini->family, ChatFamily::kPhi4Mini);
  const auto mimo = detect_chat_template(
      "{{- '<|im_start|>system\\nYou are MiMo, an AI assistant developed by Xiaomi.<|im_end|>\\n' "
      "}}{{ '<|im_start|>' + message.role + '\\n' }}");
  ASSERT_TRUE(mimo.ok()) << mimo.status().message();
  EXPECT_EQ(mimo->family, ChatFamily::kChatMl);
  EXPECT_EQ(mimo->default_system, kMimoDefaultSystem);
  const auto plain = detect_chat_template(
      "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + "
      "'\n'}}{% endfor %}");
  ASSERT_TRUE(plain.ok()) << plain.status().message();
  EXPECT_EQ(plain->default_system, std::nullopt);
}

TEST(ChatTemplate, RefusesWhatItDoesNotKnow) {
  const std::string phi3 =
      "{% for message in messages %}{{'<|' + message['role'] + '|>\n' + message['content'] + "
      "'<|end|>\n'}}{% endfor %}";
  const std::string phi3_escaped =
      "{% for message in messages %}{{'<|' + message['role'] + '|>' + '\\n' + message['content'] + "
      "'<|end|>\\n'}}{% endfor %}";
  const std::string other_default =
      "<|im_start|>system\nYou are someone else.<|im_end|>\n{{ '<|im_start|>' }}";
  const std::string reasoning =
      "<|im_start|>system<|im_sep|>You are Phi, a language model trained by Microsoft to help "
      "users.<|im_end|>";
  for (const std::string& source :
       {std::string(), std::string("[INST]"), phi3, phi3_escaped, other_default, reasoning}) {
    const auto chat = detect_chat_template(source);
    ASSERT_FALSE(chat.ok()) << source;
    EXPECT_EQ(chat.status().code(), StatusCode::kUnsupported);
    EXPECT_NE(chat.status().message().find("phi4, phi4-mini, mimo"), std::string::npos);
  }
  EXPECT_FALSE(chat_template_from_name("phi3").ok());
}

TEST(ChatTemplate, DetectsTheBundledModels) {
  const std::string models = MIDGE_SOURCE_DIR "/assets/models/";
  const auto phi = load_tokenizer_json(models + "tiny-phi");
  const auto mimo = load_tokenizer_json(models + "tiny-mimo");
  ASSERT_TRUE(phi.ok() && mimo.ok());
  EXPECT_EQ(detect_chat_template(phi->chat_template())->family, ChatFamily::kPhi4Mini);
  EXPECT_EQ(detect_chat_template(mimo->chat_template())->default_system, kMimoDefaultSystem);
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
