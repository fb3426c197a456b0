// The server: which path answers what.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/core/status.h"
#include "midge/midge.h"
#include "server/access.h"
#include "server/http/http_server.h"

namespace midge {

/// A model under the name that requests give.
struct ServedName {
  std::string name;
  midge_model* model = nullptr;
  int64_t context_length = 0;  ///< of the engine's
};

struct ServiceOptions {
  HttpOptions http;
  AccessOptions access;
  std::string chat_template;    ///< of all models, by name; empty: each its own
  double ping_seconds = 5;      ///< silence of a stream before a comment is sent
  double stop_seconds = 30;     ///< for what is being answered at the first signal
  double deadline_seconds = 0;  ///< of a request; 0: none
  int64_t requests_max = 1024;  ///< of the engine's options
  int64_t running_max = 16;     ///< of each model's options
  bool logs_content = false;    ///< the texts of requests and answers too
  bool handles_signals = true;  ///< SIGINT and SIGTERM stop it
  std::function<void(const std::string& line)> log;  ///< may be empty
};

/// Serves the requests of an engine over HTTP.
class Service {
 public:
  /// models: in the engine's order; engine and models outlive this. Takes the address. Errors:
  /// those of HttpServer::listen; invalid_argument (an address that others can reach, and no key).
  static Result<std::unique_ptr<Service>> create(midge_engine* engine,
                                                 std::vector<ServedName> models,
                                                 ServiceOptions options);
  virtual ~Service() = default;

  virtual uint16_t port() const = 0;
  /// Serves until a signal or stop(). Afterwards no request is left in the engine.
  virtual void run() = 0;
  /// Finishes what is being answered within stop_seconds, cancels what is left then. From any
  /// thread.
  virtual void stop() = 0;
};

}  // namespace midge
