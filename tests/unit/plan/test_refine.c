/* A prediction corrected by what was measured: only upwards, no less than what was seen, and no
 * set that broke an agreement again. */
#include "base/file.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "plan/refine.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { MOST_PLACES = 64, CASES = 25 };

/* ---- a case and its plan ---- */

static char dir[] = "/tmp/perseus-refine-XXXXXX";
static const char *const names[] = {"prices.yaml", "profiles.yaml", "plan.yaml"};

static void put(const char *name, const char *text)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(ps_file_write(path, text, strlen(text), NULL), PS_OK);
}

/* Model a was measured on t1 and elsewhere taken from any machine; b on none. */
static int make_files(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	put(names[0], "prices:\n"
		      "  - {provider: p, region: r, instance_type: t1, vcpu: 1, memory_gib: 4, "
		      "on_demand_usd_per_hour: 0.1, source: s, source_date: '2026-01-01'}\n"
		      "  - {provider: p, region: r, instance_type: t2, vcpu: 2, memory_gib: 4, "
		      "on_demand_usd_per_hour: 0.19, source: s, source_date: '2026-01-01'}\n"
		      "  - {provider: p, region: r, instance_type: t4, vcpu: 4, memory_gib: 4, "
		      "on_demand_usd_per_hour: 0.36, source: s, source_date: '2026-01-01'}\n");
	put(names[1], "profiles:\n"
		      "  - {model: a, service: 20ms, error: 3%, cv: 0.2, memory: 1MiB, "
		      "instance_type: t1}\n"
		      "  - {model: a, service: 24ms, error: 5%, cv: 0.2, memory: 1MiB}\n"
		      "  - {model: b, service: 6ms, error: 5%, memory: 1MiB}\n");
	put(names[2], "prices: prices.yaml\nprofiles: profiles.yaml\ntenants:\n"
		      "  - {name: x, model: a, rate: 6/s, sla: 'p99 <= 300ms'}\n"
		      "  - {name: y, count: 3, model: b, rate: 30/s, sla: 'p95 <= 150ms'}\n"
		      "  - {name: z, model: a, rates: [1, 9/s], sla: 'p90 <= 1s'}\n");
	return 0;
}

static int remove_files(void **state)
{
	char path[200];

	(void)state;
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	return rmdir(dir);
}

struct planned {
	struct ps_plan_case c;
	struct ps_plan_answer a;
	double factors[16];
};

static void plan_it(struct planned *p, const struct ps_clock *clock)
{
	const struct ps_plan_answer_options o = {.clock = clock,
						 .time_limit_ns = 3600LL * 1000000000,
						 .seed = 1,
						 .method = PS_PLAN_HEURISTIC};
	struct ps_error err;

	if (ps_plan_answer(&p->c, &o, &p->a, &err) != PS_OK)
		fail_msg("%s", err.what);
}

static void open_it(struct planned *p)
{
	char path[200];
	struct ps_error err;

	snprintf(path, sizeof(path), "%s/plan.yaml", dir);
	if (ps_plan_case_open(path, NULL, NULL, NULL, &p->c, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
	plan_it(p, ps_clock_monotonic());
}

static void close_it(struct planned *p)
{
	ps_plan_answer_fini(&p->a);
	ps_plan_case_fini(&p->c);
}

static const struct ps_plan_service *service(const struct planned *p, int type, const char *model)
{
	for (int m = 0; m < p->c.n_models; m++)
		if (strcmp(p->c.models[m].name, model) == 0)
			return &p->c.services[type * p->c.n_models + m];
	fail();
	return NULL;
}

/* The upper end that is foreseen now for a place of the old plan. */
static double high_now(const struct planned *p, const struct ps_plan_seen *seen)
{
	const struct ps_plan_machine *m = &p->a.result.plan.machines[seen->machine];
	struct ps_plan_forecast f[MOST_PLACES];
	struct ps_plan_state state;
	int kind = p->a.split.kind_of[p->a.machines[seen->machine].places[seen->place].tenant];

	p->a.split.oracle.foresee(p->a.split.oracle.ctx, m->type, m->set, m->n, f, &state);
	for (int i = 0; i < m->n; i++)
		if (m->set[i].kind == kind)
			return f[i].high_s;
	fail();
	return 0;
}

static bool refine(struct planned *p, const struct ps_plan_seen *seen, int n)
{
	struct ps_error err;
	bool changed = false;

	assert_true(p->c.n_types * p->c.n_models <= 16);
	if (ps_plan_refine(&p->c, &p->a, seen, n, p->factors, &changed, &err) != PS_OK)
		fail_msg("%s", err.what);
	return changed;
}

static double limit_of(const struct planned *p, int machine, int place)
{
	return (double)p->c.tenants[p->a.machines[machine].places[place].tenant].sla.limit_ns *
	       1e-9;
}

/* ---- tests ---- */

static void test_nothing_over_what_was_foreseen(void **state)
{
	struct planned p;

	(void)state;
	open_it(&p);
	for (int i = 0; i < p.a.result.plan.n; i++)
		for (int j = 0; j < p.a.machines[i].n; j++) {
			const struct ps_plan_seen seen = {
				i, j, p.a.machines[i].places[j].forecast.high_s * 0.999, 0.001,
				false};
			double before = high_now(&p, &seen);
			assert_false(refine(&p, &seen, 1));
			assert_true(high_now(&p, &seen) == before);
		}
	close_it(&p);
}

/* Any measurements: nothing gets shorter, what was seen is foreseen, what broke fits no longer. */
static void test_conservative(void **state)
{
	struct ps_rng r;

	(void)state;
	ps_rng_init(&r, 7, 1);
	for (int k = 0; k < CASES; k++) {
		struct ps_plan_seen seen[MOST_PLACES];
		struct ps_plan_service before[16];
		struct planned p;
		int n = 0;
		open_it(&p);
		int all = p.c.n_types * p.c.n_models;
		memcpy(before, p.c.services, (size_t)all * sizeof(*before));
		for (int i = 0; i < p.a.result.plan.n; i++)
			for (int j = 0; j < p.a.machines[i].n; j++) {
				double limit = limit_of(&p, i, j), u = ps_rng_uniform(&r);
				double s = u < 0.1 ? INFINITY : limit * 3 * ps_rng_uniform(&r);
				seen[n++] = (struct ps_plan_seen){
					i, j, s, 0.05 * ps_rng_uniform(&r), s > limit};
			}
		bool changed = refine(&p, seen, n);
		for (int i = 0; i < all; i++) {
			assert_true(p.factors[i] >= 1);
			assert_true(changed || p.factors[i] == 1);
			if (!before[i].known)
				continue;
			assert_true(fabs(p.c.services[i].mean_s / before[i].mean_s - p.factors[i]) <
				    1e-9 * p.factors[i]);
			assert_true(fabs(p.c.services[i].high_s / before[i].high_s - p.factors[i]) <
				    1e-9 * p.factors[i]);
		}
		for (int i = 0; i < n; i++) {
			double limit = limit_of(&p, seen[i].machine, seen[i].place);
			assert_true(high_now(&p, &seen[i]) >= seen[i].measured_s * (1 - 1e-9));
			assert_true(!seen[i].violated || high_now(&p, &seen[i]) > limit);
		}
		close_it(&p);
	}
}

/* More seen of a tenant, more for its model. */
static void test_monotone(void **state)
{
	double last = 0;

	(void)state;
	for (int i = 1; i <= 40; i++) {
		struct planned p;
		open_it(&p);
		const struct ps_plan_seen seen = {0, 0, 0.02 * i, 0, false};
		refine(&p, &seen, 1);
		double most = 1;
		for (int k = 0; k < p.c.n_types * p.c.n_models; k++)
			most = fmax(most, p.factors[k]);
		assert_true(most >= last);
		last = most;
		close_it(&p);
	}
	assert_true(last > 1);
}

/* The mean that the server measured is the new mean, but for one within the interval. */
static void test_service_times(void **state)
{
	(void)state;
	for (int slow = 0; slow < 2; slow++) {
		struct planned p;
		open_it(&p);
		int tenant = p.a.machines[0].places[0].tenant, type = p.a.machines[0].type;
		const char *model = p.c.models[p.c.tenants[tenant].model].name;
		struct ps_plan_service was = *service(&p, type, model);
		const struct ps_plan_seen seen = {
			0, 0, 0, slow ? 4 * was.mean_s : (was.mean_s + was.high_s) / 2, false};
		assert_true(refine(&p, &seen, 1) == slow);
		if (slow)
			assert_true(fabs(service(&p, type, model)->mean_s - 4 * was.mean_s) < 1e-9);
		close_it(&p);
	}
}

/* Who takes its time from the same row is corrected with it, who has a row of its own is not. */
static void check_row(int machine, int place)
{
	struct planned p;
	double was[3][2];

	open_it(&p);
	int type = p.a.machines[machine].type;
	int model = p.c.tenants[p.a.machines[machine].places[place].tenant].model;
	bool of_a = strcmp(p.c.models[model].name, "a") == 0;
	for (int t = 0; t < 3; t++) {
		was[t][0] = service(&p, t, "a")->mean_s;
		was[t][1] = service(&p, t, "b")->mean_s;
	}
	const struct ps_plan_seen seen = {machine, place, 2, 0, true};
	assert_true(refine(&p, &seen, 1));
	for (int t = 0; t < 3; t++) {
		bool same = (t == 0) == (type == 0);
		assert_true((service(&p, t, "a")->mean_s > was[t][0]) == (of_a && same));
		assert_true((service(&p, t, "b")->mean_s > was[t][1]) == !of_a);
	}
	close_it(&p);
}

static void test_one_row_one_factor(void **state)
{
	struct planned p;

	(void)state;
	open_it(&p);
	for (int i = 0; i < p.a.result.plan.n; i++)
		for (int j = 0; j < p.a.machines[i].n; j++)
			check_row(i, j);
	close_it(&p);
}

/* A broken set is not planned again: the next plan differs, and costs no less. */
static void test_plans_on(void **state)
{
	struct planned p;
	double usd = 0;

	(void)state;
	open_it(&p);
	for (int k = 0; k < 3; k++) {
		const struct ps_plan_machine *m = &p.a.result.plan.machines[0];
		const struct ps_plan_seen seen = {0, 0, limit_of(&p, 0, 0) * 1.01, 0, true};
		assert_true(p.a.result.plan.usd_per_hour >= usd - 1e-9);
		usd = p.a.result.plan.usd_per_hour;
		assert_true(refine(&p, &seen, 1));
		struct ps_plan_split s;
		assert_int_equal(ps_plan_case_split(&p.c, p.a.fineness, false, &s, NULL), PS_OK);
		/* with the same parts the kinds are the same */
		if (memcmp(s.parts, p.a.split.parts, (size_t)p.c.n_tenants * sizeof(*s.parts)) == 0)
			assert_true(s.oracle.judge(s.oracle.ctx, m->type, m->set, m->n, NULL) !=
				    PS_PLAN_FITS);
		ps_plan_split_fini(&s);
		ps_plan_answer_fini(&p.a);
		plan_it(&p, ps_clock_monotonic());
	}
	close_it(&p);
}

static void test_refusals(void **state)
{
	static const struct ps_plan_seen rows[] = {
		{-1, 0, 1, 0, false},  {1000, 0, 1, 0, false},	  {0, 1000, 1, 0, false},
		{0, -1, 1, 0, false},  {0, 0, NAN, 0, false},	  {0, 0, -1, 0, false},
		{0, 0, 1, NAN, false}, {0, 0, 1, INFINITY, true},
	};
	struct ps_error err;
	struct planned p;
	bool changed;

	(void)state;
	open_it(&p);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(ps_plan_refine(&p.c, &p.a, &rows[i], 1, p.factors, &changed, &err),
				 PS_EINVAL);
	close_it(&p);
}

/* What was corrected is written, and a plan that reads it plans with the same times; types that the
 * case has not get the greatest factor of those that the model was not measured on. */
static void test_corrections_outlive_it(void **state)
{
	const struct ps_plan_seen seen[] = {{.machine = 0, .place = 0, .measured_s = 0.7}};
	struct planned p, q;
	struct ps_strbuf text;
	struct ps_error err;
	char path[200];
	int raised = 0;

	(void)state;
	open_it(&p);
	assert_true(refine(&p, seen, 1));
	ps_strbuf_init(&text);
	assert_int_equal(ps_plan_corrections_text(&p.c, &text), 1);
	put("fix.yaml", text.data);
	snprintf(path, sizeof(path), "%s/fix.yaml", dir);
	open_it(&q);
	ps_strbuf_clear(&text);
	assert_int_equal(ps_plan_corrections_text(&q.c, &text), 0);
	if (ps_plan_case_correct(&q.c, path, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
	for (int i = 0; i < p.c.n_types * p.c.n_models; i++) {
		const struct ps_plan_service *x = &p.c.services[i], *y = &q.c.services[i];
		double read = ps_plan_case_corrected(&q.c, i / q.c.n_models, i % q.c.n_models);
		assert_true(fabs(x->mean_s / y->mean_s - 1) < 1e-12);
		assert_true(fabs(x->high_s / y->high_s - 1) < 1e-12);
		assert_true(fabs(p.factors[i] / read - 1) < 1e-12);
		raised += p.factors[i] > 1;
	}
	assert_true(raised > 0);
	(void)unlink(path);
	ps_strbuf_fini(&text);
	close_it(&p);
	close_it(&q);
}

static void test_corrections_refused(void **state)
{
	static const struct {
		const char *text, *said;
	} rows[] = {
		{"corrections:\n  - {model: a, factor: 0.5}\n", "factor"},
		{"corrections:\n  - {model: a, factor: .nan}\n", "factor"},
		{"corrections:\n  - {model: a, factor: 2}\n  - {model: a, factor: 3}\n",
		 "two factors on other types"},
		{"corrections:\n  - {factor: 2}\n", "model"},
		{"corrections: []\n", "corrections"},
	};
	struct planned p;
	struct ps_error err;
	char path[200];

	(void)state;
	open_it(&p);
	snprintf(path, sizeof(path), "%s/fix.yaml", dir);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		put("fix.yaml", rows[i].text);
		assert_int_equal(ps_plan_case_correct(&p.c, path, &err), PS_EPARSE);
		if (!strstr(err.what, rows[i].said) && !strstr(err.where, rows[i].said))
			fail_msg("row %zu: %s: %s", i, err.where, err.what);
	}
	(void)unlink(path);
	assert_int_equal(ps_plan_case_correct(&p.c, NULL, &err), PS_OK);
	assert_null(p.c.corrected);
	close_it(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_over_what_was_foreseen),
		cmocka_unit_test(test_conservative),
		cmocka_unit_test(test_monotone),
		cmocka_unit_test(test_service_times),
		cmocka_unit_test(test_one_row_one_factor),
		cmocka_unit_test(test_plans_on),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_corrections_outlive_it),
		cmocka_unit_test(test_corrections_refused),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
