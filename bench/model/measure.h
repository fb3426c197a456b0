// The rounds of a bench: everything once per round, a reading of the limits beside each.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/loaded_model.h"
#include "bench/model/gate.h"
#include "bench/model/machine_state.h"

namespace midge::bench {

/// What is measured.
struct BenchOptions {
  int64_t rounds = 5;
  std::vector<int64_t> prompts = {16, 128, 512};         ///< tokens; empty: none
  std::vector<int64_t> depths = {0, 1024, 4096, 16384};  ///< tokens before a step; empty: none
  std::vector<int64_t> rows = {1, 2, 3, 4, 5, 6, 7, 8};  ///< of a step; empty: none
  std::vector<int64_t> requests = {1, 2, 4, 8};          ///< at a time; empty: none
  bool opens = true;                                     ///< cold and warm, if there is a file
  bool wrong_kernel = false;                             ///< see with_wrong_kernel()
  const std::atomic<bool>* cancel = nullptr;             ///< ends it while set; may be null
  /// Told what is done now and which part of all is behind; may be empty.
  std::function<void(const std::string& what, double part)> on_progress;
};

/// A model in a setting.
struct Subject {
  std::string name;
  std::string path;  ///< of its file or folder, for opening it cold; empty: it has none
  KvType kv_type = KvType::kF16;
  int64_t context_length = 0;  ///< of its config
  std::function<Result<std::unique_ptr<LoadedModel>>()> open;
};

/// A figure in one round.
struct Round {
  double seconds = 0;    ///< median of the round's samples
  double bandwidth = 0;  ///< that passes over the weights next to its samples reached; the median
  double read_fraction = 0;  ///< of that, see Figure::bytes; 0: no bytes
  double peak_fraction = 0;  ///< of the integer peak; 0: no multiply-adds or no peak
  bool disturbed = false;
  std::vector<double> samples = {};  ///< seconds of each
};

/// Something measured again and again.
struct Figure {
  std::string section;  ///< "open", "prompt", "decode", "rows", "requests"
  std::string label;    ///< of this line of the section
  int64_t at = 0;       ///< what the label counts
  double tokens = 0;    ///< that a sample makes or reads; 0: none
  double bytes = 0;     ///< that a sample reads from memory at least: weights, keys and values
  double macs = 0;      ///< multiply-adds of its matrices
  std::vector<Round> rounds;

  /// Of a member of the rounds that were not disturbed, if these are half of them or more, else of
  /// all.
  std::vector<double> of_rounds(double Round::* member) const;
  std::vector<double> samples() const;  ///< of the same rounds, seconds
  bool is_disturbed() const;            ///< more than half of the rounds were
};

/// A round as a whole.
struct RoundState {
  double clock = 0;
  double bandwidth_low = 0;
  double bandwidth_high = 0;
  double integer_peak = 0;
  double others = -1;       ///< cores that other programs took; negative: not known
  std::string disturbance;  ///< what disturbed it; empty: nothing was seen
};

struct SubjectReport {
  std::string name;
  std::string path;
  std::string family;
  int64_t parameters = 0;
  int64_t token_bytes = 0;  ///< of the matrices that a token passes through
  int64_t model_bytes = 0;  ///< of the file, or of the weights in memory
  int threads = 0;
  std::string level;
  std::string kernels;
  std::string kv_type;
  GateReport gate;
  ProcessMemory memory;  ///< the peak since the model was opened; the rest with it open
  std::vector<Figure> figures;
  std::vector<RoundState> rounds;
  MachineState before;
  MachineState after;
  std::vector<std::string> notes;  ///< what was left out, a sentence each

  const Figure* find(const std::string& section, int64_t at) const;
};

/// Measures the subjects. One is open at a time: of several, rounds take turns in blocks. Errors:
/// those of opening, of check_output() and of steps; cancelled.
Result<std::vector<SubjectReport>> run_bench(const std::vector<Subject>& subjects,
                                             const BenchOptions& options);

/// Longest sequence that the options ask for, in a model of that context.
int64_t context_of(const BenchOptions& options, int64_t context_length);

/// The kernels of the matrices' products, of the encodings that the model has.
std::string used_kernels(const Executor& executor);

}  // namespace midge::bench
