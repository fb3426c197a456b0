// Where the energy of a machine is read, from recordings of what Linux says.
#include <gtest/gtest.h>

#include "bench/model/energy.h"
#include "tests/bench/bench_models.h"

namespace midge::bench {
namespace {

TEST(EnergyMeter, SumsThePackagesOfRapl) {
  const EnergyMeter meter(
      recording("sys/class/powercap/intel-rapl:0/energy_uj: 1500000\n"
                "sys/class/powercap/intel-rapl:0/max_energy_range_uj: 262143328850\n"
                "sys/class/powercap/intel-rapl:0/name: package-0\n"
                "sys/class/powercap/intel-rapl:1/energy_uj: 500000\n"
                "sys/class/powercap/intel-rapl:2/energy_uj: 7000000\n"
                "sys/class/powercap/intel-rapl:2/name: psys\n"
                "sys/class/powercap/intel-rapl:0:0/energy_uj: 900000\n"
                "sys/class/powercap/intel-rapl:0:0/name: core\n"
                "sys/class/powercap/intel-rapl:0:1/energy_uj: 250000\n"
                "sys/class/powercap/intel-rapl:0:1/name: dram\n"));
  EXPECT_EQ(meter.method(), "RAPL");
  EXPECT_TRUE(meter.counts());
  EXPECT_DOUBLE_EQ(*meter.read(), 2.25);
}

TEST(EnergyMeter, SumsTheRailsOfAPhone) {
  const EnergyMeter meter(recording(
      "sys/bus/iio/devices/iio:device0/energy_value: t=1234\n"
      "sys/bus/iio/devices/iio:device0/energy_value: CH0(T=1234)[S1M_VDD_CPU2], 3000000\n"
      "sys/bus/iio/devices/iio:device0/energy_value: CH1(T=1234)[S2M_VDD_CPU1], 1000000\n"));
  EXPECT_EQ(meter.method(), "ODPM");
  EXPECT_DOUBLE_EQ(*meter.read(), 4.0);
}

TEST(EnergyMeter, MultipliesCurrentAndVoltageOfABattery) {
  const EnergyMeter meter(
      recording("sys/class/power_supply/battery/current_now: -1500000\n"
                "sys/class/power_supply/battery/voltage_now: 4000000\n"
                "sys/class/power_supply/battery/status: Discharging\n"));
  EXPECT_EQ(meter.method(), "battery");
  EXPECT_FALSE(meter.counts());
  EXPECT_DOUBLE_EQ(*meter.read(), 6.0);
}

TEST(EnergyMeter, ABatteryThatIsChargedTellsNothing) {
  const EnergyMeter meter(
      recording("sys/class/power_supply/battery/current_now: 1500000\n"
                "sys/class/power_supply/battery/voltage_now: 4000000\n"
                "sys/class/power_supply/battery/status: Charging\n"));
  EXPECT_EQ(meter.method(), "");
}

TEST(EnergyMeter, ReadsSensorsOfPower) {
  const EnergyMeter meter(recording("sys/class/hwmon/hwmon2/power1_input: 3500000\n"));
  EXPECT_EQ(meter.method(), "hwmon");
  EXPECT_DOUBLE_EQ(*meter.read(), 3.5);
}

TEST(EnergyMeter, SaysThatNothingTells) {
  const EnergyMeter meter(recording("proc/x: 1\n"));
  EXPECT_EQ(meter.method(), "");
  EXPECT_FALSE(meter.read().has_value());
}

TEST(EnergyMeter, GarbageIsNoReading) {
  const EnergyMeter meter(recording("sys/class/hwmon/hwmon0/power1_input: lots\n"));
  EXPECT_EQ(meter.method(), "");
}

#if !defined(MIDGE_EMULATED)  // takes ten seconds of real time
TEST(Cost, FollowsFromThePowerThatIsGiven) {
  const std::unique_ptr<LoadedModel> model = open_packed_model(1);
  CostOptions options;
  options.watts = 5;
  options.price_per_kwh = 0.30;
  options.list_prices = {{"elsewhere", 0.5}};
  const Result<CostReport> cost =
      measure_cost("tiny", *model, KvType::kF16, options, recording("proc/x: 1\n"), nullptr);
  ASSERT_TRUE(cost.ok()) << cost.status().message();
  EXPECT_EQ(cost->method, "given");
  EXPECT_DOUBLE_EQ(cost->joules_per_token, 5 / cost->tokens_per_second);
  EXPECT_NEAR(cost->price_per_million, cost->joules_per_token * 1e6 / 3.6e6 * 0.30, 1e-12);
  ASSERT_EQ(cost->list_prices.size(), 1u);
}
#endif

}  // namespace
}  // namespace midge::bench
