/* The tuner: what it chooses goes by the model, is kept, and changes no result. */
#include "base/clock.h"
#include "base/file.h"
#include "engine/rnn/cpu.h"
#include "engine/rnn/layer_internal.h"
#include "engine/rnn/tune.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define assert_near(a, b, most) assert_true(fabs((a) - (b)) <= (most))

#define HIDDEN 80
#define STEPS  40

static char folder[64];
static struct ps_rnn_team *team;

/* Counts loans, and how long the longest took. */
static struct {
	int out, loans;
	int64_t began_ns, longest_ns;
} lent;

static void borrow(void *ctx)
{
	(void)ctx;
	assert_int_equal(lent.out++, 0);
	lent.loans++;
	lent.began_ns = ps_clock_now_ns();
}

static void give_back(void *ctx)
{
	int64_t took_ns = ps_clock_now_ns() - lent.began_ns;

	(void)ctx;
	assert_int_equal(--lent.out, 0);
	lent.longest_ns = took_ns > lent.longest_ns ? took_ns : lent.longest_ns;
}

static const struct ps_engine_lender lender = {borrow, give_back, NULL};

static float *drawn(int64_t n)
{
	static uint64_t state = 7;
	float *v = malloc((size_t)n * sizeof *v);

	for (int64_t i = 0; i < n; i++) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		v[i] = (float)((double)(state >> 11) / 9007199254740992.0 - 0.5) / 4;
	}
	return v;
}

static struct ps_rnn *layer(enum ps_rnn_precision precision)
{
	struct ps_rnn_spec spec = ps_rnn_spec_default(PS_RNN_LSTM, HIDDEN, HIDDEN);
	struct ps_rnn_weights w = {.w = drawn(4 * HIDDEN * HIDDEN),
				   .r = drawn(4 * HIDDEN * HIDDEN)};
	struct ps_rnn *r = NULL;
	struct ps_error err;

	assert_int_equal(ps_rnn_new(&spec, precision, &w, team, &r, &err), PS_OK);
	free((void *)w.w);
	free((void *)w.r);
	return r;
}

/* A machine whose file says that this CPU is so: the tuner believes it and measures nothing. */
static void keep_machine_with(double exchange_ns, double forward, double alternating,
			      double start_s)
{
	struct ps_spatial_machine m = {.name = "made up",
				       .kind = PS_SPATIAL_CORES,
				       .units = 2,
				       .lanes = 16,
				       .block = 16,
				       .n_levels = 1,
				       .levels = {{65536, forward, alternating}},
				       .exchange_s = exchange_ns * 1e-9,
				       .start_s = start_s};
	struct ps_strbuf text;
	struct ps_error err;
	char path[128];

	for (int p = 0; p < PS_SPATIAL_PRECISIONS; p++)
		m.rates[p] = (struct ps_spatial_rate){.has = true,
						      .pack = 1 << p,
						      .vector_s = 1e-9,
						      .rows_vector_s = 1e-9,
						      .rows_read = 1,
						      .overlap = 1};
	ps_rnn_cpu_identity(team, m.measured_on);
	ps_strbuf_init(&text);
	ps_spatial_machine_print(&m, &text);
	snprintf(path, sizeof path, "%s/rnn-machine.yaml", folder);
	assert_int_equal(ps_file_write(path, text.data, text.len, &err), PS_OK);
	ps_strbuf_fini(&text);
}

static void keep_machine(double exchange_ns, double forward, double alternating)
{
	keep_machine_with(exchange_ns, forward, alternating, 0);
}

static void forget(void)
{
	char path[128];

	snprintf(path, sizeof path, "%s/rnn-tuning.json", folder);
	(void)unlink(path);
}

static struct ps_rnn_tuning tuned(struct ps_rnn *r, bool *ret_known)
{
	struct ps_rnn_tuner *t;
	struct ps_error err;

	assert_int_equal(ps_rnn_tuner_open(folder, team, &lender, &t, &err), PS_OK);
	assert_int_equal(ps_rnn_tuner_apply(t, r, ret_known, &err), PS_OK);
	ps_rnn_tuner_close(t);
	return r->tuning;
}

static void the_model_decides(void **state)
{
	static const struct {
		double exchange_ns, forward, alternating;
		int threads;   /* 0: all */
		int alternate; /* -1: timed */
	} cases[] = {
		{1e9, 1e12, 1e12, 1, -1}, /* a meeting of a second: alone */
		{1, 1e9, 2e9, 0, true},	  /* there and back twice as fast */
		{1, 2e9, 1e9, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ps_rnn *r = layer(PS_RNN_FLOAT32);
		bool known = true;
		forget();
		keep_machine(cases[i].exchange_ns, cases[i].forward, cases[i].alternating);
		struct ps_rnn_tuning t = tuned(r, &known);
		assert_false(known);
		assert_int_equal(t.threads, cases[i].threads);
		if (cases[i].alternate >= 0)
			assert_int_equal(t.alternate, cases[i].alternate);
		ps_rnn_free(r);
	}
}

/* Waking another thread is worth it from the steps on that save more than that: by hand. A step of
 * one thread reads 5 blocks x 16 x 4 gates x 80 float32 at 1 GB/s, 102.4 us; of two threads 3
 * blocks, 61.4 us; x * W about as much once. */
static void short_runs_stay_alone(void **state)
{
	static const struct {
		double start_us;
		int64_t least, most;
	} cases[] = {{0, 0, 0}, {30, 0, 0}, {100, 1, 2}, {500, 10, 12}, {2000, 44, 50}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ps_rnn *r = layer(PS_RNN_FLOAT32);
		bool known;
		forget();
		keep_machine_with(1, 1e9, 1e9, cases[i].start_us * 1e-6);
		struct ps_rnn_tuning t = tuned(r, &known);
		assert_false(known);
		assert_in_range(t.alone_rows, cases[i].least, cases[i].most);
		struct ps_rnn_tuning kept = tuned(r, &known);
		assert_true(known);
		assert_int_equal(kept.alone_rows, t.alone_rows);
		for (int64_t rows = 1; rows < 2000; rows++)
			assert_int_equal(ps_rnn_threads_for(r, team, rows),
					 rows <= t.alone_rows ? 1 : 2);
		ps_rnn_free(r);
	}
}

static void a_choice_is_kept_for_this_program(void **state)
{
	struct ps_rnn *a = layer(PS_RNN_INT8), *b = layer(PS_RNN_INT8), *c = layer(PS_RNN_FLOAT32);
	char path[128], *text;
	size_t len;
	struct ps_error err;
	bool known = true;

	(void)state;
	forget();
	keep_machine(1, 1e9, 2e9);
	struct ps_rnn_tuning first = tuned(a, &known);
	assert_false(known);
	struct ps_rnn_tuning second = tuned(b, &known);
	assert_true(known);
	assert_int_equal(first.threads, second.threads);
	assert_int_equal(first.alternate, second.alternate);
	assert_int_equal(first.prefetch, second.prefetch);
	assert_int_equal(first.rows, second.rows);
	tuned(c, &known);
	assert_false(known); /* another precision */
	/* another program, and bytes that are none of ours: as if nothing were there */
	snprintf(path, sizeof path, "%s/rnn-tuning.json", folder);
	assert_int_equal(ps_file_read(path, 1 << 20, &text, &len, &err), PS_OK);
	memcpy(strstr(text, "perseus"), "another", 7);
	assert_int_equal(ps_file_write(path, text, len, &err), PS_OK);
	free(text);
	tuned(b, &known);
	assert_false(known);
	assert_int_equal(ps_file_write(path, "{]", 2, &err), PS_OK);
	tuned(b, &known);
	assert_false(known);
	ps_rnn_free(a);
	ps_rnn_free(b);
	ps_rnn_free(c);
}

/* What is timed has the CPUs alone, and never for long; what is known already needs none. */
static void timing_borrows_the_cpus(void **state)
{
	struct ps_rnn *r = layer(PS_RNN_FLOAT32);
	struct ps_spatial_machine m;
	char path[128];
	struct ps_error err;
	bool known;

	(void)state;
	forget();
	keep_machine(1, 1e9, 1e9);
	memset(&lent, 0, sizeof lent);
	tuned(r, &known);
	assert_false(known);
	int loans = lent.loans;
	assert_true(loans >= 4); /* two rounds of two ways at least */
	tuned(r, &known);
	assert_true(known);
	assert_int_equal(lent.loans, loans);
	snprintf(path, sizeof path, "%s/rnn-machine.yaml", folder);
	(void)unlink(path);
	memset(&lent, 0, sizeof lent);
	assert_int_equal(ps_rnn_cpu_get(folder, team, &lender, PS_RNN_CPU_QUICK, &m, &err), PS_OK);
	assert_true(lent.loans > 40);
	assert_int_equal(lent.out, 0);
	snprintf(path, sizeof path, "%s/rnn-machine-quick.yaml", folder);
	assert_int_equal(unlink(path), 0);
	print_message("%d loans, the longest of %.1f ms\n", lent.loans,
		      (double)lent.longest_ns * 1e-6);
	ps_rnn_free(r);
}

static void no_tuning_changes_a_result(void **state)
{
	static const struct ps_rnn_tuning tunings[] = {
		{.threads = 0, .alternate = true},
		{.threads = 1},
		{.threads = 2, .alternate = true, .prefetch = 1024},
		{.threads = 2, .rows = 14},
		{.threads = 1, .prefetch = 1024, .rows = 64},
		{.threads = 0, .alternate = true, .alone_rows = 2 * STEPS},
	};

	(void)state;
	for (int p = 0; p < PS_RNN_PRECISIONS; p++) {
		struct ps_rnn *r = layer((enum ps_rnn_precision)p);
		float *x = drawn(STEPS * 2 * HIDDEN), *first = calloc(STEPS * 2 * HIDDEN, 4);
		float *y = calloc(STEPS * 2 * HIDDEN, 4);
		struct ps_error err;
		for (size_t i = 0; i < sizeof tunings / sizeof *tunings; i++) {
			struct ps_rnn_run run = {
				.steps = STEPS, .batch = 2, .x = x, .y = i == 0 ? first : y};
			r->tuning = tunings[i];
			assert_int_equal(ps_rnn_run(r, team, &run, &err), PS_OK);
			if (i > 0)
				assert_memory_equal(first, y, (size_t)(STEPS * 2 * HIDDEN) * 4);
		}
		free(x);
		free(y);
		free(first);
		ps_rnn_free(r);
	}
}

static void measured_once(void **state)
{
	struct ps_spatial_machine m, again;
	struct ps_error err;
	char path[128];

	(void)state;
	snprintf(path, sizeof path, "%s/rnn-machine.yaml", folder);
	(void)unlink(path);
	assert_int_equal(ps_rnn_cpu_get(folder, team, &lender, PS_RNN_CPU_KNOWN, &m, &err), PS_OK);
	assert_int_equal(m.units, 2);
	assert_true(m.n_levels > 8);
	for (int i = 0; i < m.n_levels; i++)
		assert_true(m.levels[i].forward_bps > 0 && m.levels[i].alternating_bps > 0);
	for (int p = 0; p < PS_RNN_PRECISIONS; p++) {
		assert_true(m.rates[p].vector_s > 0 && m.rates[p].rows_vector_s > 0);
		assert_true(m.rates[p].overlap >= 0 && m.rates[p].overlap <= 1);
	}
	assert_true(m.exchange_s > 0);
	assert_true(ps_file_exists(path));
	assert_int_equal(ps_rnn_cpu_get(folder, team, &lender, PS_RNN_CPU_KNOWN, &again, &err),
			 PS_OK);
	assert_near(again.exchange_s / m.exchange_s, 1, 1e-5);
	/* in a hurry: what is known at length, else a little */
	assert_int_equal(ps_rnn_cpu_get(folder, team, &lender, PS_RNN_CPU_QUICK, &again, &err),
			 PS_OK);
	assert_int_equal(again.n_levels, m.n_levels);
	(void)unlink(path);
	assert_int_equal(ps_rnn_cpu_get(folder, team, &lender, PS_RNN_CPU_QUICK, &again, &err),
			 PS_OK);
	assert_true(again.n_levels < m.n_levels);
	assert_false(ps_file_exists(path));
	snprintf(path, sizeof path, "%s/rnn-machine-quick.yaml", folder);
	assert_true(ps_file_exists(path));
	assert_int_equal(unlink(path), 0);
}

static int set_up(void **state)
{
	struct ps_error err;

	(void)state;
	strcpy(folder, "/tmp/perseus-tune-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	return ps_rnn_team_new(2, &(struct ps_cpus){}, &team, &err) == PS_OK ? 0 : -1;
}

static int tear_down(void **state)
{
	char path[128];

	(void)state;
	ps_rnn_team_free(team);
	forget();
	snprintf(path, sizeof path, "%s/rnn-machine.yaml", folder);
	(void)unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_model_decides),
		cmocka_unit_test(short_runs_stay_alone),
		cmocka_unit_test(a_choice_is_kept_for_this_program),
		cmocka_unit_test(timing_borrows_the_cpus),
		cmocka_unit_test(no_tuning_changes_a_result),
		cmocka_unit_test(measured_once),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
