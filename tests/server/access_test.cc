#include "server/access.h"

#include <gtest/gtest.h>

namespace midge::test {
namespace {

int status_of(const AccessOptions& options, const std::string& host, const std::string& origin = {},
              const std::string& authorization = {}, bool is_public = false) {
  HttpRequest request;
  request.host = host;
  request.origin = origin;
  request.authorization = authorization;
  const auto refusal = check_access(options, request, is_public);
  return refusal.has_value() ? refusal->status : 200;
}

TEST(Access, ForeignNamesAreNotThisServer) {
  AccessOptions options;
  for (const char* host : {"localhost", "LOCALHOST:8080", "127.0.0.1:80", "127.1.2.3", "[::1]:9"}) {
    EXPECT_EQ(status_of(options, host), 200) << host;
  }
  for (const char* host : {"attacker.example", "localhost.attacker.example", "192.168.0.5", "",
                           "127.0.0.1.nip.io", "[::2]", "0.0.0.0"}) {
    EXPECT_EQ(status_of(options, host), 403) << host;
  }
  options.is_loopback = false;
  options.names = {"box.local"};
  EXPECT_EQ(status_of(options, "192.168.0.5:8080"), 200);
  EXPECT_EQ(status_of(options, "Box.Local"), 200);
  EXPECT_EQ(status_of(options, "attacker.example"), 403);
}

TEST(Access, PagesOfOtherOriginsAreKeptOut) {
  AccessOptions options;
  EXPECT_EQ(status_of(options, "localhost:8080", "http://localhost:8080"), 200);
  EXPECT_EQ(status_of(options, "localhost:8080", "http://localhost:9000"), 403);
  EXPECT_EQ(status_of(options, "localhost:8080", "null"), 403);
  options.cors_origin = "https://app.example";
  EXPECT_EQ(status_of(options, "localhost:8080", "https://app.example"), 200);
}

TEST(Access, TheKeyIsAsked) {
  AccessOptions options;
  options.key = "12345678";
  EXPECT_EQ(status_of(options, "localhost"), 401);
  EXPECT_EQ(status_of(options, "localhost", "", "Bearer 1234567"), 401);
  EXPECT_EQ(status_of(options, "localhost", "", "Bearer 12345679"), 401);
  EXPECT_EQ(status_of(options, "localhost", "", "Basic 12345678"), 401);
  EXPECT_EQ(status_of(options, "localhost", "", "Bearer 12345678"), 200);
  EXPECT_EQ(status_of(options, "localhost", "", "bearer 12345678"), 200);
  EXPECT_EQ(status_of(options, "localhost", "", "", true), 200);
}

}  // namespace
}  // namespace midge::test
