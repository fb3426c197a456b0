#include <midge/midge.hpp>

static_assert(__cplusplus < 202002L, "midge asks for no more than the program does");

size_t size() { return sizeof(midge_engine_stats); }
