// What has brought down or fooled servers of language models and of HTTP, one test for each kind.
#include "tests/server/service_harness.h"

namespace midge::test {
namespace {

class Attacks : public ServiceFixture {
 protected:
  void SetUp() override {
    ServiceOptions options;
    options.http.limits.head_seconds = 1;
    options.http.limits.body_seconds = 1;
    serve(std::move(options));
  }
  std::string chat(const std::string& members) {
    return post("/v1/chat/completions",
                R"({"messages":[{"role":"user","content":"hi"}],)" + members + "}");
  }
  std::string head(const std::string& fields) {
    return "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
           "Content-Type: application/json\r\n" +
           fields + "\r\n";
  }
  /// The request is refused, and what came behind it is not taken for another one.
  void expect_refused(const std::string& bytes, int status) {
    Client client(service_->port());
    client.send(bytes + request("GET", "/health"));
    const std::string answer = client.read_answer();
    EXPECT_EQ(status_of(answer), status) << answer;
    EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;
    EXPECT_EQ(client.read_until("\"ok\"", 2).find("\"ok\""), std::string::npos);
    expect_alive();
  }
};

// Smuggling: CVE-2020-8287 and its like in many servers, among them those of Python and Node.
TEST_F(Attacks, DoubleContentLength) {
  expect_refused(head("Content-Length: 2\r\nContent-Length: 40\r\n") + "{}", 400);
}
TEST_F(Attacks, LengthBesideChunks) {
  expect_refused(head("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400);
}
TEST_F(Attacks, BareLineFeeds) { expect_refused("GET /health HTTP/1.1\nHost: localhost\n\n", 400); }
TEST_F(Attacks, FoldedLines) { expect_refused(head("X: a\r\n Content-Length: 2\r\n"), 400); }
TEST_F(Attacks, SpaceBeforeTheColon) { expect_refused(head("Content-Length : 2\r\n") + "{}", 400); }
TEST_F(Attacks, BadChunks) {
  for (const char* body :
       {"zz\r\n{}\r\n0\r\n\r\n", "-2\r\n{}\r\n0\r\n\r\n", "fffffffffffffffff\r\n{}"}) {
    Client client(service_->port());
    client.send(head("Transfer-Encoding: chunked\r\n") + body);
    EXPECT_EQ(status_of(client.read_answer()), 400) << body;
  }
  // Bare line feeds end no chunk: the rest is waited for.
  Client client(service_->port());
  client.send(head("Transfer-Encoding: chunked\r\n") + "2\n{}\n0\n\n");
  EXPECT_EQ(status_of(client.read_answer()), 408);
  expect_alive();
}
TEST_F(Attacks, ChunksBeyondTheLimit) {
  Client client(service_->port());
  client.send(head("Transfer-Encoding: chunked\r\n"));
  const std::string chunk = "10000\r\n" + std::string(65536, 'a') + "\r\n";
  for (int i = 0; i < 140 && client.send(chunk); ++i) {
  }
  EXPECT_EQ(status_of(client.read_answer()), 413);
  expect_alive();
}
// The limit of a body does not count what stands around its chunks.
TEST_F(Attacks, EndlessLinesAroundChunks) {
  for (const char* begin : {"1;", "0\r\nX: "}) {
    Client client(service_->port());
    client.send(head("Transfer-Encoding: chunked\r\n") + begin);
    client.send(std::string(100000, 'a'));
    const std::string answer = client.read_answer();
    EXPECT_EQ(status_of(answer), 400) << answer;
    EXPECT_NE(answer.find("around a chunk"), std::string::npos) << answer;
    expect_alive();
  }
}

// Too much of everything.
TEST_F(Attacks, HugeHead) {
  expect_refused("GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(20000, 'a'), 431);
}
TEST_F(Attacks, ManyFields) {
  std::string fields;
  for (int i = 0; i < 1000; ++i) fields += "A: 1\r\n";
  expect_refused(head(fields), 431);
}
TEST_F(Attacks, LongTarget) {
  expect_refused("GET /" + std::string(5000, 'a') + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 414);
}
TEST_F(Attacks, HugeBody) { expect_refused(head("Content-Length: 9000000000\r\n"), 413); }

// Slow clients (Slowloris).
TEST_F(Attacks, SlowHead) {
  Client client(service_->port());
  client.send("GET /health HTTP/1.1\r\nHost: loc");
  EXPECT_EQ(status_of(client.read_answer()), 408);
  EXPECT_TRUE(client.was_closed());
  expect_alive();
}
TEST_F(Attacks, SlowBody) {
  Client client(service_->port());
  client.send(head("Content-Length: 100\r\n") + "{");
  EXPECT_EQ(status_of(client.read_answer()), 408);
  EXPECT_TRUE(client.was_closed());
  expect_alive();
}

// Numbers out of bounds: CVE-2024-42479 of llama.cpp's kind.
TEST_F(Attacks, HugeMaxTokens) {
  EXPECT_EQ(status_of(chat(R"("max_tokens":2147483648)")), 400);
  EXPECT_EQ(status_of(chat(R"("max_tokens":9223372036854775807)")), 400);
  EXPECT_EQ(status_of(chat(R"("max_tokens":1e999)")), 400);
  EXPECT_EQ(status_of(chat(R"("max_tokens":2147483647)")), 200);  // as far as the context goes
  expect_alive();
}
TEST_F(Attacks, NegativeNumbers) {
  for (const char* member :
       {R"("max_tokens":-1)", R"("n":-1)", R"("temperature":-1)", R"("top_k":-7)",
        R"("top_logprobs":-1,"logprobs":true)", R"("logit_bias":{"-5":1})"}) {
    EXPECT_EQ(status_of(chat(member)), 400) << member;
  }
  EXPECT_EQ(status_of(post("/v1/completions", R"({"prompt":[-1]})")), 400);
  EXPECT_EQ(status_of(post("/detokenize", R"({"tokens":[-1]})")), 400);
  expect_alive();
}
TEST_F(Attacks, TokensBeyondTheVocabulary) {
  EXPECT_EQ(status_of(post("/v1/completions", R"({"prompt":[2147483647]})")), 400);
  EXPECT_EQ(status_of(post("/detokenize", R"({"tokens":[2147483647]})")), 400);
  EXPECT_EQ(status_of(chat(R"("logit_bias":{"2147483647":1})")), 400);
  expect_alive();
}

// Bodies that are not what they should be: CVE-2024-39720 of ollama's kind.
TEST_F(Attacks, EmptyObjects) {
  for (const char* path : {"/v1/chat/completions", "/v1/completions", "/tokenize", "/detokenize"}) {
    for (const char* body : {"{}", "", "[]", "null", "0", "\"\"", "{"}) {
      EXPECT_EQ(status_of(post(path, body)), 400) << path << " " << body;
    }
  }
  expect_alive();
}
TEST_F(Attacks, DeepJson) {
  EXPECT_EQ(status_of(post("/v1/completions", std::string(100000, '['))), 400);
  std::string nested = R"({"prompt":)";
  for (int i = 0; i < 5000; ++i) nested += "{\"a\":";
  EXPECT_EQ(status_of(post("/v1/completions", nested)), 400);
  expect_alive();
}
TEST_F(Attacks, LoneSurrogates) {
  EXPECT_EQ(status_of(post("/v1/completions", R"({"prompt":"\ud800"})")), 400);
  EXPECT_EQ(status_of(post("/tokenize", "{\"prompt\":\"\xED\xA0\x80\"}")), 400);
  EXPECT_EQ(status_of(post("/tokenize", R"({"prompt":"\udc00\ud800"})")), 400);
  expect_alive();
}
TEST_F(Attacks, NulInStrings) {
  EXPECT_EQ(status_of(post("/v1/completions", R"({"prompt":"a\u0000b","max_tokens":1})")), 200);
  EXPECT_EQ(status_of(chat(R"("stop":"a\u0000b")")), 400);
  EXPECT_EQ(status_of(chat(R"("model":"tiny-phi\u0000x")")), 404);
  EXPECT_EQ(
      status_of(post("/v1/chat/completions",
                     R"({"messages":[{"role":"user","content":"a\u0000b"}],"max_tokens":1})")),
      200);
  expect_alive();
}
TEST_F(Attacks, NumbersOfManyDigits) {
  EXPECT_EQ(status_of(chat("\"temperature\":0." + std::string(100000, '1'))), 200);
  std::string bias = R"("logit_bias":{)";
  for (int i = 0; i < 2000; ++i) {
    bias += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":0." + std::string(30, '1');
  }
  EXPECT_EQ(status_of(chat(bias + "}")), 400);
  expect_alive();
}

// Time that grows faster than the text: 26,000 equal characters stopped tokenizers.
TEST_F(Attacks, EqualCharacters) {
  const auto begin = std::chrono::steady_clock::now();
  for (const char* character : {"a", " ", "!", "\\n", "\xC3\xA9", "0"}) {
    std::string text;
    for (int i = 0; i < 26000; ++i) text += character;
    const int status = status_of(post("/v1/completions", "{\"prompt\":\"" + text + "\"}"));
    EXPECT_TRUE(status == 200 || status == 400) << character << " " << status;
    EXPECT_EQ(status_of(post("/tokenize", "{\"prompt\":\"" + text + "\"}")), 200);
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(taken.count(), 60);
  expect_alive();
}
TEST_F(Attacks, PromptsBeyondTheContext) {
  std::string tokens = "[1";
  for (int i = 0; i < 1000; ++i) tokens += ",1";
  const std::string answer = post("/v1/completions", "{\"prompt\":" + tokens + "]}");
  EXPECT_EQ(status_of(answer), 400);
  EXPECT_NE(answer.find("context_length_exceeded"), std::string::npos) << answer;
  expect_alive();
}

// Schemas that explode when they are compiled.
TEST_F(Attacks, SchemaBombs) {
  const auto with_schema = [&](const std::string& schema) {
    const auto begin = std::chrono::steady_clock::now();
    const int status = status_of(
        chat(R"("max_tokens":8,"response_format":{"type":"json_schema","json_schema":{"name":"x",)"
             R"("schema":)" +
             schema + "}}"));
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(taken.count(), 20) << schema.substr(0, 100);
    return status;
  };
  // Whether these are held or refused: in time.
  for (const char* pattern :
       {"(a{1000}){1000}", "((((a*)*)*)*b)*$", "(.*a){200}", "[^a]{100000}"}) {
    const int status =
        with_schema(std::string(R"({"type":"string","pattern":")") + pattern + "\"}");
    EXPECT_TRUE(status == 400 || status == 200) << pattern << " " << status;
  }
  EXPECT_EQ(with_schema(R"({"type":"string","pattern":"("})"), 400);
  EXPECT_EQ(with_schema(R"({"$ref":"#"})"), 400);
  EXPECT_EQ(with_schema(R"({"$ref":"http://localhost/x"})"), 400);
  // Twice as much with each definition: 2^25 in all.
  std::string bomb = R"({"$ref":"#/$defs/a25","$defs":{"a0":{"type":"string"})";
  for (int i = 1; i <= 25; ++i) {
    const std::string part = "{\"$ref\":\"#/$defs/a" + std::to_string(i - 1) + "\"}";
    bomb += ",\"a" + std::to_string(i) + "\":{\"allOf\":[" + part + "," + part + "]}";
  }
  const int status = with_schema(bomb + "}}");
  EXPECT_TRUE(status == 400 || status == 200) << status;
  std::string wide = R"({"type":"object","properties":{)";
  for (int i = 0; i < 20000; ++i) wide += (i == 0 ? "\"p" : ",\"p") + std::to_string(i) + "\":{}";
  EXPECT_EQ(with_schema(wide + "}}"), 400);
  expect_alive();
}

// Pages elsewhere that let a name of theirs point here (CVE-2024-28224 of ollama).
TEST_F(Attacks, DnsRebinding) {
  EXPECT_EQ(status_of(ask("GET /v1/models HTTP/1.1\r\nHost: attacker.example\r\n\r\n")), 403);
  EXPECT_EQ(status_of(ask("GET /health HTTP/1.1\r\nHost: attacker.example:80\r\n\r\n")), 403);
  EXPECT_EQ(status_of(ask(request("GET", "/v1/models", "", "Origin: http://a.example\r\n"))), 403);
  expect_alive();
}
// A page can send these without asking first.
TEST_F(Attacks, BodiesOfOtherTypes) {
  const std::string body = R"({"prompt":"a"})";
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded", ""}) {
    const std::string answer = ask(
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + std::string(type) +
        "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    EXPECT_EQ(status_of(answer), 415) << type;
  }
  EXPECT_EQ(status_of(ask(request("OPTIONS", "/v1/completions"))), 405);
}

// Paths, files and templates are never taken from a request.
TEST_F(Attacks, PathTraversal) {
  for (const char* path : {"/../../etc/passwd", "/%2e%2e/etc/passwd", "/v1/models/../../etc/passwd",
                           "/v1/models/..%2fx", "//etc/passwd", "/page/index.html"}) {
    EXPECT_EQ(status_of(ask(request("GET", path))), 404) << path;
  }
  EXPECT_EQ(status_of(chat(R"("model":"../../etc/passwd")")), 404);
  for (const char* field : {"chat_template", "grammar", "guided_grammar", "lora", "image_url"}) {
    EXPECT_EQ(status_of(chat(std::string("\"") + field + "\":\"/etc/passwd\"")), 400) << field;
  }
  expect_alive();
}
TEST_F(Attacks, OtherMethods) {
  for (const char* method : {"PUT", "DELETE", "TRACE", "CONNECT", "PATCH"}) {
    EXPECT_EQ(status_of(ask(request(method, "/v1/models"))), 405) << method;
  }
  EXPECT_EQ(status_of(ask(request("GET", "/v1/completions"))), 405);
}
// The answer to HEAD ends with its head (RFC 9110, 9.3.2): a body would be read as the next answer.
TEST_F(Attacks, HeadWithoutABody) {
  for (const char* path : {"/health", "/v1/completions", "/nothing"}) {
    Client client(service_->port());
    client.send(request("HEAD", path));
    const std::string head = client.read_until("\r\n\r\n");
    EXPECT_EQ(status_of(head), path == std::string("/health")           ? 200
                               : path == std::string("/v1/completions") ? 405
                                                                        : 404);
    client.send(request("GET", "/health"));
    const std::string both = client.read_until("\"ok\"");
    EXPECT_EQ(both.compare(head.size(), 15, "HTTP/1.1 200 OK"), 0) << both;
  }
}
// A prompt is not encoded to its end when it cannot fit.
TEST_F(Attacks, TextsBeyondTheContext) {
  std::string text;
  while (text.size() < (size_t{4} << 20)) text += "Once upon a time ";
  const std::string completion = post("/v1/completions", "{\"prompt\":\"" + text + "\"}");
  EXPECT_EQ(status_of(completion), 400);
  EXPECT_NE(completion.find("context_length_exceeded"), std::string::npos) << completion;
  const std::string answer =
      post("/v1/chat/completions", R"({"messages":[{"role":"user","content":")" + text + "\"}]}");
  EXPECT_EQ(status_of(answer), 400);
  EXPECT_NE(answer.find("context_length_exceeded"), std::string::npos) << answer;
  expect_alive();
}

// Many at once, and many that never say anything.
TEST_F(Attacks, IdleConnections) {
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 200; ++i) idle.push_back(std::make_unique<Client>(service_->port()));
  expect_alive();
}

}  // namespace
}  // namespace midge::test
