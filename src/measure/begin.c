/* begin.c - a campaign's row in the store: begun, gone on with, or changed. */
#include "measure/measure_internal.h"

#include "base/clock.h"
#include "base/strbuf.h"
#include "cost/cost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *keep(struct ps_arena *a, const char *text)
{
	return text ? ps_arena_strndup(a, text, strlen(text)) : NULL;
}

static struct ps_store_terms terms_of(const struct ps_cost_price *p, struct ps_arena *a)
{
	const struct ps_cost_exchange *x = p->exchange;
	return (struct ps_store_terms){
		.billed_per = ps_cost_unit_names[p->billed_per],
		.minimum_ns = p->minimum_ns,
		.spot_usd_per_hour = p->spot_usd_per_hour,
		.reserved_1y_usd_per_hour = p->reserved_1y_usd_per_hour,
		.gpu_kind = keep(a, p->gpu_kind),
		.gpu_count = p->gpu_count,
		.currency = x ? keep(a, x->currency) : NULL,
		.exchange_usd = x ? x->usd : 0,
		.exchange_source = x ? keep(a, x->source) : NULL,
		.exchange_date = x ? keep(a, x->source_date) : NULL,
	};
}

enum ps_status ps_measure_find_price(const struct ps_measure_campaign *c, struct ps_arena *a,
				     struct ps_store_price *ret_price, struct ps_error *err)
{
	struct ps_cost_sheet sheet = {0};
	const struct ps_cost_price *p = NULL;
	if (!c->slice.priced_as) {
		return PS_OK;
	}
	char *path = ps_measure_path(c->folder, c->slice.prices);
	enum ps_status st = path ? ps_cost_sheet_load(path, &sheet, err)
				 : ps_error_set(err, PS_ENOMEM, "no memory for a path");
	free(path);
	if (st != PS_OK) {
		return st;
	}
	st = ps_cost_sheet_find(&sheet, c->slice.priced_as, &p, err);
	if (st == PS_OK) {
		*ret_price = (struct ps_store_price){
			.provider = keep(a, p->provider),
			.region = keep(a, p->region),
			.instance_type = keep(a, p->instance_type),
			.vcpu = p->vcpu,
			.memory_gib = p->memory_gib,
			.usd_per_hour = p->on_demand_usd_per_hour,
			.source = keep(a, p->source),
			.source_date = keep(a, p->source_date),
			.terms = terms_of(p, a),
		};
	} else {
		ps_error_where(err, "%.100s:%d:slice.priced_as", c->path, c->slice.where.line);
	}
	ps_cost_sheet_free(&sheet);
	return st;
}

static char *full_command(const struct ps_measure_campaign *c, struct ps_arena *a)
{
	struct ps_strbuf b;
	char *path = c->full ? ps_measure_path(c->folder, c->full) : NULL;
	if (!path) {
		return NULL;
	}
	ps_strbuf_init(&b);
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	int n = (int)strcspn(base, ".");
	/* Files of its own, so that the short run's results stay. */
	ps_strbuf_printf(&b, "perseus measure %s --store %.*s.db --report %.*s.html", path, n, base,
			 n, base);
	char *kept = keep(a, b.data);
	ps_strbuf_fini(&b);
	free(path);
	return kept;
}

/* ---- rows ---- */

static enum ps_status fill_row(struct ps_measure_context *m, struct ps_arena *a,
			       struct ps_store_campaign *plan, const char *old_manifest,
			       struct ps_error *err)
{
	char cpus[PS_CPUS_SIZE];
	char *manifest = ps_measure_manifest(m, old_manifest);
	plan->manifest_json = keep(a, manifest);
	free(manifest);
	plan->started_wall_ns = ps_clock_wall_ns();
	plan->slice_cpus = keep(a, ps_cpus_format(&m->c->slice.cpus, cpus));
	plan->slice_memory_bytes = m->c->slice.memory_bytes;
	plan->slice_cpu_quota = m->c->slice.cpu_quota;
	plan->full_command = full_command(m->c, a);
	return plan->manifest_json ? PS_OK
				   : ps_error_set(err, PS_ENOMEM, "no memory for the manifest");
}

static enum ps_status begin_new(struct ps_measure_context *m, struct ps_arena *a,
				struct ps_store_campaign *plan, struct ps_error *err)
{
	enum ps_status st = fill_row(m, a, plan, NULL, err);
	return st == PS_OK ? ps_store_campaign_begin(m->store, plan, &m->campaign_id, err) : st;
}

/* The same campaign: one more run in its manifest. */
static enum ps_status go_on_same(struct ps_measure_context *m, const struct ps_store_campaign *old,
				 struct ps_error *err)
{
	char *manifest = ps_measure_manifest(m, old->manifest_json);
	m->campaign_id = old->id;
	enum ps_status st =
		manifest ? ps_store_campaign_set_manifest(m->store, old->id, manifest, err)
			 : ps_error_set(err, PS_ENOMEM, "no memory for the manifest");
	free(manifest);
	return st;
}

/* A changed campaign: a row of its own, which takes over what is still valid. */
static enum ps_status go_on_changed(struct ps_measure_context *m, struct ps_arena *a,
				    struct ps_store_campaign *plan,
				    const struct ps_store_campaign *old,
				    const struct ps_measure_match *match, struct ps_error *err)
{
	char text[PS_MEASURE_MATCH_SIZE];
	plan->previous = old->id;
	m->match_text = ps_measure_match_text(match, text);
	enum ps_status st = fill_row(m, a, plan, old->manifest_json, err);
	if (st == PS_OK) {
		st = ps_store_campaign_go_on(m->store, plan, match->moves, match->move_len,
					     &m->campaign_id, err);
	}
	if (st == PS_OK) {
		(void)ps_measure_say(m, text);
	}
	m->match_text = NULL;
	return st;
}

static void say_passed_over(struct ps_measure_context *m, const struct ps_measure_found *f)
{
	char text[160];
	if (f->passed_over > 0) {
		(void)snprintf(text, sizeof(text),
			       "going on with campaign %lld: %d begun later were measured on other "
			       "machines",
			       (long long)f->campaign->id, f->passed_over);
		(void)ps_measure_say(m, text);
	}
}

/* Whichever way the store is gone on with: nobody should learn of damage from the report only. */
static void say_damaged(struct ps_measure_context *m, const struct ps_store_campaign *old)
{
	char text[400];
	for (size_t i = 0; i < old->cell_len; i++) {
		if (old->cells[i].damaged && old->cells[i].state == PS_STORE_DONE) {
			(void)snprintf(text, sizeof(text),
				       "cell %.300s: what the store holds is not what was written; "
				       "it counts no more",
				       old->cells[i].key);
			(void)ps_measure_say(m, text);
		}
	}
}

static enum ps_status resume(struct ps_measure_context *m, struct ps_arena *a,
			     struct ps_store_campaign *plan, struct ps_error *err)
{
	struct ps_measure_found found = {.campaign = NULL};
	struct ps_measure_match match;
	enum ps_status st = ps_measure_find_campaign(m->store, m->c->name, &found, err);
	struct ps_store_campaign *old = found.campaign;
	if (st == PS_OK) {
		st = ps_measure_match_plans(plan, old, m->c->stop.max_time_ns, a, &match, err);
	}
	if (st == PS_OK) {
		say_passed_over(m, &found);
		say_damaged(m, old);
		st = match.same ? go_on_same(m, old, err)
				: go_on_changed(m, a, plan, old, &match, err);
	}
	if (st != PS_OK && err && !err->where[0]) {
		ps_error_where(err, "%s", m->run->store_path);
	}
	ps_store_campaign_free(old);
	return st;
}

enum ps_status ps_measure_begin(struct ps_measure_context *m, struct ps_error *err)
{
	struct ps_arena a;
	struct ps_store_campaign plan;
	ps_arena_init(&a, 0);
	enum ps_status st = ps_measure_plan(m->c, (const char *const *)m->contents, &a, &plan, err);
	if (st == PS_OK) {
		st = ps_measure_find_price(m->c, &a, &plan.price, err);
	}
	if (st == PS_OK) {
		st = m->run->resume ? resume(m, &a, &plan, err) : begin_new(m, &a, &plan, err);
	}
	ps_arena_fini(&a);
	return st;
}
