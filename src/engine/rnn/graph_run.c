/* graph_run.c - one run of a graph of recurrent layers. What lies between two layers is freed when
 * its last reader is done, so that a deep stack needs room for two. */
#include "engine/rnn/graph_internal.h"
#include "engine/rnn/layer_internal.h"

#include <stdlib.h>
#include <string.h>

#define ALIGN 64

/* A value during a run. Several may be one piece of memory: each holds it. */
struct held {
	struct ps_rnn_shape shape;
	void *data;
	int memory; /* of passing->pieces; -1: not ours to free */
	int left;   /* uses to come */
};

struct passing {
	const struct ps_rnn_graph *g;
	struct ps_rnn_team *team;
	struct ps_engine_run *run;
	struct held *held; /* by value */
	struct piece {
		void *data;
		int holders;
	} * pieces; /* one per value at most */
	int n_pieces;
	/* Layers that wait for the one above them to come, and the memory that they need. */
	struct ps_rnn *stack[PS_RNN_MAX_STACK];
	struct ps_rnn_run runs[PS_RNN_MAX_STACK];
	int n_stack;
	int kept[PS_RNN_MAX_STACK * (PS_RNN_STEP_MAX_INPUTS + 3)], n_kept;
};

static size_t bytes_of(const struct ps_rnn_shape *s)
{
	size_t n = sizeof(float); /* of int32 too */

	for (int d = 0; d < s->rank; d++)
		n *= (size_t)s->dims[d];
	return n;
}

static enum ps_status check_size(const struct ps_rnn_shape *s, const char *name,
				 struct ps_error *err)
{
	int64_t count;
	enum ps_status st = ps_tensor_count(s->dims, s->rank, &count, err);

	if (st == PS_OK && (size_t)count > PS_ENGINE_MAX_OUTPUT_BYTES / sizeof(float))
		st = ps_error_set(err, PS_ETOOBIG, "'%.80s' would take over %zu bytes", name,
				  PS_ENGINE_MAX_OUTPUT_BYTES);
	return st;
}

static void let_piece_go(struct passing *p, int memory)
{
	struct piece *piece = &p->pieces[memory];

	if (--piece->holders == 0) {
		free(piece->data);
		piece->data = NULL;
	}
}

static void let_go(struct passing *p, int value)
{
	struct held *h = &p->held[value];

	if (--h->left > 0 || h->memory < 0)
		return;
	let_piece_go(p, h->memory);
}

/* Room for a value: where an output goes, or a piece of our own. */
static enum ps_status make_room(struct passing *p, int value, struct ps_error *err)
{
	const struct ps_rnn_graph_value *v = &p->g->values[value];
	struct held *h = &p->held[value];
	enum ps_status st = check_size(&h->shape, v->name, err);

	if (st != PS_OK)
		return st;
	if (v->output >= 0) {
		struct ps_tensor *out = &p->run->outputs[v->output];
		out->name = p->g->outputs[v->output].name;
		st = ps_engine_place_output(p->run, out, bytes_of(&h->shape), err);
		h->data = out->data;
		return st;
	}
	size_t bytes = (bytes_of(&h->shape) + ALIGN) / ALIGN * ALIGN;
	struct piece *piece = &p->pieces[p->n_pieces];
	*piece = (struct piece){.data = aligned_alloc(ALIGN, bytes), .holders = 1};
	if (!piece->data)
		return ps_error_set(err, PS_ENOMEM, "no memory for '%.80s' of %zu bytes", v->name,
				    bytes);
	h->data = piece->data;
	h->memory = p->n_pieces++;
	return PS_OK;
}

/* ---- steps ---- */

/* Runs the layers that wait. */
static enum ps_status run_stack(struct passing *p, struct ps_error *err)
{
	enum ps_status st = ps_rnn_run_stack(p->stack, p->runs, p->n_stack, p->team, err);

	p->n_stack = 0;
	while (p->n_kept > 0)
		let_piece_go(p, p->kept[--p->n_kept]);
	return st;
}

/* What a step reads or makes stays until the layers that wait have run. */
static void keep(struct passing *p, int value)
{
	if (value < 0 || p->held[value].memory < 0)
		return;
	p->pieces[p->held[value].memory].holders++;
	p->kept[p->n_kept++] = p->held[value].memory;
}

static bool is_made_by(const struct ps_rnn_run *run, const void *data)
{
	return data && (data == run->y || data == run->y_h || data == run->y_c);
}

/* Whether a layer can be one more above those that wait: its X is what the last of them makes, and
 * of nothing else that they make it begins with. */
static bool goes_above(const struct passing *p, const struct ps_rnn *layer,
		       const struct ps_rnn_run *run)
{
	int n = p->n_stack;

	if (n == PS_RNN_MAX_STACK || !ps_rnn_stacks(layer) || run->x != p->runs[n - 1].y ||
	    run->batch != p->runs[n - 1].batch || run->steps != p->runs[n - 1].steps)
		return false;
	for (int i = 0; i < n; i++) {
		if (is_made_by(&p->runs[i], run->lens) || is_made_by(&p->runs[i], run->h0) ||
		    is_made_by(&p->runs[i], run->c0))
			return false;
	}
	return true;
}

static enum ps_status add_layer(struct passing *p, const struct ps_rnn_step *s,
				const struct ps_rnn_run *run, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	if (p->n_stack > 0 && !goes_above(p, s->layer, run))
		st = run_stack(p, err);
	if (st != PS_OK)
		return st;
	p->stack[p->n_stack] = s->layer;
	p->runs[p->n_stack++] = *run;
	for (int i = 0; i < PS_RNN_STEP_MAX_INPUTS; i++)
		keep(p, s->in[i]);
	for (int i = 0; i < 3; i++)
		keep(p, s->out[i]);
	return ps_rnn_stacks(s->layer) && run->y ? PS_OK : run_stack(p, err);
}

static enum ps_status run_layer(struct passing *p, const struct ps_rnn_step *s,
				struct ps_error *err)
{
	const struct ps_rnn_spec *spec = ps_rnn_spec_of(s->layer);
	const struct ps_rnn_shape *x = &p->held[s->in[PS_RNN_IN_X]].shape;
	void *in[PS_RNN_STEP_MAX_INPUTS] = {0}, *out[3] = {0};
	enum ps_status st = PS_OK;

	for (int i = 0; st == PS_OK && i < 3; i++) {
		if (s->out[i] < 0)
			continue;
		st = make_room(p, s->out[i], err);
		out[i] = p->held[s->out[i]].data;
	}
	if (st != PS_OK)
		return st;
	for (int i = 0; i < PS_RNN_STEP_MAX_INPUTS; i++)
		in[i] = s->in[i] < 0 ? NULL : p->held[s->in[i]].data;
	const struct ps_rnn_run run = {.steps = x->dims[spec->layout],
				       .batch = x->dims[!spec->layout],
				       .x = in[PS_RNN_IN_X],
				       .lens = in[PS_RNN_IN_LENS],
				       .h0 = in[PS_RNN_IN_H],
				       .c0 = in[PS_RNN_IN_C],
				       .y = out[0],
				       .y_h = out[1],
				       .y_c = out[2]};
	return add_layer(p, s, &run, err);
}

/* Axes of size 1 may go anywhere without a value being moved. */
static bool is_moved(const struct ps_rnn_step *s, const struct ps_rnn_shape *in)
{
	int64_t last = -1;

	for (int d = 0; d < in->rank; d++) {
		if (in->dims[s->list[d]] == 1)
			continue;
		if (s->list[d] < last)
			return true;
		last = s->list[d];
	}
	return false;
}

/* The inner axes that stay together are copied as one row. */
static void move_axes(const struct ps_rnn_step *s, const struct ps_rnn_shape *in, const float *from,
		      float *to)
{
	int64_t strides[PS_TENSOR_MAX_RANK] = {0}, at[PS_TENSOR_MAX_RANK] = {0}, row = 1, n = 1;
	int rank = in->rank;

	for (int d = rank - 1; d >= 0; d--) {
		strides[d] = n;
		n *= in->dims[d];
	}
	while (rank > 0 && s->list[rank - 1] == rank - 1)
		row *= in->dims[--rank];
	for (int64_t done = 0; done < n; done += row, to += row) {
		int64_t offset = 0;
		for (int d = 0; d < rank; d++)
			offset += at[d] * strides[s->list[d]];
		memcpy(to, from + offset, (size_t)row * sizeof *to);
		for (int d = rank - 1; d >= 0; d--) {
			if (++at[d] < in->dims[s->list[d]])
				break;
			at[d] = 0;
		}
	}
}

/* The same memory under another shape. */
static void share(struct passing *p, const struct held *from, struct held *to)
{
	to->data = from->data;
	to->memory = from->memory;
	if (to->memory >= 0)
		p->pieces[to->memory].holders++;
}

static enum ps_status run_change(struct passing *p, const struct ps_rnn_step *s,
				 struct ps_error *err)
{
	const struct held *from = &p->held[s->in[0]];
	struct held *to = &p->held[s->out[0]];
	int output = p->g->values[s->out[0]].output;
	bool moved = s->kind == PS_RNN_STEP_TRANSPOSE && is_moved(s, &from->shape);
	bool landed = output >= 0 && from->data == p->run->outputs[output].data &&
		      p->g->values[s->in[0]].output == output;

	if (!moved && (output < 0 || landed)) {
		share(p, from, to);
		return PS_OK;
	}
	enum ps_status st = make_room(p, s->out[0], err);
	if (st == PS_OK)
		st = run_stack(p, err); /* what is copied may be theirs */
	if (st != PS_OK || bytes_of(&to->shape) == 0)
		return st;
	if (moved)
		move_axes(s, &from->shape, from->data, to->data);
	else
		memcpy(to->data, from->data, bytes_of(&to->shape));
	return PS_OK;
}

static enum ps_status run_step(struct passing *p, const struct ps_rnn_step *s, struct ps_error *err)
{
	struct ps_rnn_shape in[PS_RNN_STEP_MAX_INPUTS] = {0}, out[3] = {0};
	enum ps_status st;

	if (atomic_load(&p->run->cancelled))
		return ps_error_set(err, PS_ECANCELLED, "the run was cancelled");
	for (int i = 0; i < PS_RNN_STEP_MAX_INPUTS; i++) {
		if (s->in[i] >= 0)
			in[i] = p->held[s->in[i]].shape;
	}
	st = ps_rnn_step_shapes(s, in, out, err);
	for (int i = 0; st == PS_OK && i < 3; i++) {
		if (s->out[i] >= 0)
			p->held[s->out[i]].shape = out[i];
	}
	if (st == PS_OK && s->kind == PS_RNN_STEP_LAYER)
		st = run_layer(p, s, err);
	else if (st == PS_OK && s->out[0] >= 0)
		st = run_change(p, s, err);
	for (int i = 0; i < PS_RNN_STEP_MAX_INPUTS; i++) {
		if (s->in[i] >= 0)
			let_go(p, s->in[i]);
	}
	for (int i = 0; i < 3; i++) { /* what nobody reads */
		if (s->out[i] >= 0 && p->g->values[s->out[i]].uses == 0)
			let_go(p, s->out[i]);
	}
	return st;
}

/* ---- the run ---- */

/* An input that came behind another one on the wire may lie at any address. */
static enum ps_status take_input(struct passing *p, int k, struct ps_error *err)
{
	const struct ps_tensor *t = &p->run->inputs[k];
	struct held *h = &p->held[p->g->input_values[k]];

	h->shape = (struct ps_rnn_shape){.dtype = t->dtype, .rank = t->rank};
	memcpy(h->shape.dims, t->dims, sizeof h->shape.dims);
	h->data = t->data;
	if ((uintptr_t)t->data % sizeof(float) == 0 || t->bytes == 0)
		return PS_OK;
	h->data = p->run->alloc(p->run->alloc_ctx, t->bytes);
	if (!h->data)
		return ps_error_set(err, PS_ENOMEM, "no memory to align input '%.80s'", t->name);
	memcpy(h->data, t->data, t->bytes);
	return PS_OK;
}

static void take_values(struct passing *p)
{
	for (int v = 0; v < p->g->n_values; v++) {
		const struct ps_rnn_graph_value *from = &p->g->values[v];
		p->held[v] = (struct held){.shape = from->shape,
					   .data = from->constant,
					   .memory = -1,
					   .left = from->uses};
	}
}

static void tell_outputs(struct passing *p)
{
	for (int k = 0; k < p->g->n_outputs; k++) {
		const struct held *h = &p->held[p->g->output_values[k]];
		struct ps_tensor *out = &p->run->outputs[k];
		out->name = p->g->outputs[k].name;
		out->dtype = h->shape.dtype;
		out->rank = h->shape.rank;
		memcpy(out->dims, h->shape.dims, sizeof out->dims);
	}
}

/* The threads that the layers of this run will take, as far as the first one's input tells. */
static int threads_for(const struct passing *p)
{
	const struct ps_rnn_shape *x = &p->held[p->g->input_values[0]].shape;
	int64_t inputs = 0, count = 1;
	int most = 1;

	for (int d = 0; d < x->rank; d++)
		count *= x->dims[d];
	for (int i = 0; i < p->g->n_steps; i++) {
		const struct ps_rnn *layer = p->g->steps[i].layer;
		if (!layer)
			continue;
		if (inputs == 0)
			inputs = layer->spec.inputs;
		int n = ps_rnn_threads_for(layer, p->team, count / inputs);
		most = n > most ? n : most;
	}
	return most;
}

enum ps_status ps_rnn_graph_run(const struct ps_rnn_graph *g, struct ps_rnn_team *team,
				struct ps_engine_run *run, struct ps_error *err)
{
	struct passing p = {.g = g, .team = team, .run = run};
	enum ps_status st = PS_OK;

	p.held = calloc((size_t)g->n_values + 1, sizeof *p.held);
	p.pieces = calloc((size_t)g->n_values + 1, sizeof *p.pieces);
	if (!p.held || !p.pieces) {
		free(p.held);
		free(p.pieces);
		return ps_error_set(err, PS_ENOMEM, "no memory for a run");
	}
	take_values(&p);
	for (int k = 0; st == PS_OK && k < g->n_inputs; k++)
		st = take_input(&p, k, err);
	if (st == PS_OK)
		ps_rnn_team_gather(team, threads_for(&p));
	bool gathered = st == PS_OK;
	for (int i = 0; st == PS_OK && i < g->n_steps; i++)
		st = run_step(&p, &g->steps[i], err);
	if (st == PS_OK)
		st = run_stack(&p, err);
	if (gathered)
		ps_rnn_team_dismiss(team);
	if (st == PS_OK)
		tell_outputs(&p);
	for (int i = 0; i < p.n_pieces; i++)
		free(p.pieces[i].data);
	free(p.held);
	free(p.pieces);
	return st;
}
