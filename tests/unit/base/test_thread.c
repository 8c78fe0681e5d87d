/* What a thread asks of the scheduler, as the kernel says it back. */
#include "base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

/* What setpriority is allowed to do, seen in a process that does not matter. */
static bool may_become(int nice)
{
	int status = -1;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(setpriority(PRIO_PROCESS, 0, nice) == 0 ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* In a process of its own, which begins at `nice`; 0, or the line where it went wrong. */
static int urgent_from(int nice, int want)
{
	if (setpriority(PRIO_PROCESS, 0, nice) != 0)
		return __LINE__;
	bool may = nice > 0 || may_become(want);
	uint64_t usual_ns = now().runtime_ns;
	if (ps_thread_urgent() != may)
		return __LINE__;
	if (now().nice != (may ? want : nice))
		return __LINE__;
	if (usual_ns > 0 && now().runtime_ns != 100000)
		return __LINE__;
	ps_thread_step_back(0);
	if (now().nice < 0 || now().runtime_ns != usual_ns)
		return __LINE__;
	return 0;
}

static void test_urgent(void **state)
{
	(void)state;
	static const struct {
		int nice, want;
	} rows[] = {{0, -20}, {-5, -20}, {-20, -20}, {1, 1}, {7, 7}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int status = -1;
		if (!may_become(rows[i].nice)) {
			print_message("may not begin at %d\n", rows[i].nice);
			continue;
		}
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0)
			_exit(urgent_from(rows[i].nice, rows[i].want));
		assert_int_equal(waitpid(child, &status, 0), child);
		if (status != 0)
			fail_msg("from %d: line %d", rows[i].nice, WEXITSTATUS(status));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urgent), /* before the other becomes nice */
		cmocka_unit_test(test_prompt_and_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
