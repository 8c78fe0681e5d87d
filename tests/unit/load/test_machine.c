/* Counters of the kernel, from folders that look like /proc and /sys. */
#include "base/clock.h"
#include "base/file.h"
#include "load/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct tree {
	const char *stat, *cgroup, *cgroup_file, *cpu_stat, *khz[2], *hot;
};

static void put(const char *root, const char *path, const char *text)
{
	char full[512], *slash;

	if (!text) {
		return;
	}
	snprintf(full, sizeof(full), "%s%s", root, path);
	slash = strrchr(full, '/');
	*slash = '\0';
	assert_int_equal(ps_file_mkdirs(full, NULL), PS_OK);
	*slash = '/';
	assert_int_equal(ps_file_write(full, text, strlen(text), NULL), PS_OK);
}

static void build(const struct tree *t, char *root)
{
	strcpy(root, "/tmp/test_machine.XXXXXX");
	assert_non_null(mkdtemp(root));
	put(root, "/proc/stat", t->stat);
	put(root, "/proc/self/cgroup", t->cgroup);
	put(root, t->cgroup_file, t->cpu_stat);
	put(root, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", t->khz[0]);
	put(root, "/sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", t->khz[1]);
	put(root, "/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", t->hot);
}

static void drop(const char *root)
{
	char command[300];

	snprintf(command, sizeof(command), "rm -r %s", root);
	assert_int_equal(system(command), 0);
}

#define STAT "cpu  10 0 10 1000 0 0 0 250 0 0\ncpu0 5 0 5 500 0 0 0 125\ncpu1 5 0 5 500 0 0 0 125\n"

static void each_counter_is_read_or_unknown(void **state)
{
	static const struct {
		struct tree tree;
		int cpus;
		int64_t steal_ticks;
		int quotas;
		struct ps_load_quota quota;
		int64_t hot;
		double mhz;
	} rows[] = {
		{{STAT,
		  "0::/a/b\n",
		  "/sys/fs/cgroup/a/b/cpu.stat",
		  "usage_usec 5\nnr_throttled 2\nthrottled_usec 1500\n",
		  {"2000000\n", "3000000\n"},
		  "7\n"},
		 2,
		 250,
		 1,
		 {1500000, 5000},
		 7,
		 2500},
		/* The quota is of a group above ours. */
		{{STAT,
		  "0::/a/b\n",
		  "/sys/fs/cgroup/a/cpu.stat",
		  "throttled_usec 3\n",
		  {"2000000\n", NULL},
		  NULL},
		 2,
		 250,
		 1,
		 {3000, -1},
		 -1,
		 2000},
		/* Version 1; cpuacct and cpuset are other controllers. */
		{{STAT,
		  "3:cpuset:/x\n2:cpuacct:/x\n1:cpu,cpuacct:/g\n0::/\n",
		  "/sys/fs/cgroup/cpu,cpuacct/g/cpu.stat",
		  "nr_periods 1\nnr_throttled 1\nthrottled_time 77\n",
		  {NULL, NULL},
		  NULL},
		 2,
		 250,
		 1,
		 {77, -1},
		 -1,
		 -1},
		{{STAT,
		  "1:cpu:/\n",
		  "/sys/fs/cgroup/cpu/cpu.stat",
		  "throttled_time 9\n",
		  {NULL, NULL},
		  NULL},
		 2,
		 250,
		 1,
		 {9, -1},
		 -1,
		 -1},
		/* Nothing there, or not what it should be. */
		{{"cpu  1 2 3\n",
		  "garbage\n::\n",
		  "/sys/fs/cgroup/cpu.stat",
		  "usage_usec 5\n",
		  {"x\n", NULL},
		  NULL},
		 0,
		 -1,
		 0,
		 {0, 0},
		 -1,
		 -1},
		{{NULL, NULL, "/none", NULL, {NULL, NULL}, NULL}, 0, -1, 0, {0, 0}, -1, -1},
	};
	int64_t tick_ns = PS_NS_PER_SEC / sysconf(_SC_CLK_TCK);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_machine_reading r;
		char root[64];

		build(&rows[i].tree, root);
		ps_load_machine_read(root, &r);
		drop(root);
		assert_int_equal(r.cpus, rows[i].cpus);
		assert_int_equal(r.steal_ns,
				 rows[i].steal_ticks < 0 ? -1 : rows[i].steal_ticks * tick_ns);
		assert_int_equal(r.quota_len, rows[i].quotas);
		assert_memory_equal(&r.quotas[0], &rows[i].quota, sizeof(rows[i].quota));
		assert_int_equal(r.hot, rows[i].hot);
		assert_true(r.mhz == rows[i].mhz);
	}
}

/* Version 1 with both controllers mounted apart, as some machines have them. */
static void what_ran_is_found_beside(void **state)
{
	static const struct tree tree = {STAT,
					 "2:cpuacct:/g\n1:cpu:/g\n0::/\n",
					 "/sys/fs/cgroup/cpu/g/cpu.stat",
					 "throttled_time 77\n",
					 {NULL, NULL},
					 NULL};
	struct ps_load_machine_reading r;
	char root[64];

	(void)state;
	build(&tree, root);
	put(root, "/sys/fs/cgroup/cpuacct/g/cpuacct.usage", "1234\n");
	ps_load_machine_read(root, &r);
	drop(root);
	assert_int_equal(r.quota_len, 1);
	assert_int_equal(r.quotas[0].stopped_ns, 77);
	assert_int_equal(r.quotas[0].ran_ns, 1234);
}

/* A group of the one that the other does not have: the quota says what ran at most. */
static void what_ran_follows_from_the_quota(void **state)
{
	static const struct {
		const char *stat, *quota;
		int64_t ran_ns;
	} rows[] = {
		{"nr_periods 50\nnr_throttled 40\nthrottled_time 77\n", "10000\n", 500000000},
		{"nr_periods 50\nnr_throttled 40\nthrottled_time 77\n", "-1\n", -1},
		{"throttled_time 77\n", "10000\n", -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct tree tree = {STAT,
					  "2:cpuacct:/\n1:cpu:/g\n0::/\n",
					  "/sys/fs/cgroup/cpu/g/cpu.stat",
					  rows[i].stat,
					  {NULL, NULL},
					  NULL};
		struct ps_load_machine_reading r;
		char root[64];

		build(&tree, root);
		put(root, "/sys/fs/cgroup/cpu/g/cpu.cfs_quota_us", rows[i].quota);
		ps_load_machine_read(root, &r);
		drop(root);
		assert_int_equal(r.quota_len, 1);
		assert_int_equal(r.quotas[0].stopped_ns, 77);
		assert_int_equal(r.quotas[0].ran_ns, rows[i].ran_ns);
	}
}

static void readings_add_up(void **state)
{
	static const struct ps_load_machine_reading rows[] = {
		{0, 4, 100, 3, 2000, {{1000, 500}}, 1},
		{500, 4, 150, 3, 1500, {{1000, 500}}, 1},
		{1000, 4, 300, 5, 1800, {{1200, 1300}}, 1},
	};
	struct ps_load_machine m = {0};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		ps_load_machine_add(&m, &rows[i]);
	}
	assert_int_equal(m.readings, 3);
	assert_true(m.steal_ratio == 200.0 / 4000);
	assert_true(m.throttled_ratio == 200.0 / (200 + 800));
	assert_int_equal(m.hot, 2);
	assert_true(m.mhz_min == 1500 && m.mhz_max == 2000);
	assert_true(m.first.mhz == 2000 && m.last.mhz == 1800);
}

/* The kernel sums stopped time over the CPUs: four that were stopped for half of a second were not
 * stopped for two. */
static void a_quota_withholds_a_share_of_cpu_time(void **state)
{
	static const struct {
		struct ps_load_quota from[2], to[2];
		int len, to_len;
		double want;
	} rows[] = {
		{{{0, 0}}, {{2000, 2000}}, 1, 1, 0.5},
		{{{0, 0}}, {{0, 4000}}, 1, 1, 0},
		/* stopped long ago, and not in the run; the group above is the other way round */
		{{{90000, 1000}, {0, 1000}}, {{90000, 2000}, {1000, 2000}}, 2, 2, 0.5},
		{{{0, 100}}, {{10, 190}}, 1, 1, 0.1},
		{{{0, -1}}, {{0, -1}}, 1, 1, 0},	  /* nothing was withheld of whatever */
		{{{0, -1}}, {{10, -1}}, 1, 1, -1},	  /* of what, is not known */
		{{{0, 0}}, {{10, 10}, {5, 5}}, 1, 2, -1}, /* moved to another group */
		{{{10, 0}}, {{5, 10}}, 1, 1, -1},
		/* the root's none must not hide that ours was stopped for nobody knows what share
		 */
		{{{0, -1}, {0, 0}}, {{10, -1}, {0, 9}}, 2, 2, -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_machine_reading a = {.quota_len = rows[i].len}, b = {.at_ns = 1000};
		struct ps_load_machine m = {0};

		b.quota_len = rows[i].to_len;
		memcpy(a.quotas, rows[i].from, sizeof(rows[i].from));
		memcpy(b.quotas, rows[i].to, sizeof(rows[i].to));
		ps_load_machine_add(&m, &a);
		ps_load_machine_add(&m, &b);
		if (m.throttled_ratio != rows[i].want) {
			fail_msg("row %zu: %g", i, m.throttled_ratio);
		}
	}
}

static void what_is_unknown_stays_unknown(void **state)
{
	static const struct ps_load_machine_reading rows[] = {{0, 4, -1, -1, -1, {{0}}, 0},
							      {500, 4, -1, -1, -1, {{0}}, 0}};
	struct ps_load_machine m = {0};

	(void)state;
	ps_load_machine_add(&m, &rows[0]);
	ps_load_machine_add(&m, &rows[1]);
	assert_true(m.steal_ratio == -1 && m.throttled_ratio == -1);
	assert_true(m.mhz_min == -1 && m.mhz_max == -1);
	assert_int_equal(m.hot, -1);
}

static void a_watch_reads_at_both_ends(void **state)
{
	struct ps_load_machine m;
	struct ps_load_watch *w = ps_load_watch_start();

	(void)state;
	assert_non_null(w);
	ps_load_watch_stop(w, &m);
	assert_int_equal(m.readings, 2);
	assert_true(m.last.at_ns >= m.first.at_ns && m.last.cpus > 0);
	ps_load_watch_stop(NULL, &m);
	assert_int_equal(m.readings, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_counter_is_read_or_unknown),
		cmocka_unit_test(what_ran_is_found_beside),
		cmocka_unit_test(what_ran_follows_from_the_quota),
		cmocka_unit_test(readings_add_up),
		cmocka_unit_test(a_quota_withholds_a_share_of_cpu_time),
		cmocka_unit_test(what_is_unknown_stays_unknown),
		cmocka_unit_test(a_watch_reads_at_both_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
