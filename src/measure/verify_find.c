/* verify_find.c - what a store already has of a planned machine.
 *
 * It goes by what was measured, as campaigns do: the digest of the cell (models by their content,
 * what the server's configuration says, slice, tenants, rates, agreements, seed, for how long), the
 * kind of machine, the build of perseus and the engine's library. What a machine costs, how its
 * type is called, which one of a plan it was and where files lie is no part of that. */
#include "measure/measure_internal.h"
#include "measure/verify_internal.h"

#include "store/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- of what the machine is ---- */

static enum ps_status digest_cell(struct ps_measure_context *m, struct ps_arena *a,
				  char ret_digest[PS_TENANCY_DIGEST_SIZE], struct ps_error *err)
{
	struct ps_store_campaign plan = {0};
	enum ps_status st = ps_measure_make_arrivals(m, err);
	if (st == PS_OK) {
		st = ps_measure_make_targets(m, err);
	}
	if (st == PS_OK) {
		st = ps_measure_digest_contents(m, err);
	}
	if (st == PS_OK) {
		st = ps_measure_plan(m->c, (const char *const *)m->contents, a, &plan, err);
	}
	if (st == PS_OK && plan.cell_len != 1) {
		st = ps_error_set(err, PS_EINTERNAL, "the campaign of a machine has %zu cells",
				  plan.cell_len);
	}
	if (st == PS_OK) {
		(void)snprintf(ret_digest, PS_TENANCY_DIGEST_SIZE, "%s", plan.cells[0].digest);
	}
	return st;
}

enum ps_status ps_measure_verify_digest(const struct ps_measure_campaign *c,
					char ret_digest[PS_TENANCY_DIGEST_SIZE],
					struct ps_error *err)
{
	const struct ps_measure_run run = {.campaign = c};
	struct ps_measure_context *m = calloc(1, sizeof(*m));
	struct ps_arena a;
	if (!m) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a campaign");
	}
	m->run = &run;
	m->c = c;
	ps_arena_init(&a, 0);
	enum ps_status st = digest_cell(m, &a, ret_digest, err);
	ps_arena_fini(&a);
	ps_measure_free_models(m);
	ps_measure_free_arrivals(m);
	ps_measure_free_targets(m);
	free(m);
	return st;
}

/* ---- what the store has ---- */

struct looking {
	const struct ps_measure_campaign *c;
	const char *digest;
	json_t *machine, *program;
	struct ps_measure_earlier *found;
	bool last_seen; /* of its name, on this kind of machine */
};

static void pass_over(struct looking *x, const char *why)
{
	if (!x->found->passed_over[0]) {
		(void)snprintf(x->found->passed_over, sizeof(x->found->passed_over), "%.190s", why);
	}
}

static void judge(struct looking *x, const struct ps_store_campaign *old)
{
	char text[PS_STORE_MACHINE_TEXT_SIZE], other[sizeof(text) + 40];
	const struct ps_store_cell *cell = old->cell_len == 1 ? &old->cells[0] : NULL;
	const char *why = NULL;
	bool alike = cell && cell->digest && strcmp(cell->digest, x->digest) == 0;
	if (ps_store_manifest_differs(old->manifest_json, x->machine, text)) {
		(void)snprintf(other, sizeof(other), "measured on another machine: %s", text);
		if (alike && cell->state == PS_STORE_DONE) {
			pass_over(x, other);
		}
		return;
	}
	bool mine = strcmp(old->name, x->c->name) == 0;
	if (mine && !x->last_seen) {
		x->found->begun = cell && cell->state != PS_STORE_DONE;
	}
	x->last_seen |= mine;
	if (!alike || cell->state != PS_STORE_DONE) {
		return;
	}
	if (old->damaged || cell->damaged) {
		pass_over(x, "not what was written (perseus store check)");
	} else if (!ps_measure_same_program(old->manifest_json, x->program, &why)) {
		(void)snprintf(other, sizeof(other), "measured %s", why);
		pass_over(x, other);
	} else {
		x->found->campaign_id = old->id;
	}
}

/* Names begin with the digest's: others need not be read. */
static bool may_be(const struct looking *x, const struct ps_store_listing *l)
{
	const char *colon = strchr(x->c->name, ':');
	size_t n = colon ? (size_t)(colon - x->c->name) : strlen(x->c->name);
	return strncmp(l->name, x->c->name, n) == 0;
}

static enum ps_status look(struct looking *x, struct ps_store *s, struct ps_error *err)
{
	struct ps_store_listing *list = NULL;
	size_t n = 0;
	enum ps_status st = ps_store_list(s, &list, &n, err);
	for (size_t i = 0; i < n && st == PS_OK && x->found->campaign_id == 0; i++) {
		struct ps_store_campaign *old = NULL;
		if (!may_be(x, &list[i])) {
			continue;
		}
		st = ps_store_campaign_read(s, list[i].id, &old, err);
		if (st == PS_OK) {
			judge(x, old);
		}
		ps_store_campaign_free(old);
	}
	free(list);
	return st;
}

enum ps_status ps_measure_find_earlier(const char *store_path, const struct ps_measure_campaign *c,
				       const char *digest, struct ps_measure_earlier *ret_earlier,
				       struct ps_error *err)
{
	struct ps_store *s = NULL;
	*ret_earlier = (struct ps_measure_earlier){0};
	if (access(store_path, F_OK) != 0) {
		return PS_OK;
	}
	struct looking x = {.c = c,
			    .digest = digest,
			    .machine = ps_host_machine_json(),
			    .program = ps_measure_program(),
			    .found = ret_earlier};
	enum ps_status st = x.machine && x.program
				    ? ps_store_open(store_path, PS_STORE_READ, &s, err)
				    : ps_error_set(err, PS_ENOMEM, "no memory to look at a store");
	if (st == PS_OK) {
		st = look(&x, s, err);
	}
	ps_store_close(s);
	json_decref(x.machine);
	json_decref(x.program);
	return st;
}
