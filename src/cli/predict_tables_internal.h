/* predict_tables_internal.h - tables to learn from, made of what the store holds.   Layer 6. */
#ifndef PS_CLI_PREDICT_TABLES_INTERNAL_H
#define PS_CLI_PREDICT_TABLES_INTERNAL_H

#include "cli/predict_data_internal.h"

/* One quantity, with what was learned about it. */
struct ps_cli_predict_table {
	struct ps_predict_row *rows;
	struct ps_predict_model **works; /* of the rows' batches, owned */
	size_t work_len;
	const char *names[PS_CLI_PREDICT_MAX_MODELS];
	struct ps_predict_table table;
	struct ps_predict_learned *learned; /* NULL: not yet, or it could not be */
	size_t unsettled;		    /* measurements left out: their queues never settle */
};

/* Service times, without the models of which leave[i] is true; leave may be NULL. All rows of all
 * slices. PS_ENOMEM. */
enum ps_status ps_cli_predict_service_table(const struct ps_cli_predict_data *d, const bool *leave,
					    struct ps_cli_predict_table *ret_table,
					    struct ps_error *err);
/* Service times on slice `to`, of models that were measured on `from` too. */
enum ps_status ps_cli_predict_transfer_table(const struct ps_cli_predict_data *d,
					     const struct ps_predict_slice *from,
					     const struct ps_predict_slice *to, const bool *leave,
					     struct ps_cli_predict_table *ret_table,
					     struct ps_error *err);
/* Capacities alone, slowdowns and p99 of pairs, from measured service times. Rows whose queue never
 * settles (a load of 1 and more, a limit under the service time) are left out and counted. */
enum ps_status ps_cli_predict_capacity_table(const struct ps_cli_predict_data *d, const bool *leave,
					     struct ps_cli_predict_table *ret_table,
					     struct ps_error *err);
enum ps_status ps_cli_predict_slowdown_table(const struct ps_cli_predict_data *d, const bool *leave,
					     struct ps_cli_predict_table *ret_table,
					     struct ps_error *err);
enum ps_status ps_cli_predict_p99_table(const struct ps_cli_predict_data *d, const bool *leave,
					struct ps_cli_predict_table *ret_table,
					struct ps_error *err);
/* Memory of models, from their files. */
enum ps_status ps_cli_predict_memory_table(const struct ps_cli_predict_data *d, const bool *leave,
					   struct ps_cli_predict_table *ret_table,
					   struct ps_error *err);
/* ps_cli_predict_sets_table fills a table with what was measured of sets of three and more, and as
 * what was learned what `pairs` (of slowdowns or of p99) says of each without its own model:
 * nothing is chosen or fitted there. PS_EUNAVAIL when there are none. */
enum ps_status ps_cli_predict_sets_table(const struct ps_cli_predict_data *d,
					 const struct ps_predict_learned *pairs,
					 struct ps_cli_predict_table *ret_table,
					 struct ps_error *err);
/* ps_cli_predict_tenant is what profiles know of a tenant; false when its service time was not
 * measured there. */
bool ps_cli_predict_tenant(const struct ps_cli_predict_data *d, int model, int64_t batch,
			   const struct ps_predict_slice *slice, double rate_rps,
			   struct ps_predict_tenant *ret);
/* ps_cli_predict_replayed is the first guess of what was measured with the requests that were sent:
 * the slowdown, or the p99 in ns; NAN: not known. */
double ps_cli_predict_replayed(const struct ps_cli_predict_sent *sent, bool p99,
			       const struct ps_predict_tenant *own,
			       const struct ps_predict_tenant *others, int n,
			       const struct ps_predict_slice *slice);
void ps_cli_predict_table_free(struct ps_cli_predict_table *t);

/* ps_cli_predict_at_batch makes the work of `batch` inferences from that of one: all that is
 * proportional to the batch times it, measured times of operators too (what a larger batch gains or
 * loses is in what its runs take over that sum). PS_ENOMEM. */
enum ps_status ps_cli_predict_at_batch(const struct ps_predict_model *one, int64_t batch,
				       struct ps_predict_model *ret_work);

#endif
