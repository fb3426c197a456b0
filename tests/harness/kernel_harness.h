// Calls of kernels under guard: every operand lies between inaccessible pages, with canaries in the
// padding of outputs and poison in that of inputs; registers are checked; crashes are reported.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/calibration/operands.h"
#include "kernels/call.h"
#include "kernels/kernels.h"
#include "tests/harness/guarded_memory.h"

namespace midge::test {

/// What went wrong while a kernel was checked. Keeps the first few messages.
class Failures {
 public:
  void add(const std::string& message);
  bool none() const { return count_ == 0; }
  /// So many that going on says nothing new.
  bool enough() const { return count_ >= kKept; }
  /// One line each.
  const std::string& text() const { return text_; }

 private:
  static constexpr int kKept = 4;
  int count_ = 0;
  std::string text_;
};

/// Which inaccessible page the operands of a call touch.
enum class Placement { kAtStart, kAtEnd };

/// The operands of one call: a Place of engine/calibration/operands.h. Outputs are compared bit for
/// bit, but of floats and scales all NaN are alike: their payloads depend on the order of operands.
class KernelCall {
 public:
  /// label: what is called, as failures shall name it.
  KernelCall(std::string label, Placement placement, Failures* failures)
      : label_(std::move(label)), placement_(placement), failures_(failures) {}

  /// Places an input; `dense` are its rows without padding. Must be unchanged after the call.
  template <typename T>
  const T* input(const char* name, const Extent& extent, const T* dense) {
    return static_cast<const T*>(place(name, extent, dense, Kind::kInput, OperandType::kBytes));
  }
  /// Places an output, filled with canaries.
  template <typename T>
  T* output(const char* name, const Extent& extent, OperandType type) {
    return static_cast<T*>(place(name, extent, nullptr, Kind::kOutput, type));
  }
  /// Places an output with the rows that the kernel reads first.
  template <typename T>
  T* in_out(const char* name, const Extent& extent, const T* dense, OperandType type) {
    return static_cast<T*>(place(name, extent, dense, Kind::kOutput, type));
  }
  /// Places memory that the kernel may write as it likes: only its surroundings are checked.
  template <typename T>
  T* scratch(const char* name, const Extent& extent) {
    return static_cast<T*>(place(name, extent, nullptr, Kind::kScratch, OperandType::kBytes));
  }

  /// Calls, and checks everything but the values. False if nothing came of it.
  bool run(void (*function)(), const void* args);

  /// Compares every output with that of a call with the same operands.
  void compare_with(const KernelCall& expected) const;
  /// Compares one output with its rows without padding.
  void compare_result(const char* name, const void* expected) const;

  /// The rows of an output without padding, after run(); empty if there is none of this name.
  const std::vector<uint8_t>& result(const char* name) const;

 private:
  enum class Kind { kInput, kOutput, kScratch };
  struct Operand {
    const char* name;
    Extent extent;
    Kind kind;
    OperandType type;
    uint8_t* memory_begin;  // accessible pages
    uint8_t* memory_end;
    uint8_t* data;
    std::vector<uint8_t> before;  // inputs: all bytes
    std::vector<uint8_t> after;   // outputs: dense rows
  };

  void* place(const char* name, const Extent& extent, const void* dense, Kind kind,
              OperandType type);
  void check_surroundings(const Operand& operand) const;
  void check_input(const Operand& operand) const;
  void compare(const Operand& operand, const uint8_t* expected) const;
  void fail(const std::string& message) const;
  std::string describe(const void* address) const;

  std::string label_;
  Placement placement_;
  Failures* failures_;
  std::vector<Operand> operands_;
};

/// Whether this machine may run the kernel, by emulation (amx_emulation.h) if need be.
bool can_run(const KernelInfo& kernel);

/// The scalar specification of a kernel.
const KernelInfo& generic_of(const KernelInfo& kernel);

/// Calls `kernel` with both placements and its specification once; everything must agree.
/// setup(KernelCall&) places the operands and returns the args.
template <typename Setup>
void compare_with_generic(const KernelInfo& kernel, const std::string& shape, Failures* failures,
                          const Setup& setup) {
  const KernelInfo& generic = generic_of(kernel);
  KernelCall expected(std::string(generic.name) + ' ' + shape, Placement::kAtEnd, failures);
  const auto args = setup(expected);
  if (const char* rule = broken_rule(args)) {
    failures->add(std::string(kernel.name) + ' ' + shape + ": the test breaks a rule: " + rule);
    return;
  }
  if (!expected.run(generic.function, &args)) return;
  for (const Placement placement : {Placement::kAtEnd, Placement::kAtStart}) {
    KernelCall found(std::string(kernel.name) + ' ' + shape, placement, failures);
    const auto found_args = setup(found);
    if (found.run(kernel.function, &found_args)) found.compare_with(expected);
  }
}

}  // namespace midge::test
