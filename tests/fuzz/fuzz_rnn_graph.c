/* ONNX files as graphs of recurrent layers: what is read is either refused with a reason or runs.
 */
#include "engine/rnn/facts.h"
#include "engine/rnn/graph_internal.h"
#include "fuzz/fuzz.h"

#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

#define MOST_ELEMENTS (1 << 14) /* of one input; larger graphs are not run */

static void *from_arena(void *ctx, size_t bytes)
{
	return ps_arena_alloc_tensor(ctx, bytes);
}

/* Zeros, two wherever a dimension is open. False: too large. */
static bool make_input(const struct ps_tensor_spec *spec, struct ps_arena *arena,
		       struct ps_tensor *t)
{
	int64_t n = 1;
	*t = (struct ps_tensor){.name = spec->name, .dtype = spec->dtype, .rank = spec->rank};
	for (int d = 0; d < spec->rank; d++) {
		t->dims[d] = spec->dims[d] < 0 ? 2 : spec->dims[d];
		if (t->dims[d] > MOST_ELEMENTS || (n *= t->dims[d]) > MOST_ELEMENTS)
			return false;
	}
	t->bytes = (size_t)n * sizeof(float);
	t->data = ps_arena_alloc_tensor(arena, t->bytes + 1);
	MUST(t->data);
	memset(t->data, 0, t->bytes);
	return true;
}

static void run(const struct ps_rnn_graph *g)
{
	struct ps_tensor in[PS_MODEL_MAX_TENSORS], out[PS_MODEL_MAX_TENSORS] = {0};
	struct ps_arena arena;
	struct ps_error err;
	bool fits = true;
	ps_arena_init(&arena, 0);
	ps_error_clear(&err);
	for (int k = 0; fits && k < g->n_inputs; k++)
		fits = make_input(&g->inputs[k], &arena, &in[k]);
	struct ps_engine_run r = {.inputs = in,
				  .outputs = out,
				  .n_inputs = g->n_inputs,
				  .n_outputs = g->n_outputs,
				  .alloc = from_arena,
				  .alloc_ctx = &arena};
	if (fits) {
		enum ps_status s = ps_rnn_graph_run(g, NULL, &r, &err);
		MUST(s == PS_OK || (err.status == s && err.what[0]));
	}
	ps_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ps_error err;
	struct ps_edit e;
	if (ps_edit_parse(data, size, &e, &err) != PS_OK)
		return 0;
	for (int p = 0; p < PS_RNN_PRECISIONS; p++) {
		const struct ps_rnn_wish wish = {.precision = (enum ps_rnn_precision)p,
						 .max_error = 1};
		struct ps_rnn_graph g;
		ps_error_clear(&err);
		bool pure = ps_rnn_graph_is_pure(&e, wish.precision, &err);
		MUST(pure || err.what[0]);
		enum ps_status s = ps_rnn_graph_load(&e, &wish, &g, &err);
		MUST(s == PS_OK ? pure : err.status == s && err.what[0]);
		MUST(pure || s == PS_EUNSUPPORTED);
		if (s != PS_OK)
			continue;
		run(&g);
		ps_rnn_graph_fini(&g);
	}
	ps_edit_fini(&e);
	return 0;
}
