// What the server costs: the same requests through the C interface and over HTTP, in turns.
//
//   midge_serving_cost MODEL [STREAMS [TOKENS [ROUNDS]]]
//
// A round runs STREAMS requests of TOKENS tokens side by side, once through the C interface and
// once over HTTP by as many clients, each of which reads its stream in this program. The server's
// thread is timed by its own CPU clock. Prints a line for each round, then medians.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include "midge/midge.h"
#include "server/service.h"

namespace midge {
namespace {

constexpr const char* kPrompt = "Once upon a time there was a small house at the edge of a forest.";

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double cpu_seconds(pthread_t thread) {
  clockid_t clock = 0;
  timespec time = {};
  if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

int32_t ignore_event(void*, const midge_event*) { return 0; }

// Seconds for all requests through the C interface.
double run_directly(midge_engine* engine, int streams, int tokens) {
  const double begin = now();
  std::vector<uint64_t> ids;
  for (int i = 0; i < streams; ++i) {
    midge_request request = {};
    request.size = sizeof(request);
    request.text = kPrompt;
    request.tokens_max = tokens;
    request.ignore_stop_tokens = 1;
    request.temperature = 1;
    request.seed = static_cast<uint64_t>(i) + 1;
    request.on_event = &ignore_event;
    uint64_t id = 0;
    if (midge_submit(engine, &request, &id) != MIDGE_OK) std::exit(1);
    ids.push_back(id);
  }
  for (const uint64_t id : ids) midge_wait(engine, id, -1);
  return now() - begin;
}

// One client: counts the events of its stream.
void read_stream(uint16_t port, int seed, int tokens, int* events) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return;
  const std::string body =
      std::string("{\"prompt\":\"") + kPrompt +
      "\",\"stream\":true,\"ignore_eos\":true,\"temperature\":1,\"seed\":" + std::to_string(seed) +
      ",\"max_tokens\":" + std::to_string(tokens) + "}";
  const std::string request =
      "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Connection: close\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  (void)!::write(socket, request.data(), request.size());
  std::string text;
  char buffer[65536];
  for (ssize_t bytes; (bytes = ::read(socket, buffer, sizeof(buffer))) > 0;) {
    text.append(buffer, static_cast<size_t>(bytes));
  }
  ::close(socket);
  for (size_t at = text.find("data: {"); at != std::string::npos;
       at = text.find("data: {", at + 1)) {
    ++*events;
  }
}

double run_over_http(uint16_t port, int streams, int tokens, int* events) {
  const double begin = now();
  std::vector<int> counts(static_cast<size_t>(streams), 0);
  std::vector<std::thread> clients;
  for (int i = 0; i < streams; ++i) {
    clients.emplace_back(read_stream, port, i + 1, tokens, &counts[static_cast<size_t>(i)]);
  }
  for (std::thread& client : clients) client.join();
  for (const int count : counts) *events += count;
  return now() - begin;
}

int run(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: midge_serving_cost MODEL [STREAMS [TOKENS [ROUNDS]]]\n");
    return 2;
  }
  const int streams = argc > 2 ? std::atoi(argv[2]) : 4;
  const int tokens = argc > 3 ? std::atoi(argv[3]) : 64;
  const int rounds = argc > 4 ? std::atoi(argv[4]) : 5;
  if (streams < 1 || tokens < 1 || rounds < 1) {
    std::fprintf(stderr, "STREAMS, TOKENS and ROUNDS are numbers from 1 on\n");
    return 2;
  }
  midge_model_options options = {};
  options.size = sizeof(options);
  options.calibrate = 1;
  options.context_length = 1024;
  options.kv_tokens = int64_t{1024} * streams;
  midge_model* model = nullptr;
  midge_engine* engine = nullptr;
  midge_error error;
  if (midge_model_open(argv[1], &options, &model, &error) != MIDGE_OK ||
      midge_engine_create(&model, 1, nullptr, &engine, &error) != MIDGE_OK) {
    std::fprintf(stderr, "%s\n", error.text);
    return error.status;
  }
  ServiceOptions service_options;
  service_options.http.port = 0;
  service_options.handles_signals = false;
  auto service = Service::create(engine, {{"model", model, 1024}}, service_options);
  if (!service.ok()) return 1;
  std::thread server([&] { (*service)->run(); });
  const pthread_t handle = server.native_handle();

  int events = 0;
  run_directly(engine, streams, 8);
  run_over_http((*service)->port(), streams, 8, &events);
  std::vector<double> ratios;
  std::vector<double> shares;
  for (int round = 0; round < rounds; ++round) {
    // Who begins takes turns too: the machine may get slower or faster.
    double direct = round % 2 == 0 ? run_directly(engine, streams, tokens) : 0;
    const double cpu = cpu_seconds(handle);
    events = 0;
    const double over_http = run_over_http((*service)->port(), streams, tokens, &events);
    const double used = cpu_seconds(handle) - cpu;
    if (round % 2 != 0) direct = run_directly(engine, streams, tokens);
    ratios.push_back(direct / over_http);
    shares.push_back(used / over_http);
    std::printf(
        "round %d: direct %.3f s, HTTP %.3f s, ratio %.3f; server thread %.2f %% of a core, "
        "%d events\n",
        round, direct, over_http, ratios.back(), 100 * shares.back(), events);
    std::fflush(stdout);
  }
  std::printf(
      "median: throughput over HTTP %.3f of that of the C interface; server thread %.2f %% of "
      "a core\n",
      median(ratios), 100 * median(shares));
  (*service)->stop();
  server.join();
  service->reset();
  midge_engine_close(&engine, MIDGE_CANCEL);
  midge_model_close(&model);
  return 0;
}

}  // namespace
}  // namespace midge

int main(int argc, char** argv) { return midge::run(argc, argv); }
