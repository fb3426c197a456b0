/* The model is a part of this program (cmake/MidgeEmbed.cmake), which reads no file. Memory is
 * taken once, and no thread is started. usage: embedded_model [TEXT [TOKENS]] */
#include <stdio.h>
#include <stdlib.h>

#include <midge/midge.h>

extern const unsigned char midge_embedded_model[], midge_embedded_model_end[];

int main(int argc, char** argv) {
  midge_model_options model_options = {sizeof(model_options)};
  midge_engine_options engine_options = {sizeof(engine_options)};
  midge_request request = {sizeof(request)};
  midge_event event = {sizeof(event)};
  midge_model* model = NULL;
  midge_engine* engine = NULL;
  midge_error error;
  uint64_t id = 0;
  int32_t more = 1;
  if (argc > 3) return 2;
  model_options.image = midge_embedded_model;
  model_options.image_bytes = (size_t)(midge_embedded_model_end - midge_embedded_model);
  model_options.context_length = 256;
  model_options.batch_rows = 32;
  model_options.running_max = 1;
  engine_options.threads = 1;
  engine_options.caller_driven = 1;
  if (midge_model_open("embedded", &model_options, &model, &error) != MIDGE_OK ||
      midge_engine_create(&model, 1, &engine_options, &engine, &error) != MIDGE_OK) {
    fprintf(stderr, "%s\n", error.text);
    midge_model_close(&model);
    return 1;
  }
  request.text = argc > 1 ? argv[1] : "Once upon a time";
  request.tokens_max = argc > 2 ? atoi(argv[2]) : 20;
  if (midge_submit(engine, &request, &id) != MIDGE_OK) return 1;
  while (more) {
    if (midge_engine_step(engine, &more) != MIDGE_OK) return 1;
    while (midge_next_event(engine, id, 0, &event) == MIDGE_OK) {
      fwrite(event.text, 1, event.text_bytes, stdout);
      fflush(stdout);
    }
  }
  putchar('\n');
  midge_engine_close(&engine, MIDGE_FINISH);
  midge_model_close(&model);
  return 0;
}
