/* arrival_spec.c - what may be asked for, and how much it amounts to. */
#include "load/arrivals.h"

#include "base/clock.h"
#include "load/arrivals_internal.h"
#include "load/trace.h"

#include <math.h>

const char *ps_load_arrival_name(enum ps_load_arrival_kind kind)
{
	static const char *const names[] = {"poisson", "constant", "gamma", "bursts", "ramp",
					    "steps",   "sinusoid", "trace", "closed", "offline"};

	return kind < PS_LOAD_ARRIVAL_KINDS ? names[kind] : "?";
}

static double scale_of(const struct ps_load_arrival_spec *s)
{
	return s->scale != 0 ? s->scale : 1;
}

/* ---- bursts ---- */

bool ps_load_bursts_resolve(struct ps_load_bursts *b)
{
	b->ratio = b->ratio != 0 ? b->ratio : 4;
	b->share = b->share != 0 ? b->share : 0.2;
	b->length_ns = b->length_ns != 0 ? b->length_ns : PS_NS_PER_SEC;
	return b->ratio >= 1 && b->share > 0 && b->share < 1 && b->share * b->ratio <= 1 + 1e-9 &&
	       b->length_ns > 0;
}

double ps_load_bursts_quiet(const struct ps_load_bursts *b)
{
	double rest = (1 - b->share * b->ratio) / (1 - b->share);

	return rest > 1e-9 ? rest : 0;
}

/* ---- pieces ---- */

void ps_load_piece_get(const struct ps_load_arrival_spec *spec, size_t i,
		       struct ps_load_piece *ret_piece)
{
	double per_ns = scale_of(spec) * 1e-9;
	bool last = i >= (spec->kind == PS_LOAD_RAMP ? 1 : spec->step_len);
	double from = spec->rate_rps, to = spec->to_rps;
	int64_t length_ns = spec->over_ns;

	if (spec->kind == PS_LOAD_RAMP) {
		from = last ? to : from;
	} else {
		const struct ps_load_step *step = &spec->steps[last ? spec->step_len - 1 : i];

		from = to = step->rate_rps;
		length_ns = step->duration_ns;
	}
	*ret_piece = (struct ps_load_piece){.from_per_ns = from * per_ns,
					    .to_per_ns = to * per_ns,
					    .length_ns = last ? INFINITY : (double)length_ns};
}

/* Of a piece without end only the first rate counts: its slope would be 0 times infinity. */
static double slope_of(const struct ps_load_piece *p)
{
	return isinf(p->length_ns) ? 0 : (p->to_per_ns - p->from_per_ns) / p->length_ns;
}

double ps_load_piece_arrivals(const struct ps_load_piece *p, double ns)
{
	double slope = slope_of(p);

	if (slope == 0)
		return p->from_per_ns > 0 ? p->from_per_ns * ns : 0;
	return (p->from_per_ns + slope * ns / 2) * ns;
}

/* The quadratic's root in the form that loses no digits, whatever the signs. */
double ps_load_piece_invert(const struct ps_load_piece *p, double arrivals)
{
	double root = p->from_per_ns * p->from_per_ns + 2 * slope_of(p) * arrivals;
	double sum = p->from_per_ns + sqrt(fmax(root, 0));
	double ns = sum > 0 ? 2 * arrivals / sum : 0;

	return fmin(ns, p->length_ns);
}

static double pieces_expected(const struct ps_load_arrival_spec *s, double at_ns)
{
	struct ps_load_piece p;
	double sum = 0;

	for (size_t i = 0;; i++) {
		ps_load_piece_get(s, i, &p);
		sum += ps_load_piece_arrivals(&p, fmin(at_ns, p.length_ns));
		if (at_ns <= p.length_ns)
			return sum;
		at_ns -= p.length_ns;
	}
}

/* ---- traces ---- */

static uint64_t mix(uint64_t x)
{
	struct ps_rng r;

	ps_rng_init(&r, x, 0);
	return ps_rng_next(&r);
}

/* Which part an arrival is of depends on itself alone, so all parts agree without talking. */
bool ps_load_replay_has(const struct ps_load_replay *r, size_t i, double lap)
{
	uint64_t what = r->trace->entries[i].function;

	if (r->parts <= 1)
		return true;
	if (!r->split_functions)
		what = (uint64_t)lap * r->trace->len + i;
	return mix(r->split_seed ^ mix(what)) % (uint64_t)r->parts == (uint64_t)r->part;
}

/* Number of arrivals of this part in one lap before an instant of the trace. */
static double lap_count(const struct ps_load_replay *r, double before_ns)
{
	size_t all = ps_load_trace_before(r->trace, before_ns), n = 0;

	if (r->parts <= 1)
		return (double)all;
	if (!r->split_functions)
		return (double)all / r->parts;
	for (size_t i = 0; i < all; i++)
		n += ps_load_replay_has(r, i, 0);
	return (double)n;
}

static double trace_expected(const struct ps_load_arrival_spec *s, double at_ns)
{
	const struct ps_load_replay *r = &s->replay;
	double trace_ns = at_ns * (r->speed != 0 ? r->speed : 1) * scale_of(s);
	double laps = r->loop ? floor(trace_ns / r->trace->length_ns) : 0;
	double rest_ns = trace_ns - laps * r->trace->length_ns;

	return (laps > 0 ? laps * lap_count(r, INFINITY) : 0) + lap_count(r, rest_ns);
}

/* ---- how much ---- */

double ps_load_arrival_expected(const struct ps_load_arrival_spec *spec, double at_ns)
{
	double per_ns = spec->rate_rps * scale_of(spec) * 1e-9, turn;

	switch (spec->kind) {
	case PS_LOAD_POISSON:
	case PS_LOAD_CONSTANT:
	case PS_LOAD_GAMMA:
	case PS_LOAD_BURSTS:
		return per_ns * at_ns;
	case PS_LOAD_RAMP:
	case PS_LOAD_STEPS:
		return pieces_expected(spec, at_ns);
	case PS_LOAD_SINUSOID:
		turn = (double)spec->period_ns / (2 * M_PI);
		return per_ns * (at_ns + spec->swing * turn *
						 (cos(2 * M_PI * spec->phase) -
						  cos(at_ns / turn + 2 * M_PI * spec->phase)));
	case PS_LOAD_TRACE:
		return trace_expected(spec, at_ns);
	case PS_LOAD_CLOSED:
	case PS_LOAD_OFFLINE:
	case PS_LOAD_ARRIVAL_KINDS:
		break;
	}
	return 0;
}

double ps_load_arrival_mean_rps(const struct ps_load_arrival_spec *spec, int64_t total_ns)
{
	return total_ns > 0
		       ? ps_load_arrival_expected(spec, (double)total_ns) / (double)total_ns * 1e9
		       : 0;
}

/* A rate that varies is a function of time, which does not scale: a factor on it does. A trace's
 * speed changes what of it falls into the run, so its own mean rate is taken, not that of the part
 * that would be replayed. */
enum ps_status ps_load_arrival_rescale(struct ps_load_arrival_spec *spec, double rate_rps,
				       int64_t total_ns, struct ps_error *err)
{
	struct ps_load_arrival_spec plain = *spec;
	double mean;

	plain.scale = 1;
	if (spec->kind == PS_LOAD_TRACE) {
		double speed = spec->replay.speed != 0 ? spec->replay.speed : 1;
		mean = lap_count(&spec->replay, INFINITY) / spec->replay.trace->length_ns * 1e9 *
		       speed;
	} else {
		mean = ps_load_arrival_mean_rps(&plain, total_ns);
	}
	if (!(mean > 0) || !isfinite(mean) || !(rate_rps > 0) || !isfinite(rate_rps / mean))
		return ps_error_set(err, PS_EINVAL,
				    "arrivals '%s' cannot be brought to a rate of %g/s",
				    ps_load_arrival_name(spec->kind), rate_rps);
	spec->scale = rate_rps / mean;
	return PS_OK;
}

/* ---- what may be asked for ---- */

static enum ps_status check_rate(double rps, bool may_be_zero, struct ps_error *err)
{
	if (rps <= PS_LOAD_MAX_RATE_RPS && (rps > 0 || (may_be_zero && rps == 0)))
		return PS_OK;
	return ps_error_set(err, PS_EINVAL, "the rate must be %s and at most %g/s, not %g/s",
			    may_be_zero ? "at least 0" : "above 0", PS_LOAD_MAX_RATE_RPS, rps);
}

static enum ps_status check_bursts(const struct ps_load_arrival_spec *s, double scale,
				   struct ps_error *err)
{
	struct ps_load_bursts b = s->bursts;

	if (!ps_load_bursts_resolve(&b)) {
		ps_error_set(err, PS_EINVAL, "no such bursts");
		ps_error_hint(err, "burst-share times burst-ratio is at most 1");
		return PS_EINVAL;
	}
	return check_rate(s->rate_rps * scale * b.ratio, false, err);
}

static enum ps_status check_ramp(const struct ps_load_arrival_spec *s, double scale,
				 struct ps_error *err)
{
	enum ps_status st = check_rate(s->rate_rps * scale, true, err);

	if (st == PS_OK)
		st = check_rate(s->to_rps * scale, true, err);
	if (st == PS_OK && s->over_ns <= 0)
		st = ps_error_set(err, PS_EINVAL, "a ramp takes time");
	if (st == PS_OK && s->rate_rps == 0 && s->to_rps == 0)
		st = ps_error_set(err, PS_EINVAL, "a ramp from 0 to 0 offers nothing");
	return st;
}

static enum ps_status check_steps(const struct ps_load_arrival_spec *s, double scale,
				  struct ps_error *err)
{
	double most = 0;

	if (s->step_len == 0 || s->step_len > PS_LOAD_MAX_STEPS)
		return ps_error_set(err, PS_EINVAL, "1 to %d steps, not %zu", PS_LOAD_MAX_STEPS,
				    s->step_len);
	for (size_t i = 0; i < s->step_len; i++) {
		enum ps_status st = check_rate(s->steps[i].rate_rps * scale, true, err);

		if (st == PS_OK && s->steps[i].duration_ns <= 0)
			st = ps_error_set(err, PS_EINVAL, "step %zu takes no time", i + 1);
		if (st != PS_OK)
			return st;
		most = fmax(most, s->steps[i].rate_rps);
	}
	return most > 0 ? PS_OK : ps_error_set(err, PS_EINVAL, "all steps have rate 0");
}

static enum ps_status check_sinusoid(const struct ps_load_arrival_spec *s, double scale,
				     struct ps_error *err)
{
	enum ps_status st = check_rate(s->rate_rps * scale, false, err);

	if (st == PS_OK && !(s->swing >= 0 && s->swing <= 1))
		st = ps_error_set(err, PS_EINVAL, "a swing is 0 to 1 of the mean rate, not %g",
				  s->swing);
	if (st == PS_OK && (s->period_ns <= 0 || !isfinite(s->phase)))
		st = ps_error_set(err, PS_EINVAL, "a sinusoid needs a period above 0");
	return st == PS_OK ? check_rate(s->rate_rps * scale * (1 + s->swing), false, err) : st;
}

/* No second of the run may hold more than the highest rate allows. */
static enum ps_status check_trace_rate(const struct ps_load_replay *r, double speed,
				       struct ps_error *err)
{
	size_t most = ps_load_trace_most(r->trace, 1e9 * speed);

	if ((double)most <= PS_LOAD_MAX_RATE_RPS &&
	    (!r->loop ||
	     (double)r->trace->len / r->trace->length_ns * 1e9 * speed <= PS_LOAD_MAX_RATE_RPS))
		return PS_OK;
	return ps_error_set(err, PS_EINVAL, "at this speed the trace offers over %g/s",
			    PS_LOAD_MAX_RATE_RPS);
}

static enum ps_status check_trace(const struct ps_load_arrival_spec *s, double scale,
				  int64_t total_ns, struct ps_error *err)
{
	const struct ps_load_replay *r = &s->replay;
	double speed = (r->speed != 0 ? r->speed : 1) * scale;

	if (!r->trace || r->trace->len == 0)
		return ps_error_set(err, PS_EINVAL, "there is no trace to replay");
	if (!(speed > 0) || !isfinite(speed))
		return ps_error_set(err, PS_EINVAL, "the speed of a trace is above 0");
	if (r->parts < 0 || (r->parts > 0 && (r->part < 0 || r->part >= r->parts)))
		return ps_error_set(err, PS_EINVAL, "there is no part %d of %d", r->part + 1,
				    r->parts);
	if (r->split_functions && !r->trace->has_functions)
		return ps_error_set(err, PS_EINVAL, "this trace does not tell functions apart");
	if (lap_count(r, INFINITY) == 0)
		return ps_error_set(err, PS_EINVAL, "part %d of %d of the trace is empty",
				    r->part + 1, r->parts);
	if (r->loop && !(r->trace->length_ns > 0))
		return ps_error_set(err, PS_EINVAL, "a trace of no length cannot loop");
	if (!r->loop && r->trace->length_ns / speed < (double)total_ns) {
		ps_error_set(err, PS_EINVAL, "the trace ends after %.3f s, the run after %.3f s",
			     r->trace->length_ns / speed / 1e9, (double)total_ns / 1e9);
		ps_error_hint(err, "shorten the run, or let the trace loop");
		return PS_EINVAL;
	}
	return check_trace_rate(r, speed, err);
}

enum ps_status ps_load_arrival_check(const struct ps_load_arrival_spec *spec, int64_t total_ns,
				     struct ps_error *err)
{
	double scale = scale_of(spec);

	if (!(scale > 0) || !isfinite(scale))
		return ps_error_set(err, PS_EINVAL, "rates cannot be multiplied by %g", scale);
	switch (spec->kind) {
	case PS_LOAD_POISSON:
	case PS_LOAD_CONSTANT:
		return check_rate(spec->rate_rps * scale, false, err);
	case PS_LOAD_GAMMA:
		if (!(spec->cv >= PS_LOAD_MIN_CV && spec->cv <= PS_LOAD_MAX_CV))
			return ps_error_set(err, PS_EINVAL, "cv must be %g to %g, not %g",
					    PS_LOAD_MIN_CV, PS_LOAD_MAX_CV, spec->cv);
		return check_rate(spec->rate_rps * scale, false, err);
	case PS_LOAD_BURSTS:
		return check_bursts(spec, scale, err);
	case PS_LOAD_RAMP:
		return check_ramp(spec, scale, err);
	case PS_LOAD_STEPS:
		return check_steps(spec, scale, err);
	case PS_LOAD_SINUSOID:
		return check_sinusoid(spec, scale, err);
	case PS_LOAD_TRACE:
		return check_trace(spec, scale, total_ns, err);
	case PS_LOAD_CLOSED:
	case PS_LOAD_OFFLINE:
		return PS_OK;
	case PS_LOAD_ARRIVAL_KINDS:
		break;
	}
	return ps_error_set(err, PS_EINVAL, "no such arrivals");
}
