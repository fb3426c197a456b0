// try and catch, for code that is also built without exceptions (MIDGE_EXCEPTIONS). There, the
// system ends the program where something is thrown, and the handlers are never compiled in.
#pragma once

// MIDGE_TRY { ... } MIDGE_CATCH(const std::bad_alloc&) { ... } MIDGE_CATCH(...) { ... }
// What was thrown has no name in a handler.
#if defined(__cpp_exceptions)
#define MIDGE_TRY try
#define MIDGE_CATCH(...) catch (__VA_ARGS__)
#else
#define MIDGE_TRY if (true)
#define MIDGE_CATCH(...) else if (false)
#endif
