#include "server/openai/request.h"

#include <gtest/gtest.h>

#include <string>

namespace midge::test {
namespace {

std::string chat_with(const std::string& members) {
  return R"({"messages":[{"role":"user","content":"hi"}])" +
         std::string(members.empty() ? "" : ",") + members + "}";
}

// The field that is blamed; "" if the request is taken, "?" if no field is.
std::string blamed(const std::string& body) {
  ChatRequest request;
  Refusal refusal;
  if (read_chat_request(body, &request, &refusal)) return "";
  EXPECT_EQ(refusal.status, 400);
  EXPECT_FALSE(refusal.message.empty());
  return refusal.param.empty() ? "?" : refusal.param;
}
std::string blamed_completion(const std::string& body) {
  CompletionRequest request;
  Refusal refusal;
  if (read_completion_request(body, &request, &refusal)) return "";
  return refusal.param.empty() ? "?" : refusal.param;
}

TEST(ChatRequest, ReadsEveryField) {
  ChatRequest request;
  Refusal refusal;
  ASSERT_TRUE(read_chat_request(
      chat_with(R"("model":"m","stream":true,"stream_options":{"include_usage":true},"n":2,
        "stop":["a","b"],"seed":-5,"max_tokens":9,"temperature":0.5,"top_p":0.9,"top_k":40,
        "min_p":0.1,"presence_penalty":1,"frequency_penalty":-1,"repetition_penalty":1.1,
        "logit_bias":{"5":-100},"logprobs":true,"top_logprobs":3,"user":"u")"),
      &request, &refusal))
      << refusal.message;
  EXPECT_EQ(request.model, "m");
  EXPECT_TRUE(request.stream);
  EXPECT_TRUE(request.include_usage);
  EXPECT_EQ(request.n, 2);
  EXPECT_EQ(request.stops, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(request.seed, static_cast<uint64_t>(-5));
  EXPECT_EQ(request.tokens_max, 9);
  EXPECT_FLOAT_EQ(request.temperature, 0.5f);
  EXPECT_FLOAT_EQ(request.top_p, 0.9f);
  EXPECT_EQ(request.top_k, 40);
  EXPECT_FLOAT_EQ(request.min_p, 0.1f);
  EXPECT_FLOAT_EQ(request.frequency_penalty, -1);
  ASSERT_EQ(request.logit_bias.size(), 1u);
  EXPECT_EQ(request.logit_bias[0].token, 5);
  EXPECT_EQ(request.top_logprobs, 3);
}

TEST(ChatRequest, TheNewerNameOfTheLimitWins) {
  ChatRequest request;
  Refusal refusal;
  ASSERT_TRUE(read_chat_request(chat_with(R"("max_tokens":9,"max_completion_tokens":4)"), &request,
                                &refusal));
  EXPECT_EQ(request.tokens_max, 4);
  ChatRequest without;
  ASSERT_TRUE(read_chat_request(chat_with(""), &without, &refusal));
  EXPECT_EQ(without.tokens_max, -1);
}

// A field that is not supported is named, never ignored.
TEST(ChatRequest, UnknownFieldsAreNamed) {
  for (const char* field : {"functions", "function_call", "audio", "prediction", "reasoning_effort",
                            "web_search_options", "verbosity", "max_token", "grammar", "lora"}) {
    EXPECT_EQ(blamed(chat_with(std::string("\"") + field + "\":1")), field);
    EXPECT_EQ(blamed(chat_with(std::string("\"") + field + "\":null")), "") << field;
  }
  EXPECT_EQ(blamed(chat_with(R"("stream":true,"stream_options":{"x":1})")), "stream_options.x");
  EXPECT_EQ(blamed(R"({"messages":[{"role":"user","content":"a","mood":"b"}]})"),
            "messages[0].mood");
}

// Each field with each type that it does not have.
TEST(ChatRequest, WrongTypesAreNamed) {
  struct Field {
    const char* name;
    const char* types;  // that it takes: of s n i b a o
  };
  constexpr Field kFields[] = {{"model", "s"},
                               {"stream", "b"},
                               {"n", "i"},
                               {"stop", "sa"},
                               {"seed", "i"},
                               {"max_tokens", "i"},
                               {"temperature", "in"},
                               {"top_p", "in"},
                               {"top_k", "i"},
                               {"min_p", "in"},
                               {"logit_bias", "o"},
                               {"logprobs", "b"},
                               {"tools", "a"},
                               {"response_format", "o"},
                               {"messages", "a"},
                               {"max_completion_tokens", "i"},
                               {"presence_penalty", "in"},
                               {"frequency_penalty", "in"}};
  const std::pair<char, const char*> kValues[] = {{'s', "\"x\""}, {'n', "0.5"}, {'i', "1"},
                                                  {'b', "true"},  {'a', "[1]"}, {'o', "{\"x\":1}"}};
  for (const Field& field : kFields) {
    for (const auto& [type, value] : kValues) {
      if (std::string(field.types).find(type) != std::string::npos) continue;
      const bool is_messages = std::string(field.name) == "messages";
      const std::string member = std::string("\"") + field.name + "\":" + value;
      const std::string body = is_messages ? "{" + member + "}" : chat_with(member);
      EXPECT_EQ(blamed(body), field.name) << body;
    }
  }
}

TEST(ChatRequest, NumbersAreInTheirRanges) {
  for (const char* member :
       {R"("n":0)", R"("n":-1)", R"("n":129)", R"("max_tokens":0)", R"("max_tokens":-5)",
        R"("max_tokens":2147483648)", R"("max_tokens":1e30)", R"("max_tokens":1.5)",
        R"("temperature":-0.1)", R"("temperature":1e300)", R"("top_p":1.1)", R"("top_k":-2)",
        R"("presence_penalty":3)", R"("top_logprobs":21,"logprobs":true)",
        R"("logit_bias":{"-1":1})", R"("logit_bias":{"x":1})", R"("logit_bias":{"1":101})",
        R"("seed":9223372036854775808)"}) {
    EXPECT_NE(blamed(chat_with(member)), "") << member;
  }
  EXPECT_EQ(blamed(chat_with(R"("max_tokens":2147483647)")), "");
  EXPECT_EQ(blamed(chat_with(R"("n":1.0)")), "");
  EXPECT_EQ(blamed(chat_with(R"("top_k":-1)")), "");
}

TEST(ChatRequest, BodiesAreObjects) {
  for (const char* body : {"", "{", "[]", "1", "\"x\"", "null", "{}", "{\"messages\":[]}",
                           "{\"messages\":[{}]}", "{\"messages\":[1]}", "\xff",
                           "{\"messages\":[{\"role\":\"user\",\"content\":\"\\ud800\"}]}"}) {
    EXPECT_NE(blamed(body), "") << body;
  }
  EXPECT_EQ(blamed(std::string(70, '[')), "?");
  EXPECT_EQ(blamed(R"({"messages":[],"messages":[]})"), "?");
}

TEST(ChatRequest, MessagesBecomeTheTemplatesOwn) {
  ChatRequest request;
  Refusal refusal;
  ASSERT_TRUE(read_chat_request(
      R"({"messages":[{"role":"developer","content":"be short"},
        {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function",
          "function":{"name":"f","arguments":"{\"x\": 1}"}}]},
        {"role":"tool","tool_call_id":"c","content":"9"}]})",
      &request, &refusal))
      << refusal.message;
  EXPECT_EQ(request.messages_json,
            R"([{"role":"system","content":"be short"},{"role":"user","content":"ab"},)"
            R"({"role":"assistant","tool_calls":[{"name":"f","arguments":{"x": 1}}]},)"
            R"({"role":"tool","content":"9"}])");
}

TEST(ChatRequest, WhatAMessageCannotHoldIsNamed) {
  const auto message = [](const std::string& text) { return "{\"messages\":[" + text + "]}"; };
  EXPECT_EQ(blamed(message(R"({"role":"function","content":"x"})")), "messages[0].role");
  EXPECT_EQ(blamed(message(R"({"role":"user"})")), "messages[0].content");
  EXPECT_EQ(blamed(message(R"({"role":"user","content":5})")), "messages[0].content");
  EXPECT_EQ(blamed(message(R"({"role":"user","content":[{"type":"image_url","image_url":{"url":
      "file:///etc/passwd"}}]})")),
            "messages[0].content[0].type");
  EXPECT_EQ(blamed(message(R"({"role":"assistant","tool_calls":[{"type":"function","function":
      {"name":"f","arguments":"{"}}]})")),
            "messages[0].tool_calls[0].function.arguments");
  EXPECT_EQ(blamed(message(R"({"role":"user","content":"x","tool_calls":[1]})")),
            "messages[0].tool_calls");
}

TEST(ChatRequest, ToolsAndTheirChoice) {
  const std::string tool =
      R"("tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}])";
  ChatRequest request;
  Refusal refusal;
  ASSERT_TRUE(read_chat_request(chat_with(tool), &request, &refusal)) << refusal.message;
  EXPECT_TRUE(request.may_call);
  EXPECT_EQ(request.rule.kind, TextRule::Kind::kAny);
  ChatRequest none;
  ASSERT_TRUE(read_chat_request(chat_with(tool + R"(,"tool_choice":"none")"), &none, &refusal));
  EXPECT_TRUE(none.tools_json.empty());
  ChatRequest named;
  ASSERT_TRUE(read_chat_request(
      chat_with(tool + R"(,"tool_choice":{"type":"function","function":{"name":"f"}})"), &named,
      &refusal));
  EXPECT_EQ(named.rule.kind, TextRule::Kind::kToolCalls);
  EXPECT_TRUE(named.rule.is_one_call);
  EXPECT_EQ(blamed(chat_with(R"("tool_choice":"auto")")), "tool_choice");
  EXPECT_EQ(blamed(chat_with(tool + R"(,"tool_choice":"maybe")")), "tool_choice");
  EXPECT_EQ(
      blamed(chat_with(tool + R"(,"tool_choice":{"type":"function","function":{"name":"g"}})")),
      "tool_choice");
  EXPECT_EQ(blamed(chat_with(R"("tools":[{"type":"function","function":{"name":"a b"}}])")),
            "tools[0].function.name");
  ChatRequest one;
  ASSERT_TRUE(
      read_chat_request(chat_with(tool + R"(,"parallel_tool_calls":false)"), &one, &refusal));
  EXPECT_TRUE(one.is_one_call);
}

// As OpenAI defines it: a function without parameters has an empty list of them.
TEST(ChatRequest, FunctionsWithoutParameters) {
  ChatRequest request;
  Refusal refusal;
  ASSERT_TRUE(read_chat_request(
      chat_with(
          R"("tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required")"),
      &request, &refusal))
      << refusal.message;
  ASSERT_EQ(request.rule.functions.size(), 1u);
  EXPECT_EQ(request.rule.functions.front().second,
            R"({"type":"object","properties":{},"additionalProperties":false})");
}

// An answer that may not end goes on behind what its rule allows.
TEST(ChatRequest, RulesNeedAnEnd) {
  const std::string endless = R"("ignore_eos":true)";
  const std::string tool = R"(,"tools":[{"type":"function","function":{"name":"f"}}])";
  ChatRequest request;
  Refusal refusal;
  EXPECT_TRUE(read_chat_request(chat_with(endless), &request, &refusal)) << refusal.message;
  EXPECT_TRUE(read_chat_request(chat_with(endless + tool), &request, &refusal)) << refusal.message;
  EXPECT_EQ(blamed(chat_with(endless + R"(,"response_format":{"type":"json_object"})")),
            "ignore_eos");
  EXPECT_EQ(blamed(chat_with(endless + tool + R"(,"tool_choice":"required")")), "ignore_eos");
}

TEST(CompletionRequest, PromptsHaveFourForms) {
  for (const auto& [prompt, count] : {std::pair("\"a\"", 1u), std::pair("[\"a\",\"b\"]", 2u),
                                      std::pair("[1,2,3]", 1u), std::pair("[[1,2],[3]]", 2u)}) {
    CompletionRequest request;
    Refusal refusal;
    ASSERT_TRUE(
        read_completion_request(std::string("{\"prompt\":") + prompt + "}", &request, &refusal));
    EXPECT_EQ(request.prompts.size(), count);
    EXPECT_EQ(request.tokens_max, 16);
  }
  for (const char* prompt :
       {"1", "{}", "[]", "[1,\"a\"]", "[[1],2]", "[-1]", "[2147483648]", "[[1.5]]", "true"}) {
    EXPECT_EQ(blamed_completion(std::string("{\"prompt\":") + prompt + "}"), "prompt") << prompt;
  }
  EXPECT_EQ(blamed_completion("{}"), "prompt");
}

TEST(CompletionRequest, AnswersAreCounted) {
  std::string prompts = "[\"a\"";
  for (int i = 0; i < 64; ++i) prompts += ",\"a\"";
  EXPECT_EQ(blamed_completion("{\"n\":2,\"prompt\":" + prompts + "]}"), "prompt");
  EXPECT_EQ(blamed_completion("{\"n\":1,\"prompt\":" + prompts + "]}"), "");
  EXPECT_EQ(blamed_completion(R"({"prompt":"a","max_tokens":0})"), "max_tokens");
  EXPECT_EQ(blamed_completion(R"({"prompt":"a","max_tokens":0,"echo":true})"), "");
  EXPECT_EQ(blamed_completion(R"({"prompt":"a","best_of":2})"), "best_of");
  EXPECT_EQ(blamed_completion(R"({"prompt":"a","suffix":"b"})"), "suffix");
}

TEST(RefusalBody, IsJsonOfOpenAiForm) {
  Refusal refusal;
  refusal.param = "n";
  refusal.message = "a \"b\"\n";
  EXPECT_EQ(refusal.body(),
            R"({"error":{"message":"a \"b\"\n","type":"invalid_request_error","param":"n",)"
            R"("code":null}})");
}

}  // namespace
}  // namespace midge::test
