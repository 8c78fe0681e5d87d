#include "sched/sched_internal.h"

#include <stdlib.h>

enum { TRY_WIDTHS = 3, COMPARE_WIDTHS_EVERY = 256 };

/* A wide run must be shorter than a narrow one by this factor. */
static const double wide_pays = 0.95;

static bool options_are_good(const struct ps_sched_options *o)
{
	return o->n_lanes >= 1 && o->n_lanes <= PS_SCHED_MAX_LANES && o->reserve_lanes >= 0 &&
	       o->reserve_lanes < o->n_lanes && o->cpus >= 1 && o->best_effort_floor >= 0 &&
	       o->best_effort_floor <= 0.5 && o->here_max_ns >= 0 && o->cache_bytes >= 0;
}

enum ps_status ps_sched_new(const struct ps_sched_options *options, struct ps_sched **ret_sched)
{
	if (!options_are_good(options))
		return PS_EINVAL;
	struct ps_sched *s = calloc(1, sizeof *s);
	if (!s)
		return PS_ENOMEM;
	s->options = *options;
	s->keeps = true;
	s->left_for = -1;
	s->runs = calloc((size_t)options->n_lanes, sizeof *s->runs);
	s->warm = calloc((size_t)options->n_lanes, sizeof *s->warm);
	if (!s->runs || !s->warm) {
		free(s->runs);
		free(s->warm);
		free(s);
		return PS_ENOMEM;
	}
	*ret_sched = s;
	return PS_OK;
}

void ps_sched_free(struct ps_sched *s)
{
	if (!s)
		return;
	for (int i = 0; i < s->n_instances; i++)
		learn_forget(&s->instances[i]);
	queue_fini(s);
	play_fini(s);
	free(s->instances);
	free(s->runs);
	free(s->warm);
	free(s->flows);
	free(s);
}

/* Flows are linked into lists and trees, so their memory may move only while none of them is. The
 * room for all tenants is therefore reserved once; untouched pages cost nothing. */
enum ps_status ps_sched_reserve(struct ps_sched *s, int n)
{
	if (n < 0 || n > PS_SCHED_MAX_TENANTS)
		return PS_EINVAL;
	if (!s->flows)
		s->flows = calloc(PS_SCHED_MAX_TENANTS, sizeof *s->flows);
	if (!s->flows)
		return PS_ENOMEM;
	for (; s->n_flows < n; s->n_flows++)
		s->flows[s->n_flows] = (struct flow){.weight = 1};
	return PS_OK;
}

/* A tenant that changes its class takes its place behind nobody and before nobody there. */
static void change_class(struct ps_sched *s, struct flow *f, enum ps_sched_class to)
{
	struct class *a = &s->classes[f->class], *b = &s->classes[to];
	if (f->ready.first)
		tree_remove(&a->active, &f->active);
	if (f->len)
		fair_idle(s, f);
	recent_leave(s, (int)(f - s->flows));
	a->len -= f->len;
	b->len += f->len;
	f->class = to;
	f->tag = b->virtual_time;
	if (f->len)
		fair_backlogged(s, f);
	if (f->ready.first) {
		f->active.major = fair_key(f->tag);
		f->active.order = ++s->order;
		tree_insert(&b->active, &f->active);
	}
	fair_rekey(s, f);
}

enum ps_status ps_sched_set_tenant(struct ps_sched *s, int tenant, const struct ps_sched_tenant *t)
{
	if (tenant < 0 || tenant >= PS_SCHED_MAX_TENANTS || t->weight < 1 ||
	    t->weight > PS_SCHED_MAX_WEIGHT || t->queue_limit < 0)
		return PS_EINVAL;
	if (ps_sched_reserve(s, tenant + 1) != PS_OK)
		return PS_ENOMEM;
	struct flow *f = flow_of(s, tenant);
	f->weight = t->weight;
	f->queue_limit = t->queue_limit;
	if (f->class != t->class)
		change_class(s, f, t->class);
	return PS_OK;
}

static enum ps_status grow_instances(struct ps_sched *s, int n)
{
	int cap = s->n_instances ? s->n_instances : 16;
	while (cap < n)
		cap *= 2;
	if (n <= s->n_instances)
		return PS_OK;
	struct instance *p = realloc(s->instances, (size_t)cap * sizeof *p);
	if (!p)
		return PS_ENOMEM;
	s->instances = p;
	for (; s->n_instances < cap; s->n_instances++)
		s->instances[s->n_instances] = (struct instance){0};
	return PS_OK;
}

enum ps_status ps_sched_set_instance(struct ps_sched *s, int instance,
				     const struct ps_sched_instance *i, bool fresh)
{
	if (instance < 0 || instance >= PS_SCHED_MAX_INSTANCES || i->max_run_ns < 0 ||
	    i->max_delay_ns < 0 || i->footprint_bytes < 0 || i->n_preferred < 0 ||
	    i->n_preferred > PS_SCHED_MAX_PREFERRED)
		return PS_EINVAL;
	if (grow_instances(s, instance + 1) != PS_OK)
		return PS_ENOMEM;
	s->instances[instance].config = *i;
	if (fresh) {
		learn_forget(&s->instances[instance]);
		warm_forget(s, instance);
	}
	return PS_OK;
}

/* ---- runs --------------------------------------------------------------------------------- */

static bool try_other_width(const struct instance *i, int64_t rows, bool *ret_wide)
{
	bool wide = learn_known(i, true), narrow = learn_known(i, false);
	if (wide && narrow && i->runs % COMPARE_WIDTHS_EVERY >= TRY_WIDTHS)
		return false;
	if (wide && narrow)
		*ret_wide = learn_mean_ns(i, rows, true) >=
			    wide_pays * learn_mean_ns(i, rows, false); /* the other one */
	else
		*ret_wide = narrow;
	return true;
}

/* Items that come in a ns, of late. */
static double arrivals(const struct ps_sched *s)
{
	double sum = 0;
	for (int c = 0; c < PS_SCHED_CLASSES; c++)
		if (s->classes[c].recent_span_ns > 0)
			sum += s->classes[c].recent_runs / s->classes[c].recent_span_ns;
	return sum;
}

/* A wide run is over sooner, but whoever comes meanwhile waits for half of it on average, where
 * another lane would have been idle. And n runs that wait, side by side, all end after the time t
 * of a narrow one; one after the other and wide, with a speedup S, after t/S, 2t/S, .. nt/S: that
 * is (n + 1) / 2S x t on average. */
static bool wide_is_shorter(const struct ps_sched *s, const struct instance *i, int64_t rows)
{
	double narrow = learn_ns(i, rows, false, 0.5), wide = learn_ns(i, rows, true, 0.5);
	double waiting = 1 + (double)s->len, held_up = arrivals(s) * wide * wide / 2;
	return wide + held_up < wide_pays * narrow && wide * (waiting + 1) / 2 < wide_pays * narrow;
}

static int width_of(const struct ps_sched *s, const struct ps_sched_run *run)
{
	const struct instance *i = &s->instances[run->instance];
	bool wide = s->options.wide;
	if (!wide && s->options.auto_width && s->options.cpus > 1 && !s->running &&
	    (s->len || !try_other_width(i, run->rows, &wide)))
		wide = wide_is_shorter(s, i, run->rows);
	return wide ? s->options.cpus : 1;
}

static const struct ps_sched_run *begin(struct ps_sched *s, struct ps_sched_run *run,
					int64_t now_ns)
{
	struct instance *i = &s->instances[run->instance];
	run->started_ns = now_ns;
	run->width = width_of(s, run);
	fair_charge(s, run);
	warm_ran(s, run);
	s->running++;
	s->wide_running += run->width > 1;
	s->classes[run->class].running++;
	i->running++;
	if (i->config.max_runs && i->running >= i->config.max_runs)
		queue_refresh_instance(s, i, now_ns);
	return run;
}

/* While a wide run has all CPUs, whatever else began would only wait for them with its lane. */
static bool lanes_are_open(const struct ps_sched *s)
{
	return !s->wide_running && s->running < s->options.n_lanes;
}

const struct ps_sched_run *ps_sched_start(struct ps_sched *s, int lane, int64_t now_ns)
{
	struct ps_sched_run *run = &s->runs[lane];
	s->left_for = -1;
	if (run->n || !lanes_are_open(s))
		return NULL;
	queue_release_due(s, now_ns);
	struct flow *f;
	while ((f = fair_pick(s))) {
		f = warm_pick(s, lane, f);
		struct ps_sched_item *it = queue_first(f);
		if (batch_hopeless(s, it, now_ns)) {
			struct group *g = it->bucket->group;
			batch_drop(s, it, now_ns);
			queue_settle(s, g, now_ns);
			continue;
		}
		if (warm_leave(s, lane, it, now_ns))
			return NULL;
		*run = (struct ps_sched_run){.lane = lane};
		batch_take(s, it, now_ns, run);
		return begin(s, run, now_ns);
	}
	return NULL;
}

int ps_sched_left_for(const struct ps_sched *s)
{
	return s->left_for;
}

int ps_sched_lane_for(struct ps_sched *s, int64_t now_ns)
{
	queue_release_due(s, now_ns);
	struct flow *f = lanes_are_open(s) ? fair_pick(s) : NULL;
	return f ? warm_lane(s, queue_first(f)->instance) : -1;
}

void ps_sched_keep(struct ps_sched *s, bool keeps)
{
	s->keeps = keeps;
}

static int idle_lane(const struct ps_sched *s)
{
	for (int lane = s->options.n_lanes - 1; lane >= 0; lane--)
		if (!s->runs[lane].n)
			return lane;
	return -1;
}

static bool may_run_here(const struct ps_sched *s, const struct ps_sched_item *it)
{
	const struct instance *i = &s->instances[it->instance];
	const struct flow *f = flow_of(s, it->tenant);
	if (s->options.here_max_ns <= 0 || s->len || !lanes_are_open(s) || s->options.wide ||
	    s->classes[f->class].running >= lanes_of(s, f->class) ||
	    (i->config.max_runs && i->running >= i->config.max_runs) || i->config.max_delay_ns ||
	    f->queue_limit < 1 || warm_matters(s, it->instance))
		return false;
	double ns = learn_ns(i, it->rows, false, 0.9);
	return ns > 0 && ns <= (double)s->options.here_max_ns;
}

const struct ps_sched_run *ps_sched_start_here(struct ps_sched *s, struct ps_sched_item *it,
					       int64_t now_ns)
{
	if (!may_run_here(s, it))
		return NULL;
	struct flow *f = flow_of(s, it->tenant);
	int lane = idle_lane(s);
	struct ps_sched_run *run = &s->runs[lane];
	*run = (struct ps_sched_run){.first = it,
				     .n = 1,
				     .lane = lane,
				     .instance = it->instance,
				     .rows = it->rows,
				     .here = true,
				     .class = f->class};
	it->next = NULL;
	it->charged_ns = 0;
	fair_backlogged(s, f); /* for an instant: it saves up nothing either */
	fair_idle(s, f);
	fair_advance(s, f);
	return begin(s, run, now_ns);
}

void ps_sched_finish(struct ps_sched *s, int lane, int64_t started_ns, int64_t finished_ns,
		     bool learn)
{
	struct ps_sched_run *run = &s->runs[lane];
	struct instance *i = &s->instances[run->instance];
	int64_t ns = finished_ns > started_ns ? finished_ns - started_ns : 0;
	bool was_full = i->config.max_runs && i->running >= i->config.max_runs;
	s->running--;
	s->wide_running -= run->width > 1;
	s->classes[run->class].running--;
	i->running--;
	i->runs++;
	admit_finished(i, run->first, finished_ns);
	if (learn)
		learn_add(i, run->rows, run->width > 1, ns);
	for (const struct ps_sched_item *it = run->first; it; it = it->next)
		margin_outcome(s, it, finished_ns > it->deadline_ns, started_ns, finished_ns);
	fair_settle(s, run, (double)ns * run->width, finished_ns);
	run->n = 0;
	if (was_full)
		queue_refresh_instance(s, i, finished_ns);
}

bool ps_sched_wants_lane(struct ps_sched *s, int64_t now_ns)
{
	queue_release_due(s, now_ns);
	return lanes_are_open(s) && fair_pick(s) != NULL;
}

int64_t ps_sched_next_ns(const struct ps_sched *s)
{
	return s->delayed.first ? s->delayed.first->major : INT64_MAX;
}

/* ---- what can be seen --------------------------------------------------------------------- */

int64_t ps_sched_len(const struct ps_sched *s, int tenant)
{
	return tenant < 0 ? s->len : flow_of(s, tenant)->len;
}

int ps_sched_running(const struct ps_sched *s)
{
	return s->running;
}

int64_t ps_sched_cost_ns(const struct ps_sched *s, int tenant)
{
	return (int64_t)(flow_of(s, tenant)->cost_ns + 0.5);
}

int64_t ps_sched_lag_ns(const struct ps_sched *s, int tenant)
{
	const struct flow *f = flow_of(s, tenant);
	double weights = 0, tags = 0;
	if (!f->len)
		return 0;
	for (const struct flow *o = s->classes[f->class].backlogged; o; o = o->next) {
		weights += (double)o->weight;
		tags += (double)o->weight * o->tag;
	}
	return (int64_t)((tags / weights - f->tag) * (double)f->weight);
}

int64_t ps_sched_service_ns(const struct ps_sched *s, int instance, int64_t rows, int width,
			    double q)
{
	if (instance < 0 || instance >= s->n_instances)
		return 0;
	return (int64_t)learn_ns(&s->instances[instance], rows, width > 1, q);
}
