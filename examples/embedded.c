/* For a board without room to spare: no thread of midge's own, a budget that is kept, memory that
 * is taken once. Events are polled between other work. usage: embedded MODEL BUDGET_BYTES */
#include <stdio.h>
#include <stdlib.h>

#include <midge/midge.h>

int main(int argc, char** argv) {
  midge_model_options model_options = {sizeof(model_options)};
  midge_engine_options engine_options = {sizeof(engine_options)};
  midge_memory memory = {sizeof(memory)};
  midge_request request = {sizeof(request)};
  midge_event event = {sizeof(event)};
  midge_model* model = NULL;
  midge_engine* engine = NULL;
  midge_error error;
  uint64_t id = 0;
  int32_t more = 1;
  if (argc != 3) return 2;
  model_options.context_length = 256;
  model_options.batch_rows = 32;
  model_options.running_max = 1;
  model_options.memory_budget = atoll(argv[2]);
  engine_options.threads = 1;
  engine_options.caller_driven = 1;
  engine_options.requests_max = 4;
  if (midge_model_open(argv[1], &model_options, &model, &error) != MIDGE_OK ||
      midge_plan(model, &engine_options, &memory, &error) != MIDGE_OK) {
    fprintf(stderr, "%s\n", error.text);
    return 1;
  }
  printf("pages %.1f MB, scratch %.1f MB, weights %.1f MB mapped and %.1f MB in memory\n",
         (double)memory.kv_pages * 1e-6, (double)memory.scratch * 1e-6,
         (double)memory.weights_mapped * 1e-6, (double)memory.weights_anonymous * 1e-6);
  if (midge_engine_create(&model, 1, &engine_options, &engine, &error) != MIDGE_OK) {
    fprintf(stderr, "%s\n", error.text); /* it says what would fit */
    midge_model_close(&model);
    return 1;
  }
  request.text = "Report:";
  request.tokens_max = 20;
  if (midge_submit(engine, &request, &id) != MIDGE_OK) return 1;
  while (more) {
    if (midge_engine_step(engine, &more) != MIDGE_OK) return 1;
    /* Here the board does its own work. */
    while (midge_next_event(engine, id, 0, &event) == MIDGE_OK) {
      fwrite(event.text, 1, event.text_bytes, stdout);
    }
  }
  putchar('\n');
  midge_engine_close(&engine, MIDGE_CANCEL);
  midge_model_close(&model);
  return 0;
}
