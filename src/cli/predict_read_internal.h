/* predict_read_internal.h - a campaign while predictions read it.   Layer 6. */
#ifndef PS_CLI_PREDICT_READ_INTERNAL_H
#define PS_CLI_PREDICT_READ_INTERNAL_H

#include "cli/predict_data_internal.h"

#include "measure/measure.h"
#include "stats/stats.h"

/* The requests of one result of a trial. */
struct ps_cli_predict_kept {
	int64_t result;
	struct ps_predict_sent sent;
};

struct ps_cli_predict_reading {
	struct ps_cli_predict_data *d;
	struct ps_store *store;
	const struct ps_store_campaign *c;
	struct ps_measure_campaign file;
	double cpus;
	bool wide;
	struct ps_hist hist; /* for one at a time */
	struct ps_cli_predict_kept *kept;
	size_t kept_len, kept_cap;
};

/* ps_cli_predict_corrupt says (PS_ECORRUPT) that a number of a cell cannot be. */
enum ps_status ps_cli_predict_corrupt(const struct ps_store_cell *x, const char *what, double value,
				      struct ps_error *err);
/* ps_cli_predict_model_of is the place of a tenant's model; -1: it is not known. */
int ps_cli_predict_model_of(const struct ps_cli_predict_reading *r, int tenant);
/* ps_cli_predict_slice_of is what the server of a cell was given. */
struct ps_predict_slice ps_cli_predict_slice_of(const struct ps_cli_predict_reading *r,
						const struct ps_store_cell *x);

/* ps_cli_predict_add_lines reads capacities alone and pairs. PS_ECORRUPT, PS_ENOMEM. */
enum ps_status ps_cli_predict_add_lines(struct ps_cli_predict_reading *r, struct ps_error *err);
/* ps_cli_predict_sent_of reads what the tenants of a set were sent in all of its trials that count,
 * `tenant` first and the others in the set's order: none where the store kept not every request of
 * each, and a note says so. PS_ENOMEM, the store's errors. */
enum ps_status ps_cli_predict_sent_of(struct ps_cli_predict_reading *r, int set, int tenant,
				      struct ps_cli_predict_sent *ret_sent, struct ps_error *err);
/* ps_cli_predict_add_facts reads what models take of the memory, and how much longer their runs
 * take beside others. PS_ECORRUPT, PS_ENOMEM. */
enum ps_status ps_cli_predict_add_facts(struct ps_cli_predict_reading *r, struct ps_error *err);

#endif
