// What stands behind the handles of include/midge/midge.h.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/engine.h"
#include "engine/chat/chat.h"
#include "engine/core/exceptions.h"
#include "midge/midge.h"

namespace midge {

/// Begins every handle: what it is, and the text of its last error.
struct CHandle {
  enum class Tag : uint32_t { kModel = 0x6c646f6d, kEngine = 0x6e676e65, kClosed = 0 };

  explicit CHandle(Tag what) : tag(what) {}

  /// Keeps the text of an error; gives its number.
  midge_status fail(const Status& status);
  std::string last_error();

  std::atomic<Tag> tag;

 private:
  std::mutex mutex_;
  std::string error_;
};

/// An event that waits to be taken, with everything that its pointers point to.
struct StoredEvent {
  explicit StoredEvent(const midge_event& event);
  StoredEvent(const StoredEvent&) = delete;
  StoredEvent& operator=(const StoredEvent&) = delete;

  midge_event event;
  std::string text;
  std::string error_text;
  std::vector<midge_logprob> alternatives;
  std::vector<midge_logprob> prompt_logprobs;
  std::vector<midge_logprob> prompt_alternatives;
  midge_request_stats stats = {};
};

/// The events of a request without a callback.
struct Mailbox {
  std::deque<std::unique_ptr<StoredEvent>> waiting;
  std::unique_ptr<StoredEvent> handed_out;
  int32_t ends_left = 0;  // of its answers
};

/// A conversation that may be continued.
struct Transcript {
  size_t model = 0;
  std::vector<int32_t> tokens;
  std::vector<RowRole> roles;
};

/// What a caller's struct says, as this version knows it. Errors: invalid_argument.
template <typename T>
Status read_struct(const char* name, const T* given, T* known) {
  *known = {};
  if (given == nullptr) return Status();
  constexpr size_t kMost = 65536;
  const size_t size = given->size;
  if (size < sizeof(T) || size > kMost) {
    return make_status(StatusCode::kInvalidArgument, "%s has size %zu, expected %zu", name, size,
                       sizeof(T));
  }
  const auto* bytes = reinterpret_cast<const uint8_t*>(given);
  for (size_t i = sizeof(T); i < size; ++i) {
    if (bytes[i] == 0) continue;
    return make_status(StatusCode::kInvalidArgument,
                       "%s of size %zu has something at byte %zu, which this version (%zu bytes) "
                       "does not know",
                       name, size, i, sizeof(T));
  }
  *known = *given;
  return Status();
}

/// Whether a struct that is to be filled has a size that this version can fill.
template <typename T>
Status check_filled(const char* name, const T* given) {
  if (given == nullptr) return make_status(StatusCode::kInvalidArgument, "%s is null", name);
  if (given->size >= sizeof(T)) return Status();
  return make_status(StatusCode::kInvalidArgument, "%s has size %zu, expected %zu", name,
                     given->size, sizeof(T));
}

/// Fills *given, but for its size.
template <typename T>
void fill_struct(T filled, T* given) {
  filled.size = given->size;
  *given = filled;
}

Status null_argument(const char* name);

}  // namespace midge

struct midge_model : midge::CHandle {
  midge_model() : CHandle(Tag::kModel) {}

  std::unique_ptr<midge::LoadedModel> loaded;
  midge::ServedModel served;  // but for its model
  int64_t memory_budget = 0;
  void (*progress)(void* user, int64_t done, int64_t total) = nullptr;
  void* user = nullptr;
  std::optional<midge::ChatTemplate> chat;
  std::string chat_error;  // why it has none
  std::vector<int32_t> stop_ids;
  std::atomic<int> engines = 0;
};

struct midge_engine : midge::CHandle {
  midge_engine() : CHandle(Tag::kEngine) {}

  std::vector<midge_model*> models;
  size_t requests_max = 0;
  int64_t memory = 0;
  bool caller_driven = false;

  std::mutex mutex;  // of what follows
  std::condition_variable told;
  std::unordered_map<uint64_t, std::shared_ptr<midge::Mailbox>> mailboxes;
  std::deque<uint64_t> handed_out;  // requests all of whose events were taken
  std::unordered_map<uint64_t, midge::Transcript> kept;
  std::deque<uint64_t> kept_order;

  std::unique_ptr<midge::Engine> engine;  // destroyed first: its last events need the rest
};

namespace midge {

/// The handle, or null if it is none of this type.
midge_model* as_model(midge_model* handle);
midge_engine* as_engine(midge_engine* handle);

/// Lets a request of the C interface wait for its turn. Errors: those of midge_submit.
Result<uint64_t> submit_request(midge_engine& engine, const midge_request& given);

/// Calls body(), which gives a Status or a number, for a function that must not throw.
template <typename Body>
midge_status guarded(CHandle* handle, const Body& body) {
  MIDGE_TRY {
    const Status status = body();
    return status.ok() ? MIDGE_OK : handle->fail(status);
  }
  MIDGE_CATCH(const std::bad_alloc&) {
    return handle->fail(Status(StatusCode::kOutOfMemory, "no memory"));
  }
  MIDGE_CATCH(...) {
    return handle->fail(Status(StatusCode::kInternal, "an exception inside of midge"));
  }
}

}  // namespace midge
