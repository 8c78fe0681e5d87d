/* admin.h - what operators and performance tools ask of a server: the model repository, statistics
 * and model configuration, as plain structs with two forms on the wire (JSON and protobuf).   Layer
 * 2. Uses base and model.
 *
 * Pure functions; any thread. Structs borrow every text and array. What a parser returns lives in
 * the arena.
 */
#ifndef PS_OIP_ADMIN_H
#define PS_OIP_ADMIN_H

#include "oip/oip.h"

enum {
	PS_OIP_MAX_CONFIG_BYTES = 256 * 1024, /* the parameter "config" of a load */
	PS_OIP_MAX_ADMIN_BODY = 1 << 20,
};

/* --- model repository --- */

/* The bodies of POST v2/repository/index, .../load and .../unload. */
struct ps_oip_repository_request {
	bool ready_only;	/* index: only models that are READY */
	const char *config;	/* load: a model configuration as JSON text, NULL when absent */
	bool unload_dependents; /* unload; we have no dependents */
};

/* ps_oip_parse_repository reads the JSON body of REPOSITORY_INDEX, LOAD or UNLOAD; an empty body is
 * {}. PS_EPARSE, PS_EINVAL, PS_ETOOBIG, PS_EUNSUPPORTED (a parameter "file:..." that would bring a
 * model file along, or one that nobody knows), PS_ENOMEM. */
enum ps_status ps_oip_parse_repository(enum ps_oip_route route, const void *body, size_t n,
				       struct ps_arena *arena,
				       struct ps_oip_repository_request *ret_request,
				       struct ps_error *err);

/* One row of the index. A model that was never loaded has only its name: version and reason "",
 * state NULL. */
struct ps_oip_index_row {
	const char *name;
	const char *version;
	const char *state; /* "READY", "UNAVAILABLE", "LOADING", "UNLOADING", or NULL: left out */
	const char *reason;
	const char *residency; /* JSON only: "resident", "on disk", ...; NULL: left out */
};

/* ps_oip_build_index appends the index: [{"name":...,"version":...,"state":...,"reason":...}] or a
 * RepositoryIndexResponse. */
void ps_oip_build_index(const struct ps_oip_index_row *rows, int n, enum ps_oip_form form,
			struct ps_strbuf *out);

/* --- statistics --- */

struct ps_oip_duration {
	uint64_t count; /* requests; of batches: executions */
	uint64_t ns;	/* their sum */
};

struct ps_oip_batch_statistics {
	uint64_t batch_size;
	struct ps_oip_duration compute_input, compute_infer, compute_output;
};

struct ps_oip_memory_usage {
	const char *type; /* "CPU", "CPU_PINNED" or "GPU" */
	int64_t id;
	uint64_t bytes;
};

/* Of one version of a model, since it was first served. */
struct ps_oip_statistics {
	const char *name, *version;
	uint64_t last_inference_ms; /* of the Unix epoch; 0: none yet */
	uint64_t inference_count;   /* rows */
	uint64_t execution_count;   /* runs of the engine */
	struct ps_oip_duration success, fail, queue, compute_input, compute_infer, compute_output,
		cache_hit, cache_miss;
	const struct ps_oip_batch_statistics *batches;
	int n_batches;
	const struct ps_oip_memory_usage *memory;
	int n_memory;
};

/* ps_oip_build_statistics appends {"model_stats":[...]} or a ModelStatisticsResponse. */
void ps_oip_build_statistics(const struct ps_oip_statistics *models, int n, enum ps_oip_form form,
			     struct ps_strbuf *out);

/* --- model configuration, in Triton's terms --- */

/* dims are without the batch axis when max_batch_size > 0; -1: any size. */
struct ps_oip_config_tensor {
	const char *name;
	enum ps_dtype dtype;
	int rank;
	int64_t dims[PS_TENSOR_MAX_RANK];
	bool has_reshape;
	int reshape_rank;
	int64_t reshape[PS_TENSOR_MAX_RANK];
	bool optional; /* inputs only */
};

enum ps_oip_version_policy {
	PS_OIP_LATEST, /* the n highest */
	PS_OIP_ALL,
	PS_OIP_SPECIFIC, /* those listed */
};

enum ps_oip_group_kind { /* Triton's values */
			 PS_OIP_KIND_AUTO = 0,
			 PS_OIP_KIND_GPU = 1,
			 PS_OIP_KIND_CPU = 2,
			 PS_OIP_KIND_MODEL = 3,
};

struct ps_oip_instance_group {
	const char *name; /* NULL: none */
	enum ps_oip_group_kind kind;
	int count;
	const int32_t *gpus;
	int n_gpus;
};

struct ps_oip_queue_policy {
	bool delay; /* timeout_action DELAY, else REJECT */
	uint64_t default_timeout_us;
	bool allow_timeout_override;
	uint32_t max_queue_size;
};

struct ps_oip_level_policy {
	uint64_t level;
	struct ps_oip_queue_policy queue;
};

struct ps_oip_dynamic_batching {
	const int32_t *preferred; /* batch sizes */
	int n_preferred;
	uint64_t max_queue_delay_us;
	bool preserve_ordering;
	struct ps_oip_queue_policy queue;
	uint64_t priority_levels, default_priority_level;
	const struct ps_oip_level_policy *levels; /* that have a policy of their own */
	int n_levels;
};

struct ps_oip_config_parameter {
	const char *name, *value;
};

enum ps_oip_warmup_data {
	PS_OIP_WARMUP_ZERO,
	PS_OIP_WARMUP_RANDOM,
	PS_OIP_WARMUP_FILE,
};

struct ps_oip_warmup_input {
	const char *name;
	enum ps_dtype dtype;
	int rank;
	int64_t dims[PS_TENSOR_MAX_RANK];
	enum ps_oip_warmup_data data;
	const char *file; /* of WARMUP_FILE */
};

struct ps_oip_warmup {
	const char *name;
	uint32_t batch_size, count;
	const struct ps_oip_warmup_input *inputs;
	int n_inputs;
};

struct ps_oip_model_config {
	const char *name;
	const char *platform; /* "onnxruntime_onnx" */
	const char *backend;  /* "onnxruntime" */
	const char *default_model_filename;
	enum ps_oip_version_policy version_policy;
	uint32_t n_latest;	 /* of PS_OIP_LATEST */
	const int64_t *specific; /* of PS_OIP_SPECIFIC */
	int n_specific;
	int32_t max_batch_size; /* 0: the model batches nothing */
	const struct ps_oip_config_tensor *inputs, *outputs;
	int n_inputs, n_outputs;
	const struct ps_oip_instance_group *groups;
	int n_groups;
	const struct ps_oip_dynamic_batching *batching; /* NULL: none */
	const struct ps_oip_config_parameter *parameters;
	int n_parameters;
	const struct ps_oip_warmup *warmups;
	int n_warmups;
};

/* ps_oip_build_model_config appends the configuration as Triton's JSON (GET .../config) or as a
 * ModelConfigResponse. */
void ps_oip_build_model_config(const struct ps_oip_model_config *c, enum ps_oip_form form,
			       struct ps_strbuf *out);

#endif
