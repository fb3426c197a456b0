// How far a model's predictions move when one matrix of its layers is encoded with fewer bits.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "engine/session/session.h"
#include "engine/weights/bit_allocation.h"
#include "engine/weights/importance.h"
#include "engine/weights/recipe.h"

namespace midge {

struct SensitivityOptions {
  int64_t window = 512;                    ///< tokens, 2..the session's context length
  std::vector<Encoding> candidates;        ///< can_encode() holds
  const Importance* importance = nullptr;  ///< see encode_row; null: all columns count alike
  /// Matrices that it gives an encoding are left out.
  WeightRecipe fixed;
  /// Told (runs done, all); false ends with `cancelled`. May be empty.
  std::function<bool(int64_t, int64_t)> on_run;
};

/// The matrices of the layers and what each takes in each candidate, without divergences. Errors:
/// invalid_argument (packed arithmetic).
Result<std::vector<MatrixCosts>> candidate_costs(Session& session,
                                                 const SensitivityOptions& options);

/// The same with divergences. For each matrix and each candidate: the mean Kullback-Leibler
/// divergence from the session's predictions on `tokens`, in nats, when that matrix alone is
/// encoded so. In float arithmetic: the rounding of int8 activations would hide what one matrix
/// does. Takes a forward pass over the text for every matrix and candidate. The session is emptied;
/// its executor computes as before. Errors: invalid_argument (window, fewer than 2 tokens, packed
/// arithmetic), those of prepare_weights and step.
Result<std::vector<MatrixCosts>> measure_sensitivity(Session& session,
                                                     std::span<const int32_t> tokens,
                                                     const SensitivityOptions& options);

}  // namespace midge
