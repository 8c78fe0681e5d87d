/* sim_test.h - what the tests in virtual time share. */
#ifndef PS_TESTS_SIM_TEST_H
#define PS_TESTS_SIM_TEST_H

#include "sim/sim.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
/* Sanitizers and a build without optimisation slow everything down tenfold. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
	__has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                     \
	!defined(__OPTIMIZE__)
enum { FEWER = 20 };
#else
enum { FEWER = 1 };
#endif

/* Short runs are made for what sanitizers see in them; their statistics are not judged. */
enum { JUDGED = FEWER == 1 };

static const int64_t MS = 1000000, S = 1000000000;

static inline struct ps_sim_summary sim_run(const struct ps_sim_plan *p, struct ps_sim_result *ret)
{
	struct ps_sim_summary sum;
	struct ps_error err;
	if (ps_sim_run(p, ret, &sum, &err) != PS_OK)
		fail_msg("%s", err.what);
	for (int i = 0; i < p->n_tenants; i++)
		assert_int_equal(ret[i].arrived, ret[i].served + ret[i].refused + ret[i].expired +
							 ret[i].cancelled);
	return sum;
}

#endif
