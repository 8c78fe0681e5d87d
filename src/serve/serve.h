/* serve.h - the inference server: performs dispatch's actions for real.   Layer 5. Uses base, conf,
 * evloop, net, oip, engine, exec, tenancy, repo, dispatch.
 *
 * Threads: one I/O thread (the caller of ps_serve_run) owns all connections; exec's lanes run
 * models; one background thread loads them. They meet in the dispatcher under one mutex.
 */
#ifndef PS_SERVE_SERVE_H
#define PS_SERVE_SERVE_H

#include "base/cpus.h"
#include "base/error.h"
#include "conf/conf.h"

#include <stdint.h>

/* The file behind --config, and what the command line overrides. */
struct ps_serve_model_config {
	char *name;
	char *path; /* relative to the configuration's folder */
	int64_t version;
	struct ps_conf_where where;
};

struct ps_serve_tenant_config {
	char *name;
	struct ps_conf_texts keys;   /* "sha256:HEX" */
	struct ps_conf_texts models; /* names; none: all models */
	int64_t queue_limit;
	int64_t weight;
	struct ps_conf_where where;
};

enum { PS_SERVE_NARROW, PS_SERVE_WIDE };

struct ps_serve_config {
	char *listen; /* "127.0.0.1:8000"; port 0: the system picks one */
	struct ps_cpus cpus;
	int64_t lanes;	   /* 0: one per CPU when narrow, one when wide */
	int64_t lane_spin; /* ns; exec.h's spin_ns */
	int width;	   /* PS_SERVE_NARROW, PS_SERVE_WIDE */
	char *library;	   /* of ONNX Runtime; NULL: engine.h's search */
	char *cache;	   /* folder of converted models; NULL: engine.h's default */
	int64_t seed;	   /* of synthetic service times */
	int64_t max_body;
	int64_t max_connections;
	int64_t idle_timeout;	     /* ns between requests of a connection */
	int64_t drain_timeout;	     /* ns that SIGTERM waits for what is in flight */
	bool warmup;		     /* run each model once before it is ready */
	bool access_log;	     /* one line per request on stderr */
	struct ps_conf_array models; /* struct ps_serve_model_config */
	struct ps_conf_array
		tenants;  /* struct ps_serve_tenant_config; none: one `default`, no key */
	const char *file; /* where it came from, borrowed; NULL: no file. Not a row */
};

/* ps_serve_config_schema is the schema of the file (rows for help and docs as well). */
extern const struct ps_conf_schema ps_serve_config_schema;

/* ps_serve_config_load reads the file (NULL: all defaults); relative paths of models become
 * relative to its folder. `path` must outlive the result. The caller frees with
 * ps_conf_free(&ps_serve_config_schema, ret_config). PS_EPARSE and others with file:line:key. */
enum ps_status ps_serve_config_load(const char *path, struct ps_serve_config *ret_config,
				    struct ps_error *err);
struct ps_serve_options {
	const struct ps_serve_config *config; /* borrowed until ps_serve_run returns */
	const char *models_dir;		      /* in place of config->models; may be NULL */
	int ready_fd;			      /* -1: none; closed by ps_serve_run */
};

/* ps_serve_check checks what rows cannot: names, keys, references between sections, model files,
 * and that a server open to the network has a key for every tenant. Loads nothing. */
enum ps_status ps_serve_check(const struct ps_serve_options *options, struct ps_error *err);

/* ps_serve_run listens, loads, serves until SIGTERM or SIGINT, finishes what is in flight and
 * returns PS_OK. Failure to start gives the error. Blocks those signals in the calling thread. Call
 * once per process, before other threads exist. */
enum ps_status ps_serve_run(const struct ps_serve_options *options, struct ps_error *err);

#endif
