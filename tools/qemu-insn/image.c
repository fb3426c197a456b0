#include "image.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char* map_file(const char* path) {
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  struct stat st;
  if (fd < 0) return NULL;
  void* map = MAP_FAILED;
  if (fstat(fd, &st) == 0 && (size_t)st.st_size >= sizeof(Elf64_Ehdr))
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  return map == MAP_FAILED ? NULL : map;
}

static int by_address(const void* a, const void* b) {
  const struct function *x = a, *y = b;
  return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static void read_functions(const char* map, const Elf64_Shdr* table, const char* names,
                           struct image* image) {
  const Elf64_Sym* symbols = (const void*)(map + table->sh_offset);
  size_t n = table->sh_size / sizeof *symbols;
  image->functions = calloc(n + 1, sizeof *image->functions);
  if (!image->functions) return;
  for (size_t s = 0; s < n; s++)
    if (ELF64_ST_TYPE(symbols[s].st_info) == STT_FUNC && symbols[s].st_size) {
      uint64_t begin = symbols[s].st_value + image->load_bias;
      image->functions[image->function_count++] =
          (struct function){begin, begin + symbols[s].st_size, names + symbols[s].st_name, 0};
    }
  qsort(image->functions, image->function_count, sizeof *image->functions, by_address);
}

struct image read_image(const char* path, uint64_t start_code) {
  struct image image = {0};
  const char* map = map_file(path);
  if (!map || memcmp(map, ELFMAG, SELFMAG) || map[EI_CLASS] != ELFCLASS64) return image;
  const Elf64_Ehdr* header = (const void*)map;

  const Elf64_Phdr* segments = (const void*)(map + header->e_phoff);
  uint64_t begin = UINT64_MAX, end = 0;
  for (unsigned i = 0; i < header->e_phnum; i++) {
    const Elf64_Phdr* segment = &segments[i];
    if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X)) continue;
    if (segment->p_vaddr < begin) begin = segment->p_vaddr;
    if (segment->p_vaddr + segment->p_memsz > end) end = segment->p_vaddr + segment->p_memsz;
  }
  if (begin >= end) return image;
  image.load_bias = header->e_type == ET_DYN ? start_code - begin : 0;
  image.begin = begin + image.load_bias;
  image.end = end + image.load_bias;

  const Elf64_Shdr* sections = (const void*)(map + header->e_shoff);
  for (unsigned i = 0; header->e_shoff && i < header->e_shnum; i++)
    if (sections[i].sh_type == SHT_SYMTAB)
      read_functions(map, &sections[i], map + sections[sections[i].sh_link].sh_offset, &image);
  return image;
}

struct function* function_at(const struct image* image, uint64_t address) {
  size_t low = 0, high = image->function_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (image->functions[middle].begin <= address)
      low = middle + 1;
    else
      high = middle;
  }
  return low && address < image->functions[low - 1].end ? &image->functions[low - 1] : NULL;
}
