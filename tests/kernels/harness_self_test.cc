// The harness must find every fault that it looks for: kernels with one fault each go through the
// same test bodies as the real ones.
#include <bit>
#include <csignal>
#include <string>

#include <gtest/gtest.h>

#include "kernels/declarations.h"
#include "tests/harness/test_data.h"
#include "tests/kernels/broken_kernels.h"
#include "tests/kernels/kernel_checks.h"

namespace midge::test {
namespace {

// The least that a number can be wrong.
void flip_last_bit(float* value) {
  *value = std::bit_cast<float>(std::bit_cast<uint32_t>(*value) ^ 1u);
}

void keep(float value) {
  volatile float kept = value;
  static_cast<void>(kept);
}

void add_past_end(const AddArgs* args) {
  add_f32_f32_generic(args);
  args->out[args->n] = 0;
}

void add_before_start(const AddArgs* args) {
  add_f32_f32_generic(args);
  args->out[-1] = 0;
}

void add_far_past_end(const AddArgs* args) {
  add_f32_f32_generic(args);
  args->out[args->n + 15] = 0;
}

void add_reads_past_end(const AddArgs* args) {
  keep(args->b[args->n]);
  add_f32_f32_generic(args);
}

void add_reads_before_start(const AddArgs* args) {
  keep(args->a[-1]);
  add_f32_f32_generic(args);
}

void add_changes_input(const AddArgs* args) {
  add_f32_f32_generic(args);
  if (args->a != args->out) flip_last_bit(const_cast<float*>(args->a) + args->n / 2);
}

void add_wrong_in_place(const AddArgs* args) {
  add_f32_f32_generic(args);
  if (args->b == args->out) flip_last_bit(args->out);
}

void add_writes_nothing(const AddArgs*) {}

void add_last_bit(const AddArgs* args) {
  add_f32_f32_generic(args);
  flip_last_bit(args->out + args->n - 1);
}

// UBSan would end the process before the processor's signal comes.
__attribute__((no_sanitize("undefined"))) void add_null(const AddArgs*) {
  volatile float* nothing = nullptr;
  *nothing = 1;
}

void add_bus(const AddArgs*) { ::raise(SIGBUS); }
void add_division(const AddArgs*) { ::raise(SIGFPE); }

void gemv_in_padding(const GemvArgs* args) {
  gemv_f32_q8b32_q4b32_8x32_generic(args);
  if (args->m > 1 && args->out_stride > args->n * 4) args->out[args->n] = 0;
}

void gemv_past_rows(const GemvArgs* args) {
  gemv_f32_q8b32_q4b32_8x32_generic(args);
  keep(*reinterpret_cast<const float*>(static_cast<const char*>(args->lhs) +
                                       args->m * args->lhs_stride));
}

void gemv_one_tail(const GemvArgs* args) {
  gemv_f32_q8b32_q4b32_8x32_generic(args);
  if (args->n == 33 && args->k == 96) flip_last_bit(args->out + 32);
}

void gemv_depends_on_m(const GemvArgs* args) {
  gemv_f32_q8b32_q4b32_8x32_generic(args);
  if (args->m == 5) flip_last_bit(args->out);
}

void gemv_ignores_addend_stride(const GemvArgs* args) {
  GemvArgs changed = *args;
  changed.addend_stride = 0;
  gemv_f32_q8b32_q4b32_8x32_generic(&changed);
}

void quantize_short(const QuantizeArgs* args) {
  QuantizeArgs changed = *args;
  changed.k = args->k > 256 ? args->k - 1 : args->k;
  quantize_q8b32_f32_generic(&changed);
}

void quantize_panel_one_row_more(const QuantizePanelArgs* args) {
  quantize_panel_q8s256_f32_generic(args);
  args->out.sums[args->first + args->m] = 0;
}

void unpack_scale(const UnpackArgs* args) {
  unpack_q8s256_q4b32_generic(args);
  flip_last_bit(args->scales + 31);
}

void unpack_value(const UnpackArgs* args) {
  unpack_q8s256_q4b32_generic(args);
  if (args->k == 40) args->panel[31 * kPanelColumns] ^= 1;
}

void gemm_panel_always_first(const GemmPanelArgs* args) {
  GemmPanelArgs changed = *args;
  changed.first = true;
  gemm_panel_f32_q8s256_q8s256_1x32_generic(&changed);
}

// What check_kernel says of a function in the place of a kernel.
template <typename Args>
std::string found(Op op, Encoding encoding, void (*function)(const Args*)) {
  KernelInfo kernel = *select_kernel(op, encoding);
  kernel.name = "broken";
  kernel.function = reinterpret_cast<void (*)()>(function);
  Failures failures;
  check_kernel(kernel, &failures);
  return failures.text();
}

std::string found(void (*add)(const AddArgs*)) { return found(Op::kAdd, Encoding::kF32, add); }

std::string found(void (*gemv)(const GemvArgs*)) {
  return found(Op::kGemv, Encoding::kQ4B32, gemv);
}

void expect_message(const std::string& text, const std::string& message) {
  EXPECT_NE(text.find("broken "), std::string::npos) << text;
  EXPECT_NE(text.find("seed="), std::string::npos) << text;
  EXPECT_NE(text.find(message), std::string::npos) << message << " is not in\n" << text;
}

TEST(HarnessSelfTest, SeesWritesOutside) {
  expect_message(found(add_past_end), "crashed with SIGSEGV 0 bytes after out");
  expect_message(found(add_past_end), "writes outside: 0 bytes after out");
  expect_message(found(add_before_start), "writes outside: 4 bytes before out");
  expect_message(found(add_before_start), "crashed with SIGSEGV 4 bytes before out");
  expect_message(found(add_far_past_end), "writes outside: 60 bytes after out");
  expect_message(found(gemv_in_padding), "writes outside: byte ");
  expect_message(found(Op::kQuantizePanel, Encoding::kF32, quantize_panel_one_row_more), "sums[");
}

TEST(HarnessSelfTest, SeesReadsOutside) {
  expect_message(found(add_reads_past_end), "crashed with SIGSEGV 0 bytes after second");
  expect_message(found(add_reads_before_start), "crashed with SIGSEGV 4 bytes before first");
  expect_message(found(gemv_past_rows), "crashed with SIGSEGV 0 bytes after lhs");
}

TEST(HarnessSelfTest, SeesChangedInputs) {
  expect_message(found(add_changes_input), "changes input: byte ");
}

TEST(HarnessSelfTest, SeesWrongValues) {
  expect_message(found(add_writes_nothing), "out[0, 0] is ");
  expect_message(found(add_last_bit), "out[0, 0] is ");
  expect_message(found(add_wrong_in_place), "out is the second");
  expect_message(found(gemv_ignores_addend_stride), "addend=");
  expect_message(found(Op::kQuantize, Encoding::kF32, quantize_short), "out[0, ");
  expect_message(found(Op::kUnpack, Encoding::kQ4B32, unpack_scale), "scales[0, 31] is ");
  expect_message(found(Op::kUnpack, Encoding::kQ4B32, unpack_value), "acc[0, 31] is ");
  expect_message(found(Op::kGemmPanel, Encoding::kF32, gemm_panel_always_first), "acc[0, 0] is ");
}

// A body that asks of a kernel what the engine may not.
TEST(HarnessSelfTest, SeesBrokenRules) {
  const KernelInfo& kernel = *select_kernel(Op::kGemv, Encoding::kQ4B32);
  constexpr int64_t kRow = lhs_blocks(32) * int64_t{sizeof(LhsBlock)};
  const auto lhs = test_lhs_blocks(DataSort::kNormal, 2, 32, 1);
  const auto rhs = test_packed(Encoding::kQ4B32, DataSort::kNormal, 32, 32, 2);
  const auto message_of = [&](int64_t lhs_stride, int64_t rhs_byte) {
    Failures failures;
    compare_with_generic(kernel, "shape", &failures, [&](KernelCall& call) {
      GemvArgs args = {};
      args.m = 2;
      args.n = args.k = 32;
      args.lhs_stride = lhs_stride;
      args.lhs = call.input("lhs", {2, kRow, kRow}, lhs.data());
      args.rhs = call.input("rhs", extent(int64_t{sizeof(UnitQ4B32)}), rhs.data()) + rhs_byte;
      args.out_stride = 128;
      args.out = call.output<float>("out", {2, 128, 128}, OperandType::kF32);
      return args;
    });
    return failures.text();
  };
  EXPECT_EQ(message_of(kRow, 0), "");
  EXPECT_NE(message_of(124, 0).find("lhs_stride holds a row of lhs"), std::string::npos);
  EXPECT_NE(message_of(kRow, 32).find("rhs is aligned to 64"), std::string::npos);
}

TEST(HarnessSelfTest, SeesWrongShapes) {
  expect_message(found(gemv_one_tail), "n=33 k=96 ");
  expect_message(found(gemv_depends_on_m), "m=5 ");
}

TEST(HarnessSelfTest, SeesRegisters){
#define MIDGE_EXPECT_FAULT(name) \
  expect_message(found(broken_add_##name), "does not preserve " #name "\n");
    MIDGE_REGISTER_FAULTS(MIDGE_EXPECT_FAULT)
#undef MIDGE_EXPECT_FAULT
}

TEST(HarnessSelfTest, SurvivesCrashes) {
  expect_message(found(add_null), "crashed with SIGSEGV");
  expect_message(found(add_bus), "crashed with SIGBUS");
  expect_message(found(add_division), "crashed with SIGFPE");
  expect_message(found(broken_add_illegal), "crashed with SIGILL");
}

TEST(HarnessSelfTest, HasNothingAgainstTheUnbroken) {
  EXPECT_EQ(found(add_f32_f32_generic), "");
  EXPECT_EQ(found(gemv_f32_q8b32_q4b32_8x32_generic), "");
}

}  // namespace
}  // namespace midge::test
