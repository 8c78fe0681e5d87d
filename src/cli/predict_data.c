/* predict_data.c - profiles, capacities and pairs out of a store's campaigns. */
#include "cli/predict_read_internal.h"

#include "stats/stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum ps_status no_memory(struct ps_error *err)
{
	return ps_error_set(err, PS_ENOMEM, "no memory for profiles");
}

static char *keep(struct ps_cli_predict_data *d, const char *text)
{
	return text ? ps_arena_strndup(&d->arena, text, strlen(text)) : NULL;
}

enum ps_status ps_cli_predict_corrupt(const struct ps_store_cell *x, const char *what, double value,
				      struct ps_error *err)
{
	ps_error_set(err, PS_ECORRUPT, "%s is %g, which it cannot be", what, value);
	ps_error_where(err, "cell %s", x->key);
	ps_error_hint(err, "perseus store check says what else is wrong with the file");
	return PS_ECORRUPT;
}

/* ---- models ---- */

/* The last run's models: a campaign may have gone on after its file was changed. */
static enum ps_status add_models(struct ps_cli_predict_reading *r, struct ps_error *err)
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

int ps_cli_predict_model_of(const struct ps_cli_predict_reading *r, int tenant)
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

struct ps_predict_slice ps_cli_predict_slice_of(const struct ps_cli_predict_reading *r,
						const struct ps_store_cell *x)
{
	return (struct ps_predict_slice){
		.cpus = r->cpus, .lanes = lanes_of(x), .threads = r->wide ? r->cpus : 1};
}

static enum ps_status look_at_slice(struct ps_cli_predict_reading *r, struct ps_error *err)
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

/* "provider/type", as a price sheet is asked for it. */
static const char *priced_as(struct ps_cli_predict_reading *r)
{
	const struct ps_store_price *p = &r->c->price;
	char text[300];

	if (!p->instance_type)
		return NULL;
	(void)snprintf(text, sizeof(text), "%s/%s", p->provider ? p->provider : "",
		       p->instance_type);
	return keep(r->d, text);
}

/* The server's own clock around the run: no queue and no wire. */
static enum ps_status add_trial(struct ps_cli_predict_reading *r, const struct ps_store_cell *x,
				const struct ps_store_result *result, int model,
				struct ps_error *err)
{
	const struct ps_predict_slice s = ps_cli_predict_slice_of(r, x);
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
	p->mean += ps_hist_mean_ns(&r->hist) / (double)p50;
	if (!p->priced_as)
		p->priced_as = priced_as(r);
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

static enum ps_status add_profile(struct ps_cli_predict_reading *r, const struct ps_store_cell *x,
				  struct ps_error *err)
{
	int model = ps_cli_predict_find(r->d, name_in_key(x));
	enum ps_status st = PS_OK;

	/* runs side by side take longer: that is another figure than the time of one alone */
	if (r->file.profile.users > 1 && !r->d->only) {
		ps_cli_predict_note(r->d,
				    "campaign %.80s: profiles of %lld users are not learned from "
				    "beside those of one; --campaign takes them alone",
				    r->c->name, (long long)r->file.profile.users);
		return PS_OK;
	}
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
		return ps_cli_predict_corrupt(x, "the time of an operator", f->value, err);
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

static enum ps_status add_operators(struct ps_cli_predict_reading *r, const struct ps_store_cell *x,
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

/* ---- campaigns ---- */

static enum ps_status read_cells(struct ps_cli_predict_reading *r, struct ps_error *err)
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
static enum ps_status read_parts(struct ps_cli_predict_reading *r, struct ps_error *err)
{
	if (r->file.server.url) {
		ps_cli_predict_note(r->d,
				    "campaign %.80s is not learned from: its server runs elsewhere",
				    r->c->name);
		return PS_OK;
	}
	if (ps_cli_predict_other_library(r->d, r->c->manifest_json)) {
		ps_cli_predict_note(r->d,
				    "campaign %.80s (%lld) is not learned from: its engine was "
				    "another library than the last campaign's; --campaign takes it "
				    "alone",
				    r->c->name, (long long)r->c->id);
		return PS_OK;
	}
	enum ps_status st = ps_cli_predict_same_machine(r->d, r->c->manifest_json, err);
	if (st == PS_OK)
		st = add_models(r, err);
	if (st == PS_OK)
		st = read_cells(r, err);
	if (st == PS_OK)
		st = ps_cli_predict_add_facts(r, err);
	return st == PS_OK ? ps_cli_predict_add_lines(r, err) : st;
}

static enum ps_status read_campaign(struct ps_store *s, struct ps_cli_predict_data *d,
				    const struct ps_store_campaign *c, struct ps_error *err)
{
	struct ps_cli_predict_reading r = {.d = d, .store = s, .c = c};
	enum ps_status st = ps_hist_init(&r.hist);

	if (st != PS_OK)
		return no_memory(err);
	st = look_at_slice(&r, err);
	if (st == PS_OK) {
		st = read_parts(&r, err);
		ps_measure_free(&r.file);
	}
	ps_hist_fini(&r.hist);
	free(r.kept); /* what it points to is the data's */
	d->campaigns += st == PS_OK;
	return st;
}

#define NAMED_CELLS 4 /* in one note */

/* Nobody should learn from what a disk changed without knowing; perseus report says it, too. */
static void say_damage(struct ps_cli_predict_data *d, const struct ps_store_campaign *c)
{
	char names[220] = "";
	int n = 0;

	for (size_t i = 0; i < c->cell_len; i++) {
		size_t at = strlen(names);
		if (!c->cells[i].damaged || n++ >= NAMED_CELLS)
			continue;
		(void)snprintf(names + at, sizeof(names) - at, "%s%.45s", n > 1 ? ", " : "",
			       c->cells[i].key);
	}
	if (c->damaged)
		ps_cli_predict_note(d,
				    "DAMAGED: the plan of campaign %.80s (%lld) is not what was "
				    "written (perseus store check)",
				    c->name, (long long)c->id);
	if (n > 0)
		ps_cli_predict_note(d,
				    "DAMAGED: campaign %.60s (%lld): %s%s: not what was written "
				    "(perseus store check), and what follows from it may be wrong; "
				    "perseus measure --resume measures it again",
				    c->name, (long long)c->id, names,
				    n > NAMED_CELLS ? " and more" : "");
}

static enum ps_status read_one(struct ps_store *s, int64_t id, struct ps_cli_predict_data *d,
			       struct ps_error *err)
{
	struct ps_store_campaign *c = NULL;
	enum ps_status st = ps_store_campaign_read(s, id, &c, err);

	if (st == PS_OK)
		st = read_campaign(s, d, c, err);
	if (st == PS_OK)
		say_damage(d, c);
	ps_store_campaign_free(c);
	return st;
}

static enum ps_status look_at_library(struct ps_store *s, int64_t id, struct ps_cli_predict_data *d,
				      struct ps_error *err)
{
	struct ps_store_campaign *c = NULL;
	enum ps_status st = ps_store_campaign_read(s, id, &c, err);

	if (st == PS_OK)
		d->library = ps_cli_predict_library(d, c->manifest_json);
	ps_store_campaign_free(c);
	return st;
}

static enum ps_status read_all(struct ps_store *s, struct ps_cli_predict_data *d,
			       struct ps_error *err)
{
	struct ps_store_listing *list = NULL;
	size_t n = 0;
	enum ps_status st = ps_store_list(s, &list, &n, err);

	for (size_t i = 0; i < n && st == PS_OK && !d->library; i++)
		st = look_at_library(s, list[i].id, d, err);
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
	d->only = campaign != 0;
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
	free(d->groups);
	free(d->beside);
	json_decref(d->machine_of);
	ps_arena_fini(&d->arena);
	memset(d, 0, sizeof(*d));
}
