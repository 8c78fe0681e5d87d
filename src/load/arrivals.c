/* arrivals.c - see arrivals.h. What may be asked for: arrival_spec.c. */
#include "load/arrivals.h"

#include "load/arrivals_internal.h"
#include "load/trace.h"

#include <math.h>
#include <stdio.h>

/* ---- bursts ---- */

void ps_load_burst_path_init(struct ps_load_burst_path *p, const struct ps_load_bursts *b,
			     uint64_t seed, const char *name)
{
	char stream[PS_LOAD_STREAM_SIZE];

	snprintf(stream, sizeof(stream), "%s/bursts", name);
	*p = (struct ps_load_burst_path){0};
	ps_rng_init(&p->rng, seed, ps_rng_stream(stream));
	p->mean_ns[1] = (double)b->length_ns;
	p->mean_ns[0] = (double)b->length_ns * (1 - b->share) / b->share;
	p->state = ps_rng_uniform(&p->rng) < b->share;
	p->end_ns = ps_rng_exponential(&p->rng, p->mean_ns[p->state]);
}

void ps_load_burst_path_next(struct ps_load_burst_path *p)
{
	p->state = !p->state;
	p->end_ns += ps_rng_exponential(&p->rng, p->mean_ns[p->state]);
}

static void start_bursts(struct ps_load_arrivals *a, uint64_t seed, const char *name)
{
	struct ps_load_bursts *b = &a->spec.bursts;

	(void)ps_load_bursts_resolve(b);
	double rest = ps_load_bursts_quiet(b);
	a->state_gap_ns[1] = a->gap_ns / b->ratio;
	a->state_gap_ns[0] = rest > 0 ? a->gap_ns / rest : INFINITY;
	ps_load_burst_path_init(&a->path, b, seed, name);
}

/* An exponential gap has no memory: what is left of one at a change of state is drawn anew. */
static double next_burst(struct ps_load_arrivals *a)
{
	/* At a tiny rate the next arrival may lie more states away than anybody can walk. */
	while (a->at_ns < a->until_ns) {
		double unit = ps_rng_exponential(&a->rng, 1);
		double at = a->at_ns + unit * a->state_gap_ns[a->path.state];

		if (at <= a->path.end_ns)
			return at;
		a->at_ns = a->path.end_ns;
		ps_load_burst_path_next(&a->path);
	}
	return INFINITY;
}

/* ---- rates in pieces ---- */

static double next_in_pieces(struct ps_load_arrivals *a)
{
	struct ps_load_piece p;

	if (a->spec.even)
		a->arrivals = (double)a->count + 0.5;
	else
		a->arrivals += ps_rng_exponential(&a->rng, 1);
	for (ps_load_piece_get(&a->spec, a->piece, &p);
	     a->arrivals - a->piece_arrivals > ps_load_piece_arrivals(&p, p.length_ns);
	     ps_load_piece_get(&a->spec, ++a->piece, &p)) {
		if (isinf(p.length_ns))
			return INFINITY; /* a rate of 0 that stays */
		a->piece_arrivals += ps_load_piece_arrivals(&p, p.length_ns);
		a->piece_ns += p.length_ns;
	}
	return a->piece_ns + ps_load_piece_invert(&p, a->arrivals - a->piece_arrivals);
}

/* ---- thinning ---- */

static double next_sinusoid(struct ps_load_arrivals *a)
{
	const struct ps_load_arrival_spec *s = &a->spec;
	double at = a->at_ns, most = 1 + s->swing, here;

	do {
		at += ps_rng_exponential(&a->rng, a->gap_ns) / most;
		here = 1 + s->swing * sin(2 * M_PI * (at / (double)s->period_ns + s->phase));
	} while (ps_rng_uniform(&a->rng) * most >= here);
	return at;
}

/* ---- renewal ---- */

/* What is left at an instant of a gap drawn by length: uniform times gamma of shape k + 1. */
static double next_gamma(struct ps_load_arrivals *a)
{
	double cv2 = a->spec.cv * a->spec.cv, shape = 1 / cv2, unit_ns = a->gap_ns * cv2;

	if (a->count == 0) {
		a->last_gap_ns = ps_rng_gamma(&a->rng, shape + 1) * unit_ns;
		return ps_rng_uniform(&a->rng) * a->last_gap_ns;
	}
	a->last_gap_ns = ps_rng_gamma(&a->rng, shape) * unit_ns;
	return a->at_ns + a->last_gap_ns;
}

/* ---- traces ---- */

/* A lap in which no entry is of this part ends the search where functions decide: it would be the
 * same in every lap. */
static double next_of_trace(struct ps_load_arrivals *a)
{
	const struct ps_load_replay *r = &a->spec.replay;
	const struct ps_load_trace *t = r->trace;
	size_t looked_at = 0;

	for (;;) {
		if (a->entry == t->len) {
			if (!r->loop)
				return INFINITY;
			a->entry = 0;
			a->lap++;
		}
		if (r->split_functions && looked_at++ > t->len)
			return INFINITY;
		size_t i = a->entry++;
		if (ps_load_replay_has(r, i, a->lap))
			return (a->lap * t->length_ns + t->entries[i].at_ns) / r->speed;
	}
}

/* ---- all ---- */

void ps_load_arrivals_init(struct ps_load_arrivals *a, const struct ps_load_arrival_spec *spec,
			   uint64_t seed, const char *name)
{
	char stream[PS_LOAD_STREAM_SIZE];

	snprintf(stream, sizeof(stream), "%s/arrivals", name);
	*a = (struct ps_load_arrivals){.spec = *spec, .until_ns = INFINITY};
	ps_rng_init(&a->rng, seed, ps_rng_stream(stream));
	a->spec.scale = spec->scale > 0 ? spec->scale : 1;
	a->spec.replay.speed = (spec->replay.speed > 0 ? spec->replay.speed : 1) * a->spec.scale;
	a->gap_ns = 1e9 / (spec->rate_rps * a->spec.scale);
	if (spec->kind == PS_LOAD_BURSTS)
		start_bursts(a, seed, name);
}

double ps_load_arrivals_next(struct ps_load_arrivals *a)
{
	switch (a->spec.kind) {
	case PS_LOAD_CONSTANT:
		/* A product, not a sum: no error gathers however long the run. */
		a->at_ns = ((double)a->count + 0.5) * a->gap_ns;
		break;
	case PS_LOAD_POISSON:
		a->at_ns += ps_rng_exponential(&a->rng, a->gap_ns);
		break;
	case PS_LOAD_GAMMA:
		a->at_ns = next_gamma(a);
		break;
	case PS_LOAD_BURSTS:
		a->at_ns = next_burst(a);
		break;
	case PS_LOAD_RAMP:
	case PS_LOAD_STEPS:
		a->at_ns = next_in_pieces(a);
		break;
	case PS_LOAD_SINUSOID:
		a->at_ns = next_sinusoid(a);
		break;
	case PS_LOAD_TRACE:
		a->at_ns = next_of_trace(a);
		break;
	case PS_LOAD_CLOSED:
	case PS_LOAD_OFFLINE:
	case PS_LOAD_ARRIVAL_KINDS:
		return INFINITY;
	}
	a->count++;
	return a->at_ns;
}

int64_t ps_load_arrivals_instant(double at_ns)
{
	return at_ns < 0x1p62 ? (int64_t)llround(at_ns) : INT64_MAX;
}

void ps_load_think_init(struct ps_rng *rng, uint64_t seed, const char *name, uint64_t user)
{
	char stream[PS_LOAD_STREAM_SIZE];

	snprintf(stream, sizeof(stream), "%s/think/%llu", name, (unsigned long long)user);
	ps_rng_init(rng, seed, ps_rng_stream(stream));
}

int64_t ps_load_think_next(const struct ps_load_think *think, struct ps_rng *rng)
{
	if (think->mean_ns <= 0 || think->constant)
		return think->mean_ns > 0 ? think->mean_ns : 0;
	return ps_load_arrivals_instant(ps_rng_exponential(rng, (double)think->mean_ns));
}
