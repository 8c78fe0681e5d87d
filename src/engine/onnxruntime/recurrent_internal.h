/* recurrent_internal.h - recurrent nodes of a model that runs in ONNX Runtime, computed by
 * engine/rnn. Inside onnxruntime/ only.
 *
 * The model is rewritten before the library sees it: each such node becomes a custom operator with
 * one number, its handle, that is its place among the packed layers of the instance; W, R, B and P
 * go from the graph. The operator's description carries the way back: the library hands it to every
 * call, and it lies in the struct of one side (narrow, wide) of one instance.
 */
#ifndef PS_ENGINE_ORT_RECURRENT_INTERNAL_H
#define PS_ENGINE_ORT_RECURRENT_INTERNAL_H

#include "engine/onnxruntime/ort_internal.h"
#include "engine/rnn/layers.h"
#include "engine/rnn/team.h"

#define PS_ORT_RNN_DOMAIN "perseus.rnn"
#define PS_ORT_RNN_OP	  "PerseusRecurrent"

/* The node's numbers: which layer it is, and what its outputs' shapes follow from. */
#define PS_ORT_RNN_HANDLE     "handle"
#define PS_ORT_RNN_HIDDEN     "hidden_size"
#define PS_ORT_RNN_DIRECTIONS "directions"
#define PS_ORT_RNN_LAYOUT     "layout"
#define PS_ORT_RNN_OUTPUTS    "outputs"

/* OrtCustomOp as of API version 17; members of later versions stay NULL and are not read. */
struct ps_ort_custom_op {
	uint32_t version;
	void *(*create_v1)(const struct ps_ort_custom_op *, const void *api, const void *info);
	const char *(*name)(const struct ps_ort_custom_op *);
	const char *(*provider)(const struct ps_ort_custom_op *);
	int (*in_type)(const struct ps_ort_custom_op *, size_t i);
	size_t (*in_count)(const struct ps_ort_custom_op *);
	int (*out_type)(const struct ps_ort_custom_op *, size_t i);
	size_t (*out_count)(const struct ps_ort_custom_op *);
	void (*compute_v1)(void *kernel, void *context);
	void (*destroy)(void *kernel);
	int (*in_kind)(const struct ps_ort_custom_op *, size_t i);
	int (*out_kind)(const struct ps_ort_custom_op *, size_t i);
	int (*in_memory)(const struct ps_ort_custom_op *, size_t i);
	int (*variadic[4])(const struct ps_ort_custom_op *);
	struct ps_ort_status *(*create)(const struct ps_ort_custom_op *, const void *api,
					const void *info, void **ret_kernel);
	struct ps_ort_status *(*compute)(void *kernel, void *context);
	struct ps_ort_status *(*infer)(const struct ps_ort_custom_op *, void *context);
	int (*first_version)(const struct ps_ort_custom_op *);
	int (*last_version)(const struct ps_ort_custom_op *);
	void *later[4];
};
_Static_assert(sizeof(void *) != 8 || sizeof(struct ps_ort_custom_op) == 26 * 8,
	       "OrtCustomOp has 26 words");

/* The recurrent layers of one instance. */
struct ps_ort_rnn {
	const struct ps_ort_api *api;
	struct ps_rnn_layers layers; /* a handle is a place among them */
	struct ps_rnn_wish wish;
	bool blind; /* any handle will do, nobody runs it */
	struct ps_ort_rnn_side {
		struct ps_ort_custom_op op; /* first: the library gives back its address */
		const struct ps_ort_rnn *rnn;
		struct ps_rnn_team *team; /* NULL: runs are made on the calling thread */
		void *domain;
	} sides[2];  /* narrow, wide */
	char *model; /* the rewritten file */
	size_t model_bytes;
};

/* ps_ort_rnn_open reads, packs, measures and rewrites. *ret_rnn is NULL with PS_OK when no node of
 * the file can be ours (said in the log): then the model is opened as it is. `team` packs, and
 * wide runs have `wide_team` and its `tuner`; all may be NULL. PS_EINVAL and others of
 * ps_rnn_layers_add but PS_EUNSUPPORTED, errors of reading. */
struct ps_ort_rnn_teams {
	struct ps_rnn_team *loading, *wide;
	struct ps_rnn_tuner *tuner;
	const struct ps_engine_lender *lender;
};
enum ps_status ps_ort_rnn_open(const struct ps_ort_api *api, const struct ps_engine_open *open,
			       const struct ps_ort_rnn_teams *teams, struct ps_ort_rnn **ret_rnn,
			       struct ps_error *err);
/* ps_ort_rnn_is_onnx: whether a file can be taken apart, by its name. */
bool ps_ort_rnn_is_onnx(const char *path);
/* ps_ort_rnn_settle runs calibration input of the user's through an instance that is open, if there
 * is some, judges its layers, and logs. Errors of ps_engine_calibrate and ps_rnn_layers_judge. */
enum ps_status ps_ort_rnn_settle(struct ps_engine_instance *i, const struct ps_engine_open *open,
				 struct ps_error *err);
/* ps_ort_rnn_free: after the sessions. NULL is allowed. */
void ps_ort_rnn_free(struct ps_ort_rnn *r);
/* ps_ort_rnn_bytes: of packed weights and of room for runs; 0 for NULL. */
int64_t ps_ort_rnn_bytes(const struct ps_ort_rnn *r);

/* ps_ort_rnn_cache_get is ps_ort_cache_get for what is left of the model at `path`. */
enum ps_status ps_ort_rnn_cache_get(struct ps_engine *e, const char *path,
				    const struct ps_ort_rnn *r, struct ps_ort_map **ret_map,
				    struct ps_error *err);
/* ps_ort_rnn_blind makes the domain of an operator that nobody runs, for converting a rewritten
 * model into the library's own format. For the life of the process. */
enum ps_status ps_ort_rnn_blind(const struct ps_ort_api *api, void **ret_domain,
				struct ps_error *err);
/* ps_ort_rnn_describe fills the operator's description. */
void ps_ort_rnn_describe(struct ps_ort_custom_op *op);
/* ps_ort_rnn_infer tells the library the shapes of a node's outputs, from its numbers and from what
 * is known of x. */
struct ps_ort_status *ps_ort_rnn_infer(const struct ps_ort_custom_op *op, void *context);

#endif
