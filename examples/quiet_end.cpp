// For small static programs with libstdc++: an exception that nobody catches ends the program
// without its name. libstdc++'s own function of this name brings along what makes names readable,
// 60 KB.
#include <cstdlib>

namespace __gnu_cxx {
void __verbose_terminate_handler();
void __verbose_terminate_handler() { std::abort(); }
}  // namespace __gnu_cxx
