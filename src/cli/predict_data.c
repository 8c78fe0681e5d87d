/* predict_data.c - profiles, capacities and pairs out of a store's campaigns. */
#include "cli/predict_data_internal.h"

#include "measure/measure.h"
#include "report/report.h"
#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A campaign while it is read. */
struct reading {
	struct ps_cli_predict_data *d;
	const struct ps_store_campaign *c;
	struct ps_measure_campaign file;
	double cpus;
	bool wide;
	struct ps_hist hist;
};

static enum ps_status no_memory(struct ps_error *err)
{
	return ps_error_set(err, PS_ENOMEM, "no memory for profiles");
}

static char *keep(struct ps_cli_predict_data *d, const char *text)
{
	return text ? ps_arena_strndup(&d->arena, text, strlen(text)) : NULL;
}

static enum ps_status corrupt(const struct ps_store_cell *x, const char *what, double value,
			      struct ps_error *err)
{
	ps_error_set(err, PS_ECORRUPT, "%s is %g, which it cannot be", what, value);
	ps_error_where(err, "cell %s", x->key);
	ps_error_hint(err, "perseus store check says what else is wrong with the file");
	return PS_ECORRUPT;
}

/* ---- models ---- */

/* The last run's models: a campaign may have gone on after its file was changed. */
static enum ps_status add_models(struct reading *r, struct ps_error *err)
{
	json_t *o = NULL;
	const char *text = r->c->manifest_json;
	enum ps_status st = text ? ps_json_parse(text, strlen(text), &o, err) : PS_OK;
	const json_t *runs = json_object_get(o, "runs");
	const json_t *last = json_array_get(runs, json_array_size(runs) - 1), *row = NULL;
	size_t k;

	json_array_foreach(json_object_get(last, "models"), k, row)
	{
		if (st == PS_OK)
			st = ps_cli_predict_add_known(r->d, row, err);
	}
	json_decref(o);
	return st;
}

static int model_of_tenant(const struct reading *r, int tenant)
{
	return ps_cli_predict_find(r->d, r->c->tenants[tenant].model);
}

/* ---- the slice ---- */

static double lanes_of(const struct ps_store_cell *x)
{
	json_t *o = NULL;
	double lanes = NAN;

	if (x->server_json &&
	    ps_json_parse(x->server_json, strlen(x->server_json), &o, NULL) == PS_OK)
		lanes = (double)ps_json_get_int(o, "lanes", 0);
	json_decref(o);
	return lanes > 0 ? lanes : NAN;
}

static struct ps_predict_slice slice_of(const struct reading *r, const struct ps_store_cell *x)
{
	return (struct ps_predict_slice){
		.cpus = r->cpus, .lanes = lanes_of(x), .threads = r->wide ? r->cpus : 1};
}

static enum ps_status look_at_slice(struct reading *r, struct ps_error *err)
{
	const struct ps_store_campaign *c = r->c;
	struct ps_cpus cpus = {{0}};
	enum ps_status st =
		ps_measure_parse(c->file_text, strlen(c->file_text), c->file_path, &r->file, err);

	if (st != PS_OK)
		return st;
	if (c->slice_cpus)
		st = ps_cpus_parse(c->slice_cpus, &cpus, err);
	r->cpus = ps_cpus_count(&cpus);
	/* half a CPU is half a CPU of time, in slices of it */
	if (c->slice_cpu_quota > 0)
		r->cpus = fmin(r->cpus, c->slice_cpu_quota);
	r->wide = r->file.server.width == 1;
	if (st != PS_OK)
		ps_measure_free(&r->file);
	return st;
}

/* ---- profiles ---- */

static struct ps_cli_predict_profile *profile_at(struct ps_cli_predict_data *d, int model,
						 int64_t batch, const struct ps_predict_slice *s)
{
	for (size_t i = 0; i < d->profile_len; i++) {
		struct ps_cli_predict_profile *p = &d->profiles[i];
		if (p->model == model && p->batch == batch &&
		    ps_cli_predict_same_slice(&p->slice, s))
			return p;
	}
	if (d->profile_len == PS_CLI_PREDICT_MAX_PROFILES)
		return NULL;
	struct ps_cli_predict_profile *p = &d->profiles[d->profile_len++];
	*p = (struct ps_cli_predict_profile){.model = model, .batch = batch, .slice = *s};
	return p;
}

/* The server's own clock around the run: no queue and no wire. */
static enum ps_status add_trial(struct reading *r, const struct ps_store_cell *x,
				const struct ps_store_result *result, int model,
				struct ps_error *err)
{
	const struct ps_predict_slice s = slice_of(r, x);
	enum ps_status st = ps_hist_read(&r->hist, result->server_compute.data,
					 result->server_compute.len, err);
	if (st != PS_OK)
		return st;
	int64_t p50 = ps_hist_quantile_ns(&r->hist, 0.5);
	if (ps_hist_count(&r->hist) == 0 || p50 == PS_HIST_INFINITE || p50 <= 0)
		return PS_OK; /* a server that does not say */
	if (result->batch != trunc(result->batch))
		return PS_OK; /* a mix of sizes is none */
	struct ps_cli_predict_profile *p = profile_at(r->d, model, (int64_t)result->batch, &s);
	if (!p)
		return ps_error_set(err, PS_ETOOBIG, "over %d profiles",
				    PS_CLI_PREDICT_MAX_PROFILES);
	if (p->trials < PS_CLI_PREDICT_KEPT_TRIALS)
		p->log_ns[p->trials] = log((double)p50);
	p->deviation += ps_hist_deviation_ns(&r->hist) / ps_hist_mean_ns(&r->hist);
	p->trials++;
	return PS_OK;
}

/* "profile/3/MODEL" */
static const char *name_in_key(const struct ps_store_cell *x)
{
	const char *slash = strchr(x->key, '/');

	slash = slash ? strchr(slash + 1, '/') : NULL;
	return slash ? slash + 1 : "";
}

static enum ps_status add_profile(struct reading *r, const struct ps_store_cell *x,
				  struct ps_error *err)
{
	int model = ps_cli_predict_find(r->d, name_in_key(x));
	enum ps_status st = PS_OK;

	for (size_t i = 0; i < x->trial_len && st == PS_OK && model >= 0; i++) {
		const struct ps_store_trial *t = &x->trials[i];
		if (t->valid && t->result_len == 1 && t->results[0].server_compute.len > 0)
			st = add_trial(r, x, &t->results[0], model, err);
	}
	return st;
}

/* ---- operators ---- */

/* "Conv:node name" */
static enum ps_status add_node(struct ps_cli_predict_data *d, struct ps_cli_predict_model *m,
			       const struct ps_store_cell *x, const struct ps_store_figure *f,
			       struct ps_error *err)
{
	const char *colon = strchr(f->subject, ':');

	if (!isfinite(f->value) || f->value < 0)
		return corrupt(x, "the time of an operator", f->value, err);
	if (m->node_len == PS_CLI_PREDICT_MAX_NODES)
		return ps_error_set(err, PS_ETOOBIG, "over %d operators in a profile",
				    PS_CLI_PREDICT_MAX_NODES);
	if (!colon)
		return PS_OK;
	struct ps_predict_node_time *n = &m->nodes[m->node_len++];
	n->type = ps_arena_strndup(&d->arena, f->subject, (size_t)(colon - f->subject));
	n->node = keep(d, colon + 1);
	n->ns = f->value;
	return n->type && n->node ? PS_OK : no_memory(err);
}

/* Rows of one thread: operators are profiled with one. The first profile that has them counts. */
static void add_machine(struct ps_predict_machine *m, const struct ps_store_figure *f)
{
	if (f->count != 1)
		return;
	if (strcmp(f->name, "machine_macs") == 0 && m->threads == 0) {
		m->threads = 1;
		m->mac_per_s = f->value;
	} else if (strcmp(f->name, "machine_block") == 0 && m->block == 0) {
		m->block = (int)f->value;
	} else if (strcmp(f->name, "machine_bandwidth") == 0 &&
		   m->level_len < PS_PREDICT_MAX_LEVELS) {
		for (int i = 0; i < m->level_len; i++)
			if (m->levels[i].bytes >= f->x)
				return;
		m->levels[m->level_len].bytes = f->x;
		m->levels[m->level_len++].bytes_per_s = f->value;
	}
}

static enum ps_status add_operators(struct reading *r, const struct ps_store_cell *x,
				    struct ps_error *err)
{
	int model = ps_cli_predict_find(r->d, name_in_key(x));
	struct ps_cli_predict_model *m = model >= 0 ? &r->d->models[model] : NULL;
	enum ps_status st = PS_OK;

	if (!m || r->file.operators.batch != 1)
		return PS_OK;
	/* the first profile of a model counts: a second one would be another sample */
	bool first = !m->nodes;
	if (first)
		m->nodes = ps_arena_zalloc(&r->d->arena, (x->figure_len + 1) * sizeof(*m->nodes));
	if (!m->nodes)
		return no_memory(err);
	for (size_t i = 0; i < x->figure_len && st == PS_OK; i++) {
		const struct ps_store_figure *f = &x->figures[i];
		if (strcmp(f->name, "node_time") != 0)
			add_machine(&r->d->machine, f);
		else if (first)
			st = add_node(r->d, m, x, f, err);
	}
	return st;
}

/* ---- capacities and pairs ---- */

static const struct ps_measure_tenant *tenant_at(const struct reading *r, int tenant)
{
	const struct ps_measure_tenant *t = r->file.tenants.items;

	for (size_t i = 0; i < r->file.tenants.len; i++)
		if (strcmp(t[i].name, r->c->tenants[tenant].name) == 0)
			return &t[i];
	return NULL;
}

static int64_t batch_of(const struct reading *r, int tenant)
{
	const struct ps_measure_tenant *t = tenant_at(r, tenant);

	return t ? t->batch : 1;
}

/* No column of a table says how requests arrive, and the first guess is a queue of Poisson ones. */
static bool arrives_at_random(const struct reading *r, int tenant)
{
	const struct ps_measure_tenant *t = tenant_at(r, tenant);

	if (!t)
		return true;
	const struct ps_load_arrival_options *o = &t->arrival;
	bool other = strcmp(ps_load_arrival_choice(o), "poisson") != 0 || o->cv > 0 ||
		     o->burst_ratio > 0 || o->burst_share > 0 || o->burst_length > 0 ||
		     o->ramp_to > 0 || o->steps.len > 0 || o->swing > 0 || o->trace || o->even ||
		     o->concurrency > 0;
	if (other)
		ps_cli_predict_note(r->d,
				    "campaign %.80s: capacities and pairs of %.80s are not learned "
				    "from: its requests do not arrive as a Poisson process",
				    r->c->name, t->name);
	return !other;
}

static double noise_of(const struct ps_stats_interval *v)
{
	return v->has_interval && v->lo > 0 && isfinite(v->hi) ? (v->hi - v->lo) / 2 / v->value
							       : NAN;
}

static const struct ps_store_cell *cell_of(const struct ps_store_campaign *c, int set,
					   enum ps_store_cell_kind kind)
{
	for (size_t i = 0; i < c->cell_len; i++)
		if (c->cells[i].set == set && c->cells[i].kind == kind &&
		    c->cells[i].state == PS_STORE_DONE)
			return &c->cells[i];
	return NULL;
}

static enum ps_status add_capacity(struct reading *r, const struct ps_report_line *l,
				   struct ps_error *err)
{
	const struct ps_store_cell *x = cell_of(r->c, l->set, PS_STORE_SEARCH);
	int model = model_of_tenant(r, l->tenant);
	double rps = l->capacity_rps.value;

	if (!l->alone || !l->capacity_known || !x || model < 0)
		return PS_OK;
	if (!isfinite(rps) || rps < 0)
		return corrupt(x, "a capacity", rps, err);
	/* when no rate kept the agreement, there is nothing to learn a size from */
	if (rps == 0 || !arrives_at_random(r, l->tenant))
		return PS_OK;
	struct ps_cli_predict_capacity *c = &r->d->capacities[r->d->capacity_len++];
	*c = (struct ps_cli_predict_capacity){.model = model,
					      .batch = batch_of(r, l->tenant),
					      .slice = slice_of(r, x),
					      .sla = r->c->tenants[l->tenant].sla,
					      .rps = rps,
					      .noise = noise_of(&l->capacity_rps)};
	return PS_OK;
}

static double time_noise(const struct ps_stats_time_quantile *q)
{
	if (!q->has_interval || q->hi_ns == PS_HIST_INFINITE)
		return NAN;
	return (double)(q->hi_ns - q->lo_ns) / 2 / (double)q->value_ns;
}

/* What half of a trial's requests never got is no number to learn; but it was the worst of all. */
static void say_unanswered(struct reading *r, const struct ps_report_line *l, int other)
{
	const struct ps_store_tenant *t = r->c->tenants;

	if (isinf(l->slowdown.value) || l->p99.value_ns == PS_HIST_INFINITE)
		ps_cli_predict_note(
			r->d,
			"campaign %.80s: %s of %.80s beside %.80s %s not learned from: "
			"too many requests were never answered",
			r->c->name, isinf(l->slowdown.value) ? "slowdown and p99" : "the p99",
			t[l->tenant].name, t[other].name, isinf(l->slowdown.value) ? "are" : "is");
}

static enum ps_status add_pair(struct reading *r, const struct ps_report_line *l,
			       struct ps_error *err)
{
	const struct ps_store_set *set = &r->c->sets[l->set];
	const struct ps_store_cell *x = cell_of(r->c, l->set, PS_STORE_CONFIRM);

	if (set->member_len != 2 || !x || l->trials == 0)
		return PS_OK;
	int other = set->members[0] == l->tenant ? set->members[1] : set->members[0];
	struct ps_cli_predict_pair p = {
		.model = {model_of_tenant(r, l->tenant), model_of_tenant(r, other)},
		.batch = {batch_of(r, l->tenant), batch_of(r, other)},
		.rate_rps = {r->c->tenants[l->tenant].demand_rps, r->c->tenants[other].demand_rps},
		.slice = slice_of(r, x),
		.slowdown = l->slowdown.value,
		.slowdown_noise = noise_of(&l->slowdown),
		.p99_ns = l->p99.value_ns == PS_HIST_INFINITE ? NAN : (double)l->p99.value_ns,
		.p99_noise = time_noise(&l->p99)};
	if (p.model[0] < 0 || p.model[1] < 0 || p.model[0] == p.model[1])
		return PS_OK;
	for (int i = 0; i < 2; i++)
		if (!isfinite(p.rate_rps[i]) || p.rate_rps[i] <= 0)
			return corrupt(x, "a demand rate", p.rate_rps[i], err);
	if (!arrives_at_random(r, l->tenant) || !arrives_at_random(r, other))
		return PS_OK;
	say_unanswered(r, l, other);
	r->d->pairs[r->d->pair_len++] = p;
	return PS_OK;
}

static enum ps_status add_lines(struct reading *r, struct ps_error *err)
{
	struct ps_report_answer a = {0};
	enum ps_status st = PS_OK;

	/* campaigns of profiles alone have tenants all the same: no lines worth reading */
	if (r->c->set_len == 0 || r->c->tenant_len == 0)
		return PS_OK;
	st = ps_report_build(r->c, &a, err);
	if (st != PS_OK)
		return st;
	size_t cap = r->d->capacity_len + a.line_len, pairs = r->d->pair_len + a.line_len;
	void *more = realloc(r->d->capacities, (cap + 1) * sizeof(*r->d->capacities));
	void *most = realloc(r->d->pairs, (pairs + 1) * sizeof(*r->d->pairs));
	r->d->capacities = more ? more : r->d->capacities;
	r->d->pairs = most ? most : r->d->pairs;
	st = more && most ? PS_OK : no_memory(err);
	for (size_t i = 0; i < a.line_len && st == PS_OK; i++) {
		st = add_capacity(r, &a.lines[i], err);
		if (st == PS_OK)
			st = add_pair(r, &a.lines[i], err);
	}
	ps_report_fini(&a);
	return st;
}

/* ---- campaigns ---- */

static enum ps_status read_cells(struct reading *r, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (size_t i = 0; i < r->c->cell_len && st == PS_OK; i++) {
		const struct ps_store_cell *x = &r->c->cells[i];
		if (x->state != PS_STORE_DONE)
			continue;
		if (x->kind == PS_STORE_PROFILE)
			st = add_profile(r, x, err);
		else if (x->kind == PS_STORE_OPERATORS)
			st = add_operators(r, x, err);
	}
	return st;
}

/* Nothing is known of the slice and the machine of a server that runs elsewhere. */
static enum ps_status read_parts(struct reading *r, struct ps_error *err)
{
	if (r->file.server.url) {
		ps_cli_predict_note(r->d,
				    "campaign %.80s is not learned from: its server runs elsewhere",
				    r->c->name);
		return PS_OK;
	}
	enum ps_status st = ps_cli_predict_same_machine(r->d, r->c->manifest_json, err);
	if (st == PS_OK)
		st = add_models(r, err);
	if (st == PS_OK)
		st = read_cells(r, err);
	return st == PS_OK ? add_lines(r, err) : st;
}

static enum ps_status read_campaign(struct ps_cli_predict_data *d,
				    const struct ps_store_campaign *c, struct ps_error *err)
{
	struct reading r = {.d = d, .c = c};
	enum ps_status st = ps_hist_init(&r.hist);

	if (st != PS_OK)
		return no_memory(err);
	st = look_at_slice(&r, err);
	if (st == PS_OK) {
		st = read_parts(&r, err);
		ps_measure_free(&r.file);
	}
	ps_hist_fini(&r.hist);
	d->campaigns += st == PS_OK;
	return st;
}

static enum ps_status read_one(struct ps_store *s, int64_t id, struct ps_cli_predict_data *d,
			       struct ps_error *err)
{
	struct ps_store_campaign *c = NULL;
	enum ps_status st = ps_store_campaign_read(s, id, &c, err);

	if (st == PS_OK)
		st = read_campaign(d, c, err);
	ps_store_campaign_free(c);
	return st;
}

static enum ps_status read_all(struct ps_store *s, struct ps_cli_predict_data *d,
			       struct ps_error *err)
{
	struct ps_store_listing *list = NULL;
	size_t n = 0;
	enum ps_status st = ps_store_list(s, &list, &n, err);

	/* the oldest first: the latest names of a model's file come last, its first ones count */
	for (size_t i = n; i-- > 0 && st == PS_OK;)
		st = read_one(s, list[i].id, d, err);
	free(list);
	return st;
}

enum ps_status ps_cli_predict_read(struct ps_store *s, int64_t campaign,
				   struct ps_cli_predict_data *ret_data, struct ps_error *err)
{
	struct ps_cli_predict_data *d = ret_data;

	memset(d, 0, sizeof(*d));
	ps_arena_init(&d->arena, 0);
	d->profiles = calloc(PS_CLI_PREDICT_MAX_PROFILES, sizeof(*d->profiles));
	enum ps_status st = d->profiles ? PS_OK : no_memory(err);
	if (st == PS_OK)
		st = campaign ? read_one(s, campaign, d, err) : read_all(s, d, err);
	if (st != PS_OK)
		ps_cli_predict_free(d);
	return st;
}

void ps_cli_predict_free(struct ps_cli_predict_data *d)
{
	for (int i = 0; i < d->model_len; i++)
		ps_predict_model_fini(&d->models[i].work);
	free(d->profiles);
	free(d->capacities);
	free(d->pairs);
	json_decref(d->machine_of);
	ps_arena_fini(&d->arena);
	memset(d, 0, sizeof(*d));
}
