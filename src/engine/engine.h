/* engine.h - what runs models: one table of functions per engine.   Layer 2. Uses base, conf,
 * model.
 *
 * An engine is found by name ("onnxruntime", "synthetic", "rnn"). It opens a model from a file into
 * an instance; an instance describes its tensors and runs batches with inputs and outputs that the
 * caller owns, on the CPUs and with the width that it is given.
 *
 * Threads: open and close may be called from any thread, one call per instance at a time; an open
 * that converts its file holds up no other but those that convert, too. run may
 * be called from several threads at once on one instance, with a different struct ps_engine_run
 * each. cancel may be called from any thread while run is inside.
 */
#ifndef PS_ENGINE_ENGINE_H
#define PS_ENGINE_ENGINE_H

#include "base/cpus.h"
#include "base/error.h"
#include "conf/conf.h"
#include "model/model.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define PS_ENGINE_MAX_OUTPUT_BYTES ((size_t)1 << 30) /* of one output; more is PS_ETOOBIG */

struct ps_engine;
struct ps_engine_instance;

/* Lends the calling thread the CPUs that runs have, for what an engine does besides runs and what
 * would be disturbed by one, or disturb it: timing its kernels while a model loads. */
struct ps_engine_lender {
	/* Blocks until nothing runs there; the thread is on the first of the CPUs meanwhile. */
	void (*borrow)(void *ctx);
	/* May block for as long again, when runs had to wait: borrow for a few milliseconds. */
	void (*give_back)(void *ctx);
	void *ctx;
};

/* How an engine is set up, once per process. Texts are borrowed during the call only. */
struct ps_engine_options {
	const char *library;   /* path of libonnxruntime; NULL: PERSEUS_ORT_LIBRARY, then the
				* project's fetched copy, then the system's */
	const char *cache_dir; /* where converted models are kept; NULL: $XDG_CACHE_HOME/perseus,
				* then ~/.cache/perseus; "": nowhere */
	struct ps_cpus cpus;   /* CPUs that wide runs may use together; empty: all allowed ones */
	int wide_threads;      /* threads of the process-wide pool incl. the caller; 0: none (all
				* runs are narrow) */
	int64_t seed;	       /* synthetic: of its service times */
	const struct ps_engine_lender *lender; /* borrowed until stop; NULL: nothing else uses the
						* CPUs while a model is opened */
	int64_t convert_timeout_ns; /* a conversion that takes longer is killed; 0: 10 minutes */
	int64_t cache_max_bytes;    /* of converted models on disk; the longest unused are deleted
				     * beyond it, never one that is open here. 0: no limit */
};

struct ps_engine_open {
	const char *path;     /* of the model's file; synthetic: path of a .synthetic.yaml file */
	bool wide;	      /* prepare for wide runs too (narrow ones always work) */
	const char *device;   /* "cpu" or NULL; "cuda:N": PS_EUNSUPPORTED where the engine or its
			       * library has none, PS_ENOTFOUND when that device is not there */
	const char *profile;  /* prefix of a file for the engine's own profiler, which slows narrow
			       * runs from now on; NULL: none. See ops->profile */
	const char *rnn;      /* "float32", "bf16", "int8": LSTM, GRU and RNN nodes of an ONNX file
			       * are computed by our own kernels, with weights of this precision;
			       * those that cannot be stay with the library, and the log says why.
			       * NULL or "": all stay. The rnn engine takes NULL for float32 */
	double rnn_max_error; /* of a reduced precision: the largest difference from float32 of a
			       * layer's outputs on calibration input that is allowed, else open
			       * fails with PS_EINVAL; 0: 0.05 */
	const char *rnn_calibration; /* that input, of the model: a *.npy file, or a folder of them
				      * (calibration.c says which); NULL or "": layers are measured
				      * on drawn input. Not read with float32 */
};

struct ps_engine_describe {
	const struct ps_tensor_spec *inputs, *outputs; /* borrowed until close */
	int n_inputs, n_outputs;
	const char *platform; /* "onnx_onnxv1", "perseus_synthetic" */
	const char *device;   /* "cpu", "cuda:0" */
	bool batch_axis; /* all inputs and outputs leave their first dimension open (and there is
			  * one of each): rows of several requests may go in one run */
};

/* Measured when the instance was opened; 0 where the engine cannot know. */
struct ps_engine_memory {
	int64_t private_bytes; /* anonymous memory that this instance added */
	int64_t mapped_bytes;  /* file-backed, shared between instances of one file: count it once
				* per file; all of it is resident after open */
	int64_t device_bytes;  /* on the GPU, as far as the library's arena tells; grows with use */
	int64_t footprint_bytes; /* of weights that each run reads again, so that one on the same
				  * CPU finds them in its cache; 0: unknown */
	int64_t load_ns;	 /* time that open took */
};

/* What opening a model takes, forecast from its file. */
struct ps_engine_need {
	int64_t resident_bytes; /* private and mapped, once it is open */
	int64_t load_bytes;	/* at most meanwhile, in this process and its helpers */
	int64_t file_bytes;	/* that are read for it; 0: that says nothing about the time */
	bool again;		/* a converted copy is there: opening maps it */
	bool converts;		/* opening converts the file first, in a process beside */
};

/* One run. Outputs: name, dtype, rank and dims are filled in by run. When `data` is not NULL it
 * must hold `bytes` bytes: results that fit are written there (exactly, without a copy where the
 * engine can), results that do not fit give PS_ETOOBIG. When `data` is NULL, run calls
 * `alloc(alloc_ctx, bytes)` for memory aligned to 64 bytes. `alloc` is an arena of the request: run
 * may also ask it for room of its own (an input at an odd address is copied), and frees nothing.
 * Zero the whole struct before filling it. */
struct ps_engine_run {
	const struct ps_tensor *inputs; /* in the order of describe, all of them */
	struct ps_tensor *outputs;	/* in the order of describe, all of them */
	int n_inputs, n_outputs;
	bool wide; /* use the process-wide pool */
	void *(*alloc)(void *ctx, size_t bytes);
	void *alloc_ctx;
	_Atomic(void *) handle; /* the engine's, for cancel; NULL outside run */
	atomic_bool cancelled;	/* set by ps_engine_cancel; checked before and during run */
};

/* Where the time of narrow runs went. */
struct ps_engine_operator {
	char name[64]; /* "Conv", "FusedMatMul" */
	int64_t calls, total_ns;
};
/* The same by node of the network as the engine runs it, after its own fusions. */
struct ps_engine_node {
	char name[128]; /* "relu_2_nchwc", cut when longer */
	char op[64];
	int64_t calls, total_ns;
};
struct ps_engine_profile {
	struct ps_engine_operator *operators; /* longest first; to be freed with free() */
	size_t len;
	struct ps_engine_node *nodes; /* in the order of a run; to be freed with free() */
	size_t nodes_len;
	int64_t runs, run_ns; /* of the runs themselves, operators and what is between them */
};

struct ps_engine_ops {
	const char *name;
	/* start makes the engine; the library is loaded here. PS_ENOTFOUND with how to get it. */
	enum ps_status (*start)(const struct ps_engine_options *options,
				struct ps_engine **ret_engine, struct ps_error *err);
	/* version borrows the text of the engine's version. */
	const char *(*version)(const struct ps_engine *e);
	/* open loads a model. PS_ENOTFOUND, PS_EPARSE (malformed), PS_EUNSUPPORTED, PS_EENGINE.
	 * Blocks for as long as loading takes. */
	enum ps_status (*open)(struct ps_engine *e, const struct ps_engine_open *open,
			       struct ps_engine_instance **ret_instance, struct ps_error *err);
	/* need forecasts what that opening takes; `e` NULL: by the file alone, as if for the first
	 * time. Blocks as ps_engine_hash does. NULL: this engine has no forecast. Errors of open.
	 */
	enum ps_status (*need)(struct ps_engine *e, const struct ps_engine_open *open,
			       struct ps_engine_need *ret_need, struct ps_error *err);
	void (*describe)(const struct ps_engine_instance *i, struct ps_engine_describe *ret);
	void (*memory)(const struct ps_engine_instance *i, struct ps_engine_memory *ret);
	/* run executes one batch on the calling thread (and the pool when wide). PS_EINVAL (shape,
	 * type), PS_ETOOBIG, PS_ECANCELLED, PS_EENGINE, PS_ENOMEM. */
	enum ps_status (*run)(struct ps_engine_instance *i, struct ps_engine_run *run,
			      struct ps_error *err);
	/* cancel makes a run stop as soon as the engine can, or not begin. */
	void (*cancel)(struct ps_engine_instance *i, struct ps_engine_run *run);
	/* profile ends the profile of an instance that was opened with one, and reads it without
	 * the first `skip` runs. NULL: this engine has no profiler. PS_EENGINE, PS_EIO, PS_ENOMEM.
	 */
	enum ps_status (*profile)(struct ps_engine_instance *i, int64_t skip,
				  struct ps_engine_profile *ret_profile, struct ps_error *err);
	/* close frees the instance; no run may be inside. Memory is given back to the system. */
	void (*close)(struct ps_engine_instance *i);
	/* interrupt makes opens that are under way, and all later ones, fail with PS_ECANCELLED as
	 * soon as they can (a conversion is killed): the program wants to end. Any thread. */
	void (*interrupt)(struct ps_engine *e);
	/* stop frees the engine; no instance may be open. */
	void (*stop)(struct ps_engine *e);
};

/* The keys of a *.synthetic.yaml file, for help and the man page. */
extern const struct ps_conf_schema ps_engine_synthetic_schema;

/* ps_engine_find returns the engine called `name`, or NULL. */
const struct ps_engine_ops *ps_engine_find(const char *name);
/* ps_engine_for_path returns the engine that opens such a file: "*.onnx" and "*.ort" onnxruntime,
 * "*.synthetic.yaml" synthetic; NULL when none does. */
const struct ps_engine_ops *ps_engine_for_path(const char *path);
/* ps_engine_for_model is the same for a model whose recurrent layers are wanted at the precision
 * `rnn` (see struct ps_engine_open): a file that holds nothing else is the engine rnn's, which
 * needs no library. Reads the file when `rnn` is set. */
const struct ps_engine_ops *ps_engine_for_model(const char *path, const char *rnn);
/* ps_engine_rnn_check holds `rnn` and `rnn_max_error` of an open against what they may be.
 * PS_EINVAL.
 */
enum ps_status ps_engine_rnn_check(const char *rnn, double max_error, struct ps_error *err);

#define PS_ENGINE_HASH_SIZE 32
/* ps_engine_hash writes the SHA-256 of a model's content: its file, and what the file refers to
 * (weights kept outside, recorded durations). Remembered in the process by path, size, times and
 * inode, so asking again about an unchanged file, or opening it, reads nothing. A file that is cut
 * or replaced meanwhile gives an error, never a crash. Any thread. Blocking. PS_ENOTFOUND,
 * PS_EPARSE (empty, no regular file), PS_EIO, PS_ENOMEM. */
enum ps_status ps_engine_hash(const char *path, unsigned char ret_hash[PS_ENGINE_HASH_SIZE],
			      struct ps_error *err);
/* ps_engine_is_hashed says whether ps_engine_hash would read nothing. Any thread. */
bool ps_engine_is_hashed(const char *path);

#endif
