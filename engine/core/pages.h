// What the system does with pages of memory.
#pragma once

#include <cstdint>

#include "engine/core/status.h"

namespace midge {

/// When memory that is taken at creation is resident.
enum class Residency : uint8_t {
  kLazy,      ///< page by page, as it is written
  kResident,  ///< at creation; the system may take pages away when memory is short
  kLocked,    ///< at creation, and it stays (mlock)
};

/// Gives the whole pages of a range back: those of a mapped file are read again when touched,
/// anonymous ones are zero. Locked pages stay.
void release_pages(const void* start, uint64_t bytes);

/// Maps the pages of a range now, and reads those of a file that are not in memory yet. A wish:
/// older systems (Linux before 5.14) do it page by page, when they are touched.
void populate_pages(const void* start, uint64_t bytes);

/// Makes the pages of a range resident and keeps them there until they are unmapped. `what` stands
/// in the message. Errors: out_of_memory (beyond what the system lets this process lock).
Status lock_pages(const void* start, uint64_t bytes, const char* what);

}  // namespace midge
