/* match.c - which results of an earlier form of a campaign hold for its present one. */
#include "measure/measure_internal.h"

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

static enum ps_measure_fate fate_of(const struct ps_store_cell *cell,
				    const struct ps_store_cell *old)
{
	if (!old) {
		return PS_MEASURE_NEW;
	}
	if (old->state != PS_STORE_DONE) {
		return PS_MEASURE_OPEN;
	}
	bool same = !old->digest || (cell->digest && strcmp(cell->digest, old->digest) == 0);
	return same ? PS_MEASURE_KEPT : PS_MEASURE_CHANGED;
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

static enum ps_status match(const struct ps_store_campaign *plan,
			    const struct ps_store_campaign *old,
			    const struct ps_store_cell **of_plan,
			    const struct ps_store_cell **of_old, struct ps_measure_match *m)
{
	for (size_t i = 0; i < plan->cell_len; i++) {
		const struct ps_store_cell *x = &plan->cells[i];
		enum ps_measure_fate fate = fate_of(x, find(of_old, old->cell_len, x));
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
	return PS_OK;
}

enum ps_status ps_measure_match_plans(const struct ps_store_campaign *plan,
				      const struct ps_store_campaign *old, struct ps_arena *a,
				      struct ps_measure_match *ret_match, struct ps_error *err)
{
	struct ps_measure_match m = {.same = same_plan(plan, old)};
	if (!m.same && !has_digests(old)) {
		ps_error_set(
			err, PS_EEXIST,
			"the store's campaign \"%s\" was begun from another text, by a Perseus "
			"that did not keep what its cells depend on",
			old->name);
		ps_error_hint(err, "put the file back as it was, or start anew without --resume");
		return PS_EEXIST;
	}
	m.fates = ps_arena_zalloc(a, sizeof(*m.fates) * (plan->cell_len + 1));
	m.moves = ps_arena_zalloc(a, sizeof(*m.moves) * (plan->cell_len + 1));
	m.dropped = ps_arena_zalloc(a, sizeof(*m.dropped) * (old->cell_len + 1));
	const struct ps_store_cell **of_plan = sorted(plan), **of_old = sorted(old);
	enum ps_status st = PS_ENOMEM;
	if (m.fates && m.moves && m.dropped && of_plan && of_old) {
		st = match(plan, old, of_plan, of_old, &m);
	} else {
		ps_error_set(err, PS_ENOMEM, "no memory to compare plans");
	}
	free(of_plan);
	free(of_old);
	*ret_match = m;
	return st;
}

const char *ps_measure_match_text(const struct ps_measure_match *m, char buf[PS_MEASURE_MATCH_SIZE])
{
	(void)snprintf(buf, PS_MEASURE_MATCH_SIZE,
		       "the campaign has changed: %d done cells stay valid, %d are measured again, "
		       "%d are new, %d were not done yet, %zu are no longer in it",
		       m->counts[PS_MEASURE_KEPT], m->counts[PS_MEASURE_CHANGED],
		       m->counts[PS_MEASURE_NEW], m->counts[PS_MEASURE_OPEN], m->dropped_len);
	return buf;
}

enum ps_status ps_measure_find_campaign(struct ps_store *s, const char *name,
					struct ps_store_campaign **ret_campaign,
					struct ps_error *err)
{
	struct ps_store_listing *list = NULL;
	size_t n = 0, i = 0;
	enum ps_status st = ps_store_list(s, &list, &n, err);
	if (st != PS_OK) {
		return st;
	}
	/* names are cut in a listing */
	while (i < n && strncmp(list[i].name, name, sizeof(list[i].name) - 1) != 0) {
		i++;
	}
	if (i == n) {
		ps_error_set(err, PS_ENOTFOUND, "the store holds no campaign \"%.100s\"%s", name,
			     n ? "" : ", nor any other");
		ps_error_hint(err, "run without --resume to begin it");
		st = PS_ENOTFOUND;
	} else {
		st = ps_store_campaign_read(s, list[i].id, ret_campaign, err);
	}
	free(list);
	return st;
}
