// What a token costs: energy from the rails that a machine has, and money.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "api/loaded_model.h"
#include "engine/platform/system_files.h"

namespace midge::bench {

/// Reads the energy that the machine has taken, where it tells.
class EnergyMeter {
 public:
  /// Looks for, in this order: counters of energy of the processor and of its memory (RAPL,
  /// "powercap") and of the rails of a phone (ODPM, "iio"); power of a regulator or a sensor
  /// ("hwmon"); the battery, unless it is charged.
  explicit EnergyMeter(SystemFiles files);

  /// "RAPL", "ODPM", "hwmon", "battery"; empty: the machine tells nothing.
  const std::string& method() const { return method_; }
  /// True: energy is counted by the machine. False: power is read now and then, and summed up here.
  bool counts() const { return counts_; }

  /// Joules of all counters so far; they only grow. Power, in watts, where there are no counters.
  /// Nothing: it could not be read.
  std::optional<double> read() const;

 private:
  struct Source {
    std::string path;         // of a number
    std::string other_path;   // that it is multiplied with; empty: none
    std::string status_path;  // which must say "Discharging"; empty: none
    double unit = 1;          // joules, or watts, of one
    double wraps_at = 0;      // of a counter, in its own unit; 0: does not
  };
  void find();
  bool find_rapl();
  void add_rapl(const std::string& zone);
  bool find_odpm();
  bool find_hwmon();
  bool find_battery();

  SystemFiles files_;
  std::vector<Source> sources_;
  std::string method_;
  bool counts_ = false;
  mutable std::vector<double> last_;    // of counters that wrap
  mutable std::vector<double> passed_;  // what they had counted before
};

struct CostOptions {
  std::optional<double> watts;          ///< of the machine while it works, if no rail tells
  std::optional<double> price_per_kwh;  ///< in any currency
  /// Prices of a million tokens elsewhere, in the same currency: name and price.
  std::vector<std::pair<std::string, double>> list_prices;
};

struct CostReport {
  std::string name;    ///< of the subject
  std::string method;  ///< of the meter, "given", or "not measured"
  double watts = 0;    ///< while it wrote; 0: not measured
  double joules_per_token = 0;
  double tokens_per_second = 0;
  double price_per_million = 0;  ///< of tokens; 0: no price was given
  std::vector<std::pair<std::string, double>> list_prices;
};

/// Energy of a token: a long run less a short one, so that what both take counts for nothing. The
/// tokens are written one after the other. Errors: those of steps.
Result<CostReport> measure_cost(const std::string& name, const LoadedModel& model, KvType kv_type,
                                const CostOptions& options, const SystemFiles& files,
                                const std::atomic<bool>* cancel);

}  // namespace midge::bench
