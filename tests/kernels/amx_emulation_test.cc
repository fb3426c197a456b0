// The instructions on tiles that the harness carries out, by what they are defined to do: the same
// holds on a core that has them, where these tests run natively.
#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/declarations.h"
#include "kernels/x86_64/amx.h"
#include "tests/harness/amx_emulation.h"
#include "tests/harness/checked_call.h"
#include "tests/harness/guarded_memory.h"
#include "tests/harness/test_data.h"
#include "tests/kernels/kernel_checks.h"

namespace midge::test {
namespace {

class AmxEmulation : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!features_with_emulation().has(cpu::kAmxInt8)) {
      GTEST_SKIP() << "this machine lacks amx, and avx512_vnni beside it";
    }
  }
  void TearDown() override { release_tiles(); }
};

// sums [m][n], lhs [m][4 * g], rhs [g][4 * n] in tiles 0, 1, 2.
amx::TileConfig product_config(int m, int n, int g) {
  amx::TileConfig config;
  config.rows[0] = config.rows[1] = static_cast<uint8_t>(m);
  config.rows[2] = static_cast<uint8_t>(g);
  config.row_bytes[0] = config.row_bytes[2] = static_cast<uint16_t>(4 * n);
  config.row_bytes[1] = static_cast<uint16_t>(4 * g);
  return config;
}

TEST_F(AmxEmulation, MultipliesAndAddsUp) {
  TestRandom random(1);
  int8_t lhs[16][64];
  int8_t rhs[16][64];
  for (const auto& [m, n, g] :
       {std::array{16, 16, 16}, {1, 1, 1}, {5, 3, 7}, {16, 1, 9}, {3, 16, 1}, {8, 15, 16}}) {
    for (auto& row : lhs) {
      for (int8_t& value : row) value = static_cast<int8_t>(random.bits());
    }
    for (auto& row : rhs) {
      for (int8_t& value : row) value = random.below(2) == 0 ? -128 : 127;
    }
    int32_t sums[17][20];
    std::memset(sums, 0x55, sizeof(sums));
    amx::configure(product_config(m, n, g));
    amx::zero<0>();
    amx::load<1>(lhs, 64);
    amx::load<2>(rhs, 64);
    amx::multiply<0, 1, 2>();
    amx::multiply<0, 1, 2>();
    amx::store<0>(sums, sizeof(sums[0]));
    for (int i = 0; i < 17; ++i) {
      for (int j = 0; j < 20; ++j) {
        int32_t expected = 0;
        for (int c = 0; c < 4 * g; ++c)
          expected += 2 * lhs[i % 16][c] * rhs[c / 4][j % 16 * 4 + c % 4];
        if (i >= m || j >= n) expected = 0x55555555;  // not written
        EXPECT_EQ(sums[i][j], expected) << m << ' ' << n << ' ' << g << ": " << i << ' ' << j;
      }
    }
  }
}

TEST_F(AmxEmulation, SumsWrapAround) {
  int32_t sums[1] = {INT32_MAX};
  const int8_t ones[4] = {1, 0, 0, 0};
  amx::configure(product_config(1, 1, 1));
  amx::load<0>(sums, 4);
  amx::load<1>(ones, 4);
  amx::load<2>(ones, 4);
  amx::multiply<0, 1, 2>();
  amx::store<0>(sums, 4);
  EXPECT_EQ(sums[0], INT32_MIN);
}

TEST_F(AmxEmulation, ConfiguringClears) {
  uint8_t bytes[16][64];
  std::memset(bytes, 7, sizeof(bytes));
  amx::configure(product_config(16, 16, 16));
  amx::load<0>(bytes, 64);
  amx::configure(product_config(16, 16, 16));
  amx::store<0>(bytes, 64);
  for (const auto& row : bytes) EXPECT_EQ(row[63], 0);
}

TEST_F(AmxEmulation, Addresses) {
  uint8_t rows[16 * 64];
  for (size_t i = 0; i < sizeof(rows); ++i) rows[i] = static_cast<uint8_t>(i / 64);
  amx::TileConfig config;
  config.rows[3] = 3;
  config.row_bytes[3] = 4;
  // What tile 3 has in its rows after a load from `base` and `index`.
  const auto first_bytes = [] {
    uint8_t stored[3][4] = {};
    amx::store<3>(stored, 4);
    return std::vector<int>{stored[0][0], stored[1][0], stored[2][3]};
  };
  using Rows = std::vector<int>;
  const uint8_t* base = rows;
  int64_t index = 64;
  __asm__ volatile("ldtilecfg (,%0,1)" : : "r"(&config), "m"(config));
  __asm__ volatile("tileloadd 64(%0,%1), %%tmm3" : : "r"(base), "r"(index) : "memory");
  EXPECT_EQ(first_bytes(), (Rows{1, 2, 3}));
  __asm__ volatile("tileloadd 0x100(%0,%1,4), %%tmm3" : : "r"(base), "r"(index / 2) : "memory");
  EXPECT_EQ(first_bytes(), (Rows{4, 6, 8}));
  __asm__ volatile("tileloadd -64(%0,%1), %%tmm3" : : "r"(base + 512), "r"(-index) : "memory");
  EXPECT_EQ(first_bytes(), (Rows{7, 6, 5}));
  // Registers above 7; r13 as a base needs a displacement, r12 as an index is none.
  __asm__ volatile("mov %0, %%r13\n\tmov %1, %%r12\n\ttileloadd (%%r13,%%r12,2), %%tmm3"
                   :
                   : "r"(base), "r"(index)
                   : "memory", "r12", "r13");
  EXPECT_EQ(first_bytes(), (Rows{0, 2, 4}));
  // Without an index all rows are the same.
  __asm__ volatile("mov %0, %%r12\n\ttileloadd 128(%%r12), %%tmm3" : : "r"(base) : "memory", "r12");
  EXPECT_EQ(first_bytes(), (Rows{2, 2, 2}));
  static const amx::TileConfig other = config;
  __asm__ volatile("ldtilecfg %0" : : "m"(other));  // relative to rip, or absolute
  EXPECT_EQ(first_bytes(), (Rows{0, 0, 0}));
}

TEST_F(AmxEmulation, EachThreadHasItsTiles) {
  amx::configure(product_config(1, 1, 1));
  std::thread([] { EXPECT_FALSE(release_tiles()); }).join();
  EXPECT_TRUE(release_tiles());
  EXPECT_FALSE(release_tiles());
}

// The signal that a configuration and what follows it end with.
struct Attempt {
  amx::TileConfig config;
  void (*then)();
};
void make_attempt(const Attempt* attempt) {
  amx::configure(attempt->config);
  if (attempt->then != nullptr) attempt->then();
}
int signal_of(const Attempt& attempt) {
  return call_checked(reinterpret_cast<void (*)()>(make_attempt), &attempt).signal;
}
int signal_of(const amx::TileConfig& config) { return signal_of({config, amx::release}); }

TEST_F(AmxEmulation, RefusesConfigurations) {
  const amx::TileConfig good = product_config(16, 16, 16);
  EXPECT_EQ(signal_of(good), 0);
  amx::TileConfig bad = good;
  bad.palette = 2;
  EXPECT_NE(signal_of(bad), 0);
  bad = good;
  bad.reserved[13] = 1;
  EXPECT_NE(signal_of(bad), 0);
  bad = good;
  bad.rows[7] = 17;
  bad.row_bytes[7] = 64;
  EXPECT_NE(signal_of(bad), 0);
  bad.rows[7] = 16;
  bad.row_bytes[7] = 65;
  EXPECT_NE(signal_of(bad), 0);
  bad.row_bytes[7] = 0;
  EXPECT_NE(signal_of(bad), 0);
  bad = good;
  bad.rows[8] = 1;
  EXPECT_NE(signal_of(bad), 0);
  bad = good;
  bad.row_bytes[15] = 1;
  EXPECT_NE(signal_of(bad), 0);
}

TEST_F(AmxEmulation, RefusesOperands) {
  void (*const product)() = [] {
    amx::multiply<0, 1, 2>();
    amx::release();
  };
  const amx::TileConfig good = product_config(8, 8, 8);
  EXPECT_EQ(signal_of({good, product}), 0);
  for (const int tile : {0, 1, 2}) {
    amx::TileConfig bad = good;
    ++bad.rows[tile];
    EXPECT_EQ(signal_of({bad, product}), SIGILL) << "rows of " << tile;
    bad = good;
    bad.row_bytes[tile] += 4;
    EXPECT_EQ(signal_of({bad, product}), SIGILL) << "columns of " << tile;
    bad = good;
    bad.rows[tile] = 0;
    bad.row_bytes[tile] = 0;
    EXPECT_EQ(signal_of({bad, product}), SIGILL) << "no " << tile;
  }
  // A register twice, which assemblers do not let pass: tdpbssd of 0 0 2, 0 1 0, 0 1 1.
  EXPECT_EQ(signal_of({good, [] { __asm__ volatile(".byte 0xC4, 0xE2, 0x6B, 0x5E, 0xC0"); }}),
            SIGILL);
  EXPECT_EQ(signal_of({good, [] { __asm__ volatile(".byte 0xC4, 0xE2, 0x7B, 0x5E, 0xC1"); }}),
            SIGILL);
  EXPECT_EQ(signal_of({good, [] { __asm__ volatile(".byte 0xC4, 0xE2, 0x73, 0x5E, 0xC1"); }}),
            SIGILL);
  EXPECT_EQ(signal_of({good, amx::zero<3>}), SIGILL);
  EXPECT_EQ(signal_of({good,
                       [] {
                         amx::release();
                         amx::zero<0>();
                       }}),
            SIGILL);
}

// Loads 16 rows of 64 bytes.
void load_rows(const uint8_t* rows) {
  amx::configure(product_config(16, 16, 16));
  amx::load<0>(rows, 64);
  amx::release();
}

TEST_F(AmxEmulation, FaultsAreThoseOfTheInstruction) {
  GuardedMemory memory;
  ASSERT_TRUE(memory.reserve(4096));
  const auto load = reinterpret_cast<void (*)()>(load_rows);
  EXPECT_EQ(call_checked(load, memory.end() - 1024).signal, 0);
  for (int i = 0; i < 3; ++i) {
    const CallOutcome outcome = call_checked(load, memory.end() - 1023);
    EXPECT_EQ(outcome.signal, SIGSEGV);
    const auto* address = static_cast<const uint8_t*>(outcome.fault_address);
    EXPECT_GE(address, memory.end() - 63);
    EXPECT_LE(address, memory.end());
  }
  EXPECT_EQ(call_checked(load, memory.begin()).signal, 0);
}

void illegal(const void*) { __asm__ volatile("ud2"); }

TEST_F(AmxEmulation, OtherInstructionsCrashAsBefore) {
  EXPECT_EQ(call_checked(reinterpret_cast<void (*)()>(illegal), nullptr).signal, SIGILL);
  EXPECT_EXIT(illegal(nullptr), ::testing::KilledBySignal(SIGILL), "");
}

void gemm_panel_keeps_tiles(const GemmPanelArgs* args) {
  gemm_panel_f32_q8s256_q8s256_32x32_amx(args);
  amx::configure(product_config(1, 1, 1));
}

void gemm_panel_loads_past_rows(const GemmPanelArgs* args) {
  amx::configure(product_config(1, 1, 1));
  amx::load<1>(args->lhs + args->m * kPanelColumns, 64);
  amx::release();
}

void gemm_panel_stores_past_rows(const GemmPanelArgs* args) {
  gemm_panel_f32_q8s256_q8s256_32x32_amx(args);
  amx::configure(product_config(1, 1, 1));
  amx::store<0>(args->acc + args->m * kTileRows, 64);
  amx::release();
}

// What check_kernel says of a function in the place of gemm_panel.
std::string found(void (*function)(const GemmPanelArgs*)) {
  KernelInfo kernel = *select_kernel(Op::kGemmPanel, Encoding::kF32,
                                     {level_features(IsaLevel::kAmx), "gemm_panel_*_amx"});
  kernel.name = "broken";
  kernel.function = reinterpret_cast<void (*)()>(function);
  Failures failures;
  check_kernel(kernel, &failures);
  return failures.text();
}

TEST_F(AmxEmulation, HarnessSeesFaultsOfKernels) {
  EXPECT_PRED_FORMAT2(::testing::IsSubstring, "does not preserve tiles\n",
                      found(gemm_panel_keeps_tiles));
  EXPECT_PRED_FORMAT2(::testing::IsSubstring, "crashed with SIGSEGV 0 bytes after lhs",
                      found(gemm_panel_loads_past_rows));
  EXPECT_PRED_FORMAT2(::testing::IsSubstring, "writes outside: 0 bytes after acc",
                      found(gemm_panel_stores_past_rows));
}

}  // namespace
}  // namespace midge::test
