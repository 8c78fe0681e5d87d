/* preview.c - what a run would do. */
#include "measure/measure_internal.h"

#include <stdlib.h>
#include <string.h>

const char *ps_measure_fate_name(enum ps_measure_fate f)
{
	static const char *const names[] = {"new", "kept", "changed", "open"};
	return names[f];
}

/* The earlier form of the campaign, from the store. */
static enum ps_status match_store(const struct ps_measure_run *run, struct ps_store_campaign *plan,
				  struct ps_arena *a, struct ps_measure_match *ret_match,
				  struct ps_error *err)
{
	struct ps_store *store = NULL;
	struct ps_measure_found found = {.campaign = NULL};
	enum ps_status st = ps_store_open(run->store_path, PS_STORE_READ, &store, err);
	if (st == PS_OK) {
		st = ps_measure_find_campaign(store, plan->name, &found, err);
	}
	if (st == PS_OK) {
		st = ps_measure_find_price(run->campaign, a, &plan->price, err);
	}
	if (st == PS_OK) {
		st = ps_measure_match_plans(plan, found.campaign, run->campaign->stop.max_time_ns,
					    a, ret_match, err);
	}
	/* the keys that were dropped are the old campaign's */
	for (size_t i = 0; st == PS_OK && i < ret_match->dropped_len; i++) {
		const char *key = ret_match->dropped[i];
		ret_match->dropped[i] = ps_arena_strndup(a, key, strlen(key));
		if (!ret_match->dropped[i]) {
			st = ps_error_set(err, PS_ENOMEM, "no memory to compare plans");
		}
	}
	ps_store_campaign_free(found.campaign);
	ps_store_close(store);
	return st;
}

static enum ps_status fill(const struct ps_measure_run *run, const struct ps_store_campaign *plan,
			   const struct ps_measure_match *match, struct ps_measure_preview *p,
			   struct ps_error *err)
{
	int64_t max = run->campaign->stop.max_time_ns;
	p->cells = ps_arena_zalloc(&p->arena, sizeof(*p->cells) * (plan->cell_len + 1));
	if (!p->cells) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a preview");
	}
	for (size_t i = 0; i < plan->cell_len; i++) {
		enum ps_measure_fate fate = match ? match->fates[i] : PS_MEASURE_NEW;
		int64_t ns = ps_measure_cell_ns(run->campaign, &plan->cells[i]);
		p->cells[p->cell_len++] = (struct ps_measure_preview_cell){
			plan->cells[i].key, plan->cells[i].kind, fate, ns};
		p->estimate_ns += fate == PS_MEASURE_KEPT ? 0 : ns;
	}
	p->cut = max > 0 && p->estimate_ns > max;
	return PS_OK;
}

static enum ps_status preview(const struct ps_measure_run *run, struct ps_measure_context *m,
			      struct ps_measure_preview *p, struct ps_error *err)
{
	struct ps_store_campaign plan = {0};
	struct ps_measure_match match = {.same = false};
	enum ps_status st = ps_measure_check_slice(m->c, err);
	if (st == PS_OK) {
		st = ps_measure_make_arrivals(m, err);
	}
	if (st == PS_OK) {
		st = ps_measure_make_targets(m, err);
	}
	if (st == PS_OK) {
		st = ps_measure_digest_contents(m, err);
	}
	if (st == PS_OK) {
		st = ps_measure_plan(run->campaign, (const char *const *)m->contents, &p->arena,
				     &plan, err);
	}
	if (st == PS_OK && run->resume) {
		st = match_store(run, &plan, &p->arena, &match, err);
	}
	if (st == PS_OK && run->resume) {
		p->dropped = match.dropped;
		p->dropped_len = match.dropped_len;
		if (!match.same) {
			(void)ps_measure_match_text(&match, p->note);
		}
	}
	return st == PS_OK ? fill(run, &plan, run->resume ? &match : NULL, p, err) : st;
}

enum ps_status ps_measure_preview(const struct ps_measure_run *run,
				  struct ps_measure_preview *ret_preview, struct ps_error *err)
{
	struct ps_measure_context *m = calloc(1, sizeof(*m));
	memset(ret_preview, 0, sizeof(*ret_preview));
	if (!m) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a preview");
	}
	m->run = run;
	m->c = run->campaign;
	ps_arena_init(&ret_preview->arena, 0);
	enum ps_status st = preview(run, m, ret_preview, err);
	ps_measure_free_models(m);
	ps_measure_free_arrivals(m);
	ps_measure_free_targets(m);
	free(m);
	if (st != PS_OK) {
		ps_measure_preview_free(ret_preview);
	}
	return st;
}

void ps_measure_preview_free(struct ps_measure_preview *p)
{
	ps_arena_fini(&p->arena);
	memset(p, 0, sizeof(*p));
}
