/* predict_asking_internal.h - answers while they are made.   Layer 6. */
#ifndef PS_CLI_PREDICT_ASKING_INTERNAL_H
#define PS_CLI_PREDICT_ASKING_INTERNAL_H

#include "cli/predict_ask_internal.h"

/* Everything that answers need, while they are made. */
struct ps_cli_predict_asking {
	const struct ps_cli_predict_options *o;
	const struct ps_cli_predict_data *d;
	struct ps_predict_slice slice;
	struct ps_cli_predict_answer *answer;
	int model;
	bool leave[PS_CLI_PREDICT_MAX_MODELS]; /* the model itself */
};

/* ps_cli_predict_begin starts the next answer about the model. */
struct ps_cli_predict_answer *ps_cli_predict_begin(struct ps_cli_predict_asking *a,
						   const struct ps_predict_quantity *q);
/* ps_cli_predict_add_note appends to what stands below an answer. */
void ps_cli_predict_add_note(struct ps_cli_predict_answer *x, const char *text);
/* ps_cli_predict_is_unknown makes PS_EUNAVAIL the answer's note and PS_OK. */
enum ps_status ps_cli_predict_is_unknown(struct ps_cli_predict_answer *x, enum ps_status st,
					 const struct ps_error *err);
/* ps_cli_predict_answer_from learns from a table and answers about a row. */
enum ps_status ps_cli_predict_answer_from(struct ps_cli_predict_asking *a,
					  struct ps_cli_predict_table *t,
					  struct ps_predict_row *row,
					  struct ps_cli_predict_answer *x, struct ps_error *err);
/* ps_cli_predict_as_tenant is the model by its profile, else by the predicted `service`, which
 * *ret_predicted says; false: its service time is not known. */
bool ps_cli_predict_as_tenant(const struct ps_cli_predict_asking *a, int model, int64_t batch,
			      double rate, const struct ps_cli_predict_answer *service,
			      struct ps_predict_tenant *ret, bool *ret_predicted);
void ps_cli_predict_say_predicted(struct ps_cli_predict_answer *x, bool predicted);

/* ps_cli_predict_check_beside refuses (PS_ENOTFOUND) neighbours that the store does not know. */
enum ps_status ps_cli_predict_check_beside(const struct ps_cli_predict_asking *a,
					   struct ps_error *err);
/* ps_cli_predict_ask_beside answers with slowdown and p99 beside the neighbours, if there are any.
 */
enum ps_status ps_cli_predict_ask_beside(struct ps_cli_predict_asking *a,
					 const struct ps_cli_predict_answer *service,
					 struct ps_error *err);

#endif
