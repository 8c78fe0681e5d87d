/* answer.c - pools the trials of a campaign into lines. */
#include "report_internal.h"

#include "load/reason.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *ps_report_verdict_name(enum ps_report_verdict v)
{
	static const char *const names[] = {"no data", "undecided", "met", "missed"};

	return names[v];
}

const struct ps_report_line *ps_report_line_of(const struct ps_report_answer *a, int tenant,
					       int set)
{
	for (size_t i = 0; i < a->line_len; i++)
		if (a->lines[i].tenant == tenant && a->lines[i].set == set)
			return &a->lines[i];
	return NULL;
}

const struct ps_report_line *ps_report_alone_line(const struct ps_report_answer *a, int tenant)
{
	for (size_t i = 0; i < a->line_len; i++)
		if (a->lines[i].tenant == tenant && a->lines[i].alone)
			return &a->lines[i];
	return NULL;
}

const char *ps_report_set_label(const struct ps_report_answer *a, int set,
				char buf[PS_REPORT_LABEL_SIZE])
{
	const struct ps_store_campaign *c = a->campaign;
	size_t several = 0;

	for (size_t i = 0; i < c->set_len; i++)
		several += c->sets[i].member_len > 1 && ps_report_in_matrix(c, (int)i);
	if (c->sets[set].member_len == 1)
		snprintf(buf, PS_REPORT_LABEL_SIZE, "alone");
	else if (several == 1)
		snprintf(buf, PS_REPORT_LABEL_SIZE, "together");
	else
		snprintf(buf, PS_REPORT_LABEL_SIZE, "%s", c->sets[set].name);
	return buf;
}

static bool is_done(const struct ps_store_cell *cell)
{
	return cell->state == PS_STORE_DONE;
}

/* Searches, and blocks at the demand rates and the capacities: what a set's line is made of. */
static bool is_of_matrix(const struct ps_store_cell *cell)
{
	return cell->kind == PS_STORE_SEARCH || cell->kind == PS_STORE_CONFIRM ||
	       cell->kind == PS_STORE_CAPACITY;
}

bool ps_report_in_matrix(const struct ps_store_campaign *c, int set)
{
	bool any = false;

	for (size_t i = 0; i < c->cell_len; i++) {
		any = any || is_of_matrix(&c->cells[i]);
		if (c->cells[i].set == set && is_of_matrix(&c->cells[i]))
			return true;
	}
	/* a campaign that has no such cells at all still has its tenants */
	return !any && c->sets[set].member_len == 1;
}

/* ---- capacity ---- */

static const struct ps_store_cell *search_cell(const struct ps_store_campaign *c, int set)
{
	for (size_t i = 0; i < c->cell_len; i++)
		if (c->cells[i].kind == PS_STORE_SEARCH && c->cells[i].set == set &&
		    is_done(&c->cells[i]) && c->cells[i].capacity.known)
			return &c->cells[i];
	return NULL;
}

static void read_capacity(struct ps_report_line *l, const struct ps_store_capacity *cap, int place)
{
	double ray = cap->ray_rps[place];

	l->capacity_known = true;
	l->capacity_rps = ps_report_capacity(cap, ray);
	l->open_below = ps_report_method_says(cap, "open_below");
	l->open_above = ps_report_method_says(cap, "open_above");
	double held = ps_report_method_number(cap, "confirmed_scale");
	l->held_rps = cap->check_met && held > 0 ? ray * held : NAN;
}

/* ---- latency at the demand rates ---- */

/* The requests that may prove a miss. */
struct valid_part {
	uint64_t requests, over;
};

struct pool {
	struct ps_report_line *line;
	struct ps_hist part; /* scratch */
	struct valid_part valid;
	double duration_s, good, offered, weight;
	double compute_ns;
	uint64_t computed;
};

enum ps_status ps_report_read_hist(struct ps_hist *h, const struct ps_store_blob *b,
				   struct ps_error *err)
{
	if (b->len == 0) {
		ps_hist_reset(h);
		return PS_OK;
	}
	return ps_hist_read(h, b->data, b->len, err);
}

static enum ps_status pool_compute(struct pool *p, const struct ps_store_result *r,
				   struct ps_error *err)
{
	enum ps_status st = ps_report_read_hist(&p->part, &r->server_compute, err);

	if (st != PS_OK)
		return st;
	p->compute_ns += (double)p->part.sum_ns;
	p->computed += ps_hist_count(&p->part);
	return PS_OK;
}

static enum ps_status pool_result(struct pool *p, const struct ps_store_trial *t,
				  const struct ps_store_result *r, const struct ps_sla *sla,
				  struct ps_error *err)
{
	struct ps_report_line *l = p->line;
	double s = (double)t->duration_ns / 1e9;
	bool valid = t->valid && r->valid;
	enum ps_status st = ps_report_read_hist(&p->part, &r->latency, err);

	if (st != PS_OK)
		return st;
	uint64_t n = ps_hist_total(&p->part);
	uint64_t over = ps_sla_is_set(sla) ? ps_hist_count_over(&p->part, sla->limit_ns) : 0;
	ps_hist_merge(&l->latency, &p->part);
	l->trials++;
	l->invalid += !valid;
	l->requests += n;
	l->over += over;
	l->failed += p->part.lost;
	if (ps_load_reason_is_trusted(r->valid, r->reasons)) { /* it may prove a miss */
		p->valid.requests += n;
		p->valid.over += over;
	}
	p->duration_s += s;
	p->good += r->goodput_rps * s;
	p->offered += r->offered_rps * s;
	p->weight += r->effective_ratio * (double)n;
	return PS_OK;
}

const struct ps_store_result *ps_report_result_of(const struct ps_store_trial *t, int tenant)
{
	for (size_t i = 0; i < t->result_len; i++)
		if (t->results[i].tenant == tenant)
			return &t->results[i];
	return NULL;
}

static enum ps_status pool_trial(struct pool *p, const struct ps_store_campaign *c,
				 const struct ps_store_trial *t, struct ps_error *err)
{
	const struct ps_store_result *r = ps_report_result_of(t, p->line->tenant);
	enum ps_status st = PS_OK;

	if (!r)
		return PS_OK;
	if (r->batch > 0)
		p->line->batch = r->batch;
	if (t->role != PS_STORE_SCALE)
		st = pool_compute(p, r, err);
	if (st == PS_OK && t->role == PS_STORE_DEMAND)
		st = pool_result(p, t, r, &c->tenants[p->line->tenant].sla, err);
	if (st != PS_OK)
		ps_error_where(err, "trial %lld of %s, tenant %s", (long long)t->id, c->name,
			       c->tenants[p->line->tenant].name);
	return st;
}

static enum ps_status pool_trials(struct pool *p, const struct ps_store_campaign *c,
				  struct ps_error *err)
{
	for (size_t i = 0; i < c->cell_len; i++) {
		const struct ps_store_cell *cell = &c->cells[i];
		if (cell->set != p->line->set || !is_done(cell) || !is_of_matrix(cell))
			continue;
		for (size_t j = 0; j < cell->trial_len; j++) {
			enum ps_status st = pool_trial(p, c, &cell->trials[j], err);
			if (st != PS_OK)
				return st;
		}
	}
	return PS_OK;
}

/* The mean compute time of a request is kept in compute_share until the shares are known. */
static void close_pool(struct pool *p, const struct ps_sla *sla)
{
	struct ps_report_line *l = p->line;

	l->compute_share = p->computed ? p->compute_ns / (double)p->computed : NAN;
	l->effective_ratio = l->requests ? p->weight / (double)l->requests : 1;
	if (!(l->effective_ratio > 0 && l->effective_ratio <= 1))
		l->effective_ratio = 1;
	l->offered_rps = p->duration_s > 0 ? p->offered / p->duration_s : NAN;
	l->goodput_rps = p->duration_s > 0 ? p->good / p->duration_s : NAN;
	ps_report_judge_line(l, sla, p->valid.requests, p->valid.over);
}

static enum ps_status fill_line(struct ps_report_answer *a, struct ps_report_line *l, int tenant,
				int set, int place, struct ps_error *err)
{
	const struct ps_store_campaign *c = a->campaign;
	const struct ps_store_cell *search = search_cell(c, set);
	struct pool p = {.line = l};

	l->tenant = tenant;
	l->set = set;
	l->alone = c->sets[set].member_len == 1;
	l->batch = 1;
	l->held_rps = NAN;
	l->usd_per_million.value = l->usd_per_million.lo = l->usd_per_million.hi = NAN;
	if (search)
		read_capacity(l, &search->capacity, place);
	enum ps_status st = ps_hist_init(&l->latency);
	if (st == PS_OK)
		st = ps_hist_init(&p.part);
	if (st != PS_OK)
		return ps_error_set(err, st, "no memory for a histogram");
	st = pool_trials(&p, c, err);
	if (st == PS_OK)
		close_pool(&p, &c->tenants[tenant].sla);
	if (st == PS_OK)
		st = ps_report_slowdown(c, l, &p.part, err);
	ps_hist_fini(&p.part);
	return st;
}

/* ---- sets ---- */

struct usage {
	double seconds, server_s, generator_s, steal_s, busy_s, completed;
	bool server_known, generator_known, steal_known;
};

static void add_usage(struct usage *u, struct ps_report_set *s, const struct ps_store_trial *t)
{
	u->seconds += (double)t->duration_ns / 1e9;
	u->server_known = u->server_known || t->server_cpu_ns >= 0;
	u->generator_known = u->generator_known || t->generator_cpu_ns >= 0;
	u->steal_known = u->steal_known || t->steal_ns >= 0;
	u->server_s += t->server_cpu_ns > 0 ? (double)t->server_cpu_ns / 1e9 : 0;
	u->generator_s += t->generator_cpu_ns > 0 ? (double)t->generator_cpu_ns / 1e9 : 0;
	u->steal_s += t->steal_ns > 0 ? (double)t->steal_ns / 1e9 : 0;
	for (size_t i = 0; i < t->result_len; i++)
		u->completed += (double)t->results[i].completed;
	if (t->server_peak_rss_bytes > s->peak_rss_bytes)
		s->peak_rss_bytes = t->server_peak_rss_bytes;
	if (t->server_pss_bytes > s->pss_bytes)
		s->pss_bytes = t->server_pss_bytes;
	s->trials++;
	if (!s->shown || (!s->shown->valid && t->valid))
		s->shown = t;
}

static void fill_set(struct ps_report_answer *a, int set)
{
	const struct ps_store_campaign *c = a->campaign;
	const struct ps_store_cell *search = search_cell(c, set);
	struct ps_report_set *s = &a->sets[set];
	struct usage u = {0};

	s->peak_rss_bytes = s->pss_bytes = -1;
	s->capacity = search ? &search->capacity : NULL;
	for (size_t i = 0; i < c->cell_len; i++)
		for (size_t j = 0; j < c->cells[i].trial_len; j++)
			if (c->cells[i].set == set && is_done(&c->cells[i]) &&
			    c->cells[i].trials[j].role == PS_STORE_DEMAND)
				add_usage(&u, s, &c->cells[i].trials[j]);
	bool any = u.seconds > 0;
	s->cpu_cores = any && u.server_known ? u.server_s / u.seconds : NAN;
	s->cpu_ms_per_request =
		u.completed > 0 && u.server_known ? 1e3 * u.server_s / u.completed : NAN;
	s->generator_cores = any && u.generator_known ? u.generator_s / u.seconds : NAN;
	s->steal_share = any && u.steal_known ? u.steal_s / u.seconds : NAN;
}

/* The verdict of a set is that of its worst tenant. */
static void judge_set(struct ps_report_answer *a, int set)
{
	struct ps_report_set *s = &a->sets[set];
	bool missed = false, met = true, data = true;

	for (size_t i = 0; i < a->line_len; i++) {
		if (a->lines[i].set != set)
			continue;
		missed = missed || a->lines[i].verdict == PS_REPORT_MISSED;
		met = met && a->lines[i].verdict == PS_REPORT_MET;
		data = data && a->lines[i].verdict != PS_REPORT_NO_DATA;
	}
	s->verdict = missed  ? PS_REPORT_MISSED
		     : !data ? PS_REPORT_NO_DATA
		     : met   ? PS_REPORT_MET
			     : PS_REPORT_UNDECIDED;
}

/* Splits a set by capacity x mean compute time, and prices its lines. */
static void price_set(struct ps_report_answer *a, int set)
{
	double total = 0;
	int members = a->campaign->sets[set].member_len;

	for (size_t i = 0; i < a->line_len; i++)
		if (a->lines[i].set == set)
			total += a->lines[i].capacity_rps.value * a->lines[i].compute_share;
	for (size_t i = 0; i < a->line_len; i++) {
		struct ps_report_line *l = &a->lines[i];
		if (l->set != set)
			continue;
		l->compute_share =
			members == 1 ? 1 : l->capacity_rps.value * l->compute_share / total;
		if (!a->has_price || !l->capacity_known || !(l->compute_share > 0))
			continue;
		struct ps_stats_interval ips = l->capacity_rps;
		ips.value *= l->batch;
		ips.lo *= l->batch;
		ips.hi *= l->batch;
		l->usd_per_million = ps_cost_usd_per_million(
			a->campaign->price.usd_per_hour * l->compute_share, ips);
	}
}

static enum ps_status fill_lines(struct ps_report_answer *a, struct ps_error *err)
{
	const struct ps_store_campaign *c = a->campaign;
	size_t n = 0;

	for (size_t s = 0; s < c->set_len; s++)
		n += (size_t)c->sets[s].member_len;
	a->lines = calloc(n ? n : 1, sizeof *a->lines);
	a->sets = calloc(c->set_len, sizeof *a->sets);
	if (!a->lines || !a->sets)
		return ps_error_set(err, PS_ENOMEM, "no memory for the report");
	for (size_t t = 0; t < c->tenant_len; t++)
		for (int several = 0; several < 2; several++)
			for (size_t s = 0; s < c->set_len; s++)
				for (int m = 0; m < c->sets[s].member_len; m++) {
					if (c->sets[s].members[m] != (int)t ||
					    (c->sets[s].member_len > 1) != several ||
					    !ps_report_in_matrix(c, (int)s))
						continue;
					enum ps_status st = fill_line(a, &a->lines[a->line_len++],
								      (int)t, (int)s, m, err);
					if (st != PS_OK)
						return st;
				}
	for (size_t s = 0; s < c->set_len; s++) {
		fill_set(a, (int)s);
		judge_set(a, (int)s);
		price_set(a, (int)s);
	}
	return PS_OK;
}

static void count_cells(struct ps_report_answer *a)
{
	for (size_t i = 0; i < a->campaign->cell_len; i++) {
		enum ps_store_cell_state s = a->campaign->cells[i].state;
		a->cells_done += s == PS_STORE_DONE;
		a->cells_failed += s == PS_STORE_FAILED;
		a->cells_open += s == PS_STORE_PLANNED || s == PS_STORE_RUNNING;
	}
}

enum ps_status ps_report_build(const struct ps_store_campaign *c,
			       struct ps_report_answer *ret_answer, struct ps_error *err)
{
	struct ps_report_answer a = {.campaign = c};

	if (c->tenant_len == 0 || c->set_len == 0)
		return ps_error_set(err, PS_EINVAL, "campaign %s has no tenants or no sets",
				    c->name);
	ps_arena_init(&a.arena, 0);
	a.has_price = c->price.instance_type != NULL && c->price.usd_per_hour > 0;
	count_cells(&a);
	enum ps_status st = fill_lines(&a, err);
	if (st == PS_OK)
		st = ps_report_compare(&a, err);
	if (st == PS_OK)
		st = ps_report_tables(&a, err);
	if (st == PS_OK)
		st = ps_report_warn(&a, err);
	if (st != PS_OK)
		ps_report_fini(&a);
	else
		*ret_answer = a;
	return st;
}

void ps_report_fini(struct ps_report_answer *a)
{
	for (size_t i = 0; i < a->line_len; i++)
		ps_hist_fini(&a->lines[i].latency);
	for (size_t i = 0; i < a->warning_len; i++)
		free(a->warnings[i]);
	free(a->warnings);
	free(a->lines);
	free(a->sets);
	free(a->comparisons);
	ps_arena_fini(&a->arena);
	*a = (struct ps_report_answer){0};
}
