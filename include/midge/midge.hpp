/// midge for C++: owners and values over midge.h, whose comments say what everything means.
/// Header only; C++17. Nothing here throws.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "midge/midge.h"

namespace midge {
inline namespace v1 {

/// Why something failed.
struct Error {
  midge_status status = MIDGE_OK;
  std::string text;
};

/// A value, or why there is none.
template <typename T>
class [[nodiscard]] Expected {
 public:
  Expected(T value) : either_(std::move(value)) {}      // NOLINT: implicit on purpose
  Expected(Error error) : either_(std::move(error)) {}  // NOLINT

  bool has_value() const { return either_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  /// has_value() holds.
  T& operator*() { return *std::get_if<0>(&either_); }
  const T& operator*() const { return *std::get_if<0>(&either_); }
  T* operator->() { return std::get_if<0>(&either_); }
  const T* operator->() const { return std::get_if<0>(&either_); }
  /// has_value() does not hold.
  const Error& error() const { return *std::get_if<1>(&either_); }

 private:
  std::variant<T, Error> either_;
};

/// Nothing, or why it failed.
using Outcome = Expected<std::monostate>;

namespace internal {

inline Outcome outcome(midge_status status, const void* handle) {
  if (status == MIDGE_OK) return std::monostate();
  if (handle == nullptr) return Error{status, "it is closed"};
  Error error = {status, std::string(512, '\0')};
  midge_error_text(handle, error.text.data(), error.text.size());
  error.text.resize(std::char_traits<char>::length(error.text.c_str()));
  return error;
}

inline Error opening_error(const midge_error& error) { return {error.status, error.text}; }

}  // namespace internal

/// See midge_model_options. Its texts are those of the caller until the model is open.
struct ModelOptions : midge_model_options {
  ModelOptions() : midge_model_options{} { size = sizeof(midge_model_options); }
};

struct EngineOptions : midge_engine_options {
  EngineOptions() : midge_engine_options{} { size = sizeof(midge_engine_options); }
};

/// An open model. Outlives its engines.
class Model {
 public:
  static Expected<Model> open(const std::string& path, const ModelOptions& options = {}) {
    Model model;
    midge_error error;
    if (midge_model_open(path.c_str(), &options, &model.handle_, &error) != MIDGE_OK) {
      return internal::opening_error(error);
    }
    return model;
  }

  Model(Model&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Model& operator=(Model&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Model() {
    if (handle_ != nullptr) midge_model_close(&handle_);
  }

  midge_model_info info() const {
    midge_model_info info = {};
    info.size = sizeof(info);
    midge_model_info_get(handle_, &info);
    return info;
  }

  /// flags: MIDGE_SPECIAL_..., MIDGE_ADD_BOS.
  Expected<std::vector<int32_t>> tokenize(std::string_view text, uint32_t flags = 0) const {
    std::vector<int32_t> tokens(text.size() + 1);
    size_t count = tokens.size();
    midge_status status =
        midge_tokenize(handle_, text.data(), text.size(), flags, tokens.data(), &count);
    if (status == MIDGE_TOO_SMALL) {
      tokens.resize(count);
      status = midge_tokenize(handle_, text.data(), text.size(), flags, tokens.data(), &count);
    }
    if (status != MIDGE_OK) return internal::outcome(status, handle_).error();
    tokens.resize(count);
    return tokens;
  }

  Expected<std::string> detokenize(const std::vector<int32_t>& tokens,
                                   bool with_special = false) const {
    std::string text;
    size_t bytes = 0;
    midge_status status =
        midge_detokenize(handle_, tokens.data(), tokens.size(), with_special, nullptr, &bytes);
    if (status == MIDGE_TOO_SMALL) {
      text.resize(bytes);
      status = midge_detokenize(handle_, tokens.data(), tokens.size(), with_special, text.data(),
                                &bytes);
    }
    if (status != MIDGE_OK) return internal::outcome(status, handle_).error();
    return text;
  }

  midge_model* handle() const { return handle_; }

 private:
  Model() = default;

  midge_model* handle_ = nullptr;
};

/// What is asked of a model. Owns its texts; the fields of midge_request that are not here are in
/// `more`.
struct Request {
  std::string text;
  std::vector<int32_t> tokens;  ///< instead of text
  std::vector<uint8_t> roles;   ///< of the tokens; empty: all MIDGE_ROLE_PROMPT
  struct Message {
    std::string role;
    std::string content;
  };
  std::vector<Message> messages;  ///< instead of text
  std::vector<std::string> stop_strings;
  /// Told of every event; false cancels the answer. Empty: events wait for Engine::next_event.
  std::function<bool(const midge_event&)> on_event;
  midge_request more = {};
};

/// Serves requests. Everything may be called from any thread; what midge.h says of callbacks holds.
class Engine {
 public:
  static Expected<Engine> create(const std::vector<const Model*>& models,
                                 const EngineOptions& options = {}) {
    std::vector<midge_model*> handles;
    for (const Model* model : models) handles.push_back(model->handle());
    Engine engine;
    midge_error error;
    if (midge_engine_create(handles.data(), handles.size(), &options, &engine.handle_, &error) !=
        MIDGE_OK) {
      return internal::opening_error(error);
    }
    return engine;
  }
  static Expected<Engine> create(const Model& model, const EngineOptions& options = {}) {
    return create(std::vector<const Model*>{&model}, options);
  }

  Engine(Engine&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Engine& operator=(Engine&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  /// Cancels what has not ended.
  ~Engine() {
    if (handle_ != nullptr) midge_engine_close(&handle_, MIDGE_CANCEL);
  }

  /// Returns the request's id.
  Expected<uint64_t> submit(const Request& request) {
    midge_request given = request.more;
    given.size = sizeof(given);
    std::vector<midge_chat_message> messages;
    for (const Request::Message& message : request.messages) {
      messages.push_back({message.role.c_str(), message.content.c_str()});
    }
    std::vector<const char*> stops;
    for (const std::string& stop : request.stop_strings) stops.push_back(stop.c_str());
    if (!request.tokens.empty()) {
      given.tokens = request.tokens.data();
      given.token_count = request.tokens.size();
      if (!request.roles.empty()) given.token_roles = request.roles.data();
    } else if (!messages.empty()) {
      given.messages = messages.data();
      given.message_count = messages.size();
    } else if (given.messages_json == nullptr) {
      given.text = request.text.c_str();
    }
    if (!stops.empty()) {
      given.stop_strings = stops.data();
      given.stop_string_count = stops.size();
    }
    std::unique_ptr<Callback> callback;
    if (request.on_event) {
      const int32_t answers = given.samples > 0 ? given.samples : 1;
      callback = std::make_unique<Callback>(Callback{request.on_event, answers});
      given.on_event = &Callback::call;
      given.user = callback.get();
    }
    uint64_t id = 0;
    const midge_status status = midge_submit(handle_, &given, &id);
    if (status != MIDGE_OK) return internal::outcome(status, handle_).error();
    callback.release();  // it goes with the last answer
    return id;
  }

  Outcome cancel(uint64_t id) { return internal::outcome(midge_cancel(handle_, id), handle_); }
  /// seconds: at most; negative: as long as it takes.
  Outcome wait(uint64_t id, double seconds = -1) {
    return internal::outcome(midge_wait(handle_, id, seconds), handle_);
  }
  Expected<midge_event> next_event(uint64_t id, double seconds = -1) {
    midge_event event = {};
    event.size = sizeof(event);
    const midge_status status = midge_next_event(handle_, id, seconds, &event);
    if (status != MIDGE_OK) return internal::outcome(status, handle_).error();
    return event;
  }
  /// Whether there is more to do.
  Expected<bool> step() {
    int32_t more = 0;
    const midge_status status = midge_engine_step(handle_, &more);
    if (status != MIDGE_OK) return internal::outcome(status, handle_).error();
    return more != 0;
  }
  Expected<midge_engine_stats> stats(size_t model = 0) {
    midge_engine_stats stats = {};
    stats.size = sizeof(stats);
    const midge_status status = midge_engine_stats_get(handle_, model, &stats);
    if (status != MIDGE_OK) return internal::outcome(status, handle_).error();
    return stats;
  }
  /// How many of the tokens were saved.
  Expected<size_t> save_prefix(const std::vector<int32_t>& tokens, const std::string& path,
                               const std::vector<uint8_t>& roles = {}, size_t model = 0) {
    size_t saved = 0;
    const midge_status status =
        midge_prefix_save(handle_, model, tokens.data(), roles.empty() ? nullptr : roles.data(),
                          tokens.size(), path.c_str(), &saved);
    if (status != MIDGE_OK) return internal::outcome(status, handle_).error();
    return saved;
  }
  Expected<size_t> load_prefix(const std::string& path, size_t model = 0) {
    size_t loaded = 0;
    const midge_status status = midge_prefix_load(handle_, model, path.c_str(), &loaded);
    if (status != MIDGE_OK) return internal::outcome(status, handle_).error();
    return loaded;
  }
  Outcome trim() { return internal::outcome(midge_engine_trim(handle_), handle_); }
  /// how: MIDGE_FINISH serves what was submitted, MIDGE_CANCEL ends it.
  Outcome close(int32_t how) {
    const midge_status status = midge_engine_close(&handle_, how);
    return status == MIDGE_OK ? Outcome(std::monostate()) : internal::outcome(status, handle_);
  }

  midge_engine* handle() const { return handle_; }

 private:
  // A caller's function, until its request has told the end of its last answer.
  struct Callback {
    std::function<bool(const midge_event&)> on_event;
    int32_t ends_left;

    static int32_t call(void* user, const midge_event* event) {
      auto* self = static_cast<Callback*>(user);
      std::unique_ptr<Callback> last;
      if (event->type == MIDGE_EVENT_END && --self->ends_left == 0) last.reset(self);
      return self->on_event(*event) ? 0 : 1;
    }
  };

  Engine() = default;

  midge_engine* handle_ = nullptr;
};

}  // namespace v1
}  // namespace midge
