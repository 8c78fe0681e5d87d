/* profile.c - a model at several batch sizes, in shuffled order, and where its time goes. */
#include "measure/cell_internal.h"

#include "base/clock.h"
#include "base/file.h"
#include "host/probe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_OUTPUT_BYTES  (4u << 20) /* of perseus bench */
#define OPERATORS_MAX_NS  (600 * INT64_C(1000000000))
#define OPERATORS_WAIT_NS (100 * INT64_C(1000000))
#define FIXED_BATCH	  "fixed_batch"

/* ---- batch sizes ---- */

static enum ps_status one_size(struct ps_measure_cell *c, int batch, struct ps_error *err)
{
	const struct ps_measure_profile *p = &c->m->c->profile;
	struct ps_load_result r;
	struct ps_measure_load_plan plan = {.role = PS_STORE_PROFILED,
					    .factor = NAN,
					    .users = (int)p->users,
					    .batch = batch,
					    .warmup_ns = p->warmup_ns,
					    .duration_ns = p->duration_ns};
	(void)snprintf(c->m->what, sizeof(c->m->what), "batches of %d", batch);
	enum ps_status st = ps_measure_cell_trial(c, &plan, &r, err);
	if (st == PS_OK) {
		st = ps_measure_any_answered(&r, err);
		ps_load_result_fini(&r);
	}
	return st;
}

bool ps_measure_takes_batch(const json_t *metadata, int batch)
{
	const json_t *inputs = json_object_get(metadata, "inputs");
	for (size_t i = 0; i < json_array_size(inputs); i++) {
		const json_t *shape = json_object_get(json_array_get(inputs, i), "shape");
		json_int_t first = json_integer_value(json_array_get(shape, 0));
		if (json_array_size(shape) == 0 || (first >= 0 && first != batch)) {
			return false;
		}
	}
	return true;
}

/* What the server says of the cell's model; the caller decrefs. */
static enum ps_status ask_metadata(const struct ps_measure_cell *c, json_t **ret,
				   struct ps_error *err)
{
	char path[128], *body = NULL;
	size_t len = 0;
	(void)snprintf(path, sizeof(path), "/v2/models/%s", ps_measure_cell_model(c));
	enum ps_status st = ps_measure_ask_server(c->m, c->set, &c->live, path, &body, &len, err);
	if (st == PS_OK && ps_json_parse(body, len, ret, err) != PS_OK) {
		st = ps_error_set(err, PS_EUNAVAIL, "the answer to GET %s is no JSON", path);
	}
	free(body);
	return st;
}

/* A model with a fixed first dimension takes one size only: that is a result, not a failure. */
static enum ps_status keep_refusal(struct ps_measure_cell *c, int batch, struct ps_error *err)
{
	const struct ps_measure_model *models = c->m->c->models.items;
	const struct ps_store_figure f = {.name = FIXED_BATCH,
					  .subject = models[c->plan->part].name,
					  .unit = "inferences",
					  .x = batch,
					  .value = NAN,
					  .low = NAN,
					  .high = NAN};
	return ps_measure_cell_figure(c, &f, err);
}

enum ps_status ps_measure_cell_profile(struct ps_measure_cell *c, struct ps_error *err)
{
	const struct ps_measure_profile *p = &c->m->c->profile;
	int order[PS_MEASURE_MAX_BATCHES];
	json_t *metadata = NULL;
	enum ps_status st = ask_metadata(c, &metadata, err);
	ps_trial_block_order((uint64_t)c->m->c->seed, c->plan->block, p->size_len, order);
	for (int i = 0; i < p->size_len && st == PS_OK; i++) {
		int batch = p->sizes[order[i]];
		/* a batch of one is what the load asks for when nothing else is possible */
		bool takes = batch == 1 || ps_measure_takes_batch(metadata, batch);
		st = takes ? one_size(c, batch, err) : keep_refusal(c, batch, err);
	}
	json_decref(metadata);
	return st;
}

/* ---- operators ---- */

static const char *model_path(const struct ps_measure_cell *c)
{
	return c->m->model_paths[c->plan->part];
}

/* Waits until the child is over. How it ended shows in the file that it should have written. */
static enum ps_status wait_end(struct ps_measure_context *m, struct ps_host_process *p,
			       struct ps_error *err)
{
	int64_t until_ns = ps_clock_now_ns() + OPERATORS_MAX_NS;
	enum ps_status st = PS_OK, waited = PS_ETIMEOUT;
	char *line = NULL;
	/* it never says that it is ready: it ends */
	while (st == PS_OK && waited == PS_ETIMEOUT) {
		waited = ps_host_wait_ready(p, OPERATORS_WAIT_NS, &line, NULL);
		if (!ps_measure_say(m, NULL)) {
			st = ps_error_set(err, PS_ECANCELLED, "stopped");
		} else if (ps_clock_now_ns() > until_ns) {
			st = ps_error_set(err, PS_ETIMEOUT, "the profile took over ten minutes");
		}
	}
	free(line);
	(void)ps_host_stop(p, 0, NULL);
	return st;
}

/* Runs `perseus bench --operators` in the campaign's slice, as it is a child like any server. */
static enum ps_status run_bench(struct ps_measure_cell *c, const char *output, struct ps_error *err)
{
	const struct ps_measure_campaign *m = c->m->c;
	char runs[24], batch[24];
	(void)snprintf(runs, sizeof(runs), "%lld", (long long)m->operators.runs);
	(void)snprintf(batch, sizeof(batch), "%lld", (long long)m->operators.batch);
	const char *argv[] = {c->m->run->program,
			      "bench",
			      model_path(c),
			      "--operators",
			      runs,
			      "--batch",
			      batch,
			      "--cache-dir",
			      c->m->cache_dir,
			      "--output",
			      output,
			      NULL,
			      NULL,
			      NULL};
	if (m->server.library) {
		argv[11] = "--library";
		argv[12] = m->server.library;
	}
	struct ps_host_slice slice = {.cpus = m->slice.cpus,
				      .memory_bytes = m->slice.memory_bytes,
				      .cpu_quota = m->slice.cpu_quota};
	struct ps_host_process *p = NULL;
	char log[4200];
	(void)snprintf(log, sizeof(log), "%s.log", output);
	struct ps_host_start how = {.argv = argv, .slice = &slice, .log_path = log};
	enum ps_status st = ps_host_start(&how, &p, err);
	if (st != PS_OK) {
		return st;
	}
	return wait_end(c->m, p, err);
}

static enum ps_status keep_row(struct ps_measure_cell *c, const json_t *row, struct ps_error *err)
{
	const struct ps_store_figure f = {
		.name = "operator_time",
		.subject = ps_json_get_string(row, "operator", "?"),
		.unit = "ns",
		.x = (double)c->m->c->operators.batch,
		.value = ps_json_get_real(row, "ns_per_run", NAN),
		.low = NAN,
		.high = NAN,
		.count = ps_json_get_int(row, "calls_per_run", 0),
	};
	return ps_measure_cell_figure(c, &f, err);
}

/* A node of the network as the engine runs it: what predictions of other models learn from. */
static enum ps_status keep_node(struct ps_measure_cell *c, const json_t *row, struct ps_error *err)
{
	char subject[256];
	(void)snprintf(subject, sizeof(subject), "%.64s:%.128s",
		       ps_json_get_string(row, "operator", "?"),
		       ps_json_get_string(row, "node", "?"));
	const struct ps_store_figure f = {
		.name = "node_time",
		.subject = subject,
		.unit = "ns",
		.x = (double)c->m->c->operators.batch,
		.value = ps_json_get_real(row, "ns_per_run", NAN),
		.low = NAN,
		.high = NAN,
		.count = ps_json_get_int(row, "calls_per_run", 0),
	};
	return ps_measure_cell_figure(c, &f, err);
}

static enum ps_status keep_nodes(struct ps_measure_cell *c, const json_t *rows,
				 struct ps_error *err)
{
	enum ps_status st = PS_OK;
	for (size_t i = 0; i < json_array_size(rows) && st == PS_OK; i++) {
		st = keep_node(c, json_array_get(rows, i), err);
	}
	return st;
}

static enum ps_status keep_rows(struct ps_measure_cell *c, const char *text, size_t len,
				struct ps_error *err)
{
	json_t *o = NULL;
	enum ps_status st = ps_json_parse(text, len, &o, err);
	const json_t *rows = json_object_get(o, "operators");
	const struct ps_measure_model *models = c->m->c->models.items;
	if (st == PS_OK && json_array_size(rows) == 0) {
		st = ps_error_set(err, PS_EUNAVAIL, "the engine's profile names no operator");
	}
	const struct ps_store_figure whole = {.name = "run_time",
					      .subject = models[c->plan->part].name,
					      .unit = "ns",
					      .x = (double)c->m->c->operators.batch,
					      .value = ps_json_get_real(o, "run_ns", NAN),
					      .low = NAN,
					      .high = NAN,
					      .count = ps_json_get_int(o, "runs", 0)};
	st = st == PS_OK ? ps_measure_cell_figure(c, &whole, err) : st;
	for (size_t i = 0; i < json_array_size(rows) && st == PS_OK; i++) {
		st = keep_row(c, json_array_get(rows, i), err);
	}
	st = st == PS_OK ? keep_nodes(c, json_object_get(o, "nodes"), err) : st;
	json_decref(o);
	return st;
}

/* ---- the machine ---- */

/* `count` is the number of threads: the same probe is taken with one and with all. */
static enum ps_status keep_probe(struct ps_measure_cell *c, const struct ps_host_probes *p,
				 const char *name, double x, double value, double low,
				 struct ps_error *err)
{
	const struct ps_store_figure f = {.name = name,
					  .subject = p->vectors,
					  .unit = "1/s",
					  .x = x,
					  .value = value,
					  .low = low,
					  .high = NAN,
					  .count = p->threads};
	return ps_measure_cell_figure(c, &f, err);
}

static enum ps_status keep_probes(struct ps_measure_cell *c, const struct ps_host_probes *p,
				  struct ps_error *err)
{
	enum ps_status st = PS_OK;
	for (int i = 0; i < p->len && st == PS_OK; i++) {
		const struct ps_host_probe *x = &p->probes[i];
		char name[32];
		(void)snprintf(name, sizeof(name), "machine_%s", ps_host_probe_name(x->kind));
		st = keep_probe(c, p, name,
				x->kind == PS_HOST_PROBE_MACS ? p->threads : (double)x->size,
				x->per_s, x->low, err);
	}
	/* What the engine's blocked layout holds together, by its rule for x86. */
	const struct ps_store_figure block = {.name = "machine_block",
					      .subject = p->vectors,
					      .unit = "channels",
					      .x = NAN,
					      .value = p->vector_bytes >= 64 ? 16 : 8,
					      .low = NAN,
					      .high = NAN,
					      .count = p->threads};
	return st == PS_OK ? ps_measure_cell_figure(c, &block, err) : st;
}

/* What the slice's CPUs can do, beside the operators that ran on them: predictions divide the one
 * by the other. */
static enum ps_status probe_machine(struct ps_measure_cell *c, struct ps_error *err)
{
	const struct ps_cpus *cpus = &c->m->c->slice.cpus;
	int all = ps_cpus_count(cpus), threads[] = {1, all};
	enum ps_status st = PS_OK;
	(void)snprintf(c->m->what, sizeof(c->m->what), "probing the machine");
	for (int i = 0; i < (all > 1 ? 2 : 1) && st == PS_OK; i++) {
		struct ps_host_probes p;
		int n = threads[i] < PS_HOST_PROBE_THREADS ? threads[i] : PS_HOST_PROBE_THREADS;
		st = ps_host_probe_machine(cpus, n, &p, err);
		st = st == PS_OK ? keep_probes(c, &p, err) : st;
	}
	return st;
}

enum ps_status ps_measure_cell_operators(struct ps_measure_cell *c, struct ps_error *err)
{
	char output[4096], *text = NULL;
	size_t len = 0;
	const struct ps_measure_model *models = c->m->c->models.items;
	(void)snprintf(output, sizeof(output), "%s/operators-%s.json", c->m->config_dir,
		       models[c->plan->part].name);
	(void)snprintf(c->m->what, sizeof(c->m->what), "profiling the engine");
	(void)unlink(output);
	enum ps_status st = run_bench(c, output, err);
	if (st == PS_OK && ps_file_read(output, MAX_OUTPUT_BYTES, &text, &len, NULL) != PS_OK) {
		st = ps_error_set(err, PS_EUNAVAIL,
				  "perseus bench --operators gave no result: see %.200s.log",
				  output);
	}
	if (st == PS_OK) {
		st = keep_rows(c, text, len, err);
	}
	free(text);
	return st == PS_OK ? probe_machine(c, err) : st;
}
