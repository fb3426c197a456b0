#include "tests/harness/amx_emulation.h"

#include <algorithm>
#include <csignal>
#include <cstring>

#include <ucontext.h>

#include "engine/platform/cpu_features.h"
#include "kernels/x86_64/amx.h"
#include "tests/harness/expected_levels.h"

namespace midge::test {
namespace {

constexpr int kTiles = 8;
constexpr int kRowsMax = 16;
constexpr int kRowBytesMax = 64;

struct Tile {
  int rows;       // 0: not configured
  int row_bytes;  // 0 likewise
  alignas(64) uint8_t data[kRowsMax][kRowBytesMax];
};

struct Tiles {
  bool configured;
  Tile tiles[kTiles];
};

thread_local Tiles state;
thread_local int64_t instruction_count = 0;
struct sigaction previous = {};

// VEX.128.<prefix>.0F38.W0 <opcode>: all that AMX has here.
struct Instruction {
  int prefix;  // pp of VEX: 0 none, 1 66, 2 F3, 3 F2
  int opcode;
  int reg;   // ModRM.reg
  int vvvv;  // 0 where it names nothing
  int rm;    // ModRM.rm; of a register alone
  bool is_memory;
  bool has_sib;
  const uint8_t* address;  // without the index
  int64_t index;           // scaled
  int64_t length;
};

// In the order of their numbers in instructions.
constexpr int kRegisters[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                              REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                              REG_R12, REG_R13, REG_R14, REG_R15};

int32_t read_displacement(int bytes, const uint8_t** at) {
  int32_t value = 0;
  if (bytes == 1) value = static_cast<int8_t>(**at);
  if (bytes == 4) std::memcpy(&value, *at, 4);
  *at += bytes;
  return value;
}

// Reads no further than the instruction goes. False: it is none of these.
bool decode(const greg_t* registers, Instruction* out) {
  const auto* const begin = reinterpret_cast<const uint8_t*>(registers[REG_RIP]);
  const uint8_t* at = begin;
  if (*at++ != 0xC4) return false;
  const int second = *at++;
  if ((second & 0x1F) != 2) return false;
  const int third = *at++;
  if ((third & 0x84) != 0) return false;  // W, L
  *out = {};
  out->prefix = third & 3;
  out->vvvv = ~third >> 3 & 15;
  out->opcode = *at++;
  const int reg_high = (second & 0x80) != 0 ? 0 : 8;
  const int index_high = (second & 0x40) != 0 ? 0 : 8;
  const int rm_high = (second & 0x20) != 0 ? 0 : 8;
  if (out->opcode != 0x49 && out->opcode != 0x4B && out->opcode != 0x5E) return false;

  const int modrm = *at++;
  const int mod = modrm >> 6;
  out->reg = (modrm >> 3 & 7) | reg_high;
  out->rm = (modrm & 7) | rm_high;
  out->is_memory = mod != 3;
  if (out->is_memory) {
    int base = out->rm;
    int displacement_bytes = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    bool has_base = true;
    out->has_sib = (modrm & 7) == 4;
    if (out->has_sib) {
      const int sib = *at++;
      base = (sib & 7) | rm_high;
      const int index = (sib >> 3 & 7) | index_high;
      if (index != 4) out->index = static_cast<int64_t>(registers[kRegisters[index]]) << (sib >> 6);
    }
    const bool is_special = mod == 0 && (base & 7) == 5;  // without a base, or relative to rip
    if (is_special) {
      displacement_bytes = 4;
      has_base = false;
    }
    const int32_t displacement = read_displacement(displacement_bytes, &at);
    int64_t address = displacement;
    if (has_base) {
      address += registers[kRegisters[base]];
    } else if (!out->has_sib) {
      address += reinterpret_cast<int64_t>(at);
    }
    out->address = reinterpret_cast<const uint8_t*>(address);
  }
  out->length = at - begin;
  return true;
}

// What follows returns false where the processor raises an exception that is not due to memory.

bool configure(const uint8_t* memory) {
  amx::TileConfig config;
  std::memcpy(&config, memory, sizeof(config));
  if (config.palette == 0) {
    state = {};
    return true;
  }
  const auto is_zero = [](auto byte) { return byte == 0; };
  // A first row other than 0 is what an interrupted load leaves behind, which none does here.
  if (config.palette != 1 || config.start_row != 0 ||
      !std::all_of(std::begin(config.reserved), std::end(config.reserved), is_zero) ||
      !std::all_of(config.row_bytes + kTiles, std::end(config.row_bytes), is_zero) ||
      !std::all_of(config.rows + kTiles, std::end(config.rows), is_zero)) {
    return false;
  }
  for (int i = 0; i < kTiles; ++i) {
    if (config.rows[i] > kRowsMax || config.row_bytes[i] > kRowBytesMax ||
        (config.rows[i] == 0) != (config.row_bytes[i] == 0)) {
      return false;
    }
  }
  state = {};
  state.configured = true;
  for (int i = 0; i < kTiles; ++i) {
    state.tiles[i].rows = config.rows[i];
    state.tiles[i].row_bytes = config.row_bytes[i];
  }
  return true;
}

// Null if it is not configured.
Tile* tile_at(int number) {
  if (!state.configured || number >= kTiles || state.tiles[number].rows == 0) return nullptr;
  return &state.tiles[number];
}

bool load(const Instruction& instruction) {
  Tile* tile = tile_at(instruction.reg);
  if (tile == nullptr) return false;
  for (int i = 0; i < kRowsMax; ++i) {
    const int bytes = i < tile->rows ? tile->row_bytes : 0;
    if (bytes > 0) {
      std::memcpy(tile->data[i], instruction.address + i * instruction.index,
                  static_cast<size_t>(bytes));
    }
    std::memset(tile->data[i] + bytes, 0, static_cast<size_t>(kRowBytesMax - bytes));
  }
  return true;
}

bool store(const Instruction& instruction) {
  const Tile* tile = tile_at(instruction.reg);
  if (tile == nullptr) return false;
  auto* to = const_cast<uint8_t*>(instruction.address);
  for (int i = 0; i < tile->rows; ++i) {
    std::memcpy(to + i * instruction.index, tile->data[i], static_cast<size_t>(tile->row_bytes));
  }
  return true;
}

bool zero(int number) {
  Tile* tile = tile_at(number);
  if (tile == nullptr) return false;
  std::memset(tile->data, 0, sizeof(tile->data));
  return true;
}

bool multiply(int sums_number, int lhs_number, int rhs_number) {
  Tile* sums = tile_at(sums_number);
  const Tile* lhs = tile_at(lhs_number);
  const Tile* rhs = tile_at(rhs_number);
  if (sums == nullptr || lhs == nullptr || rhs == nullptr) return false;
  if (sums == lhs || sums == rhs || lhs == rhs) return false;
  if (sums->row_bytes % 4 != 0 || lhs->row_bytes % 4 != 0 || rhs->row_bytes % 4 != 0 ||
      sums->rows != lhs->rows || sums->row_bytes != rhs->row_bytes ||
      lhs->row_bytes / 4 != rhs->rows) {
    return false;
  }
  const int columns = sums->row_bytes / 4;
  for (int i = 0; i < sums->rows; ++i) {
    uint32_t row[kRowBytesMax / 4];  // wraps around
    std::memcpy(row, sums->data[i], sizeof(row));
    for (int g = 0; g < rhs->rows; ++g) {
      int8_t a[4];
      int8_t b[kRowBytesMax];
      std::memcpy(a, lhs->data[i] + 4 * g, sizeof(a));
      std::memcpy(b, rhs->data[g], sizeof(b));
      for (int j = 0; j < columns; ++j) {
        const int sum =
            a[0] * b[4 * j] + a[1] * b[4 * j + 1] + a[2] * b[4 * j + 2] + a[3] * b[4 * j + 3];
        row[j] += static_cast<uint32_t>(sum);
      }
    }
    std::memcpy(sums->data[i], row, static_cast<size_t>(sums->row_bytes));
  }
  return true;
}

bool execute(const Instruction& i) {
  const bool has_two_operands = i.vvvv == 0;
  switch (i.opcode << 4 | i.prefix) {
    case 0x490:
      if (!has_two_operands || i.reg != 0) return false;
      if (i.is_memory) return configure(i.address + i.index);  // ldtilecfg
      if (i.rm != 0) return false;
      state = {};  // tilerelease
      return true;
    case 0x493: return has_two_operands && !i.is_memory && i.rm == 0 && zero(i.reg);
    case 0x4B3: return has_two_operands && i.has_sib && load(i);
    case 0x4B2: return has_two_operands && i.has_sib && store(i);
    case 0x5E3: return !i.is_memory && multiply(i.reg, i.rm, i.vvvv);
    default: return false;
  }
}

void pass_on(int signal, siginfo_t* info, void* context) {
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
  } else {  // the instruction runs again and ends the process
    std::signal(signal, SIG_DFL);
  }
}

void handle(int signal, siginfo_t* info, void* context) {
  // What the instruction faults on is caught. The thread sanitizer blocks that in handlers.
  sigset_t faults;
  sigemptyset(&faults);
  sigaddset(&faults, SIGSEGV);
  sigaddset(&faults, SIGBUS);
  ::pthread_sigmask(SIG_UNBLOCK, &faults, nullptr);
  greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  Instruction instruction;
  if (decode(registers, &instruction) && execute(instruction)) {
    registers[REG_RIP] += instruction.length;
    ++instruction_count;
    return;
  }
  pass_on(signal, info, context);
}

}  // namespace

bool emulates_amx() {
  // Where the core has tiles and the level is missing all the same, nothing may hide it.
  static const bool has_tiles = expected_level_names().find("amx") != std::string::npos;
  static const CpuFeatures features = detect_cpu_features();
  return has_level(features, IsaLevel::kAvx512Vnni) && !features.has(cpu::kAmxInt8) && !has_tiles;
}

void reinstall_amx_emulation() {
  if (!emulates_amx()) return;
  struct sigaction current = {};
  ::sigaction(SIGILL, nullptr, &current);
  if ((current.sa_flags & SA_SIGINFO) != 0 && current.sa_sigaction == handle) return;
  previous = current;
  struct sigaction action = {};
  action.sa_sigaction = handle;
  // SA_NODEFER: a handler of a fault in here, or the one before, may leave by a jump.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  ::sigaction(SIGILL, &action, nullptr);
}

CpuFeatures features_with_emulation() {
  CpuFeatures features = detect_cpu_features();
  if (emulates_amx()) {
    reinstall_amx_emulation();
    features |= cpu::kAmxInt8;
  }
  return features;
}

int64_t emulated_instructions() { return instruction_count; }

bool release_tiles() {
  static const bool is_native = detect_cpu_features().has(cpu::kAmxInt8);
  if (is_native) {
    amx::TileConfig config;
    __asm__ volatile("sttilecfg %0\n\ttilerelease" : "=m"(config) : : "memory");
    return config.palette != 0;
  }
  const bool was_configured = state.configured;
  state = {};
  return was_configured;
}

}  // namespace midge::test
