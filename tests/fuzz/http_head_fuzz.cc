// Heads of HTTP requests. What is accepted is what another reader, Boost.Beast's, takes it for: two
// that disagree are how requests are smuggled.
#include "server/http/request_head.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "tests/fuzz/exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace midge;
  namespace http = boost::beast::http;
  const HttpLimits limits;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  HttpRefusal refusal;
  refusal.status = 0;
  const auto head = read_request_head(bytes, limits, &refusal);
  test::require(head.has_value() == (refusal.status == 0), "a refusal has a status");
  if (!head.has_value()) {
    test::require(!refusal.message.empty(), "a refusal says why");
    return 0;
  }
  test::require(head->target.starts_with('/'), "the target is a path");
  http::request_parser<http::empty_body> other;
  other.header_limit(1 << 20);
  other.body_limit(limits.body_bytes);
  boost::system::error_code error;
  const size_t read = other.put(boost::asio::buffer(data, size), error);
  if (error) return 0;  // the stricter one decides
  test::require(read == size, "both end at the same byte");
  test::require(std::string_view(other.get().method_string().data(),
                                 other.get().method_string().size()) == head->method,
                "both read the same method");
  test::require(other.chunked() == (head->body == BodyLength::kChunked), "both see chunks");
  const auto length = other.content_length();
  const bool has_length = head->body == BodyLength::kContentLength;
  test::require(static_cast<bool>(length) == has_length, "both see a length");
  if (has_length) test::require(*length == head->content_length, "both read the same length");
  return 0;
}
