/* predict_data_internal.h - what a results store and model files hold for prediction.   Layer 6. */
#ifndef PS_CLI_PREDICT_DATA_INTERNAL_H
#define PS_CLI_PREDICT_DATA_INTERNAL_H

#include "base/arena.h"
#include "base/json.h"
#include "base/sla.h"
#include "predict/match.h"
#include "predict/predict.h"
#include "predict/replay.h"
#include "store/store.h"

#define PS_CLI_PREDICT_MAX_MODELS   PS_PREDICT_MAX_MODELS
#define PS_CLI_PREDICT_MAX_PROFILES 4096
#define PS_CLI_PREDICT_MAX_NODES    20000 /* timed, of one model */
#define PS_CLI_PREDICT_MAX_NOTES    64
#define PS_CLI_PREDICT_KEPT_TRIALS  64 /* of a profile */
#define PS_CLI_PREDICT_MAX_GROUP    8  /* tenants of a set, as campaigns have them */

/* What a server with this model alone took of the memory; 0: not known. */
struct ps_cli_predict_memory {
	double said_bytes; /* of the model, as the server counts it when it is loaded */
	double rss_bytes;  /* of the server, the most that it held while it served, batch 1 */
	double peak_bytes; /* of the server, at any time until then */
	bool clean;	   /* no larger batch ran before in that server */
};

/* A model as campaigns know it, or one whose file was given. */
struct ps_cli_predict_model {
	const char *name;
	const char *path, *zoo, *sha256; /* as the manifest has them; NULL: it has not */
	int64_t zoo_seed;
	int same;	   /* the first model that is the same network: all of it is kept there */
	bool asked;	   /* given on the command line, and unknown to the store */
	bool given;	   /* `path` is of the command line */
	const char *file;  /* where its content is, as measured; NULL: nowhere */
	const char *lacks; /* why nothing follows from its file; NULL: all is counted */
	struct ps_predict_node_time *nodes; /* of one inference, as the engine timed them */
	size_t node_len;
	struct ps_predict_model work; /* of one inference; op_count 0: its file was not found */
	struct ps_predict_matched matched;
	struct ps_cli_predict_memory memory;
};

/* The service time of a model under one setting. */
struct ps_cli_predict_profile {
	int model;
	int64_t batch;
	struct ps_predict_slice slice;
	double log_ns[PS_CLI_PREDICT_KEPT_TRIALS]; /* of each trial's median */
	int trials;				   /* of which the first are kept */
	double deviation;      /* sum over trials of standard deviation / mean */
	double mean;	       /* sum over trials of mean / median */
	const char *priced_as; /* "provider/type" that the slice stood for; NULL: for none */
};

struct ps_cli_predict_capacity {
	int model;
	int64_t batch;
	struct ps_predict_slice slice;
	struct ps_sla sla;
	double rps, noise;
};

/* What a set's tenants were sent, trial by trial; block_len 0: not known of all that was measured.
 */
struct ps_cli_predict_sent {
	const struct ps_predict_block *blocks; /* the tenant in question first, as in the row */
	size_t block_len;
};

/* One tenant beside another, at stated rates. */
struct ps_cli_predict_pair {
	int model[2]; /* own, other */
	int64_t batch[2];
	double rate_rps[2];
	struct ps_predict_slice slice;
	double slowdown, slowdown_noise; /* NAN: not known */
	double p99_ns, p99_noise;
	struct ps_cli_predict_sent sent;
};

/* One tenant beside several others. */
struct ps_cli_predict_group {
	int n;				     /* of them all, 3 and more */
	int model[PS_CLI_PREDICT_MAX_GROUP]; /* own first */
	int64_t batch[PS_CLI_PREDICT_MAX_GROUP];
	double rate_rps[PS_CLI_PREDICT_MAX_GROUP];
	struct ps_predict_slice slice;
	double slowdown, slowdown_noise; /* NAN: not known */
	double p99_ns, p99_noise;
	struct ps_cli_predict_sent sent;
};

/* How many times as long a model's runs take beside another, by the server's own clock: no waiting
 * is in it. One number per block in which both were measured. */
struct ps_cli_predict_beside {
	int model[2]; /* own, other */
	struct ps_predict_slice slice;
	double log_ratio[PS_CLI_PREDICT_KEPT_TRIALS];
	int blocks; /* of which the first are kept */
};

struct ps_cli_predict_data {
	struct ps_arena arena;
	struct ps_cli_predict_model models[PS_CLI_PREDICT_MAX_MODELS];
	int model_len;
	struct ps_cli_predict_profile *profiles;
	size_t profile_len;
	struct ps_cli_predict_capacity *capacities;
	size_t capacity_len;
	struct ps_cli_predict_pair *pairs;
	size_t pair_len;
	struct ps_cli_predict_group *groups;
	size_t group_len;
	struct ps_cli_predict_beside *beside;
	size_t beside_len, beside_cap;
	size_t kept_requests; /* of all pairs and groups together */
	double server_bytes;  /* the least that a server took beside its model; 0: not known */
	struct ps_predict_machine machine; /* level_len 0: not known */
	json_t *machine_of;		   /* of the first campaign; NULL: no manifest says */
	const char *library; /* SHA-256 of the engine's, of the last campaign; NULL: not known */
	bool only;	     /* one campaign was chosen: all of its profiles count */
	int campaigns;
	const char *notes[PS_CLI_PREDICT_MAX_NOTES]; /* what was left out, and why */
	size_t note_len, notes_dropped;
};

/* ps_cli_predict_read reads all campaigns of a store, or one (0: all). PS_ECORRUPT for a number
 * that cannot be (with the cell), PS_EINVAL when one name stands for two models or campaigns are of
 * two machines, the store's errors. What is not learned from is left out with a note: campaigns of
 * servers elsewhere, of another engine library than the last one's, profiles of several users
 * (unless their campaign was chosen), capacities and pairs under other arrivals than Poisson, pairs
 * without answers. What was damaged is named in a note, and read as far as it can be.
 */
enum ps_status ps_cli_predict_read(struct ps_store *s, int64_t campaign,
				   struct ps_cli_predict_data *ret_data, struct ps_error *err);
void ps_cli_predict_free(struct ps_cli_predict_data *d);

/* ps_cli_predict_note keeps a sentence to be shown below everything, once. */
void ps_cli_predict_note(struct ps_cli_predict_data *d, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* ps_cli_predict_find is the place of a model of the store; -1: it knows none of that name. Two
 * names of one network have one place. */
int ps_cli_predict_find(const struct ps_cli_predict_data *d, const char *name);
/* ps_cli_predict_add_known adds a model of a manifest. PS_EINVAL: the name stands for another file.
 */
enum ps_status ps_cli_predict_add_known(struct ps_cli_predict_data *d, const json_t *row,
					struct ps_error *err);
/* ps_cli_predict_library borrows the SHA-256 of the engine's library out of a manifest's last run,
 * for as long as `d`; NULL: it does not say. */
const char *ps_cli_predict_library(struct ps_cli_predict_data *d, const char *manifest);
/* ps_cli_predict_other_library says whether any run of a manifest had another library than
 * d->library. */
bool ps_cli_predict_other_library(const struct ps_cli_predict_data *d, const char *manifest);
/* ps_cli_predict_same_machine refuses (PS_EINVAL) a campaign of another machine than the first one.
 */
enum ps_status ps_cli_predict_same_machine(struct ps_cli_predict_data *d, const char *manifest,
					   struct ps_error *err);

/* ps_cli_predict_add_file adds a model that is asked about; *ret_model is its place: that of a
 * model of the store when the content is the same. */
enum ps_status ps_cli_predict_add_file(struct ps_cli_predict_data *d, const char *path,
				       int *ret_model, struct ps_error *err);
/* ps_cli_predict_count reads the models' files and counts their work: from `dir`/NAME.onnx, where
 * the campaign had them, or made anew when they are of the zoo. A file with another content than
 * the one measured is passed over. A model of the store from whose file nothing follows says in
 * `lacks` why, and there is a note; of a file that is asked about, what cannot be read is an error.
 * PS_ECORRUPT for times that cannot be. */
enum ps_status ps_cli_predict_count(struct ps_cli_predict_data *d, const char *dir,
				    struct ps_error *err);

/* ps_cli_predict_same_slice: profiles of the same CPUs and threads belong together. */
bool ps_cli_predict_same_slice(const struct ps_predict_slice *a, const struct ps_predict_slice *b);
/* ps_cli_predict_service gives the service time that was measured, geometric mean over trials, and
 * its noise: by its own trials from four on, before that by the scatter of all profiles' trials
 * (NAN when those are too few); false when there is none. */
bool ps_cli_predict_service(const struct ps_cli_predict_data *d, int model, int64_t batch,
			    const struct ps_predict_slice *slice, double *ret_ns, double *ret_noise,
			    double *ret_variation);

#endif
