// Which cores a pass runs on: by its class, by what is known of the machine, and by what the user
// asks for.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/core/status.h"
#include "engine/platform/topology.h"

namespace midge {

/// What passes have in common as far as cores go. Generated rows read each weight once per pass, so
/// few of them wait for memory; a prompt computes.
enum class PassClass : uint8_t {
  kRow,       ///< one generated row
  kFewRows,   ///< 2 to 4
  kSomeRows,  ///< 5 to 8
  kPanel,     ///< more, or rows of a prompt among them; everything that is no pass
};
inline constexpr int kPassClassCount = 4;

PassClass pass_class(int64_t generated_rows, int64_t prompt_rows);

/// "1 row", "2-4 rows", "5-8 rows", "prompt".
const char* pass_class_name(PassClass c);

/// How fast cores are; of the cores of a topology, in its order.
struct CoreRates {
  std::vector<double> compute;                   ///< prompts; in any unit, the same for all
  std::vector<double> weights[kPassClassCount];  ///< bytes of weights per second; of kPanel empty
  /// Bytes per second that the fastest `threads` cores read together, by threads.
  struct Read {
    int threads;
    double rate;
  };
  std::vector<Read> reads;
};

/// By design, greatest frequency and capacity: only `compute` is there, relative to the fastest.
/// Cores that nothing is known of are alike. Pure.
CoreRates estimate_rates(const Topology& topology);

/// What a user asks for.
struct CoreRequest {
  int threads = 0;    ///< 1..256; 0: as many as the classes need
  std::string cores;  ///< a list, "0-3,6"; "prime", "big", "all"; empty: chosen
};

/// Cores of a class, fastest first, and the reason, a sentence without its full stop.
struct CoreSet {
  std::vector<int> cores;
  std::string why;
};

struct CoreChoice {
  CoreSet sets[kPassClassCount];

  const CoreSet& of(PassClass c) const { return sets[static_cast<int>(c)]; }
  CoreSet& of(PassClass c) { return sets[static_cast<int>(c)]; }
};

/// Errors: invalid_argument (threads; a list that is none; cores that the process may not use).
/// Pure.
Result<CoreChoice> choose_cores(const Topology& topology, const CoreRates& rates,
                                const CoreRequest& request);

/// All cores of a topology, fastest first; of the threads of one physical core, the first ones
/// first. Pure.
std::vector<int> cores_by_speed(const Topology& topology, const CoreRates& rates);

}  // namespace midge
