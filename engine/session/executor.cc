#include "engine/session/executor.h"

namespace midge {

Result<std::unique_ptr<Executor>> Executor::create(
    const Model& model, const ExecutorOptions& options,
    const std::function<void(int64_t, int64_t)>& on_progress) {
  MIDGE_ASSIGN_OR_RETURN(WorkerTeam team, WorkerTeam::create(options.threads));
  std::unique_ptr<Executor> executor(new Executor(model, std::move(team)));
  executor->kernels_ = make_kernel_table();
  if (options.float_path == FloatPath::kXnnpack) {
    MIDGE_ASSIGN_OR_RETURN(executor->dense_,
                           DenseBackend::create(model.linear_matrices(), on_progress));
  }
  executor->context_ = {&executor->kernels_, &executor->team_, executor->dense_.get()};
  return executor;
}

}  // namespace midge
