// Drafts: guesses of the tokens to come, that a step reads behind the last one. Where the model
// draws what was guessed, one pass over the weights gives several tokens.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/core/aligned_buffer.h"
#include "engine/session/executor.h"
#include "engine/session/generator.h"
#include "engine/session/sequence.h"
#include "engine/session/step.h"
#include "engine/speculation/draft_budget.h"
#include "engine/speculation/draft_head.h"
#include "engine/speculation/token_index.h"

namespace midge {

/// Who guesses.
enum class Drafter : uint8_t {
  kNone,
  kLookup,  ///< what followed the same tokens earlier in the sequence
  kMtp,     ///< the model's MTP layer
  kAuto,    ///< lookup where it finds something, else the MTP layer if the model has one
};

/// "none", "lookup", "mtp", "auto".
const char* drafter_name(Drafter drafter);
/// kAuto for an empty name. Errors: invalid_argument.
Result<Drafter> drafter_from_name(std::string_view name);

/// Most tokens of ended sequences that lookup looks at.
inline constexpr int64_t kRememberedMax = int64_t{1} << 24;

struct DraftOptions {
  Drafter drafter = Drafter::kNone;
  int drafts_max = kDraftsMax;  ///< of a sequence in one step, 1..kDraftsMax
  int match_min = 8;            ///< tokens that lookup must find alike, 1..64
  int mtp_drafts_max = 1;     ///< of the MTP layer, 1..3: those behind the first from its own state
  int64_t head_rows = 32768;  ///< of the head that the MTP layer drafts with; 0: all
  /// How often tokens come, [vocab_size]: chooses the rows of that head; empty: the first ones.
  std::span<const uint32_t> token_counts;
  /// Whether the MTP layer reads hidden states behind the final norm; nothing: what did better when
  /// the model was packed.
  std::optional<bool> takes_normed;
  /// Tokens of ended sequences that lookup looks at too, up to kRememberedMax; 0: none.
  int64_t remembered_tokens = 0;
  /// Drafts whatever it costs. For tests and measurements.
  bool always = false;
};

/// Tokens of a page of sequences that the MTP layer drafts for: after a pause it begins anew at
/// one.
inline constexpr int64_t kDraftPageTokens = 64;

/// Drafts that are right as often as asked for, to measure what that would give.
struct FakedDrafts {
  std::span<const int32_t> tokens;  ///< of the whole sequence, as it will be written
  double acceptance = 0;
};

/// What drafting knows of one sequence. All its memory is taken at creation: that of its index.
class DraftState {
 public:
  /// Errors: out_of_memory.
  static Result<DraftState> create(const DraftOptions& options, int64_t context_length);
  /// What one takes.
  static int64_t bytes_for(const DraftOptions& options, int64_t context_length);

  /// Replaces drafts from now on; null: no more. Outlives its use.
  void set_faked(const FakedDrafts* faked) { faked_ = faked; }

 private:
  friend class Speculation;

  DraftState();

  enum class Source : uint8_t { kNone, kLookup, kMtp };

  std::optional<TokenIndex> index_;
  std::array<int32_t, kDraftsMax> drafts_ = {};
  int count_ = 0;
  Source source_ = Source::kNone;
  Acceptance lookup_;
  std::array<Acceptance, 3> mtp_;
  bool has_begun_ = false;
  // The MTP layer reads along while its drafts repay it. It pauses otherwise, and begins anew.
  bool reads_mtp_ = false;
  double idle_seconds_ = 0;
  int64_t resume_at_ = 0;  // position
  int64_t pause_ = 0;      // tokens
  const FakedDrafts* faked_ = nullptr;
  double faked_right_ = 0;  // drafts that should have been right, less those that were
};

/// What was drafted, for all sequences.
struct DraftTotals {
  int64_t steps = 0;  ///< of generated tokens
  int64_t lookup_drafts = 0;
  int64_t lookup_drawn = 0;
  int64_t mtp_drafts = 0;
  int64_t mtp_drawn = 0;
  int64_t mtp_passes = 0;
  double mtp_seconds = 0;
  double mtp_prompt_seconds = 0;  ///< of these, in passes that read prompts too

  /// Without what there was before.
  DraftTotals since(const DraftTotals& before) const;
};

/// Makes drafts for the sequences of one executor. Whether a sequence gets some, and how many,
/// follows from how often its last ones were drawn and from what steps cost, which it measures:
/// text that does not repay drafts gets none. What is drawn does not depend on any of it.
///
/// Called by whoever runs the passes, behind each of them. Allocates nothing then.
class Speculation {
 public:
  /// sequences_max: that take part in a pass. The executor outlives it. Errors: invalid_argument
  /// (options), unsupported (kMtp without an MTP layer), out_of_memory.
  static Result<std::unique_ptr<Speculation>> create(Executor& executor,
                                                     const DraftOptions& options,
                                                     int64_t sequences_max);
  /// What create() takes. Of the executor's options: rows of a pass.
  static int64_t bytes_for(const Model& model, const DraftOptions& options, int64_t rows_max,
                           int64_t sequences_max);

  const DraftOptions& options() const { return options_; }
  /// Whether sequences need pages with room for the MTP layer.
  static bool uses_mtp(const DraftOptions& options, const ModelConfig& config);
  bool uses_mtp() const { return head_.has_value(); }

  /// Asks a pass for the hidden states that drafts are made from: of rows from `row` of the pass
  /// on, which are those of `state`'s sequence.
  void ask_for_hidden(const DraftState& state, int64_t row, RowOutputs* outputs) const;

  /// Copies row `row` of the pass to a place of its own, 0 .. sequences_max - 1, so that several
  /// sequences can go on from it. Returns the row to name for it.
  int64_t keep_row(int64_t row, size_t place);

  /// A sequence that took part in a pass.
  struct Turn {
    Sequence* sequence = nullptr;
    DraftState* state = nullptr;
    /// Has drawn a token that is to be read next, and gets drafts; null: only reads.
    Generation* generation = nullptr;
    int64_t first_row = 0;  ///< of the pass
    int64_t begin = 0;      ///< position of that row
    int64_t end = 0;        ///< behind the last position that stays
    RowRole role = RowRole::kGenerated;
  };

  /// Follows a pass over generated tokens alone: it had so many rows and took so long.
  void note_step(int64_t rows, double seconds) { times_.note(static_cast<int>(rows), seconds); }
  /// Takes note of the drafts of a step, and what was drawn of them; before follow().
  void note(DraftState& state, const Generation& generation);
  /// Follows a pass, and the draws from it: sequences in the order of the pass, those of kept rows
  /// behind. Reads on with the
  /// MTP layer and proposes drafts to the generations. rows_max: of drafts of all sequences.
  /// Errors: busy.
  Status follow(std::span<const Turn> turns, int64_t rows_max);
  /// A sequence has ended: others may look things up in it.
  void remember(const Sequence& sequence);

  const StepTimes& times() const { return times_; }
  const DraftTotals& totals() const { return totals_; }
  /// Of a pass of the MTP layer over generated tokens, as measured; 0: none was.
  double mtp_step_seconds() const { return mtp_seconds_; }

 private:
  // A turn with its part of a pass through the MTP layer.
  struct Part {
    const Turn* turn;
    int64_t begin;   // to the turn's end
    int64_t drafts;  // wanted
  };

  Speculation(Executor& executor, const DraftOptions& options);

  Status take_memory(int64_t sequences_max);
  void begin(DraftState& state) const;
  void learn(const Turn& turn);
  void look_up(const Turn& turn);
  DraftOffer offer_of(const Turn& turn);
  void choose(int64_t sequences, int64_t rows_max);
  bool may_resume(int64_t sequences) const;
  void pause_or_resume(const Turn& turn, const DraftOffer& offer, int64_t sequences);
  void pause(const Turn& turn);
  void add_part(const Turn& turn, int64_t drafts);
  Status read_mtp();
  Status run_mtp(int64_t depth);
  Status draft_on();
  int32_t best_token(const float* logits) const;
  void fake(const Turn& turn);

  Executor& executor_;
  DraftOptions options_;
  std::optional<DraftHead> head_;  // of the MTP layer
  bool takes_normed_ = false;
  std::optional<TokenIndex> remembered_;
  AlignedBuffer hidden_;    // [rows_max + sequences_max, hidden_size], the last ones are kept rows
  float* front_ = nullptr;  // of what a pass of the MTP layer reads of it
  StepTimes times_;
  DraftTotals totals_;
  Acceptance lookup_;  // of all sequences
  std::array<Acceptance, 3> mtp_;
  double mtp_seconds_ = 0;       // of a pass for generated tokens; 0: none was measured
  int64_t plain_steps_ = 0;      // since drafts were made
  int64_t drafted_steps_ = 0;    // since none were
  bool chose_by_rates_ = false;  // in this step
  std::vector<DraftOffer> offers_;
  std::vector<int32_t> next_tokens_;
  std::vector<Part> parts_;
  std::vector<MtpPart> mtp_parts_;
  std::vector<int32_t> last_rows_;
};

}  // namespace midge
