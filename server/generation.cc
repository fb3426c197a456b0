#include "server/generation.h"

#include <utility>

namespace midge {
namespace {

GenerationEvent copy_event(const midge_event& event) {
  GenerationEvent copy;
  copy.sample = event.sample;
  copy.text.assign(event.text, event.text_bytes);
  if (event.type == MIDGE_EVENT_TOKEN) {
    copy.token = event.token;
    copy.logprob = event.logprob;
    copy.alternatives.assign(event.alternatives, event.alternatives + event.alternative_count);
    return copy;
  }
  copy.is_end = true;
  copy.end = event.end;
  copy.status = event.status;
  if (event.error_text != nullptr) copy.error_text = event.error_text;
  copy.stats = *event.stats;
  const size_t count = event.prompt_logprob_count;
  copy.prompt_logprobs.assign(event.prompt_logprobs, event.prompt_logprobs + count);
  copy.alternatives_per_token = event.alternatives_per_token;
  copy.prompt_alternatives.assign(event.prompt_alternatives,
                                  event.prompt_alternatives + count * event.alternatives_per_token);
  return copy;
}

}  // namespace

int32_t Generations::on_event(void* user, const midge_event* event) {
  auto* running = static_cast<Running*>(user);
  Generations& self = *running->owner;
  GenerationEvent copy = copy_event(*event);
  if (event->type == MIDGE_EVENT_END && !running->grammars.empty()) {
    const std::string error = running->grammars[static_cast<size_t>(event->sample)]->error();
    if (!error.empty() && copy.error_text.empty()) copy.error_text = error;
  }
  // Under the lock: behind it whoever has taken the last event may destroy `self`.
  const std::lock_guard lock(self.mutex_);
  const bool was_empty = self.waiting_.empty();
  self.waiting_.push_back({running->key, std::move(copy)});
  if (was_empty) self.wake_();
  return 0;
}

void Generations::restrict_tokens(void* user, int32_t sample, uint8_t* allowed, size_t vocab_size) {
  auto* running = static_cast<Running*>(user);
  running->grammars[static_cast<size_t>(sample)]->restrict_tokens(allowed, vocab_size);
}

void Generations::accept(void* user, int32_t sample, int32_t token) {
  auto* running = static_cast<Running*>(user);
  running->grammars[static_cast<size_t>(sample)]->accept(token);
}

Result<uint64_t> Generations::submit(midge_request request, EventListener listener,
                                     std::vector<std::unique_ptr<GrammarState>> grammars) {
  auto running = std::make_unique<Running>();
  running->owner = this;
  running->key = next_key_++;
  running->ends_left = request.samples > 0 ? request.samples : 1;
  running->listener = std::move(listener);
  running->grammars = std::move(grammars);
  midge_token_mask mask = {};
  if (!running->grammars.empty()) {
    mask.restrict_tokens = &Generations::restrict_tokens;
    mask.accept = &Generations::accept;
    mask.user = running.get();
    request.mask = &mask;
  }
  request.size = sizeof(request);
  request.on_event = &Generations::on_event;
  request.user = running.get();
  Running& known = *running;
  running_.emplace(known.key, std::move(running));
  const midge_status status = midge_submit(engine_, &request, &known.id);
  if (status == MIDGE_OK) return known.key;
  running_.erase(known.key);
  char text[512] = {};
  midge_error_text(engine_, text, sizeof(text));
  return Status(static_cast<StatusCode>(status), text);
}

void Generations::cancel(uint64_t key) {
  const auto found = running_.find(key);
  if (found != running_.end()) midge_cancel(engine_, found->second->id);  // it may have ended
}

void Generations::cancel_all() {
  for (const auto& [key, running] : running_) midge_cancel(engine_, running->id);
}

void Generations::deliver() {
  {
    const std::lock_guard lock(mutex_);
    std::swap(waiting_, taken_);
  }
  for (Waiting& waiting : taken_) {
    const auto found = running_.find(waiting.key);
    if (found == running_.end()) continue;
    Running& running = *found->second;
    const bool is_last = waiting.event.is_end && --running.ends_left == 0;
    if (!is_last) {
      running.listener(std::move(waiting.event));
      continue;
    }
    // The listener may submit, which changes the table.
    const EventListener listener = std::move(running.listener);
    running_.erase(found);
    listener(std::move(waiting.event));
  }
  taken_.clear();
}

}  // namespace midge
