// A tiny model behind the C interface, and what requests to it say.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <midge/midge.h>

#include "api/loaded_model.h"
#include "engine/scheduler/generate.h"
#include "tests/harness/golden.h"
#include "tests/harness/running.h"

namespace midge::test {

inline const char* const kTinyMimo = MIDGE_SOURCE_DIR "/assets/models/tiny-mimo";
inline const char* const kTinyPhi = MIDGE_SOURCE_DIR "/assets/models/tiny-phi";

// One answer as it was told.
struct Told {
  std::vector<int32_t> tokens;
  std::vector<size_t> offsets;
  std::vector<float> logprobs;
  std::string text;
  int32_t end = 0;
  midge_status status = MIDGE_OK;
  std::string error_text;
  midge_request_stats stats = {};
  std::vector<midge_logprob> prompt_logprobs;
  int ends = 0;
};

inline void add_event(const midge_event& event, Told* told) {
  told->text.append(event.text, event.text_bytes);
  if (event.type == MIDGE_EVENT_TOKEN) {
    told->tokens.push_back(event.token);
    told->offsets.push_back(event.text_offset);
    told->logprobs.push_back(event.logprob);
    return;
  }
  told->end = event.end;
  told->status = event.status;
  told->error_text = event.error_text;
  told->stats = *event.stats;
  told->prompt_logprobs.assign(event.prompt_logprobs,
                               event.prompt_logprobs + event.prompt_logprob_count);
  ++told->ends;
}

// What all requests of a test tell; by request and sample. For callbacks of the driver.
class Listener {
 public:
  static int32_t listen(void* user, const midge_event* event) {
    auto* self = static_cast<Listener*>(user);
    const std::lock_guard lock(self->mutex_);
    add_event(*event, &self->told_[{event->request, event->sample}]);
    return 0;
  }
  Told told(uint64_t request, int32_t sample = 0) {
    const std::lock_guard lock(mutex_);
    return told_[{request, sample}];
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    told_.clear();
  }
  size_t count() {
    const std::lock_guard lock(mutex_);
    return told_.size();
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<uint64_t, int32_t>, Told> told_;
};

class ApiFixture : public ::testing::Test {
 protected:
  void open(const char* path = kTinyMimo, midge_model_options options = {}) {
    options.size = sizeof(options);
    if (options.context_length == 0) options.context_length = 512;
    options.recipe = "fast";
    midge_model* model = nullptr;
    midge_error error;
    ASSERT_EQ(midge_model_open(path, &options, &model, &error), MIDGE_OK) << error.text;
    models_.push_back(model);
  }
  void create(midge_engine_options options = {}) {
    options.size = sizeof(options);
    options.threads = 2;
    listener_.clear();  // ids begin anew
    midge_error error;
    ASSERT_EQ(midge_engine_create(models_.data(), models_.size(), &options, &engine_, &error),
              MIDGE_OK)
        << error.text;
  }
  void TearDown() override {
    if (engine_ != nullptr) {
      EXPECT_EQ(midge_engine_close(&engine_, MIDGE_CANCEL), MIDGE_OK);
    }
    for (midge_model*& model : models_) EXPECT_EQ(midge_model_close(&model), MIDGE_OK);
  }

  std::string error_text(const void* handle) {
    char text[512] = {};
    EXPECT_EQ(midge_error_text(handle, text, sizeof(text)), MIDGE_OK);
    return text;
  }

  // Of random tokens, drawn; told to listener_.
  midge_request request(uint64_t seed, size_t prompt, int64_t tokens) {
    prompts_.push_back(random_tokens(prompt, 500, seed));
    midge_request request = {};
    request.size = sizeof(request);
    request.tokens = prompts_.back().data();
    request.token_count = prompt;
    request.tokens_max = tokens;
    request.temperature = 0.8f;
    request.repetition_penalty = seed % 2 == 0 ? 1.1f : 1.0f;
    request.seed = seed;
    request.ignore_stop_tokens = 1;
    request.on_event = &Listener::listen;
    request.user = &listener_;
    return request;
  }
  uint64_t submit(const midge_request& request) {
    uint64_t id = 0;
    EXPECT_EQ(midge_submit(engine_, &request, &id), MIDGE_OK) << error_text(engine_);
    return id;
  }
  Told finish(uint64_t id) {
    EXPECT_EQ(midge_wait(engine_, id, -1), MIDGE_OK) << error_text(engine_);
    return listener_.told(id);
  }

  // What a session gives for a request of tokens, without the engine.
  std::vector<int32_t> alone(const midge_request& request, uint32_t sample = 0,
                             const char* path = kTinyMimo) {
    std::unique_ptr<LoadedModel>& loaded = loaded_[path];
    if (loaded == nullptr) {
      LoadOptions options;
      options.executor.threads = 2;
      options.executor.context_max = 512;
      options.executor.weights = *recipe_from_name("fast");
      auto opened = LoadedModel::open(path, options);
      EXPECT_TRUE(opened.ok()) << opened.status().message();
      loaded = std::move(*opened);
    }
    SequenceOptions sequence;
    sequence.context_length = 512;
    const auto session = loaded->new_session(sequence);
    EXPECT_TRUE(session.ok());
    GenerateOptions generate_options;
    generate_options.tokens_max = request.tokens_max;
    generate_options.sampler.temperature = request.temperature;
    generate_options.sampler.repetition_penalty = request.repetition_penalty;
    generate_options.sampler.seed = request.seed;
    generate_options.sampler.sample = sample;
    const auto result = generate(**session, loaded->tokenizer(), loaded->allowed_tokens(),
                                 {request.tokens, request.token_count}, generate_options, nullptr);
    EXPECT_TRUE(result.ok()) << result.status().message();
    std::vector<int32_t> tokens;
    for (const GeneratedToken& token : result->tokens) tokens.push_back(token.token);
    return tokens;
  }

  std::vector<midge_model*> models_;
  midge_engine* engine_ = nullptr;
  Listener listener_;
  std::deque<std::vector<int32_t>> prompts_;
  std::map<std::string, std::unique_ptr<LoadedModel>> loaded_;
};

}  // namespace midge::test
