#include "engine/session/sensitivity.h"

#include <numeric>
#include <string>

#include "engine/session/predictions.h"
#include "engine/weights/prepare.h"

namespace midge {
namespace {

// Computes with another matrix as long as it lives.
class Exchange {
 public:
  Exchange(Executor& executor, const std::string& name, const PreparedMatrix& w)
      : executor_(executor), name_(name), w_(w), status_(executor.swap_matrix(name, &w_)) {}
  ~Exchange() {
    if (status_.ok()) status_ = executor_.swap_matrix(name_, &w_);
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  const Status& status() const { return status_; }

 private:
  Executor& executor_;
  const std::string& name_;
  PreparedMatrix w_;
  Status status_;
};

// The predictions that all others are compared with, and the comparison.
class Comparison {
 public:
  static Result<Comparison> create(Session& session, std::span<const int32_t> tokens,
                                   int64_t window) {
    Comparison comparison(session, tokens, window);
    MIDGE_ASSIGN_OR_RETURN(comparison.runner_, make_runner(session, window));
    const auto run = [&](std::span<const int32_t> text) -> Status {
      MIDGE_ASSIGN_OR_RETURN(auto expected, make_runner(session, window));
      comparison.expected_.push_back(std::move(expected));
      return comparison.expected_.back()->run(text, RowRole::kPrompt);
    };
    MIDGE_RETURN_IF_ERROR(for_each_window(tokens, window, run));
    return comparison;
  }

  // The mean divergence of what the session computes now.
  Result<double> divergence_now() {
    double sum = 0;
    int64_t scored = 0;
    auto expected = expected_.begin();
    const auto compare = [&](std::span<const int32_t> text) -> Status {
      MIDGE_RETURN_IF_ERROR(runner_->run(text, RowRole::kPrompt));
      const auto rows = static_cast<int64_t>(text.size()) - 1;
      scored += rows;
      return add_rows(**expected++, rows, &sum);
    };
    MIDGE_RETURN_IF_ERROR(for_each_window(tokens_, window_, compare));
    return sum / static_cast<double>(scored);
  }

 private:
  Comparison(Session& session, std::span<const int32_t> tokens, int64_t window)
      : session_(&session), tokens_(tokens), window_(window) {}

  static Result<std::unique_ptr<WindowRunner>> make_runner(Session& session, int64_t window) {
    MIDGE_ASSIGN_OR_RETURN(WindowRunner runner, WindowRunner::create(session, window));
    return std::make_unique<WindowRunner>(std::move(runner));
  }

  // The head is the same for both.
  Status add_rows(WindowRunner& expected, int64_t rows, double* sum) {
    for (int64_t row = 0; row < rows; row += WindowRunner::kRowsPerPiece) {
      const int64_t count = std::min(WindowRunner::kRowsPerPiece, rows - row);
      MIDGE_RETURN_IF_ERROR(expected.project(row, count));
      MIDGE_RETURN_IF_ERROR(runner_->project(row, count));
      double found[WindowRunner::kRowsPerPiece] = {};
      session_->executor().team().run([&](const Worker& worker) {
        for (int64_t i = worker.index(); i < count; i += worker.count()) {
          found[i] = divergence(Distribution(expected.logits(i)), Distribution(runner_->logits(i)));
        }
      });
      *sum = std::accumulate(found, found + count, *sum);
    }
    return Status();
  }

  Session* session_;
  std::span<const int32_t> tokens_;
  int64_t window_;
  std::unique_ptr<WindowRunner> runner_;
  std::vector<std::unique_ptr<WindowRunner>> expected_;  // of the windows
};

// Calls visit(name, w) for the matrices of the layers that have no encoding yet.
template <typename Visit>
void visit_measured(Session& session, const SensitivityOptions& options, const Visit& visit) {
  visit_linear_matrices(*session.executor().engine().weights,
                        [&](const std::string& name, const PreparedMatrix& w) {
                          if (name == "head" || is_of_mtp(name)) return;
                          if (!options.fixed.encoding_of(name).has_value()) visit(name, w);
                        });
}

// The divergence with `rows` encoded as `encoding` in place of the matrix of that name.
Result<double> measure(Session& session, Comparison& comparison, const std::string& name,
                       const WeightRows& rows, Encoding encoding, const Importance* importance) {
  Executor& executor = session.executor();
  MatrixTarget target = {.encoding = encoding, .form = MatrixTarget::Form::kFloats};
  std::vector<float> weighing;
  if (importance != nullptr) {
    MIDGE_ASSIGN_OR_RETURN(weighing, importance->of_matrix(name, rows.k));
    if (!weighing.empty()) target.importance = weighing.data();
  }
  PreparePlan plan;
  plan.add(name, rows, target);
  MemorySink sink(false);
  MIDGE_RETURN_IF_ERROR(
      prepare_weights(plan, session.model().storage(), executor.team(), executor.kernels(), sink));
  const AlignedBuffer image = sink.take();
  const Exchange exchange(executor, name, prepared_matrix(plan.matrices().front(), image.data()));
  MIDGE_RETURN_IF_ERROR(exchange.status());
  return comparison.divergence_now();
}

}  // namespace

Result<std::vector<MatrixCosts>> candidate_costs(Session& session,
                                                 const SensitivityOptions& options) {
  std::vector<MatrixCosts> matrices;
  bool is_packed = false;
  visit_measured(session, options, [&](const std::string& name, const PreparedMatrix& w) {
    is_packed = is_packed || w.form == PreparedMatrix::Form::kTiles;
    MatrixCosts matrix = {name, w.n() * w.k(), {}};
    for (const Encoding candidate : options.candidates) {
      PreparePlan plan;
      plan.add(name, w.rows, {.encoding = candidate});
      matrix.costs.push_back({.encoding = candidate, .bytes = plan.bytes()});
    }
    matrices.push_back(std::move(matrix));
  });
  if (!is_packed) return matrices;
  return make_status(StatusCode::kInvalidArgument,
                     "sensitivity with packed arithmetic, expected float or xnnpack");
}

Result<std::vector<MatrixCosts>> measure_sensitivity(Session& session,
                                                     std::span<const int32_t> tokens,
                                                     const SensitivityOptions& options) {
  if (options.window < 2 || options.window > session.context_length() || tokens.size() < 2) {
    return make_status(StatusCode::kInvalidArgument,
                       "%zu tokens in windows of %lld, expected at least 2, and windows of 2..%lld",
                       tokens.size(), static_cast<long long>(options.window),
                       static_cast<long long>(session.context_length()));
  }
  MIDGE_ASSIGN_OR_RETURN(std::vector<MatrixCosts> matrices, candidate_costs(session, options));
  std::vector<WeightRows> rows;  // of the matrices, while each is exchanged for another
  visit_measured(session, options,
                 [&](const std::string&, const PreparedMatrix& w) { rows.push_back(w.rows); });
  MIDGE_ASSIGN_OR_RETURN(Comparison comparison,
                         Comparison::create(session, tokens, options.window));
  const auto runs = static_cast<int64_t>(matrices.size() * options.candidates.size());
  int64_t done = 0;
  for (size_t i = 0; i < matrices.size(); ++i) {
    for (EncodingCost& cost : matrices[i].costs) {
      MIDGE_ASSIGN_OR_RETURN(cost.divergence, measure(session, comparison, matrices[i].name,
                                                      rows[i], cost.encoding, options.importance));
      if (options.on_run != nullptr && !options.on_run(++done, runs)) {
        return make_status(StatusCode::kCancelled, "cancelled");
      }
    }
  }
  MIDGE_RETURN_IF_ERROR(session.truncate(0));
  return matrices;
}

}  // namespace midge
