#include "tests/harness/kernel_harness.h"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "tests/harness/amx_emulation.h"
#include "tests/harness/checked_call.h"
#include "tests/harness/test_data.h"

namespace midge::test {
namespace {

// Different, so that a kernel that copies padding is seen. As f32: a NaN and -4.7e-15.
constexpr uint8_t kPoison = 0xFF;
constexpr uint8_t kCanary = 0xA7;

// Bytes before and after an operand, inside of its pages, that are checked.
constexpr int64_t kSurroundings = 512;

// One per operand of the call at hand.
GuardedMemory* memory_of_operand(size_t index) {
  static GuardedMemory memories[12];
  return index < std::size(memories) ? &memories[index] : nullptr;
}

std::string format(const char* pattern, auto... values) {
  char text[256];
  std::snprintf(text, sizeof(text), pattern, values...);
  return text;
}

template <typename T>
T read_as(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

bool same(OperandType type, const uint8_t* a, const uint8_t* b, size_t size) {
  if (std::memcmp(a, b, size) == 0) return true;
  if (type == OperandType::kF32 || type == OperandType::kLhsBlocks) {
    const float x = read_as<float>(a);  // of a block: its scale
    const float y = read_as<float>(b);
    return x != x && y != y && std::memcmp(a + 4, b + 4, size - 4) == 0;
  }
  if (type == OperandType::kF16) {
    return (read_as<uint16_t>(a) & 0x7FFF) > 0x7C00 && (read_as<uint16_t>(b) & 0x7FFF) > 0x7C00;
  }
  return false;
}

size_t element_bytes(OperandType type) {
  switch (type) {
    case OperandType::kBytes: return 1;
    case OperandType::kF16: return 2;
    case OperandType::kF32: return 4;
    case OperandType::kLhsBlocks: return sizeof(LhsBlock);
  }
  return 1;
}

std::string print(OperandType type, const uint8_t* bytes) {
  const auto print_f32 = [](float value) {
    return format("%.9g (0x%08" PRIx32 ")", static_cast<double>(value),
                  std::bit_cast<uint32_t>(value));
  };
  switch (type) {
    case OperandType::kBytes: return format("0x%02x", static_cast<int>(*bytes));
    case OperandType::kF16: return format("0x%04x", static_cast<int>(read_as<uint16_t>(bytes)));
    case OperandType::kF32: return print_f32(read_as<float>(bytes));
    case OperandType::kLhsBlocks: break;
  }
  const auto block = read_as<LhsBlock>(bytes);
  std::string text = print_f32(block.scale) + format(" correction %" PRId32 " {", block.correction);
  for (const int8_t value : block.values) text += format(" %d", static_cast<int>(value));
  return text + " }";
}

}  // namespace

void Failures::add(const std::string& message) {
  if (count_++ < kKept) text_ += message + '\n';
}

void* KernelCall::place(const char* name, const Extent& extent, const void* dense, Kind kind,
                        OperandType type) {
  Operand operand = {name, extent, kind, type, nullptr, nullptr, nullptr, {}, {}};
  GuardedMemory* memory = memory_of_operand(operands_.size());
  if (memory == nullptr || !memory->reserve(static_cast<size_t>(extent.bytes()))) {
    fail("no memory for operand " + std::string(name));
    return nullptr;
  }
  operand.memory_begin = memory->begin();
  operand.memory_end = memory->end();
  operand.data = memory->begin();
  if (placement_ == Placement::kAtEnd) {
    const int64_t room = memory->end() - memory->begin() - extent.bytes();
    operand.data += room / extent.alignment * extent.alignment;
  }
  const uint8_t fill = kind == Kind::kInput ? kPoison : kCanary;
  uint8_t* const first = std::max(operand.memory_begin, operand.data - kSurroundings);
  uint8_t* const last = std::min(operand.memory_end, operand.data + extent.bytes() + kSurroundings);
  std::memset(first, fill, static_cast<size_t>(last - first));
  if (dense != nullptr) {
    for (int64_t row = 0; row < extent.rows; ++row) {
      std::memcpy(operand.data + row * extent.stride,
                  static_cast<const uint8_t*>(dense) + row * extent.row_bytes,
                  static_cast<size_t>(extent.row_bytes));
    }
  }
  if (kind == Kind::kInput) operand.before.assign(operand.data, operand.data + extent.bytes());
  operands_.push_back(std::move(operand));
  return operands_.back().data;
}

bool KernelCall::run(void (*function)(), const void* args) {
  const CallOutcome outcome = call_checked(function, args);
  if (outcome.signal != 0) {
    fail("crashed with SIG" + std::string(::sigabbrev_np(outcome.signal)) + ' ' +
         describe(outcome.fault_address));
    return false;
  }
  if (!outcome.registers.empty()) fail("does not preserve " + outcome.registers);
  for (Operand& operand : operands_) {
    check_surroundings(operand);
    if (operand.kind == Kind::kInput) check_input(operand);
    if (operand.kind != Kind::kOutput) continue;
    for (int64_t row = 0; row < operand.extent.rows; ++row) {
      const uint8_t* bytes = operand.data + row * operand.extent.stride;
      operand.after.insert(operand.after.end(), bytes, bytes + operand.extent.row_bytes);
    }
  }
  return true;
}

void KernelCall::check_surroundings(const Operand& operand) const {
  const uint8_t fill = operand.kind == Kind::kInput ? kPoison : kCanary;
  const Extent& extent = operand.extent;
  const auto check = [&](const uint8_t* from, const uint8_t* to) {
    const uint8_t* changed = std::find_if(from, to, [&](uint8_t byte) { return byte != fill; });
    if (changed != to) fail("writes outside: " + describe(changed));
    return changed == to;
  };
  const uint8_t* const end = operand.data + extent.bytes();
  if (!check(std::max(operand.memory_begin, operand.data - kSurroundings), operand.data)) return;
  if (!check(end, std::min(operand.memory_end, operand.data + extent.bytes() + kSurroundings))) {
    return;
  }
  if (extent.stride <= extent.row_bytes) return;
  for (int64_t row = 0; row + 1 < extent.rows; ++row) {
    const uint8_t* const start = operand.data + row * extent.stride;
    if (!check(start + extent.row_bytes, start + extent.stride)) return;
  }
}

void KernelCall::check_input(const Operand& operand) const {
  const auto changed =
      std::mismatch(operand.before.begin(), operand.before.end(), operand.data).second;
  if (changed != operand.data + operand.extent.bytes()) fail("changes input: " + describe(changed));
}

void KernelCall::compare_with(const KernelCall& expected) const {
  for (size_t i = 0; i < operands_.size(); ++i) {
    if (operands_[i].kind == Kind::kOutput) {
      compare(operands_[i], expected.operands_[i].after.data());
    }
  }
}

void KernelCall::compare_result(const char* name, const void* expected) const {
  for (const Operand& operand : operands_) {
    if (std::strcmp(operand.name, name) == 0) {
      compare(operand, static_cast<const uint8_t*>(expected));
    }
  }
}

void KernelCall::compare(const Operand& operand, const uint8_t* expected) const {
  const size_t size = element_bytes(operand.type);
  const auto columns = operand.extent.row_bytes / static_cast<int64_t>(size);
  for (size_t at = 0; at < operand.after.size(); at += size) {
    const uint8_t* const found = operand.after.data() + at;
    if (same(operand.type, found, expected + at, size)) continue;
    const auto element = static_cast<int64_t>(at / size);
    fail(format("%s[%" PRId64 ", %" PRId64 "] is ", operand.name, element / columns,
                element % columns) +
         print(operand.type, found) + ", expected " + print(operand.type, expected + at));
    return;
  }
}

const std::vector<uint8_t>& KernelCall::result(const char* name) const {
  static const std::vector<uint8_t> nothing;
  for (const Operand& operand : operands_) {
    if (std::strcmp(operand.name, name) == 0) return operand.after;
  }
  return nothing;
}

void KernelCall::fail(const std::string& message) const {
  failures_->add(label_ + (placement_ == Placement::kAtEnd ? " at-end" : " at-start") +
                 format(" seed=%" PRIu64 ": ", test_seed()) + message);
}

std::string KernelCall::describe(const void* address) const {
  const auto at = reinterpret_cast<intptr_t>(address);
  for (const Operand& operand : operands_) {
    const auto begin = reinterpret_cast<intptr_t>(operand.data);
    const intptr_t end = begin + operand.extent.bytes();
    if (at >= begin && at < end) {
      const intptr_t stride = std::max(operand.extent.stride, int64_t{1});
      const intptr_t row = operand.extent.rows > 1 ? (at - begin) / stride : 0;
      return format("byte %" PRIdPTR " of row %" PRIdPTR " (of %" PRId64 " bytes) of ",
                    at - begin - row * operand.extent.stride, row, operand.extent.row_bytes) +
             operand.name;
    }
    // A guard page is nobody else's, so a short distance names the operand.
    if (at >= end && at < reinterpret_cast<intptr_t>(operand.memory_end) + 4096) {
      return format("%" PRIdPTR " bytes after ", at - end) + operand.name;
    }
    if (at < begin && at >= reinterpret_cast<intptr_t>(operand.memory_begin) - 4096) {
      return format("%" PRIdPTR " bytes before ", begin - at) + operand.name;
    }
  }
  return format("at %p, in no operand", address);
}

bool can_run(const KernelInfo& kernel) {
  static const CpuFeatures features = features_with_emulation();
  return features.has(kernel.features);
}

const KernelInfo& generic_of(const KernelInfo& kernel) {
  return *select_kernel(kernel.op, kernel.encoding);
}

}  // namespace midge::test
