// A server on a tiny model in this process, and a client that sends any bytes.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <midge/midge.h>

#include "server/service.h"

namespace midge::test {

/// A connection. Everything has a time limit, so that no test hangs.
class Client {
 public:
  explicit Client(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_open_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~Client() { close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool is_open() const { return is_open_; }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  /// Until what came contains `mark`, the server closes, or time is out.
  std::string read_until(std::string_view mark, double seconds = 20) {
    const auto end = std::chrono::steady_clock::now() +
                     std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
    while (got_.find(mark) == std::string::npos) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          end - std::chrono::steady_clock::now());
      pollfd waiting = {socket_, POLLIN, 0};
      if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) <= 0) break;
      char buffer[65536];
      const ssize_t bytes = ::recv(socket_, buffer, sizeof(buffer), 0);
      if (bytes <= 0) {
        was_closed_ = true;
        break;
      }
      got_.append(buffer, static_cast<size_t>(bytes));
    }
    return got_;
  }
  /// One whole answer with a Content-Length, or all until the server closes.
  std::string read_answer(double seconds = 20) {
    read_until("\r\n\r\n", seconds);
    const size_t head = got_.find("\r\n\r\n");
    const size_t length = got_.find("Content-Length: ");
    if (head == std::string::npos || length > head) {
      read_until("\r\n0\r\n\r\n", seconds);
      return std::exchange(got_, {});
    }
    const size_t whole = head + 4 + std::stoul(got_.substr(length + 16));
    while (got_.size() < whole && !was_closed_) {
      const size_t before = got_.size();
      read_until(std::string(1, '\0') + "never", 1);
      if (got_.size() == before) break;
    }
    std::string answer = got_.substr(0, whole);
    got_.erase(0, whole);
    return answer;
  }
  /// All until the server closes, so many bytes at a time with a pause behind each. Returns how
  /// many there were.
  size_t read_slowly(size_t bytes, double pause_seconds) {
    std::string buffer(bytes, '\0');
    for (size_t sum = 0;;) {
      const ssize_t got = ::recv(socket_, buffer.data(), buffer.size(), 0);
      if (got <= 0) return sum;
      sum += static_cast<size_t>(got);
      std::this_thread::sleep_for(std::chrono::duration<double>(pause_seconds));
    }
  }
  bool was_closed() {
    if (!was_closed_) read_until("\x01never\x01", 5);
    return was_closed_;
  }

 private:
  int socket_;
  bool is_open_ = false;
  bool was_closed_ = false;
  std::string got_;
};

inline int status_of(const std::string& answer) {
  return answer.starts_with("HTTP/1.1 ") ? std::stoi(answer.substr(9, 3)) : 0;
}
inline std::string body_of(const std::string& answer) {
  const size_t head = answer.find("\r\n\r\n");
  return head == std::string::npos ? "" : answer.substr(head + 4);
}

class ServiceFixture : public ::testing::Test {
 protected:
  /// Of the model in `path_`.
  void serve(ServiceOptions options = {}, midge_engine_options engine_options = {}) {
    midge_model_options model = {};
    model.size = sizeof(model);
    model.recipe = "fast";
    model.context_length = 512;
    model.kv_tokens = 1024;
    midge_error error;
    ASSERT_EQ(midge_model_open(path_.c_str(), &model, &model_, &error), MIDGE_OK) << error.text;
    engine_options.size = sizeof(engine_options);
    engine_options.threads = 2;
    engine_options.no_pinning = 1;
    ASSERT_EQ(midge_engine_create(&model_, 1, &engine_options, &engine_, &error), MIDGE_OK)
        << error.text;
    options.http.port = 0;
    options.handles_signals = false;
    auto service = Service::create(engine_, {{"tiny-phi", model_, 512}}, std::move(options));
    ASSERT_TRUE(service.ok()) << service.status().message();
    service_ = std::move(*service);
    thread_ = std::thread([this] { service_->run(); });
  }
  void stop() {
    if (!thread_.joinable()) return;
    service_->stop();
    thread_.join();
  }
  void TearDown() override {
    stop();
    service_.reset();
    if (engine_ != nullptr) midge_engine_close(&engine_, MIDGE_CANCEL);
    if (model_ != nullptr) midge_model_close(&model_);
  }

  std::string request(const std::string& method, const std::string& path,
                      const std::string& body = {}, const std::string& fields = {}) {
    std::string text = method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + fields;
    if (method == "POST") {
      text += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
              "\r\n";
    }
    return text + "\r\n" + body;
  }
  std::string ask(const std::string& bytes) {
    Client client(service_->port());
    EXPECT_TRUE(client.is_open());
    client.send(bytes);
    return client.read_answer();
  }
  std::string post(const std::string& path, const std::string& body) {
    return ask(request("POST", path, body));
  }
  midge_engine_stats stats() {
    midge_engine_stats stats = {};
    stats.size = sizeof(stats);
    EXPECT_EQ(midge_engine_stats_get(engine_, 0, &stats), MIDGE_OK);
    return stats;
  }
  /// It still answers after what was done to it.
  void expect_alive() {
    EXPECT_EQ(status_of(ask(request("GET", "/health"))), 200);
    const std::string answer = post("/v1/completions", R"({"prompt":"Once","max_tokens":2})");
    EXPECT_EQ(status_of(answer), 200) << answer;
  }

  std::string path_ = MIDGE_SOURCE_DIR "/assets/models/tiny-phi";
  midge_model* model_ = nullptr;
  midge_engine* engine_ = nullptr;
  std::unique_ptr<Service> service_;
  std::thread thread_;
};

}  // namespace midge::test
