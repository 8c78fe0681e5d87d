/* read_check.c - what of a file may be read: its rows are the file's, and what is broken in them
 * must not reach those who use them. */
#include "store/read_internal.h"

#include <stdlib.h>
#include <string.h>

/* Of rates, prices and capacities: nothing that was measured comes near it, and products of larger
 * ones are no numbers any more. */
#define MAX_NUMBER 1e12

enum ps_status ps_store_damaged(struct ps_store *s, const struct ps_store_campaign *c,
				const char *what, struct ps_error *err)
{
	ps_error_set(err, PS_ECORRUPT, "campaign %lld %s", (long long)c->id, what);
	ps_error_where(err, "%s", s->path);
	return PS_ECORRUPT;
}

static bool members_fit(const struct ps_store_campaign *c, const struct ps_store_set *set)
{
	bool ok = set->member_len > 0 && (size_t)set->member_len <= c->tenant_len;
	for (int m = 0; ok && m < set->member_len; m++) {
		ok = set->members[m] >= 0 && (size_t)set->members[m] < c->tenant_len;
	}
	return ok;
}

bool ps_store_is_number(double v)
{
	return v >= 0 && v <= MAX_NUMBER;
}

static bool is_positive(double v)
{
	return v > 0 && ps_store_is_number(v);
}

static bool is_share(double v)
{
	return v >= 0 && v <= 1;
}

static bool is_unit(const char *billed_per)
{
	return strcmp(billed_per, "hour") == 0 || strcmp(billed_per, "minute") == 0 ||
	       strcmp(billed_per, "second") == 0;
}

static const char *odd_terms(const struct ps_store_terms *t)
{
	if (!ps_store_is_number(t->spot_usd_per_hour) ||
	    !ps_store_is_number(t->reserved_1y_usd_per_hour)) {
		return "names a machine whose price is not over 0";
	}
	if (t->minimum_ns < 0 || t->gpu_count < 0 || (t->billed_per && !is_unit(t->billed_per))) {
		return "names a machine that is billed by no unit of time, or has less than "
		       "nothing";
	}
	return t->currency && !is_positive(t->exchange_usd)
		       ? "names a price in a currency without an exchange rate"
		       : NULL;
}

/* Rates and prices that were never written so: sums with them would be wrong without a word. */
static const char *odd_number(const struct ps_store_campaign *c)
{
	for (size_t i = 0; i < c->tenant_len; i++) {
		double demand = c->tenants[i].demand_rps;
		const struct ps_sla *sla = &c->tenants[i].sla;
		if (!ps_store_is_number(demand)) {
			return "has a tenant whose demand is no rate";
		}
		if (!is_share(sla->percentile) || !is_share(sla->min_success) ||
		    sla->limit_ns < 0) {
			return "has a tenant whose SLA is no agreement";
		}
	}
	if (c->price.instance_type && !is_positive(c->price.usd_per_hour)) {
		return "names a machine whose price is not over 0";
	}
	return odd_terms(&c->price.terms);
}

enum ps_status ps_store_check_head(struct ps_store *s, const struct ps_store_campaign *c,
				   struct ps_error *err)
{
	bool named = c->name && c->file_text, fit = c->tenant_len <= PS_STORE_MAX_TENANTS;
	for (size_t i = 0; i < c->tenant_len; i++) {
		named = named && c->tenants[i].name && c->tenants[i].model;
	}
	for (size_t i = 0; i < c->set_len; i++) {
		named = named && c->sets[i].name;
		fit = fit && members_fit(c, &c->sets[i]);
	}
	if (!named) {
		return ps_store_damaged(s, c, "lacks the name of a tenant or a set", err);
	}
	if (!fit) {
		return ps_store_damaged(s, c, "has a set of tenants that it does not have", err);
	}
	const char *odd = odd_number(c);
	return odd ? ps_store_damaged(s, c, odd, err) : PS_OK;
}

bool ps_store_cell_fits(const struct ps_store_campaign *c, const struct ps_store_cell *x)
{
	bool ok = x->key && x->set >= 0 && (size_t)x->set < c->set_len && x->part >= -1 &&
		  x->part < PS_STORE_MAX_PARTS && x->point >= -1;
	for (size_t t = 0; t < x->trial_len; t++) {
		for (size_t r = 0; r < x->trials[t].result_len; r++) {
			int tenant = x->trials[t].results[r].tenant;
			ok = ok && tenant >= 0 && (size_t)tenant < c->tenant_len;
		}
		for (size_t k = 0; k < x->trials[t].scrape_len; k++) {
			ok = ok && x->trials[t].scrapes[k].series;
		}
	}
	for (size_t i = 0; i < x->figure_len; i++) {
		const struct ps_store_figure *f = &x->figures[i];
		ok = ok && f->name && f->subject && f->unit;
	}
	return ok;
}

/* ---- seals ---- */

/* A row that cannot be read is a damaged one, and not the end of reading the others. */
static enum ps_status judge(enum ps_status st, const struct ps_error *why, bool intact,
			    bool *ret_damaged, struct ps_error *err)
{
	if (st == PS_ENOMEM || st == PS_EINUSE) {
		return ps_error_set(err, st, "%s", why->what);
	}
	*ret_damaged = st != PS_OK || !intact;
	return PS_OK;
}

enum ps_status ps_store_mark_campaign(struct ps_store *s, struct ps_store_campaign *c,
				      struct ps_error *err)
{
	struct ps_store_sealed *all = NULL;
	struct ps_error why;
	char now[PS_STORE_SEAL_SIZE] = "";
	bool intact = false;
	size_t n = 0;
	ps_error_clear(&why);
	enum ps_status st = ps_store_sealed_rows(s, PS_STMT_CAMPAIGNS_SEALED, 0, &all, &n, err);
	if (st != PS_OK) {
		return st;
	}
	st = ps_store_campaign_seal(s, c->id, now, &why);
	for (size_t i = 0; i < n; i++) {
		intact = intact || (all[i].id == c->id && strcmp(all[i].seal, now) == 0);
	}
	free(all);
	return judge(st, &why, intact, &c->damaged, err);
}

static struct ps_store_cell *cell_of(struct ps_store_cell *cells, size_t n, size_t guess,
				     int64_t id)
{
	if (guess < n && cells[guess].id == id) {
		return &cells[guess];
	}
	for (size_t i = 0; i < n; i++) {
		if (cells[i].id == id) {
			return &cells[i];
		}
	}
	return NULL;
}

enum ps_status ps_store_mark_cells(struct ps_store *s, int64_t campaign,
				   struct ps_store_cell *cells, size_t n, struct ps_error *err)
{
	struct ps_store_sealed *rows = NULL;
	size_t len = 0;
	enum ps_status st = ps_store_sealed_rows(s, PS_STMT_CELLS_OF, campaign, &rows, &len, err);
	for (size_t i = 0; i < len && st == PS_OK; i++) {
		struct ps_store_cell *x = cell_of(cells, n, i, rows[i].id);
		struct ps_error why;
		bool intact = true;
		ps_error_clear(&why);
		if (x) {
			st = ps_store_cell_intact(s, &rows[i], &intact, &why);
			st = judge(st, &why, intact, &x->damaged, err);
		}
	}
	free(rows);
	return st;
}
