// Which template sources are recognised, and what is made of them.
#include <gtest/gtest.h>

#include "engine/chat/chat.h"
#include "engine/core/mapped_file.h"
#include "engine/tokenizer_files/tokenizer_json.h"
#include "test_vocabulary.h"

namespace midge {
namespace {

constexpr const char* kNames = "(known: phi3, phi4, phi4-mini, phi4-mini-reasoning, mimo, smollm2)";

std::string published(const char* name) {
  const auto text = read_small_file(
      std::string(MIDGE_TEST_DATA "/tokenizer/templates/") + name + ".jinja", 1 << 20);
  EXPECT_TRUE(text.ok()) << text.status().message();
  return text.ok() ? *text : "";
}

ChatTemplate detected(const std::string& source) {
  const auto chat = detect_chat_template(source);
  EXPECT_TRUE(chat.ok()) << chat.status().message();
  return chat.ok() ? *chat : ChatTemplate{};
}

// The message; every refusal lists the names.
std::string refusal(const std::string& source) {
  const auto chat = detect_chat_template(source);
  EXPECT_FALSE(chat.ok()) << source;
  if (chat.ok()) return "";
  EXPECT_EQ(chat.status().code(), StatusCode::kUnsupported);
  EXPECT_NE(chat.status().message().find(kNames), std::string::npos) << chat.status().message();
  return chat.status().message().substr(0, chat.status().message().find("; choose one"));
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t place = text.find(from);
  EXPECT_NE(place, std::string::npos) << from;
  return place == std::string::npos ? text : text.replace(place, from.size(), to);
}

const std::string kMini =
    R"({% for message in messages %}{% if message['role'] == 'system' and 'tools' in message and )"
    R"(message['tools'] is not none %}{{ '<|' + message['role'] + '|>' + message['content'] + )"
    R"('<|tool|>' + message['tools'] + '<|/tool|>' + '<|end|>' }}{% else %}{{ '<|' + )"
    R"(message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}{% endfor %}{% if )"
    R"(add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %})";

const std::string kMiniReasoning =
    R"({{ '<|system|>Your name is Phi, an AI math expert developed by Microsoft.' }}{% for )"
    R"(message in messages %}{% if message['role'] == 'system' %}{{ ' ' + message['content'] }})"
    R"({% endif %}{% endfor %}{{ '<|end|>' }}{% for message in messages %}{% if )"
    R"(message['role'] != 'system' %}{{ '<|' + message['role'] + '|>' + message['content'] + )"
    R"('<|end|>' }}{% endif %}{% endfor %})";

const std::string kReasoningText =
    "You are Phi, a language model trained by Microsoft to help. Use <think> {Thought} </think>:";
const std::string kReasoningTurns =
    R"({% for message in messages %}{% if (message['role'] == 'user') %}{{'<|im_start|>user)"
    R"(<|im_sep|>' + message['content'] + '<|im_end|>'}}{% elif (message['role'] == 'assistant') )"
    R"(%}{{'<|im_start|>assistant<|im_sep|>' + message['content'] + '<|im_end|>'}}{% endif %})"
    R"({% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }})"
    R"({% endif %})";

TEST(ChatDetect, PublishedTemplates) {
  const ChatTemplate mimo = detected(published("MiMo-VL"));
  EXPECT_EQ(mimo.family, ChatFamily::kChatMl);
  EXPECT_EQ(mimo.system_text, kMimoDefaultSystem);
  EXPECT_TRUE(mimo.has_tools);
  const ChatTemplate phi3 = detected(published("Phi-3.5-mini-instruct"));
  EXPECT_EQ(phi3.family, ChatFamily::kPhi3);
  EXPECT_EQ(phi3.system_rule, SystemRule::kNonEmpty);
  EXPECT_EQ(phi3.start_token, "");
  const ChatTemplate phi4 = detected(published("phi-4-first-upload"));
  EXPECT_EQ(phi4.family, ChatFamily::kPhi4);
  EXPECT_EQ(phi4.system_rule, SystemRule::kDefault);
  EXPECT_EQ(phi4.system_text, std::nullopt);
  const ChatTemplate smollm = detected(published("SmolLM2-Instruct"));
  EXPECT_EQ(smollm.family, ChatFamily::kChatMl);
  EXPECT_EQ(smollm.system_text, kSmollm2DefaultSystem);
  EXPECT_FALSE(smollm.has_tools);
}

// A change of any text, or an added filter or call, is not the family's template any more.
TEST(ChatDetect, AlteredTemplatesAreRefused) {
  const std::string mimo = published("MiMo-VL");
  EXPECT_EQ(refusal(replaced(mimo, "You are MiMo,", "You are Mike,")),
            "chat template has the unknown text 'You are Mike, an AI assistant developed by "
            "Xiaomi.'");
  EXPECT_EQ(refusal(replaced(mimo, "assist with the user query", "help")).substr(0, 43),
            "chat template has the unknown text '# Tools");
  EXPECT_EQ(refusal(replaced(mimo, "assistant\\n' }}", "assistant\\n<think>\\n' }}")),
            "chat template has the unknown text '<think>\\x0a'");
  EXPECT_EQ(refusal(replaced(mimo, "message.content }}", "message.content | trim }}")),
            "chat template uses 'trim', which is not known");
  EXPECT_EQ(refusal(replaced(mimo, "message.content }}", "message.content.strip() }}")),
            "chat template uses 'strip', which is not known");
  EXPECT_EQ(refusal(replaced(mimo, "message.content }}", "strftime_now ( ) }}")),
            "chat template uses 'strftime_now', which is not known");
  EXPECT_EQ(refusal(replaced(mimo, "{%- for", "Attention! {%- for")),
            "chat template has the unknown text '    Attention!'");
  EXPECT_EQ(refusal(replaced(mimo, "{%- for", "{{- bos_token }}{%- for")),
            "chat template writes a start token, which its family does not have");
  const std::string phi3 = published("Phi-3.5-mini-instruct");
  EXPECT_EQ(refusal(replaced(phi3, "<|user|>\n", "<|user|>")),
            "chat template has the unknown text '|>'");
  EXPECT_EQ(refusal(replaced(phi3, "<|system|>\n", "<|system|>\nBe nice. ")),
            "chat template has the unknown text 'Be nice. '");
  const std::string phi4 = published("phi-4-first-upload");
  EXPECT_EQ(refusal(replaced(phi4, "system<|im_sep|>", "system<|im_sep|>Think. ")),
            "chat template has the unknown text 'Think. '");
  // Newlines outside of the code are written too.
  EXPECT_EQ(refusal(replaced(kMini, "{{ eos_token }}", "{{ eos_token }}\n\n{{ '' }}")),
            "chat template has the unknown text '\\x0a\\x0a'");
  EXPECT_EQ(refusal(replaced(kMini, "'<|end|>' }}{% endif", "'<|end|>\\n' }}{% endif")),
            "chat template is not of a known family");
}

// What the texts do not show: tokens by name, and messages that are left out or come first.
TEST(ChatDetect, RefusesOtherTokensAndOtherMessages) {
  const std::string mimo = published("MiMo-VL");
  const std::string end = "chat template writes an end token, which its family does not have";
  EXPECT_EQ(refusal(replaced(mimo, "{%- for", "{{- eos_token }}{%- for")), end);
  EXPECT_EQ(refusal(replaced(kMini, "'<|end|>' }}{% endif %}{% endfor",
                             "'<|end|>' + eos_token }}{% endif %}{% endfor")),
            end);
  EXPECT_EQ(refusal(replaced(mimo, "{%- for", "{{- pad_token }}{%- for")),
            "chat template writes pad_token");
  EXPECT_EQ(refusal(replaced(kMini, "in messages %}", "in messages[1:] %}")),
            "chat template leaves the first message out");
  EXPECT_EQ(refusal(replaced(kMini, "{% else %}{{ '<|' +",
                             "{% elif message['role'] != 'system' %}{{ '<|' +")),
            "chat template leaves system messages out");
  const std::string turns =
      R"({% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + )"
      R"('<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }})"
      R"({% endif %})";
  const std::string own = R"('<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n')";
  EXPECT_EQ(detected(turns).family, ChatFamily::kChatMl);
  EXPECT_EQ(refusal("{{ " + own + " }}" + turns),
            "chat template has a system message of its own beside the user's");
  EXPECT_EQ(detected("{% if messages[0]['role'] != 'system' %}{{ " + own + " }}{% endif %}" + turns)
                .family,
            ChatFamily::kChatMl);
}

TEST(ChatDetect, SpellingDoesNotMatter) {
  std::string mini = kMini;
  for (char& c : mini) c = c == '\'' ? '"' : c;
  EXPECT_EQ(detected(mini).family, ChatFamily::kPhi4Mini);
  EXPECT_EQ(detected(replaced(kMini, "'|>' + message['content'] + '<|end|>'",
                              "\"|\" ~ '>'+message.content+ \"<|\" + 'end|>'"))
                .family,
            ChatFamily::kPhi4Mini);
  EXPECT_EQ(detected("{# A comment with <think>. #}\n" + kMini + "\n").family,
            ChatFamily::kPhi4Mini);
}

TEST(ChatDetect, Phi4Mini) {
  const ChatTemplate mini = detected(kMini);
  EXPECT_EQ(mini.family, ChatFamily::kPhi4Mini);
  EXPECT_TRUE(mini.has_tools);
  EXPECT_EQ(mini.system_text, std::nullopt);
  const ChatTemplate plain = detected(
      "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + "
      "'<|end|>' }}{% endfor %}");
  EXPECT_EQ(plain.family, ChatFamily::kPhi4Mini);
  EXPECT_FALSE(plain.has_tools);
  const ChatTemplate reasoning = detected(kMiniReasoning);
  EXPECT_EQ(reasoning.family, ChatFamily::kPhi4Mini);
  EXPECT_EQ(reasoning.system_rule, SystemRule::kAppended);
  EXPECT_EQ(reasoning.system_text, chat_template_from_name("phi4-mini-reasoning")->system_text);
}

// The system text of Phi-4-reasoning is taken from the template, in a literal or outside of one.
TEST(ChatDetect, Phi4Reasoning) {
  const std::string system = "<|im_start|>system<|im_sep|>" + kReasoningText + "<|im_end|>";
  for (const std::string& begin : {system, "{{ '" + system + "' }}"}) {
    const ChatTemplate chat = detected(begin + kReasoningTurns);
    EXPECT_EQ(chat.family, ChatFamily::kPhi4);
    EXPECT_EQ(chat.system_rule, SystemRule::kReplaced);
    EXPECT_EQ(chat.system_text, kReasoningText);
  }
  EXPECT_EQ(
      detected("{{ '" + replaced(system, "to help", R"(\'to\\\n help)") + "' }}" + kReasoningTurns)
          .system_text,
      replaced(kReasoningText, "to help", "'to\\\n help"));
  // Unsloth's: the same text with a system message and without.
  const std::string with =
      "{% for message in messages %}{% if messages[0]['role'] == 'system' %}{{'" + system +
      "'}}{% elif message['role'] == 'user' %}{{'<|im_start|>user<|im_sep|>' + message['content'] "
      "+ "
      "'<|im_end|>'}}{% elif message['role'] == 'assistant' %}{{'<|im_start|>assistant<|im_sep|>' "
      "+ "
      "message['content'] + '<|im_end|>'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ "
      "'<|im_start|>assistant<|im_sep|>' }}{% endif %}";
  const std::string without =
      "{% if messages|length == 0 or messages[0]['role'] != 'system' %}{{'" + system +
      "'}}{% endif %}";
  const ChatTemplate both = detected(without + with);
  EXPECT_EQ(both.family, ChatFamily::kPhi4);
  EXPECT_EQ(both.system_rule, SystemRule::kReplaced);
  EXPECT_EQ(both.system_text, kReasoningText);
  EXPECT_EQ(refusal(replaced(without, "to help", "to aid") + with),
            "chat template has a system message of its own beside the user's");
  EXPECT_EQ(refusal(system + published("phi-4-first-upload")),
            "chat template has a system message of its own beside the user's");
  EXPECT_EQ(
      refusal(replaced(system, "You are Phi", "You were Phi") + kReasoningTurns).substr(0, 49),
      "chat template has the unknown text 'You were Phi,");
  EXPECT_EQ(refusal(replaced(system, "to help", "{{ date }}") + kReasoningTurns).substr(0, 48),
            "chat template has the unknown text 'You are Phi,");
}

TEST(ChatDetect, Phi3) {
  const ChatTemplate first = detected(
      "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') %}"
      R"({{'<|user|>' + '\n' + message['content'] + '<|end|>' + '\n' + '<|assistant|>' + '\n'}})"
      "{% elif (message['role'] == 'assistant') %}{{message['content'] + '<|end|>' + '\\n'}}"
      "{% endif %}{% endfor %}");
  EXPECT_EQ(first.family, ChatFamily::kPhi3);
  EXPECT_EQ(first.start_token, "<s>");
  EXPECT_EQ(first.system_rule, SystemRule::kReplaced);
  EXPECT_EQ(first.system_text, std::nullopt);
  const std::vector<ChatMessage> messages = {{ChatRole::kSystem, "S"}, {ChatRole::kUser, "U"}};
  EXPECT_EQ(render_text(*render_chat(first, messages, GenerationPrompt::kAssistant)),
            "<s><|user|>\nU<|end|>\n<|assistant|>\n");
  for (const char* newline : {"\n", "\\n"}) {
    const ChatTemplate plain =
        detected(std::string("{% for message in messages %}{{'<|' + message['role'] + '|>") +
                 newline + "' + message['content'] + '<|end|>" + newline + "'}}{% endfor %}");
    EXPECT_EQ(plain.family, ChatFamily::kPhi3);
    EXPECT_EQ(plain.system_rule, SystemRule::kDefault);
  }
}

TEST(ChatDetect, ChatMlWithoutItsOwnText) {
  const std::string turns =
      "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>'"
      " + '\\n'}}{% endfor %}";
  EXPECT_EQ(detected(turns).system_text, std::nullopt);
  EXPECT_FALSE(detected(turns).has_tools);
  EXPECT_EQ(
      detected("{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful "
               "assistant.<|im_end|>\\n' }}{% endif %}" +
               turns)
          .system_text,
      "You are a helpful assistant.");
  EXPECT_EQ(refusal("{{ '<|im_start|>system\\nYou are someone else.<|im_end|>\\n' }}" + turns),
            "chat template has the unknown text 'You are someone else.<|im_end|>\\x0a'");
  EXPECT_EQ(refusal("{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' }}"),
            "chat template is not of a known family");
}

TEST(ChatDetect, RefusesWhatItCannotRead) {
  EXPECT_EQ(refusal(""), "chat template is missing");
  EXPECT_EQ(refusal("[INST]"), "chat template is not of a known family");
  EXPECT_EQ(refusal("{{ 'a"), "chat template has a string without end at byte 3");
  EXPECT_EQ(refusal("ab{{ x"), "chat template has a tag without end at byte 2");
  EXPECT_EQ(refusal("{# x"), "chat template has a comment without end at byte 0");
  EXPECT_EQ(refusal("{{ '\\x41' }}"), "chat template has an unknown escape at byte 4");
  EXPECT_EQ(refusal(std::string(kChatTemplateBytesMax + 1, 'x')),
            "chat template of 1048577 bytes is longer than 1048576");
}

TEST(ChatDetect, BundledModels) {
  const std::string models = MIDGE_SOURCE_DIR "/assets/models/";
  const auto phi = load_tokenizer_json(models + "tiny-phi");
  const auto mimo = load_tokenizer_json(models + "tiny-mimo");
  ASSERT_TRUE(phi.ok() && mimo.ok());
  EXPECT_EQ(detected(phi->chat_template()).family, ChatFamily::kPhi4Mini);
  EXPECT_TRUE(detected(phi->chat_template()).has_tools);
  EXPECT_EQ(detected(mimo->chat_template()).system_text, kMimoDefaultSystem);
  EXPECT_FALSE(detected(mimo->chat_template()).has_tools);
}

TEST(ChatDetect, Names) {
  EXPECT_EQ(chat_template_from_name("phi3")->family, ChatFamily::kPhi3);
  EXPECT_EQ(chat_template_from_name("phi4")->family, ChatFamily::kPhi4);
  EXPECT_EQ(chat_template_from_name("mimo")->family, ChatFamily::kChatMl);
  EXPECT_EQ(chat_template_from_name("smollm2")->system_text, kSmollm2DefaultSystem);
  EXPECT_FALSE(chat_template_from_name("smollm2")->has_tools);
  const Status status = chat_template_from_name("llama").status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_EQ(status.message(), std::string("chat template 'llama' is not known ") + kNames);
}

}  // namespace
}  // namespace midge
