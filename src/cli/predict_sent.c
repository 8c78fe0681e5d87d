/* predict_sent.c - the instants of the requests that pairs and larger sets were measured with. */
#include "cli/predict_read_internal.h"

#include "load/reason.h"

#include <stdlib.h>

#define MOST_KEPT (4 << 20) /* requests, 64 MiB of them */

static enum ps_status no_memory(struct ps_error *err)
{
	return ps_error_set(err, PS_ENOMEM, "no memory for requests");
}

static int by_instant(const void *a, const void *b)
{
	double x = ((const struct ps_predict_arrival *)a)->at_ns;
	double y = ((const struct ps_predict_arrival *)b)->at_ns;
	return (x > y) - (x < y);
}

static const struct ps_store_result *result_of(const struct ps_store_trial *t, int tenant)
{
	for (size_t i = 0; i < t->result_len; i++)
		if (t->results[i].tenant == tenant)
			return &t->results[i];
	return NULL;
}

/* ---- one result ---- */

static struct ps_cli_predict_kept *add_kept(struct ps_cli_predict_reading *r, int64_t result)
{
	if (r->kept_len == r->kept_cap) {
		size_t cap = r->kept_cap ? 2 * r->kept_cap : 64;
		void *more = realloc(r->kept, cap * sizeof(*r->kept));
		if (!more)
			return NULL;
		r->kept = more;
		r->kept_cap = cap;
	}
	r->kept[r->kept_len] = (struct ps_cli_predict_kept){.result = result};
	return &r->kept[r->kept_len++];
}

static enum ps_status convert(struct ps_cli_predict_data *d, const struct ps_store_request *q,
			      size_t n, struct ps_predict_sent *ret, struct ps_error *err)
{
	struct ps_predict_arrival *a = ps_arena_zalloc(&d->arena, (n + 1) * sizeof(*a));

	if (!a)
		return no_memory(err);
	for (size_t i = 0; i < n; i++)
		a[i] = (struct ps_predict_arrival){.at_ns = (double)q[i].scheduled_ns,
						   .counted = !q[i].warmup};
	qsort(a, n, sizeof(*a), by_instant);
	d->kept_requests += n;
	*ret = (struct ps_predict_sent){a, n};
	return PS_OK;
}

/* Each result once: it is in the lines of all tenants of its set. */
static enum ps_status requests_of(struct ps_cli_predict_reading *r, int64_t result,
				  struct ps_predict_sent *ret, struct ps_error *err)
{
	struct ps_store_request *q = NULL;
	size_t n = 0;

	for (size_t i = 0; i < r->kept_len; i++)
		if (r->kept[i].result == result) {
			*ret = r->kept[i].sent;
			return PS_OK;
		}
	struct ps_cli_predict_kept *k = add_kept(r, result);
	if (!k)
		return no_memory(err);
	enum ps_status st = ps_store_requests_read(r->store, result, &q, &n, err);
	if (st == PS_OK)
		st = convert(r->d, q, n, &k->sent, err);
	free(q);
	*ret = k->sent;
	return st;
}

/* ---- the trials of a set ---- */

/* Its tenants' requests, all of them; false: some are not in the store. */
static bool is_whole(const struct ps_cli_predict_reading *r, const struct ps_store_trial *t,
		     const struct ps_store_set *set)
{
	size_t sum = 0;

	for (int i = 0; i < set->member_len; i++) {
		const struct ps_store_result *x = result_of(t, set->members[i]);
		if (!x || x->records == 0 || x->records_dropped > 0 || x->records < x->scheduled)
			return false;
		sum += x->records;
	}
	return r->d->kept_requests + sum <= MOST_KEPT;
}

static bool counts(const struct ps_store_trial *t, int tenant)
{
	const struct ps_store_result *x = result_of(t, tenant);

	return x && ps_load_reason_is_trusted(x->valid, x->reasons);
}

static enum ps_status read_block(struct ps_cli_predict_reading *r, const struct ps_store_trial *t,
				 const struct ps_store_set *set, int tenant,
				 struct ps_predict_block *ret, struct ps_error *err)
{
	struct ps_predict_sent *others =
		ps_arena_zalloc(&r->d->arena, (size_t)set->member_len * sizeof(*others));
	enum ps_status st = others ? PS_OK : no_memory(err);
	int n = 0;

	for (int i = 0; i < set->member_len && st == PS_OK; i++) {
		bool own = set->members[i] == tenant;
		st = requests_of(r, result_of(t, set->members[i])->id, own ? &ret->own : &others[n],
				 err);
		n += !own;
	}
	ret->others = others;
	return st;
}

static size_t count_trials(const struct ps_store_campaign *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->cell_len; i++)
		n += c->cells[i].trial_len;
	return n;
}

static enum ps_status read_cell(struct ps_cli_predict_reading *r, const struct ps_store_cell *x,
				int tenant, struct ps_predict_block *blocks, size_t *len,
				bool *whole, struct ps_error *err)
{
	const struct ps_store_set *set = &r->c->sets[x->set];
	enum ps_status st = PS_OK;

	for (size_t j = 0; j < x->trial_len && st == PS_OK && *whole; j++) {
		if (!counts(&x->trials[j], tenant))
			continue;
		*whole = is_whole(r, &x->trials[j], set);
		if (*whole)
			st = read_block(r, &x->trials[j], set, tenant, &blocks[(*len)++], err);
		if (st == PS_ECORRUPT) { /* that the cell is damaged is said elsewhere */
			*whole = false;
			st = PS_OK;
		}
	}
	return st;
}

enum ps_status ps_cli_predict_sent_of(struct ps_cli_predict_reading *r, int set, int tenant,
				      struct ps_cli_predict_sent *ret_sent, struct ps_error *err)
{
	const struct ps_store_campaign *c = r->c;
	struct ps_predict_block *blocks =
		ps_arena_zalloc(&r->d->arena, (count_trials(c) + 1) * sizeof(*blocks));
	enum ps_status st = blocks ? PS_OK : no_memory(err);
	bool whole = true;
	size_t len = 0;

	*ret_sent = (struct ps_cli_predict_sent){0};
	for (size_t i = 0; i < c->cell_len && st == PS_OK && whole; i++) {
		const struct ps_store_cell *x = &c->cells[i];
		if (x->kind == PS_STORE_CONFIRM && x->set == set && x->state == PS_STORE_DONE)
			st = read_cell(r, x, tenant, blocks, &len, &whole, err);
	}
	if (st == PS_OK && whole)
		*ret_sent = (struct ps_cli_predict_sent){blocks, len};
	if (st == PS_OK && !whole)
		ps_cli_predict_note(r->d,
				    "campaign %.80s: not every request of its sets is in the store "
				    "(or they are too many): what their arrivals happened to be "
				    "counts as error",
				    c->name);
	return st;
}
