#include "server/http/request_head.h"

#include <gtest/gtest.h>

#include <string>

namespace midge::test {
namespace {

std::optional<RequestHead> read(std::string_view head, HttpRefusal* refusal = nullptr) {
  HttpRefusal ignored;
  return read_request_head(head, HttpLimits(), refusal != nullptr ? refusal : &ignored);
}

int status_of(std::string_view head) {
  HttpRefusal refusal;
  refusal.status = 0;
  return read(head, &refusal).has_value() ? 200 : refusal.status;
}

std::string post(const std::string& fields) {
  return "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n";
}

TEST(RequestHead, ReadsWhatClientsSend) {
  const std::string text =
      "POST /v1/chat/completions?x=1 HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/7\r\n"
      "content-type:application/json \r\nAuthorization: Bearer abc\r\nORIGIN: http://a\r\n"
      "Content-Length: 12\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
  const auto head = read(text);
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->method, "POST");
  EXPECT_EQ(head->target, "/v1/chat/completions?x=1");
  EXPECT_EQ(head->host, "localhost:8080");
  EXPECT_EQ(head->content_type, "application/json");
  EXPECT_EQ(head->authorization, "Bearer abc");
  EXPECT_EQ(head->origin, "http://a");
  EXPECT_EQ(head->body, BodyLength::kContentLength);
  EXPECT_EQ(head->content_length, 12u);
  EXPECT_TRUE(head->expects_continue);
  EXPECT_FALSE(head->keeps_alive);
}

TEST(RequestHead, ConnectionsStayOpenAsTheVersionSays) {
  EXPECT_TRUE(read("GET / HTTP/1.1\r\nHost: a\r\n\r\n")->keeps_alive);
  EXPECT_FALSE(read("GET / HTTP/1.0\r\n\r\n")->keeps_alive);
  EXPECT_TRUE(read("GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n")->keeps_alive);
}

TEST(RequestHead, TwoLengthsAreRefused) {
  EXPECT_EQ(status_of(post("Content-Length: 5\r\nContent-Length: 5\r\n")), 400);
  EXPECT_EQ(status_of(post("Content-Length: 5\r\nContent-Length: 6\r\n")), 400);
  EXPECT_EQ(status_of(post("Content-Length: 5, 5\r\n")), 400);
  EXPECT_EQ(status_of(post("Content-Length: 5\r\n")), 200);
}

TEST(RequestHead, ALengthBesideChunksIsRefused) {
  EXPECT_EQ(status_of(post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")), 400);
  EXPECT_EQ(status_of(post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")), 400);
  EXPECT_EQ(status_of(post("Transfer-Encoding: chunked\r\n")), 200);
}

TEST(RequestHead, OtherCodingsAreRefused) {
  EXPECT_EQ(status_of(post("Transfer-Encoding: gzip, chunked\r\n")), 501);
  EXPECT_EQ(status_of(post("Transfer-Encoding: chunked, identity\r\n")), 501);
  EXPECT_EQ(status_of(post("Transfer-Encoding: xchunked\r\n")), 501);
  EXPECT_EQ(status_of(post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")), 400);
  EXPECT_EQ(status_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

TEST(RequestHead, LengthsAreDigits) {
  for (const char* length : {"+5", "-1", "0x5", "5 5", "", "5a", "99999999999999999999"}) {
    EXPECT_EQ(status_of(post(std::string("Content-Length: ") + length + "\r\n")), 400) << length;
  }
  EXPECT_EQ(status_of(post("Content-Length: 8388608\r\n")), 200);
  EXPECT_EQ(status_of(post("Content-Length: 8388609\r\n")), 413);
}

TEST(RequestHead, LinesEndWithCrLfAlone) {
  EXPECT_EQ(status_of("GET / HTTP/1.1\nHost: a\n\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"), 400);
  EXPECT_EQ(status_of(std::string_view("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", 28)), 400);
}

TEST(RequestHead, FoldedLinesAreRefused) {
  EXPECT_EQ(status_of(post("X: a\r\n b\r\n")), 400);
  EXPECT_EQ(status_of(post("X: a\r\n\tTransfer-Encoding: chunked\r\n")), 400);
}

TEST(RequestHead, NamesAreTokens) {
  EXPECT_EQ(status_of(post("Content-Length : 5\r\n")), 400);
  EXPECT_EQ(status_of(post(": 5\r\n")), 400);
  EXPECT_EQ(status_of(post("no colon\r\n")), 400);
  EXPECT_EQ(status_of(post("X(y): 5\r\n")), 400);
  EXPECT_EQ(status_of(post("X: a\x01\r\n")), 400);
}

TEST(RequestHead, RequestLinesAreOfThreeParts) {
  EXPECT_EQ(status_of("GET /\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET  HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(status_of("GET / HTPP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

TEST(RequestHead, ThereIsOneHost) {
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
}

TEST(RequestHead, LimitsAreKept) {
  EXPECT_EQ(status_of("GET /" + std::string(1024, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), 414);
  std::string fields;
  for (int i = 0; i < 64; ++i) fields += "X: 1\r\n";
  EXPECT_EQ(status_of(post(fields)), 431);
  EXPECT_EQ(status_of(post("Expect: everything\r\n")), 417);
}

}  // namespace
}  // namespace midge::test
