/* Probes of the machine: they hold together, whatever the machine is doing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "host/probe.h"
#include "host/probe_internal.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static const struct ps_host_kernels *const all[] = {&ps_host_kernels_avx512, &ps_host_kernels_avx2,
						    &ps_host_kernels_plain};

/* The loops compute what they say, with every kind of vector that this CPU has. */
static void test_kernels(void **state)
{
	enum { M = 7, N = 64 };
	static float a[M * N], b[N * N], c[M * N], x[1024];
	(void)state;
	for (int i = 0; i < M * N; i++)
		a[i] = (float)(i % 5) - 2;
	for (int i = 0; i < N * N; i++)
		b[i] = (float)(i % 7) - 3;
	for (int i = 0; i < 1024; i++)
		x[i] = (float)(i % 3);
	for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
		int64_t macs = 0;
		if (!all[k]->there())
			continue;
		memset(c, 0, sizeof c);
		(void)all[k]->product(a, b, c, M, N);
		for (int i = 0; i < M; i++)
			for (int j = 0; j < N; j++) {
				float want = 0;
				for (int n = 0; n < N; n++)
					want += a[i * N + n] * b[n * N + j];
				if (c[i * N + j] != want)
					fail_msg("%s: c[%d][%d]", all[k]->vectors, i, j);
			}
		assert_true(all[k]->read(x, 1024) == 1023);
		/* v' = v / 2 + 1 tends to 2, in 10 chains of as many lanes */
		int lanes = all[k]->vector_bytes / 4;
		assert_true(fabsf(all[k]->macs(100, &macs) - 20.0f * (float)lanes) < 1e-3f);
		assert_int_equal(macs, 1000 * lanes);
	}
}

static void test_all(void **state)
{
	struct ps_host_probes p;
	struct ps_error err;
	int seen[3] = {0};
	(void)state;
	if (ps_host_probe_machine(NULL, 1, &p, &err) != PS_OK)
		fail_msg("%s", err.what);
	assert_int_equal(p.threads, 1);
	assert_string_equal(p.cpus, "");
	assert_true(p.took_ns > 0);
	for (int i = 0; i < p.len; i++) {
		const struct ps_host_probe *x = &p.probes[i];
		assert_true(x->low > 0 && x->low <= x->median && x->median <= x->per_s);
		assert_true(isfinite(x->per_s));
		seen[x->kind]++;
	}
	assert_true(seen[PS_HOST_PROBE_MACS] == 1 && seen[PS_HOST_PROBE_PRODUCT] == 3);
	assert_true(seen[PS_HOST_PROBE_BANDWIDTH] == 4);
	assert_string_equal(ps_host_probe_name(PS_HOST_PROBE_BANDWIDTH), "bandwidth");
}

/* Bound threads, one per CPU that we may use. */
static void test_bound(void **state)
{
	struct ps_cpus cpus = {{0}};
	struct ps_host_probes p;
	struct ps_error err;
	cpu_set_t set;
	int n = 0;
	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
	for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET(i, &set)) {
			ps_cpus_add(&cpus, i);
			n++;
		}
	if (ps_host_probe_machine(&cpus, n, &p, &err) != PS_OK)
		fail_msg("%s", err.what);
	assert_int_equal(p.threads, n);
	assert_true(strlen(p.cpus) > 0);
	assert_int_equal(ps_host_probe_machine(&cpus, n + 1, &p, &err), PS_EINVAL);
	assert_int_equal(ps_host_probe_machine(NULL, 0, &p, &err), PS_EINVAL);
	memset(&cpus, 0, sizeof cpus);
	ps_cpus_add(&cpus, PS_CPUS_MAX - 1);
	assert_int_equal(ps_host_probe_machine(&cpus, 1, &p, &err), PS_EINVAL);
	assert_non_null(strstr(err.what, "not ours"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernels),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
