#include "tests/harness/checked_call.h"

#include <csetjmp>
#include <csignal>
#include <cstdint>

#include "engine/platform/cpu_features.h"
#include "tests/harness/amx_emulation.h"

extern "C" uint64_t midge_call_checked(void (*function)(), const void* args, int64_t vector_bytes);

namespace midge::test {
namespace {

#if defined(__aarch64__)
constexpr const char* kRegisterNames[] = {"x19", "x20", "x21", "x22", "x23", "x24", "x25",
                                          "x26", "x27", "x28", "x29", "d8",  "d9",  "d10",
                                          "d11", "d12", "d13", "d14", "d15", "sp",  "fpcr"};
#elif defined(__x86_64__)
constexpr const char* kRegisterNames[] = {"rbx", "rbp", "r12",   "r13", "r14",
                                          "r15", "rsp", "mxcsr", "x87", "direction flag"};
#endif

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};

// Written by the handler.
sigjmp_buf jump;
volatile sig_atomic_t jump_armed = 0;
void* volatile fault_address = nullptr;

void handle(int signal, siginfo_t* info, void*) {
  if (jump_armed == 0) {  // not in a kernel: as without a handler
    std::signal(signal, SIG_DFL);
    std::raise(signal);
    return;
  }
  jump_armed = 0;
  fault_address = info->si_addr;
  siglongjmp(jump, signal);
}

bool install_handlers() {
  // A stack of its own, because the function may have lost its stack pointer. SA_NODEFER, because
  // the handler is left by a jump that does not restore the signal mask.
  static char stack[256 * 1024];
  stack_t alternative = {};
  alternative.ss_sp = stack;
  alternative.ss_size = sizeof(stack);
  ::sigaltstack(&alternative, nullptr);
  struct sigaction action = {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (const int signal : kSignals) ::sigaction(signal, &action, nullptr);
  reinstall_amx_emulation();
  return true;
}

int64_t vector_bytes() {
  const CpuFeatures features = detect_cpu_features();
  return features.has(cpu::kAvx512) ? 64 : features.has(cpu::kAvx2) ? 32 : 16;
}

// The thread sanitizer blocks all signals while a handler runs, whatever its flags say.
void unblock_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : kSignals) sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

// Apart from call_checked: locals of a function that calls sigsetjmp may be lost.
int call_or_signal(void (*function)(), const void* args, int64_t bytes, uint64_t* changed) {
  const int signal = sigsetjmp(jump, 0);
  if (signal != 0) {
    unblock_signals();
    return signal;
  }
  jump_armed = 1;
  *changed = midge_call_checked(function, args, bytes);
  jump_armed = 0;
  return 0;
}

}  // namespace

CallOutcome call_checked(void (*function)(), const void* args) {
  [[maybe_unused]] static const bool installed = install_handlers();
  static const int64_t bytes = vector_bytes();
  CallOutcome outcome;
  uint64_t changed = 0;
  outcome.signal = call_or_signal(function, args, bytes, &changed);
  const bool keeps_tiles = release_tiles();
  if (outcome.signal != 0) {
    outcome.fault_address = fault_address;
    return outcome;
  }
  for (size_t i = 0; i < std::size(kRegisterNames); ++i) {
    if ((changed >> i & 1) == 0) continue;
    if (!outcome.registers.empty()) outcome.registers += ' ';
    outcome.registers += kRegisterNames[i];
  }
  if (keeps_tiles) outcome.registers += outcome.registers.empty() ? "tiles" : " tiles";
  return outcome;
}

}  // namespace midge::test
