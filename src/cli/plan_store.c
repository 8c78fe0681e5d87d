/* plan_store.c - what a results store knows of the tenants' models: measured figures. */
#include "cli/plan_store_internal.h"

#include "base/file.h"
#include "stats/special.h"
#include "stats/stats.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- texts and names ---- */

const char *ps_cli_plan_store_say(struct ps_cli_plan_store *s, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	const char *kept = ps_arena_strndup(&s->data.arena, text, strlen(text));
	return kept ? kept : "no memory for a text";
}

int ps_cli_plan_store_model(const struct ps_cli_plan_store *s, const char *name)
{
	int m = ps_cli_predict_find(&s->data, name);

	for (int i = 0; m < 0 && i < s->data.model_len; i++)
		if (s->data.models[i].asked && strcmp(s->data.models[i].name, name) == 0)
			m = i;
	return m;
}

static const char *path_of(void *store, const char *model)
{
	struct ps_cli_plan_store *s = store;
	char full[PATH_MAX];
	int m = ps_cli_plan_store_model(s, model);
	const char *path = m >= 0 ? s->data.models[m].path : NULL;

	return path && realpath(path, full) ? ps_cli_plan_store_say(s, "%s", full) : NULL;
}

/* ---- who is asked about ---- */

/* A model that the store does not know may have its file in the folder. */
static enum ps_status look_for(struct ps_cli_plan_store *s, const char *model, struct ps_error *err)
{
	int unused = 0;

	if (!s->dir || ps_cli_plan_store_model(s, model) >= 0)
		return PS_OK;
	const char *path = ps_cli_plan_store_say(s, "%s/%s.onnx", s->dir, model);
	return ps_file_exists(path) ? ps_cli_predict_add_file(&s->data, path, &unused, err) : PS_OK;
}

/* The case that asks may go before the store does, when it is refused: texts are kept. */
static enum ps_status begin(void *store, const struct ps_plan_asked *asked, int n,
			    double confidence, struct ps_error *err)
{
	struct ps_cli_plan_store *s = store;
	enum ps_status st = PS_OK;

	s->confidence = confidence;
	s->asked = calloc((size_t)n + 1, sizeof(*s->asked));
	if (!s->asked)
		return ps_error_set(err, PS_ENOMEM, "no memory for the tenants");
	for (int i = 0; i < n && st == PS_OK; i++) {
		s->asked[i] = asked[i];
		s->asked[i].tenant = ps_cli_plan_store_say(s, "%s", asked[i].tenant);
		s->asked[i].model = ps_cli_plan_store_say(s, "%s", asked[i].model);
		st = look_for(s, s->asked[i].model, err);
	}
	s->n_asked = n;
	ps_cli_plan_store_pairs(s);
	return st;
}

/* ---- slices ---- */

struct ps_predict_slice ps_cli_plan_store_slice(const struct ps_cost_price *type)
{
	double cpus = fmax(1, floor(type->vcpu));

	return (struct ps_predict_slice){.cpus = cpus, .lanes = cpus, .threads = 1};
}

bool ps_cli_plan_store_nearest(const struct ps_cli_plan_store *s, int model, double cpus,
			       struct ps_predict_slice *ret_slice)
{
	double least = INFINITY;

	for (size_t i = 0; i < s->data.profile_len; i++) {
		const struct ps_cli_predict_profile *p = &s->data.profiles[i];
		double far = fabs(log(p->slice.cpus / cpus));
		if (p->model != model || p->batch != 1 || p->slice.threads != 1 || far >= least)
			continue;
		least = far;
		*ret_slice = p->slice;
	}
	return isfinite(least);
}

/* ---- memory ---- */

static enum ps_status memory_predicted(struct ps_cli_plan_store *s, int model,
				       struct ps_plan_known_memory *ret, struct ps_error *err)
{
	struct ps_cli_predict_table *t = NULL;
	struct ps_predict_row row;
	double low = NAN, middle = NAN, more = 0;
	enum ps_status st = ps_cli_plan_store_learn(s, &ps_predict_memory, &t, err);

	if (st == PS_OK && s->data.models[model].lacks)
		st = ps_error_set(err, PS_EUNAVAIL, "%s", s->data.models[model].lacks);
	if (st != PS_OK)
		return st;
	ps_predict_memory_row(&s->data.models[model].work, &row);
	row.models[0] = model;
	st = ps_cli_plan_store_ask(s, t, &row, &middle, &low, &ret->resident_bytes, &ret->from,
				   err);
	/* what loading takes beyond it: the largest share that any measured model took */
	for (int i = 0; i < s->data.model_len; i++) {
		const struct ps_cli_predict_memory *m = &s->data.models[i].memory;
		if (m->rss_bytes > 0)
			more = fmax(more, m->peak_bytes / m->rss_bytes - 1);
	}
	ret->peak_bytes = more * ret->resident_bytes;
	return st;
}

enum ps_status ps_cli_plan_store_memory(void *store, const char *model,
					struct ps_plan_known_memory *ret, struct ps_error *err)
{
	struct ps_cli_plan_store *s = store;
	int i = ps_cli_plan_store_model(s, model);

	if (i < 0)
		return ps_error_set(err, PS_EUNAVAIL, "the store does not know %s", model);
	const struct ps_cli_predict_memory *m = &s->data.models[i].memory;
	if (!(m->rss_bytes > 0))
		return memory_predicted(s, i, ret, err);
	*ret = (struct ps_plan_known_memory){
		.resident_bytes = fmax(m->said_bytes, m->rss_bytes - s->data.server_bytes),
		.peak_bytes = m->peak_bytes - m->rss_bytes,
		.from = {.origin = PS_PLAN_MEASURED,
			 .how = m->clean ? "batch 1" : "batch 1, after larger ones"}};
	return PS_OK;
}

/* ---- pairs ---- */

static bool counts(const struct ps_cli_predict_beside *b)
{
	return b->slice.threads == 1 && b->blocks > 0;
}

static size_t kept(const struct ps_cli_predict_beside *b)
{
	return b->blocks < PS_CLI_PREDICT_KEPT_TRIALS ? (size_t)b->blocks
						      : PS_CLI_PREDICT_KEPT_TRIALS;
}

/* A pair has few blocks, but their scatter is much the same for all. */
static double pooled_deviation(const struct ps_cli_predict_data *d)
{
	double sum = 0, freedom = 0;

	for (size_t i = 0; i < d->beside_len; i++) {
		const struct ps_cli_predict_beside *b = &d->beside[i];
		size_t n = kept(b);
		if (!counts(b) || n < 2)
			continue;
		sum += (double)(n - 1) * ps_stats_variance(b->log_ratio, n);
		freedom += (double)(n - 1);
	}
	return freedom > 0 ? sqrt(sum / freedom) : NAN;
}

struct scatter {
	double n, mean, variance, blocks; /* of pairs: of their means; blocks of one, on average */
};

static struct scatter scatter_of(const struct ps_cli_predict_data *d)
{
	struct scatter x = {0};
	double squares = 0;

	for (size_t i = 0; i < d->beside_len; i++) {
		if (!counts(&d->beside[i]))
			continue;
		double v = ps_stats_mean(d->beside[i].log_ratio, kept(&d->beside[i]));
		x.mean += v;
		squares += v * v;
		x.blocks += (double)kept(&d->beside[i]);
		x.n++;
	}
	if (x.n == 0)
		return x;
	x.mean /= x.n;
	x.blocks /= x.n;
	x.variance = x.n > 1 ? fmax(0, squares - x.n * x.mean * x.mean) / (x.n - 1) : 0;
	return x;
}

static void set_pair(double middle, double error, struct ps_plan_beside *ret)
{
	ret->middle = fmax(ret->middle, exp(middle));
	ret->high = fmax(fmax(ret->high, ret->middle), exp(middle + error));
}

/* What a pair that was not measured is taken for: as the measured ones, which scatter; but what
 * their blocks scatter is no difference between pairs. */
void ps_cli_plan_store_pairs(struct ps_cli_plan_store *s)
{
	const struct scatter x = scatter_of(&s->data);
	double z = fmax(ps_stats_normal_quantile(s->confidence), 0), own = 0;

	s->pair_deviation = pooled_deviation(&s->data);
	if (!isnan(s->pair_deviation))
		own = s->pair_deviation * s->pair_deviation / x.blocks;
	s->pair_mean = x.mean;
	s->pair_variance = fmax(0, x.variance - own);
	s->guess = (struct ps_plan_beside){1, 1, PS_PLAN_UNKNOWN};
	if (x.n == 0)
		return;
	s->guess.origin = PS_PLAN_PREDICTED;
	set_pair(x.mean, z * sqrt(s->pair_variance), &s->guess);
}

/* Few blocks tell pairs apart only as far as pairs differ by more than blocks do: the estimate is
 * drawn to the mean of all pairs by the rest (as of normal variables, known variances). A factor
 * for each neighbour is multiplied, and noise, which is never under 1, would add up. */
static void measured_pair(const struct ps_cli_plan_store *s, const struct ps_cli_predict_beside *b,
			  struct ps_plan_beside *ret)
{
	double z = fmax(ps_stats_normal_quantile(s->confidence), 0), n = (double)kept(b);
	double v = ps_stats_mean(b->log_ratio, kept(b)), between = s->pair_variance;
	double own = s->pair_deviation * s->pair_deviation / n;

	ret->origin = PS_PLAN_MEASURED;
	if (isnan(own)) /* one block each: nobody knows what of the difference is noise */
		set_pair(v, z * sqrt(between), ret);
	else if (between + own > 0)
		set_pair((between * v + own * s->pair_mean) / (between + own),
			 z * sqrt(between * own / (between + own)), ret);
	else
		set_pair(v, 0, ret);
}

/* Measured on several slices, the worst counts. A factor under 1 would let a set fit whose parts do
 * not. */
bool ps_cli_plan_store_beside(void *store, const char *own, const char *other,
			      struct ps_plan_beside *ret)
{
	struct ps_cli_plan_store *s = store;
	int a = ps_cli_plan_store_model(s, own), b = ps_cli_plan_store_model(s, other);
	struct ps_plan_beside found = {1, 1, PS_PLAN_UNKNOWN};

	if (a < 0 || b < 0 || a == b || s->guess.origin == PS_PLAN_UNKNOWN)
		return false;
	for (size_t i = 0; i < s->data.beside_len; i++) {
		const struct ps_cli_predict_beside *x = &s->data.beside[i];
		if (x->model[0] == a && x->model[1] == b && counts(x))
			measured_pair(s, x, &found);
	}
	*ret = found.origin == PS_PLAN_MEASURED ? found : s->guess;
	return true;
}

/* ---- opening ---- */

static enum ps_status read_store(struct ps_cli_plan_store *s, struct ps_error *err)
{
	struct ps_store *store = NULL;
	enum ps_status st = ps_store_open(s->path, PS_STORE_READ, &store, err);

	if (st == PS_OK)
		st = ps_cli_predict_read(store, 0, &s->data, err);
	ps_store_close(store);
	return st;
}

enum ps_status ps_cli_plan_store_open(const char *path, const char *dir,
				      struct ps_cli_plan_store **ret_store, struct ps_error *err)
{
	struct ps_cli_plan_store *s = calloc(1, sizeof(*s));

	if (!s)
		return ps_error_set(err, PS_ENOMEM, "no memory for a store");
	s->path = path;
	s->dir = dir;
	enum ps_status st = read_store(s, err);
	if (st != PS_OK) {
		free(s);
		return st;
	}
	s->source = (struct ps_plan_source){.ctx = s,
					    .begin = begin,
					    .service = ps_cli_plan_store_service,
					    .capacity = ps_cli_plan_store_capacity,
					    .memory = ps_cli_plan_store_memory,
					    .beside = ps_cli_plan_store_beside,
					    .path = path_of};
	*ret_store = s;
	return PS_OK;
}

void ps_cli_plan_store_free(struct ps_cli_plan_store *s)
{
	if (!s)
		return;
	ps_cli_predict_table_free(&s->service);
	ps_cli_predict_table_free(&s->capacity);
	ps_cli_predict_table_free(&s->memory);
	ps_cli_predict_free(&s->data);
	free(s->asked);
	free(s->found);
	free(s);
}
