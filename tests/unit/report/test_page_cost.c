/* test_page_cost.c - what the formulas of cost/ say, for the page to be held to: with --print every
 * case and its results as JSON, which tests/browser/ computes again in the page. */
#include "base/json.h"
#include "base/rng.h"
#include "cost/cost.h"
#include "cost/curve.h"
#include "stats/special.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { CASES = 400, MAX_N = 5, MAX_CROSSINGS = 1000 };

struct input {
	int n;
	double rate[MAX_N], ray[MAX_N], usd_per_hour;
	struct ps_stats_interval alone[MAX_N], scale;
	bool held;
};

static struct ps_stats_interval draw_interval(struct ps_rng *rng)
{
	double v = 0.5 + 40 * ps_rng_uniform(rng), w = 0.3 * ps_rng_uniform(rng);
	double kind = ps_rng_uniform(rng);
	struct ps_stats_interval i = {v, v * (1 - w), v * (1 + 2 * w), 0.95, true};

	if (kind < 0.1)
		i.hi = INFINITY; /* an open end */
	else if (kind < 0.15)
		i.lo = 0;
	else if (kind < 0.2)
		i = (struct ps_stats_interval){v, NAN, NAN, 0.95, false};
	else if (kind < 0.25)
		i = (struct ps_stats_interval){v, 0, INFINITY, 0.95, true};
	return i;
}

static void draw_input(struct ps_rng *rng, struct input *in)
{
	bool on_ray = ps_rng_uniform(rng) < 0.5;

	*in = (struct input){.n = 2 + (int)(3.999 * ps_rng_uniform(rng))};
	for (int i = 0; i < in->n; i++) {
		in->ray[i] = 0.1 + 10 * ps_rng_uniform(rng);
		in->rate[i] = on_ray ? 3 * in->ray[i] : 60 * ps_rng_uniform(rng);
		in->alone[i] = draw_interval(rng);
	}
	if (ps_rng_uniform(rng) < 0.1)
		in->rate[1] = 0;
	in->scale = draw_interval(rng);
	in->scale.value /= 10;
	in->scale.lo /= 10;
	in->scale.hi /= 10;
	in->usd_per_hour = 0.01 + 4 * ps_rng_uniform(rng);
	in->held = ps_rng_uniform(rng) < 0.2;
}

/* Texts for what JSON has not. */
static json_t *number(double v)
{
	return isnan(v)	  ? json_string("nan")
	       : isinf(v) ? json_string(v > 0 ? "inf" : "-inf")
			  : json_real(v);
}

static json_t *interval(struct ps_stats_interval i)
{
	json_t *o = json_object();

	json_object_set_new(o, "value", number(i.value));
	json_object_set_new(o, "low", i.has_interval ? number(i.lo) : json_null());
	json_object_set_new(o, "high", i.has_interval ? number(i.hi) : json_null());
	return o;
}

static json_t *numbers(const double *v, int n)
{
	json_t *list = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(list, number(v[i]));
	return list;
}

/* The first two capacities as those of two machines, the second at three times the price. */
static void add_break_even(const struct input *in, json_t *o)
{
	const struct ps_cost_type types[2] = {{"a", in->usd_per_hour, in->alone[0]},
					      {"b", 3 * in->usd_per_hour, in->alone[1]}};
	double up_to = 6 * fmax(in->alone[0].value, in->alone[1].value);
	struct ps_cost_crossing *x = calloc(MAX_CROSSINGS, sizeof *x);
	struct ps_error err;
	size_t len = 0;

	if (!x || ps_cost_break_even(types, up_to, x, MAX_CROSSINGS, &len, &err) != PS_OK)
		fail_msg("no break-even");
	json_object_set_new(o, "upTo", number(up_to));
	json_object_set_new(o, "crossings", number((double)len));
	double sure = 0, then = 0;
	struct ps_stats_interval sum = {.has_interval = true};
	for (size_t i = 0; i < len; i++) {
		sure += x[i].sure;
		then += (double)(i + 1) * x[i].then;
		sum.value += x[i].rate_rps.value;
		sum.lo += x[i].rate_rps.lo;
		sum.hi += x[i].rate_rps.hi;
		sum.has_interval = sum.has_interval && x[i].rate_rps.has_interval;
	}
	json_object_set_new(o, "sure", number(sure));
	json_object_set_new(o, "then", number(then));
	json_object_set_new(o, "crossingSum", interval(sum));
	json_object_set_new(o, "stairs", interval(ps_cost_point_at(types, up_to / 2.7).whole[0]));
	free(x);
}

static json_t *results(const struct input *in)
{
	struct ps_stats_interval share =
		ps_cost_share_on_ray(in->rate, in->ray, in->alone, in->n, in->scale, NULL);
	struct ps_cost_machines m = ps_cost_machine_saving(in->rate, in->alone, in->n, share,
							   in->held, in->usd_per_hour);
	json_t *o = json_object();

	json_object_set_new(o, "shareOnRay", interval(share));
	json_object_set_new(o, "shareApart",
			    interval(ps_cost_share_apart(in->rate, in->alone, in->n)));
	json_object_set_new(o, "fluidSaving",
			    interval(ps_cost_fluid_saving(in->rate, in->alone, in->n, share)));
	json_object_set_new(
		o, "fullLoadSaving",
		interval(ps_cost_full_load_saving(in->ray, in->alone, in->n, in->scale)));
	json_object_set_new(o, "usdPerMillion",
			    interval(ps_cost_usd_per_million(in->usd_per_hour, in->alone[0])));
	json_object_set_new(o, "apart", interval(m.apart));
	json_object_set_new(o, "together", interval(m.together));
	json_object_set_new(o, "saving", interval(m.saving));
	json_object_set_new(o, "apartUsdPerMonth", number(m.apart_usd_per_month));
	json_object_set_new(o, "togetherUsdPerMonth", number(m.together_usd_per_month));
	add_break_even(in, o);
	return o;
}

static json_t *case_json(const struct input *in)
{
	json_t *o = json_object(), *alone = json_array();

	for (int i = 0; i < in->n; i++)
		json_array_append_new(alone, interval(in->alone[i]));
	json_object_set_new(o, "rates", numbers(in->rate, in->n));
	json_object_set_new(o, "ray", numbers(in->ray, in->n));
	json_object_set_new(o, "alone", alone);
	json_object_set_new(o, "scale", interval(in->scale));
	json_object_set_new(o, "usdPerHour", number(in->usd_per_hour));
	json_object_set_new(o, "held", json_boolean(in->held));
	json_object_set_new(o, "widening",
			    number(ps_stats_normal_quantile(1 - 0.05 / (2 * (in->n + 1))) /
				   ps_stats_normal_quantile(1 - 0.05 / 2)));
	json_object_set_new(o, "widening2",
			    number(ps_stats_normal_quantile(1 - 0.05 / 4) /
				   ps_stats_normal_quantile(1 - 0.05 / 2)));
	json_object_set_new(o, "results", results(in));
	return o;
}

static json_t *all_cases(void)
{
	json_t *list = json_array();
	struct ps_rng rng;

	ps_rng_init(&rng, 2020, 7);
	for (int i = 0; i < CASES; i++) {
		struct input in;
		draw_input(&rng, &in);
		json_array_append_new(list, case_json(&in));
	}
	return list;
}

static void test_cases_cover(void **state)
{
	json_t *all = all_cases(), *v;
	size_t i;
	int open = 0, none = 0, held = 0, crossed = 0, sure = 0;

	(void)state;
	assert_int_equal(json_array_size(all), CASES);
	json_array_foreach(all, i, v)
	{
		const json_t *high = json_object_get(json_object_get(v, "scale"), "high");
		open += json_is_string(high);
		none += json_is_null(high);
		held += json_is_true(json_object_get(v, "held"));
		const json_t *r = json_object_get(v, "results");
		crossed += json_number_value(json_object_get(r, "crossings")) > 0;
		sure += json_number_value(json_object_get(r, "sure")) > 0;
	}
	assert_true(open > 10);
	assert_true(none > 5);
	assert_true(held > 20);
	assert_true(crossed > 50);
	assert_true(sure > 5);
	json_decref(all);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases_cover)};

	if (argc == 2 && strcmp(argv[1], "--print") == 0) {
		json_t *all = all_cases();
		int rc = json_dumpf(all, stdout, JSON_COMPACT);
		json_decref(all);
		return rc == 0 ? 0 : 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
