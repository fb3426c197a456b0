// The head of an HTTP/1.1 request, checked byte by byte before anything reads it.
//
// Two readers that disagree about where a request ends are what request smuggling lives on, so
// whatever two readers might take differently is refused here (RFC 9112, sections 2.2, 5, 6 and
// 11.2): bare line feeds, folded lines, white space around names, several lengths, a length beside
// chunks. The parser behind may then be as lenient as it likes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace midge {

/// Limits of one request.
struct HttpLimits {
  size_t head_bytes = size_t{16} << 10;  ///< request line and fields
  size_t fields = 64;
  size_t target_bytes = size_t{1} << 10;
  size_t body_bytes = size_t{8} << 20;
  double head_seconds = 10;               ///< from the first byte of a head to its end
  double body_seconds = 30;               ///< from the head to the end of the body
  double idle_seconds = 60;               ///< between requests of a connection
  double write_seconds = 30;              ///< for a client that does not take what is written
  size_t unsent_bytes = size_t{4} << 20;  ///< that wait for one client
  size_t connections = 256;               ///< more wait until one is closed
};

/// What is wrong with a request, as the answer to it.
struct HttpRefusal {
  int status = 400;
  std::string message;
};

/// How the bytes after the head are counted.
enum class BodyLength : uint8_t { kNone, kContentLength, kChunked };

/// What of a head the server looks at. Views into it.
struct RequestHead {
  std::string_view method;
  std::string_view target;  ///< origin form: "/v1/models?x=1"
  std::string_view host;
  std::string_view origin;         ///< empty: none
  std::string_view authorization;  ///< empty: none
  std::string_view content_type;   ///< empty: none
  BodyLength body = BodyLength::kNone;
  uint64_t content_length = 0;
  bool expects_continue = false;
  bool keeps_alive = true;
  bool is_old = false;  ///< HTTP/1.0, which knows no chunks
};

/// Whether two ASCII words are equal but for their case, as names of fields and hosts are compared.
bool same_word(std::string_view a, std::string_view b);

/// Reads a head that ends with its empty line. nullopt: *refusal says why. Statuses: 400 (malformed
/// or ambiguous), 413 (the body would be too long), 414 (the target is too long), 431 (too many
/// fields), 501 (a transfer coding other than chunked), 505 (another version of HTTP).
/// `bytes` may be anything; time O(n).
std::optional<RequestHead> read_request_head(std::string_view bytes, const HttpLimits& limits,
                                             HttpRefusal* refusal);

}  // namespace midge
