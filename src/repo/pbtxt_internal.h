/* pbtxt_internal.h - config.pbtxt into struct ps_repo_config, in parts. Inside repo/ only. Pure.
 *
 *	pbtxt.c            the whole file
 *	pbtxt_tensors.c    inputs and outputs
 *	pbtxt_policy.c     versions and batching
 *	pbtxt_instances.c  devices, warm-up, parameters
 *	pbtxt_values.c     values, and messages by their tables
 */
#ifndef PS_REPO_PBTXT_INTERNAL_H
#define PS_REPO_PBTXT_INTERNAL_H

#include "repo/config.h"
#include "repo/text_internal.h"

struct ps_repo_pb {
	const char *file;
	struct ps_repo_config *c;
	struct ps_error *err;
	bool scheduled;	  /* a scheduling_choice was seen */
	int64_t gpus[64]; /* of the first instance group */
	int n_gpus, n_groups;
	char group_kind[16];
};

struct ps_repo_pb_field {
	const char *name;
	/* NULL: a field without effect here, named in a warning */
	enum ps_status (*read)(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into);
	bool repeated;
};

/* ps_repo_pb_fail says what is wrong with the value `n`, and where it stands; returns `st`. */
enum ps_status ps_repo_pb_fail(const struct ps_repo_pb *d, const struct ps_repo_node *n,
			       enum ps_status st, const char *what, const char *detail);
/* ps_repo_pb_text_of copies a string of less than `size` bytes, ps_repo_pb_dup_of makes one. */
enum ps_status ps_repo_pb_text_of(const struct ps_repo_pb *d, const struct ps_repo_node *n,
				  char *to, size_t size);
enum ps_status ps_repo_pb_dup_of(const struct ps_repo_pb *d, const struct ps_repo_node *n,
				 char **to);
enum ps_status ps_repo_pb_int_of(const struct ps_repo_pb *d, const struct ps_repo_node *n,
				 int64_t min, int64_t max, int64_t *to);
enum ps_status ps_repo_pb_bool_of(const struct ps_repo_pb *d, const struct ps_repo_node *n,
				  bool *to);
enum ps_status ps_repo_pb_enum_of(const struct ps_repo_pb *d, const struct ps_repo_node *n,
				  const char *const *names, int count, int *to);
enum ps_status ps_repo_pb_dtype_of(const struct ps_repo_pb *d, const struct ps_repo_node *n,
				   enum ps_dtype *to);
enum ps_status ps_repo_pb_dim_of(const struct ps_repo_pb *d, const struct ps_repo_node *n,
				 int64_t *dims, int *rank);
/* ps_repo_pb_read_message reads all fields of `n` by their rows; `into` is handed on. */
enum ps_status ps_repo_pb_read_message(struct ps_repo_pb *d, const struct ps_repo_node *n,
				       const struct ps_repo_pb_field *fields, void *into);

/* Fields, as tables name them. */
enum ps_status ps_repo_pb_config_input(struct ps_repo_pb *d, const struct ps_repo_node *n,
				       void *into);
enum ps_status ps_repo_pb_config_output(struct ps_repo_pb *d, const struct ps_repo_node *n,
					void *into);
enum ps_status ps_repo_pb_config_policy(struct ps_repo_pb *d, const struct ps_repo_node *n,
					void *into);
enum ps_status ps_repo_pb_config_batching(struct ps_repo_pb *d, const struct ps_repo_node *n,
					  void *into);
enum ps_status ps_repo_pb_no_sequences(struct ps_repo_pb *d, const struct ps_repo_node *n,
				       void *into);
enum ps_status ps_repo_pb_no_ensembles(struct ps_repo_pb *d, const struct ps_repo_node *n,
				       void *into);
enum ps_status ps_repo_pb_config_group(struct ps_repo_pb *d, const struct ps_repo_node *n,
				       void *into);
enum ps_status ps_repo_pb_config_warmup(struct ps_repo_pb *d, const struct ps_repo_node *n,
					void *into);
enum ps_status ps_repo_pb_config_parameter(struct ps_repo_pb *d, const struct ps_repo_node *n,
					   void *into);
enum ps_status ps_repo_pb_refused_when_true(struct ps_repo_pb *d, const struct ps_repo_node *n,
					    void *into);

#endif
