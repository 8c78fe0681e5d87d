/* serve.h - the inference server: performs dispatch's actions for real.   Layer 5. Uses base, conf,
 * metrics, evloop, net, oip, engine, store, exec, tenancy, repo, dispatch.
 *
 * Threads: I/O threads (number 0 is the caller of ps_serve_run) own connections; exec's lanes run
 * models; loaders open and close them; the observer writes logs and the ledger. They meet in the
 * dispatcher under one mutex.
 */
#ifndef PS_SERVE_SERVE_H
#define PS_SERVE_SERVE_H

#include "base/cpus.h"
#include "base/error.h"
#include "base/sla.h"
#include "conf/conf.h"

#include <stdint.h>

/* --- the file behind --config. Texts are owned, NULL when left out. --- */

enum { PS_SERVE_MAX_LISTEN = 8 }; /* addresses per kind of listener */

/* models: split: where requests without a version go. */
struct ps_serve_split_config {
	int64_t version;
	double weight;
	struct ps_conf_where where;
};

/* models: queues: what holds for requests of a level of priority while they wait. */
struct ps_serve_queue_config {
	int64_t priority; /* 0: levels without a row of their own */
	int64_t limit;	  /* of a tenant; 0: none */
	int64_t timeout;  /* ns; 0: none */
	int action;	  /* PS_SERVE_REJECT, PS_SERVE_DELAY */
	bool allow_timeout_override;
	struct ps_conf_where where;
};

enum { PS_SERVE_REJECT, PS_SERVE_DELAY };

/* What models' `rnn` may be, in the order of its number. */
extern const char *const ps_serve_rnn_choices[];

/* models: one version of a model, and what is said about its name. */
struct ps_serve_model_config {
	char *name;
	char *path; /* a model file; relative to the configuration's folder. NULL: the
		     * name is in a folder of model_repository */
	int64_t version;
	char *device;			/* "cpu", "cuda:N"; NULL: not said */
	int rnn;			/* place in ps_serve_rnn_choices; 0: not said */
	double rnn_max_error;		/* 0: not said */
	char *rnn_calibration;		/* a file or folder; NULL: not said */
	int64_t max_batch;		/* 0: not said */
	struct ps_conf_texts preferred; /* batch sizes */
	int64_t max_delay;		/* ns that a batch may wait for more; 0: not said */
	int64_t max_run;		/* ns; 0: not said */
	int64_t instances;		/* runs at the same time; 0: no limit of its own */
	bool load;			/* at start; else when the API asks */
	bool pin;			/* loaded at start and never evicted */
	bool share;			/* its instances with other names of the same content */
	int64_t warmup;			/* runs on zeros before it is ready; -1: not said */
	int64_t priority_levels;	/* 0: not said */
	int64_t default_priority;	/* 0: not said */
	struct ps_conf_array queues;	/* struct ps_serve_queue_config */
	struct ps_conf_array split;	/* struct ps_serve_split_config */
	struct ps_conf_where where;
};

/* tenants: slas: */
struct ps_serve_sla_config {
	char *model;
	struct ps_sla sla;
	struct ps_conf_where where;
};

struct ps_serve_tenant_config {
	char *name;
	struct ps_conf_texts keys;	   /* "sha256:HEX" */
	struct ps_conf_texts client_certs; /* names in certificates of clients */
	struct ps_conf_texts models;	   /* names; none: all models */
	int64_t weight;
	int class;		   /* enum ps_tenancy_class */
	struct ps_sla sla;	   /* of models without one of their own; may be unset */
	struct ps_conf_array slas; /* struct ps_serve_sla_config */
	double rate;		   /* requests per second; 0: no limit */
	double burst;		   /* 0: one second's worth, at least 1 */
	int64_t concurrency;	   /* 0: no limit */
	int64_t queue_limit;
	int64_t max_body; /* 0: the server's */
	int64_t memory;	  /* bytes of models that stay loaded for it; 0: none */
	bool may_load, share;
	struct ps_conf_where where;
};

struct ps_serve_tls_config {
	char *cert, *key, *client_ca; /* PEM files; cert NULL: no TLS */
	bool require_client_cert;
	struct ps_conf_texts admin_certs; /* names in certificates of operators */
	struct ps_conf_where where;
};

enum { PS_SERVE_NARROW, PS_SERVE_WIDE, PS_SERVE_AUTO };
enum { PS_SERVE_LOAD_ALL, PS_SERVE_LOAD_NONE };

struct ps_serve_config {
	/* listeners: "host:port", "[v6]:port" (port 0: the system picks), "unix:/path", "off";
	 * ps_serve_address_parse reads one. `listen` speaks HTTP/1.1 and HTTP/2 */
	struct ps_conf_texts listen, grpc, metrics;
	struct ps_serve_tls_config tls; /* of listen and grpc, when they are no Unix sockets */
	int64_t io_threads;

	struct ps_cpus cpus;
	int64_t lanes;	   /* 0: one per CPU when narrow or auto, one when wide */
	int width;	   /* PS_SERVE_NARROW, ... */
	int64_t lane_spin; /* ns; exec.h's spin_ns */
	int64_t reserve_lanes;
	double best_effort_floor;
	int64_t max_waiting;  /* requests of all tenants */
	int64_t run_here_max; /* ns; dispatch.h's here_max_ns */
	bool keep_caches;     /* lanes are chosen by what their CPUs' caches hold */

	char *library;		 /* of ONNX Runtime; NULL: engine.h's search */
	char *cache;		 /* folder of converted models; NULL: engine.h's default */
	int64_t cache_max_bytes; /* beyond it the longest unused are deleted; 0: no limit */
	int64_t seed;		 /* of synthetic service times */
	bool warmup;		 /* run each model once before it is ready */
	bool exit_on_error; /* a model that was wanted at start and cannot be loaded ends the server
			     */
	int64_t max_loading; /* models that load at the same time; 0: ps_serve_max_loading */
	int load; /* PS_SERVE_LOAD_ALL, _NONE: what of the repositories is loaded at start */

	char *model_memory;    /* of loaded models: bytes or a share of the slice ("60%"); NULL: no
				* bound, everything wanted is loaded */
	int memory_policy;     /* enum ps_cache_kind */
	int64_t memory_epoch;  /* ns */
	int64_t min_residency; /* ns that a loaded model stays at least */
	int64_t load_timeout;  /* ns after which nobody waits for a load any more */
	int64_t convert_timeout; /* ns after which a conversion is ended */
	int64_t load_pause;	 /* ns without a try after three failed loads of a model */

	int64_t max_body, max_connections, max_connections_per_address, max_streams;
	int64_t max_buffered;	   /* bytes of bodies; of one listener of one I/O thread */
	double max_buffered_share; /* of them those of one tenant */
	int64_t idle_timeout;	   /* ns between requests of a connection */
	int64_t drain_timeout;	   /* ns that SIGTERM waits for what is in flight */

	bool access_log;
	char *access_log_file;	  /* NULL: stderr */
	double access_log_sample; /* share of requests that are logged */
	int64_t slow_request;	  /* ns; a request that takes longer is logged whole; 0: none */
	int64_t metrics_series;	  /* pairs of tenant and model with series of their own */
	char *state;		  /* folder of the state file; NULL: none */
	int64_t state_keep;	  /* ns after which minutes of the ledger are deleted; 0: never */

	struct ps_conf_texts model_repository; /* folders */
	struct ps_conf_array models;	       /* struct ps_serve_model_config */
	struct ps_conf_texts admin_keys;       /* "sha256:HEX" */
	char *keys_file;		       /* more keys: `perseus serve keys` keeps it */
	struct ps_conf_array tenants; /* struct ps_serve_tenant_config; none: one `default`, no
				       * key */

	/* Not rows: */
	char *file; /* where it came from, owned; NULL: no file */
};

/* ps_serve_config_schema is the schema of the file (rows for help and docs as well). */
extern const struct ps_conf_schema ps_serve_config_schema;

/* What the command line says in place of the file. */
struct ps_serve_options {
	const char *config;	/* path; NULL: defaults. Read again by a reload */
	const char *models_dir; /* in place of models and model_repository; may be NULL */
	const char *listen, *grpc, *metrics; /* NULL: as configured */
	const char *library, *state;	     /* NULL: as configured */
	struct ps_cpus cpus;		     /* empty: as configured */
	int64_t lanes;			     /* 0: as configured */
	int ready_fd;			     /* -1: none; closed by ps_serve_run */
};

/* ps_serve_config_load reads the file (all defaults without one) and puts the options over it;
 * relative paths become relative to the file's folder. The caller frees with ps_serve_config_free.
 * PS_EPARSE and others with file:line:key. Blocks on the disk. */
enum ps_status ps_serve_config_load(const struct ps_serve_options *options,
				    struct ps_serve_config **ret_config, struct ps_error *err);
/* ps_serve_config_free frees it; NULL is fine. */
void ps_serve_config_free(struct ps_serve_config *c);

/* ps_serve_check finds what ps_serve_run would refuse before it loads models: in the file, its keys
 * and certificates, CPUs, lanes, folders with their config.pbtxt files, names of models, the ONNX
 * Runtime library where it is needed, and where log and state go. Warnings of the same are logged.
 * Not found are what others have taken (a port, a state that another server keeps) and what only
 * opening a model shows. Takes nothing and writes nothing, but moves the process to the
 * configuration's CPUs: call it once. */
enum ps_status ps_serve_check(const struct ps_serve_options *options, struct ps_error *err);

/* ps_serve_run listens, loads, serves until SIGTERM or SIGINT, finishes what is in flight and
 * returns PS_OK; SIGHUP reads the configuration again. Failure to start gives the error. Blocks
 * those signals in the calling thread. Call once per process, before other threads exist. */
enum ps_status ps_serve_run(const struct ps_serve_options *options, struct ps_error *err);

#endif
