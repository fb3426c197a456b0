// Tables of the rotary position embedding.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/decoder/model.h"
#include "engine/ops/segments.h"

namespace midge {

/// Inverse frequencies of one regime, [width / 2], computed once per model and regime in f64:
/// 1 / (factor[j] * theta^(2j / width)).
std::vector<double> rope_frequencies(const RopeConfig& config, RopeRegime regime);

/// cos[j], sin[j] = attention_factor * cos, sin(position * frequencies[j]), rounded once to f32.
/// An f32 angle would be off by 1e-3 rad at position 16384 already.
void rope_row(const RopeConfig& config, const std::vector<double>& frequencies, int64_t position,
              float* cos, float* sin);

}  // namespace midge
