// Weights in other forms than their file's: the packed layout of kernels/packed.h, or rows of
// another encoding.
#pragma once

#include <cstdint>
#include <string>

#include "engine/core/status.h"
#include "engine/platform/worker_team.h"
#include "engine/weights/matrix.h"
#include "kernels/kernels.h"

namespace midge {

/// True if matrices of `encoding` can be packed as `target`: without loss where they are equal,
/// through f32 and encode_row otherwise.
bool can_pack(Encoding encoding, Encoding target);

/// Bytes of the packed form, a multiple of 64.
int64_t packed_bytes(const WeightRows& w, Encoding target);

/// Columns of a matrix that get `target` when it is encoded. With super-blocks of K-quants these
/// are whole ones, and the columns behind get tail_encoding(target): nothing is filled up.
int64_t main_columns(const WeightRows& w, Encoding target);
/// As many bits per weight in blocks of 32.
Encoding tail_encoding(Encoding target);

/// Packs `w` as `target` into out[packed_bytes], aligned to 64; the memory is zero before.
/// importance: [w.k], see encode_row; null: all columns count alike. what: names the matrix in
/// messages.
/// Errors: invalid_file (a scale or an f16 weight is infinite or not a number; the message has the
/// first one's row and column), out_of_memory.
Status pack_matrix(const WorkerTeam& team, const KernelTable& kernels, const WeightRows& w,
                   Encoding target, const float* importance, const std::string& what, uint8_t* out);

/// The weights that pack_matrix's are, as f32 rows: out[w.n * row_floats], w.k of each row.
/// Errors: those of pack_matrix.
Status round_matrix(const WorkerTeam& team, const KernelTable& kernels, const WeightRows& w,
                    Encoding target, const float* importance, const std::string& what,
                    int64_t row_floats, float* out);

}  // namespace midge
