#include "server/service.h"

#include <atomic>
#include <future>

#include "engine/formats/json.h"
#include "server/http/http_server.h"
#include "tests/server/service_harness.h"

namespace midge::test {
namespace {

constexpr const char* kChat = "/v1/chat/completions";
constexpr const char* kLong =
    R"({"prompt":"Once upon a time","max_tokens":400,"ignore_eos":true,"stream":true})";

class ServiceTest : public ServiceFixture {};

// The texts of a stream's chunks, put together.
std::string streamed_text(const std::string& answer, std::string_view key) {
  std::string text;
  for (size_t at = answer.find("data: {"); at != std::string::npos;
       at = answer.find("data: {", at + 1)) {
    const size_t end = answer.find("\n\n", at);
    const auto document = JsonDocument::parse("chunk", answer.substr(at + 6, end - at - 6));
    if (!document.ok()) {
      ADD_FAILURE() << answer.substr(at, end - at);
      continue;
    }
    simdjson::dom::element piece;
    const simdjson::dom::object root = document->root()->members();
    for (const char* path : {"/choices/0/delta/", "/choices/0/"}) {
      std::string_view found;
      if (root.at_pointer(path + std::string(key)).get_string().get(found) == simdjson::SUCCESS) {
        text += found;
      }
    }
  }
  return text;
}

TEST_F(ServiceTest, AnswersAreThoseOfTheEngine) {
  serve();
  const std::string whole =
      post(kChat, R"({"messages":[{"role":"user","content":"What is 7 + 5?"}],"temperature":0})");
  EXPECT_EQ(status_of(whole), 200);
  EXPECT_NE(whole.find("7 + 5 = 12."), std::string::npos) << whole;
  EXPECT_NE(whole.find(R"("finish_reason":"stop")"), std::string::npos);
  const std::string stream =
      post(kChat, R"({"messages":[{"role":"user","content":"What is 7 + 5?"}],"temperature":0,)"
                  R"("stream":true,"stream_options":{"include_usage":true}})");
  EXPECT_EQ(streamed_text(stream, "content"), "7 + 5 = 12.");
  EXPECT_NE(stream.find("data: [DONE]"), std::string::npos);
  EXPECT_NE(stream.find(R"("cached_tokens":)"), std::string::npos);
  EXPECT_NE(stream.find("\r\nX-Accel-Buffering: no\r\n"), std::string::npos) << stream;
}

// A drawn answer is the same with the same seed, streamed or not, alone or among others.
TEST_F(ServiceTest, SeedsDecide) {
  serve();
  const std::string members = R"("prompt":"Once","max_tokens":30,"seed":7,"temperature":1)";
  const auto text_of = [&](const std::string& answer) {
    const size_t begin = answer.find("\"text\":\"");
    return answer.substr(begin, answer.find("\"index\"", begin) - begin);
  };
  const std::string first = text_of(post("/v1/completions", "{" + members + "}"));
  EXPECT_EQ(first, text_of(post("/v1/completions", "{" + members + "}")));
  EXPECT_EQ(first, text_of(post("/v1/completions", "{" + members + R"(,"n":3})")));
  const std::string stream = post("/v1/completions", "{" + members + R"(,"stream":true})");
  EXPECT_EQ(
      first, "\"text\":\"" + [&] {
        std::string text = streamed_text(stream, "text");
        std::string escaped;
        for (const char c : text) {
          if (c == '"' || c == '\\') escaped += '\\';
          if (c == '\n')
            escaped += "\\n";
          else
            escaped += c;
        }
        return escaped;
      }() + "\",");
}

// What likelihoods are measured by: every token of the prompt, the first without a score.
TEST_F(ServiceTest, EchoScoresThePrompt) {
  serve();
  const std::string answer =
      post("/v1/completions", R"({"prompt":[12,34,56,78],"max_tokens":1,"echo":true,)"
                              R"("logprobs":2,"temperature":0})");
  ASSERT_EQ(status_of(answer), 200) << answer;
  const auto document = JsonDocument::parse("answer", body_of(answer));
  ASSERT_TRUE(document.ok());
  const simdjson::dom::object root = document->root()->members();
  const auto list = [&](const char* key) {
    simdjson::dom::array items;
    EXPECT_EQ(root.at_pointer(std::string("/choices/0/logprobs/") + key).get_array().get(items),
              simdjson::SUCCESS);
    return std::vector<simdjson::dom::element>(items.begin(), items.end());
  };
  const auto own = list("token_logprobs");
  const auto top = list("top_logprobs");
  EXPECT_EQ(list("tokens").size(), 5u);
  EXPECT_EQ(list("text_offset").size(), 5u);
  ASSERT_EQ(own.size(), 5u);
  ASSERT_EQ(top.size(), 5u);
  EXPECT_TRUE(own[0].is_null());
  EXPECT_TRUE(top[0].is_null());
  for (size_t i = 1; i < 5; ++i) {
    double score = 0;
    EXPECT_EQ(own[i].get_double().get(score), simdjson::SUCCESS);
    double best = -1e9;
    simdjson::dom::object others;
    ASSERT_EQ(top[i].get_object().get(others), simdjson::SUCCESS);
    for (const auto& [key, value] : others) {
      double other = 0;
      EXPECT_EQ(value.get_double().get(other), simdjson::SUCCESS);
      best = std::max(best, other);
    }
    EXPECT_LE(score, best);
    EXPECT_LT(score, 0);
  }
}

TEST_F(ServiceTest, EchoWithoutAnAnswer) {
  serve();
  const std::string answer =
      post("/v1/completions", R"({"prompt":"Once upon","max_tokens":0,"echo":true,"logprobs":1})");
  ASSERT_EQ(status_of(answer), 200) << answer;
  EXPECT_NE(answer.find(R"("text":"Once upon")"), std::string::npos) << answer;
  EXPECT_NE(answer.find(R"("completion_tokens":0)"), std::string::npos) << answer;
}

TEST_F(ServiceTest, TokensGoBothWays) {
  serve();
  const std::string tokens = body_of(post("/tokenize", R"({"prompt":"Once upon a time"})"));
  const size_t begin = tokens.find('[');
  const std::string ids = tokens.substr(begin, tokens.find(']') - begin + 1);
  EXPECT_NE(body_of(post("/detokenize", "{\"tokens\":" + ids + "}")).find("Once upon a time"),
            std::string::npos);
}

TEST_F(ServiceTest, ConnectionsAreUsedAgain) {
  serve();
  Client client(service_->port());
  for (int i = 0; i < 3; ++i) {
    client.send(request("GET", "/health"));
    EXPECT_EQ(status_of(client.read_answer()), 200);
  }
  // Two at once are answered one after the other.
  client.send(request("GET", "/health") + request("GET", "/v1/models"));
  EXPECT_EQ(body_of(client.read_answer()), R"({"status":"ok"})");
  EXPECT_NE(body_of(client.read_answer()).find("tiny-phi"), std::string::npos);
  // And a stream leaves the connection as it was.
  client.send(request("POST", "/v1/completions", R"({"prompt":"a","max_tokens":3,"stream":true})"));
  EXPECT_NE(client.read_answer().find("[DONE]"), std::string::npos);
  client.send(request("GET", "/health"));
  EXPECT_EQ(status_of(client.read_answer()), 200);
}

// HTTP/1.0 knows no chunks: ApacheBench, and nginx unless it is told otherwise.
TEST_F(ServiceTest, OldClientsGetStreamsWithoutChunks) {
  serve();
  Client client(service_->port());
  const std::string body = R"({"prompt":"a","max_tokens":3,"stream":true})";
  client.send(
      "POST /v1/completions HTTP/1.0\r\nConnection: keep-alive\r\nHost: localhost\r\n"
      "Content-Type: application/json\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body);
  const std::string answer = client.read_answer();
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_EQ(answer.find("Transfer-Encoding"), std::string::npos) << answer;
  EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos) << answer;
  EXPECT_TRUE(body_of(answer).starts_with("data: {")) << answer;
  EXPECT_TRUE(answer.ends_with("data: [DONE]\n\n")) << answer;
}

// Clients that wait for leave before they send a body: curl does for long ones.
TEST_F(ServiceTest, BodiesAreAskedFor) {
  serve();
  Client client(service_->port());
  const std::string body = R"({"prompt":"a","max_tokens":1})";
  client.send(
      "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
      "\r\nExpect: 100-continue\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n");
  EXPECT_NE(client.read_until("100 Continue\r\n\r\n").find("100 Continue"), std::string::npos);
  client.send(body);
  EXPECT_NE(client.read_until("text_completion").find("text_completion"), std::string::npos);
}

TEST_F(ServiceTest, BodiesMayComeInChunks) {
  serve();
  const std::string answer =
      ask("POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
          "Transfer-Encoding: chunked\r\n\r\n8\r\n{\"prompt\r\n7\r\n\":\"abc\"\r\n1\r\n}\r\n"
          "0\r\n\r\n");
  EXPECT_EQ(status_of(answer), 200) << answer;
}

// The pages of a client that has gone are free again soon: nothing is written for nobody.
TEST_F(ServiceTest, CancelsWhenTheClientGoes) {
  serve();
  {
    Client client(service_->port());
    client.send(request("POST", "/v1/completions", kLong));
    client.read_until("\"text\"");
  }
  const auto begin = std::chrono::steady_clock::now();
  while (stats().cancelled == 0) {
    ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_LT(stats().tokens_written, 400);
  // Without a stream too.
  {
    Client client(service_->port());
    client.send(request("POST", "/v1/completions",
                        R"({"prompt":"Once","max_tokens":450,"ignore_eos":true,"n":8})"));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  // And if it sent more than its request.
  {
    Client client(service_->port());
    client.send(request("POST", "/v1/completions",
                        R"({"prompt":"Once","max_tokens":450,"ignore_eos":true,"n":8})") +
                "\r\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const auto again = std::chrono::steady_clock::now();
  while (stats().cancelled + stats().done < 17) {
    ASSERT_LT(std::chrono::steady_clock::now() - again, std::chrono::seconds(60));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  expect_alive();
}

// A client that reads is not late, however slowly it does. One that does not is.
TEST(HttpServer, SlowReadersGetAllOfAnAnswer) {
  HttpOptions options;
  options.port = 0;
  options.limits.write_seconds = 0.5;
  const std::string body(size_t{24} << 20, 'x');  // more than the system's buffers hold
  const auto listening = HttpServer::listen(
      options,
      [&](const HttpRequest&, const std::shared_ptr<HttpExchange>& exchange) {
        exchange->respond(200, "text/plain", body);
      },
      [](int, const std::string& message) { return message; });
  ASSERT_TRUE(listening.ok()) << listening.status().message();
  HttpServer& server = **listening;
  std::thread thread([&] { server.run(); });
  const std::string get = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  {
    Client slow(server.port());
    slow.send(get);
    EXPECT_GT(slow.read_slowly(size_t{1} << 20, 0.1), body.size());
    Client deaf(server.port());
    deaf.send(get);
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    EXPECT_LT(deaf.read_slowly(size_t{1} << 20, 0), body.size());
  }
  server.post([&] { server.stop(); });
  thread.join();
}

// A client that is too slow for its stream loses it: the connection is closed, and nobody waits for
// an end that does not come. What a request itself brings in is not counted.
TEST_F(ServiceTest, ClosesOnClientsThatDoNotRead) {
  ServiceOptions options;
  options.http.limits.unsent_bytes = 1;  // less than a token with its logprobs, read or not
  serve(std::move(options));
  Client client(service_->port());
  client.send(request("POST", "/v1/completions",
                      R"({"prompt":"Once","max_tokens":100,"ignore_eos":true,"n":8,"logprobs":5,)"
                      R"("stream":true,"temperature":1})"));
  const std::string cut = client.read_until("[DONE]");
  EXPECT_EQ(cut.find("[DONE]"), std::string::npos) << cut;
  EXPECT_TRUE(client.was_closed());
  const auto begin = std::chrono::steady_clock::now();
  while (stats().cancelled == 0) {
    ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::string prompt;
  for (int i = 0; i < 300; ++i) prompt += "Once ";
  const std::string echoed =
      post("/v1/completions",
           R"({"max_tokens":2,"echo":true,"n":8,"stream":true,"prompt":")" + prompt + "\"}");
  EXPECT_GT(echoed.size(), 8 * prompt.size());
  EXPECT_NE(echoed.find("[DONE]"), std::string::npos);
  expect_alive();
}

// More than may wait are told to come again; those that are in are served.
TEST_F(ServiceTest, FullQueuesAreRefused) {
  midge_engine_options engine = {};
  engine.requests_max = 2;
  serve({}, engine);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(std::make_unique<Client>(service_->port()));
    clients.back()->send(request("POST", "/v1/completions", kLong));
    clients.back()->read_until("\"text\"");
  }
  const std::string refused = post("/v1/completions", kLong);
  EXPECT_EQ(status_of(refused), 429) << refused;
  EXPECT_NE(refused.find("Retry-After: "), std::string::npos);
  for (const auto& client : clients) {
    EXPECT_NE(client->read_until("[DONE]", 60).find("[DONE]"), std::string::npos);
  }
}

TEST_F(ServiceTest, DeadlinesEndRequests) {
  ServiceOptions options;
  options.deadline_seconds = 0.02;
  serve(std::move(options));
  const std::string whole =
      post("/v1/completions", R"({"prompt":"Once","max_tokens":450,"ignore_eos":true})");
  EXPECT_EQ(status_of(whole), 504) << whole;
  const std::string stream = post("/v1/completions", kLong);
  EXPECT_EQ(status_of(stream), 200);
  EXPECT_NE(stream.find(R"("code":"deadline")"), std::string::npos) << stream;
  EXPECT_EQ(stream.find("[DONE]"), std::string::npos);
}

// A silent stream shows that it lives.
TEST_F(ServiceTest, PingsWhileNothingIsSaid) {
  ServiceOptions options;
  options.ping_seconds = 0.01;
  serve(std::move(options));
  // Behind others, it waits.
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<Client>(service_->port()));
    clients.back()->send(request("POST", "/v1/completions", kLong));
  }
  EXPECT_NE(clients.back()->read_until(": waiting").find(": waiting"), std::string::npos);
}

TEST_F(ServiceTest, StopsWhenAnswersAreWhole) {
  serve();
  Client client(service_->port());
  client.send(request("POST", "/v1/completions", kLong));
  client.read_until("\"text\"");
  service_->stop();
  const std::string answer = client.read_until("[DONE]", 60);
  EXPECT_NE(answer.find("[DONE]"), std::string::npos);
  EXPECT_TRUE(client.was_closed());
  thread_.join();
  EXPECT_FALSE(Client(service_->port()).is_open());
}

TEST_F(ServiceTest, StopsWhatTakesTooLong) {
  ServiceOptions options;
  options.stop_seconds = 0;
  serve(std::move(options));
  Client client(service_->port());
  client.send(request("POST", "/v1/completions", kLong));
  client.read_until("\"text\"");
  service_->stop();
  const std::string answer = client.read_until("\"stopping\"", 60);
  EXPECT_NE(answer.find("\"stopping\""), std::string::npos) << answer.substr(0, 300);
  thread_.join();
}

// A conversation that goes on is not read again.
TEST_F(ServiceTest, TurnsShareTheirBeginning) {
  serve();
  const std::string turn =
      R"({"role":"user","content":"Tell me a story about a cat that lives in a big old house and )"
      R"(likes to sit at the window all day long, please."})";
  post(kChat, "{\"max_tokens\":4,\"messages\":[" + turn + "]}");
  const int64_t before = stats().cached_tokens;
  post(kChat, "{\"max_tokens\":4,\"messages\":[" + turn +
                  R"(,{"role":"assistant","content":"Once"},{"role":"user","content":"Go on"}]})");
  EXPECT_GE(stats().cached_tokens - before, 20);
}

TEST_F(ServiceTest, KeysAreAsked) {
  ServiceOptions options;
  options.access.key = "a-key-of-ours";
  serve(std::move(options));
  EXPECT_EQ(status_of(ask(request("GET", "/health"))), 200);
  const std::string denied = ask(request("GET", "/v1/models"));
  EXPECT_EQ(status_of(denied), 401);
  EXPECT_NE(denied.find("WWW-Authenticate: Bearer"), std::string::npos);
  EXPECT_EQ(
      status_of(ask(request("GET", "/v1/models", "", "Authorization: Bearer a-key-of-ours\r\n"))),
      200);
}

TEST_F(ServiceTest, OtherMachinesNeedAKey) {
  ServiceOptions options;
  options.http.host = "0.0.0.0";
  options.http.port = 0;
  const auto service = Service::create(nullptr, {}, std::move(options));
  ASSERT_FALSE(service.ok());
  EXPECT_EQ(service.status().code(), StatusCode::kInvalidArgument);
}

TEST_F(ServiceTest, CorsIsForOneOrigin) {
  ServiceOptions options;
  options.access.cors_origin = "https://app.example";
  serve(std::move(options));
  const std::string allowed = ask(request("OPTIONS", kChat, "", "Origin: https://app.example\r\n"));
  EXPECT_EQ(status_of(allowed), 200);
  EXPECT_NE(allowed.find("Access-Control-Allow-Origin: https://app.example"), std::string::npos);
  EXPECT_EQ(status_of(ask(request("OPTIONS", kChat, "", "Origin: https://b.example\r\n"))), 403);
}

TEST_F(ServiceTest, ThePageIsWholeAndItsOwn) {
  serve();
  const std::string page = ask(request("GET", "/"));
  EXPECT_EQ(status_of(page), 200);
  EXPECT_LT(page.size(), 41000u);
  EXPECT_EQ(page.find("@NONCE@"), std::string::npos);
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
  EXPECT_NE(page.find("</html>"), std::string::npos);
  EXPECT_EQ(body_of(page).find("http://"), body_of(page).find("http://www.w3.org"));
}

TEST_F(ServiceTest, MetricsCount) {
  serve();
  post("/v1/completions", R"({"prompt":"Once","max_tokens":3,"ignore_eos":true})");
  ask(request("GET", "/nothing"));
  const std::string text = ask(request("GET", "/metrics"));
  for (const char* line :
       {"midge_http_answers_total{path=\"/v1/completions\",status=\"200\"} 1\n",
        "midge_http_answers_total{path=\"other\",status=\"404\"} 1\n",
        "midge_answer_tokens_total{model=\"tiny-phi\"} 3\n", "midge_requests_running 0\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

// Holds a pass up, as a long prompt does on a slow machine.
struct Holder {
  std::promise<void> begun;
  std::promise<void> may_end;

  static int32_t hold(void* user, const midge_event* event) {
    auto* self = static_cast<Holder*>(user);
    if (event->type != MIDGE_EVENT_TOKEN) return 0;
    self->begun.set_value();
    self->may_end.get_future().wait();
    return 1;
  }
};

TEST_F(ServiceTest, AnswersDuringAPass) {
  serve();
  Holder holder;
  const int32_t token = 1;
  midge_request slow = {};
  slow.size = sizeof(slow);
  slow.tokens = &token;
  slow.token_count = 1;
  slow.on_event = &Holder::hold;
  slow.user = &holder;
  uint64_t id = 0;
  ASSERT_EQ(midge_submit(engine_, &slow, &id), MIDGE_OK);
  holder.begun.get_future().wait();
  Client waits(service_->port());
  waits.send(request("POST", "/v1/completions", R"({"prompt":"Once","max_tokens":3})"));
  for (const char* path :
       {"/health", "/metrics", "/v1/models", "/v1/models/tiny-phi", "/v1/models/tiny%2Dphi",
        "/tokenizer_info", "/tokenizer_info?model=tiny%2dphi", "/"}) {
    EXPECT_EQ(status_of(ask(request("GET", path))), 200) << path;
  }
  EXPECT_EQ(status_of(post("/tokenize", R"({"prompt":"Once"})")), 200);
  holder.may_end.set_value();
  EXPECT_EQ(midge_wait(engine_, id, -1), MIDGE_OK);
  EXPECT_EQ(status_of(waits.read_answer()), 200);
}

TEST_F(ServiceTest, LogsHaveNoContent) {
  std::vector<std::string> lines;  // written and read while the server's thread rests
  ServiceOptions options;
  options.log = [&](const std::string& line) { lines.push_back(line); };
  serve(std::move(options));
  post("/v1/completions", R"({"prompt":"a secret","max_tokens":3})");
  stop();
  ASSERT_FALSE(lines.empty());
  bool has_line = false;
  for (const std::string& line : lines) {
    EXPECT_EQ(line.find("secret"), std::string::npos);
    has_line = has_line || line.find("POST /v1/completions 200") != std::string::npos;
  }
  EXPECT_TRUE(has_line);
}

// Clients that do everything at once, and leave when they like.
TEST_F(ServiceTest, ManyClientsLeaveNothingBehind) {
  serve();
  std::atomic<int> answered = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 12; ++i) {
        Client client(service_->port());
        const bool leaves = (t + i) % 3 == 0;
        client.send(request("POST", "/v1/completions",
                            leaves ? kLong : R"({"prompt":"Once upon","max_tokens":5})"));
        if (leaves) {
          client.read_until("\"text\"");
        } else if (status_of(client.read_answer(60)) == 200) {
          ++answered;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered, 64);
  stop();
  const midge_engine_stats after = stats();
  EXPECT_EQ(after.pages_free + after.pages_cached, after.pages);
}

}  // namespace
}  // namespace midge::test
