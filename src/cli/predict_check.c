/* predict_check.c - every quantity of a store, judged by models left out. */
#include "cli/predict_ask_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MEASURED 3 /* models on the other slice */
#define SEED	 1
#define LATER	 6 /* checks after those of transfers */

static struct ps_cli_predict_check *begin(struct ps_cli_predict_checks *c,
					  const struct ps_predict_quantity *q)
{
	struct ps_cli_predict_check *x = &c->checks[c->len];

	*x = (struct ps_cli_predict_check){.quantity = q, .table = &c->tables[c->len]};
	return x;
}

static enum ps_status note(struct ps_cli_predict_check *x, enum ps_status st,
			   const struct ps_error *err)
{
	if (st != PS_EUNAVAIL)
		return st;
	(void)snprintf(x->note, sizeof(x->note), "%.230s", err->what);
	return PS_OK;
}

static void say_unsettled(struct ps_cli_predict_check *x, size_t unsettled)
{
	size_t at = strlen(x->note);

	if (unsettled > 0)
		(void)snprintf(
			x->note + at, sizeof(x->note) - at,
			"%s%zu measured under loads of 1 and more, or limits under the service "
			"time, left out",
			at > 0 ? "; " : "", unsettled);
}

static enum ps_status learn(struct ps_cli_predict_checks *c, struct ps_error *err)
{
	struct ps_cli_predict_table *t = &c->tables[c->len];
	struct ps_cli_predict_check *x = &c->checks[c->len++];
	enum ps_status st = ps_predict_learn(&t->table, ps_predict_candidates, &t->learned, err);

	st = note(x, st, err);
	say_unsettled(x, t->unsettled);
	return st;
}

/* ---- from slice to slice ---- */

static size_t slices_of(const struct ps_cli_predict_data *d, struct ps_predict_slice *ret,
			size_t most)
{
	size_t n = 0;

	for (size_t i = 0; i < d->profile_len; i++) {
		size_t k = 0;
		while (k < n && !ps_cli_predict_same_slice(&ret[k], &d->profiles[i].slice))
			k++;
		if (k == n && n < most)
			ret[n++] = d->profiles[i].slice;
	}
	return n;
}

static enum ps_status check_transfer(const struct ps_cli_predict_data *d,
				     const struct ps_predict_slice *from,
				     const struct ps_predict_slice *to,
				     struct ps_cli_predict_checks *c, struct ps_error *err)
{
	struct ps_cli_predict_check *x = begin(c, &ps_predict_transfer);
	struct ps_cli_predict_table *t = &c->tables[c->len];
	enum ps_status st = ps_cli_predict_transfer_table(d, from, to, NULL, t, err);

	if (st != PS_OK)
		return st;
	(void)snprintf(x->setting, sizeof(x->setting),
		       "from %g CPU (%g thread) to %g CPU (%g thread)", from->cpus, from->threads,
		       to->cpus, to->threads);
	st = ps_predict_from_few(&t->table, ps_predict_candidates, MEASURED, SEED, &c->few[c->len],
				 err);
	if (st == PS_OK)
		x->few = &c->few[c->len];
	c->len++;
	return note(x, st, err);
}

/* From each slice to each slice that has more of the machine. */
static enum ps_status check_transfers(const struct ps_cli_predict_data *d,
				      struct ps_cli_predict_checks *c, struct ps_error *err)
{
	struct ps_predict_slice s[4];
	size_t n = slices_of(d, s, 4);
	enum ps_status st = PS_OK;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n && st == PS_OK; k++)
			if (s[i].cpus < s[k].cpus && c->len < PS_CLI_PREDICT_MOST_CHECKS - LATER)
				st = check_transfer(d, &s[i], &s[k], c, err);
	return st;
}

/* ---- all ---- */

typedef enum ps_status make_table(const struct ps_cli_predict_data *, const bool *,
				  struct ps_cli_predict_table *, struct ps_error *);

static enum ps_status check_one(const struct ps_cli_predict_data *d,
				const struct ps_predict_quantity *q, make_table *make,
				struct ps_cli_predict_checks *c, struct ps_error *err)
{
	(void)begin(c, q);
	enum ps_status st = make(d, NULL, &c->tables[c->len], err);

	return st == PS_OK ? learn(c, err) : st;
}

/* Larger sets follow from the pairs, which were judged just before. */
static enum ps_status check_sets(const struct ps_cli_predict_data *d,
				 const struct ps_predict_quantity *q,
				 struct ps_cli_predict_checks *c, struct ps_error *err)
{
	const struct ps_predict_learned *pairs = c->tables[c->len - 1].learned;
	struct ps_cli_predict_check *x = begin(c, q);
	struct ps_cli_predict_table *t = &c->tables[c->len++];
	enum ps_status st = PS_EUNAVAIL;

	if (pairs)
		st = ps_cli_predict_sets_table(d, pairs, t, err);
	else
		ps_error_set(err, PS_EUNAVAIL, "too little is known of pairs");
	st = note(x, st, err);
	say_unsettled(x, t->unsettled);
	return st;
}

enum ps_status ps_cli_predict_check_all(const struct ps_cli_predict_data *d,
					struct ps_cli_predict_checks *ret_checks,
					struct ps_error *err)
{
	struct ps_cli_predict_checks *c = ret_checks;
	enum ps_status st = check_one(d, &ps_predict_service, ps_cli_predict_service_table, c, err);

	if (st == PS_OK)
		st = check_transfers(d, c, err);
	if (st == PS_OK)
		st = check_one(d, &ps_predict_capacity, ps_cli_predict_capacity_table, c, err);
	if (st == PS_OK)
		st = check_one(d, &ps_predict_slowdown, ps_cli_predict_slowdown_table, c, err);
	if (st == PS_OK)
		st = check_sets(d, &ps_predict_set_slowdown, c, err);
	if (st == PS_OK)
		st = check_one(d, &ps_predict_p99, ps_cli_predict_p99_table, c, err);
	if (st == PS_OK)
		st = check_sets(d, &ps_predict_set_p99, c, err);
	if (st == PS_OK)
		st = check_one(d, &ps_predict_memory, ps_cli_predict_memory_table, c, err);
	return st;
}

void ps_cli_predict_checks_free(struct ps_cli_predict_checks *c)
{
	for (size_t i = 0; i < PS_CLI_PREDICT_MOST_CHECKS; i++) {
		ps_cli_predict_table_free(&c->tables[i]);
		free(c->few[i].of_model);
	}
	memset(c, 0, sizeof(*c));
}
