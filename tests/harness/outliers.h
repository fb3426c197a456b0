// A copy of a checkpoint that computes the same function through outlier channels.
#pragma once

#include <string>

#include "tests/harness/temp_dir.h"

namespace midge::test {

/// What outliers are like: every 100th input channel of each linear layer (at least one, chosen
/// from a fixed seed) carries activations that are 64 times as large, and weights of 1 / 64.
inline constexpr float kOutlierFactor = 64.0f;
inline constexpr int64_t kOutlierPeriod = 100;

/// Writes the checkpoint in `model` (a Hugging Face directory of the phi3 or mimo family, one file
/// of BF16 or F32 tensors) with outliers into `dir`.
///
/// The factor is folded into what makes the channel: the norm in front of q, k, v, of gate and up
/// and of the head; the rows of up for down; those of v, biases included, for o, where each serves
/// all query heads of its group. A tied head is left as it is, because its columns are the
/// embedding's. The factor is a power of two: in float arithmetic not a bit of the logits changes.
void write_with_outliers(const std::string& model, const TempDir& dir);

}  // namespace midge::test
