/* cell_internal.h - one cell while it runs. Only cell.c and the files of its kinds. */
#ifndef PS_MEASURE_CELL_INTERNAL_H
#define PS_MEASURE_CELL_INTERNAL_H

#include "measure/measure_internal.h"

#define PS_MEASURE_MAX_FIGURES	  512
#define PS_MEASURE_SEARCH_REPEATS 2 /* of INVALID trials, in one search */
#define PS_MEASURE_FURTHER_CHECKS 4 /* of one search, beyond search.checks */

struct ps_measure_cell {
	struct ps_measure_context *m;
	const struct ps_store_cell *plan;
	const struct ps_store_set *set;
	struct ps_measure_live live;
	struct ps_arena arena; /* of everything that is written in the end */
	struct ps_store_trial trials[PS_TRIAL_MAX_STEPS + 2 + PS_MEASURE_SEARCH_REPEATS +
				     PS_MEASURE_FURTHER_CHECKS];
	int trial_len;
	struct ps_store_figure figures[PS_MEASURE_MAX_FIGURES];
	int figure_len;
	struct ps_store_cell out;
	double confirmed_scale; /* where a fresh trial held; 0: nowhere */
	bool cut_by_time;	/* the search ended for want of time */
	/* of a search: trials that were INVALID, and so repeated, counted all the same, not used */
	int repeats, invalid_steps, invalid_checks;
	int further_checks; /* beyond search.checks, because none of those held */
};

/* ps_measure_cell_member returns the tenant at place i of the cell's set. */
const struct ps_measure_tenant *ps_measure_cell_member(const struct ps_measure_cell *c, int i);
/* ps_measure_cell_model returns the model that the cell is of: a cold start's, a profile's; NULL:
 * it is of tenants. */
const char *ps_measure_cell_model(const struct ps_measure_cell *c);
/* ps_measure_cell_trial runs a trial, its number, seed and model filled in, and keeps it in the
 * cell. The caller finishes *ret_result. The errors of ps_measure_drive. */
enum ps_status ps_measure_cell_trial(struct ps_measure_cell *c, struct ps_measure_load_plan *plan,
				     struct ps_load_result *ret_result, struct ps_error *err);
/* ps_measure_answered says whether a trial at given rates measured a server at all. PS_EUNAVAIL,
 * with how its requests ended and the first failure, when no request of a tenant succeeded and none
 * was merely late or refused for being too many, or when nobody's succeeded, in the warm-up
 * neither, and none was refused. Pure. */
enum ps_status ps_measure_answered(const struct ps_load_result *r, struct ps_error *err);
/* ps_measure_any_answered says the same of a closed loop, which offers no more than a server takes:
 * PS_EUNAVAIL when all measured requests of a tenant failed, however they did. Pure. */
enum ps_status ps_measure_any_answered(const struct ps_load_result *r, struct ps_error *err);
/* ps_measure_cell_figure keeps a figure; texts are copied. PS_ENOMEM, PS_ETOOBIG. */
enum ps_status ps_measure_cell_figure(struct ps_measure_cell *c,
				      const struct ps_store_figure *figure, struct ps_error *err);
/* ps_measure_rates_text writes "12.1 + 8.4 requests/s". */
void ps_measure_rates_text(const double *rates, int n, char *buf, size_t size);

/* ps_measure_cell_search runs cells of kind SEARCH, FRONTIER and PACK: live is up. */
enum ps_status ps_measure_cell_search(struct ps_measure_cell *c, struct ps_error *err);
/* What a search makes of a trial. */
enum ps_measure_use {
	PS_MEASURE_USE_IT,
	PS_MEASURE_USE_AGAIN,	/* INVALID, and there are repeats left */
	PS_MEASURE_USE_COUNTED, /* an INVALID step that counts all the same, and is stated */
	PS_MEASURE_USE_NOT,	/* an INVALID check: it shows nothing */
};
/* ps_measure_search_use says it, after `repeats` so far. A rising backlog is a fault of the
 * server, any other reason one of the instrument. Pure. */
enum ps_measure_use ps_measure_search_use(const struct ps_store_trial *t, bool check, int repeats);
/* ps_measure_search_knows says whether a search showed a capacity: not when all its checks failed
 * and nothing below them passed. Pure. */
bool ps_measure_search_knows(const struct ps_trial_answer *a);
/* ps_measure_search_lower says whether and where a search whose checks all failed looks once more:
 * a tenth below the lowest rate that failed, then a fifth below that, then two fifths, then four;
 * in whole `copies` one less at least. False when a capacity is known, no check was wanted, not
 * even a hundredth held, or `further` looks were enough. Pure. */
bool ps_measure_search_lower(const struct ps_trial_search *s, int further, bool copies,
			     double *ret_scale);
/* ps_measure_search_note says what was found. */
void ps_measure_search_note(const struct ps_measure_cell *c, char *text, size_t size);
/* ps_measure_cell_single runs cells of one trial: CONFIRM, CAPACITY, RATES. */
enum ps_status ps_measure_cell_single(struct ps_measure_cell *c, struct ps_error *err);
/* ps_measure_cell_cold and ps_measure_cell_profile run theirs; live is up. */
enum ps_status ps_measure_cell_cold(struct ps_measure_cell *c, struct ps_error *err);
enum ps_status ps_measure_cell_profile(struct ps_measure_cell *c, struct ps_error *err);
/* ps_measure_takes_batch says whether a model whose metadata is this takes batches of this size:
 * the first dimension of each input is dynamic, or that. Pure. */
bool ps_measure_takes_batch(const json_t *metadata, int batch);
/* ps_measure_cell_operators runs its own: there is no server. */
enum ps_status ps_measure_cell_operators(struct ps_measure_cell *c, struct ps_error *err);

#endif
