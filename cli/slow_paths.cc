#include "cli/slow_paths.h"

#include "engine/decoder/model.h"
#include "engine/platform/cpu_features.h"
#include "kernels/kernels.h"

namespace midge {
namespace {

// Of a model that is smaller nobody notices.
constexpr int64_t kNotedBytes = 50'000'000;

bool has_only_portable_kernel(Encoding encoding, CpuFeatures features) {
  KernelChoice choice;
  choice.features = features;
  const KernelInfo* kernel = select_kernel(Op::kGemv, encoding, choice, 1);
  return kernel != nullptr && kernel->level == IsaLevel::kGeneric;
}

}  // namespace

std::string slow_path_note(const LoadedModel& model) {
  const Executor& executor = model.executor();
  int64_t float_bytes = 0;
  int64_t portable_bytes = 0;
  const char* portable = "";
  visit_linear_matrices(
      *executor.engine().weights, [&](const std::string&, const PreparedMatrix& matrix) {
        if (matrix.form == PreparedMatrix::Form::kRows) {
          float_bytes += matrix.bytes();
        } else if (matrix.form == PreparedMatrix::Form::kTiles &&
                   has_only_portable_kernel(matrix.tiles.encoding, executor.isa())) {
          portable_bytes += matrix.bytes();
          portable = encoding_info(matrix.tiles.encoding).name;
        }
      });
  if (float_bytes > kNotedBytes) {
    return "float weights run as they are, several times slower than packed ones; --recipe int8 "
           "or --recipe fast packs them";
  }
  if (portable_bytes > kNotedBytes && executor.isa() == detect_cpu_features()) {
    return format_string(
        "weights of %s have portable kernels alone here, many times slower; "
        "--recipe int8 encodes them anew",
        portable);
  }
  return {};
}

}  // namespace midge
