// How much memory a model takes, before any of it is taken.
#pragma once

#include <cstdint>

#include "engine/core/status.h"
#include "engine/decoder/model.h"
#include "engine/session/executor.h"
#include "engine/session/sequence.h"
#include "engine/speculation/speculation.h"

namespace midge {

/// What is planned for.
struct MemoryRequest {
  ExecutorOptions executor;   ///< context_max is set by `sequence`
  SequenceOptions sequence;   ///< of each sequence
  int64_t sequences = 1;      ///< at least 1
  DraftOptions drafts;        ///< their `mtp` is set by it
  bool copies_files = false;  ///< the model's files are read into memory (FileAccess::kCopy)
};

/// Bytes. All of it is taken when executor and sequences are created; nothing grows later. The
/// program itself and a tokenizer that is not in place come on top.
struct MemoryPlan {
  int64_t context = 0;  ///< tokens of a sequence
  int64_t sequences = 1;
  ExecutorMemory executor;
  /// Anonymous: all bytes of the files, with MemoryRequest::copies_files.
  int64_t files_copied = 0;
  int64_t kv_per_sequence = 0;
  int64_t tokens_per_sequence = 0;  ///< ids, roles, and where to look them up for drafts
  int64_t drafts = 0;               ///< hidden states, a copy of a part of the head

  /// Memory that nothing can be taken away from.
  int64_t anonymous() const {
    return files_copied + executor.weights_copied + executor.scratch + drafts +
           sequences * (kv_per_sequence + tokens_per_sequence);
  }
  /// Pages of files: they may be dropped when memory is short, and are read again when needed.
  int64_t mapped() const { return files_copied > 0 ? 0 : executor.weights_in_place; }
  int64_t total() const { return anonymous() + mapped(); }
};

/// Errors: those of Executor::create and Sequence::create that do not depend on the weights'
/// values; invalid_argument (sequences).
Result<MemoryPlan> plan_memory(const Model& model, const MemoryRequest& request);

/// Checks a plan against a budget in bytes. Errors: out_of_memory; the message has the largest
/// context that fits in its place, or what would have to fit.
Status check_budget(const Model& model, const MemoryRequest& request, int64_t budget);

/// The largest context, of at most the model's, with which `request` takes at most `budget` bytes;
/// 0 if none does. Errors: those of plan_memory.
Result<int64_t> context_within_budget(const Model& model, MemoryRequest request, int64_t budget);

}  // namespace midge
