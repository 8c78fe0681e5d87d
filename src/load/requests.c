/* requests.c - all that a tenant may send, made before the run. */
#include "load/files.h"
#include "load/target_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
	DEFAULT_DISTINCT = 8,
	MAX_DISTINCT_BYTES = 64 << 20, /* of all made-up inputs of a tenant */
};

/* ---- how many ---- */

static enum ps_status check_files(const struct ps_load_target *g, bool outputs, size_t *ret_turns,
				  struct ps_error *err)
{
	const struct ps_load_target_spec *spec = &g->t->target;
	const struct ps_tensor_spec *specs[PS_LOAD_MAX_MIX];
	size_t lens[PS_LOAD_MAX_MIX];

	for (size_t k = 0; k < g->item_len; k++) {
		const struct ps_oip_model_metadata *m = &g->items[k].metadata;

		specs[k] = outputs ? m->outputs : m->inputs;
		lens[k] = (size_t)(outputs ? m->n_outputs : m->n_inputs);
	}
	return outputs ? ps_load_files_check(spec->expected, spec->expected_len, specs, lens,
					     g->item_len, ret_turns, err)
		       : ps_load_files_check(spec->inputs, spec->input_len, specs, lens,
					     g->item_len, ret_turns, err);
}

/* An expected output belongs to an input that is known: one from files, or the only made-up one. */
static enum ps_status check_turns(const struct ps_load_item *it, size_t in, size_t out, size_t want,
				  struct ps_error *err)
{
	if (out <= 1 || out == in || (in == 0 && out == want)) {
		return PS_OK;
	}
	return ps_error_set(err, PS_EINVAL,
			    "model '%s': %zu expected outputs for %zu inputs: give one, or one for "
			    "each",
			    it->model, out, in ? in : want);
}

static enum ps_status count(struct ps_load_target *g, size_t *counts, bool *exact,
			    struct ps_error *err)
{
	size_t in[PS_LOAD_MAX_MIX], out[PS_LOAD_MAX_MIX];
	size_t want = g->t->distinct_inputs > 0 ? (size_t)g->t->distinct_inputs : DEFAULT_DISTINCT;
	enum ps_status st = check_files(g, false, in, err);

	if (st == PS_OK) {
		st = check_files(g, true, out, err);
	}
	for (size_t k = 0; st == PS_OK && k < g->item_len; k++) {
		st = check_turns(&g->items[k], in[k], out[k], want, err);
		counts[k] = in[k] ? in[k] : want;
		exact[k] = in[k] > 0 || out[k] > 0;
	}
	return st;
}

/* ---- one ---- */

static enum ps_status read_expected(const struct ps_load_target *g, struct ps_load_request *q,
				    size_t number, struct ps_error *err)
{
	const struct ps_load_target_spec *spec = &g->t->target;
	const struct ps_oip_model_metadata *m = &q->item->metadata;
	enum ps_status st = PS_OK;

	if (spec->expected_len == 0) {
		return PS_OK;
	}
	q->expected = calloc((size_t)m->n_outputs + 1, sizeof(*q->expected));
	if (!q->expected) {
		return ps_error_set(err, PS_ENOMEM, "no memory for expected outputs");
	}
	for (int i = 0; st == PS_OK && i < m->n_outputs; i++) {
		const char *path =
			ps_load_files_pick(spec->expected, spec->expected_len, m->outputs[i].name,
					   m->n_outputs == 1, number);

		if (path) {
			st = ps_load_file_read(path, &m->outputs[i], NULL, &q->expected[i], err);
		}
	}
	return st;
}

static size_t expected_bytes(const struct ps_load_request *q)
{
	size_t bytes = 0;

	for (int i = 0; q->expected && i < q->item->metadata.n_outputs; i++) {
		bytes += q->expected[i].data ? q->expected[i].bytes : 0;
	}
	return bytes;
}

/* Inferences: the dynamic first dimension, which a file may set, else what was asked for. */
static uint32_t batch_of(const struct ps_load_request *q)
{
	const struct ps_tensor_spec *spec = &q->item->metadata.inputs[0];
	const struct ps_tensor *t = &q->inputs.tensors[0];

	if (spec->rank > 0 && spec->dims[0] < 0 && t->dims[0] > 0 && t->dims[0] <= INT32_MAX) {
		return (uint32_t)t->dims[0];
	}
	return q->item->batch > 0 ? (uint32_t)q->item->batch : 1;
}

static enum ps_status make(struct ps_load_target *g, struct ps_load_item *it, uint64_t seed,
			   size_t number, struct ps_load_request *q, struct ps_error *err)
{
	struct ps_load_tenant t = *g->t;
	enum ps_status st;

	t.batch = it->batch;
	*q = (struct ps_load_request){.item = it, .index = (uint32_t)(it->first + number)};
	st = ps_load_inputs_make(it->metadata.inputs, (size_t)it->metadata.n_inputs, &t, seed,
				 number, &q->inputs, err);
	if (st != PS_OK) {
		return st;
	}
	q->batch = batch_of(q);
	st = read_expected(g, q, number, err);
	return st == PS_OK ? g->transport->build(g, q, err) : st;
}

/* ---- all ---- */

static enum ps_status make_item(struct ps_load_target *g, size_t k, uint64_t seed, size_t want,
				bool exact, struct ps_error *err)
{
	struct ps_load_item *it = &g->items[k];
	size_t bytes = 0, limit = MAX_DISTINCT_BYTES / g->item_len;
	enum ps_status st = PS_OK;

	it->first = g->request_len;
	while (st == PS_OK && it->len < want && (exact || bytes <= limit)) {
		struct ps_load_request *q = &g->requests[g->request_len++];

		st = make(g, it, seed + k, it->len++, q, err);
		bytes += q->inputs.bytes;
		g->request_bytes += q->inputs.bytes + expected_bytes(q);
		if (st == PS_OK && g->request_bytes > PS_LOAD_MAX_FILES_BYTES) {
			st = ps_error_set(err, PS_ETOOBIG,
					  "inputs and expected outputs of over %llu bytes",
					  (unsigned long long)PS_LOAD_MAX_FILES_BYTES);
		}
	}
	return st;
}

enum ps_status ps_load_requests_make(struct ps_load_target *g, uint64_t seed, struct ps_error *err)
{
	size_t counts[PS_LOAD_MAX_MIX] = {0}, sum = 0;
	bool exact[PS_LOAD_MAX_MIX] = {false};
	enum ps_status st = count(g, counts, exact, err);

	if (st != PS_OK) {
		return st;
	}
	for (size_t k = 0; k < g->item_len; k++) {
		sum += counts[k];
	}
	g->requests = calloc(sum, sizeof(*g->requests));
	if (!g->requests) {
		return ps_error_set(err, PS_ENOMEM, "no memory for %zu inputs", sum);
	}
	for (size_t k = 0; st == PS_OK && k < g->item_len; k++) {
		st = make_item(g, k, seed, counts[k], exact[k], err);
	}
	return st;
}

/* ---- how large their answers may be ---- */

/* A number has at most so many letters in JSON, with its comma. */
enum { JSON_NUMBER = 32, ANSWER_FRAME = 1 << 20 };

static size_t max_answer(const struct ps_oip_model_metadata *m)
{
	size_t bytes = ANSWER_FRAME;

	for (int i = 0; i < m->n_outputs; i++) {
		const struct ps_tensor_spec *o = &m->outputs[i];
		int64_t count;

		/* An open first dimension is not always the batch: there may be any number of
		 * boxes in an image. */
		if (o->dtype == PS_DTYPE_BYTES ||
		    ps_tensor_count(o->dims, o->rank, &count, NULL) != PS_OK ||
		    count > (PS_LOAD_MAX_ANSWER_BYTES - ANSWER_FRAME) / JSON_NUMBER) {
			return PS_LOAD_MAX_ANSWER_BYTES;
		}
		bytes += (size_t)count * JSON_NUMBER;
	}
	return bytes < PS_LOAD_MAX_ANSWER_BYTES ? bytes : PS_LOAD_MAX_ANSWER_BYTES;
}

size_t ps_load_requests_max_answer(const struct ps_load_target *g)
{
	size_t most = 0;

	for (size_t i = 0; i < g->item_len; i++) {
		size_t n = max_answer(&g->items[i].metadata);

		most = n > most ? n : most;
	}
	return most;
}

static void free_expected(struct ps_load_request *q)
{
	for (int i = 0; q->expected && i < q->item->metadata.n_outputs; i++) {
		free(q->expected[i].data);
	}
	free(q->expected);
}

void ps_load_requests_free(struct ps_load_target *g)
{
	for (size_t i = 0; i < g->request_len; i++) {
		struct ps_load_request *q = &g->requests[i];

		ps_load_inputs_fini(&q->inputs);
		free_expected(q);
		ps_load_kept_free(atomic_load(&q->kept));
		for (size_t r = 0; r < g->replica_len; r++) {
			ps_net_prepared_free(q->prepared[r]);
		}
	}
	free(g->requests);
	g->requests = NULL;
	g->request_len = 0;
}
