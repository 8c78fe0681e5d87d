#include "predict/physical.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How hard the law of all kinds pulls, in operators' worth of a log of e. */
static const double pull = 0.3;

/* ---- the machine ---- */

enum ps_status ps_predict_machine_check(const struct ps_predict_machine *m, struct ps_error *err)
{
	if (m->threads < 1 || !(m->mac_per_s > 0) || !isfinite(m->mac_per_s))
		return ps_error_set(err, PS_EINVAL,
				    "a machine of %d threads and %g "
				    "multiply-accumulates per second",
				    m->threads, m->mac_per_s);
	if (m->level_len < 1 || m->level_len > PS_PREDICT_MAX_LEVELS)
		return ps_error_set(err, PS_EINVAL, "a machine of %d levels of memory, 1 to %d",
				    m->level_len, PS_PREDICT_MAX_LEVELS);
	for (int i = 0; i < m->level_len; i++) {
		bool rises = i == 0 || m->levels[i].bytes > m->levels[i - 1].bytes;
		double rate = m->levels[i].bytes_per_s;
		if (!(m->levels[i].bytes > 0) || !rises || !(rate > 0) || !isfinite(rate))
			return ps_error_set(err, PS_EINVAL,
					    "level %d of memory: %g bytes at %g per second", i,
					    m->levels[i].bytes, rate);
	}
	return PS_OK;
}

double ps_predict_bandwidth(const struct ps_predict_machine *m, double bytes)
{
	int i = 0;
	while (i < m->level_len && m->levels[i].bytes < bytes)
		i++;
	if (i == 0)
		return m->levels[0].bytes_per_s;
	if (i == m->level_len)
		return m->levels[i - 1].bytes_per_s;
	/* Between two sizes: by the logarithm of the size, as caches are. */
	double at = log(bytes / m->levels[i - 1].bytes) /
		    log(m->levels[i].bytes / m->levels[i - 1].bytes);
	return exp((1 - at) * log(m->levels[i - 1].bytes_per_s) +
		   at * log(m->levels[i].bytes_per_s));
}

/* ---- one operator ---- */

static double whole_blocks(int64_t channels, int block)
{
	int64_t b = block > 1 ? block : 1, blocks = (channels + b - 1) / b;
	return (double)(blocks * b);
}

double ps_predict_op_work(const struct ps_predict_op *op, int block)
{
	double work = op->macs;
	bool conv = op->kind == PS_PREDICT_CONV || op->kind == PS_PREDICT_IMAGE ||
		    op->kind == PS_PREDICT_POINTWISE || op->kind == PS_PREDICT_DEPTHWISE;
	const struct ps_predict_shape *s = &op->shape;
	if (conv && s->out_channels > 0)
		work *= whole_blocks(s->out_channels, block) / (double)s->out_channels;
	/* Images of fewer channels than a block are read as they are. */
	if (conv && op->kind != PS_PREDICT_DEPTHWISE && s->in_channels >= block &&
	    s->in_channels > 0)
		work *= whole_blocks(s->in_channels, block) / (double)s->in_channels;
	return work + op->element_ops;
}

/* What an operator asks of the machine: ns at full speed, and at full bandwidth. */
struct demand {
	double compute_ns, memory_ns;
	double time_ns, weight; /* when measured */
	enum ps_predict_kind kind;
};

static struct demand demand_of(const struct ps_predict_machine *m, const struct ps_predict_op *op)
{
	double bytes = ps_predict_op_bytes(op);
	return (struct demand){
		.compute_ns = ps_predict_op_work(op, m->block) / m->mac_per_s * 1e9,
		.memory_ns = bytes > 0 ? bytes / ps_predict_bandwidth(m, bytes) * 1e9 : 0,
		.time_ns = op->time_ns,
		.kind = op->kind,
	};
}

static double time_of(const struct ps_predict_kind_law *l, const struct demand *d)
{
	return l->toll_ns + fmax(d->compute_ns / l->compute, d->memory_ns / l->memory);
}

double ps_predict_physical_op(const struct ps_predict_physical *p,
			      const struct ps_predict_machine *machine,
			      const struct ps_predict_op *op)
{
	if (!op->known)
		return NAN;
	const struct ps_predict_kind_law *l = &p->laws[op->kind];
	struct demand d = demand_of(machine, op);
	return time_of(l, &d);
}

double ps_predict_physical_run(const struct ps_predict_physical *p,
			       const struct ps_predict_machine *machine,
			       const struct ps_predict_model *model, size_t *ret_unseen)
{
	double ns = 0;
	size_t unseen = 0;
	for (size_t k = 0; k < model->op_count; k++) {
		ns += ps_predict_physical_op(p, machine, &model->ops[k]) + p->between_ns;
		unseen += p->laws[model->ops[k].kind].seen == 0;
	}
	if (ret_unseen)
		*ret_unseen = unseen;
	return ns;
}

/* ---- fitting ---- */

/* The parameters of a law as logarithms, so that they stay positive. */
enum { TOLL, COMPUTE, MEMORY, PARAMETERS };

static struct ps_predict_kind_law law_of(const double *x)
{
	return (struct ps_predict_kind_law){
		.toll_ns = exp(x[TOLL]), .compute = exp(x[COMPUTE]), .memory = exp(x[MEMORY])};
}

/* What a law is fitted to. */
struct fitting {
	const struct demand *d;
	size_t n;
	int kind;	      /* -1: all */
	const double *centre; /* the parameters of all kinds together; NULL */
};

static size_t seen_of(const struct fitting *f)
{
	size_t seen = 0;
	for (size_t i = 0; i < f->n; i++)
		seen += f->kind < 0 || (int)f->d[i].kind == f->kind;
	return seen;
}

/* Mean |log(predicted / measured)|, by weight: an operator that takes half of the time counts
 * half, and one that is far off does not pull like its square. */
static double misfit(const struct fitting *f, const double *x)
{
	struct ps_predict_kind_law l = law_of(x);
	double sum = 0, weight = 0;
	for (size_t i = 0; i < f->n; i++) {
		const struct demand *d = &f->d[i];
		if (f->kind >= 0 && (int)d->kind != f->kind)
			continue;
		sum += d->weight * fabs(log(time_of(&l, d) / d->time_ns));
		weight += d->weight;
	}
	return weight > 0 ? sum / weight : 0;
}

/* Few operators, or all of one size, do not tell toll, speed and bandwidth apart: what they leave
 * open stays near that of all kinds. */
static double loss(const struct fitting *f, const double *x, size_t seen)
{
	double away = 0;
	for (int k = 0; f->centre && k < PARAMETERS; k++)
		away += (x[k] - f->centre[k]) * (x[k] - f->centre[k]);
	return misfit(f, x) + pull / (double)(1 + seen) * away;
}

/* One parameter at a time, by steps that halve: the loss has corners, and three dimensions. */
static double descend(const struct fitting *f, size_t seen, double *x)
{
	enum { HALVINGS = 9 }; /* to a five-hundredth */
	double best = loss(f, x, seen), step = 1;
	for (int h = 0; h < HALVINGS; h++, step /= 2) {
		for (bool better = true; better;) {
			better = false;
			for (int k = 0; k < 2 * PARAMETERS; k++) {
				double old = x[k / 2];
				x[k / 2] += k % 2 ? step : -step;
				double now = loss(f, x, seen);
				if (now < best - 1e-12) {
					best = now;
					better = true;
				} else {
					x[k / 2] = old;
				}
			}
		}
	}
	return best;
}

/* A share that no operator depends on would be arbitrary: the descent starts where neither bounds
 * the other away, from several places, and the best end counts. */
static struct ps_predict_kind_law fit_law(const struct fitting *f, double *ret_x)
{
	static const double tolls_ns[] = {100, 3000}, shares[] = {0.15, 0.7};
	double best = INFINITY;
	size_t seen = seen_of(f);
	for (int k = 0; k < 8; k++) {
		double x[PARAMETERS] = {log(tolls_ns[k & 1]), log(shares[k >> 1 & 1]),
					log(shares[k >> 2 & 1])};
		double now = descend(f, seen, x);
		if (now >= best - 1e-9)
			continue;
		best = now;
		memcpy(ret_x, x, sizeof x);
	}
	struct ps_predict_kind_law law = law_of(ret_x);
	law.seen = seen;
	law.spread = misfit(f, ret_x);
	return law;
}

static size_t gather(const struct ps_predict_timed *models, size_t n,
		     const struct ps_predict_machine *machine, struct demand *d)
{
	size_t len = 0;
	for (size_t i = 0; i < n; i++) {
		const struct ps_predict_model *m = models[i].model;
		double sum = 0;
		size_t from = len;
		for (size_t k = 0; k < m->op_count; k++) {
			if (!m->ops[k].known || !(m->ops[k].time_ns > 0))
				continue;
			d[len] = demand_of(machine, &m->ops[k]);
			sum += d[len++].time_ns;
		}
		for (size_t k = from; k < len; k++)
			d[k].weight = d[k].time_ns / sum;
	}
	return len;
}

struct rest {
	double ns, weight;
};

static int by_ns(const void *a, const void *b)
{
	double x = ((const struct rest *)a)->ns, y = ((const struct rest *)b)->ns;
	return (x > y) - (x < y);
}

/* The value at which half of the weight is reached. */
static double weighted_median(struct rest *each, size_t len)
{
	double all = 0, sum = 0;
	size_t k = 0;
	qsort(each, len, sizeof *each, by_ns);
	for (size_t i = 0; i < len; i++)
		all += each[i].weight;
	while (k + 1 < len && sum + each[k].weight < all / 2)
		sum += each[k++].weight;
	return len ? each[k].ns : 0;
}

/* What a run takes beside its operators, per operator. In a model of few long operators it drowns
 * in how far two measurements of the same differ: the weight is operators per time, which
 * makes this the line of least sum of relative errors. */
static enum ps_status fit_between(const struct ps_predict_timed *models, size_t n,
				  double *ret_between_ns)
{
	struct rest *each = calloc(n + 1, sizeof *each);
	size_t len = 0;
	if (!each)
		return PS_ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct ps_predict_model *m = models[i].model;
		double sum = 0, count = (double)m->op_count;
		for (size_t k = 0; k < m->op_count; k++)
			sum += m->ops[k].time_ns;
		double rest = (models[i].run_ns - sum) / count;
		if (!isnan(rest)) /* the run and every operator were measured */
			each[len++] = (struct rest){rest, count / models[i].run_ns};
	}
	*ret_between_ns = weighted_median(each, len);
	free(each);
	return PS_OK;
}

static void fit_laws(const struct demand *d, size_t len, struct ps_predict_physical *p)
{
	double centre[PARAMETERS], x[PARAMETERS];
	struct fitting all = {.d = d, .n = len, .kind = -1};
	p->all = fit_law(&all, centre);
	for (int k = 0; k < PS_PREDICT_KINDS; k++) {
		struct fitting f = {.d = d, .n = len, .kind = k, .centre = centre};
		bool there = seen_of(&f) > 0;
		p->laws[k] = there ? fit_law(&f, x) : p->all;
		if (!there)
			p->laws[k].seen = 0;
	}
}

enum ps_status ps_predict_physical_fit(const struct ps_predict_timed *models, size_t n,
				       const struct ps_predict_machine *machine,
				       struct ps_predict_physical *ret_physical,
				       struct ps_error *err)
{
	struct ps_predict_physical p = {.between_ns = 0};
	size_t most = 1;
	enum ps_status st = ps_predict_machine_check(machine, err);
	if (st != PS_OK)
		return st;
	for (size_t i = 0; i < n; i++)
		most += models[i].model->op_count;
	struct demand *d = calloc(most, sizeof *d);
	if (!d || fit_between(models, n, &p.between_ns) != PS_OK) {
		free(d);
		return ps_error_set(err, PS_ENOMEM, "no memory to learn from operators");
	}
	size_t len = gather(models, n, machine, d);
	if (len > 0)
		fit_laws(d, len, &p);
	else
		st = ps_error_set(err, PS_EUNAVAIL, "no operator of any model was measured");
	free(d);
	if (st == PS_OK)
		*ret_physical = p;
	return st;
}
