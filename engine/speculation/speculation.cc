#include "engine/speculation/speculation.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <utility>

#include "engine/core/check.h"
#include "engine/core/seconds.h"
#include "engine/core/visible.h"

namespace midge {
namespace {

// Drafts that are drawn, as long as nothing is known: of lookup, of the MTP layer's first to third.
constexpr double kLookupPrior = 0.6;
constexpr double kMtpPriors[] = {0.6, 0.3, 0.1};
// Steps of so many rows that are measured before drafts are made beside them.
constexpr int64_t kMeasuredMin = 2;
// As many steps with drafts, and one without follows, so that it is known what that costs; and the
// other way round, so that what does not repay now is tried again.
constexpr int64_t kStepsBetween = 64;
// The MTP layer pauses when it has read along for so long without a draft, in steps; tokens of the
// first pause and of the longest; positions that it reads anew before it drafts.
constexpr double kIdleSteps = 0.5;
constexpr int64_t kPauseMin = 64;
constexpr int64_t kPauseMax = 1024;
constexpr int64_t kWarmPositions = 16;
// Of the last pass through the MTP layer in the mean of what one takes.
constexpr double kLastPass = 0.125;

using Clock = std::chrono::steady_clock;

bool uses_lookup(Drafter drafter) {
  return drafter == Drafter::kLookup || drafter == Drafter::kAuto;
}

Status check_range(const char* what, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return Status();
  return make_status(StatusCode::kInvalidArgument, "%lld %s, expected %lld..%lld",
                     static_cast<long long>(value), what, static_cast<long long>(least),
                     static_cast<long long>(most));
}

}  // namespace

const char* drafter_name(Drafter drafter) {
  switch (drafter) {
    case Drafter::kNone: return "none";
    case Drafter::kLookup: return "lookup";
    case Drafter::kMtp: return "mtp";
    case Drafter::kAuto: return "auto";
  }
  return "unknown";
}

Result<Drafter> drafter_from_name(std::string_view name) {
  if (name.empty()) return Drafter::kAuto;
  for (const Drafter drafter : {Drafter::kNone, Drafter::kLookup, Drafter::kMtp, Drafter::kAuto}) {
    if (name == drafter_name(drafter)) return drafter;
  }
  return make_status(StatusCode::kInvalidArgument,
                     "drafter '%s', expected auto, lookup, mtp or none", printable(name).c_str());
}

DraftTotals DraftTotals::since(const DraftTotals& before) const {
  DraftTotals rest = *this;
  rest.steps -= before.steps;
  rest.lookup_drafts -= before.lookup_drafts;
  rest.lookup_drawn -= before.lookup_drawn;
  rest.mtp_drafts -= before.mtp_drafts;
  rest.mtp_drawn -= before.mtp_drawn;
  rest.mtp_passes -= before.mtp_passes;
  rest.mtp_seconds -= before.mtp_seconds;
  rest.mtp_prompt_seconds -= before.mtp_prompt_seconds;
  return rest;
}

DraftState::DraftState()
    : lookup_(kLookupPrior),
      mtp_{Acceptance(kMtpPriors[0]), Acceptance(kMtpPriors[1]), Acceptance(kMtpPriors[2])},
      pause_(kPauseMin) {}

Result<DraftState> DraftState::create(const DraftOptions& options, int64_t context_length) {
  DraftState state;
  if (!uses_lookup(options.drafter)) return state;
  MIDGE_ASSIGN_OR_RETURN(state.index_, TokenIndex::create(context_length, options.match_min));
  return state;
}

int64_t DraftState::bytes_for(const DraftOptions& options, int64_t context_length) {
  if (!uses_lookup(options.drafter)) return 0;
  return TokenIndex::bytes_for(context_length);
}

bool Speculation::uses_mtp(const DraftOptions& options, const ModelConfig& config) {
  return config.mtp_layer_count > 0 &&
         (options.drafter == Drafter::kMtp || options.drafter == Drafter::kAuto);
}

int64_t Speculation::bytes_for(const Model& model, const DraftOptions& options, int64_t rows_max,
                               int64_t sequences_max) {
  int64_t bytes = 0;
  if (options.remembered_tokens > 0 && uses_lookup(options.drafter)) {
    bytes += TokenIndex::bytes_for(options.remembered_tokens);
  }
  if (!uses_mtp(options, model.config())) return bytes;
  if (!options.token_counts.empty()) {
    const PreparedMatrix& head = model.weights().head;
    bytes +=
        std::min(head.bytes(), head.bytes() / std::max<int64_t>(1, head.n()) * options.head_rows);
  }
  return bytes + (rows_max + sequences_max) * model.config().hidden_size *
                     static_cast<int64_t>(sizeof(float));
}

Speculation::Speculation(Executor& executor, const DraftOptions& options)
    : executor_(executor),
      options_(options),
      takes_normed_(
          options.takes_normed.value_or(executor.model().mtp_acceptance().takes_normed())),
      lookup_(kLookupPrior),
      mtp_{Acceptance(kMtpPriors[0]), Acceptance(kMtpPriors[1]), Acceptance(kMtpPriors[2])} {}

Result<std::unique_ptr<Speculation>> Speculation::create(Executor& executor,
                                                         const DraftOptions& options,
                                                         int64_t sequences_max) {
  MIDGE_RETURN_IF_ERROR(check_range("drafts of a step", options.drafts_max, 1, kDraftsMax));
  MIDGE_RETURN_IF_ERROR(
      check_range("tokens of a match", options.match_min, 1, TokenIndex::kLengthMax));
  MIDGE_RETURN_IF_ERROR(check_range("drafts of the MTP layer", options.mtp_drafts_max, 1, 3));
  const bool has_mtp = executor.model().config().mtp_layer_count > 0;
  if (options.drafter == Drafter::kMtp && !has_mtp) {
    return make_status(StatusCode::kUnsupported, "%s: no MTP layer to draft with",
                       shown_path(executor.model().storage().path()).c_str());
  }
  std::unique_ptr<Speculation> speculation(new Speculation(executor, options));
  MIDGE_RETURN_IF_ERROR(speculation->take_memory(sequences_max));
  return speculation;
}

Status Speculation::take_memory(int64_t sequences_max) {
  const auto sequences = static_cast<size_t>(sequences_max);
  offers_.reserve(sequences);
  parts_.reserve(sequences);
  mtp_parts_.reserve(sequences);
  last_rows_.reserve(sequences);
  next_tokens_.reserve(static_cast<size_t>(executor_.rows_max()));
  if (options_.remembered_tokens > 0 && uses_lookup(options_.drafter)) {
    MIDGE_ASSIGN_OR_RETURN(remembered_,
                           TokenIndex::create(options_.remembered_tokens, options_.match_min));
  }
  const ModelConfig& config = executor_.model().config();
  if (!uses_mtp(options_, config)) return Status();
  const PreparedMatrix& head = executor_.engine().weights->head;
  if (options_.token_counts.empty()) {
    head_ = DraftHead::first_rows(head, options_.head_rows);
  } else {
    MIDGE_ASSIGN_OR_RETURN(
        head_, DraftHead::most_frequent(head, options_.head_rows, options_.token_counts));
    options_.token_counts = {};  // not needed any more
  }
  MIDGE_ASSIGN_OR_RETURN(
      hidden_, AlignedBuffer::create((executor_.rows_max() + sequences_max) * config.hidden_size *
                                         static_cast<int64_t>(sizeof(float)),
                                     "hidden states for drafts"));
  return Status();
}

void Speculation::ask_for_hidden(const DraftState& state, int64_t row, RowOutputs* outputs) const {
  // One that has not begun reads along from its first pass on.
  if (!uses_mtp() || (state.has_begun_ && !state.reads_mtp_)) return;
  float* rows =
      reinterpret_cast<float*>(hidden_.data()) + row * executor_.model().config().hidden_size;
  (takes_normed_ ? outputs->hidden_normed : outputs->hidden) = rows;
}

int64_t Speculation::keep_row(int64_t row, size_t place) {
  const int64_t kept = executor_.rows_max() + static_cast<int64_t>(place);
  if (!uses_mtp()) return kept;
  const int64_t hidden_size = executor_.model().config().hidden_size;
  auto* hidden = reinterpret_cast<float*>(hidden_.data());
  std::copy_n(hidden + row * hidden_size, hidden_size, hidden + kept * hidden_size);
  return kept;
}

void Speculation::begin(DraftState& state) const {
  state.reads_mtp_ = uses_mtp();
  state.lookup_ = Acceptance(lookup_.share());
  for (size_t i = 0; i < mtp_.size(); ++i) state.mtp_[i] = Acceptance(mtp_[i].share());
}

void Speculation::note(DraftState& state, const Generation& generation) {
  ++totals_.steps;
  const int64_t read = generation.read_drafts();
  const int64_t drawn = generation.drawn_drafts();
  if (read > 0 && state.source_ == DraftState::Source::kLookup) {
    state.lookup_.note(read, drawn);
    lookup_.note(read, drawn);
    totals_.lookup_drafts += read;
    totals_.lookup_drawn += drawn;
  } else if (read > 0 && state.source_ == DraftState::Source::kMtp) {
    for (int64_t i = 0; i < std::min(read, drawn + 1); ++i) {
      state.mtp_[static_cast<size_t>(i)].note(i < drawn);
      mtp_[static_cast<size_t>(i)].note(i < drawn);
    }
    totals_.mtp_drafts += read;
    totals_.mtp_drawn += drawn;
  }
}

// The tokens that are known since the last step.
void Speculation::learn(const Turn& turn) {
  DraftState& state = *turn.state;
  state.count_ = 0;
  state.source_ = DraftState::Source::kNone;
  if (!state.index_.has_value()) return;
  const auto tokens = turn.sequence->tokens();
  state.index_->append(tokens.subspan(static_cast<size_t>(state.index_->size())));
}

void Speculation::look_up(const Turn& turn) {
  DraftState& state = *turn.state;
  if (!state.index_.has_value()) return;
  const auto room = std::span(state.drafts_).first(static_cast<size_t>(options_.drafts_max));
  const auto tokens = turn.sequence->tokens();
  TokenIndex::Match match = state.index_->find(tokens, room);
  if (match.count == 0 && remembered_.has_value()) match = remembered_->find(tokens, room);
  state.count_ = match.count;
  if (match.count > 0) state.source_ = DraftState::Source::kLookup;
}

DraftOffer Speculation::offer_of(const Turn& turn) {
  const DraftState& state = *turn.state;
  const int64_t room = turn.generation->draft_room();
  DraftOffer offer;
  // Behind a change of longrope's factors all of it is read again, first.
  if (turn.sequence->read_length() < turn.end) return offer;
  if (state.count_ > 0) {
    offer.most = std::min<int64_t>(state.count_, room);
    offer.shares.fill(state.lookup_.share());
    return offer;
  }
  const Sequence& sequence = *turn.sequence;
  const bool reads = uses_mtp() && state.reads_mtp_ && sequence.mtp().length < turn.end;
  const bool is_warm = sequence.mtp().begin == 0 ||
                       turn.end - sequence.mtp().begin >= kWarmPositions || options_.always;
  if (!reads || !is_warm || turn.end <= sequence.mtp().begin) return offer;
  offer.most = std::min<int64_t>({options_.mtp_drafts_max, options_.drafts_max, room});
  offer.is_costly = true;
  for (size_t i = 0; i < state.mtp_.size(); ++i) offer.shares[i] = state.mtp_[i].share();
  return offer;
}

// Sets the `chosen` of all offers.
void Speculation::choose(int64_t sequences, int64_t rows_max) {
  rows_max = std::min(rows_max, StepTimes::kRowsMax - sequences);
  const bool any = std::any_of(offers_.begin(), offers_.end(),
                               [](const DraftOffer& offer) { return offer.most > 0; });
  chose_by_rates_ = false;
  if (options_.always) {
    for (DraftOffer& offer : offers_) {
      offer.chosen = std::clamp<int64_t>(rows_max, 0, offer.most);
      rows_max -= offer.chosen;
    }
    return;
  }
  if (!any || times_.count(static_cast<int>(sequences)) < kMeasuredMin ||
      drafted_steps_ >= kStepsBetween) {
    drafted_steps_ = 0;
    return;
  }
  chose_by_rates_ = true;
  const StepCosts costs = {&times_, mtp_seconds_, rows_max};
  if (choose_drafts(offers_, sequences, costs) > 0) {
    ++drafted_steps_;
    plain_steps_ = 0;
  } else if (++plain_steps_ >= kStepsBetween && rows_max > 0) {
    const auto best = std::max_element(
        offers_.begin(), offers_.end(), [](const DraftOffer& a, const DraftOffer& b) {
          return (a.most > 0 ? a.shares[0] : 0) < (b.most > 0 ? b.shares[0] : 0);
        });
    best->chosen = std::min<int64_t>(best->most, 1);
    plain_steps_ = 0;
  }
}

// Whether drafts of the MTP layer would repay it beside so many sequences, as good as they mostly
// are.
bool Speculation::may_resume(int64_t sequences) const {
  DraftOffer offer = {.most = 1, .is_costly = true};
  offer.shares[0] = std::max(mtp_[0].share(), kMtpPriors[0]);
  const StepCosts costs = {&times_, mtp_seconds_, 1};
  return times_.count(static_cast<int>(sequences)) > 0 &&
         choose_drafts({&offer, 1}, sequences, costs) > 0;
}

void Speculation::pause_or_resume(const Turn& turn, const DraftOffer& offer, int64_t sequences) {
  DraftState& state = *turn.state;
  if (!uses_mtp() || options_.always) return;
  if (!state.reads_mtp_) {
    if (turn.end < state.resume_at_) return;
    if (!may_resume(sequences)) {
      state.resume_at_ = turn.end + state.pause_;
      return;
    }
    begin(state);
    state.idle_seconds_ = 0;
    turn.sequence->restart_mtp(turn.end);
    return;
  }
  if (!chose_by_rates_) return;
  if (offer.is_costly && offer.chosen > 0) {
    state.idle_seconds_ = 0;
    if (state.mtp_[0].share() > kMtpPriors[0]) state.pause_ = kPauseMin;
  } else {
    state.idle_seconds_ += mtp_seconds_;
    if (state.idle_seconds_ > kIdleSteps * times_.seconds(static_cast<int>(sequences))) {
      pause(turn);
    }
  }
}

void Speculation::pause(const Turn& turn) {
  turn.state->reads_mtp_ = false;
  turn.state->resume_at_ = turn.end + turn.state->pause_;
  turn.state->pause_ = std::min(2 * turn.state->pause_, kPauseMax);
}

// What the MTP layer is to read of a turn.
void Speculation::add_part(const Turn& turn, int64_t drafts) {
  DraftState& state = *turn.state;
  Sequence& sequence = *turn.sequence;
  if (!uses_mtp() || !sequence.has_mtp() || !state.reads_mtp_ ||
      sequence.read_length() < turn.end) {
    return;
  }
  const int64_t missing = turn.begin - sequence.mtp().length;
  if (missing > 0 && missing <= kMtpGapMax && sequence.mtp().length > sequence.mtp().begin) {
    sequence.set_mtp_length(turn.begin);  // what an answer's last step left out
  } else if (missing > 0) {
    sequence.restart_mtp(turn.begin);
  }
  const int64_t begin = std::max(sequence.mtp().length, turn.begin);
  if (begin >= turn.end) return;
  const Status held =
      sequence.hold_alone(begin, turn.end + std::max<int64_t>(drafts - 1, 0), turn.end);
  if (!held.ok()) return pause(turn);  // no pages: others need them more
  parts_.push_back({&turn, begin, drafts});
}

int32_t Speculation::best_token(const float* logits) const {
  const int64_t count = head_->rows();
  // Several chains, which a comparison after the other is not.
  constexpr int64_t kChains = 16;
  std::array<float, kChains> maxima;
  maxima.fill(-INFINITY);
  int64_t i = 0;
  for (; i + kChains <= count; i += kChains) {
    for (int64_t j = 0; j < kChains; ++j) {
      maxima[static_cast<size_t>(j)] = std::max(maxima[static_cast<size_t>(j)], logits[i + j]);
    }
  }
  for (; i < count; ++i) maxima[0] = std::max(maxima[0], logits[i]);
  const float best = *std::max_element(maxima.begin(), maxima.end());
  const float* found = std::find(logits, logits + count, best);
  return head_->token(found == logits + count ? 0 : found - logits);
}

// Runs the MTP layer over the rows at front_, which are those of mtp_parts_. Puts draft `depth` of
// those that want it into their states.
Status Speculation::run_mtp(int64_t depth) {
  const int64_t hidden_size = executor_.model().config().hidden_size;
  float* logits = executor_.logits(0);  // what was drawn from them is drawn
  last_rows_.clear();
  int64_t row = 0;
  int64_t wanted = 0;
  for (size_t i = 0; i < parts_.size(); ++i) {
    MtpPart& part = mtp_parts_[i];
    const auto rows = static_cast<int64_t>(part.next_tokens.size());
    last_rows_.push_back(static_cast<int32_t>(rows) - 1);
    if (parts_[i].drafts > depth) {
      part.outputs.logits_rows = {&last_rows_.back(), 1};
      part.outputs.logits = logits + wanted++ * head_->rows();
    }
    // Read before it is written.
    if (parts_[i].drafts > depth + 1) part.outputs.hidden = front_ + row * hidden_size;
    row += rows;
  }
  MIDGE_RETURN_IF_ERROR(
      run_mtp_pass(executor_, mtp_parts_, {.hidden = front_, .head = &head_->matrix()}));
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i].drafts <= depth) continue;
    DraftState& state = *parts_[i].turn->state;
    state.drafts_[static_cast<size_t>(depth)] = best_token(mtp_parts_[i].outputs.logits);
    state.count_ = static_cast<int>(depth) + 1;
    state.source_ = DraftState::Source::kMtp;
  }
  return Status();
}

// The rows of hidden states that parts read move behind those of the first one.
Status Speculation::read_mtp() {
  if (parts_.empty()) return Status();
  const Clock::time_point start = Clock::now();
  const int64_t hidden_size = executor_.model().config().hidden_size;
  auto* hidden = reinterpret_cast<float*>(hidden_.data());
  const auto rows_at = [&](const Part& part) {
    return hidden + (part.turn->first_row + part.begin - part.turn->begin) * hidden_size;
  };
  front_ = rows_at(parts_.front());
  mtp_parts_.clear();
  int64_t rows = 0;
  bool is_step = true;
  for (const Part& part : parts_) {
    const Turn& turn = *part.turn;
    const int64_t count = turn.end - part.begin;
    std::memmove(front_ + rows * hidden_size, rows_at(part),
                 static_cast<size_t>(count * hidden_size) * sizeof(float));
    rows += count;
    const auto next = turn.sequence->tokens().subspan(static_cast<size_t>(part.begin) + 1,
                                                      static_cast<size_t>(count));
    mtp_parts_.push_back({turn.sequence, part.begin, next, turn.role, {}});
    is_step = is_step && turn.generation != nullptr && turn.role == RowRole::kGenerated;
  }
  MIDGE_RETURN_IF_ERROR(run_mtp(0));
  for (const Part& part : parts_) part.turn->sequence->set_mtp_length(part.turn->end);
  MIDGE_RETURN_IF_ERROR(draft_on());
  ++totals_.mtp_passes;
  const double seconds = seconds_between(start, Clock::now());
  totals_.mtp_seconds += seconds;
  if (!is_step) totals_.mtp_prompt_seconds += seconds;
  if (is_step) mtp_seconds_ += (mtp_seconds_ > 0 ? kLastPass : 1) * (seconds - mtp_seconds_);
  return Status();
}

// Further drafts, from the states that the layer itself has made.
Status Speculation::draft_on() {
  const int64_t hidden_size = executor_.model().config().hidden_size;
  for (int64_t depth = 1; depth < options_.mtp_drafts_max; ++depth) {
    next_tokens_.clear();
    size_t kept = 0;
    int64_t row = 0;
    for (size_t i = 0; i < parts_.size(); ++i) {
      const auto rows = static_cast<int64_t>(mtp_parts_[i].next_tokens.size());
      row += rows;
      if (parts_[i].drafts <= depth) continue;
      std::memmove(front_ + static_cast<int64_t>(kept) * hidden_size,
                   front_ + (row - 1) * hidden_size,
                   static_cast<size_t>(hidden_size) * sizeof(float));
      const DraftState& state = *parts_[i].turn->state;
      next_tokens_.push_back(state.drafts_[static_cast<size_t>(depth) - 1]);
      parts_[kept] = parts_[i];
      mtp_parts_[kept] = {parts_[i].turn->sequence,
                          parts_[i].turn->end - 1 + depth,
                          std::span(&next_tokens_.back(), 1),
                          RowRole::kGenerated,
                          {}};
      ++kept;
    }
    if (kept == 0) return Status();
    parts_.resize(kept);
    mtp_parts_.resize(kept);
    MIDGE_RETURN_IF_ERROR(run_mtp(depth));
  }
  return Status();
}

// As often right as asked for.
void Speculation::fake(const Turn& turn) {
  DraftState& state = *turn.state;
  if (state.faked_ == nullptr) return;
  const FakedDrafts& faked = *state.faked_;
  for (int i = 0; i < state.count_; ++i) {
    const auto position = static_cast<size_t>(turn.end + 1 + i);
    if (position >= faked.tokens.size()) return;
    // Evenly spread, so that a short run has the share that was asked for.
    state.faked_right_ += faked.acceptance;
    const bool is_right = state.faked_right_ >= 1;
    if (is_right) state.faked_right_ -= 1;
    const int32_t token = faked.tokens[position];
    state.drafts_[static_cast<size_t>(i)] = is_right ? token : (token == 0 ? 1 : 0);
  }
}

Status Speculation::follow(std::span<const Turn> turns, int64_t rows_max) {
  offers_.clear();
  parts_.clear();
  int64_t sequences = 0;
  for (const Turn& turn : turns) {
    if (!std::exchange(turn.state->has_begun_, true)) begin(*turn.state);
    if (turn.generation == nullptr) continue;
    learn(turn);
    look_up(turn);
    offers_.push_back(offer_of(turn));
    ++sequences;
  }
  if (sequences > 0) choose(sequences, rows_max);
  size_t i = 0;
  for (const Turn& turn : turns) {
    if (turn.generation == nullptr) {
      add_part(turn, 0);
      continue;
    }
    const DraftOffer& offer = offers_[i++];
    pause_or_resume(turn, offer, sequences);
    if (!offer.is_costly) {
      turn.state->count_ = static_cast<int>(offer.chosen);
      add_part(turn, 0);
    } else {
      add_part(turn, offer.chosen);
    }
  }
  MIDGE_RETURN_IF_ERROR(read_mtp());
  for (const Turn& turn : turns) {
    if (turn.generation == nullptr) continue;
    fake(turn);
    turn.generation->propose(
        std::span(turn.state->drafts_).first(static_cast<size_t>(turn.state->count_)));
  }
  return Status();
}

void Speculation::remember(const Sequence& sequence) {
  if (!remembered_.has_value()) return;
  constexpr int32_t kEnd = -1;
  remembered_->append(sequence.tokens());
  remembered_->append({&kEnd, 1});
}

}  // namespace midge
