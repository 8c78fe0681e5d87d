/* The processor's counters, from a kernel that is made up: virtual machines have none. */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

static long fake_syscall(long number, ...);
static ssize_t fake_read(int fd, void *buf, size_t size);
#define syscall fake_syscall
#define read	fake_read
#include "host/counters.c"
#undef syscall
#undef read

enum { MOST_FDS = 1024 };

static struct {
	int refuse; /* the errno for the event `refuse_at`; 0: none */
	uint64_t refuse_at;
	uint64_t values[3][3]; /* by event: value, time enabled, time running */
	int short_read;
	uint64_t config[MOST_FDS];
	int open;
} kernel;

/* Descriptors are real ones, of nothing, so that closing them is seen. */
static long fake_syscall(long number, ...)
{
	va_list ap;
	const struct perf_event_attr *a;
	int fd;

	assert_int_equal(number, SYS_perf_event_open);
	va_start(ap, number);
	a = va_arg(ap, const struct perf_event_attr *);
	va_end(ap);
	assert_true(a->exclude_kernel && a->exclude_hv && a->inherit);
	if (kernel.refuse && a->config == kernel.refuse_at) {
		errno = kernel.refuse;
		return -1;
	}
	fd = dup(STDERR_FILENO);
	assert_in_range(fd, 0, MOST_FDS - 1);
	kernel.config[fd] = a->config;
	kernel.open++;
	return fd;
}

static ssize_t fake_read(int fd, void *buf, size_t size)
{
	memset(buf, 0, size);
	for (int k = 0; k < 3; k++) {
		if (kernel.config[fd] == events[k]) {
			memcpy(buf, kernel.values[k], size);
		}
	}
	return kernel.short_read ? 8 : (ssize_t)size;
}

static int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d)) {
		n++;
	}
	(void)closedir(d);
	return n;
}

static void test_values(void **state)
{
	static const struct {
		uint64_t cycles[3];
		int short_read;
		int64_t want;
	} rows[] = {
		{{1000, 50, 50}, 0, 1000},
		{{1000, 50, 25}, 0, 2000}, /* it took turns: half of the time */
		{{0, 0, 0}, 0, 0},	   /* nothing ran yet */
		{{0, 50, 0}, 0, -1},	   /* it ran, and was never counted */
		{{1000, 50, 50}, 1, -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_host_absences absent = {.len = 0};
		struct ps_host_counters c;
		struct ps_host_usage u = {0};
		int before = descriptors();

		memset(&kernel, 0, sizeof(kernel));
		memcpy(kernel.values[0], rows[i].cycles, sizeof(rows[i].cycles));
		memcpy(kernel.values[1], (uint64_t[]){7, 1, 1}, sizeof(kernel.values[1]));
		memcpy(kernel.values[2], (uint64_t[]){9, 3, 3}, sizeof(kernel.values[2]));
		kernel.short_read = rows[i].short_read;
		ps_host_counters_open(&c, getpid(), &absent);
		assert_int_equal(absent.len, 0);
		assert_int_equal(kernel.open, 3 * c.len);
		ps_host_counters_read(&c, &u);
		assert_int_equal(u.cycles, rows[i].want < 0 ? -1 : rows[i].want * c.len);
		assert_int_equal(u.instructions, rows[i].short_read ? -1 : 7 * c.len);
		assert_int_equal(u.misses, rows[i].short_read ? -1 : 9 * c.len);
		ps_host_counters_close(&c);
		assert_int_equal(descriptors(), before);
	}
}

/* One thread that is not counted makes the sum one of less than was done. */
static void test_one_unknown_of_two(void **state)
{
	struct ps_host_counters c = {.len = 2};
	struct ps_host_usage u = {0};

	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	c.fds = calloc(2, sizeof(*c.fds));
	assert_non_null(c.fds);
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < 3; k++) {
			c.fds[i][k] = dup(STDERR_FILENO);
			kernel.config[c.fds[i][k]] = events[i == 1 && k == 0 ? 1 : k];
		}
	}
	memcpy(kernel.values[0], (uint64_t[]){5, 1, 1}, sizeof(kernel.values[0]));
	memcpy(kernel.values[1], (uint64_t[]){0, 1, 0}, sizeof(kernel.values[1]));
	ps_host_counters_read(&c, &u);
	assert_int_equal(u.cycles, -1); /* 5 and not known */
	assert_int_equal(u.instructions, -1);
	assert_int_equal(u.misses, 0);
	ps_host_counters_close(&c);
}

static void test_absent_with_the_reason(void **state)
{
	static const struct {
		int error;
		const char *reason;
	} rows[] = {
		{ENOENT, "this processor offers none"}, {EOPNOTSUPP, "this processor offers none"},
		{EACCES, "perf_event_paranoid"},	{EPERM, "perf_event_paranoid"},
		{ENOSYS, "the kernel has none"},	{EMFILE, "Too many open files"}};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_host_absences absent = {.len = 0};
		struct ps_host_counters c;
		struct ps_host_usage u = {0};
		int before = descriptors();

		memset(&kernel, 0, sizeof(kernel));
		kernel.refuse = rows[i / 2].error;
		kernel.refuse_at = events[i % 2 ? 2 : 0]; /* the first, or after two of three */
		ps_host_counters_open(&c, getpid(), &absent);
		assert_int_equal(absent.len, 1);
		assert_string_equal(absent.items[0].what, "counters");
		assert_non_null(strstr(absent.items[0].reason, rows[i / 2].reason));
		ps_host_counters_read(&c, &u);
		assert_true(u.cycles == -1 && u.instructions == -1 && u.misses == -1);
		assert_int_equal(descriptors(), before);
		ps_host_counters_close(&c);
	}
}

/* A thread that ends between the folder and the call is none to be counted. */
static void test_thread_that_ended(void **state)
{
	struct ps_host_absences absent = {.len = 0};
	struct ps_host_counters c;

	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.refuse = ESRCH;
	kernel.refuse_at = events[1];
	ps_host_counters_open(&c, getpid(), &absent);
	assert_int_equal(absent.len, 0);
	assert_int_equal(c.len, 0);
	ps_host_counters_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_one_unknown_of_two),
		cmocka_unit_test(test_absent_with_the_reason),
		cmocka_unit_test(test_thread_that_ended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
