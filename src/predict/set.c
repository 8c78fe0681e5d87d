/* set.c - a tenant beside several others, from what is known of it beside each of them. */
#include "predict/predict.h"

#include "predict/pair_internal.h"

#include <math.h>
#include <string.h>

static bool is_p99(const struct ps_predict_learned *pairs)
{
	return pairs->table->quantity == &ps_predict_p99;
}

static double queue_of_all(const struct ps_predict_set *s, bool p99)
{
	if (s->guess > 0)
		return s->guess;
	if (p99)
		return ps_predict_set_quantile(&s->own, s->others, s->n, 0.99, &s->slice);
	return ps_predict_set_quantile(&s->own, s->others, s->n, 0.5, &s->slice) /
	       ps_predict_set_quantile(&s->own, NULL, 0, 0.5, &s->slice);
}

static void row_of(const struct ps_predict_set *s, int i, bool p99, struct ps_predict_row *ret_row)
{
	if (p99)
		ps_predict_p99_row(&s->own, &s->others[i], &s->slice, ret_row);
	else
		ps_predict_slowdown_row(&s->own, &s->others[i], &s->slice, ret_row);
	ret_row->models[0] = s->own_model;
	ret_row->models[1] = s->other_models[i];
}

/* Each thing outside the measured range once, however many neighbours it is of. */
static void join_beyond(struct ps_predict_estimate *to, const struct ps_predict_estimate *from)
{
	for (size_t i = 0; i < from->beyond_len; i++) {
		size_t k = 0;
		while (k < to->beyond_len && strcmp(to->beyond[k].name, from->beyond[i].name) != 0)
			k++;
		if (k == to->beyond_len && k < PS_PREDICT_MAX_BEYOND)
			to->beyond[to->beyond_len++] = from->beyond[i];
	}
}

/* The neighbour's share of all neighbours' load. */
static double share_of(const struct ps_predict_set *s, int i)
{
	double sum = 0;

	for (int k = 0; k < s->n; k++)
		sum += s->others[k].rate_rps * s->others[k].service_ns;
	return s->others[i].rate_rps * s->others[i].service_ns / sum;
}

/* What no set can be under: undisturbed. */
static double least_of(const struct ps_predict_set *s, bool p99)
{
	return p99 ? s->own.service_ns : 1;
}

enum ps_status ps_predict_set_at(const struct ps_predict_learned *pairs,
				 const struct ps_predict_set *set, double confidence,
				 struct ps_predict_estimate *ret_estimate, struct ps_error *err)
{
	bool p99 = is_p99(pairs);
	double all = queue_of_all(set, p99), least = least_of(set, p99);
	struct ps_predict_estimate r = {.value = all,
					.low = all,
					.high = all,
					.has_interval = true,
					.confidence = confidence,
					.candidate = pairs->choice.candidate->name};

	if (!isfinite(all))
		return ps_error_set(err, PS_EUNAVAIL,
				    "the lanes cannot keep up with all of them together");
	for (int i = 0; i < set->n; i++) {
		struct ps_predict_estimate one = {0};
		struct ps_predict_row row;
		double share = share_of(set, i);
		row_of(set, i, p99, &row);
		enum ps_status st = ps_predict_at(pairs, &row, confidence, &one, err);
		if (st != PS_OK)
			return st;
		r.value *= pow(one.value / row.anchor, share);
		r.low *= pow(one.low / row.anchor, share);
		r.high *= pow(one.high / row.anchor, share);
		r.has_interval &= one.has_interval;
		r.needs_models =
			one.needs_models > r.needs_models ? one.needs_models : r.needs_models;
		join_beyond(&r, &one);
	}
	r.value = fmax(r.value, least);
	r.low = fmax(r.low, least);
	r.high = fmax(r.high, r.value);
	*ret_estimate = r;
	return PS_OK;
}

double ps_predict_set_unseen(const struct ps_predict_learned *pairs,
			     const struct ps_predict_set *set)
{
	const struct ps_predict_choice *c = &pairs->choice; /* it has no row of a new model */
	bool p99 = is_p99(pairs);
	double value = queue_of_all(set, p99);

	for (size_t k = 0; k < pairs->fold_len; k++)
		if (pairs->folds[k].model == set->own_model)
			c = &pairs->folds[k].choice;
	for (int i = 0; i < set->n; i++) {
		struct ps_predict_row row;
		row_of(set, i, p99, &row);
		value *= pow(ps_predict_choice_at(c, &row) / row.anchor, share_of(set, i));
	}
	/* not fmax, which would hide that a candidate says nothing */
	return value < least_of(set, p99) ? least_of(set, p99) : value;
}
