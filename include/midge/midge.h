/* midge: language models on Arm and x86-64 devices, as a library.
 *
 * This header is the manual of the C interface. A program opens a model, makes an engine that
 * serves it, and submits requests. All active requests share each pass over the weights.
 *
 *   midge_model* model = NULL;
 *   midge_engine* engine = NULL;
 *   midge_request request = {sizeof(request)};
 *   midge_error error;
 *   uint64_t id = 0;
 *   if (midge_model_open("model.midge", NULL, &model, &error) != MIDGE_OK) ...
 *   if (midge_engine_create(&model, 1, NULL, &engine, &error) != MIDGE_OK) ...
 *   request.text = "Once upon a time";
 *   request.on_event = show;
 *   midge_submit(engine, &request, &id);
 *   midge_wait(engine, id, -1);
 *   midge_engine_close(&engine, MIDGE_FINISH);
 *   midge_model_close(&model);
 *
 * STRUCTS. The first field of each struct of options is its size, which the caller sets to sizeof
 * of the struct. A field of zero, and one that the size leaves out, means the default. So a program
 * that was compiled with an older header goes on working. A size that is smaller than that of the
 * first version is refused. A larger one is taken only if the fields that this version does not
 * know are zero.
 *
 * ERRORS. Functions return a status. On failure nothing is changed, and nothing is written to what
 * pointers point to, unless said otherwise. Functions that have no handle yet fill a midge_error;
 * all others, but for midge_plan, keep the text of the last error in their handle, see
 * midge_error_text. Null pointers
 * where a pointer is needed, handles of another type, and sizes that are not known give
 * MIDGE_INVALID_ARGUMENT. A handle that was closed is null; a copy of it must
 * not be used.
 *
 * THREADS. An engine has a driver: a thread of its own, which computes and calls back. Without
 * (`caller_driven`), the thread that calls midge_engine_step does both. Every function may be
 * called from any thread, by several at once, except those that close. From callbacks too, except
 * for midge_wait, midge_next_event, midge_engine_step and those that close, which return MIDGE_BUSY
 * there. Callbacks must not block: all requests wait meanwhile. A C++ exception that leaves a
 * callback, or a mask, ends the answer it was called for with MIDGE_CALLBACK_FAILED; the end is
 * told. Builds without exceptions (the profile iot) end the program there.
 *
 * NUMBERS. Token ids are below the model's vocab_size. Texts are UTF-8 with a length in
 * bytes or, where no length is given, end with a zero; prompts may be any bytes. Times are seconds.
 * Memory is counted in bytes.
 *
 * Licence: Apache 2.0, see LICENSE.
 */
#ifndef MIDGE_MIDGE_H_
#define MIDGE_MIDGE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MIDGE_API __attribute__((visibility("default")))
#else
#define MIDGE_API
#endif

/* Statuses. A number is given once and never used for anything else. */
typedef int32_t midge_status;
enum {
  MIDGE_OK = 0,
  MIDGE_INTERNAL = 1,         /* an invariant of midge itself failed */
  MIDGE_INVALID_ARGUMENT = 2, /* an argument or option is wrong */
  MIDGE_NOT_FOUND = 3,        /* a file, a model or a request is not there */
  MIDGE_IO_ERROR = 4,         /* the system refused to open, map, read or write */
  MIDGE_INVALID_FILE = 5,     /* a file is damaged, cut or not what it claims to be */
  MIDGE_UNSUPPORTED = 6,      /* well formed, but outside of what midge runs */
  MIDGE_MODEL_MISMATCH = 7,   /* parts that do not belong together */
  MIDGE_OUT_OF_MEMORY = 8,    /* memory could not be had, or a budget is too small */
  MIDGE_OUT_OF_RANGE = 9,     /* a token id, row or number outside of its range */
  MIDGE_CONTEXT_FULL = 10,    /* no room for the tokens in the context */
  MIDGE_CANCELLED = 11,       /* stopped on request, or the engine closes */
  MIDGE_BUSY = 12,            /* not now: too many requests, or called from where it must not be */
  MIDGE_NO_PAGES = 13,        /* all KV pages together do not hold it */
  MIDGE_TIMEOUT = 14,         /* time ran out; what was waited for goes on */
  MIDGE_TOO_SMALL = 15,       /* a buffer of the caller is too small; the size is told */
  MIDGE_CALLBACK_FAILED = 16  /* an exception left a callback */
};

typedef struct midge_model midge_model;
typedef struct midge_engine midge_engine;

/* Why something failed: one line that names the thing, what was found and what was expected. */
typedef struct midge_error {
  midge_status status;
  char text[508]; /* ends with a zero; cut if it is longer */
} midge_error;

/* "0.1.0". Static memory. */
MIDGE_API const char* midge_version(void);

/* "ok", "invalid_argument" ...; "unknown" for other numbers. Static memory. */
MIDGE_API const char* midge_status_name(midge_status status);

/* Copies the text of the last error of a midge_model or midge_engine into text[text_bytes], cut to
 * fit, with a zero at its end. Empty if there was none. If several threads use the handle, the last
 * error may be another thread's. */
MIDGE_API midge_status midge_error_text(const void* handle, char* text, size_t text_bytes);

/* ------------------------------------------------------------------------------------ models -- */

enum { MIDGE_LOG_INFO = 1, MIDGE_LOG_WARNING = 2 };

typedef struct midge_model_options {
  size_t size;
  /* Told of what is worth knowing while the model is opened, and of nothing later. Called on the
   * thread that opens. Null: nobody is told. */
  void (*log)(void* user, int32_t level, const char* text);
  /* Told of weights that are prepared, in bytes. On the thread that makes the engine. */
  void (*progress)(void* user, int64_t done, int64_t total);
  void* user;         /* of both */
  int32_t copy_files; /* 1: read files into memory, so that later changes of them do no harm */

  /* How its matrices are computed with, see docs/quality.md. */
  const char* recipe;     /* "fast", "balanced", "int8", "half"; null: as in the file */
  const char* arithmetic; /* "packed" (null), "float", "xnnpack" */
  /* The highest instruction set level: "generic", "neon", "neon_dot", "neon_i8mm"; "avx2",
   * "avx512_vnni", "amx". Null: this machine's. */
  const char* isa;
  /* 1: choose kernels by their speed, measured when the engine is made. Not together with isa. */
  int32_t calibrate;
  const char* cache_dir; /* where calibrate keeps what it measured; null: nothing is written */

  /* Of each request to this model. */
  int64_t context_length; /* tokens of prompt and answer; 0: the model's, at most 4096 */
  int64_t batch_rows;     /* most rows of a pass, 1..4096; 0: 512 */

  /* KV pages of all its requests, 64 tokens each. They are taken when the engine is made. */
  const char* kv_type; /* "f16" (null), "f32", "int8", "k8v4": docs/kv-cache.md */
  int64_t kv_tokens;   /* rounded up to whole pages; 0: one context */
  /* Most bytes that the model may take with its pages and the memory of a pass; 0: no limit. More
   * is refused with MIDGE_OUT_OF_MEMORY when the engine is made; the text says what would fit. */
  int64_t memory_budget;
  int32_t lock_memory; /* 1: keep weights, pages and scratch in memory (mlock) */

  /* How its requests share passes. */
  int64_t running_max; /* answers that share a pass, 1..64, batch_rows at most; 0: up to 16 */
  /* Most rows that a pass reads of prompts while answers are written: how much a prompt may delay
   * the next token of the others. 0: 128. */
  int64_t prompt_rows;
  int32_t no_prefix_sharing; /* 1: do not find beginnings again that earlier requests had */

  /* A packed file that the program has in memory, for example as a part of itself: opened instead
   * of a file. `path` then only labels it in messages. It begins at a multiple of 64, and stays
   * until the model is closed. Null: the file is opened. */
  const void* image;
  size_t image_bytes;

  /* Who guesses the tokens to come, so that one pass can give several; the tokens are the same.
   * "auto" (null): where the same tokens came before, what followed them, else the model's MTP
   * layer if it has one, and nothing where that does not repay. "lookup", "mtp": one of them alone.
   * "none". Lookup takes 12 to 24 bytes for each token of a request's context. docs/speculation.md
   */
  const char* drafter;
  /* Tokens of ended requests that lookup looks in too, 0..2^24; the oldest go. Each takes 12 to 24
   * bytes, once for the model. 0: requests know nothing of each other. */
  int64_t draft_remembered;
  /* Safetensors file with an MTP layer in place of the model's own. For Hugging Face directories;
   * a packed file has its layer already: invalid_argument. Null: none. */
  const char* mtp_file;
} midge_model_options;

/* Opens a packed file (.midge), a GGUF file or a Hugging Face directory, without reading its
 * weights. A build of midge that knows packed files alone gives MIDGE_UNSUPPORTED for the others.
 * options and error may be null. The model outlives its engines. Errors: not_found,
 * io_error, invalid_file, unsupported, model_mismatch, out_of_memory. */
MIDGE_API midge_status midge_model_open(const char* path, const midge_model_options* options,
                                        midge_model** model, midge_error* error);

typedef struct midge_model_info {
  size_t size;
  int64_t vocab_size;     /* rows of the embedding; ids are below */
  int64_t context_length; /* that it was trained for */
  int64_t layer_count;
  int64_t hidden_size;
  int32_t bos_id;   /* put before texts that are no chat, -1: none */
  int32_t has_chat; /* 1: chat requests are possible */
  /* What follows belongs to the model and lives as long. */
  const char* chat_template; /* its source, as the model's files have it; null: none */
  const int32_t* stop_ids;   /* [stop_id_count], by increasing id: tokens that end an answer */
  size_t stop_id_count;
} midge_model_info;

/* Fills *info; its size is set before. */
MIDGE_API midge_status midge_model_info_get(midge_model* model, midge_model_info* info);

/* Sets *model to null. Errors: busy (an engine uses it: nothing changes). */
MIDGE_API midge_status midge_model_close(midge_model** model);

enum {
  MIDGE_SPECIAL_AS_TEXT = 0, /* texts that look like special tokens are text */
  MIDGE_SPECIAL_PARSED = 1,  /* they are the tokens */
  MIDGE_ADD_BOS = 2          /* the start token first, if the model has one */
};

/* The ids of text[text_bytes]. *count is the room in tokens[] before, and how many there are after;
 * with too_small nothing is written to tokens. flags: of the ones above, added. */
MIDGE_API midge_status midge_tokenize(midge_model* model, const char* text, size_t text_bytes,
                                      uint32_t flags, int32_t* tokens, size_t* count);

/* The text of tokens[count]; any bytes, as one token may be a part of a character. Of a
 * SentencePiece vocabulary the space before the first word is dropped, as its encoder adds it.
 * *text_bytes is the room in text before, and the bytes of the text after; no zero is added.
 * with_special: special tokens give text too. Errors: too_small, out_of_range (an id that has no
 * token: rows behind the last one only pad the table). */
MIDGE_API midge_status midge_detokenize(midge_model* model, const int32_t* tokens, size_t count,
                                        int32_t with_special, char* text, size_t* text_bytes);

/* ----------------------------------------------------------------------------------- engines -- */

typedef struct midge_engine_options {
  size_t size;
  int32_t threads;       /* 1..256; 0: as many as passes need, by measured rates */
  int32_t caller_driven; /* 1: no driver; the embedder calls midge_engine_step */
  /* Requests that have not ended or, without on_event, whose events were not all taken. More are
   * refused with busy. 0: 1024. */
  int64_t requests_max;
  const char* cores;  /* "0-3,6", "prime", "big" or "all": no other cores; null: chosen */
  int32_t no_pinning; /* 1: the system places the threads. 0: each is pinned to a core while a pass
                         runs, the caller's thread too, in midge_engine_step; busy cores are left
                         out */
} midge_engine_options;

/* What an engine will take, in bytes. All of it is taken at its creation; beside it each request
 * takes 5 to 29 bytes for a token of its context. */
typedef struct midge_memory {
  size_t size;
  int64_t weights_mapped;    /* pages of files: the system may drop and read them again */
  int64_t weights_anonymous; /* copies in memory */
  int64_t scratch;           /* of a pass */
  int64_t kv_pages;
  int64_t drafts; /* hidden states for the MTP layer, whose keys and values are in kv_pages */
} midge_memory;

/* Computes it for one model without reading its weights. engine options and error may be null. */
MIDGE_API midge_status midge_plan(midge_model* model, const midge_engine_options* options,
                                  midge_memory* memory, midge_error* error);

/* Prepares models[model_count], whose requests share one team of threads; their passes take turns.
 * Requests name a model by its place in the list. options and error may be null. Errors:
 * invalid_argument, out_of_memory, invalid_file (weights that are no numbers). */
MIDGE_API midge_status midge_engine_create(midge_model* const* models, size_t model_count,
                                           const midge_engine_options* options,
                                           midge_engine** engine, midge_error* error);

/* For caller-driven engines: one pass for each model that has something to do. *more is 0 if
 * nothing is left to do. more may be null. Errors: busy (there is a driver; another step runs). */
MIDGE_API midge_status midge_engine_step(midge_engine* engine, int32_t* more);

/* Gives memory back to the system that can be had again: beginnings that no request uses, free
 * pages, that of a pass, mapped weights. For Android's onTrimMemory, but not on a thread that
 * draws: it waits for the pass that runs, which may take seconds. Errors: busy (another thread
 * steps a caller-driven engine), cancelled (the engine closes). */
MIDGE_API midge_status midge_engine_trim(midge_engine* engine);

enum { MIDGE_CANCEL = 0, MIDGE_FINISH = 1 };

/* Refuses what comes from now on, cancels or serves what there is, and ends the engine. Sets
 * *engine to null. The last events of its requests are told before. Errors: busy (from a callback).
 */
MIDGE_API midge_status midge_engine_close(midge_engine** engine, int32_t how);

/* ---------------------------------------------------------------------------------- requests -- */

/* How an answer ended, and why. */
enum {
  MIDGE_END_STOP_TOKEN = 1,
  MIDGE_END_STOP_STRING = 2,
  MIDGE_END_TOKENS_MAX = 3,
  MIDGE_END_CONTEXT_FULL = 4,
  MIDGE_END_CANCELLED = 5,
  MIDGE_END_DEADLINE = 6,
  MIDGE_END_FAILED = 7 /* see the event's status */
};

typedef struct midge_logprob {
  int32_t token;
  float logprob; /* natural, of the model itself: before temperature and every other option */
} midge_logprob;

/* What a request did. Times in seconds. */
typedef struct midge_request_stats {
  int64_t prompt_tokens;
  int64_t cached_tokens; /* of these, found and not read */
  int64_t answer_tokens;
  int64_t preemptions;        /* times that it gave its pages back and was read again */
  double queue_seconds;       /* from submission until it was first run */
  double first_token_seconds; /* from submission; 0: there was none */
  double prompt_tokens_per_second;
  double answer_tokens_per_second; /* after the first */
  double token_seconds_p50;        /* from token to token */
  double token_seconds_p95;
  double token_seconds_p99;
  int64_t
      steps; /* passes that read tokens of the answer; its first token comes from the prompt's */
  int64_t drafts_read;
  int64_t drafts_right; /* of these; counted in answer_tokens too */
} midge_request_stats;

enum { MIDGE_EVENT_TOKEN = 1, MIDGE_EVENT_END = 2 };

/* What a request tells. Pointers are valid during the call that hands it out, or, from
 * midge_next_event, until the next call for the same request; those of its last event at most until
 * the last events of 64 other requests were taken. */
typedef struct midge_event {
  size_t size;
  int32_t type;
  int32_t sample; /* which of its answers, from 0 */
  uint64_t request;
  const char* text; /* whole characters that can be shown now; not ended by a zero */
  size_t text_bytes;

  /* MIDGE_EVENT_TOKEN. Stop tokens are told too, without text. */
  int32_t token;
  float logprob;                     /* with request.logprobs */
  const midge_logprob* alternatives; /* best first */
  size_t alternative_count;
  size_t text_offset; /* bytes of the answer's text before this token's own */

  /* MIDGE_EVENT_END, once for each answer. */
  int32_t end;         /* MIDGE_END_... */
  midge_status status; /* of MIDGE_END_FAILED */
  const char* error_text;
  const midge_request_stats* stats;
  /* Of the prompt's tokens from request.prompt_logprobs_from on; of sample 0. */
  const midge_logprob* prompt_logprobs;
  size_t prompt_logprob_count;
  /* [prompt_logprob_count, alternatives_per_token], best first; token -1 behind the last one. */
  const midge_logprob* prompt_alternatives;
  size_t alternatives_per_token;
} midge_event;

typedef struct midge_chat_message {
  const char* role; /* "system", "user", "assistant", "tool" */
  const char* content;
} midge_chat_message;

/* Says which tokens may come next, for example by a grammar. Called on the driver, one call at a
 * time. `sample` is the answer. */
typedef struct midge_token_mask {
  /* Sets to 0 what may not come. allowed[vocab_size] is 1 for every token before. If nothing is
   * left the answer ends with MIDGE_END_FAILED. */
  void (*restrict_tokens)(void* user, int32_t sample, uint8_t* allowed, size_t vocab_size);
  void (*accept)(void* user, int32_t sample, int32_t token); /* it was drawn; may be null */
  /* Would take the last accepted tokens back. Not called, as drafts are accepted once they are
   * drawn; may be null. */
  void (*rollback)(void* user, int32_t sample, size_t tokens);
  void* user;
} midge_token_mask;

enum { MIDGE_ROLE_PROMPT = 0, MIDGE_ROLE_GENERATED = 1 };

typedef struct midge_request {
  size_t size;
  uint32_t model; /* place in the engine's list */

  /* The prompt, in one of these ways. All of it is copied. */
  const char* text; /* the start token is put before it, if the model has one */
  const int32_t* tokens;
  size_t token_count;
  /* [token_count] MIDGE_ROLE_...: GENERATED for tokens that the model wrote in earlier answers, so
   * that a conversation goes on as if it had never stopped. Null: all PROMPT. */
  const uint8_t* token_roles;
  const midge_chat_message* messages;
  size_t message_count;
  const char* messages_json; /* [{"role": ..., "content": ..., "tool_calls": ...}] */
  /* For messages alone: JSON list of tools that the model may call, if its template knows them. */
  const char* tools_json;
  /* For messages alone: "phi3", "phi4", "phi4-mini", "phi4-mini-reasoning", "mimo", "smollm2".
   * Null: the model's own. */
  const char* chat_template;
  /* The prompt, in whatever form, goes on with the conversation of this earlier request, which had
   * `keep` set and has ended: its prompt and its answer (of sample 0) stand before it. Once a
   * request that continues it was taken, it is gone. */
  uint64_t continues;
  /* 1: may be continued. The last requests_max that were not continued yet are kept, which takes
   * 5 bytes a token. */
  int32_t keep;

  /* When it ends. */
  int64_t tokens_max;              /* of the answer; 0: 256 */
  const char* const* stop_strings; /* not part of the text */
  size_t stop_string_count;
  int32_t ignore_stop_tokens; /* 1: ends of turns do not end it */
  double deadline_seconds;    /* from now on; 0: none */

  /* How tokens are drawn. */
  float temperature; /* 0: the best token */
  int32_t top_k;     /* 0: all */
  float top_p;       /* 0: 1 */
  float min_p;
  float repetition_penalty; /* 0: 1 */
  float presence_penalty;
  float frequency_penalty;
  uint64_t seed;
  /* `logprob` is added; minus infinity bans. If nothing is left, the first token that may come
   * does. */
  const midge_logprob* logit_bias;
  size_t logit_bias_count;
  const midge_token_mask* mask; /* copied; null: every token may come */
  int32_t samples; /* answers that share the prompt, at most running_max; 0: 1. Sample 0 is that of
                      samples = 1 */

  /* What is told. */
  int32_t logprobs; /* alternatives of each token, 0..32; with 0 there are no logprobs */
  int64_t prompt_logprobs_from; /* 1..: of the prompt's tokens from this one on; 0: none */
  int32_t special_text;         /* 1: special tokens give text (as always with messages) */
  /* Told of every event; a value other than 0 cancels the answer. Null: events wait for
   * midge_next_event. */
  int32_t (*on_event)(void* user, const midge_event* event);
  void* user;

  int32_t priority;  /* higher ones are served first */
  int32_t no_drafts; /* 1: none for this request, see midge_model_options.drafter */
} midge_request;

/* Lets a request wait for its turn. *id is its number, never 0; id may be null. Errors: busy
 * (requests_max), context_full, no_pages, out_of_range, invalid_argument, not_found (continues),
 * unsupported (messages), cancelled (the engine closes). */
MIDGE_API midge_status midge_submit(midge_engine* engine, const midge_request* request,
                                    uint64_t* id);

/* Ends all answers of a request; their last events follow. A pass that is theirs alone ends with
 * the layer that it is in; one that others take part in is finished first. Errors: not_found (none,
 * or it has ended). */
MIDGE_API midge_status midge_cancel(midge_engine* engine, uint64_t id);

/* Returns when a request has ended; at once if it is not known. Its callbacks have returned then,
 * its events may still wait to be taken. A caller-driven engine is stepped meanwhile. seconds: at
 * most; negative: as long as it takes. Errors: timeout, busy, out_of_range (seconds is no number).
 */
MIDGE_API midge_status midge_wait(midge_engine* engine, uint64_t id, double seconds);

/* Hands out the next event of a request without on_event; event->size is set before. Waits for it
 * up to `seconds` (0: not at all; negative: as long as it takes); a caller-driven engine is stepped
 * meanwhile. After the end of its last answer the request is not known any more. Events that nobody
 * takes stay in memory. Errors: timeout, not_found, busy, out_of_range (seconds is no number). */
MIDGE_API midge_status midge_next_event(midge_engine* engine, uint64_t id, double seconds,
                                        midge_event* event);

typedef struct midge_engine_stats {
  size_t size;
  /* Since the engine was made. Answers by how they ended; `done` are those that ended by their own
   * options: stops, tokens_max, context_full. */
  int64_t done;
  int64_t cancelled;
  int64_t deadline;
  int64_t failed;
  int64_t preemptions;
  int64_t passes;
  int64_t tokens_written;
  int64_t prompt_tokens;
  int64_t cached_tokens;
  /* passes_by_sequences[n]: those in which n sequences took part; the last one: 64 or more. */
  int64_t passes_by_sequences[65];
  double queue_seconds_p50;
  double queue_seconds_p95;
  double queue_seconds_p99;
  double first_token_seconds_p50;
  double first_token_seconds_p95;
  double first_token_seconds_p99;
  double token_seconds_p50;
  double token_seconds_p95;
  double token_seconds_p99;
  int64_t pages; /* of 64 tokens */
  int64_t pages_free;
  int64_t pages_cached; /* that hold beginnings for later requests */
  int64_t pages_shared; /* used more than once: by requests, or by one and for later ones */
  int64_t pages_evicted;
  int64_t pages_used_max;
  int64_t memory; /* bytes that all models took at creation, mapped weights not counted */
  int64_t steps;  /* of all answers: one for each answer in a pass that goes on with it */
  int64_t drafts_read;
  int64_t drafts_right; /* of these */
  /* step_seconds[n]: of a pass over n tokens of answers, as measured; 0: none was. */
  double step_seconds[9];
} midge_engine_stats;

/* Fills *stats for one model; its size is set before. Never waits: while a pass runs, they are
 * those from before it. */
MIDGE_API midge_status midge_engine_stats_get(midge_engine* engine, size_t model,
                                              midge_engine_stats* stats);

/* ---------------------------------------------------------------------------------- prefixes -- */

/* Writes the longest beginning of tokens[count] that the engine has read to a file. roles: as
 * midge_request.token_roles, may be null. *saved is its length. The file belongs to this model and
 * these options. While it is written, the pages that hold it are in use: an answer that needs them
 * may end with MIDGE_END_CONTEXT_FULL; a prompt that does, with MIDGE_END_FAILED. Errors: not_found
 * (nothing of it is known), io_error, busy and cancelled (as midge_engine_trim). */
MIDGE_API midge_status midge_prefix_save(midge_engine* engine, size_t model, const int32_t* tokens,
                                         const uint8_t* roles, size_t count, const char* path,
                                         size_t* saved);

/* Makes the beginning in a file known: requests that begin with it do not read it again. *loaded is
 * its length. Errors: invalid_file, unsupported, model_mismatch, no_pages, not_found, io_error,
 * busy and cancelled (as midge_engine_trim). */
MIDGE_API midge_status midge_prefix_load(midge_engine* engine, size_t model, const char* path,
                                         size_t* loaded);

#ifdef __cplusplus
}
#endif

#endif /* MIDGE_MIDGE_H_ */
