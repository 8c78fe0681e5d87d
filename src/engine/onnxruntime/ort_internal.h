/* ort_internal.h - the ONNX Runtime engine, in parts. Inside onnxruntime/ only.
 *
 *	abi.c      finds and loads the library
 *	env.c      the process-wide environment: pool, arena, log
 *	convert.c  model file -> optimised model in ORT format (runs in the perseus-convert program)
 *	spawn.c    runs that program
 *	key.c      names the converted file by everything it depends on
 *	cache.c    keeps converted files: sealed, checked, mapped once per process
 *	evict.c    keeps them under a limit
 *	session.c  opens sessions and reads what they declare
 *	profile.c  where a session's time went
 *	run.c      one batch
 *	binding.c  the same with inputs and outputs bound to a session on a GPU
 *	cuda.c     sessions on a GPU, through the library's provider table
 *	recurrent.c, recurrent_cache.c, recurrent_op.c, recurrent_shapes.c
 *	           recurrent nodes, computed by engine/rnn as a custom operator
 *	ort.c      the table of functions
 */
#ifndef PS_ENGINE_ORT_ORT_INTERNAL_H
#define PS_ENGINE_ORT_ORT_INTERNAL_H

#include "engine/engine_internal.h"
#include "engine/onnxruntime/abi_internal.h"

#include <pthread.h>

#define PS_ORT_KEY_SIZE 65 /* 64 hexadecimal digits and a NUL */

/* A converted file in memory; one per file and process, shared by its instances. */
struct ps_ort_map {
	struct ps_ort_map *next;
	char *path;
	void *data;
	size_t map_bytes;   /* mapped, with the seal */
	size_t model_bytes; /* of the ORT format itself */
	int refs;
};

/* A cached file whose seal was found good in this process. */
struct ps_ort_sealed {
	struct ps_ort_sealed *next;
	char *path;
	struct ps_engine_identity identity; /* its times of reading and status do not count */
	size_t model_bytes;
};

/* The conversion under way, so that it can be ended from outside. */
struct ps_ort_converter {
	pthread_mutex_t lock;
	pid_t pid;	    /* 0: none */
	bool interrupted;   /* none may begin any more */
	int64_t timeout_ns; /* one that takes longer is killed. Set once */
};

struct ps_ort_rnn;
struct ps_rnn_team;
struct ps_rnn_tuner;

struct ps_engine {
	struct ps_ort_api api;
	void *env, *memory_info;
	bool shared_arena;
	int wide_threads;
	struct ps_cpus cpus;
	const struct ps_engine_lender *lender;
	int next_pool_cpu;	      /* place in `cpus` of the pool's next thread; start only */
	char *cache_dir;	      /* NULL: nothing is cached */
	int64_t cache_max_bytes;      /* 0: no limit */
	pthread_mutex_t convert_lock; /* one conversion at a time. Taken before `maps_lock` */
	pthread_mutex_t maps_lock;    /* guards `maps` and `sealed`; also one check of a seal at a
				       * time. Taken before `lock`, never inside */
	struct ps_ort_map *maps;
	struct ps_ort_sealed *sealed;
	pthread_mutex_t lock; /* one session opened or closed at a time: loading doubles memory
			       * briefly, and what it took is measured */
	struct ps_ort_converter converter;
	struct ps_rnn_tuner *rnn_tuner; /* of rnn_team */
	struct ps_rnn_team *rnn_team;	/* of wide runs' recurrent layers; made with the first model
					 * that has some, under `lock`; NULL: none yet */
};

/* Where the size of an open output dimension is found; input -1: nowhere. */
struct ps_ort_origin {
	signed char input, dim;
};

struct ps_engine_instance {
	struct ps_engine *engine;
	const char *profile;	/* the prefix of the profile's file, while opening; NULL: none */
	struct ps_ort_map *map; /* NULL when opened from the model's own file */
	struct ps_ort_rnn *rnn; /* recurrent nodes that are ours; NULL: none. Then the sessions are
				 * opened from its rewritten model */
	void *narrow, *wide;	/* sessions; wide NULL when not wanted */
	int gpu;		/* -1: the CPUs; narrow is then a session on this device */
	char device[16];
	void *gpu_allocator; /* of the device, asked for its statistics; NULL: none to ask */
	struct ps_tensor_spec *inputs, *outputs;
	int n_inputs, n_outputs;
	const char *in_names[PS_MODEL_MAX_TENSORS], *out_names[PS_MODEL_MAX_TENSORS];
	struct ps_ort_origin origins[PS_MODEL_MAX_TENSORS][PS_TENSOR_MAX_RANK];
	atomic_bool shapes_lie; /* a declared output shape was wrong: let the library allocate */
	struct ps_engine_memory memory;
};

/* ps_ort_env_start makes the environment of `e` (api, wide_threads and cpus are set). */
enum ps_status ps_ort_env_start(struct ps_engine *e, struct ps_error *err);
void ps_ort_env_stop(struct ps_engine *e);

/* ps_ort_session_options makes options for a session on one thread of its own (wide false) or on
 * the process-wide pool; `mapped`: for a model in ORT format that stays in memory. */
enum ps_status ps_ort_session_options(const struct ps_engine *e, bool wide, bool mapped,
				      void **ret_options, struct ps_error *err);
/* ps_ort_sessions_open opens the narrow and, when wanted, the wide session of `i` from i->map or,
 * without one, from the file; ps_ort_sessions_close closes what is open. */
enum ps_status ps_ort_sessions_open(struct ps_engine_instance *i, const char *path, bool wide,
				    struct ps_error *err);
void ps_ort_sessions_close(struct ps_engine_instance *i);
/* ps_ort_read_specs fills what `i` declares from its narrow session. PS_EUNSUPPORTED. */
enum ps_status ps_ort_read_specs(struct ps_engine_instance *i, struct ps_error *err);

/* ps_ort_convert writes the optimised model in ORT format to `out`. *ret_saving is true when the
 * model itself is fine and only writing it in that format failed. */
enum ps_status ps_ort_convert(const struct ps_ort_api *api, const char *model, const char *out,
			      bool *ret_saving, struct ps_error *err);
/* ps_ort_spawn_convert does that in a child process, so that neither its memory nor a crash over a
 * hostile file is ours. Same result; PS_EPARSE when the child crashed, *ret_saving true when it
 * could not be started, PS_ECANCELLED when ps_ort_interrupt ended it. Blocks for up to ten minutes.
 */
enum ps_status ps_ort_spawn_convert(const struct ps_ort_api *api, struct ps_ort_converter *c,
				    const char *model, const char *out, bool *ret_saving,
				    struct ps_error *err);
void ps_ort_interrupt(struct ps_ort_converter *c);
bool ps_ort_is_interrupted(struct ps_ort_converter *c);

/* ps_ort_profile ends the profile of `i` and reads it; its file is deleted. */
enum ps_status ps_ort_profile(struct ps_engine_instance *i, int64_t skip,
			      struct ps_engine_profile *ret_profile, struct ps_error *err);
/* ps_ort_profile_read adds up the text of a profile. PS_EENGINE, PS_ENOMEM. */
enum ps_status ps_ort_profile_read(const char *text, size_t len, int64_t skip,
				   struct ps_engine_profile *ret_profile, struct ps_error *err);

/* ps_ort_key hashes the model's bytes, what it refers to, the library's build, the CPU's features
 * and the options of conversion. PS_ENOTFOUND, PS_EIO, PS_ENOMEM. */
enum ps_status ps_ort_key(const struct ps_ort_api *api, const char *model,
			  char ret_key[PS_ORT_KEY_SIZE], struct ps_error *err);
/* ps_ort_sha256 hashes one piece of memory. */
#define PS_ORT_SHA256_SIZE 32
void ps_ort_sha256(const void *data, size_t len, unsigned char ret_hash[PS_ORT_SHA256_SIZE]);

/* ps_ort_cache_get maps the converted form of `model` (a copy of it, when it is an *.ort file
 * already), making it first if need be. Never the model's own file: whoever replaces or cuts that
 * must not reach into our memory. *ret_map is NULL with PS_OK when there can be none (said in the
 * log): the caller then opens the model's own file. An error is the model's. */
enum ps_status ps_ort_cache_get(struct ps_engine *e, const char *model, struct ps_ort_map **ret_map,
				struct ps_error *err);
/* ps_ort_cache_size says how large the converted form of `model` is; false: there is none yet. */
bool ps_ort_cache_size(struct ps_engine *e, const char *model, int64_t *ret_bytes);
/* ps_ort_map_unref unmaps with the last reference. */
void ps_ort_map_unref(struct ps_engine *e, struct ps_ort_map *map);
/* ps_ort_cache_discard deletes the file behind a map that the library refused. */
void ps_ort_cache_discard(const struct ps_ort_map *map);
/* ps_ort_evict deletes the longest unused converted models beyond the cache's limit, never one that
 * is open here. Under e->convert_lock and the lock of the cache. */
void ps_ort_evict(struct ps_engine *e);
/* ps_ort_cache_fini forgets what is known of seals. */
void ps_ort_cache_fini(struct ps_engine *e);

/* ps_ort_cuda_options adds the GPU of `i` to the options of its session. PS_EUNSUPPORTED: this
 * library has no such provider; PS_ENOTFOUND: it has, but the device cannot be used. */
enum ps_status ps_ort_cuda_options(const struct ps_engine_instance *i, void *options,
				   struct ps_error *err);
/* ps_ort_cuda_watch finds the allocator whose statistics ps_ort_cuda_bytes reads; where the library
 * is too old for that, there is none and the bytes are 0. */
void ps_ort_cuda_watch(struct ps_engine_instance *i);
void ps_ort_cuda_unwatch(struct ps_engine_instance *i);
int64_t ps_ort_cuda_bytes(const struct ps_engine_instance *i);

enum ps_status ps_ort_run(struct ps_engine_instance *i, struct ps_engine_run *run,
			  struct ps_error *err);
void ps_ort_cancel(struct ps_engine_instance *i, struct ps_engine_run *run);

#endif
