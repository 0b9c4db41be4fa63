/* The plain C interface. src/regimen/kernels/native_types.py mirrors these structures field by field. */
#ifndef REGIMEN_INTERFACE_H
#define REGIMEN_INTERFACE_H

#include <stdint.h>

#if defined(__GNUC__)
#define REGIMEN_API __attribute__((visibility("default")))
#else
#define REGIMEN_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum { REGIMEN_NO_NORM = 0, REGIMEN_BATCH_NORM = 1, REGIMEN_LAYER_NORM = 2 };
enum {
  REGIMEN_IDENTITY = 0,
  REGIMEN_RELU = 1,
  REGIMEN_LEAKY_RELU = 2,
  REGIMEN_TANH = 3,
  REGIMEN_GELU = 4,
  REGIMEN_SILU = 5,
  REGIMEN_SIGMOID = 6
};
enum { REGIMEN_SGD = 0, REGIMEN_ADAM = 1, REGIMEN_RMSPROP = 2, REGIMEN_ADAGRAD = 3 };
enum { REGIMEN_CROSS_ENTROPY = 0, REGIMEN_SQUARED_ERROR = 1 };
enum {
  REGIMEN_WAITING = 0,
  REGIMEN_FINISHED = 1,
  REGIMEN_STOPPED = 2,
  REGIMEN_DIVERGED = 3,
  REGIMEN_CANCELLED = 4,
  REGIMEN_NO_MEMORY = 5
};

/* Linear, normalization, activation, dropout, in this order. */
typedef struct {
  int64_t inputs;
  int64_t outputs;
  int64_t normalization;
  int64_t activation;
  int64_t threshold; /* of 16-bit values for dropout; 0: none */
  double keep_scale;
  int64_t site;
} RegimenBlock;

/* Rows of one part. Row-major inputs [rows][features]; labels or targets [rows]. */
typedef struct {
  int64_t rows;
  const float* inputs;
  const int64_t* labels;
  const float* targets;
  const float* weights; /* [rows], of the training rows 1 in the mean; or null: all rows count alike */
  float* outputs;       /* [rows][outputs] at the returned epoch, or null */
  float* every_output;  /* [epochs][rows][outputs] after every epoch, or null */
  double* losses;       /* [epochs], plain criterion */
  double* accuracies;   /* [epochs], or null */
} RegimenPart;

typedef struct {
  int64_t kind;
  double momentum, dampening; /* momentum: of SGD and RMSprop */
  double beta1, beta2, epsilon;
  double alpha;
  double lr_decay, initial_accumulator;
  int64_t nesterov, amsgrad, centered;
  double weight_decay, decoupled_weight_decay;
  int64_t decay_all;
  double l1;
  int64_t l1_proximal;
  double max_norm;  /* 0: no limit */
  double clip_norm; /* 0: no clipping */
} RegimenUpdate;

typedef struct {
  int64_t tag; /* handed back by regimen_wait */
  uint64_t key;
  int64_t blocks;
  const RegimenBlock* block;
  int64_t epochs, batches;
  const int64_t* starts; /* [batches + 1]: batch i of an epoch has the shuffled rows starts[i] to starts[i + 1] */
  int64_t criterion;
  double label_smoothing;
  const float* class_weights; /* [classes], or null */
  RegimenUpdate update;
  const double* rates;   /* [steps] */
  const double* mixing;  /* [steps] weights of mixup, or null */
  const double* shares;  /* [steps] weight of the newest parameters in the average, negative: none; or null */
  double input_noise;
  int64_t input_threshold; /* input dropout */
  double input_keep_scale;
  int64_t patience; /* 0: no early stopping */
  double min_delta;
  RegimenPart train, validation, stop, test; /* rows = 0: absent */
  float* parameters; /* in: initial; out: returned, if keep_parameters. Each block: W, b, then gamma, beta if normalized */
  float* statistics; /* out: running mean and variance of each batch-normalized block */
  int64_t keep_parameters;
  /* results */
  int64_t status, epochs_run, returned_epoch;
  int64_t steps_run; /* written after every step */
  double seconds; /* that the thread has computed */
} RegimenRun;

/* sizeof(RegimenRun) << 32 | sizeof(RegimenDropout): tells a library that was built from other sources. */
REGIMEN_API int64_t regimen_layout(void);
/* Whether this processor can run the library; asked before anything else. */
REGIMEN_API int64_t regimen_supported(void);

/* A pool of threads, each of which trains whole runs. Null if no memory or threads are left. */
REGIMEN_API void* regimen_open(int64_t threads);
/* Queue a run; everything it points to must stay until regimen_wait returns its tag. */
REGIMEN_API void regimen_submit(void* pool, RegimenRun* run);
/* Tag of a run that ended, -1 if none did within the time. */
REGIMEN_API int64_t regimen_wait(void* pool, int64_t milliseconds);
/* Runs under way end as cancelled, after the layer they are in; none that waits is begun. */
REGIMEN_API void regimen_cancel(void* pool);
/* Waits for the threads. */
REGIMEN_API void regimen_close(void* pool);

REGIMEN_API void regimen_words(uint64_t key, uint32_t c1, uint32_t c2, uint32_t c3, int64_t count, uint32_t* words);
/* Scaled masks [rows][features] of one step, from `first_row` on. */
REGIMEN_API void regimen_mask(uint64_t key, uint32_t c2, uint32_t c3, int64_t threshold, double scale, int64_t features,
                              int64_t first_row, int64_t rows, float* masks);
/* For tests: masks as the engine draws them, [features][leading]; normal numbers; orders. */
REGIMEN_API void regimen_engine_mask(uint64_t key, uint32_t c2, uint32_t c3, int64_t threshold, double scale,
                                     int64_t features, int64_t rows, float* masks, int64_t leading);
REGIMEN_API void regimen_normals(uint64_t key, uint32_t c2, uint32_t c3, double scale, int64_t features, int64_t rows,
                                 float* values, int64_t leading);
REGIMEN_API void regimen_order(uint64_t key, uint32_t c2, uint32_t c3, int64_t count, int32_t* order);

enum { REGIMEN_FLOAT32 = 0, REGIMEN_FLOAT64 = 1, REGIMEN_BFLOAT16 = 2, REGIMEN_FLOAT16 = 3 };
/* What a random number belongs to, and how the elements lie in memory: an element of [rows][features]; an element of
   [rows][features][positions], numbered positions before features (features % 8 == 0); a whole channel of
   [rows][features][positions] or of [rows][positions][features]. Gaussian: [rows][features]. */
enum {
  REGIMEN_ELEMENTS = 0,
  REGIMEN_PLANES = 1,
  REGIMEN_CHANNELS = 2,
  REGIMEN_CHANNELS_LAST = 3,
  REGIMEN_GAUSSIAN = 4
};

/* y = x * (scale or 0) + (kept_shift or dropped_shift), kept where the 16-bit value is >= threshold; y may be x.
   Gaussian: y = x * (1 + scale * normal). kernels/native_types.py packs this structure. */
typedef struct {
  uint64_t key;
  uint32_t c2, c3;
  int64_t threshold;
  double scale, kept_shift, dropped_shift;
  int64_t first_row; /* of the optimizer step */
  int64_t form, type, threads, rows, features, positions;
  const void* x;
  void* y;
} RegimenDropout;
REGIMEN_API void regimen_dropout(const RegimenDropout* call);

#ifdef __cplusplus
}
#endif

#endif
