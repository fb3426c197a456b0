// For small static programs with libstdc++: two functions in the place of its own, which bring
// along what such a program has no use for.
#include <cstdio>
#include <cstdlib>

// An exception that nobody catches ends the program without its name: what makes names readable
// takes 60 KB.
namespace __gnu_cxx {
void __verbose_terminate_handler();
void __verbose_terminate_handler() { std::abort(); }
}  // namespace __gnu_cxx

// An assertion of libstdc++ that fails. Its own function lies in the file of its debug mode.
namespace std {
[[noreturn]] void __glibcxx_assert_fail(const char* file, int line, const char* function,
                                        const char* condition) noexcept;
void __glibcxx_assert_fail(const char* file, int line, const char* function,
                           const char* condition) noexcept {
  std::fprintf(stderr, "%s:%d: %s: %s does not hold\n", file, line, function, condition);
  std::abort();
}
}  // namespace std
