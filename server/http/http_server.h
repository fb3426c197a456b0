// An HTTP/1.1 server for one box: one thread that reads and writes, all requests in its hands.
//
// Handlers are called on that thread and answer through an HttpExchange, at once or later. The
// sockets are Boost.Asio's, bodies are read and answers framed by Boost.Beast; what a request may
// be is decided in request_head.h. This header names nothing of Boost.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/status.h"
#include "server/http/request_head.h"

namespace midge {

/// A request that was read whole.
struct HttpRequest {
  std::string method;
  std::string path;   ///< without the query
  std::string query;  ///< behind '?', as it was sent
  std::string host;
  std::string origin;
  std::string authorization;
  std::string content_type;
  std::string body;
  std::string peer;  ///< address of the client
};

using HttpFields = std::vector<std::pair<std::string, std::string>>;

/// The answer to one request. On the server's thread alone. What is sent to a client that has gone
/// is dropped.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;

  /// The whole answer; to HEAD its head alone goes out.
  virtual void respond(int status, std::string_view content_type, std::string body,
                       HttpFields fields = {}) = 0;
  /// Begins an answer that comes in pieces.
  virtual void begin_stream(std::string_view content_type) = 0;
  /// A piece of it; written when the handler returns to the server.
  virtual void send(std::string_view piece) = 0;
  virtual void end_stream() = 0;
  /// Bytes that were sent and are not written yet.
  virtual size_t unsent_bytes() const = 0;
  /// Closes the connection, whatever was sent: the client has gone then.
  virtual void abort() = 0;
  /// `call` is called once if the client goes before the answer is whole.
  virtual void on_gone(std::function<void()> call) = 0;
};

struct HttpOptions {
  std::string host = "127.0.0.1";  ///< an IP address
  uint16_t port = 8080;            ///< 0: any free one
  HttpLimits limits;
  HttpFields fields;  ///< of every answer
};

/// What clients do, for /metrics.
struct HttpCounts {
  int64_t connections = 0;      ///< open now
  int64_t connections_all = 0;  ///< since the start
  int64_t refused_heads = 0;    ///< heads and bodies that were refused before a handler saw them
};

class HttpServer {
 public:
  /// Takes over the exchange: answers it now, or keeps it.
  using Handler = std::function<void(HttpRequest request, std::shared_ptr<HttpExchange> exchange)>;
  /// The body of an answer that the server gives by itself, and its type.
  using RefusalBody = std::function<std::string(int status, const std::string& message)>;

  /// Takes the address. Errors: invalid_argument (no IP address), io_error (it is taken, for
  /// example).
  static Result<std::unique_ptr<HttpServer>> listen(const HttpOptions& options, Handler handler,
                                                    RefusalBody refusal_body);
  virtual ~HttpServer() = default;

  virtual uint16_t port() const = 0;
  virtual const HttpCounts& counts() const = 0;
  /// Serves until stop() and the end of what is being answered then.
  virtual void run() = 0;

  /// Lets the server's thread call. From any thread.
  virtual void post(std::function<void()> call) = 0;
  /// Calls on the server's thread after a time, unless it has ended before. On that thread.
  virtual void after(double seconds, std::function<void()> call) = 0;
  /// Calls on the server's thread at each of SIGINT and SIGTERM.
  virtual void on_signal(std::function<void()> call) = 0;
  /// Takes no more connections, closes those without a request; run() returns when the last answer
  /// is written. On the server's thread.
  virtual void stop() = 0;
  /// Closes every connection. On the server's thread.
  virtual void abort() = 0;
};

}  // namespace midge
