// What fuzz targets do with a file that was accepted: everything a program would do with it.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "engine/decoder/model.h"
#include "engine/tokenizer/tokenizer.h"

namespace midge::test {

/// Ends the process, saying what was expected, unless `holds`.
void require(bool holds, const char* what);

/// The fields of an input that stands for several files: what lies between the NUL bytes, at most
/// `count_max` fields, the last of which keeps its NUL bytes.
std::vector<std::string_view> split_fields(const uint8_t* data, size_t size, size_t count_max);

/// Encodes and decodes `text` and the contents of added tokens, in every way there is.
void exercise_tokenizer(const Tokenizer& tokenizer, std::string_view text);

/// Decodes rows of every matrix and runs two tokens through the model, unless it is large.
void exercise_model(const Model& model);

/// Runs a prompt of two tokens and three decode steps in packed arithmetic, unless the model is
/// large. A level of this machine is chosen by `choice`; its logits are those of the portable
/// kernels, bit for bit, or the process ends.
void exercise_decode(const Model& model, size_t choice);

/// The same without a comparison: with weights that are no numbers levels may differ.
void exercise_any_decode(const Model& model, size_t choice);

}  // namespace midge::test
