#include "measure/cell_internal.h"

#include "base/clock.h"
#include "base/strbuf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct ps_measure_tenant *ps_measure_cell_member(const struct ps_measure_cell *c, int i)
{
	return &((const struct ps_measure_tenant *)c->m->c->tenants.items)[c->set->members[i]];
}

/* The seed of trial `number`: the same in every run of the campaign. Trials of one block share the
 * name, so that a tenant meets the same arrivals alone and together, and at each point of a grid.
 */
static uint64_t seed_of(const struct ps_measure_cell *c, int number)
{
	char name[600];
	struct ps_rng r;
	if (c->plan->block < 0) {
		(void)snprintf(name, sizeof(name), "%s/%d", c->plan->key, number);
	} else if (c->plan->kind == PS_STORE_RATES && number > 0) { /* a further look */
		(void)snprintf(name, sizeof(name), "rates/%d/%d", c->plan->block, number);
	} else {
		(void)snprintf(name, sizeof(name), "%s/%d", ps_store_kind_name(c->plan->kind),
			       c->plan->block);
	}
	ps_rng_init(&r, (uint64_t)c->m->c->seed, ps_rng_stream(name));
	return ps_rng_next(&r) >> 1;
}

void ps_measure_rates_text(const double *rates, int n, char *buf, size_t size)
{
	size_t at = 0;
	buf[0] = '\0';
	for (int i = 0; i < n && at < size; i++) {
		int k = snprintf(buf + at, size - at, "%s%.3g", i ? " + " : "", rates[i]);
		at += k > 0 ? (size_t)k : 0;
	}
	if (at < size) {
		(void)snprintf(buf + at, size - at, " requests/s");
	}
}

const char *ps_measure_cell_model(const struct ps_measure_cell *c)
{
	const struct ps_measure_model *models = c->m->c->models.items;
	bool of_model = c->plan->kind == PS_STORE_COLD || c->plan->kind == PS_STORE_PROFILE ||
			c->plan->kind == PS_STORE_OPERATORS;
	return of_model ? models[c->plan->part].name : NULL;
}

enum ps_status ps_measure_cell_trial(struct ps_measure_cell *c, struct ps_measure_load_plan *plan,
				     struct ps_load_result *ret_result, struct ps_error *err)
{
	plan->number = c->trial_len;
	plan->model = ps_measure_cell_model(c);
	plan->seed = seed_of(c, c->trial_len);
	enum ps_status st = ps_measure_drive(c->m, c->set, &c->live, plan, &c->arena,
					     &c->trials[c->trial_len], ret_result, err);
	if (st == PS_OK) {
		c->trial_len++;
	}
	return st;
}

enum ps_status ps_measure_cell_figure(struct ps_measure_cell *c,
				      const struct ps_store_figure *figure, struct ps_error *err)
{
	if (c->figure_len == PS_MEASURE_MAX_FIGURES) {
		return ps_error_set(err, PS_ETOOBIG, "a cell has over %d figures",
				    PS_MEASURE_MAX_FIGURES);
	}
	struct ps_store_figure *f = &c->figures[c->figure_len];
	*f = *figure;
	f->name = ps_arena_strndup(&c->arena, figure->name, strlen(figure->name));
	f->subject = ps_arena_strndup(&c->arena, figure->subject, strlen(figure->subject));
	f->unit = ps_arena_strndup(&c->arena, figure->unit, strlen(figure->unit));
	if (!f->name || !f->subject || !f->unit) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a figure");
	}
	c->figure_len++;
	return PS_OK;
}

/* ---- the cell ---- */

static const char *keep_json(struct ps_measure_cell *c, json_t *o)
{
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	const char *copy = text ? ps_arena_strndup(&c->arena, text, strlen(text)) : NULL;
	free(text);
	json_decref(o);
	return copy;
}

static enum ps_status by_kind(struct ps_measure_cell *c, struct ps_error *err)
{
	switch (c->plan->kind) {
	case PS_STORE_SEARCH:
	case PS_STORE_FRONTIER:
	case PS_STORE_PACK:
		return ps_measure_cell_search(c, err);
	case PS_STORE_CONFIRM:
	case PS_STORE_CAPACITY:
	case PS_STORE_RATES:
		return ps_measure_cell_single(c, err);
	case PS_STORE_COLD:
		return ps_measure_cell_cold(c, err);
	case PS_STORE_PROFILE:
		return ps_measure_cell_profile(c, err);
	case PS_STORE_OPERATORS:
		return ps_measure_cell_operators(c, err);
	}
	return ps_error_set(err, PS_EINTERNAL, "a cell of no kind");
}

/* A cold start with conversion has a cache of its own, made anew. */
static enum ps_status cold_cache(const struct ps_measure_cell *c, struct ps_measure_start *how,
				 char *buf, size_t size, struct ps_error *err)
{
	if (c->plan->kind != PS_STORE_COLD || !c->m->c->cold.convert) {
		return PS_OK;
	}
	(void)snprintf(buf, size, "%s/cold-XXXXXX", c->m->cache_dir);
	if (!mkdtemp(buf)) {
		return ps_error_set(err, PS_EIO, "cannot make the folder %s", buf);
	}
	how->cache_dir = buf;
	return PS_OK;
}

static enum ps_status run_with_server(struct ps_measure_cell *c, struct ps_error *err)
{
	const struct ps_measure_packing *packings = c->m->c->packings.items;
	struct ps_measure_start how = {
		.copies = c->plan->kind == PS_STORE_PACK ? (int)packings[c->plan->part].most : 0,
		.model = ps_measure_cell_model(c)};
	char cache[4096];
	enum ps_status st = cold_cache(c, &how, cache, sizeof(cache), err);
	if (st == PS_OK) {
		st = ps_measure_server_start(c->m, c->set, &how, &c->live, err);
	}
	if (st == PS_OK) {
		c->out.slice_json =
			c->live.process ? keep_json(c, ps_host_slice_json(c->live.process)) : NULL;
		c->out.server_json =
			ps_arena_strndup(&c->arena, c->live.ready_line, strlen(c->live.ready_line));
		st = by_kind(c, err);
		/* A server that does not end in order has something to hide: then the cell fails
		 * too. */
		enum ps_status end = ps_measure_server_stop(&c->live, st == PS_OK ? err : NULL);
		st = st == PS_OK ? end : st;
	}
	if (how.cache_dir) {
		ps_measure_remove_dir(how.cache_dir);
	}
	return st;
}

static enum ps_status run(struct ps_measure_cell *c, struct ps_error *err)
{
	(void)snprintf(c->m->what, sizeof(c->m->what), "%s the server",
		       c->m->c->server.url ? "asking" : "starting");
	if (!ps_measure_say(c->m, NULL)) {
		return ps_error_set(err, PS_ECANCELLED, "stopped");
	}
	return c->plan->kind == PS_STORE_OPERATORS ? by_kind(c, err) : run_with_server(c, err);
}

static void note(struct ps_measure_cell *c, enum ps_status st, const struct ps_error *err)
{
	char text[512];
	if (st != PS_OK) {
		(void)snprintf(text, sizeof(text), "%s: FAILED: %.300s", c->m->cell, err->what);
	} else if (c->plan->kind == PS_STORE_SEARCH || c->plan->kind == PS_STORE_FRONTIER ||
		   c->plan->kind == PS_STORE_PACK) {
		ps_measure_search_note(c, text, sizeof(text));
	} else if (c->plan->kind == PS_STORE_COLD || c->plan->kind == PS_STORE_PROFILE ||
		   c->plan->kind == PS_STORE_OPERATORS) {
		(void)snprintf(text, sizeof(text), "%s: done", c->m->cell);
	} else {
		const struct ps_store_trial *t = &c->trials[0];
		(void)snprintf(text, sizeof(text), "%s: %s%s", c->m->cell,
			       t->met ? "inside every SLA" : "SLA missed",
			       t->valid ? "" : " (INVALID)");
	}
	(void)ps_measure_say(c->m, text);
}

static enum ps_status write(struct ps_measure_cell *c, enum ps_status st, struct ps_error *err)
{
	char reason[sizeof(err->what) + sizeof(err->where) + 4];
	c->out.key = c->plan->key;
	c->out.finished_wall_ns = ps_clock_wall_ns();
	if (st == PS_OK) {
		c->out.state = PS_STORE_DONE;
		c->out.trials = c->trials;
		c->out.trial_len = (size_t)c->trial_len;
		c->out.figures = c->figures;
		c->out.figure_len = (size_t)c->figure_len;
	} else {
		c->out.trial_len = c->out.figure_len = 0;
		(void)snprintf(reason, sizeof(reason), "%s%s%s", err->where,
			       err->where[0] ? ": " : "", err->what);
		c->out.state = PS_STORE_FAILED;
		c->out.reason = reason;
		c->out.capacity.known = false;
		c->m->capacities[c->plan->set].known =
			c->plan->kind != PS_STORE_SEARCH && c->m->capacities[c->plan->set].known;
	}
	enum ps_status written = ps_store_cell_write(c->m->store, c->m->campaign_id, &c->out, err);
	if (written == PS_OK && st == PS_OK) {
		c->out.kind = c->plan->kind;
		c->out.set = c->plan->set;
		c->out.block = c->plan->block;
		written = ps_measure_blocks_add(c->m->blocks, &c->out);
	}
	return written;
}

enum ps_status ps_measure_cell(struct ps_measure_context *m, const struct ps_store_cell *cell,
			       bool *ret_failed, struct ps_error *err)
{
	struct ps_error why, *e = err;
	struct ps_measure_cell *c = calloc(1, sizeof(*c));
	if (!c) {
		return ps_error_set(e, PS_ENOMEM, "no memory for a cell");
	}
	c->m = m;
	c->plan = cell;
	c->set = &m->plan->sets[cell->set];
	ps_arena_init(&c->arena, 0);
	ps_error_clear(&why);
	enum ps_status st =
		ps_store_cell_start(m->store, m->campaign_id, cell->key, ps_clock_wall_ns(), e);
	if (st == PS_OK) {
		enum ps_status ran = run(c, &why);
		*ret_failed = ran != PS_OK;
		if (ran == PS_ECANCELLED) {
			st = ps_error_set(e, PS_ECANCELLED, "stopped in cell %s", cell->key);
			ps_error_hint(e, "run again with --resume to go on");
		} else {
			struct ps_error shown = why;
			st = write(c, ran, &why);
			if (st == PS_ETOOBIG && ran == PS_OK) {
				/* more than a row holds: this cell's fault, not the campaign's */
				ran = st;
				shown = why;
				*ret_failed = true;
				st = write(c, ran, &why);
			}
			if (st != PS_OK && e) {
				*e = why;
			} else {
				note(c, ran, &shown);
			}
		}
	}
	ps_arena_fini(&c->arena);
	free(c);
	return st;
}
