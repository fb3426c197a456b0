/* Continues a text. usage: minimal MODEL TEXT */
#include <stdio.h>

#include <midge/midge.h>

static int32_t show(void* user, const midge_event* event) {
  (void)user;
  fwrite(event->text, 1, event->text_bytes, stdout);
  return 0; /* go on */
}

int main(int argc, char** argv) {
  midge_model* model = NULL;
  midge_engine* engine = NULL;
  midge_request request = {sizeof(request)};
  midge_error error;
  uint64_t id = 0;
  if (argc != 3) return 2;
  if (midge_model_open(argv[1], NULL, &model, &error) != MIDGE_OK ||
      midge_engine_create(&model, 1, NULL, &engine, &error) != MIDGE_OK) {
    fprintf(stderr, "%s\n", error.text);
    return 1;
  }
  request.text = argv[2];
  request.tokens_max = 40;
  request.on_event = show;
  if (midge_submit(engine, &request, &id) == MIDGE_OK) midge_wait(engine, id, -1);
  putchar('\n');
  midge_engine_close(&engine, MIDGE_FINISH);
  midge_model_close(&model);
  return 0;
}
