#include "engine/platform/core_choice.h"

#include <algorithm>
#include <cmath>

#include "engine/core/visible.h"

namespace midge {
namespace {

constexpr int kThreadsMax = 256;
// A core that makes the whole faster by less does not help: it takes power, and wakes late.
constexpr double kHelps = 0.02;
// Rates of reading closer than this are the same.
constexpr double kReadNoise = 0.03;
// Without measured rates: so many cores usually read memory at its full speed on phones and boards,
// and big is what has half of the fastest core's rate.
constexpr size_t kDecodeCores = 4;
constexpr double kBig = 0.5;

const double* rate_of(const Topology& topology, const std::vector<double>& rates, int number) {
  for (size_t i = 0; i < topology.cores.size() && i < rates.size(); ++i) {
    if (topology.cores[i].number == number) return &rates[i];
  }
  return nullptr;
}

// How Linux compares the cores, or how we do where it does not.
std::vector<double> general_speed(const Topology& topology, const CoreRates& rates) {
  std::vector<double> speed;
  for (const CpuCore& core : topology.cores) {
    if (core.capacity == 0) return rates.compute;
    speed.push_back(core.capacity);
  }
  return speed;
}

// The sum of the first `count` cores' rates; 0 if one is not known.
double sum_of(const Topology& topology, const std::vector<double>& rates,
              const std::vector<int>& cores, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; ++i) {
    const double* rate = rate_of(topology, rates, cores[i]);
    if (rate == nullptr || *rate <= 0) return 0;
    sum += *rate;
  }
  return sum;
}

std::vector<int> first(const std::vector<int>& cores, size_t count) {
  return {cores.begin(),
          cores.begin() + static_cast<std::ptrdiff_t>(std::min(count, cores.size()))};
}

// Threads of one physical core share its vector units.
std::vector<int> without_siblings(const Topology& topology, const std::vector<int>& cores) {
  std::vector<int> kept;
  for (const int number : cores) {
    if (topology.find(number)->smt_rank == 0) kept.push_back(number);
  }
  return kept.empty() ? cores : kept;
}

const char* only_core(const Topology& topology) {
  return topology.present > 1 ? "the only allowed core" : "the only core";
}

std::string cores_word(size_t count) { return count == 1 ? "core" : "cores"; }

// The fewest of `cores` that come close to the best measured rate.
CoreSet measured_decode_set(const Topology& topology, const CoreRates& rates, PassClass c,
                            const std::vector<int>& cores) {
  const std::vector<double>& weights = rates.weights[static_cast<int>(c)];
  struct Candidate {
    size_t threads;
    double rate;
    bool waits_for_memory;
  };
  std::vector<Candidate> candidates;
  double best = 0;
  for (const CoreRates::Read& read : rates.reads) {
    const auto threads = static_cast<size_t>(read.threads);
    if (threads < 1 || threads > cores.size()) continue;
    const double compute = sum_of(topology, weights, cores, threads);
    const bool waits = compute == 0 || read.rate < compute;
    candidates.push_back({threads, waits ? read.rate : compute, waits});
    best = std::max(best, candidates.back().rate);
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.threads < b.threads; });
  for (const Candidate& candidate : candidates) {
    if (candidate.rate < (1 - kReadNoise) * best) continue;
    const bool is_last = candidate.threads == candidates.back().threads;
    std::string why =
        format_string("%zu %s %s %.1f GB/s of weights as measured", candidate.threads,
                      cores_word(candidate.threads).c_str(),
                      candidate.waits_for_memory ? "read" : "work through", candidate.rate * 1e-9);
    if (is_last && candidates.size() > 1) why += ", fewer are slower";
    if (!is_last) {
      why += format_string(", %zu do not read more (%.1f)", candidates.back().threads,
                           candidates.back().rate * 1e-9);
    }
    return {first(cores, candidate.threads), std::move(why)};
  }
  return {};
}

CoreSet decode_set(const Topology& topology, const CoreRates& rates, PassClass c,
                   const std::vector<int>& cores) {
  CoreSet set = measured_decode_set(topology, rates, c, cores);
  if (!set.cores.empty()) return set;
  if (topology.clusters.size() == 1 && cores.size() > 2 * kDecodeCores) {
    return {cores,
            "all cores, which are alike: machines with so many read memory with all of them (not "
            "measured)"};
  }
  const std::vector<double> speed = general_speed(topology, rates);
  std::vector<int> big;
  double fastest = 0;
  for (const double s : speed) fastest = std::max(fastest, s);
  for (const int number : cores) {
    if (*rate_of(topology, speed, number) >= kBig * fastest) big.push_back(number);
  }
  const size_t count = std::min(big.size(), kDecodeCores);
  std::string why = format_string("the %zu fastest %s", count, cores_word(count).c_str());
  if (count == cores.size()) why = count == 1 ? only_core(topology) : "all cores";
  if (count < cores.size()) {
    why += count < big.size() ? ": more cores seldom read memory faster"
                              : ": the others have less than half of their speed";
  }
  return {first(big, count), why + " (not measured)"};
}

CoreSet prompt_set(const Topology& topology, const CoreRates& rates,
                   const std::vector<int>& cores) {
  const double fastest = *rate_of(topology, rates.compute, cores.front());
  double sum = 0;
  size_t count = 0;
  for (; count < cores.size(); ++count) {
    const double rate = *rate_of(topology, rates.compute, cores[count]);
    if (rate < kHelps * sum && rate < kBig * fastest) break;
    sum += rate;
  }
  CoreSet set = {first(cores, count), {}};
  if (count < cores.size()) {
    set.why = format_string("the %zu fastest cores: each other one adds less than %.0f %%", count,
                            100 * kHelps);
  } else if (cores.size() < topology.cores.size()) {
    set.why = "one thread of each core: its threads share the vector units";
  } else if (topology.clusters.size() > 1) {
    const double slowest = *rate_of(topology, rates.compute, cores.back());
    set.why = format_string("all cores: the slowest adds %.0f %%", 100 * slowest / (sum - slowest));
  } else {
    set.why = count == 1 ? only_core(topology) : "all cores, which are alike";
  }
  return set;
}

Result<std::vector<int>> requested_cores(const Topology& topology, const CoreRates& rates,
                                         const std::string& text) {
  const std::vector<int> all = cores_by_speed(topology, rates);
  if (text.empty() || text == "all") return all;
  std::vector<int> chosen;
  if (text == "prime" || text == "big") {
    const std::vector<double> speed = general_speed(topology, rates);
    double fastest = 0;
    for (const double s : speed) fastest = std::max(fastest, s);
    for (const int number : all) {
      const bool is_prime = topology.find(number)->cluster == 0;
      const bool is_big = *rate_of(topology, speed, number) >= kBig * fastest;
      if (text == "prime" ? is_prime : is_big) chosen.push_back(number);
    }
    return chosen;
  }
  const auto list = parse_core_list(text);
  if (!list.has_value() || list->empty()) {
    return make_status(StatusCode::kInvalidArgument,
                       "cores '%s': expected a list such as 0-3,6, or prime, big, all",
                       printable(text).c_str());
  }
  for (const int number : *list) {
    if (topology.find(number) != nullptr) continue;
    std::vector<int> usable = all;
    std::sort(usable.begin(), usable.end());
    return make_status(
        StatusCode::kInvalidArgument,
        "cores '%s': this process may not run on a core %d, expected of those it has: %s",
        text.c_str(), number, core_list_text(usable).c_str());
  }
  for (const int number : all) {
    if (std::binary_search(list->begin(), list->end(), number)) chosen.push_back(number);
  }
  return chosen;
}

}  // namespace

PassClass pass_class(int64_t generated_rows, int64_t prompt_rows) {
  if (prompt_rows > 0 || generated_rows > 8) return PassClass::kPanel;
  if (generated_rows <= 1) return PassClass::kRow;
  return generated_rows <= 4 ? PassClass::kFewRows : PassClass::kSomeRows;
}

const char* pass_class_name(PassClass c) {
  static constexpr const char* kNames[kPassClassCount] = {"1 row", "2-4 rows", "5-8 rows",
                                                          "prompt"};
  return kNames[static_cast<int>(c)];
}

CoreRates estimate_rates(const Topology& topology) {
  const size_t count = topology.cores.size();
  std::vector<double> by_design(count);
  std::vector<double> by_capacity(count);
  std::vector<double> by_frequency(count);
  bool designs = true;
  bool capacities = true;
  bool frequencies = true;
  for (size_t i = 0; i < count; ++i) {
    const CpuCore& core = topology.cores[i];
    const std::string& type = topology.types[static_cast<size_t>(core.type)].name;
    const CoreDesign* design = find_core_design(midr_of_core_type(type));
    designs = designs && design != nullptr;
    capacities = capacities && core.capacity > 0;
    frequencies = frequencies && core.frequency > 0;
    by_design[i] = design != nullptr ? design->products_per_cycle : 0;
    by_capacity[i] = core.capacity;
    by_frequency[i] = static_cast<double>(core.frequency);
  }
  CoreRates rates;
  rates.compute.assign(count, 1);
  if (designs && frequencies) {
    for (size_t i = 0; i < count; ++i) rates.compute[i] = by_design[i] * by_frequency[i];
  } else if (capacities) {
    rates.compute = by_capacity;
  } else if (designs) {
    rates.compute = by_design;
  } else if (frequencies) {
    rates.compute = by_frequency;
  }
  const double fastest = *std::max_element(rates.compute.begin(), rates.compute.end());
  for (double& rate : rates.compute) rate /= fastest;
  return rates;
}

std::vector<int> cores_by_speed(const Topology& topology, const CoreRates& rates) {
  const std::vector<double> speed = general_speed(topology, rates);
  std::vector<size_t> order(topology.cores.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const CpuCore& x = topology.cores[a];
    const CpuCore& y = topology.cores[b];
    if (x.smt_rank != y.smt_rank) return x.smt_rank < y.smt_rank;
    if (x.cluster != y.cluster) return x.cluster < y.cluster;
    return speed[a] != speed[b] ? speed[a] > speed[b] : a < b;
  });
  std::vector<int> numbers;
  for (const size_t i : order) numbers.push_back(topology.cores[i].number);
  return numbers;
}

Result<CoreChoice> choose_cores(const Topology& topology, const CoreRates& rates,
                                const CoreRequest& request) {
  if (request.threads < 0 || request.threads > kThreadsMax) {
    return make_status(StatusCode::kInvalidArgument, "%d threads, expected 0..%d", request.threads,
                       kThreadsMax);
  }
  MIDGE_ASSIGN_OR_RETURN(const std::vector<int> asked,
                         requested_cores(topology, rates, request.cores));
  CoreChoice choice;
  const auto set_all = [&](std::vector<int> cores, const std::string& why) {
    for (CoreSet& set : choice.sets) set = {cores, why};
    return choice;
  };
  const auto threads = static_cast<size_t>(request.threads);
  if (threads > 0) {
    return set_all(first(asked, threads), request.cores.empty()
                                              ? "the fastest cores for the threads asked for"
                                              : "the cores and threads asked for");
  }
  if (!request.cores.empty()) {
    return set_all(first(asked, kThreadsMax), "the cores asked for");
  }
  std::vector<int> cores = first(without_siblings(topology, asked), kThreadsMax);
  const auto quota = static_cast<size_t>(std::max(1.0, std::floor(topology.quota + 0.01)));
  const bool is_limited = topology.quota > 0 && quota < cores.size();
  if (is_limited) cores = first(cores, quota);
  for (int i = 0; i < kPassClassCount; ++i) {
    const auto c = static_cast<PassClass>(i);
    CoreSet& set = choice.of(c);
    set = c == PassClass::kPanel ? prompt_set(topology, rates, cores)
                                 : decode_set(topology, rates, c, cores);
    if (is_limited) {
      set.why = format_string("the control group allows the time of %.2g cores; of %zu %s, %s",
                              topology.quota, quota, cores_word(quota).c_str(), set.why.c_str());
    }
  }
  return choice;
}

}  // namespace midge
