/* Processes start in their slice, say when they are ready, and never stay behind. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "host/cgroup_internal.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND PS_NS_PER_SEC

static char log_path[64];

static int setup(void **state)
{
	(void)state;
	snprintf(log_path, sizeof(log_path), "/tmp/ps-host-XXXXXX");
	int fd = mkstemp(log_path);
	assert_true(fd >= 0);
	return close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(log_path);
}

static struct ps_host_process *start(const char *script, const struct ps_host_slice *slice)
{
	const char *argv[] = {"/bin/sh", "-c", script, NULL};
	struct ps_host_start how = {.argv = argv, .slice = slice, .log_path = log_path};
	struct ps_host_process *p = NULL;
	struct ps_error err;
	if (ps_host_start(&how, &p, &err) != PS_OK) {
		fail_msg("%s", err.what);
	}
	return p;
}

static void test_ready_and_stop(void **state)
{
	(void)state;
	char *line = NULL;
	struct ps_error err;
	struct ps_host_process *p = start("trap 'exit 0' TERM; echo '{\"http\":1}' >&3; exec 3>&-; "
					  "while :; do sleep 0.01; done",
					  NULL);
	assert_int_equal(ps_host_wait_ready(p, 5 * SECOND, &line, &err), PS_OK);
	assert_string_equal(line, "{\"http\":1}");
	free(line);
	assert_int_equal(ps_host_check(p, &err), PS_OK);
	pid_t pid = ps_host_pid(p);
	assert_int_equal(ps_host_stop(p, 5 * SECOND, &err), PS_OK);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_int_equal(ps_host_stop(NULL, 0, NULL), PS_OK);
}

/* Each way to go wrong, and a word that its error must hold. */
static void test_ends(void **state)
{
	static const struct {
		const char *script, *word;
		enum ps_status ready;
	} rows[] = {
		{"echo 'port in use' >&2; exit 7", "exit code 7: port in use", PS_EUNAVAIL},
		{"kill -9 $$", "signal 9", PS_EUNAVAIL},
		{"exec 3>&-; exit 3", "exit code 3", PS_EUNAVAIL},
		{"exec sleep 60", "not ready after", PS_ETIMEOUT},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *line = NULL;
		struct ps_error err;
		struct ps_host_process *p = start(rows[i].script, NULL);
		int64_t wait = rows[i].ready == PS_ETIMEOUT ? SECOND / 20 : 5 * SECOND;
		enum ps_status st = ps_host_wait_ready(p, wait, &line, &err);
		if (st != rows[i].ready || !strstr(err.what, rows[i].word)) {
			fail_msg("row %zu: %d \"%s\" %s", i, (int)st, err.what, line ? line : "");
		}
		assert_int_equal(ps_host_stop(p, 5 * SECOND, &err), PS_EUNAVAIL);
	}
}

/* Of both versions, and the files of kernels that do not count. */
static void test_oom_kills(void **state)
{
	static const struct {
		int version;
		const char *file, *text;
		int64_t kills;
	} rows[] = {
		{2, "memory.events", "low 0\nmax 9\noom 2\noom_kill 2\noom_group_kill 1\n", 2},
		{2, "memory.events", "low 0\nmax 9\noom 2\noom_kill 0\noom_group_kill 1\n", 0},
		{1, "memory.oom_control", "oom_kill_disable 1\nunder_oom 0\noom_kill 3\n", 3},
		{1, "memory.oom_control", "oom_kill_disable 1\nunder_oom 1\n", 0},
		{1, "memory.events", "oom_kill 4\n", 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_host_group g = {.applied = true, .version = rows[i].version};
		char path[PATH_MAX + 32];
		(void)snprintf(g.path, sizeof(g.path), "/tmp/ps-oom-XXXXXX");
		assert_non_null(mkdtemp(g.path));
		(void)snprintf(path, sizeof(path), "%s/%s", g.path, rows[i].file);
		FILE *f = fopen(path, "w");
		assert_non_null(f);
		assert_true(fputs(rows[i].text, f) >= 0);
		assert_int_equal(fclose(f), 0);
		assert_int_equal(ps_host_group_oom_kills(&g), rows[i].kills);
		(void)unlink(path);
		(void)rmdir(g.path);
	}
}

/* What passes the memory of its slice is said to have been killed for that. */
static void test_killed_for_memory(void **state)
{
	const struct ps_host_slice slice = {.memory_bytes = 16 << 20};
	struct ps_error err;
	char *line = NULL;
	(void)state;
	struct ps_host_process *p = start("x=0123456789abcdef; while :; do x=$x$x; done", &slice);
	if (!ps_host_memory_limited(p)) {
		(void)ps_host_stop(p, SECOND / 20, &err);
		print_message("no control group of memory can be made here: not tested\n");
		skip();
	}
	assert_int_equal(ps_host_wait_ready(p, 30 * SECOND, &line, &err), PS_EUNAVAIL);
	if (strstr(err.what, "signal 9")) { /* else the shell gave up by itself */
		assert_non_null(strstr(err.what, "more than the 16 MiB of memory of its slice"));
	}
	(void)ps_host_stop(p, 5 * SECOND, &err);
}

static void test_kill_after_timeout(void **state)
{
	(void)state;
	char *line = NULL;
	struct ps_error err;
	struct ps_host_process *p =
		start("trap '' TERM; echo ok >&3; while :; do sleep 0.01; done", NULL);
	assert_int_equal(ps_host_wait_ready(p, 5 * SECOND, &line, &err), PS_OK);
	free(line);
	pid_t pid = ps_host_pid(p);
	assert_int_equal(ps_host_stop(p, SECOND / 20, &err), PS_EUNAVAIL);
	assert_non_null(strstr(err.what, "killed"));
	assert_int_equal(kill(pid, 0), -1);
}

static void test_cannot_start(void **state)
{
	(void)state;
	const char *argv[] = {"/nowhere/program", NULL};
	struct ps_host_slice slice = {.memory_bytes = 0};
	struct ps_host_start how = {.argv = argv};
	struct ps_host_process *p = NULL;
	struct ps_error err;
	assert_int_equal(ps_host_start(&how, &p, &err), PS_ENOTFOUND);
	assert_string_equal(err.where, "/nowhere/program");
	how.log_path = "/nowhere/log";
	assert_true(ps_host_start(&how, &p, &err) != PS_OK);
	how.log_path = NULL;
	ps_cpus_add(&slice.cpus, PS_CPUS_MAX - 1);
	how.slice = &slice;
	assert_int_equal(ps_host_start(&how, &p, &err), PS_EINVAL);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left to be waited for */
	assert_int_equal(errno, ECHILD);
}

static void test_slice_is_applied(void **state)
{
	(void)state;
	struct ps_cpus allowed = ps_host_cpus_allowed();
	struct ps_host_slice slice = {.memory_bytes = INT64_C(512) << 20};
	char *line = NULL, path[64];
	struct ps_error err;
	cpu_set_t set;
	ps_cpus_add(&slice.cpus, ps_cpus_nth(&allowed, ps_cpus_count(&allowed) - 1));
	struct ps_host_process *p = start("echo ok >&3; exec sleep 60", &slice);
	assert_int_equal(ps_host_wait_ready(p, 5 * SECOND, &line, &err), PS_OK);
	free(line);
	assert_int_equal(sched_getaffinity(ps_host_pid(p), sizeof(set), &set), 0);
	assert_int_equal(CPU_COUNT(&set), 1);
	assert_true(CPU_ISSET(ps_cpus_nth(&slice.cpus, 0), &set));

	json_t *o = ps_host_slice_json(p);
	json_t *memory = json_object_get(json_object_get(o, "cgroups"), "memory");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "cpus"), "count")),
			 1);
	assert_int_equal(json_is_true(json_object_get(memory, "applied")),
			 ps_host_memory_limited(p));
	assert_string_equal(ps_json_get_string(json_object_get(o, "memory"), "by", ""),
			    ps_host_memory_limited(p) ? "control group" : "watching");
	/* applied, and then true; or not applied, and then with a reason */
	if (json_is_true(json_object_get(memory, "applied"))) {
		char *groups = NULL;
		size_t len = 0;
		FILE *f;
		snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)ps_host_pid(p));
		f = fopen(path, "re");
		assert_true(f && getdelim(&groups, &len, '\0', f) > 0);
		assert_non_null(strstr(groups, "/perseus-"));
		(void)fclose(f);
		free(groups);
		assert_int_equal(ps_json_get_int(json_object_get(o, "memory"), "applied_bytes", -1),
				 slice.memory_bytes);
	} else {
		assert_non_null(json_string_value(json_object_get(memory, "reason")));
	}
	char group[512];
	snprintf(group, sizeof(group), "%s", ps_json_get_string(memory, "path", ""));
	json_decref(o);
	(void)ps_host_stop(p, 5 * SECOND, &err);
	assert_false(group[0] && ps_file_exists(group));
}

static long long number_in(const char *folder, const char *name)
{
	char path[600], text[64] = "";
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *f = fopen(path, "re");
	assert_true(f && fgets(text, sizeof(text), f));
	(void)fclose(f);
	return strtoll(text, NULL, 10);
}

/* A quota is applied, or the start is refused with the reason: never silently not. */
static void test_quota(void **state)
{
	(void)state;
	const char *argv[] = {"/bin/sh", "-c", "echo ok >&3; exec sleep 60", NULL};
	struct ps_host_slice slice = {.cpu_quota = 0.5};
	struct ps_host_start how = {.argv = argv, .slice = &slice, .log_path = log_path};
	struct ps_host_process *p = NULL;
	struct ps_error err;
	char *line = NULL, group[512];
	enum ps_status st = ps_host_start(&how, &p, &err);
	if (st != PS_OK) {
		assert_int_equal(st, PS_EUNSUPPORTED);
		assert_non_null(strstr(err.what, "quota cannot be applied: "));
		assert_non_null(strstr(err.hint, "whole CPUs"));
		print_message("no CPU quota here: %s\n", err.what);
	} else {
		assert_int_equal(ps_host_wait_ready(p, 5 * SECOND, &line, &err), PS_OK);
		free(line);
		json_t *o = ps_host_slice_json(p);
		json_t *quota = json_object_get(json_object_get(o, "cgroups"), "cpu_quota");
		assert_true(json_is_true(json_object_get(quota, "applied")));
		assert_true(ps_json_get_real(o, "cpu_quota", 0) == 0.5);
		snprintf(group, sizeof(group), "%s", ps_json_get_string(quota, "path", ""));
		bool v1 = ps_json_get_int(quota, "version", 0) == 1;
		assert_int_equal(number_in(group, v1 ? "cpu.cfs_quota_us" : "cpu.max"), 50000);
		assert_int_equal(number_in(group, "cgroup.procs"), ps_host_pid(p));
		json_decref(o);
		(void)ps_host_stop(p, 5 * SECOND, &err);
		assert_false(ps_file_exists(group));
	}
	static const double none[] = {-1, NAN, 1e9};
	for (size_t i = 0; i < 3; i++) {
		slice.cpu_quota = none[i];
		assert_int_equal(ps_host_start(&how, &p, &err), PS_EINVAL);
	}
}

/* The server must go when we are killed: here the one killed is a child of the test. */
static void test_dies_with_its_parent(void **state)
{
	(void)state;
	int pipe_fds[2];
	pid_t server = 0;
	assert_int_equal(pipe(pipe_fds), 0);
	pid_t middle = fork();
	if (middle == 0) {
		struct ps_host_process *p = start("exec sleep 60", NULL);
		pid_t pid = ps_host_pid(p);
		(void)!write(pipe_fds[1], &pid, sizeof(pid));
		(void)pause();
		_exit(0);
	}
	assert_int_equal(read(pipe_fds[0], &server, sizeof(server)), sizeof(server));
	assert_int_equal(kill(middle, SIGKILL), 0);
	assert_int_equal(waitpid(middle, NULL, 0), middle);
	int64_t deadline = ps_clock_now_ns() + 5 * SECOND;
	struct ps_host_usage u;
	while (ps_host_usage_read(server, &u) == PS_OK && ps_clock_now_ns() < deadline) {
		sched_yield();
	}
	assert_int_equal(ps_host_usage_read(server, &u), PS_ENOTFOUND);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
}

static void test_counters(void **state)
{
	(void)state;
	struct ps_host_usage before, after;
	struct ps_host_cpu cpu;
	assert_int_equal(ps_host_usage_read(getpid(), &before), PS_OK);
	size_t len = 32u << 20;
	char *memory = malloc(len);
	assert_non_null(memory);
	memset(memory, 1, len);
	int64_t until = ps_clock_cpu_ns() + 60 * PS_NS_PER_MS;
	while (ps_clock_cpu_ns() < until) {
	}
	assert_int_equal(ps_host_usage_read(getpid(), &after), PS_OK);
	assert_true(after.cpu_ns - before.cpu_ns >= 40 * PS_NS_PER_MS);
	assert_true(after.rss_bytes - before.rss_bytes >= (int64_t)len * 9 / 10);
	assert_true(after.peak_rss_bytes >= after.rss_bytes);
	assert_true(ps_host_pss_read(getpid()) != 0);
	free(memory);
	assert_int_equal(ps_host_cpu_read(&cpu), PS_OK);
	assert_true(cpu.busy_ns > 0 && cpu.steal_ns >= 0);
	assert_int_equal(ps_host_usage_read(-5, &after), PS_ENOTFOUND);
}

static void test_priority(void **state)
{
	(void)state;
	struct ps_host_priority before;
	int policy = sched_getscheduler(0);
	ps_host_priority_raise(&before);
	assert_true(before.how[0] != '\0');
	assert_true(before.raised == (strncmp(before.how, "none", 4) != 0));
	ps_host_priority_restore(&before);
	assert_int_equal(sched_getscheduler(0), policy);
}

static void test_machine(void **state)
{
	(void)state;
	json_t *o = ps_host_machine_json();
	assert_non_null(json_object_get(o, "processor"));
	assert_true(ps_json_get_int(o, "memory_bytes", 0) > 0);
	assert_true(ps_json_get_int(json_object_get(o, "processor"), "online", 0) >= 1);
	assert_non_null(ps_json_get_string(json_object_get(o, "kernel"), "release", NULL));
	/* recorded, or recorded as absent */
	json_t *cpu = json_object_get(o, "processor");
	json_t *frequency = json_object_get(cpu, "cpufreq");
	json_t *counters = json_object_get(cpu, "counters");
	assert_true(ps_json_get_string(frequency, "absent", NULL) ||
		    ps_json_get_string(frequency, "scaling_governor", NULL));
	assert_true(json_is_true(json_object_get(counters, "available")) ==
		    !ps_json_get_string(counters, "absent", NULL));
	assert_non_null(ps_json_get_string(json_object_get(o, "huge_pages"), "size", NULL));
	json_decref(o);
}

/* ---- where our own group lies ---- */

static bool v2_has_memory(const char *folder, const char *controller)
{
	return strstr(folder, "with") && strcmp(controller, "memory") == 0;
}

static void test_group_find(void **state)
{
	static const char v1_mounts[] =
		"30 1 0:26 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
		"31 1 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
		"32 1 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
		"33 1 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup rw\n";
	static const char docker[] =
		"31 1 0:27 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
	static const char v2[] = "25 1 0:22 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n";
	static const struct {
		const char *cgroup, *mounts, *controller;
		int version;
		const char *folder;
	} rows[] = {
		{"4:memory:/a/b\n0::/\n", v1_mounts, "memory", 1, "/sys/fs/cgroup/memory/a/b"},
		{"3:cpuset:/\n0::/x\n", v1_mounts, "cpuset", 1, "/sys/fs/cgroup/cpuset"},
		{"5:cpu,cpuacct:/x\n", v1_mounts, "cpuacct", 1, "/sys/fs/cgroup/cpu/x"},
		{"5:cpu,cpuacct:/x\n", v1_mounts, "memory", 0, NULL},
		{"4:memory:/a\n0::/with\n", v1_mounts, "memory", 2, "/sys/fs/cgroup/unified/with"},
		{"0::/user/with/session\n", v2, "memory", 2, "/sys/fs/cgroup/user/with/session"},
		{"0::/user/with/session\n", v2, "cpuset", 0, NULL},
		{"4:memory:/docker/abc/in\n", docker, "memory", 1, "/sys/fs/cgroup/memory/in"},
		{"4:memory:/docker/abc\n", docker, "memory", 1, "/sys/fs/cgroup/memory"},
		{"4:memory:/docker/abcd\n", docker, "memory", 1,
		 "/sys/fs/cgroup/memory/docker/abcd"},
		{"", "", "memory", 0, NULL},
		{"nonsense\n:\n::\n", "nonsense - \n -\n", "memory", 0, NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char folder[PATH_MAX] = "";
		assert_int_equal(ps_host_group_find(rows[i].cgroup, rows[i].mounts,
						    rows[i].controller, v2_has_memory, folder),
				 rows[i].version);
		if (rows[i].folder) {
			assert_string_equal(folder, rows[i].folder);
		}
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_ready_and_stop),
		T(test_ends),
		T(test_kill_after_timeout),
		T(test_cannot_start),
		T(test_slice_is_applied),
		T(test_dies_with_its_parent),
		T(test_counters),
		T(test_priority),
		T(test_machine),
		T(test_group_find),
		T(test_oom_kills),
		T(test_killed_for_memory),
		T(test_quota),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
