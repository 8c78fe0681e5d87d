/* The physical model: by hand where it is simple, and laws found again in times made from them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/rng.h"
#include "predict/physical.h"

#include <math.h>
#include <string.h>

/* 10 G multiply-accumulates per second; 100 GB/s from a small cache, 10 GB/s from memory. */
static const struct ps_predict_machine machine = {
	.threads = 1,
	.mac_per_s = 10e9,
	.levels = {{1e4, 100e9}, {1e6, 100e9}, {1e8, 10e9}},
	.level_len = 3,
	.block = 8,
};

static void near(double got, double want, double tolerance)
{
	if (!(fabs(got / want - 1) <= tolerance))
		fail_msg("%.9g, not %.9g", got, want);
}

static void test_bandwidth(void **state)
{
	static const struct {
		double bytes, want;
	} rows[] = {{1, 100e9},		 {1e4, 100e9}, {1e5, 100e9}, {1e6, 100e9},
		    {1e7, 31.6227766e9}, {1e8, 10e9},  {1e12, 10e9}};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		near(ps_predict_bandwidth(&machine, rows[i].bytes), rows[i].want, 1e-6);
}

static void test_machines(void **state)
{
	struct ps_predict_machine m;
	(void)state;
	assert_int_equal(ps_predict_machine_check(&machine, NULL), PS_OK);
	for (int i = 0; i < 7; i++) {
		m = machine;
		switch (i) {
		case 0:
			m.threads = 0;
			break;
		case 1:
			m.mac_per_s = NAN;
			break;
		case 2:
			m.mac_per_s = 0;
			break;
		case 3:
			m.level_len = 0;
			break;
		case 4:
			m.levels[1].bytes = 1e4;
			break;
		case 5:
			m.levels[2].bytes_per_s = INFINITY;
			break;
		default:
			m.level_len = PS_PREDICT_MAX_LEVELS + 1;
		}
		if (ps_predict_machine_check(&m, NULL) != PS_EINVAL)
			fail_msg("machine %d", i);
	}
}

/* Channels come in whole blocks, except those of an image, and one group per channel. */
static void test_padding(void **state)
{
	static const struct {
		enum ps_predict_kind kind;
		int64_t in, out;
		int block;
		double want; /* of 1000 multiply-accumulates, and 7 operations beside */
	} rows[] = {
		{PS_PREDICT_CONV, 16, 32, 8, 1007},
		{PS_PREDICT_CONV, 16, 12, 8, 1000.0 * 16 / 12 + 7},
		{PS_PREDICT_CONV, 10, 8, 8, 1607},
		{PS_PREDICT_IMAGE, 3, 8, 8, 1007},
		{PS_PREDICT_CONV, 10, 12, 16, 1000.0 * 16 / 12 + 7},
		{PS_PREDICT_POINTWISE, 12, 12, 8, 1000.0 * 256 / 144 + 7},
		{PS_PREDICT_DEPTHWISE, 12, 12, 8, 1000.0 * 16 / 12 + 7},
		{PS_PREDICT_GEMM, 10, 10, 8, 1007},
		{PS_PREDICT_CONV, 10, 12, 0, 1007},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_predict_op op = {.kind = rows[i].kind, .macs = 1000, .element_ops = 7};
		op.shape.in_channels = rows[i].in;
		op.shape.out_channels = rows[i].out;
		near(ps_predict_op_work(&op, rows[i].block), rows[i].want, 1e-12);
	}
}

/* 10^6 multiply-accumulates at 10 G/s are 100 us, at half of that 200; 10^5 bytes at 100 GB/s are
 * 1 us. */
static void test_one_operator(void **state)
{
	struct ps_predict_physical p = {.between_ns = 500};
	struct ps_predict_op ops[2] = {
		{.known = true, .kind = PS_PREDICT_GEMM, .macs = 1e6, .in_bytes = 1e5},
		{.known = true, .kind = PS_PREDICT_CONCAT, .in_bytes = 5e4, .out_bytes = 5e4}};
	struct ps_predict_model m = {.ops = ops, .op_count = 2};
	size_t unseen;
	(void)state;
	p.laws[PS_PREDICT_GEMM] = (struct ps_predict_kind_law){
		.toll_ns = 2000, .compute = 0.5, .memory = 1, .seen = 3};
	p.laws[PS_PREDICT_CONCAT] =
		(struct ps_predict_kind_law){.toll_ns = 100, .compute = 1, .memory = 0.25};
	near(ps_predict_physical_op(&p, &machine, &ops[0]), 202000, 1e-12);
	near(ps_predict_physical_op(&p, &machine, &ops[1]), 4100, 1e-12);
	near(ps_predict_physical_run(&p, &machine, &m, &unseen), 207100, 1e-12);
	assert_int_equal(unseen, 1);
	ops[1].known = false;
	assert_true(isnan(ps_predict_physical_run(&p, &machine, &m, NULL)));
}

enum { MODELS = 4, OPS = 60 };
static struct ps_predict_op ops[MODELS][OPS];
static struct ps_predict_model models[MODELS];

/* Operators of two kinds and all sizes, with times from these laws and some noise. */
static void make(const struct ps_predict_physical *truth, double noise)
{
	struct ps_rng rng;
	ps_rng_init(&rng, 5, 1);
	for (int i = 0; i < MODELS; i++) {
		for (int k = 0; k < OPS; k++) {
			struct ps_predict_op *op = &ops[i][k];
			bool conv = k % 2 == 0;
			*op = (struct ps_predict_op){
				.known = true,
				.kind = conv ? PS_PREDICT_GEMM : PS_PREDICT_ELEMENTWISE,
				.macs = conv ? exp(10 + 9 * ps_rng_uniform(&rng)) : 0,
				.in_bytes = exp(8 + 8 * ps_rng_uniform(&rng))};
			op->time_ns = ps_predict_physical_op(truth, &machine, op) *
				      exp(noise * ps_rng_normal(&rng));
		}
		models[i] = (struct ps_predict_model){.ops = ops[i], .op_count = OPS};
	}
}

static void test_found_again(void **state)
{
	static const double noises[] = {0, 0.1};
	struct ps_predict_physical truth = {.between_ns = 300}, found, again;
	struct ps_predict_timed timed[MODELS];
	(void)state;
	truth.laws[PS_PREDICT_GEMM] =
		(struct ps_predict_kind_law){.toll_ns = 4000, .compute = 0.6, .memory = 0.5};
	truth.laws[PS_PREDICT_ELEMENTWISE] =
		(struct ps_predict_kind_law){.toll_ns = 1500, .compute = 0.6, .memory = 0.3};
	for (int n = 0; n < 2; n++) {
		make(&truth, noises[n]);
		for (int i = 0; i < MODELS; i++) {
			double sum = 0;
			for (int k = 0; k < OPS; k++)
				sum += ops[i][k].time_ns;
			timed[i] = (struct ps_predict_timed){&models[i], sum + 300.0 * OPS};
		}
		/* the last model is not shown, and predicted */
		assert_int_equal(ps_predict_physical_fit(timed, MODELS - 1, &machine, &found, NULL),
				 PS_OK);
		assert_int_equal(ps_predict_physical_fit(timed, MODELS - 1, &machine, &again, NULL),
				 PS_OK);
		assert_memory_equal(&found, &again, sizeof found);
		near(found.between_ns, 300, 1e-9);
		near(ps_predict_physical_run(&found, &machine, &models[3], NULL), timed[3].run_ns,
		     0.01 + noises[n] / 2);
		near(found.laws[PS_PREDICT_GEMM].compute, 0.6, 0.02 + noises[n]);
		near(found.laws[PS_PREDICT_ELEMENTWISE].memory, 0.3, 0.02 + noises[n]);
		assert_int_equal(found.laws[PS_PREDICT_GEMM].seen, 90);
		assert_int_equal(found.laws[PS_PREDICT_POOL].seen, 0);
	}
}

/* Three small operators of one kind say what its toll is. How fast it reads stays near what holds
 * for all kinds, so that large ones are not predicted from nothing. */
static void test_few(void **state)
{
	static const struct ps_predict_kind_law same = {
		.toll_ns = 2000, .compute = 0.6, .memory = 0.45};
	struct ps_predict_physical truth = {.between_ns = 0}, found;
	struct ps_predict_op concats[3];
	struct ps_predict_model few = {.ops = concats, .op_count = 3};
	struct ps_predict_timed timed[2] = {{&models[0], NAN}, {&few, NAN}};
	(void)state;
	truth.laws[PS_PREDICT_GEMM] = truth.laws[PS_PREDICT_ELEMENTWISE] = same;
	make(&truth, 0);
	for (int k = 0; k < 3; k++)
		concats[k] = (struct ps_predict_op){
			.known = true, .kind = PS_PREDICT_CONCAT, .in_bytes = 100, .time_ns = 5000};
	assert_int_equal(ps_predict_physical_fit(timed, 2, &machine, &found, NULL), PS_OK);
	near(ps_predict_physical_op(&found, &machine, &concats[0]), 5000, 0.1);
	assert_int_equal(found.laws[PS_PREDICT_CONCAT].seen, 3);
	assert_true(fabs(log(found.laws[PS_PREDICT_CONCAT].memory / found.all.memory)) < 0.1);
}

/* One short model of many operators says more about what is between them than two long ones. */
static void test_between(void **state)
{
	struct ps_predict_op many[100], one;
	struct ps_predict_model small = {.ops = many, .op_count = 100};
	struct ps_predict_model large = {.ops = &one, .op_count = 1};
	struct ps_predict_timed timed[] = {{&large, 1.1e8}, {&small, 1e6 - 3e4}, {&large, 0.9e8}};
	struct ps_predict_physical found;
	(void)state;
	one = (struct ps_predict_op){
		.known = true, .kind = PS_PREDICT_GEMM, .macs = 1e8, .time_ns = 1e8};
	for (int k = 0; k < 100; k++)
		many[k] = (struct ps_predict_op){
			.known = true, .kind = PS_PREDICT_GEMM, .macs = 1e4, .time_ns = 1e4};
	assert_int_equal(ps_predict_physical_fit(timed, 3, &machine, &found, NULL), PS_OK);
	near(found.between_ns, -300, 1e-9);
}

/* Operators without a time, or without known work, teach nothing; none at all is said. */
static void test_nothing(void **state)
{
	struct ps_predict_physical found;
	struct ps_predict_op op = {
		.known = true, .kind = PS_PREDICT_GEMM, .macs = 1, .time_ns = NAN};
	struct ps_predict_model m = {.ops = &op, .op_count = 1};
	struct ps_predict_timed timed = {&m, NAN};
	struct ps_predict_machine none = {0};
	(void)state;
	assert_int_equal(ps_predict_physical_fit(&timed, 1, &machine, &found, NULL), PS_EUNAVAIL);
	assert_int_equal(ps_predict_physical_fit(&timed, 0, &machine, &found, NULL), PS_EUNAVAIL);
	op.time_ns = 5;
	op.known = false;
	assert_int_equal(ps_predict_physical_fit(&timed, 1, &machine, &found, NULL), PS_EUNAVAIL);
	op.known = true;
	assert_int_equal(ps_predict_physical_fit(&timed, 1, &none, &found, NULL), PS_EINVAL);
	assert_int_equal(ps_predict_physical_fit(&timed, 1, &machine, &found, NULL), PS_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bandwidth),   cmocka_unit_test(test_machines),
		cmocka_unit_test(test_padding),	    cmocka_unit_test(test_one_operator),
		cmocka_unit_test(test_found_again), cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_few),	    cmocka_unit_test(test_between),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
