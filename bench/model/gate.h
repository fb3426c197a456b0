// Whether a model computes what it should: no speed is worth anything without.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "api/loaded_model.h"

namespace midge::bench {

struct GateReport {
  std::string content_id;    ///< model_identity() in hexadecimal digits
  uint64_t fingerprint = 0;  ///< of the logits of fixed token ids
  bool has_generic =
      false;  ///< that the generic kernels gave the same bits; else no others were tried
  bool is_known = false;  ///< that a fingerprint of this content id is on record, and matched
  double seconds = 0;     ///< that the check took
};

/// Runs fixed token ids through the chosen kernels and through the generic ones, which must give
/// the same bits; through steps of 2 to kGemvRowsMax rows, each of which must too; and compares a
/// fingerprint of the logits with the one on record, if the model is one of those that come with
/// midge. Through XNNPACK and on floats in place there is nothing to compare with but the
/// fingerprint of a run before: numbers are checked to be finite. The executor has kGemvRowsMax
/// rows of logits and takes 32 rows in a pass.
/// Errors: internal (the message says what differs: no speed may be printed), and those of a step.
Result<GateReport> check_output(const LoadedModel& model, KvType kv_type);

/// Runs body() while a kernel is wrong in one number of each row, to see that it is found.
Status with_wrong_kernel(const LoadedModel& model, const std::function<Status()>& body);

}  // namespace midge::bench
