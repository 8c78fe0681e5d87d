/* warn.c - what a reader must know before trusting the numbers. */
#include "report/costs.h"
#include "report_internal.h"

#include "base/cpus.h"
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STEAL_PERCENT = 2, MAX_NAMED = 5, MAX_RUNS = 1000 };

struct list {
	struct ps_report_answer *a;
	size_t dropped;
	bool failed;
};

static void warn(struct list *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void warn(struct list *w, const char *fmt, ...)
{
	struct ps_strbuf text;
	va_list ap;

	if (w->a->warning_len + 1 >= PS_REPORT_MAX_WARNINGS) {
		w->dropped++;
		return;
	}
	ps_strbuf_init(&text);
	va_start(ap, fmt);
	ps_strbuf_vprintf(&text, fmt, ap);
	va_end(ap);
	char *line = ps_strbuf_take_data(&text);
	ps_strbuf_fini(&text);
	w->failed = w->failed || !line;
	if (line)
		w->a->warnings[w->a->warning_len++] = line;
}

static void warn_price(struct list *w)
{
	const struct ps_store_campaign *c = w->a->campaign;
	char text[PS_COST_WARNING_SIZE];
	struct ps_report_price_row row;
	struct ps_cpus cpus;

	if (!w->a->has_price) {
		warn(w, "The campaign names no price: machines are counted, money is not.");
		return;
	}
	ps_report_price_row_of(&c->price, &row);
	if (ps_cpus_parse(c->slice_cpus ? c->slice_cpus : "", &cpus, NULL) == PS_OK &&
	    ps_cost_slice_warning(&row.price,
				  ps_cost_slice_vcpu(ps_cpus_count(&cpus), c->slice_cpu_quota),
				  c->slice_memory_bytes, text))
		warn(w, "Price: %s.", text);
	/* by the day of the campaign: the same store gives the same report on any day */
	if (c->started_wall_ns > 0 &&
	    ps_cost_age_warning(&row.price, ps_cost_date_of(c->started_wall_ns), text))
		warn(w, "Price: %s.", text);
}

/* ---- runs ---- */

struct named {
	const char *keys[3], *what;
};

static const char *said_by(const json_t *run, const struct named *n)
{
	for (int i = 0; i < 3 && n->keys[i]; i++)
		run = json_object_get(run, n->keys[i]);
	return json_string_value(run);
}

/* Whether an earlier run said the same, or this one says nothing. */
static bool is_known(const json_t *runs, size_t i, const struct named *n)
{
	const char *mine = said_by(json_array_get(runs, i), n);

	for (size_t k = 0; mine && k < i; k++) {
		const char *other = said_by(json_array_get(runs, k), n);
		if (other && strcmp(other, mine) == 0)
			return true;
	}
	return !mine;
}

static void warn_named(struct list *w, const json_t *runs, const struct named *n)
{
	struct ps_strbuf text;
	int different = 0;

	ps_strbuf_init(&text);
	for (size_t i = 0; i < json_array_size(runs) && different < MAX_NAMED; i++)
		if (!is_known(runs, i, n))
			ps_strbuf_printf(&text, "%s%.40s", different++ ? ", " : "",
					 said_by(json_array_get(runs, i), n));
	if (different > 1)
		warn(w,
		     "The runs of this campaign had different %s: %s. What they measured stands "
		     "side by side.",
		     n->what, text.data);
	ps_strbuf_fini(&text);
}

/* What a resumed campaign may have changed under its results. */
static void warn_runs(struct list *w)
{
	static const struct named names[] = {
		{{"perseus", "version"}, "versions of Perseus"},
		{{"perseus", "revision"}, "builds of Perseus"},
		{{"onnxruntime", "sha256"}, "libraries of ONNX Runtime (by SHA-256)"},
		{{"machine", "kernel", "release"}, "kernels"},
	};
	const char *text = w->a->campaign->manifest_json;
	json_t *o = NULL;

	if (text && ps_json_parse(text, strlen(text), &o, NULL) == PS_OK) {
		const json_t *runs = json_object_get(o, "runs");
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			if (json_array_size(runs) <= MAX_RUNS)
				warn_named(w, runs, &names[i]);
	}
	json_decref(o);
}

/* First of all: nothing below is worth more than what it was made of. */
static void warn_damage(struct list *w)
{
	const struct ps_store_campaign *c = w->a->campaign;

	if (c->damaged)
		warn(w,
		     "DAMAGED: the plan of this campaign (its tenants, sets, SLAs or price) is not "
		     "what was written to the store (perseus store check).");
	for (size_t i = 0; i < c->cell_len; i++)
		if (c->cells[i].damaged)
			warn(w,
			     "DAMAGED: cell %s is not what was written to the store (perseus "
			     "store check); perseus measure --resume measures it again.",
			     c->cells[i].key);
}

static void warn_cells(struct list *w)
{
	const struct ps_store_campaign *c = w->a->campaign;
	int moved = 0;

	if (w->a->cells_open > 0)
		warn(w,
		     "The campaign is not finished: %d of %zu cells are still to be measured "
		     "(perseus measure --resume).",
		     w->a->cells_open, c->cell_len);
	for (size_t i = 0; i < c->cell_len; i++)
		if (c->cells[i].state == PS_STORE_MOVED) {
			moved++;
		} else if (c->cells[i].state == PS_STORE_FAILED) {
			warn(w, "Cell %s failed: %s.", c->cells[i].key,
			     c->cells[i].reason ? c->cells[i].reason : "no reason was stored");
		}
	if (moved > 0)
		warn(w,
		     "%d cells went on with a changed form of this campaign, and are in its "
		     "report.",
		     moved);
}

/* Reasons are stored one per line; they are shown in one. */
static void warn_reasons(struct list *w, const struct ps_store_cell *cell,
			 const struct ps_store_trial *t, const char *who, const char *reasons)
{
	struct ps_strbuf text;

	ps_strbuf_init(&text);
	for (const char *p = reasons ? reasons : "no reason was stored"; *p; p++) {
		if (*p != '\n')
			ps_strbuf_putc(&text, *p);
		else if (p[1])
			ps_strbuf_puts(&text, "; ");
	}
	warn(w, "INVALID: %s, trial %d (%s)%s%s: %s.", cell->key, t->number + 1,
	     ps_store_role_name(t->role), who ? ", " : "", who ? who : "", text.data);
	ps_strbuf_fini(&text);
}

/* Failures that no load explains: see the outcomes in docs/load.md. */
static bool is_odd(const char *outcome)
{
	static const char *const names[] = {"connect", "reset", "garbage", "rejected",
					    "wrong_answer"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(outcome, names[i]) == 0)
			return true;
	return false;
}

static void put_failure(struct ps_strbuf *b, const char *outcome, long long n, bool *ret_odd)
{
	if (strcmp(outcome, "ok") == 0 || n <= 0)
		return;
	ps_strbuf_printf(b, "%s%lld %.40s", b->len ? ", " : "", n, outcome);
	*ret_odd = *ret_odd || is_odd(outcome);
}

/* "30 rejected, 2 timeout"; *ret_odd: there are odd ones. */
static void put_failures(struct ps_strbuf *b, const char *outcomes_json, bool *ret_odd)
{
	json_t *o = NULL, *value;
	const char *key;

	if (outcomes_json &&
	    ps_json_parse(outcomes_json, strlen(outcomes_json), &o, NULL) == PS_OK) {
		json_object_foreach(o, key, value)
		{
			put_failure(b, key, json_integer_value(value), ret_odd);
		}
	}
	json_decref(o);
}

/* Steps of searches and points of grids are there to be too much: of them only what is odd. */
static void warn_failures(struct list *w, const struct ps_store_cell *cell,
			  const struct ps_store_trial *t, const struct ps_store_result *r)
{
	const struct ps_store_tenant *who = &w->a->campaign->tenants[r->tenant];
	bool odd = t->role == PS_STORE_DEMAND || t->role == PS_STORE_AT_CAPACITY;
	struct ps_strbuf kinds;

	if (r->scheduled == 0 ||
	    (double)r->ok / (double)r->scheduled >= who->sla.min_success - 1e-12)
		return;
	ps_strbuf_init(&kinds);
	put_failures(&kinds, r->outcomes_json, &odd);
	if (odd)
		warn(w,
		     "FAILURES: %s, trial %d (%s), %s: %llu of %llu requests did not succeed "
		     "(%s)%s%.300s.",
		     cell->key, t->number + 1, ps_store_role_name(t->role), who->name,
		     (unsigned long long)(r->scheduled - r->ok), (unsigned long long)r->scheduled,
		     kinds.len ? kinds.data : "how was not stored",
		     r->first_failure ? "; the first: " : "",
		     r->first_failure ? r->first_failure : "");
	ps_strbuf_fini(&kinds);
}

static void warn_trial(struct list *w, const struct ps_store_cell *cell,
		       const struct ps_store_trial *t)
{
	bool named = false;

	for (size_t i = 0; i < t->result_len; i++) {
		const struct ps_store_result *r = &t->results[i];
		if (!r->valid)
			warn_reasons(w, cell, t, w->a->campaign->tenants[r->tenant].name,
				     r->reasons);
		named = named || !r->valid;
		warn_failures(w, cell, t, r);
	}
	if (!t->valid && !named)
		warn_reasons(w, cell, t, NULL, t->reasons);
}

static void warn_trials(struct list *w)
{
	const struct ps_store_campaign *c = w->a->campaign;

	for (size_t i = 0; i < c->cell_len; i++)
		for (size_t j = 0; c->cells[i].state == PS_STORE_DONE && j < c->cells[i].trial_len;
		     j++)
			if (c->cells[i].trials[j].role != PS_STORE_SCALE)
				warn_trial(w, &c->cells[i], &c->cells[i].trials[j]);
}

static void warn_capacity(struct list *w, const char *name, const struct ps_store_capacity *cap)
{
	if (!cap) {
		warn(w, "The capacity of %s is not known.", name);
		return;
	}
	if (!cap->checked)
		warn(w, "The capacity of %s was not confirmed by a fresh trial.", name);
	else if (!cap->check_met)
		warn(w,
		     "No fresh trial confirmed the capacity of %s: from the lower end of its "
		     "interval down, each violated an SLA.",
		     name);
	if (ps_report_method_says(cap, "cut"))
		warn(w,
		     "The capacity of %s was lowered: a fresh trial at or below the fitted rate "
		     "violated an SLA, and the highest rate below it that passed is given.",
		     name);
	if (ps_report_method_is(cap, "stop", "time"))
		warn(w,
		     "The search for the capacity of %s was cut short by the campaign's max-time, "
		     "after %.0f steps.",
		     name, ps_report_method_number(cap, "steps"));
}

static bool is_searched(const struct ps_store_campaign *c, int set)
{
	for (size_t i = 0; i < c->cell_len; i++)
		if (c->cells[i].kind == PS_STORE_SEARCH && c->cells[i].set == set)
			return true;
	return false;
}

static void warn_sets(struct list *w)
{
	const struct ps_store_campaign *c = w->a->campaign;

	for (size_t s = 0; s < c->set_len; s++) {
		const struct ps_report_set *set = &w->a->sets[s];
		if (is_searched(c, (int)s))
			warn_capacity(w, c->sets[s].name, set->capacity);
		if (set->steal_share * 100 > MAX_STEAL_PERCENT)
			warn(w,
			     "While %s was measured, others took %.1f %% of a CPU's time from this "
			     "machine (steal).",
			     c->sets[s].name, 100 * set->steal_share);
	}
	for (size_t i = 0; i < w->a->comparison_len; i++)
		if (w->a->comparisons[i].possible && !w->a->comparisons[i].on_ray)
			warn(w,
			     "The demand rates of %s do not lie on the ray that was searched: "
			     "their share of a machine is interpolated.",
			     c->sets[w->a->comparisons[i].set].name);
}

enum ps_status ps_report_warn(struct ps_report_answer *a, struct ps_error *err)
{
	struct list w = {.a = a};

	a->warnings = calloc(PS_REPORT_MAX_WARNINGS, sizeof *a->warnings);
	if (!a->warnings)
		return ps_error_set(err, PS_ENOMEM, "no memory for the report");
	warn_damage(&w);
	warn_price(&w);
	warn_runs(&w);
	warn_cells(&w);
	warn_sets(&w);
	warn_trials(&w);
	if (w.dropped > 0) {
		char *line = NULL;
		if (asprintf(&line, "%zu more warnings are not shown.", w.dropped) >= 0)
			a->warnings[a->warning_len++] = line;
		else
			w.failed = true;
	}
	return w.failed ? ps_error_set(err, PS_ENOMEM, "no memory for the warnings") : PS_OK;
}
