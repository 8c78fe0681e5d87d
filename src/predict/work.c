/* A model's operators with their work, and what they add up to. */
#include "predict/work.h"

#include "predict/fuse_internal.h"

#include <stdlib.h>
#include <string.h>

const char *ps_predict_kind_name(enum ps_predict_kind k)
{
	static const char *const names[PS_PREDICT_KINDS] = {
		[PS_PREDICT_CONV] = "conv",
		[PS_PREDICT_IMAGE] = "image",
		[PS_PREDICT_POINTWISE] = "pointwise",
		[PS_PREDICT_DEPTHWISE] = "depthwise",
		[PS_PREDICT_GROUPED] = "grouped",
		[PS_PREDICT_GEMM] = "gemm",
		[PS_PREDICT_RECURRENT] = "recurrent",
		[PS_PREDICT_POOL] = "pool",
		[PS_PREDICT_GLOBAL_POOL] = "global_pool",
		[PS_PREDICT_ELEMENTWISE] = "elementwise",
		[PS_PREDICT_NORM] = "norm",
		[PS_PREDICT_CONCAT] = "concat",
		[PS_PREDICT_LAYOUT] = "layout",
		[PS_PREDICT_SHAPE] = "shape",
		[PS_PREDICT_OTHER] = "other",
	};
	return k >= 0 && k < PS_PREDICT_KINDS ? names[k] : "?";
}

double ps_predict_op_bytes(const struct ps_predict_op *op)
{
	return op->param_bytes + op->in_bytes + op->out_bytes;
}

/* ---- totals ---- */

static void total_ops(struct ps_predict_model *m)
{
	for (size_t k = 0; k < m->op_count; k++) {
		const struct ps_predict_op *op = &m->ops[k];
		m->unknown += !op->known;
		if (!op->known)
			continue;
		m->macs += op->macs;
		m->element_ops += op->element_ops;
		m->param_bytes += op->param_bytes;
		m->activation_bytes += op->in_bytes + op->out_bytes;
	}
	double moved = m->activation_bytes + m->param_bytes;
	m->intensity = moved > 0 ? m->macs / moved : 0;
}

static bool is_float(enum ps_dtype t)
{
	return t == PS_DTYPE_FP32 || t == PS_DTYPE_FP16 || t == PS_DTYPE_FP64 || t == PS_DTYPE_BF16;
}

/* As in onnx.h: mean and variance of a normalisation were not learned. */
static enum ps_status count_parameters(const struct ps_shapes *s, double *ret, struct ps_error *err)
{
	bool *statistic = calloc((size_t)s->n_values + 1, sizeof *statistic);
	if (!statistic)
		return ps_error_set(err, PS_ENOMEM, "no memory for the operators of a model");
	for (int k = 0; k < s->n_nodes; k++)
		for (int i = 3; i < 5 && strcmp(s->nodes[k].op, "BatchNormalization") == 0; i++)
			if (i < s->nodes[k].n_in && s->nodes[k].in[i] >= 0)
				statistic[s->nodes[k].in[i]] = true;
	*ret = 0;
	for (int v = 0; v < s->n_values; v++) {
		const struct ps_shapes_value *x = &s->values[v];
		if (x->stored && x->maker < 0 && x->rank > 0 && is_float(x->dtype) && !statistic[v])
			*ret += (double)ps_shapes_elements(x);
	}
	free(statistic);
	return PS_OK;
}

static void count_ends(const struct ps_shapes *s, struct ps_predict_model *m)
{
	for (int v = 0; v < s->n_values; v++) {
		int64_t size = ps_shapes_bytes(&s->values[v]);
		m->input_bytes += s->values[v].input && size > 0 ? (double)size : 0;
		m->output_bytes += s->values[v].output && size > 0 ? (double)size : 0;
	}
}

/* ---- how much lives at the same time ---- */

/* The group that reads each value last; outputs live to the end. */
static void last_reads(const struct ps_predict_graph *g, int *last)
{
	const struct ps_shapes *s = g->shapes;
	for (int v = 0; v < s->n_values; v++)
		last[v] = s->values[v].output ? (int)g->n : -1;
	for (size_t k = 0; k < g->n; k++) {
		const struct ps_predict_group *p = &g->groups[k];
		int n_in = p->node < 0 ? 0 : s->nodes[p->node].n_in;
		for (int i = 0; i < n_in; i++) {
			int v = ps_predict_value(g, s->nodes[p->node].in[i]);
			if (v >= 0 && last[v] < (int)k)
				last[v] = (int)k;
		}
		if (p->sum >= 0 && last[p->sum] < (int)k)
			last[p->sum] = (int)k;
	}
}

static double sized(const struct ps_shapes_value *v)
{
	int64_t n = v->stored ? 0 : ps_shapes_bytes(v);
	return n > 0 ? (double)n : 0;
}

/* What every group frees when it is done: freed[k]. */
static void freed_by(const struct ps_predict_graph *g, const int *last, double *freed)
{
	for (int v = 0; v < g->shapes->n_values; v++)
		if (last[v] >= 0 && (size_t)last[v] < g->n)
			freed[last[v]] += sized(&g->shapes->values[v]);
}

static double peak_of(const struct ps_predict_graph *g, const double *freed)
{
	const struct ps_shapes *s = g->shapes;
	double live = 0, peak = 0;
	for (int v = 0; v < s->n_values; v++)
		live += s->values[v].input ? sized(&s->values[v]) : 0;
	for (size_t k = 0; k < g->n; k++) {
		bool runs = g->groups[k].role == PS_PREDICT_RUNS;
		live += runs ? sized(&s->values[g->groups[k].out]) : 0;
		peak = live > peak ? live : peak;
		live -= freed[k];
	}
	return peak;
}

static enum ps_status count_peak(const struct ps_predict_graph *g, double *ret_bytes,
				 struct ps_error *err)
{
	int *last = malloc(((size_t)g->shapes->n_values + 1) * sizeof *last);
	double *freed = calloc(g->n + 1, sizeof *freed);
	enum ps_status st = PS_OK;
	if (last && freed) {
		last_reads(g, last);
		freed_by(g, last, freed);
		*ret_bytes = peak_of(g, freed);
	} else {
		st = ps_error_set(err, PS_ENOMEM, "no memory for the operators of a model");
	}
	free(last);
	free(freed);
	return st;
}

/* ---- the model ---- */

static enum ps_status count_all(const struct ps_predict_graph *g, struct ps_predict_model *m,
				struct ps_error *err)
{
	m->ops = calloc(g->n + 1, sizeof *m->ops);
	if (!m->ops || !m->name)
		return ps_error_set(err, PS_ENOMEM, "no memory for the operators of a model");
	for (size_t k = 0; k < g->n; k++) {
		enum ps_status st = ps_predict_count_op(g, &g->groups[k], &m->ops[k], err);
		if (st != PS_OK)
			return st;
		m->op_count++;
	}
	total_ops(m);
	count_ends(g->shapes, m);
	enum ps_status st = count_parameters(g->shapes, &m->parameters, err);
	return st == PS_OK ? count_peak(g, &m->peak_bytes, err) : st;
}

static enum ps_status count_shapes(const struct ps_shapes *s, const char *name,
				   const struct ps_predict_target *t,
				   struct ps_predict_model *ret_model, struct ps_error *err)
{
	struct ps_predict_model m = {.name = strdup(name), .batch = t->batch};
	struct ps_predict_graph g = {0};
	enum ps_status st = ps_predict_fuse(s, t, &g, err);
	st = st == PS_OK ? count_all(&g, &m, err) : st;
	ps_predict_graph_fini(&g);
	if (st != PS_OK) {
		ps_predict_model_fini(&m);
		return st;
	}
	*ret_model = m;
	return PS_OK;
}

static enum ps_status check_target(const struct ps_predict_target *t, struct ps_error *err)
{
	if (t->block != 0 && t->block != 8 && t->block != 16)
		return ps_error_set(err, PS_EINVAL, "blocks of %d channels: 0, 8 or 16", t->block);
	return PS_OK;
}

enum ps_status ps_predict_work(const char *path, const char *name,
			       const struct ps_predict_target *target,
			       struct ps_predict_model *ret_model, struct ps_error *err)
{
	struct ps_shapes s;
	struct ps_shapes_given given = {.batch = target->batch, .steps = target->steps};
	enum ps_status st = check_target(target, err);
	st = st == PS_OK ? ps_shapes_read(path, &given, &s, err) : st;
	if (st != PS_OK)
		return st;
	st = count_shapes(&s, name, target, ret_model, err);
	ps_shapes_free(&s);
	return st;
}

enum ps_status ps_predict_work_parse(const void *data, size_t len, const char *name,
				     const struct ps_predict_target *target,
				     struct ps_predict_model *ret_model, struct ps_error *err)
{
	struct ps_shapes s;
	struct ps_shapes_given given = {.batch = target->batch, .steps = target->steps};
	enum ps_status st = check_target(target, err);
	st = st == PS_OK ? ps_shapes_parse(data, len, &given, &s, err) : st;
	if (st != PS_OK)
		return st;
	st = count_shapes(&s, name, target, ret_model, err);
	ps_shapes_free(&s);
	return st;
}

enum ps_status ps_predict_work_copy(const struct ps_predict_model *m,
				    struct ps_predict_model *ret_model)
{
	struct ps_predict_model copy = *m;
	copy.name = strdup(m->name);
	copy.ops = calloc(m->op_count + 1, sizeof *copy.ops);
	copy.op_count = 0;
	bool ok = copy.name && copy.ops;
	for (size_t k = 0; k < m->op_count && ok; k++) {
		copy.ops[k] = m->ops[k];
		copy.ops[k].name = strdup(m->ops[k].name);
		copy.op_count++;
		ok = copy.ops[k].name != NULL;
	}
	if (!ok) {
		ps_predict_model_fini(&copy);
		return PS_ENOMEM;
	}
	*ret_model = copy;
	return PS_OK;
}

void ps_predict_model_fini(struct ps_predict_model *m)
{
	for (size_t k = 0; k < m->op_count; k++)
		free(m->ops[k].name);
	free(m->ops);
	free(m->name);
	*m = (struct ps_predict_model){0};
}
