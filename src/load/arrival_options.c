/* arrival_options.c - see arrival_options.h. */
#include "load/arrival_options.h"

#include "base/strbuf.h"

#include <stdlib.h>
#include <string.h>

/* Behind the first one the order of enum ps_load_arrival_kind, but for the closed loop, which a
 * concurrency asks for. */
const char *const ps_load_arrival_choices[] = {"auto",	 "poisson", "constant", "gamma",
					       "bursts", "ramp",    "steps",	"sinusoid",
					       "trace",	 "offline", NULL};
/* The order of enum ps_load_trace_format. */
const char *const ps_load_trace_format_choices[] = {
	"auto", "azure-functions-2019", "azure-functions-2021", "azure-llm", "gaps", "timestamps",
	NULL};
const char *const ps_load_trace_unit_choices[] = {"own", "ns", "us", "ms", "s", NULL};
const char *const ps_load_trace_split_choices[] = {"arrivals", "functions", NULL};
const char *const ps_load_think_choices[] = {"exponential", "constant", NULL};

static enum ps_load_arrival_kind kind_of(const struct ps_load_arrival_options *o)
{
	int last = PS_LOAD_TRACE;

	if (o->arrival == 0)
		return o->concurrency ? PS_LOAD_CLOSED : PS_LOAD_POISSON;
	if (o->arrival - 1 > last)
		return PS_LOAD_OFFLINE;
	return (enum ps_load_arrival_kind)(o->arrival - 1);
}

const char *ps_load_arrival_choice(const struct ps_load_arrival_options *o)
{
	return ps_load_arrival_choices[o->arrival ? o->arrival : 1];
}

/* ---- what belongs together ---- */

#define OF(kind) (1u << PS_LOAD_##kind)
#define RATED	 (~(OF(STEPS) | OF(CLOSED) | OF(OFFLINE)))
#define ANSWERED (OF(CLOSED) | OF(OFFLINE))

static enum ps_status check_together(const struct ps_load_arrival_options *o,
				     enum ps_load_arrival_kind kind, struct ps_error *err)
{
	const struct {
		const char *name;
		bool given;
		unsigned kinds, needed; /* may be given with; must be */
	} rows[] = {
		{"concurrency", o->concurrency != 0, ANSWERED, ANSWERED},
		{"rate", o->rate != 0, RATED, RATED & ~(OF(RAMP) | OF(TRACE))},
		{"cv", o->cv != 0, OF(GAMMA), OF(GAMMA)},
		{"burst-ratio", o->burst_ratio != 0, OF(BURSTS), 0},
		{"burst-share", o->burst_share != 0, OF(BURSTS), 0},
		{"burst-length", o->burst_length != 0, OF(BURSTS), 0},
		{"ramp-to", o->ramp_to != 0, OF(RAMP), 0},
		{"ramp-over", o->ramp_over != 0, OF(RAMP), OF(RAMP)},
		{"rate-steps", o->steps.len != 0, OF(STEPS), OF(STEPS)},
		{"swing", o->swing != 0, OF(SINUSOID), OF(SINUSOID)},
		{"period", o->period != 0, OF(SINUSOID), OF(SINUSOID)},
		{"phase", o->phase != 0, OF(SINUSOID), 0},
		{"even", o->even, OF(RAMP) | OF(STEPS), 0},
		{"trace", o->trace != NULL, OF(TRACE), OF(TRACE)},
		{"trace-format", o->trace_format != 0, OF(TRACE), 0},
		{"trace-unit", o->trace_unit != 0, OF(TRACE), 0},
		{"trace-speed", o->trace_speed != 0, OF(TRACE), 0},
		{"trace-loop", o->trace_loop, OF(TRACE), 0},
		{"trace-from", o->trace_from != 0, OF(TRACE), 0},
		{"trace-length", o->trace_length != 0, OF(TRACE), 0},
		{"trace-part", o->trace_part != NULL, OF(TRACE), 0},
		{"trace-split", o->trace_split != 0, OF(TRACE), 0},
		{"think-time", o->think_time != 0, OF(CLOSED), 0},
		{"think", o->think != 0, OF(CLOSED), 0},
	};
	const char *name = kind == PS_LOAD_CLOSED ? "a concurrency" : ps_load_arrival_name(kind);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].given && !(rows[i].kinds & 1u << kind))
			return ps_error_set(err, PS_EUSAGE, "%s means nothing with %s%s",
					    rows[i].name, kind == PS_LOAD_CLOSED ? "" : "arrival ",
					    name);
		if (!rows[i].given && rows[i].needed & 1u << kind)
			return ps_error_set(err, PS_EUSAGE, "arrival %s needs %s", name,
					    rows[i].name);
	}
	return PS_OK;
}

/* The two that a beginner meets. */
static enum ps_status check_loop(const struct ps_load_arrival_options *o,
				 enum ps_load_arrival_kind kind, struct ps_error *err)
{
	bool said_elsewhere = kind == PS_LOAD_RAMP || kind == PS_LOAD_STEPS ||
			      kind == PS_LOAD_TRACE || kind == PS_LOAD_OFFLINE;

	if (said_elsewhere || (o->rate > 0) != (o->concurrency > 0))
		return PS_OK;
	if (o->rate > 0)
		return ps_error_set(err, PS_EUSAGE,
				    "a rate is of an open loop, a concurrency of a closed one: "
				    "give one of them");
	ps_error_set(err, PS_EUSAGE,
		     "either a rate (open loop) or a concurrency (closed loop) is needed");
	ps_error_hint(err, "an open loop is what independent users do");
	return PS_EUSAGE;
}

/* ---- steps ---- */

struct step_options {
	double rate;
	int64_t duration;
};

static const struct ps_conf_option step_rows[] = {
	{.name = "rate",
	 .type = PS_CONF_RATE,
	 .offset = offsetof(struct step_options, rate),
	 .min = 0,
	 .max = PS_LOAD_MAX_RATE_RPS,
	 .flags = PS_CONF_REQUIRED | PS_CONF_POSITIONAL,
	 .help = "Requests per second."},
	{.name = "duration",
	 .type = PS_CONF_DURATION,
	 .offset = offsetof(struct step_options, duration),
	 .min = 1e6,
	 .max = 7 * 86400e9,
	 .flags = PS_CONF_REQUIRED | PS_CONF_POSITIONAL,
	 .help = "How long."},
	{0},
};

static const struct ps_conf_schema step_schema = {
	.name = "step",
	.summary = "One step.",
	.options = step_rows,
	.size = sizeof(struct step_options),
	.where_offset = SIZE_MAX,
};

static enum ps_status parse_step(char *item, struct ps_load_step *ret_step, struct ps_error *err)
{
	char *colon = strchr(item, ':'), *argv[] = {"--", item, colon ? colon + 1 : NULL};
	struct step_options o;
	struct ps_error inner = {0};
	bool help;

	if (!colon)
		return ps_error_set(err, PS_EUSAGE,
				    "rate-steps: '%.60s' is not RATE:TIME, such as 50:30s", item);
	*colon = '\0';
	enum ps_status st = ps_conf_parse_args(&step_schema, 3, argv, &o, &help, &inner);
	if (st != PS_OK)
		return ps_error_set(err, st, "rate-steps: '%.60s:%.60s': %s", argv[1], argv[2],
				    inner.what);
	*ret_step = (struct ps_load_step){.rate_rps = o.rate, .duration_ns = o.duration};
	return PS_OK;
}

static enum ps_status add_step(struct ps_load_step **steps, size_t *len, char *item,
			       struct ps_error *err)
{
	if (*len == PS_LOAD_MAX_STEPS)
		return ps_error_set(err, PS_EUSAGE, "over %d steps", PS_LOAD_MAX_STEPS);
	if ((*len & (*len - 1)) == 0) { /* full at each power of two, and when empty */
		void *p = realloc(*steps, (*len ? 2 * *len : 1) * sizeof(**steps));

		if (!p)
			return ps_error_set(err, PS_ENOMEM, "no memory for steps");
		*steps = p;
	}
	enum ps_status st = parse_step(item, &(*steps)[*len], err);
	*len += st == PS_OK;
	return st;
}

static enum ps_status add_steps(struct ps_load_step **steps, size_t *len, const char *text,
				struct ps_error *err)
{
	char *copy = strdup(text), *rest = copy, *item;
	enum ps_status st = PS_OK;

	if (!copy)
		return ps_error_set(err, PS_ENOMEM, "no memory for steps");
	while (st == PS_OK && (item = strsep(&rest, ",")))
		st = add_step(steps, len, item + strspn(item, " "), err);
	free(copy);
	return st;
}

enum ps_status ps_load_steps_parse(const struct ps_conf_texts *texts,
				   struct ps_load_step **ret_steps, size_t *ret_len,
				   struct ps_error *err)
{
	enum ps_status st = PS_OK;

	*ret_steps = NULL;
	*ret_len = 0;
	for (size_t i = 0; st == PS_OK && i < texts->len; i++)
		st = add_steps(ret_steps, ret_len, texts->items[i], err);
	if (st != PS_OK) {
		free(*ret_steps);
		*ret_steps = NULL;
		*ret_len = 0;
	}
	return st;
}

/* ---- traces ---- */

enum ps_status ps_load_part_parse(const char *text, int *ret_part, int *ret_parts,
				  struct ps_error *err)
{
	char *end = NULL;
	long part = 0, parts = 0;

	if (*text >= '1' && *text <= '9')
		part = strtol(text, &end, 10);
	if (end && *end == '/' && end[1] >= '1' && end[1] <= '9')
		parts = strtol(end + 1, &end, 10);
	if (parts == 0 || *end || part > parts || parts > PS_LOAD_MAX_PARTS)
		return ps_error_set(err, PS_EUSAGE,
				    "trace-part: '%.40s' is not I/N with 1 <= I <= N <= %d", text,
				    PS_LOAD_MAX_PARTS);
	*ret_part = (int)part - 1;
	*ret_parts = (int)parts;
	return PS_OK;
}

static enum ps_status read_trace(const struct ps_load_arrival_options *o, const char *base_dir,
				 uint64_t seed, struct ps_load_traces *traces,
				 struct ps_load_replay *r, struct ps_error *err)
{
	static const double units_ns[] = {0, 1, 1e3, 1e6, 1e9};
	struct ps_load_trace_options t = {.format = (enum ps_load_trace_format)o->trace_format,
					  .unit_ns = units_ns[o->trace_unit],
					  .from_ns = o->trace_from,
					  .length_ns = o->trace_length,
					  .seed = seed};
	bool plain = t.format == PS_LOAD_TRACE_GAPS || t.format == PS_LOAD_TRACE_TIMESTAMPS;
	struct ps_strbuf path;

	if (t.unit_ns > 0 && !plain)
		return ps_error_set(err, PS_EUSAGE,
				    "trace-unit is for the formats gaps and timestamps");
	ps_strbuf_init(&path);
	if (base_dir && o->trace[0] != '/')
		ps_strbuf_printf(&path, "%s/", base_dir);
	ps_strbuf_printf(&path, "%s", o->trace);
	enum ps_status st = ps_strbuf_status(&path);
	if (st == PS_OK)
		st = ps_load_traces_get(traces, path.data, &t, &r->trace, err);
	else
		ps_error_set(err, st, "no memory for a path");
	ps_strbuf_fini(&path);
	return st;
}

static enum ps_status fill_replay(const struct ps_load_arrival_options *o, const char *base_dir,
				  uint64_t seed, struct ps_load_traces *traces,
				  struct ps_load_arrival_spec *spec, struct ps_error *err)
{
	struct ps_load_replay *r = &spec->replay;
	enum ps_status st = PS_OK;

	*r = (struct ps_load_replay){.speed = o->trace_speed,
				     .loop = o->trace_loop,
				     .split_functions = o->trace_split == 1,
				     .split_seed = seed};
	if (o->rate > 0 && o->trace_speed > 0)
		return ps_error_set(err, PS_EUSAGE,
				    "a rate sets the speed of the trace: leave out trace-speed");
	if (o->trace_part)
		st = ps_load_part_parse(o->trace_part, &r->part, &r->parts, err);
	else if (o->trace_split)
		return ps_error_set(err, PS_EUSAGE, "trace-split needs trace-part");
	if (st == PS_OK)
		st = read_trace(o, base_dir, seed, traces, r, err);
	if (st == PS_OK && o->rate > 0)
		st = ps_load_arrival_rescale(spec, o->rate, 0, err);
	return st;
}

/* ---- all ---- */

enum ps_status ps_load_arrival_from_options(const struct ps_load_arrival_options *o,
					    const char *base_dir, uint64_t seed,
					    struct ps_load_traces *traces,
					    struct ps_load_arrival_spec *ret_spec,
					    struct ps_error *err)
{
	enum ps_load_arrival_kind kind = kind_of(o);
	struct ps_load_arrival_spec s = {
		.kind = kind,
		.rate_rps = kind == PS_LOAD_TRACE ? 0 : o->rate,
		.cv = o->cv,
		.bursts = {o->burst_ratio, o->burst_share, o->burst_length},
		.to_rps = o->ramp_to,
		.over_ns = o->ramp_over,
		.swing = o->swing,
		.period_ns = o->period,
		.phase = o->phase,
		.even = o->even,
	};
	struct ps_load_step *steps = NULL;
	enum ps_status st = check_loop(o, kind, err);

	if (st == PS_OK)
		st = check_together(o, kind, err);
	if (st == PS_OK && kind == PS_LOAD_STEPS)
		st = ps_load_steps_parse(&o->steps, &steps, &s.step_len, err);
	if (st == PS_OK && kind == PS_LOAD_TRACE)
		st = fill_replay(o, base_dir, seed, traces, &s, err);
	s.steps = steps;
	if (st == PS_OK)
		*ret_spec = s;
	else
		free(steps);
	return st;
}

void ps_load_arrival_release(struct ps_load_arrival_spec *spec)
{
	free((void *)spec->steps);
	*spec = (struct ps_load_arrival_spec){0};
}

struct ps_load_think ps_load_think_from_options(const struct ps_load_arrival_options *o)
{
	return (struct ps_load_think){.mean_ns = o->think_time, .constant = o->think == 1};
}
