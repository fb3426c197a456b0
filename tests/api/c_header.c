/* The header is C, and the sizes of its structs are those that programs were compiled with. */
#include <midge/midge.h>

#define CHECK_SIZE(type, bytes) typedef char type##_has_its_size[sizeof(type) == (bytes) ? 1 : -1]

/* On machines of 64 bits. */
CHECK_SIZE(midge_error, 512);
CHECK_SIZE(midge_logprob, 8);

int midge_c_sizes(size_t* out);
int midge_c_sizes(size_t* out) {
  out[0] = sizeof(midge_model_options);
  out[1] = sizeof(midge_engine_options);
  out[2] = sizeof(midge_request);
  out[3] = sizeof(midge_event);
  out[4] = sizeof(midge_engine_stats);
  return 5;
}
