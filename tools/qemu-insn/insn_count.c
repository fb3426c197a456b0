/*
 * A QEMU (user mode) TCG plugin that counts executed guest instructions: in total, by kind
 * (AArch64), between marker instructions (insn_marker.h), per function and per block of code.
 * README.md describes options and output.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "kinds.h"
#include "plugin_abi.h"

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

enum { REGIONS = 32, THREADS = 4096 };
enum { C_INSNS, C_KIND, C_LOADED = C_KIND + KINDS, C_STORED, COUNTERS };

typedef uint64_t counters[COUNTERS];

/* What one thread executed, in all and in the regions that it marked itself. */
struct thread {
  counters now;
  unsigned regions_open;
  struct {
    counters at_begin, total;
    bool open;
  } own[REGIONS];
};
static struct thread* threads[THREADS];

/* What all threads executed while a region was open in at least one of them. */
static struct {
  counters at_begin, total;
  unsigned open;
  uint64_t entries, unmatched;
} regions[REGIONS];

/* Instructions that are always executed together, with no marker among them. */
struct add {
  uint32_t counter, n;
};
struct block {
  struct block* next;
  uint64_t address;
  uint64_t executed, executed_in_regions;
  uint32_t insns, add_count;
  struct add adds[];
};
static struct block* blocks;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool option_mem, option_blocks, aarch64;
static unsigned option_profile;
static struct image image;
static bool image_is_read;
static FILE* report;

static void* zeroed(size_t bytes) {
  void* memory = calloc(1, bytes);
  if (!memory) {
    fprintf(stderr, "insn_count: out of memory\n");
    abort();
  }
  return memory;
}

/* ---- execution ------------------------------------------------------------ */

static void on_vcpu_init(qemu_plugin_id_t id, unsigned index) {
  (void)id;
  pthread_mutex_lock(&lock);
  if (!threads[index % THREADS]) threads[index % THREADS] = zeroed(sizeof(struct thread));
  pthread_mutex_unlock(&lock);
}

static void on_block(unsigned index, void* data) {
  struct block* block = data;
  struct thread* thread = threads[index % THREADS];
  for (uint32_t i = 0; i < block->add_count; i++)
    thread->now[block->adds[i].counter] += block->adds[i].n;
  if (option_profile) __atomic_fetch_add(&block->executed, 1, __ATOMIC_RELAXED);
  if (option_blocks && thread->regions_open)
    __atomic_fetch_add(&block->executed_in_regions, 1, __ATOMIC_RELAXED);
}

static void on_memory(unsigned index, qemu_plugin_meminfo_t info, uint64_t address, void* data) {
  (void)address, (void)data;
  threads[index % THREADS]->now[qemu_plugin_mem_is_store(info) ? C_STORED : C_LOADED] +=
      UINT64_C(1) << qemu_plugin_mem_size_shift(info);
}

static void sum_threads(counters out) {
  memset(out, 0, sizeof(counters));
  for (unsigned t = 0; t < THREADS; t++)
    for (unsigned c = 0; threads[t] && c < COUNTERS; c++) out[c] += threads[t]->now[c];
}

static void add_difference(counters total, const counters end, const counters begin) {
  for (unsigned c = 0; c < COUNTERS; c++) total[c] += end[c] - begin[c];
}

static void begin_region(struct thread* thread, unsigned id, const counters all) {
  if (thread->own[id].open) {
    regions[id].unmatched++;
    return;
  }
  thread->own[id].open = true;
  thread->regions_open++;
  memcpy(thread->own[id].at_begin, thread->now, sizeof(counters));
  regions[id].entries++;
  if (regions[id].open++ == 0) memcpy(regions[id].at_begin, all, sizeof(counters));
}

static void end_region(struct thread* thread, unsigned id, const counters all) {
  if (!thread->own[id].open) {
    regions[id].unmatched++;
    return;
  }
  thread->own[id].open = false;
  thread->regions_open--;
  add_difference(thread->own[id].total, thread->now, thread->own[id].at_begin);
  if (--regions[id].open == 0) add_difference(regions[id].total, all, regions[id].at_begin);
}

static void on_marker(unsigned index, void* data) {
  unsigned n = (unsigned)(uintptr_t)data;
  counters all;

  pthread_mutex_lock(&lock);
  sum_threads(all);
  if (n < REGIONS)
    begin_region(threads[index % THREADS], n, all);
  else
    end_region(threads[index % THREADS], n - REGIONS, all);
  pthread_mutex_unlock(&lock);
}

/* ---- translation ---------------------------------------------------------- */

/* n of a marker `orr xzr, xzr, xzr, lsl #n`, 0 if the word is none */
static unsigned marker_of(uint32_t word) {
  unsigned n = (word & 0xffff03ff) == 0xaa1f03ff ? word >> 10 & 63 : 0;
  return n % REGIONS ? n : 0;
}

/* Counts what a block holds whenever `first`, its first instruction, is executed. */
static void finish_block(struct qemu_plugin_insn* first, counters count) {
  uint32_t used = 0;
  for (unsigned c = 0; c < COUNTERS; c++) used += count[c] != 0;
  struct block* block = zeroed(sizeof *block + used * sizeof(struct add));
  block->address = qemu_plugin_insn_vaddr(first);
  block->insns = (uint32_t)count[C_INSNS];
  for (uint32_t c = 0; c < COUNTERS; c++)
    if (count[c]) block->adds[block->add_count++] = (struct add){c, (uint32_t)count[c]};
  qemu_plugin_register_vcpu_insn_exec_cb(first, on_block, QEMU_PLUGIN_CB_NO_REGS, block);
  block->next = blocks;
  blocks = block;
  memset(count, 0, sizeof(counters));
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb* tb) {
  (void)id;
  size_t n = qemu_plugin_tb_n_insns(tb);
  struct qemu_plugin_insn* first = NULL;
  struct function* function = NULL;
  counters count = {0};

  pthread_mutex_lock(&lock);
  if (!image_is_read) /* before the first translation nothing is loaded */
    image = read_image(qemu_plugin_path_to_binary(), qemu_plugin_start_code());
  image_is_read = true;
  for (size_t i = 0; i < n; i++) {
    struct qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
    struct function* here = function_at(&image, qemu_plugin_insn_vaddr(insn));
    uint32_t word = 0;
    if (aarch64) memcpy(&word, qemu_plugin_insn_data(insn), sizeof(word));
    unsigned marker = aarch64 ? marker_of(word) : 0;

    if (first && (marker || here != function)) {
      finish_block(first, count);
      first = NULL;
    }
    if (marker) { /* not counted itself */
      qemu_plugin_register_vcpu_insn_exec_cb(insn, on_marker, QEMU_PLUGIN_CB_NO_REGS,
                                             (void*)(uintptr_t)marker);
      continue;
    }
    if (!first) {
      first = insn;
      function = here;
    }
    count[C_INSNS]++;
    if (aarch64) count[C_KIND + classify(word)]++;
    if (option_mem)
      qemu_plugin_register_vcpu_mem_cb(insn, on_memory, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
                                       NULL);
  }
  if (first) finish_block(first, count);
  pthread_mutex_unlock(&lock);
}

/* ---- report --------------------------------------------------------------- */

static void print_counters(const char* title, const counters c) {
  fprintf(report, "%s insns %" PRIu64, title, c[C_INSNS]);
  for (unsigned k = 0; k < KINDS; k++)
    if (c[C_KIND + k]) fprintf(report, " %s %" PRIu64, kind_names[k], c[C_KIND + k]);
  if (option_mem)
    fprintf(report, " bytes_loaded %" PRIu64 " bytes_stored %" PRIu64, c[C_LOADED], c[C_STORED]);
  fputc('\n', report);
}

static void print_region(unsigned id) {
  static const counters zero;
  char title[96];
  counters own = {0};
  for (unsigned t = 0; t < THREADS; t++)
    if (threads[t]) add_difference(own, threads[t]->own[id].total, zero);
  snprintf(title, sizeof title, "region %u entries %" PRIu64 " own", id, regions[id].entries);
  print_counters(title, own);
  snprintf(title, sizeof title, "region %u entries %" PRIu64 " all", id, regions[id].entries);
  print_counters(title, regions[id].total);
  if (regions[id].open || regions[id].unmatched)
    fprintf(report, "region %u left open %u, markers out of order %" PRIu64 "\n", id,
            regions[id].open, regions[id].unmatched);
}

static int by_insns(const void* a, const void* b) {
  const struct function *x = a, *y = b;
  return x->insns > y->insns ? -1 : x->insns < y->insns;
}

static void print_profile(void) {
  uint64_t elsewhere = 0;
  for (struct block* block = blocks; block; block = block->next) {
    struct function* function = function_at(&image, block->address);
    *(function ? &function->insns : &elsewhere) += block->executed * block->insns;
  }
  qsort(image.functions, image.function_count, sizeof *image.functions, by_insns);
  for (size_t f = 0; f < image.function_count && f < option_profile; f++)
    if (image.functions[f].insns)
      fprintf(report, "function %s insns %" PRIu64 "\n", image.functions[f].name,
              image.functions[f].insns);
  if (elsewhere) fprintf(report, "function ? insns %" PRIu64 "\n", elsewhere);
}

static void print_blocks(void) {
  for (struct block* block = blocks; block; block = block->next) {
    if (!block->executed_in_regions) continue;
    bool inside = block->address >= image.begin && block->address < image.end;
    fprintf(report, "block ");
    if (inside)
      fprintf(report, "0x%" PRIx64, block->address - image.load_bias);
    else
      fputc('?', report);
    fprintf(report, " insns %" PRIu32 " executed %" PRIu64 "\n", block->insns,
            block->executed_in_regions);
  }
}

static void on_exit_report(qemu_plugin_id_t id, void* data) {
  (void)id, (void)data;
  counters all;
  pthread_mutex_lock(&lock);
  sum_threads(all);
  print_counters("total", all);
  for (unsigned r = 1; r < REGIONS; r++)
    if (regions[r].entries || regions[r].unmatched) print_region(r);
  if (option_blocks) print_blocks();
  if (option_profile) /* last: it sorts the functions anew */
    print_profile();
  fflush(report);
  pthread_mutex_unlock(&lock);
}

/* ---- options ---------------------------------------------------------------- */

static bool parse_option(const char* option) {
  if (!strncmp(option, "out=", 4)) return (report = fopen(option + 4, "w")) != NULL;
  if (!strncmp(option, "profile=", 8))
    return (option_profile = (unsigned)strtoul(option + 8, NULL, 10)) > 0;
  if (!strcmp(option, "mem=on")) return option_mem = true;
  if (!strcmp(option, "blocks=on")) return option_blocks = true;
  return false;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc,
                                           char** argv) {
  report = stderr;
  aarch64 = !strcmp(info->target_name, "aarch64");
  if (info->system_emulation) {
    fprintf(stderr, "insn_count: user mode emulation only\n");
    return -1;
  }
  for (int i = 0; i < argc; i++)
    if (!parse_option(argv[i])) {
      fprintf(stderr, "insn_count: bad option %s\n", argv[i]);
      return -1;
    }
  qemu_plugin_register_vcpu_init_cb(id, on_vcpu_init);
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
  qemu_plugin_register_atexit_cb(id, on_exit_report, NULL);
  return 0;
}
