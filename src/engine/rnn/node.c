/* node.c - a recurrent layer from a node of an ONNX file. */
#include "engine/rnn/node.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *op;
	enum ps_rnn_cell cell;
} cells[] = {{"RNN", PS_RNN_PLAIN}, {"GRU", PS_RNN_GRU}, {"LSTM", PS_RNN_LSTM}};

/* Attributes that are read, by cell. What is not here is refused: it may change the result. */
static const struct {
	const char *name;
	bool of[3];
} known[] = {
	{"activation_alpha", {true, true, true}},
	{"activation_beta", {true, true, true}},
	{"activations", {true, true, true}},
	{"clip", {true, true, true}},
	{"direction", {true, true, true}},
	{"hidden_size", {true, true, true}},
	{"layout", {true, true, true}},
	{"linear_before_reset", {[PS_RNN_GRU] = true}},
	{"input_forget", {[PS_RNN_LSTM] = true}},
	{"output_sequence", {true, true, true}}, /* before opset 7: asks for what Y's name asks */
};

const int ps_rnn_node_places[4] = {PS_RNN_IN_W, PS_RNN_IN_R, PS_RNN_IN_B, PS_RNN_IN_P};

static int cell_of(const struct ps_edit_node *n)
{
	bool own = n->domain[0] == '\0' || strcmp(n->domain, "ai.onnx") == 0;

	for (size_t i = 0; own && i < sizeof cells / sizeof *cells; i++) {
		if (strcmp(n->op, cells[i].op) == 0)
			return (int)cells[i].cell;
	}
	return -1;
}

const char *ps_rnn_node_name(const struct ps_edit_node *n)
{
	for (int i = 0; !n->name[0] && i < n->n_out; i++) {
		if (n->out[i][0])
			return n->out[i];
	}
	return n->name;
}

bool ps_rnn_node_is(const struct ps_edit_node *n)
{
	return cell_of(n) >= 0;
}

static enum ps_status check_attrs(const struct ps_edit_node *n, enum ps_rnn_cell cell,
				  struct ps_error *err)
{
	for (int i = 0; i < n->n_attrs; i++) {
		bool found = false;
		for (size_t k = 0; k < sizeof known / sizeof *known; k++)
			found |= known[k].of[cell] && strcmp(n->attrs[i].name, known[k].name) == 0;
		if (!found)
			return ps_error_set(err, PS_EUNSUPPORTED, "attribute %.60s is not known",
					    n->attrs[i].name);
	}
	return PS_OK;
}

static enum ps_status read_direction(const struct ps_edit_node *n, struct ps_rnn_spec *s,
				     struct ps_error *err)
{
	static const char *const names[] = {[PS_RNN_FORWARD] = "forward",
					    [PS_RNN_REVERSE] = "reverse",
					    [PS_RNN_BOTH] = "bidirectional"};
	const struct ps_edit_attr *a = ps_edit_attr(n, "direction");

	if (!a)
		return PS_OK;
	for (int d = 0; a->kind == PS_EDIT_TEXTS && a->n == 1 && d < 3; d++) {
		if (strcmp(a->texts[0], names[d]) == 0) {
			s->direction = (enum ps_rnn_direction)d;
			return PS_OK;
		}
	}
	return ps_error_set(err, PS_EINVAL,
			    "attribute direction is none of forward, reverse, bidirectional");
}

/* ---- activations ---- */

/* ONNX's lists of alphas and betas hold values for the activations that have one, in their order.
 */
struct constants {
	const struct ps_edit_attr *list;
	int at;
};

static enum ps_status read_constants(const struct ps_edit_node *n, const char *name,
				     struct constants *ret, struct ps_error *err)
{
	*ret = (struct constants){.list = ps_edit_attr(n, name)};
	if (ret->list && ret->list->kind != PS_EDIT_FLOATS && ret->list->n > 0)
		return ps_error_set(err, PS_EINVAL, "attribute %s is no list of numbers", name);
	return PS_OK;
}

static void take_constant(struct constants *c, bool used, float *value)
{
	if (used && c->list && c->at < c->list->n)
		*value = c->list->floats[c->at++];
}

static enum ps_status read_function(const char *name, struct constants *alphas,
				    struct constants *betas, struct ps_rnn_function *ret,
				    struct ps_error *err)
{
	if (ps_rnn_function_named(name, ret, NULL) != PS_OK)
		return ps_error_set(err, PS_EUNSUPPORTED, "activation %.60s is not known", name);
	take_constant(alphas, ps_rnn_uses_alpha(ret->kind), &ret->alpha);
	take_constant(betas, ps_rnn_uses_beta(ret->kind), &ret->beta);
	return PS_OK;
}

static enum ps_status read_functions(const struct ps_edit_node *n, struct ps_rnn_spec *s,
				     struct ps_error *err)
{
	static const int counts[] = {[PS_RNN_PLAIN] = 1, [PS_RNN_GRU] = 2, [PS_RNN_LSTM] = 3};
	const struct ps_edit_attr *a = ps_edit_attr(n, "activations");
	int each = counts[s->cell], directions = s->direction == PS_RNN_BOTH ? 2 : 1;
	struct constants alphas, betas;
	enum ps_status st = read_constants(n, "activation_alpha", &alphas, err);

	if (st == PS_OK)
		st = read_constants(n, "activation_beta", &betas, err);
	if (st != PS_OK || !a)
		return st;
	if (a->kind != PS_EDIT_TEXTS || a->n != each * directions)
		return ps_error_set(err, PS_EINVAL,
				    "attribute activations has %d names, %d are due",
				    a->kind == PS_EDIT_TEXTS ? a->n : 0, each * directions);
	for (int d = 0; d < directions; d++) {
		struct ps_rnn_functions *f = &s->functions[d];
		struct ps_rnn_function *to[] = {&f->f, &f->g, &f->h};
		for (int i = 0; st == PS_OK && i < each && i < 3; i++)
			st = read_function(a->texts[d * each + i], &alphas, &betas, to[i], err);
	}
	return st;
}

/* ---- the rest ---- */

static enum ps_status read_clip(const struct ps_edit_node *n, struct ps_rnn_spec *s,
				struct ps_error *err)
{
	const struct ps_edit_attr *a = ps_edit_attr(n, "clip");

	if (!a)
		return PS_OK;
	if (a->kind != PS_EDIT_FLOATS || a->n != 1 || !(a->floats[0] > 0))
		return ps_error_set(err, PS_EINVAL, "attribute clip is no positive number");
	s->clip = a->floats[0];
	return PS_OK;
}

static enum ps_status read_flags(const struct ps_edit_node *n, struct ps_rnn_spec *s,
				 struct ps_error *err)
{
	int64_t layout, linear = 0, coupled = 0;
	enum ps_status st = ps_edit_int(n, "layout", 0, &layout, err);

	if (st == PS_OK)
		st = ps_edit_int(n, "linear_before_reset", 0, &linear, err);
	if (st == PS_OK)
		st = ps_edit_int(n, "input_forget", 0, &coupled, err);
	if (st == PS_OK && (layout < 0 || layout > 1))
		st = ps_error_set(err, PS_EINVAL, "attribute layout is %lld, not 0 or 1",
				  (long long)layout);
	if (st != PS_OK)
		return st;
	s->layout = (int)layout;
	s->linear_before_reset = linear != 0;
	s->input_forget = coupled != 0;
	return PS_OK;
}

/* ---- weights ---- */

struct shape {
	int place, rank;
	const char *what;
	int64_t dims[3];
};

static const struct ps_edit_stored *input_of(const struct ps_edit *e, const struct ps_edit_node *n,
					     int place)
{
	return place < n->n_in ? ps_edit_find(e, n->in[place]) : NULL;
}

static enum ps_status check_shape(const struct ps_edit_stored *t, const struct shape *s,
				  struct ps_error *err)
{
	char is[PS_TENSOR_SHAPE_SIZE], due[PS_TENSOR_SHAPE_SIZE];
	int rank = t->rank < PS_TENSOR_MAX_RANK ? t->rank : PS_TENSOR_MAX_RANK;

	if (t->rank == s->rank && memcmp(t->dims, s->dims, (size_t)s->rank * sizeof *s->dims) == 0)
		return PS_OK;
	return ps_error_set(err, PS_EINVAL, "%s is %s, but %s is due", s->what,
			    ps_tensor_shape_text(t->dims, rank, is),
			    ps_tensor_shape_text(s->dims, s->rank, due));
}

/* Whether a stored tensor can be taken as it is. */
static enum ps_status check_weights(const struct ps_edit_stored *t, const struct shape *s,
				    struct ps_error *err)
{
	enum ps_status st = check_shape(t, s, err);

	if (st != PS_OK)
		return st;
	if (t->dtype != PS_DTYPE_FP32)
		return ps_error_set(err, PS_EUNSUPPORTED, "%s is %s, not float32", s->what,
				    ps_dtype_name(t->dtype) ? ps_dtype_name(t->dtype)
							    : "of another type");
	if (!t->data)
		return ps_error_set(err, PS_EUNSUPPORTED, "%s is %s", s->what,
				    t->external ? "kept in another file"
						: "not stored as plain numbers");
	return PS_OK;
}

/* The weights of a node by their order here, and what had to be copied. */
struct taken {
	const float *at[4];
	float *copies[4];
};

/* A file's numbers may lie at any address: those at an odd one are copied. */
static enum ps_status take_weights(const struct ps_edit_stored *t, const struct shape *s,
				   const float **ret_at, float **ret_copy, struct ps_error *err)
{
	*ret_at = t->data;
	if ((uintptr_t)t->data % sizeof(float) == 0)
		return PS_OK;
	*ret_copy = malloc((size_t)t->elements * sizeof **ret_copy);
	if (!*ret_copy)
		return ps_error_set(err, PS_ENOMEM, "no memory for %s", s->what);
	memcpy(*ret_copy, t->data, (size_t)t->elements * sizeof **ret_copy);
	*ret_at = *ret_copy;
	return PS_OK;
}

/* A constant of the file, or NULL: left out where that is allowed. */
static enum ps_status find_weights(const struct ps_edit *e, const struct ps_edit_node *n,
				   const struct shape *s, bool needed,
				   const struct ps_edit_stored **ret_tensor, struct ps_error *err)
{
	const struct ps_edit_stored *t = input_of(e, n, s->place);

	*ret_tensor = t;
	if (t)
		return check_weights(t, s, err);
	if (s->place < n->n_in && n->in[s->place][0])
		return ps_error_set(err, PS_EUNSUPPORTED, "%s is no constant of the model",
				    s->what);
	return needed ? ps_error_set(err, PS_EINVAL, "it has no %s", s->what) : PS_OK;
}

/* `taken` NULL: they are only looked at. */
static enum ps_status read_all_weights(const struct ps_edit *e, const struct ps_edit_node *n,
				       const struct ps_rnn_spec *s, struct taken *taken,
				       struct ps_error *err)
{
	int64_t d = s->direction == PS_RNN_BOTH ? 2 : 1, rows = ps_rnn_gates(s->cell) * s->hidden;
	const struct shape shapes[] = {{PS_RNN_IN_W, 3, "W", {d, rows, s->inputs}},
				       {PS_RNN_IN_R, 3, "R", {d, rows, s->hidden}},
				       {PS_RNN_IN_B, 2, "B", {d, 2 * rows}},
				       {PS_RNN_IN_P, 2, "P", {d, 3 * s->hidden}}};
	int n_shapes = s->cell == PS_RNN_LSTM ? 4 : 3;
	enum ps_status st = PS_OK;

	for (int i = 0; st == PS_OK && i < n_shapes; i++) {
		const struct ps_edit_stored *t;
		st = find_weights(e, n, &shapes[i], i < 2, &t, err);
		if (st == PS_OK && t && taken)
			st = take_weights(t, &shapes[i], &taken->at[i], &taken->copies[i], err);
	}
	return st;
}

/* Sizes come from R and W, which hidden_size must agree with. */
static enum ps_status read_sizes(const struct ps_edit *e, const struct ps_edit_node *n,
				 struct ps_rnn_spec *s, struct ps_error *err)
{
	const struct ps_edit_stored *w = input_of(e, n, PS_RNN_IN_W),
				    *r = input_of(e, n, PS_RNN_IN_R);
	int64_t said;

	if (n->n_in <= PS_RNN_IN_R || !n->in[PS_RNN_IN_W][0] || !n->in[PS_RNN_IN_R][0])
		return ps_error_set(err, PS_EINVAL, "it has no W and R");
	if (!w || !r)
		return ps_error_set(err, PS_EUNSUPPORTED, "%s is no constant of the model",
				    w ? "R" : "W");
	if (w->rank != 3 || r->rank != 3)
		return ps_error_set(err, PS_EINVAL, "W and R have %d and %d dimensions, 3 are due",
				    w->rank, r->rank);
	s->inputs = w->dims[2];
	s->hidden = r->dims[2];
	enum ps_status st = ps_edit_int(n, "hidden_size", s->hidden, &said, err);
	if (st == PS_OK && said != s->hidden)
		st = ps_error_set(err, PS_EINVAL, "hidden_size is %lld, but R is of %lld units",
				  (long long)said, (long long)s->hidden);
	return st;
}

static enum ps_status read_spec(const struct ps_edit *e, const struct ps_edit_node *n,
				struct ps_rnn_spec *s, struct ps_error *err)
{
	enum ps_rnn_cell cell = (enum ps_rnn_cell)cell_of(n);
	enum ps_status st = check_attrs(n, cell, err);

	*s = ps_rnn_spec_default(cell, 1, 1);
	if (st == PS_OK)
		st = read_sizes(e, n, s, err);
	if (st == PS_OK)
		st = read_direction(n, s, err);
	if (st == PS_OK)
		st = read_functions(n, s, err);
	if (st == PS_OK)
		st = read_clip(n, s, err);
	if (st == PS_OK)
		st = read_flags(n, s, err);
	return st == PS_OK ? ps_rnn_spec_check(s, err) : st;
}

static enum ps_status at_node(const struct ps_edit_node *n, enum ps_status st, struct ps_error *err)
{
	if (st != PS_OK)
		ps_error_where(err, "node '%.80s' (%s)", ps_rnn_node_name(n), n->op);
	return st;
}

enum ps_status ps_rnn_node_read(const struct ps_edit *e, const struct ps_edit_node *n,
				struct ps_rnn_node *ret_node, struct ps_error *err)
{
	struct ps_rnn_node node = {0};
	struct taken t = {0};
	enum ps_status st = read_spec(e, n, &node.spec, err);

	if (st == PS_OK)
		st = read_all_weights(e, n, &node.spec, &t, err);
	memcpy(node.copies, t.copies, sizeof node.copies);
	if (st != PS_OK) {
		ps_rnn_node_fini(&node);
		return at_node(n, st, err);
	}
	node.weights =
		(struct ps_rnn_weights){.w = t.at[0], .r = t.at[1], .b = t.at[2], .p = t.at[3]};
	*ret_node = node;
	return PS_OK;
}

static enum ps_status check(const struct ps_edit *e, const struct ps_edit_node *n,
			    enum ps_rnn_precision precision, struct ps_rnn_spec *ret_spec,
			    struct ps_error *err)
{
	enum ps_status st = read_spec(e, n, ret_spec, err);

	if (st == PS_OK)
		st = read_all_weights(e, n, ret_spec, NULL, err);
	if (st == PS_OK)
		st = ps_rnn_can(ret_spec, precision, err);
	return at_node(n, st, err);
}

enum ps_status ps_rnn_node_check(const struct ps_edit *e, const struct ps_edit_node *n,
				 enum ps_rnn_precision precision, struct ps_error *err)
{
	struct ps_rnn_spec spec;

	return check(e, n, precision, &spec, err);
}

enum ps_status ps_rnn_node_need(const struct ps_edit *e, const struct ps_edit_node *n,
				enum ps_rnn_precision precision, struct ps_rnn_node_need *ret_need,
				struct ps_error *err)
{
	struct ps_rnn_spec spec;
	enum ps_status st = check(e, n, precision, &spec, err);

	if (st != PS_OK)
		return st;
	*ret_need = (struct ps_rnn_node_need){0};
	for (int i = 0; i < 4; i++) {
		const struct ps_edit_stored *t = input_of(e, n, ps_rnn_node_places[i]);
		ret_need->copied_bytes += t ? 4 * t->elements : 0;
	}
	bool peepholes = input_of(e, n, PS_RNN_IN_P) != NULL;
	ret_need->layer = ps_rnn_need_of(&spec, precision, peepholes, 1);
	ret_need->exact = ps_rnn_need_of(&spec, PS_RNN_FLOAT32, peepholes, 1);
	return PS_OK;
}

static const char *name_at(const struct ps_edit_node *n, int place)
{
	return place < n->n_in ? n->in[place] : "";
}

bool ps_rnn_node_same(const struct ps_edit *e, const struct ps_edit_node *a,
		      const struct ps_edit_node *b)
{
	struct ps_rnn_spec of_a, of_b;
	struct ps_error err;

	for (int i = 0; i < 4; i++) {
		if (strcmp(name_at(a, ps_rnn_node_places[i]), name_at(b, ps_rnn_node_places[i])) !=
		    0)
			return false;
	}
	return cell_of(a) == cell_of(b) && read_spec(e, a, &of_a, &err) == PS_OK &&
	       read_spec(e, b, &of_b, &err) == PS_OK && ps_rnn_spec_same(&of_a, &of_b);
}

void ps_rnn_node_fini(struct ps_rnn_node *n)
{
	for (int i = 0; i < 4; i++)
		free(n->copies[i]);
	*n = (struct ps_rnn_node){0};
}
