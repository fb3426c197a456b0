#include <midge/midge.h>

#if __has_include("engine/core/status.h")
#error "midge's own headers are in the way"
#endif

int version(void) { return (int)sizeof(midge_request); }
