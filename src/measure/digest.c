/* digest.c - what a cell's result depends on, as one digest. A campaign file that is changed keeps
 * the cells whose digest is still the same.
 *
 * Left out on purpose: places in the plan (labels; the names of sets are not, as keys have them),
 * prices (they are applied to results), how many blocks there are (a block's result does not depend
 * on others), time limits of the campaign (match.c looks at the searches that they cut short). The
 * machine is compared as a whole, in find.c. The version of Perseus is in the manifest: a new build
 * does not throw away what an old one measured, but the report warns that there were two. */
#include "measure/plan_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- a configuration that somebody else wrote ---- */

/* What a line says: not its comment, nor the blanks around it. */
static size_t said(const char *line, size_t n)
{
	bool quoted = false;
	size_t len = n;
	for (size_t i = 0; i < len; i++) {
		if (line[i] == '\\' && quoted) {
			i++;
		} else if (line[i] == '"') {
			quoted = !quoted;
		} else if (line[i] == '#' && !quoted && (i == 0 || line[i - 1] == ' ')) {
			len = i;
		}
	}
	while (len > 0 && line[len - 1] == ' ') {
		len--;
	}
	return len;
}

/* Where files lie says nothing: what models hold is among the contents. */
static bool is_path(const char *line, size_t n)
{
	size_t blanks = strspn(line, " -");
	return n > blanks && strncmp(line + blanks, "path:", strlen("path:")) == 0;
}

static void put_config(json_t *o, const char *text)
{
	json_t *lines = json_array();
	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n"), len = said(line, n);
		if (len > 0 && !is_path(line, len)) {
			(void)json_array_append_new(lines, json_stringn_nocheck(line, len));
		}
		line += n + (line[n] == '\n');
	}
	(void)json_object_set_new(o, "server_config", lines);
}

/* The common part: server, slice, seed, generator. */
static json_t *common(const struct ps_measure_campaign *c)
{
	char cpus[PS_CPUS_SIZE];
	json_t *o = json_object();
	ps_json_set_int(o, "seed", c->seed);
	ps_json_set_int(o, "timeout_ns", ps_measure_timeout_ns(c));
	ps_json_set_int(o, "generator_cpu", c->generator_cpu);
	ps_json_set_string(o, "url", c->server.url);
	if (c->server_config) {
		put_config(o, c->server_config);
	}
	if (!c->server.url) {
		ps_json_set_string(o, "cpus", ps_cpus_format(&c->slice.cpus, cpus));
		ps_json_set_int(o, "memory", c->slice.memory_bytes);
		ps_json_set_real(o, "cpu_quota", c->slice.cpu_quota);
		ps_json_set_int(o, "lanes", c->server.lanes);
		ps_json_set_int(o, "width", c->server.width);
		ps_json_set_int(o, "queue_limit", c->server.queue_limit);
		ps_json_set_string(o, "library", c->server.library);
		if (c->server.order != PS_MEASURE_ORDER_FAIR) { /* else as before there was one */
			ps_json_set_int(o, "order", c->server.order);
		}
	}
	return o;
}

static json_t *texts(const struct ps_conf_texts *t)
{
	json_t *list = json_array();
	for (size_t i = 0; i < t->len; i++) {
		(void)json_array_append_new(list, json_string(t->items[i]));
	}
	return list;
}

static json_t *arrival(const struct ps_load_arrival_options *a, const char *trace)
{
	json_t *o = json_object();
	ps_json_set_string(o, "kind", ps_load_arrival_choice(a));
	ps_json_set_real(o, "cv", a->cv);
	ps_json_set_real(o, "burst_ratio", a->burst_ratio);
	ps_json_set_real(o, "burst_share", a->burst_share);
	ps_json_set_int(o, "burst_length", a->burst_length);
	ps_json_set_real(o, "ramp_to", a->ramp_to);
	ps_json_set_int(o, "ramp_over", a->ramp_over);
	(void)json_object_set_new(o, "steps", texts(&a->steps));
	ps_json_set_real(o, "swing", a->swing);
	ps_json_set_int(o, "period", a->period);
	ps_json_set_real(o, "phase", a->phase);
	ps_json_set_bool(o, "even", a->even);
	ps_json_set_string(o, "trace", trace);
	ps_json_set_int(o, "trace_format", a->trace_format);
	ps_json_set_int(o, "trace_unit", a->trace_unit);
	ps_json_set_bool(o, "trace_loop", a->trace_loop);
	ps_json_set_int(o, "trace_from", a->trace_from);
	ps_json_set_int(o, "trace_length", a->trace_length);
	ps_json_set_string(o, "trace_part", a->trace_part);
	ps_json_set_int(o, "trace_split", a->trace_split);
	return o;
}

/* What the files hold is among the contents; whom TLS trusts changes no result. */
static json_t *target(const struct ps_load_target_options *t)
{
	json_t *o = json_object();
	ps_json_set_string(o, "protocol", ps_load_protocol_choices[t->protocol]);
	ps_json_set_int(o, "streams", t->streams);
	ps_json_set_real(o, "tolerance", t->tolerance);
	ps_json_set_real(o, "check_share", t->check_share);
	if (t->urls.len > 0) {
		(void)json_object_set_new(o, "urls", texts(&t->urls));
		ps_json_set_int(o, "balance", t->balance);
	}
	return o;
}

/* What a tenant asks: its model, or a mix with the content of each model in it. */
static void put_models(json_t *o, const struct ps_measure_campaign *c,
		       const struct ps_measure_tenant *t, const char *const *contents)
{
	int models[PS_MEASURE_MAX_TENANTS], n = ps_measure_tenant_models(c, t, models);
	if (t->model) {
		ps_json_set_string(o, "model", t->model);
		ps_json_set_string(o, "content", contents[models[0]]);
		return;
	}
	json_t *list = json_array();
	for (int i = 0; i < n; i++) {
		(void)json_array_append_new(list, json_string(contents[models[i]]));
	}
	(void)json_object_set_new(o, "contents", list);
	(void)json_object_set_new(o, "mix", texts(&t->target.mix));
}

static json_t *tenant(const struct ps_measure_campaign *c, int i, const char *const *contents,
		      bool demand)
{
	const struct ps_measure_tenant *t =
		&((const struct ps_measure_tenant *)c->tenants.items)[i];
	char sla[PS_SLA_SIZE];
	json_t *o = json_object();
	ps_json_set_string(o, "name", t->name); /* names the stream of its arrivals */
	put_models(o, c, t, contents);
	ps_json_set_string(o, "sla", ps_sla_format(&t->sla, sla));
	ps_json_set_int(o, "batch", t->batch);
	(void)json_object_set_new(o, "arrival", arrival(&t->arrival, contents[c->models.len + i]));
	(void)json_object_set_new(o, "target", target(&t->target));
	if (demand) {
		ps_json_set_real(o, "demand", t->demand_rps);
	}
	return o;
}

static json_t *members(const struct ps_measure_planner *p, int set, const char *const *contents,
		       bool demand)
{
	json_t *list = json_array();
	for (int i = 0; i < p->sets[set].member_len; i++) {
		(void)json_array_append_new(
			list, tenant(p->c, p->sets[set].members[i], contents, demand));
	}
	return list;
}

static json_t *search(const struct ps_measure_campaign *c)
{
	const struct ps_measure_search *s = &c->search;
	json_t *o = json_object();
	ps_json_set_int(o, "scale_ns", s->scale_ns);
	ps_json_set_int(o, "steps", s->steps);
	ps_json_set_int(o, "min_steps", s->min_steps);
	ps_json_set_int(o, "step_ns", s->step_ns);
	ps_json_set_int(o, "warmup_ns", s->warmup_ns);
	ps_json_set_int(o, "checks", s->checks);
	ps_json_set_int(o, "users", s->users);
	ps_json_set_real(o, "half_width", c->stop.half_width);
	return o;
}

static json_t *rates(const struct ps_measure_planner *p, const struct ps_store_cell *x)
{
	const struct ps_measure_grid *g =
		&((const struct ps_measure_grid *)p->c->grids.items)[x->part];
	double rps[PS_MEASURE_MAX_MEMBERS];
	json_t *o = json_object(), *list = json_array();
	(void)ps_measure_grid_rates(p->c, g, x->point, &p->sets[x->set], rps);
	for (int i = 0; i < p->sets[x->set].member_len; i++) {
		(void)json_array_append_new(list, json_real(rps[i]));
	}
	(void)json_object_set_new(o, "rates", list);
	ps_json_set_int(o, "duration_ns", g->duration_ns);
	ps_json_set_int(o, "warmup_ns", g->warmup_ns);
	if (g->until_decided_ns > 0) { /* absent, digests are those of earlier versions */
		ps_json_set_int(o, "until_decided_ns", g->until_decided_ns);
	}
	return o;
}

static json_t *frontier(const struct ps_measure_planner *p, const struct ps_store_cell *x)
{
	const struct ps_measure_frontier *f =
		&((const struct ps_measure_frontier *)p->c->frontiers.items)[x->part];
	double shares[2];
	json_t *o = search(p->c);
	ps_measure_frontier_shares(p->c, f, x->point, &p->sets[x->set], shares);
	ps_json_set_real(o, "share", shares[0]);
	return o;
}

static json_t *trial(int64_t warmup_ns, int64_t duration_ns)
{
	json_t *o = json_object();
	ps_json_set_int(o, "warmup_ns", warmup_ns);
	ps_json_set_int(o, "duration_ns", duration_ns);
	return o;
}

static json_t *profile(const struct ps_measure_profile *k)
{
	json_t *o = trial(k->warmup_ns, k->duration_ns), *list = json_array();
	ps_json_set_int(o, "users", k->users);
	for (int i = 0; i < k->size_len; i++) {
		(void)json_array_append_new(list, json_integer(k->sizes[i]));
	}
	(void)json_object_set_new(o, "batches", list);
	return o;
}

static json_t *cold(const struct ps_measure_cold *k)
{
	json_t *o = json_object();
	ps_json_set_int(o, "duration_ns", k->duration_ns);
	ps_json_set_bool(o, "convert", k->convert);
	return o;
}

static json_t *operators(const struct ps_measure_operators *k)
{
	json_t *o = json_object();
	ps_json_set_int(o, "runs", k->runs);
	ps_json_set_int(o, "batch", k->batch);
	return o;
}

/* What only this kind of cell depends on. */
static json_t *special(const struct ps_measure_planner *p, const struct ps_store_cell *x)
{
	json_t *o = NULL;
	switch (x->kind) {
	case PS_STORE_SEARCH:
		return search(p->c);
	case PS_STORE_PACK:
		o = search(p->c);
		ps_json_set_int(
			o, "most",
			((const struct ps_measure_packing *)p->c->packings.items)[x->part].most);
		return o;
	case PS_STORE_FRONTIER:
		return frontier(p, x);
	case PS_STORE_CONFIRM:
		return trial(p->c->confirm.warmup_ns, p->c->confirm.duration_ns);
	case PS_STORE_CAPACITY: /* also on the capacity that was found */
		o = search(p->c);
		(void)json_object_set_new(
			o, "trial", trial(p->c->confirm.warmup_ns, p->c->confirm.duration_ns));
		return o;
	case PS_STORE_RATES:
		return rates(p, x);
	case PS_STORE_COLD:
		return cold(&p->c->cold);
	case PS_STORE_PROFILE:
		return profile(&p->c->profile);
	case PS_STORE_OPERATORS:
		return operators(&p->c->operators);
	}
	return NULL;
}

static const char *digest_of(const struct ps_measure_planner *p, const struct ps_store_cell *x,
			     const char *const *contents)
{
	char digest[PS_TENANCY_DIGEST_SIZE];
	bool demand = x->kind == PS_STORE_CONFIRM || x->kind == PS_STORE_PACK;
	json_t *o = common(p->c), *mine = special(p, x);
	ps_json_set_string(o, "key", x->key); /* names the seeds, and the block */
	(void)json_object_set_new(o, "tenants", members(p, x->set, contents, demand));
	(void)json_object_set_new(o, "how", mine);
	char *text = mine ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	const char *copy = NULL;
	if (text) {
		ps_tenancy_digest(text, strlen(text), digest);
		copy = ps_arena_strndup(p->a, digest, strlen(digest));
	}
	free(text);
	json_decref(o);
	return copy;
}

enum ps_status ps_measure_plan_digests(struct ps_measure_planner *p, const char *const *contents,
				       struct ps_error *err)
{
	for (int i = 0; i < p->cell_len; i++) {
		p->cells[i].digest = digest_of(p, &p->cells[i], contents);
		if (!p->cells[i].digest) {
			return ps_error_set(err, PS_ENOMEM, "no memory for a cell's digest");
		}
	}
	return PS_OK;
}
