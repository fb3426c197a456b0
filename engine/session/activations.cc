#include "engine/session/activations.h"

#include <algorithm>
#include <map>

namespace midge {
namespace {

// Adds what matrices read, by the names of the matrices.
class Collector : public InputObserver {
 public:
  explicit Collector(const PreparedWeights& weights) {
    visit_linear_matrices(weights, [&](const std::string& name, const PreparedMatrix& w) {
      names_.emplace(&w, name);
    });
  }

  void observe(std::span<const LinearJob> jobs, const float* x, int64_t rows, int64_t k) override {
    const auto name = names_.find(jobs.front().w);
    if (name != names_.end()) importance.add(name->second, x, rows, k);
  }

  Importance importance;

 private:
  std::map<const PreparedMatrix*, std::string> names_;
};

bool has_packed(const PreparedWeights& weights) {
  bool found = false;
  visit_linear_matrices(weights, [&](const std::string&, const PreparedMatrix& w) {
    found = found || w.form == PreparedMatrix::Form::kTiles;
  });
  return found;
}

// Watches as long as it lives.
class Watch {
 public:
  Watch(Executor& executor, InputObserver* observer) : executor_(executor) {
    executor_.set_observer(observer);
  }
  ~Watch() { executor_.set_observer(nullptr); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  Executor& executor_;
};

}  // namespace

Result<Importance> measure_importance(Session& session, std::span<const int32_t> tokens,
                                      int64_t window,
                                      const std::function<bool(int64_t)>& on_window) {
  if (window < 2 || window > session.context_length() || tokens.empty()) {
    return make_status(StatusCode::kInvalidArgument,
                       "%zu tokens in windows of %lld, expected tokens, and windows of 2..%lld",
                       tokens.size(), static_cast<long long>(window),
                       static_cast<long long>(session.context_length()));
  }
  const PreparedWeights& weights = *session.executor().engine().weights;
  if (has_packed(weights)) {
    return make_status(StatusCode::kInvalidArgument,
                       "importance with packed arithmetic, expected float or xnnpack");
  }
  const int64_t hidden_size = session.model().config().hidden_size;
  MIDGE_ASSIGN_OR_RETURN(
      const AlignedBuffer hidden_buffer,
      AlignedBuffer::create(window * hidden_size * static_cast<int64_t>(sizeof(float)),
                            "hidden states"));
  auto* hidden = reinterpret_cast<float*>(hidden_buffer.data());
  Collector collector(weights);
  const Watch watch(session.executor(), &collector);
  for (size_t start = 0; start < tokens.size(); start += static_cast<size_t>(window)) {
    const auto text =
        tokens.subspan(start, std::min(static_cast<size_t>(window), tokens.size() - start));
    MIDGE_RETURN_IF_ERROR(session.truncate(0));
    RowOutputs outputs;
    outputs.hidden_normed = hidden;
    MIDGE_RETURN_IF_ERROR(session.step(text, outputs));
    // What the head would read, for every row.
    collector.importance.add("head", hidden, static_cast<int64_t>(text.size()), hidden_size);
    const auto done = static_cast<int64_t>(start + text.size());
    collector.importance.set_tokens(done);
    if (on_window != nullptr && !on_window(done)) {
      return make_status(StatusCode::kCancelled, "cancelled");
    }
  }
  MIDGE_RETURN_IF_ERROR(session.truncate(0));
  return std::move(collector.importance);
}

}  // namespace midge
