// Connections, their exchanges and the server that has them hold each other, so they stand
// together, long as that is.
#include "server/http/http_server.h"

#include <cerrno>
#include <csignal>
#include <list>
#include <optional>
#include <unordered_set>

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/chunk_encode.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/verb.hpp>

#include "engine/core/check.h"

namespace midge {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Error = boost::system::error_code;

std::chrono::steady_clock::duration seconds_of(double seconds) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(seconds));
}

bool has_bare_line_feed(std::string_view text) {
  for (size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    if (at == 0 || text[at - 1] != '\r') return true;
  }
  return false;
}

class Connection;

/// What connections share.
struct Shared {
  HttpOptions options;
  HttpServer::Handler handler;
  HttpServer::RefusalBody refusal_body;
  HttpCounts counts;
  std::unordered_set<Connection*> connections;
  bool is_stopping = false;
  std::function<void()> on_closed;
};

/// One request's answer. Outlives its connection where the handler keeps it.
class Exchange : public HttpExchange {
 public:
  explicit Exchange(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}

  void respond(int status, std::string_view content_type, std::string body,
               HttpFields fields) override;
  void begin_stream(std::string_view content_type) override;
  void send(std::string_view piece) override;
  void end_stream() override;
  size_t unsent_bytes() const override;
  void abort() override;
  void on_gone(std::function<void()> call) override { gone_ = std::move(call); }

  /// The client has gone, or the answer is whole.
  void detach(bool has_gone) {
    connection_.reset();
    if (auto call = std::exchange(gone_, nullptr); call && has_gone) call();
  }

 private:
  std::shared_ptr<Connection> connection_;
  std::function<void()> gone_;
};

/// One client: a request, its answer, the next request.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, Shared& shared)
      : socket_(std::move(socket)),
        timer_(socket_.get_executor()),
        shared_(shared),
        buffer_(shared.options.limits.head_bytes + kChunkHeadBytesMax) {
    Error error;
    const tcp::endpoint peer = socket_.remote_endpoint(error);
    if (!error) peer_ = peer.address().to_string();
    socket_.set_option(tcp::no_delay(true), error);
    shared_.connections.insert(this);
    shared_.counts.connections = static_cast<int64_t>(shared_.connections.size());
    ++shared_.counts.connections_all;
  }
  ~Connection() {
    shared_.connections.erase(this);
    shared_.counts.connections = static_cast<int64_t>(shared_.connections.size());
    if (shared_.on_closed) shared_.on_closed();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start() { await_request(); }
  bool is_idle() const { return state_ == State::kIdle; }

  void close() {
    Error ignored;
    socket_.shutdown(tcp::socket::shutdown_both, ignored);
    socket_.close(ignored);
    clear_deadline();
    leave(true);
  }

  // Of the exchange.
  void begin_answer(int status, std::string_view content_type, const HttpFields& fields,
                    std::optional<size_t> length);
  void append(std::string_view bytes) { waiting_.append(bytes); }
  void append_body(std::string_view body) {
    if (!is_head_) append(body);
  }
  void append_chunk(std::string_view piece) {
    if (piece.empty()) return;
    if (is_old_) return append(piece);
    waiting_ += format_string("%zx\r\n", piece.size());
    waiting_ += piece;
    waiting_ += "\r\n";
  }
  void end_stream() {
    if (!is_old_) append("0\r\n\r\n");
    end_answer();
  }
  void end_answer();
  void schedule_write();
  size_t unsent_bytes() const { return waiting_.size() + writing_.size(); }

 private:
  // Of a chunked body the lines before chunks and the fields behind them: the limit of the body
  // does not count them, and the parser waits for their ends.
  static constexpr size_t kChunkHeadBytesMax = size_t{64} << 10;

  static constexpr double kCancelAgainSeconds = 0.1;

  enum class State : uint8_t {
    kIdle,       // waits for the first byte of a request
    kReading,    // its head or its body
    kAnswering,  // the handler has it
    kClosing,    // the last answer is being written
  };

  // A connection that stays open costs nothing until its next byte: no read is under way that
  // would hold a buffer.
  void await_request() {
    state_ = State::kIdle;
    parser_.reset();
    is_head_ = false;
    if (shared_.is_stopping && answered_) return close();
    if (buffer_.size() > 0) return read_head();
    set_deadline(shared_.options.limits.idle_seconds);
    socket_.async_read_some(buffer_.prepare(4096),
                            [self = shared_from_this()](Error error, size_t bytes) {
                              if (error) return self->close();
                              self->buffer_.commit(bytes);
                              self->read_head();
                            });
  }

  void read_head() {
    state_ = State::kReading;
    set_deadline(shared_.options.limits.head_seconds);
    read_more_head();
  }

  // What the socket does then ends with an error, and is_late_ tells why.
  void set_deadline(double seconds) {
    clear_deadline();
    await_deadline(seconds);
  }
  void await_deadline(double seconds) {
    timer_.expires_after(seconds_of(seconds));
    timer_.async_wait([self = shared_from_this(), number = deadline_number_](Error error) {
      if (error || number != self->deadline_number_) return;
      self->is_late_ = true;
      Error ignored;
      self->socket_.cancel(ignored);
      // What had just succeeded is not cancelled, and may go on with more.
      self->await_deadline(kCancelAgainSeconds);
    });
  }
  void clear_deadline() {
    ++deadline_number_;
    is_late_ = false;
    timer_.cancel();
  }

  std::string_view buffered() const {
    return {static_cast<const char*>(buffer_.data().data()), buffer_.size()};
  }

  void read_more_head() {
    // An empty line before a request is no request (RFC 9112, 2.2 allows to skip it; we do not).
    const size_t end = buffered().find("\r\n\r\n");
    const size_t most = shared_.options.limits.head_bytes;
    if (end != std::string_view::npos && end + 4 <= most) return take_head(end + 4);
    if (buffered().size() >= most || end != std::string_view::npos) {
      return refuse({431, format_string("the head has more than %zu bytes", most)});
    }
    // A client that ends its lines in another way would wait for the time limit otherwise.
    if (has_bare_line_feed(buffered())) {
      return refuse({400, "the head has a line that does not end with CR LF"});
    }
    socket_.async_read_some(buffer_.prepare(std::min(most - buffered().size(), size_t{4096})),
                            [self = shared_from_this()](Error error, size_t bytes) {
                              if (self->is_late_) {
                                return self->refuse({408, "the head did not come in time"});
                              }
                              if (error) return self->close();
                              self->buffer_.commit(bytes);
                              self->read_more_head();
                            });
  }

  void take_head(size_t bytes) {
    HttpRefusal refusal;
    const std::string_view text = buffered().substr(0, bytes);
    const std::optional<RequestHead> head =
        read_request_head(text, shared_.options.limits, &refusal);
    if (!head.has_value()) return refuse(refusal);
    keeps_alive_ = head->keeps_alive;
    is_old_ = head->is_old;
    request_ = HttpRequest();
    request_.method = head->method;
    is_head_ = head->method == "HEAD";
    const size_t mark = std::min(head->target.find('?'), head->target.size());
    request_.path = head->target.substr(0, mark);
    request_.query = head->target.substr(std::min(mark + 1, head->target.size()));
    request_.host = head->host;
    request_.origin = head->origin;
    request_.authorization = head->authorization;
    request_.content_type = head->content_type;
    request_.peer = peer_;
    const bool continues = head->expects_continue && head->body != BodyLength::kNone;
    parser_.emplace();
    parser_->header_limit(static_cast<uint32_t>(shared_.options.limits.head_bytes));
    parser_->body_limit(shared_.options.limits.body_bytes);
    Error error;
    parser_->put(asio::const_buffer(text.data(), text.size()), error);
    buffer_.consume(bytes);
    if (error && error != http::error::need_more) {
      return refuse({400, "the head is malformed: " + error.message()});
    }
    if (!continues) return read_body();
    waiting_ = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(socket_, asio::buffer(waiting_),
                      [self = shared_from_this()](Error failed, size_t) {
                        self->waiting_.clear();
                        if (failed) return self->close();
                        self->read_body();
                      });
  }

  void read_body() {
    if (parser_->is_done()) return dispatch();
    set_deadline(shared_.options.limits.body_seconds);
    http::async_read(socket_, buffer_, *parser_, [self = shared_from_this()](Error error, size_t) {
      if (!error) return self->dispatch();
      if (error == http::error::body_limit) {
        return self->refuse({413, format_string("the body has more than %zu bytes",
                                                self->shared_.options.limits.body_bytes)});
      }
      if (error == http::error::buffer_overflow) {
        return self->refuse(
            {400, format_string("the lines around a chunk of the body have more than "
                                "%zu bytes",
                                kChunkHeadBytesMax)});
      }
      if (self->is_late_) {
        return self->refuse({408, "the body did not come in time"});
      }
      if (error.category() == http::make_error_code(http::error::bad_chunk).category() &&
          error != http::error::end_of_stream && error != http::error::partial_message) {
        return self->refuse({400, "the body is malformed: " + error.message()});
      }
      self->close();
    });
  }

  void dispatch() {
    state_ = State::kAnswering;
    request_.body = std::move(parser_->get().body());
    parser_.reset();
    clear_deadline();
    exchange_ = std::make_shared<Exchange>(shared_from_this());
    watch_client();
    shared_.handler(std::move(request_), exchange_);
  }

  // While a request is answered only this tells that the client has gone. What it sends meanwhile
  // belongs to its next request and waits in the buffer; of more than a head holds, writing tells.
  void watch_client() {
    if (buffer_.size() >= shared_.options.limits.head_bytes) return;
    socket_.async_wait(
        tcp::socket::wait_read, [self = shared_from_this(), number = answer_number_](Error error) {
          if (error || number != self->answer_number_) return;
          if (self->state_ != State::kAnswering) return;
          const asio::mutable_buffer room = self->buffer_.prepare(4096);
          const ssize_t got =
              ::recv(self->socket_.native_handle(), room.data(), room.size(), MSG_DONTWAIT);
          if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return self->close();
          if (got > 0) self->buffer_.commit(static_cast<size_t>(got));
          self->watch_client();
        });
  }

  void refuse(const HttpRefusal& refusal) {
    ++shared_.counts.refused_heads;
    state_ = State::kAnswering;
    keeps_alive_ = false;
    parser_.reset();
    clear_deadline();
    const std::string body = shared_.refusal_body(refusal.status, refusal.message);
    begin_answer(refusal.status, "application/json", {}, body.size());
    append_body(body);
    end_answer();
  }

  // The exchange is told at most once.
  void leave(bool has_gone) {
    ++answer_number_;
    waiting_.clear();
    if (const auto exchange = std::exchange(exchange_, nullptr)) exchange->detach(has_gone);
  }

  void write() {
    is_writing_ = true;
    writing_.clear();
    std::swap(writing_, waiting_);
    write_some(0);
  }

  // A client that reads, however slowly, is not late.
  void write_some(size_t done) {
    set_deadline(shared_.options.limits.write_seconds);
    socket_.async_write_some(asio::buffer(writing_) + done,
                             [self = shared_from_this(), done](Error error, size_t bytes) {
                               if (!error && done + bytes < self->writing_.size())
                                 return self->write_some(done + bytes);
                               self->is_writing_ = false;
                               self->writing_.clear();
                               if (error) return self->close();
                               self->clear_deadline();
                               if (!self->waiting_.empty()) return self->write();
                               if (self->is_whole_) self->finish_answer();
                             });
  }

  void finish_answer() {
    is_whole_ = false;
    answered_ = true;
    leave(false);
    if (keeps_alive_ && !shared_.is_stopping) return await_request();
    linger();
  }

  // Closing at once would reset the connection while the client still writes, and it would not see
  // the answer: what comes is dropped for a moment.
  void linger() {
    state_ = State::kClosing;
    Error ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    set_deadline(1);
    drop_input();
  }
  void drop_input() {
    buffer_.consume(buffer_.size());
    socket_.async_read_some(buffer_.prepare(4096),
                            [self = shared_from_this()](Error error, size_t bytes) {
                              self->dropped_ += bytes;
                              constexpr size_t kDroppedMax = size_t{16} << 20;
                              if (error || self->dropped_ > kDroppedMax) return self->close();
                              self->drop_input();
                            });
  }

  tcp::socket socket_;
  asio::steady_timer timer_;
  Shared& shared_;
  std::string peer_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  HttpRequest request_;
  std::shared_ptr<Exchange> exchange_;
  State state_ = State::kIdle;
  bool keeps_alive_ = false;
  bool is_old_ = false;    // HTTP/1.0
  bool is_head_ = false;   // HEAD: an answer has no body
  bool answered_ = false;  // a request at least
  bool is_whole_ = false;  // the answer; its end may wait to be written
  bool is_writing_ = false;
  bool write_is_scheduled_ = false;
  uint64_t answer_number_ = 0;
  uint64_t deadline_number_ = 0;
  bool is_late_ = false;
  size_t dropped_ = 0;
  std::string waiting_;
  std::string writing_;
};

void Connection::begin_answer(int status, std::string_view content_type, const HttpFields& fields,
                              std::optional<size_t> length) {
  // HTTP/1.0 knows no chunks: the end of the connection is then that of a stream.
  const bool ends_by_closing = is_old_ && !length.has_value();
  const bool closes = !keeps_alive_ || shared_.is_stopping || ends_by_closing;
  waiting_ += format_string("HTTP/1.1 %d ", status);
  waiting_ +=
      std::string(http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status))));
  waiting_ += "\r\nContent-Type: ";
  waiting_ += content_type;
  if (length.has_value()) {
    waiting_ += format_string("\r\nContent-Length: %zu", *length);
  } else if (!ends_by_closing) {
    waiting_ += "\r\nTransfer-Encoding: chunked";
  }
  // Nothing here is to be kept, guessed or framed by a browser.
  waiting_ += "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff";
  const HttpFields* const lists[] = {&shared_.options.fields, &fields};
  for (const HttpFields* list : lists) {
    for (const auto& [name, value] : *list) waiting_ += "\r\n" + name + ": " + value;
  }
  waiting_ += closes ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n";
  if (closes) keeps_alive_ = false;
}

void Connection::end_answer() {
  is_whole_ = true;
  schedule_write();
}

// What a handler sends until it returns goes out in one write.
void Connection::schedule_write() {
  if (is_writing_ || write_is_scheduled_) return;
  write_is_scheduled_ = true;
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->write_is_scheduled_ = false;
    if (!self->is_writing_ && (!self->waiting_.empty() || self->is_whole_)) self->write();
  });
}

void Exchange::respond(int status, std::string_view content_type, std::string body,
                       HttpFields fields) {
  if (connection_ == nullptr) return;
  connection_->begin_answer(status, content_type, fields, body.size());
  connection_->append_body(body);
  connection_->end_answer();
}

void Exchange::begin_stream(std::string_view content_type) {
  if (connection_ == nullptr) return;
  // nginx collects answers otherwise, and a short one would come in one piece.
  connection_->begin_answer(200, content_type, {{"X-Accel-Buffering", "no"}}, std::nullopt);
  connection_->schedule_write();
}

void Exchange::send(std::string_view piece) {
  if (connection_ == nullptr) return;
  connection_->append_chunk(piece);
  connection_->schedule_write();
}

void Exchange::end_stream() {
  if (connection_ == nullptr) return;
  connection_->end_stream();
}

size_t Exchange::unsent_bytes() const {
  return connection_ == nullptr ? 0 : connection_->unsent_bytes();
}

void Exchange::abort() {
  // Closing lets go of the exchange's hold on it.
  if (const std::shared_ptr<Connection> connection = connection_) connection->close();
}

class Server : public HttpServer {
 public:
  Server(const HttpOptions& options, Handler handler, RefusalBody refusal_body) {
    shared_.options = options;
    shared_.handler = std::move(handler);
    shared_.refusal_body = std::move(refusal_body);
    shared_.on_closed = [this] { on_closed(); };
  }
  ~Server() override { shared_.on_closed = nullptr; }

  Status open() {
    Error error;
    const asio::ip::address address = asio::ip::make_address(shared_.options.host, error);
    if (error) {
      return make_status(StatusCode::kInvalidArgument, "host '%s', expected an IP address",
                         printable(shared_.options.host).c_str());
    }
    const tcp::endpoint endpoint(address, shared_.options.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      return make_status(StatusCode::kIoError, "%s port %u: %s", shared_.options.host.c_str(),
                         shared_.options.port, error.message().c_str());
    }
    port_ = acceptor_.local_endpoint(error).port();
    accept();
    return Status();
  }

  uint16_t port() const override { return port_; }
  const HttpCounts& counts() const override { return shared_.counts; }
  void run() override { context_.run(); }
  void post(std::function<void()> call) override { asio::post(context_, std::move(call)); }

  void after(double seconds, std::function<void()> call) override {
    if (has_ended_) return;
    timers_.emplace_back(context_, seconds_of(seconds));
    const auto timer = std::prev(timers_.end());
    timer->async_wait([this, timer, call = std::move(call)](Error error) {
      if (has_ended_) return;  // and the list is empty
      timers_.erase(timer);
      if (!error) call();
    });
  }

  void on_signal(std::function<void()> call) override {
    signals_.emplace(context_, SIGINT, SIGTERM);
    on_signal_ = std::move(call);
    await_signal();
  }

  void stop() override {
    if (std::exchange(shared_.is_stopping, true)) return;
    Error ignored;
    acceptor_.close(ignored);
    for (Connection* connection : all_connections()) {
      if (connection->is_idle()) connection->close();
    }
    on_closed();
  }

  void abort() override {
    stop();
    for (Connection* connection : all_connections()) connection->close();
  }

 private:
  std::vector<Connection*> all_connections() const {
    return {shared_.connections.begin(), shared_.connections.end()};
  }

  void accept() {
    is_accepting_ = true;
    acceptor_.async_accept([this](Error error, tcp::socket socket) {
      is_accepting_ = false;
      if (shared_.is_stopping) return;
      if (error) {
        // Out of descriptors, most often: others have to end first.
        return after(0.1, [this] { accept_if_room(); });
      }
      std::make_shared<Connection>(std::move(socket), shared_)->start();
      accept_if_room();
    });
  }
  void accept_if_room() {
    if (is_accepting_ || shared_.is_stopping) return;
    if (shared_.connections.size() < shared_.options.limits.connections) accept();
  }

  void await_signal() {
    signals_->async_wait([this](Error error, int) {
      if (error) return;
      on_signal_();
      if (!has_ended_) await_signal();
    });
  }

  // The end of the last connection ends the server.
  void on_closed() {
    if (!shared_.is_stopping) return accept_if_room();
    if (!shared_.connections.empty()) return;
    has_ended_ = true;
    timers_.clear();
    signals_.reset();
  }

  Shared shared_;
  bool has_ended_ = false;
  bool is_accepting_ = false;
  uint16_t port_ = 0;
  std::function<void()> on_signal_;
  // Last, so that it goes first: what waits in it holds connections.
  asio::io_context context_{1};
  tcp::acceptor acceptor_{context_};
  std::list<asio::steady_timer> timers_;
  std::optional<asio::signal_set> signals_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::listen(const HttpOptions& options, Handler handler,
                                                       RefusalBody refusal_body) {
  auto server = std::make_unique<Server>(options, std::move(handler), std::move(refusal_body));
  MIDGE_RETURN_IF_ERROR(server->open());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace midge
