// A hash function that nobody can make keys for: its parameters are drawn once per process.
//
// The keys of a file are its maker's choice. With a function that everybody knows, a few megabytes
// of keys with one hash value make a table take minutes; so every table whose keys come from a file
// uses this one, or none (an ordered map, a sorted list).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace midge {

/// For hash tables of the standard library and of our own. Two different strings have the same
/// value with a probability of at most (bytes / 7 + 2) / 2^61, two different numbers with 2^-64,
/// and any bits of it with one of about 2^-bits, whoever chose them (without knowing the process's
/// parameters). Values differ between processes: nothing may be kept or ordered by them.
class SeededHash {
 public:
  __extension__ using Wide = unsigned __int128;

  /// Drawn from the system, once per process.
  struct Parameters {
    uint64_t base = 0;  ///< below 2^61 - 1: where the polynomial of a string is evaluated
    Wide factor = 0;    ///< of the multiply-shift
    Wide summand = 0;
  };

  SeededHash();
  /// With parameters that were chosen otherwise: for tables that are kept in files, and for tests.
  explicit SeededHash(const Parameters& parameters) : parameters_(parameters) {}

  const Parameters& parameters() const { return parameters_; }

  size_t operator()(std::string_view bytes) const { return static_cast<size_t>(of_bytes(bytes)); }
  uint64_t of_bytes(std::string_view bytes) const { return of_number(polynomial(bytes)); }

  /// Multiply-shift (Dietzfelbinger et al.), which is pairwise independent. Alone it would spread
  /// the even steps of ordinary keys badly for some parameters: a fixed permutation, the finalizer
  /// of MurmurHash3 (public domain), comes before it and leaves that promise as it is.
  uint64_t of_number(uint64_t x) const {
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ULL;
    x ^= x >> 33;
    return static_cast<uint64_t>((parameters_.factor * x + parameters_.summand) >> 64);
  }

 private:
  uint64_t polynomial(std::string_view bytes) const;

  Parameters parameters_;
};

}  // namespace midge
