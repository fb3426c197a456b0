/* The main binary of an emulated process: where it lies and its functions. */
#ifndef INSN_IMAGE_H
#define INSN_IMAGE_H

#include <stddef.h>
#include <stdint.h>

struct function {
  uint64_t begin, end; /* addresses in the process */
  const char* name;
  uint64_t insns; /* for the caller to count in */
};

struct image {
  uint64_t begin, end;        /* of its code, in the process */
  uint64_t load_bias;         /* address in the process - address in the file */
  struct function* functions; /* by address */
  size_t function_count;
};

/* Reads the ELF file at `path` whose lowest code lies at `start_code`. Empty if it cannot be read;
 * without functions if it has no symbols. Never freed: names point into the mapped file. */
struct image read_image(const char* path, uint64_t start_code);

/* The function at an address; NULL if there is none. */
struct function* function_at(const struct image* image, uint64_t address);

#endif
