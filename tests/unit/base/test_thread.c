/* What a thread asks of the scheduler, as the kernel says it back. */
#include "base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

static struct attributes now(void)
{
	struct attributes a = {0};
	assert_int_equal(syscall(SYS_sched_getattr, 0, &a, sizeof a, 0), 0);
	return a;
}

/* A kernel that knows slices says which one holds; an older one says none. */
static void test_prompt_and_back(void **state)
{
	(void)state;
	struct attributes before = now(), prompt, back;
	ps_thread_prompt();
	prompt = now();
	assert_int_equal(prompt.policy, before.policy);
	assert_int_equal(prompt.nice, before.nice);
	if (before.runtime_ns == 0)
		print_message("this kernel has no slices to ask for\n");
	else
		assert_int_equal(prompt.runtime_ns, 100000);
	ps_thread_prompt_end();
	assert_int_equal(now().runtime_ns, before.runtime_ns);
	assert_int_equal(now().nice, before.nice);
	ps_thread_prompt();
	ps_thread_step_back(before.nice + 3);
	back = now();
	assert_int_equal(back.runtime_ns, before.runtime_ns);
	assert_int_equal(back.nice, before.nice + 3);
	ps_thread_step_back(before.nice); /* does not take back what was given up */
	assert_int_equal(now().nice, before.nice + 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_prompt_and_back)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
