/* config.h - what may be said about a model besides its file: batching, versions, device, ...
 * Layer 3, pure. Uses base, model.
 *
 * One struct, two sources: a `config.pbtxt` beside the model (ps_repo_config_parse reads the
 * protobuf text format) and the server's own YAML (serve/ fills the same fields). A field that
 * nobody set keeps what ps_repo_config_init gives it.
 */
#ifndef PS_REPO_CONFIG_H
#define PS_REPO_CONFIG_H

#include "base/error.h"
#include "model/model.h"

#include <stddef.h>
#include <stdint.h>

#define PS_REPO_MAX_NAME	   128
#define PS_REPO_MAX_VERSION	   999999999
#define PS_REPO_MAX_BATCH	   65536
#define PS_REPO_MAX_PREFERRED	   32
#define PS_REPO_MAX_POLICY	   64	   /* versions named by a policy or a split */
#define PS_REPO_MAX_LEVELS	   1000000 /* of priority */
#define PS_REPO_MAX_LEVEL_POLICIES 64
#define PS_REPO_MAX_WARMUPS	   64
#define PS_REPO_MAX_WARMUP_RUNS	   10000
#define PS_REPO_MAX_PARAMETERS	   256
#define PS_REPO_MAX_WARNINGS	   32
#define PS_REPO_DEVICE_SIZE	   16	/* "cpu", "cuda:0" */
#define PS_REPO_PRECISION_SIZE	   16	/* "float32" */
#define PS_REPO_CALIBRATION_SIZE   1024 /* of a path, with its NUL */
#define PS_REPO_CONFIG_MAX_BYTES   (1 << 20)

/* A tensor as clients see it. With max_batch_size > 0, `dims` and `reshape` exclude the batch
 * axis. A dimension of -1 may have any size. */
struct ps_repo_tensor {
	char name[PS_TENSOR_MAX_NAME];
	enum ps_dtype dtype;
	int rank;
	int64_t dims[PS_TENSOR_MAX_RANK];
	bool reshaped; /* the model itself wants (inputs) or gives (outputs) `reshape` */
	int reshape_rank;
	int64_t reshape[PS_TENSOR_MAX_RANK];
	bool optional; /* inputs: kept for the protocol's answer only */
};

enum ps_repo_policy_kind { PS_REPO_LATEST, PS_REPO_ALL, PS_REPO_SPECIFIC };

/* Which versions of a name are served. */
struct ps_repo_policy {
	enum ps_repo_policy_kind kind;
	int latest; /* LATEST: how many, >= 1 */
	int64_t versions[PS_REPO_MAX_POLICY];
	int n; /* SPECIFIC */
};

/* A request without a version goes to `version` with this weight. */
struct ps_repo_split {
	int64_t version;
	double weight; /* > 0; relative to the sum */
};

/* What holds for requests of one level of priority while they wait. */
struct ps_repo_queue_policy {
	bool delay;		     /* after its time a request goes behind the others of its
				      * level (DELAY); else it is refused (REJECT) */
	int64_t default_timeout_ns;  /* how long a request may wait; 0: no such bound */
	bool allow_timeout_override; /* a request may ask for less than that */
	int64_t max_queue_size;	     /* that wait, of a tenant; 0: no such bound */
};

struct ps_repo_level_policy {
	int64_t level;
	struct ps_repo_queue_policy queue;
};

struct ps_repo_batching {
	bool on;
	int64_t preferred[PS_REPO_MAX_PREFERRED]; /* rising */
	int n_preferred;
	int64_t max_delay_ns;
	bool preserve_ordering;
	int64_t priority_levels;	/* 0: requests have the level they say; else 1..this, and */
	int64_t default_priority_level; /* this when they say none */
	struct ps_repo_queue_policy queue; /* of levels that have none of their own: */
	struct ps_repo_level_policy level_policies[PS_REPO_MAX_LEVEL_POLICIES];
	int n_level_policies;
};

enum ps_repo_warmup_data { PS_REPO_WARMUP_ZERO, PS_REPO_WARMUP_RANDOM, PS_REPO_WARMUP_FILE };

struct ps_repo_warmup_input {
	char name[PS_TENSOR_MAX_NAME];
	enum ps_dtype dtype;
	int rank;
	int64_t dims[PS_TENSOR_MAX_RANK]; /* without the batch axis */
	enum ps_repo_warmup_data data;
	char *file; /* FILE: a name inside the model's folder "warmup"; owned */
};

struct ps_repo_warmup {
	char name[PS_REPO_MAX_NAME + 1];
	int64_t batch_size; /* >= 1 */
	int64_t count;	    /* runs, >= 1 */
	struct ps_repo_warmup_input *inputs;
	int n_inputs;
};

/* How recurrent layers are computed. Two instances that differ in it are not the same. */
struct ps_repo_rnn {
	char precision[PS_REPO_PRECISION_SIZE]; /* "float32", "bf16", "int8": by our own kernels;
						 * "": by the engine's library */
	double max_error; /* allowed difference from float32; 0: the engine's limit */
	char calibration[PS_REPO_CALIBRATION_SIZE]; /* a *.npy file or a folder of them, on which
						     * that is measured; "": drawn input */
};

struct ps_repo_parameter {
	char *key, *value;
};

struct ps_repo_config {
	char name[PS_REPO_MAX_NAME + 1]; /* "": the folder's or file's */
	char backend[32];		 /* "onnxruntime", "synthetic", "": by the file's suffix */
	char platform[32];		 /* as written; "": not said */
	char filename[256];		 /* default_model_filename; "": model.onnx */
	bool has_max_batch_size;
	int64_t max_batch_size; /* 0: no batch axis that the server knows of */
	struct ps_repo_tensor *inputs, *outputs;
	int n_inputs, n_outputs; /* 0: whatever the model declares */
	struct ps_repo_policy policy;
	struct ps_repo_split splits[PS_REPO_MAX_POLICY];
	int n_splits;
	struct ps_repo_batching batching;
	int instance_count;		  /* runs of this model at the same time at most; 0: no
					   * limit of its own */
	char device[PS_REPO_DEVICE_SIZE]; /* "cpu", "cuda:N" */
	struct ps_repo_rnn rnn;
	struct ps_repo_warmup *warmups;
	int n_warmups;
	struct ps_repo_parameter *parameters;
	int n_parameters;
	int64_t max_run_ns; /* a batch may not be expected to run longer; 0: no limit */
	bool unshared;	    /* no other name shares its instances, though the content be the same */
	bool pinned;	    /* under a budget of memory: loaded at start, never evicted */
	bool warms_up;	    /* it is said how often it runs on zeros before it is ready: */
	int64_t warmup_runs;
	char *warnings[PS_REPO_MAX_WARNINGS]; /* fields that were understood but have no effect */
	int n_warnings;
};

/* ps_repo_config_init gives the defaults: latest version, no batch axis, "cpu". */
void ps_repo_config_init(struct ps_repo_config *c);
/* ps_repo_config_fini frees what `c` owns. */
void ps_repo_config_fini(struct ps_repo_config *c);
/* ps_repo_config_copy copies `from` into the uninitialised *ret_config. PS_ENOMEM. */
enum ps_status ps_repo_config_copy(const struct ps_repo_config *from,
				   struct ps_repo_config *ret_config);
/* ps_repo_config_equal says whether two configurations ask for the same (warnings aside). */
bool ps_repo_config_equal(const struct ps_repo_config *a, const struct ps_repo_config *b);
/* ps_repo_queue_policy_get returns the policy of a level. O(n_level_policies). */
const struct ps_repo_queue_policy *ps_repo_queue_policy_get(const struct ps_repo_batching *b,
							    int64_t level);
/* ps_repo_config_warn adds a warning; beyond PS_REPO_MAX_WARNINGS they are dropped. */
void ps_repo_config_warn(struct ps_repo_config *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ps_repo_config_parse reads the text of a config.pbtxt into the uninitialised *ret_config and
 * checks it (ps_repo_config_validate). Errors name `name`:line:column. PS_EPARSE (syntax, unknown
 * field, wrong type or range), PS_EUNSUPPORTED (ensemble, sequence batching, a foreign backend),
 * PS_ETOOBIG (over 1 MiB, 32 levels, or a limit above), PS_ENOMEM. On failure nothing is owned. */
enum ps_status ps_repo_config_parse(const char *text, size_t len, const char *name,
				    struct ps_repo_config *ret_config, struct ps_error *err);
/* ps_repo_config_load reads the file and parses it. Blocking. */
enum ps_status ps_repo_config_load(const char *path, struct ps_repo_config *ret_config,
				   struct ps_error *err);
/* ps_repo_config_validate checks a configuration in itself, from whatever source: names, ranges,
 * reshape sizes, preferred sizes within max_batch_size, the device's text. PS_EINVAL. */
enum ps_status ps_repo_config_validate(const struct ps_repo_config *c, struct ps_error *err);
/* ps_repo_config_check holds a configuration against what the opened model declares: tensor names,
 * types and dimensions, and that a max_batch_size > 0 meets an open first dimension everywhere.
 * PS_EINVAL; the text says what the configuration and what the model say. */
enum ps_status ps_repo_config_check(const struct ps_repo_config *c,
				    const struct ps_tensor_spec *inputs, int n_inputs,
				    const struct ps_tensor_spec *outputs, int n_outputs,
				    struct ps_error *err);

/* ps_repo_rnn_same says whether both ask for the same. */
bool ps_repo_rnn_same(const struct ps_repo_rnn *a, const struct ps_repo_rnn *b);
/* ps_repo_rnn_parse checks a precision ("off" is none) and writes it. PS_EINVAL. */
enum ps_status ps_repo_rnn_parse(const char *text, struct ps_repo_rnn *ret_rnn,
				 struct ps_error *err);
/* ps_repo_rnn_calibrate notes the path of calibration input, relative to the folder of the file
 * `from` (NULL: as it is). PS_ETOOBIG. */
enum ps_status ps_repo_rnn_calibrate(const char *path, const char *from, struct ps_repo_rnn *rnn,
				     struct ps_error *err);
/* ps_repo_name_is_good says whether `name` may be a model's: 1 to PS_REPO_MAX_NAME letters, digits,
 * '.', '_', '-', and not "." or "..". */
bool ps_repo_name_is_good(const char *name);
/* ps_repo_device_parse checks "cpu" or "cuda:N" (N 0..63) and writes it in its normal form. */
enum ps_status ps_repo_device_parse(const char *text, char ret_device[PS_REPO_DEVICE_SIZE],
				    struct ps_error *err);

#endif
