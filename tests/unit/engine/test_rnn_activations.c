/* Each activation of each instruction set within 2 units in the last place of its true value (2.5
 * where products and sums are not fused), over
 * floats of all sizes (every 997th of all bit patterns; PERSEUS_TEST_LONG: every one). */
#include "engine/rnn/kernel_internal.h"
#include "support/rnn_oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

/* The distance between two floats next to `x`, in which errors are counted. */
static double unit(double x)
{
	const double least = 0x1p-149;
	int exponent;

	frexp(x, &exponent);
	return fmax(ldexp(1, exponent - 24), least);
}

static double error_of(const struct ps_rnn_function *f, float x, float is)
{
	double want = oracle_function(f, (double)x);

	if (isnan(want) || isinf((float)want))
		return (isnan(want) && isnan(is)) || (float)want == is ? 0 : INFINITY;
	return isnan(is) ? INFINITY : fabs((double)is - want) / unit(want);
}

static void check(const struct ps_rnn_kernel *k, const char *name, double limit)
{
	const uint64_t step = getenv("PERSEUS_TEST_LONG") ? 1 : 997;
	struct ps_rnn_function f;
	double worst = 0;
	float worst_at = 0;

	assert_int_equal(ps_rnn_function_named(name, &f, NULL), PS_OK);
	for (uint64_t bits = 0; bits < (uint64_t)1 << 32; bits += step * PS_RNN_BLOCK) {
		float x[PS_RNN_BLOCK], y[PS_RNN_BLOCK];
		for (uint64_t i = 0; i < PS_RNN_BLOCK; i++) {
			uint32_t b = (uint32_t)(bits + i * step);
			memcpy(&x[i], &b, sizeof b);
		}
		memcpy(y, x, sizeof y);
		k->apply(&f, y, PS_RNN_BLOCK);
		for (int i = 0; i < PS_RNN_BLOCK; i++) {
			double error = error_of(&f, x[i], y[i]);
			if (error > worst) {
				worst = error;
				worst_at = x[i];
			}
		}
	}
	if (worst > limit)
		fail_msg("%s of %.9g (%s) is %g units off", name, (double)worst_at, k->name, worst);
}

static void check_all(const struct ps_rnn_kernel *k)
{
	static const char *const names[] = {
		"Relu",	      "Tanh", "Sigmoid",  "LeakyRelu", "ThresholdedRelu",
		"ScaledTanh", "Elu",  "Softsign", "Softplus"};

	if (!ps_rnn_kernel_usable(k)) {
		print_message("this processor has no %s: not tested\n", k->name);
		return;
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		check(k, names[i], k == &ps_rnn_kernel_plain ? 2.5 : 2);
}

static void test_each(void **unused)
{
	(void)unused;
	for (size_t i = 0; ps_rnn_kernels[i]; i++)
		check_all(ps_rnn_kernels[i]);
#if defined __x86_64__
	if (ps_rnn_kernel_usable(&ps_rnn_kernel_avx2)) /* a fused product and sum: one rounding */
		check(&ps_rnn_kernel_avx2, "HardSigmoid", 2);
#endif
}

/* ONNX's names in any case, its constants, and which of them are read. */
static void test_names(void **unused)
{
	(void)unused;
	static const struct {
		const char *name;
		enum ps_rnn_activation kind;
		float alpha, beta;
		bool uses_alpha, uses_beta;
	} rows[] = {
		{"Tanh", PS_RNN_TANH, 0, 0, false, false},
		{"sigmoid", PS_RNN_SIGMOID, 0, 0, false, false},
		{"HARDSIGMOID", PS_RNN_HARD_SIGMOID, 0.2F, 0.5F, true, true},
		{"LeakyRelu", PS_RNN_LEAKY_RELU, 0.01F, 0, true, false},
		{"Affine", PS_RNN_AFFINE, 1, 0, true, true},
		{"Elu", PS_RNN_ELU, 1, 0, true, false},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ps_rnn_function f;
		assert_int_equal(ps_rnn_function_named(rows[i].name, &f, NULL), PS_OK);
		assert_int_equal(f.kind, rows[i].kind);
		assert_true(f.alpha == rows[i].alpha && f.beta == rows[i].beta);
		assert_int_equal(ps_rnn_uses_alpha(f.kind), rows[i].uses_alpha);
		assert_int_equal(ps_rnn_uses_beta(f.kind), rows[i].uses_beta);
	}
	struct ps_rnn_function f;
	assert_int_equal(ps_rnn_function_named("Swish", &f, NULL), PS_ENOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
