/* observe_stats.c - statistics in the protocol's words: per model and version, over the tenants
 * that the caller may see. */
#include "oip/admin.h"
#include "serve/observe_parts_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One version of a model, on the page or not. */
struct version {
	const char *name; /* the repository's */
	char text[PS_SERVE_VERSION_SIZE];
	bool wanted;
	struct ps_serve_counts counts;
	struct ps_oip_batch_statistics batches[PS_SERVE_MAX_BATCH_SIZES];
	struct ps_oip_memory_usage memory[2];
	int n_memory;
};

static void add_memory(struct version *v, const struct ps_repo *r, int model, int domain)
{
	int in = ps_repo_serving(r, model, domain);
	if (in < 0)
		return;
	const struct ps_repo_instance *i = ps_repo_instance_get(r, in);
	int64_t cpu = i->facts.private_bytes + i->facts.mapped_bytes;
	int64_t gpu = strncmp(i->device, "cuda:", 5) == 0 ? strtol(i->device + 5, NULL, 10) : 0;
	v->memory[v->n_memory++] =
		(struct ps_oip_memory_usage){.type = "CPU", .bytes = (uint64_t)cpu};
	if (i->facts.device_bytes > 0)
		v->memory[v->n_memory++] = (struct ps_oip_memory_usage){
			.type = "GPU", .id = gpu, .bytes = (uint64_t)i->facts.device_bytes};
}

/* The versions to be told of: of `model` ("": of all), that the viewer may see. `all` has a place
 * for each model number. */
static int choose(struct ps_serve *s, const struct ps_tenancy *t, int viewer, const char *model,
		  int64_t version, struct version **all, int n_all)
{
	int n = 0, domain = ps_serve_domain(t, viewer);
	for (int i = 0; i < n_all; i++) {
		const struct ps_repo_model *m = ps_repo_get(s->repo, i);
		if (m->gone || (model[0] && strcmp(m->name, model) != 0) ||
		    (version > 0 && m->version != version) || !ps_tenancy_sees(t, viewer, m->name))
			continue;
		enum ps_repo_state state = ps_repo_state_of(s->repo, i, domain);
		all[i] = calloc(1, sizeof **all);
		if (!all[i])
			continue;
		all[i]->name = m->name;
		all[i]->wanted = state == PS_REPO_READY || state == PS_REPO_UNLOADING;
		snprintf(all[i]->text, sizeof all[i]->text, "%s", m->version_text);
		add_memory(all[i], s->repo, i, domain);
		n++;
	}
	return n;
}

static void add_counts(struct ps_serve *s, int viewer, struct version **all, int n_all)
{
	struct ps_serve_observe *o = s->observe;
	struct ps_serve_counts *one = calloc(1, sizeof *one);
	size_t pairs = one ? ps_serve_pairs(o) : 0;
	for (size_t i = 0; i < pairs; i++) {
		const struct ps_serve_pair *p = ps_serve_pair_get(o, i);
		if (p->model >= n_all || !all[p->model] ||
		    (viewer != PS_TENANCY_ADMIN && p->tenant != viewer))
			continue;
		ps_serve_pair_read(o, i, one);
		ps_serve_counts_add(&all[p->model]->counts, one);
		all[p->model]->wanted = true;
	}
	free(one);
}

static struct ps_oip_duration duration(const struct ps_serve_sum *s)
{
	return (struct ps_oip_duration){.count = s->count, .ns = (uint64_t)s->ns};
}

static struct ps_oip_statistics statistics_of(struct version *v)
{
	const struct ps_serve_counts *c = &v->counts;
	for (int i = 0; i < c->n_batches; i++)
		v->batches[i] = (struct ps_oip_batch_statistics){
			.batch_size = (uint64_t)c->batches[i].rows,
			.compute_input = duration(&c->batches[i].input),
			.compute_infer = duration(&c->batches[i].infer),
			.compute_output = duration(&c->batches[i].output),
		};
	return (struct ps_oip_statistics){
		.name = v->name,
		.version = v->text,
		.last_inference_ms = (uint64_t)c->last_wall_ms,
		.inference_count = c->inferences,
		.execution_count = c->executions,
		.success = duration(&c->success),
		.fail = duration(&c->fail),
		.queue = duration(&c->queue),
		.compute_input = duration(&c->input),
		.compute_infer = duration(&c->infer),
		.compute_output = duration(&c->output),
		.batches = v->batches,
		.n_batches = c->n_batches,
		.memory = v->memory,
		.n_memory = v->n_memory,
	};
}

static enum ps_status build(struct version **all, int n_all, enum ps_oip_form form,
			    struct ps_strbuf *out)
{
	struct ps_oip_statistics *rows = calloc((size_t)n_all + 1, sizeof *rows);
	int n = 0;
	if (!rows)
		return PS_ENOMEM;
	for (int i = 0; i < n_all; i++)
		if (all[i] && all[i]->wanted)
			rows[n++] = statistics_of(all[i]);
	ps_oip_build_statistics(rows, n, form, out);
	free(rows);
	return ps_strbuf_status(out);
}

enum ps_status ps_serve_stats_build(struct ps_serve *s, int viewer, const char *model,
				    int64_t version, enum ps_oip_form form, struct ps_strbuf *out,
				    struct ps_error *err)
{
	struct ps_serve_snapshot *p = ps_serve_newest(s);
	enum ps_status status;
	pthread_mutex_lock(&s->lock);
	int n_all = ps_repo_count(s->repo), found = 0;
	struct version **all = calloc((size_t)n_all + 1, sizeof *all);
	if (all)
		found = choose(s, p->tenancy, viewer, model, version, all, n_all);
	pthread_mutex_unlock(&s->lock);
	ps_serve_snapshot_unref(p);
	if (!all)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	if (found == 0 && model[0]) {
		status = ps_error_set(err, PS_ENOTFOUND,
				      "Request for unknown model: '%s' is not found", model);
	} else {
		add_counts(s, viewer, all, n_all);
		status = build(all, n_all, form, out);
		if (status != PS_OK)
			ps_error_set(err, status, "out of memory");
	}
	for (int i = 0; i < n_all; i++)
		free(all[i]);
	free(all);
	return status;
}
