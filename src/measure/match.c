/* match.c - which results of an earlier form of a campaign hold for its present one. */
#include "measure/measure_internal.h"

#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The cells of a campaign, to be found by their keys. */
static int by_key(const void *x, const void *y)
{
	const struct ps_store_cell *const *a = x, *const *b = y;
	return strcmp((*a)->key, (*b)->key);
}

static const struct ps_store_cell **sorted(const struct ps_store_campaign *c)
{
	const struct ps_store_cell **list = calloc(c->cell_len + 1, sizeof(*list));
	for (size_t i = 0; list && i < c->cell_len; i++) {
		list[i] = &c->cells[i];
	}
	if (list) {
		qsort(list, c->cell_len, sizeof(*list), by_key);
	}
	return list;
}

static const struct ps_store_cell *find(const struct ps_store_cell **list, size_t n,
					const struct ps_store_cell *cell)
{
	const struct ps_store_cell **found = bsearch(&cell, list, n, sizeof(*list), by_key);
	return found ? *found : NULL;
}

static bool has_digests(const struct ps_store_campaign *c)
{
	for (size_t i = 0; i < c->cell_len; i++) {
		if (!c->cells[i].digest) {
			return false;
		}
	}
	return true;
}

/* The time that a search had which ended for want of it; -1: it did not. One that does not say how
 * much it was is of an older Perseus: 0. */
static int64_t time_it_had(const struct ps_store_cell *old)
{
	const char *text = old->capacity.method_json;
	json_t *method = NULL;
	int64_t ns = -1;
	if (text && ps_json_parse(text, strlen(text), &method, NULL) == PS_OK &&
	    strcmp(ps_json_get_string(method, "stop", ""), "time") == 0) {
		ns = ps_json_get_int(method, "max_time_ns", 0);
	}
	json_decref(method);
	for (size_t i = 0; i < old->figure_len; i++) {
		if (strcmp(old->figures[i].name, PS_MEASURE_CUT_BY_TIME) == 0) {
			ns = isfinite(old->figures[i].value) ? (int64_t)old->figures[i].value : 0;
		}
	}
	return ns;
}

static bool was_cut(const struct ps_store_cell *old, int64_t max_time_ns)
{
	int64_t had_ns = time_it_had(old);
	return had_ns >= 0 && (max_time_ns == 0 || max_time_ns > had_ns);
}

static enum ps_measure_fate fate_of(const struct ps_store_cell *cell,
				    const struct ps_store_cell *old, int64_t max_time_ns)
{
	if (!old) {
		return PS_MEASURE_NEW;
	}
	if (old->state != PS_STORE_DONE) {
		return PS_MEASURE_OPEN;
	}
	if (old->damaged) {
		return PS_MEASURE_CHANGED;
	}
	bool same = !old->digest || (cell->digest && strcmp(cell->digest, old->digest) == 0);
	return same && !was_cut(old, max_time_ns) ? PS_MEASURE_KEPT : PS_MEASURE_CHANGED;
}

/* Which searches are not kept, by their sets: what was measured by their capacities goes with them.
 */
struct searched {
	bool anew[PS_MEASURE_MAX_SETS];
};

static bool goes_with(const struct searched *s, const struct ps_store_campaign *plan,
		      const struct ps_store_cell *x)
{
	const struct ps_store_set *set = &plan->sets[x->set];
	bool along_ray = x->kind == PS_STORE_SEARCH || x->kind == PS_STORE_FRONTIER;
	if (x->kind == PS_STORE_CAPACITY) {
		return s->anew[x->set];
	}
	for (int i = 0; along_ray && set->member_len > 1 && i < set->member_len; i++) {
		/* sets of one come first, in the order of the tenants */
		if (s->anew[set->members[i]]) {
			return true;
		}
	}
	return false;
}

static bool same_text(const char *x, const char *y)
{
	return x && y ? strcmp(x, y) == 0 : x == y;
}

/* What an older file did not keep is no other price. */
static bool same_terms(const struct ps_store_terms *x, const struct ps_store_terms *y)
{
	if (!x->billed_per || !y->billed_per) {
		return true;
	}
	return strcmp(x->billed_per, y->billed_per) == 0 && x->minimum_ns == y->minimum_ns &&
	       x->spot_usd_per_hour == y->spot_usd_per_hour &&
	       x->reserved_1y_usd_per_hour == y->reserved_1y_usd_per_hour &&
	       same_text(x->gpu_kind, y->gpu_kind) && x->gpu_count == y->gpu_count &&
	       same_text(x->currency, y->currency) && x->exchange_usd == y->exchange_usd &&
	       same_text(x->exchange_date, y->exchange_date);
}

static bool same_price(const struct ps_store_price *x, const struct ps_store_price *y)
{
	if (!x->instance_type && !y->instance_type) {
		return true; /* none: its numbers say nothing */
	}
	return same_text(x->instance_type, y->instance_type) &&
	       same_text(x->provider, y->provider) && same_text(x->region, y->region) &&
	       same_text(x->source, y->source) && same_text(x->source_date, y->source_date) &&
	       x->vcpu == y->vcpu && x->memory_gib == y->memory_gib &&
	       x->usd_per_hour == y->usd_per_hour && same_terms(&x->terms, &y->terms);
}

/* The earlier plan is the present one, cell by cell. */
static bool same_plan(const struct ps_store_campaign *plan, const struct ps_store_campaign *old)
{
	bool same = plan->cell_len == old->cell_len && strcmp(plan->file_text, old->file_text) == 0;
	for (size_t i = 0; i < plan->cell_len && same; i++) {
		const struct ps_store_cell *x = &plan->cells[i], *y = &old->cells[i];
		/* the places, too: a damaged file may name what the campaign has not */
		same = strcmp(x->key, y->key) == 0 && x->kind == y->kind && x->set == y->set &&
		       x->block == y->block && x->part == y->part && x->point == y->point &&
		       (!y->digest || (x->digest && strcmp(x->digest, y->digest) == 0));
	}
	return same;
}

static void match(const struct ps_store_campaign *plan, const struct ps_store_campaign *old,
		  int64_t max_time_ns, const struct ps_store_cell **of_plan,
		  const struct ps_store_cell **of_old, struct ps_measure_match *m)
{
	struct searched s = {{false}};
	/* searches stand before what goes by them */
	for (size_t i = 0; i < plan->cell_len; i++) {
		const struct ps_store_cell *x = &plan->cells[i];
		enum ps_measure_fate fate = fate_of(x, find(of_old, old->cell_len, x), max_time_ns);
		if (fate == PS_MEASURE_KEPT && goes_with(&s, plan, x)) {
			fate = PS_MEASURE_CHANGED;
		}
		if (x->kind == PS_STORE_SEARCH) {
			s.anew[x->set] = fate != PS_MEASURE_KEPT;
		}
		m->fates[i] = fate;
		m->counts[fate]++;
		if (fate == PS_MEASURE_KEPT) {
			m->moves[m->move_len++] = (struct ps_store_move){x->key, x->key};
		}
	}
	for (size_t i = 0; i < old->cell_len; i++) {
		const struct ps_store_cell *x = &old->cells[i];
		if (x->state == PS_STORE_DONE && !find(of_plan, plan->cell_len, x)) {
			m->dropped[m->dropped_len++] = x->key;
		}
	}
}

/* The first done cell that is not what was written. */
static const struct ps_store_cell *first_damaged(const struct ps_store_campaign *old)
{
	for (size_t i = 0; i < old->cell_len; i++) {
		if (old->cells[i].damaged && old->cells[i].state == PS_STORE_DONE) {
			return &old->cells[i];
		}
	}
	return NULL;
}

/* What no resuming can mend. */
static enum ps_status check_old(const struct ps_store_campaign *old, bool same,
				struct ps_error *err)
{
	const struct ps_store_cell *x = first_damaged(old);
	if (old->damaged || (x && !has_digests(old))) {
		ps_error_set(err, PS_ECORRUPT,
			     "the store's campaign \"%.100s\"%s%.100s is not "
			     "what was written",
			     old->name, old->damaged ? "" : ", cell ", old->damaged ? "" : x->key);
		ps_error_hint(err, "perseus store check names everything that is wrong; start anew "
				   "without --resume, which leaves it as it is");
		return PS_ECORRUPT;
	}
	if (!same && !has_digests(old)) {
		ps_error_set(
			err, PS_EEXIST,
			"the store's campaign \"%s\" was begun from another text, by a Perseus "
			"that did not keep what its cells depend on",
			old->name);
		ps_error_hint(err, "put the file back as it was, or start anew without --resume");
		return PS_EEXIST;
	}
	return PS_OK;
}

enum ps_status ps_measure_match_plans(const struct ps_store_campaign *plan,
				      const struct ps_store_campaign *old, int64_t max_time_ns,
				      struct ps_arena *a, struct ps_measure_match *ret_match,
				      struct ps_error *err)
{
	bool same = same_plan(plan, old);
	struct ps_measure_match m = {.repriced = same && !same_price(&plan->price, &old->price)};
	m.damaged = same && first_damaged(old) != NULL;
	m.same = same && !m.repriced && !m.damaged;
	enum ps_status st = check_old(old, same, err);
	if (st != PS_OK) {
		return st;
	}
	m.fates = ps_arena_zalloc(a, sizeof(*m.fates) * (plan->cell_len + 1));
	m.moves = ps_arena_zalloc(a, sizeof(*m.moves) * (plan->cell_len + 1));
	m.dropped = ps_arena_zalloc(a, sizeof(*m.dropped) * (old->cell_len + 1));
	const struct ps_store_cell **of_plan = sorted(plan), **of_old = sorted(old);
	if (m.fates && m.moves && m.dropped && of_plan && of_old) {
		match(plan, old, same ? INT64_MIN : max_time_ns, of_plan, of_old, &m);
	} else {
		st = ps_error_set(err, PS_ENOMEM, "no memory to compare plans");
	}
	free(of_plan);
	free(of_old);
	*ret_match = m;
	return st;
}

const char *ps_measure_match_text(const struct ps_measure_match *m, char buf[PS_MEASURE_MATCH_SIZE])
{
	(void)snprintf(buf, PS_MEASURE_MATCH_SIZE,
		       "the %s: %d done cells stay valid, %d are measured again, "
		       "%d are new, %d were not done yet, %zu are no longer in it",
		       m->damaged    ? "store holds cells that are not what was written"
		       : m->repriced ? "price has changed"
				     : "campaign has changed",
		       m->counts[PS_MEASURE_KEPT], m->counts[PS_MEASURE_CHANGED],
		       m->counts[PS_MEASURE_NEW], m->counts[PS_MEASURE_OPEN], m->dropped_len);
	return buf;
}
