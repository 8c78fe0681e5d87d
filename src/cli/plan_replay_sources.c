/* Which tenant gets which arrivals. */
#include "cli/plan_replay_internal.h"

#include <stdlib.h>
#include <string.h>

static const int64_t bin_ns = INT64_C(60000000000);
static const char *const rates_word = "rates";

void ps_cli_replay_sources_fini(struct ps_cli_replay_sources *s)
{
	for (int i = 0; i < s->n; i++) {
		free(s->items[i].path);
		free(s->items[i].phases);
	}
	free(s->items);
	free(s->of);
	free(s->from);
	free(s->to);
	ps_load_traces_fini(&s->traces);
	*s = (struct ps_cli_replay_sources){0};
}

/* ---- files ---- */

static enum ps_status read_trace(struct ps_cli_replay_sources *s,
				 const struct ps_cli_replay_options *o, uint64_t seed,
				 struct ps_cli_replay_source *x, struct ps_error *err)
{
	static const double units_ns[] = {0, 1, 1e3, 1e6, 1e9};
	struct ps_load_trace_options t = {.format = (enum ps_load_trace_format)o->format,
					  .unit_ns = units_ns[o->unit],
					  .from_ns = o->from_ns,
					  .length_ns = o->length_ns,
					  .seed = seed};

	if (t.unit_ns > 0 && t.format != PS_LOAD_TRACE_GAPS && t.format != PS_LOAD_TRACE_TIMESTAMPS)
		return ps_error_set(err, PS_EUSAGE,
				    "--replay-unit is for the formats gaps and timestamps");
	enum ps_status st = ps_load_traces_get(&s->traces, x->path, &t, &x->trace, err);
	if (st == PS_ETOOBIG)
		ps_error_hint(
			err,
			"all traces of a replay together may have %u arrivals: take a stretch "
			"of them with --replay-from and --replay-length, such as the busiest "
			"hours",
			PS_LOAD_TRACE_MAX_ENTRIES);
	if (st != PS_OK || x->trace->length_ns <= PS_CLI_REPLAY_MAX_NS)
		return st;
	ps_error_set(err, PS_ETOOBIG, "the trace is longer than 31 days");
	ps_error_where(err, "%.190s", x->path);
	ps_error_hint(err, "--replay-from and --replay-length take a stretch of it");
	return PS_ETOOBIG;
}

static enum ps_status make_curve(const struct ps_cli_replay_options *o,
				 struct ps_cli_replay_source *x, struct ps_error *err)
{
	double rate;

	x->n_phases = ps_sim_curve_len(x->trace, bin_ns);
	x->phases = calloc((size_t)x->n_phases, sizeof(*x->phases));
	if (!x->phases)
		return ps_error_set(err, PS_ENOMEM, "no memory for a trace's rates");
	ps_sim_curve(x->trace, bin_ns, o->interval_ns, x->phases, &rate);
	return PS_OK;
}

/* ---- tenants ---- */

static bool is_meant(const struct ps_plan_tenant *t, const char *name, size_t len)
{
	const char *row = t->file->name;

	return (strncmp(t->name, name, len) == 0 && t->name[len] == '\0') ||
	       (strncmp(row, name, len) == 0 && row[len] == '\0');
}

/* Those of a name; without one, those that have no trace yet. They share it by their planned
 * peaks. */
static enum ps_status deal(const struct ps_plan_case *c, struct ps_cli_replay_sources *s,
			   const char *name, size_t len, struct ps_error *err)
{
	double all = 0, upto = 0;
	int found = 0;

	for (int i = 0; i < c->n_tenants; i++) {
		if (name ? !is_meant(&c->tenants[i], name, len) : s->of[i] >= 0)
			continue;
		if (s->of[i] >= 0)
			return ps_error_set(err, PS_EUSAGE, "--replay: two traces for tenant %s",
					    c->tenants[i].name);
		s->of[i] = s->n - 1;
		all += c->tenants[i].peak_rps;
		found++;
	}
	if (found == 0 && name)
		return ps_error_set(err, PS_EUSAGE, "--replay: the plan has no tenant %.*s",
				    (int)(len < 100 ? len : 100), name);
	if (found == 0)
		return ps_error_set(err, PS_EUSAGE,
				    "--replay: every tenant has a trace of its own, nobody gets "
				    "%.100s",
				    s->items[s->n - 1].path);
	for (int i = 0; i < c->n_tenants; i++) {
		if (s->of[i] != s->n - 1)
			continue;
		s->from[i] = upto / all;
		upto += c->tenants[i].peak_rps;
		s->to[i] = --found > 0 ? upto / all : 1;
	}
	return PS_OK;
}

/* ---- items ---- */

/* "a/b=c" is a path: names of tenants have no slash. */
static const char *equals_sign(const char *item)
{
	const char *at = item + strcspn(item, "=/");

	return *at == '=' ? at : NULL;
}

static enum ps_status add(const struct ps_plan_case *c, const struct ps_cli_replay_options *o,
			  uint64_t seed, const char *item, struct ps_cli_replay_sources *s,
			  struct ps_error *err)
{
	const char *equals = equals_sign(item);
	struct ps_cli_replay_source *x = &s->items[s->n];

	x->path = strdup(equals ? equals + 1 : item);
	if (!x->path)
		return ps_error_set(err, PS_ENOMEM, "no memory for a path");
	s->n++;
	enum ps_status st =
		deal(c, s, equals ? item : NULL, equals ? (size_t)(equals - item) : 0, err);
	if (st == PS_OK)
		st = read_trace(s, o, seed, x, err);
	if (st == PS_OK && o->rate == PS_CLI_REPLAY_PLANNED)
		st = make_curve(o, x, err);
	return st;
}

static enum ps_status make_room(const struct ps_plan_case *c, const struct ps_cli_replay_options *o,
				struct ps_cli_replay_sources *s, struct ps_error *err)
{
	size_t n = (size_t)c->n_tenants;

	s->items = calloc(o->what.len + 1, sizeof(*s->items));
	s->of = calloc(n, sizeof(*s->of));
	s->from = calloc(n, sizeof(*s->from));
	s->to = calloc(n, sizeof(*s->to));
	if (!s->items || !s->of || !s->from || !s->to)
		return ps_error_set(err, PS_ENOMEM, "no memory for a replay");
	memset(s->of, -1, n * sizeof(*s->of));
	return PS_OK;
}

/* Traces of tenants first: the one for everybody is for those who are left. */
enum ps_status ps_cli_replay_sources_open(const struct ps_plan_case *c,
					  const struct ps_cli_replay_options *o, uint64_t seed,
					  struct ps_cli_replay_sources *ret_sources,
					  struct ps_error *err)
{
	struct ps_cli_replay_sources *s = ret_sources;
	enum ps_status st = make_room(c, o, s, err);
	const char *rest = NULL;

	for (size_t i = 0; st == PS_OK && i < o->what.len; i++) {
		const char *item = o->what.items[i];
		if (equals_sign(item))
			st = add(c, o, seed, item, s, err);
		else if (rest)
			st = ps_error_set(err, PS_EUSAGE,
					  "--replay: %.80s and %.80s: only one can be for all "
					  "tenants without a trace of their own",
					  rest, item);
		else
			rest = item;
	}
	if (st == PS_OK && rest && strcmp(rest, rates_word) != 0)
		st = add(c, o, seed, rest, s, err);
	return st;
}
