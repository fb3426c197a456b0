// Misuse of kernels: every rule that call.h can see, broken one at a time.
#include "kernels/call.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/core/aligned_buffer.h"
#include "kernels/declarations.h"
#include "kernels/kernels.h"
#include "tests/kernels/kernel_checks.h"

namespace midge {
namespace {

constexpr int64_t kBytes = 1 << 16;

// Memory for operands, aligned to 64.
class Call : public testing::Test {
 protected:
  void SetUp() override {
    for (AlignedBuffer* buffer : {&in_, &weights_, &out_, &more_}) {
      Result<AlignedBuffer> made = AlignedBuffer::create(kBytes, "operands");
      ASSERT_TRUE(made.ok());
      *buffer = std::move(*made);
    }
  }

  template <typename T = float>
  static T* at(AlignedBuffer& buffer, int64_t byte = 0) {
    return reinterpret_cast<T*>(buffer.data() + byte);
  }

  GemvArgs gemv() {
    return {.m = 2,
            .n = 32,
            .k = 32,
            .lhs = at(in_),
            .lhs_stride = 128,
            .rhs = at(weights_),
            .addend = nullptr,
            .addend_stride = 0,
            .out = at(out_),
            .out_stride = 128};
  }
  GemmPanelArgs gemm_panel() {
    return {.m = 4,
            .first = true,
            .lhs = at<int8_t>(in_),
            .lhs_scales = at(in_, 4096),
            .lhs_sums = at<int32_t>(in_, 8192),
            .panel = at<int8_t>(weights_),
            .panel_scales = at(more_),
            .acc = at(out_)};
  }

  // The rule that args break once `change` has been at them; the args as they are break none.
  template <typename Args, typename Change>
  static std::string broken(Args args, const Change& change) {
    EXPECT_EQ(broken_rule(args), nullptr);
    change(args);
    const char* rule = broken_rule(args);
    return rule == nullptr ? "none" : rule;
  }

  AlignedBuffer in_, weights_, out_, more_;
};

using CallDeathTest = Call;

TEST_F(CallDeathTest, NullKernel) {
  if (!kDchecks) GTEST_SKIP() << "this build does not check";
  const GemvArgs args = gemv();
  const GemvFunction none = nullptr;
  EXPECT_DEATH(call_kernel(none, args), "kernel != nullptr: no kernel takes these operands");
}

TEST_F(CallDeathTest, WrongStride) {
  if (!kDchecks) GTEST_SKIP() << "this build does not check";
  GemvArgs args = gemv();
  args.out_stride = 124;
  EXPECT_DEATH(call_kernel(&gemv_f32_q8b32_q4b32_8x32_generic, args), "out_stride holds a row");
}

TEST_F(CallDeathTest, UnalignedScratch) {
  if (!kDchecks) GTEST_SKIP() << "this build does not check";
  GemmPanelArgs args = gemm_panel();
  args.acc += 4;
  EXPECT_DEATH(call_kernel(&gemm_panel_f32_q8s256_q8s256_1x32_generic, args),
               "acc is aligned to 64 bytes");
}

TEST_F(Call, CallsTheKernel) {
  float* x = at(out_);
  for (int i = 0; i < 8; ++i) x[i] = 1.0f;
  call_kernel(&add_f32_f32_generic, AddArgs{8, x, x, x});
  for (int i = 0; i < 8; ++i) EXPECT_EQ(x[i], 2.0f);
}

TEST_F(Call, RulesOfProducts) {
  EXPECT_EQ(broken(gemv(), [](GemvArgs& a) { a.m = 9; }), "m is 1 to kGemvRowsMax");
  EXPECT_EQ(broken(gemv(), [](GemvArgs& a) { a.n = 0; }), "n and k are at least 1");
  EXPECT_EQ(broken(gemv(), [](GemvArgs& a) { a.lhs = nullptr; }),
            "operands that are missing or not aligned to 4 bytes");
  EXPECT_EQ(broken(gemv(), [](GemvArgs& a) { a.rhs = static_cast<const char*>(a.rhs) + 32; }),
            "rhs is aligned to 64 bytes");
  EXPECT_EQ(broken(gemv(), [](GemvArgs& a) { a.lhs_stride = 32; }),
            "lhs_stride holds a row of lhs");
  EXPECT_EQ(broken(gemv(), [](GemvArgs& a) { a.out_stride = 130; }),
            "out_stride holds a row of out");
  EXPECT_EQ(broken(gemv(),
                   [](GemvArgs& a) {
                     a.addend = a.out;
                     a.addend_stride = 64;
                   }),
            "addend_stride is 0 or a row");
  EXPECT_EQ(broken(gemv(), [](GemvArgs& a) { a.lhs = a.out + 1; }), "an output lies over an input");

  const GemmArgs gemm = {.m = 2,
                         .n = 4,
                         .k = 8,
                         .lhs = at(in_),
                         .lhs_stride = 32,
                         .rhs = at(weights_),
                         .rhs_stride = 16,
                         .addend = at(more_),
                         .addend_stride = 0,
                         .out = at(out_),
                         .out_stride = 16};
  EXPECT_EQ(broken(gemm, [](GemmArgs& a) { a.lhs_stride = 28; }), "lhs_stride holds a row of lhs");
  EXPECT_EQ(broken(gemm, [](GemmArgs& a) { a.rhs = static_cast<const char*>(a.rhs) + 1; }),
            "rhs is aligned to 2 bytes");
  EXPECT_EQ(broken(gemm, [](GemmArgs& a) { a.rhs_stride = 0; }), "rhs_stride holds a row of rhs");
}

TEST_F(Call, RulesOfPanels) {
  EXPECT_EQ(broken(gemm_panel(), [](GemmPanelArgs& a) { a.m = 0; }), "m is at least 1");
  EXPECT_EQ(broken(gemm_panel(), [](GemmPanelArgs& a) { a.panel += 16; }),
            "panel is aligned to 64 bytes");
  EXPECT_EQ(broken(gemm_panel(), [](GemmPanelArgs& a) { a.acc += 1; }),
            "acc is aligned to 64 bytes");
  const UnpackArgs unpack = {64, at(weights_), at<int8_t>(out_), at(more_)};
  EXPECT_EQ(broken(unpack, [](UnpackArgs& a) { a.k = 257; }), "k is 1 to 256");
  EXPECT_EQ(broken(unpack, [](UnpackArgs& a) { a.panel += 1; }), "panel is aligned to 64 bytes");
  const QuantizePanelArgs quantize = {
      0, 3, 64, at(in_), 256, {at<int8_t>(out_), at(more_), at<int32_t>(more_, 4096), 4}};
  EXPECT_EQ(broken(quantize, [](QuantizePanelArgs& a) { a.first = 2; }),
            "the rows are rows of out");
  EXPECT_EQ(broken(quantize, [](QuantizePanelArgs& a) { a.in_stride = 252; }),
            "in_stride holds a row of in");
  const TakeOutliersArgs take = {256, at(in_), at<uint8_t>(out_), at<Outlier>(more_)};
  EXPECT_EQ(broken(take, [](TakeOutliersArgs& a) { a.k = 0; }), "k is 1 to 256");
  const AddOutliersArgs outliers = {2,        at(weights_),   at<uint8_t>(in_), at<Outlier>(more_),
                                    at(out_), at(out_, 32768)};
  EXPECT_EQ(broken(outliers, [](AddOutliersArgs& a) { a.acc -= 1; }), "columns lie over acc");
}

TEST_F(Call, RulesOfRows) {
  const QuantizeArgs quantize = {64, at(in_), at<LhsBlock>(out_)};
  EXPECT_EQ(broken(quantize, [&](QuantizeArgs& a) { a.out = at<LhsBlock>(in_); }),
            "an output lies over an input");
  const LookupArgs lookup = {64, at(weights_), 3, at(out_)};
  EXPECT_EQ(broken(lookup, [](LookupArgs& a) { a.row = 32; }), "row is one of the tile");
  const DequantizeArgs dequantize = {64, at(weights_), at(out_)};
  EXPECT_EQ(broken(dequantize, [](DequantizeArgs& a) { a.k = 0; }), "k is at least 1");
  const RmsnormArgs rmsnorm = {2, 8, at(in_), 32, at(more_), 1e-5f, at(in_), 32};
  EXPECT_EQ(broken(rmsnorm, [](RmsnormArgs& a) { a.out += 1; }), "an output lies over an input");
  const RopeArgs rope = {2, 32, 8, 1, 4, at(more_), at(more_), at(in_)};
  EXPECT_EQ(broken(rope, [](RopeArgs& a) { a.width = 7; }), "heads are there, width is even");
  EXPECT_EQ(broken(rope, [](RopeArgs& a) { a.head_stride = 16; }), "head_stride holds a head");
  const SiluMulArgs silu = {8, at(in_), at(more_), at(in_)};
  EXPECT_EQ(broken(silu, [](SiluMulArgs& a) { a.out += 1; }), "an output lies over an input");
  const ExpSumArgs exp_sum = {8, at(in_), 0, at<double>(out_)};
  EXPECT_EQ(broken(exp_sum, [&](ExpSumArgs& a) { a.sums = at<double>(out_, 4); }),
            "operands that are missing or not aligned");
  const ConvertArgs convert = {8, at(in_), at(out_)};
  EXPECT_EQ(broken(convert, [&](ConvertArgs& a) { a.out = at<char>(out_, 1); }),
            "operands that are missing or not aligned");
}

TEST_F(Call, RulesOfAttention) {
  const uint8_t* pages[] = {at<uint8_t>(weights_)};
  const AttnQuery query = {at(in_), 0, 64, at(out_)};
  const AttnArgs attn = {.count = 1,
                         .head_dim = 8,
                         .queries = &query,
                         .pages = pages,
                         .page_count = 1,
                         .page_tokens = 64,
                         .k_offset = 0,
                         .k_stride = 512,
                         .v_offset = 4096,
                         .v_stride = 32,
                         .scale = 1,
                         .maximums = at(more_),
                         .totals = at(more_, 64)};
  EXPECT_EQ(broken(attn, [](AttnArgs& a) { a.count = 33; }), "count is 1 to kAttnQueries");
  EXPECT_EQ(broken(attn, [](AttnArgs& a) { a.page_tokens = 32; }),
            "page_tokens is a multiple of kAttnStep");
  EXPECT_EQ(broken(attn, [](AttnArgs& a) { a.k_stride = 16; }),
            "k_offset and k_stride are multiples of 32");
  const AttnQuery beyond = {at(in_), 0, 65, at(out_)};
  EXPECT_EQ(broken(attn, [&](AttnArgs& a) { a.queries = &beyond; }),
            "queries see keys of the pages");
}

}  // namespace
}  // namespace midge
