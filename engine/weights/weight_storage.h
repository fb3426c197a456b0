// What the weights of a model point into.
#pragma once

#include <cstdint>
#include <string>

namespace midge {

/// Owns the bytes of weights in place: mapped files, or a copy of them. Immutable once a model
/// points into it; shared by any number of threads.
class WeightStorage {
 public:
  virtual ~WeightStorage() = default;

  /// Of the model, as the user gave it; for messages.
  virtual const std::string& path() const = 0;
  /// Bytes of all files.
  virtual uint64_t file_bytes() const = 0;
  /// Whether all of them are used where they lie, not weights alone.
  virtual bool is_used_in_place() const { return false; }
  /// Tells the system that these bytes are not needed for now. Of mapped files the pages are
  /// dropped from memory and read again when touched.
  virtual void release_pages(const void* start, int64_t bytes) const = 0;
};

}  // namespace midge
