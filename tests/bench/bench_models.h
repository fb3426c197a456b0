// The models and recordings that the tests of the bench open.
#pragma once

#include <memory>

#include <gtest/gtest.h>

#include "api/loaded_model.h"
#include "bench/model/measure.h"

namespace midge::bench {

inline std::unique_ptr<LoadedModel> open_packed_model(int threads, int64_t context = 512) {
  LoadOptions options;
  options.needs_tokenizer = false;
  options.executor.threads = threads;
  options.executor.context_max = context;
  Result<std::unique_ptr<LoadedModel>> model =
      LoadedModel::open(MIDGE_TEST_DATA "/packed/tiny-phi.midge", options);
  EXPECT_TRUE(model.ok()) << model.status().message();
  return model.ok() ? std::move(*model) : nullptr;
}

inline SystemFiles recording(const char* text) { return *SystemFiles::parse(text, "recording"); }

}  // namespace midge::bench
