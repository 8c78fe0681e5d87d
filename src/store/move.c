/* move.c - results that stay valid go from a campaign to its changed form. */
#include "store/store_internal.h"

#include <stdio.h>
#include <string.h>

#define ASIDE 1000000 /* added to a tenant's place while others are changed */

/* Where tenant `old` of the earlier campaign stands in the new one; -1: nowhere. */
static int place_of(const struct ps_store_campaign *c, const struct ps_store_campaign *old,
		    size_t i)
{
	for (size_t k = 0; k < c->tenant_len; k++) {
		if (strcmp(c->tenants[k].name, old->tenants[i].name) == 0) {
			return (int)k;
		}
	}
	return -1;
}

static enum ps_status set_place(struct ps_store *s, int64_t cell, int64_t to, int64_t from,
				struct ps_error *err)
{
	enum ps_status st = ps_store_run(s, PS_STMT_MOVE_RESULT_TENANT, err, "iii", to, from, cell);
	return st == PS_OK ? ps_store_run(s, PS_STMT_MOVE_SECOND_TENANT, err, "iii", to, from, cell)
			   : st;
}

/* Only the tenants of the cell's own set have rows here. */
static enum ps_status set_places(struct ps_store *s, const struct ps_store_campaign *c,
				 const struct ps_store_campaign *old, int64_t cell,
				 struct ps_error *err)
{
	enum ps_status st = PS_OK;
	for (size_t i = 0; i < old->tenant_len && st == PS_OK; i++) {
		st = set_place(s, cell, (int64_t)i + ASIDE, (int64_t)i, err);
	}
	for (size_t i = 0; i < old->tenant_len && st == PS_OK; i++) {
		int to = place_of(c, old, i);
		if (to >= 0) {
			st = set_place(s, cell, to, (int64_t)i + ASIDE, err);
		}
	}
	return st;
}

static bool same_places(const struct ps_store_campaign *c, const struct ps_store_campaign *old)
{
	for (size_t i = 0; i < old->tenant_len; i++) {
		if (place_of(c, old, i) != (int)i) {
			return false;
		}
	}
	return true;
}

static const struct ps_store_cell *cell_of(const struct ps_store_campaign *c, const char *key)
{
	for (size_t i = 0; i < c->cell_len; i++) {
		if (strcmp(c->cells[i].key, key) == 0) {
			return &c->cells[i];
		}
	}
	return NULL;
}

static enum ps_status check_members(const struct ps_store_campaign *c,
				    const struct ps_store_campaign *old, const char *key,
				    struct ps_error *err)
{
	const struct ps_store_cell *x = cell_of(old, key);
	const struct ps_store_set *set = x ? &old->sets[x->set] : NULL;
	for (int i = 0; set && i < set->member_len; i++) {
		if (place_of(c, old, (size_t)set->members[i]) < 0) {
			return ps_error_set(err, PS_EINVAL, "cell \"%s\" has a tenant that is gone",
					    key);
		}
	}
	return PS_OK;
}

/* What a disk or a hand changed must not be sealed anew as good. */
static enum ps_status check_intact(struct ps_store *s, int64_t campaign, const char *key,
				   struct ps_error *err)
{
	struct ps_store_sealed cell = {0};
	bool there = false, intact = true;
	enum ps_status st = ps_store_find_sealed(s, campaign, key, &cell, &there, err);
	if (st == PS_OK && there) {
		st = ps_store_cell_intact(s, &cell, &intact, err);
	}
	if (st == PS_OK && !intact) {
		st = ps_error_set(err, PS_ECORRUPT, "cell \"%s\" is not what was written", key);
		ps_error_where(err, "%s", s->path);
		ps_error_hint(err, "perseus store check names everything that is wrong");
	}
	return st;
}

static enum ps_status change_owner(struct ps_store *s, int64_t to, int64_t from,
				   struct ps_error *err)
{
	static const enum ps_store_stmt steps[] = {PS_STMT_MOVE_CELL, PS_STMT_MOVE_TRIALS,
						   PS_STMT_MOVE_FIGURES, PS_STMT_MOVE_CAPACITY,
						   PS_STMT_MOVE_RAY};
	enum ps_status st = PS_OK;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && st == PS_OK; i++) {
		st = ps_store_run(s, steps[i], err, "ii", to, from);
	}
	return st == PS_OK ? ps_store_run(s, PS_STMT_CELL_CLEAR_CAPACITY, err, "i", from) : st;
}

static enum ps_status move_cell(struct ps_store *s, const struct ps_store_campaign *c,
				const struct ps_store_campaign *old,
				const struct ps_store_move *move, int64_t campaign,
				struct ps_error *err)
{
	char state[16], reason[64];
	int64_t to = 0, from = 0;
	enum ps_status st = check_members(c, old, move->old_key, err);
	if (st == PS_OK) {
		st = ps_store_find_cell(s, c->previous, move->old_key, &from, state, err);
	}
	if (st == PS_OK && strcmp(state, ps_store_state_names[PS_STORE_DONE]) != 0) {
		st = ps_error_set(err, PS_EINVAL, "cell \"%s\" is %s, not done", move->old_key,
				  state);
	}
	if (st == PS_OK) {
		st = check_intact(s, c->previous, move->old_key, err);
	}
	if (st == PS_OK) {
		st = ps_store_find_cell(s, campaign, move->key, &to, state, err);
	}
	if (st == PS_OK) {
		st = change_owner(s, to, from, err);
	}
	if (st == PS_OK && !same_places(c, old)) {
		st = set_places(s, c, old, to, err);
	}
	if (st == PS_OK) {
		st = ps_store_seal_cell(s, to, err);
	}
	(void)snprintf(reason, sizeof(reason), "went on as campaign %lld", (long long)campaign);
	return st == PS_OK ? ps_store_run(s, PS_STMT_MOVE_LEAVE, err, "si", reason, from) : st;
}

enum ps_status ps_store_campaign_go_on(struct ps_store *s, const struct ps_store_campaign *c,
				       const struct ps_store_move *moves, size_t n,
				       int64_t *ret_campaign_id, struct ps_error *err)
{
	struct ps_store_campaign *old = NULL;
	int64_t id = 0;
	enum ps_status st = ps_store_campaign_read(s, c->previous, &old, err);
	if (st != PS_OK) {
		return st;
	}
	st = ps_store_begin(s, err);
	if (st == PS_OK) {
		st = ps_store_write_campaign(s, c, &id, err);
		for (size_t i = 0; i < n && st == PS_OK; i++) {
			st = move_cell(s, c, old, &moves[i], id, err);
		}
		st = ps_store_end(s, st, err);
	}
	ps_store_campaign_free(old);
	if (st == PS_OK) {
		*ret_campaign_id = id;
	}
	return st;
}
