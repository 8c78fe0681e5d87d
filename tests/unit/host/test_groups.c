/* Control groups of both versions in a folder that stands for /sys/fs/cgroup: files come and go
 * with the groups, and what is written into them is what the kernel would be told. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static int fake_mkdir(const char *path, mode_t mode);
static int fake_rmdir(const char *path);
static ssize_t fake_write(int fd, const void *text, size_t len);
#define mkdir fake_mkdir
#define rmdir fake_rmdir
#define write fake_write
#include "host/cgroup.c"
#undef mkdir
#undef rmdir
#undef write

static const char *const files[] = {"memory.max",
				    "memory.limit_in_bytes",
				    "cpuset.cpus",
				    "cpuset.mems",
				    "cpu.max",
				    "cpu.cfs_period_us",
				    "cpu.cfs_quota_us",
				    "cgroup.procs",
				    "cgroup.controllers",
				    "cgroup.subtree_control",
				    "cpuset.effective_mems"};

static char root[] = "/tmp/test_groups_XXXXXX";
static const char *busy; /* a group with processes in it; NULL: none has */

static void put_file(const char *folder, const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int fake_mkdir(const char *path, mode_t mode)
{
	int e = mkdir(path, mode);

	for (size_t i = 0; e == 0 && i < sizeof(files) / sizeof(files[0]); i++) {
		put_file(path, files[i], "");
	}
	return e;
}

static int fake_rmdir(const char *path)
{
	char file[PATH_MAX + 32];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(file, sizeof(file), "%s/%s", path, files[i]);
		(void)unlink(file);
	}
	return rmdir(path);
}

/* Version 2 lets only groups without processes have controllers in those below. */
static ssize_t fake_write(int fd, const void *text, size_t len)
{
	char link[64], path[PATH_MAX] = "", control[PATH_MAX + 32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	assert_true(n > 0);
	if (busy) {
		snprintf(control, sizeof(control), "%s%s/cgroup.subtree_control", root, busy);
		if (strcmp(path, control) == 0) {
			errno = EBUSY;
			return -1;
		}
	}
	return ftruncate(fd, 0) == 0 ? write(fd, text, len) : -1; /* each write is a whole value */
}

static void expect(const char *folder, const char *name, const char *want)
{
	char path[PATH_MAX], *text;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	text = slurp(path);
	assert_non_null(text);
	if (strcmp(text, want) != 0) {
		fail_msg("%s/%s holds '%s', not '%s'", folder, name, text, want);
	}
	free(text);
}

/* A group at `path` of the fake tree that lists `controllers`. */
static void group(const char *path, const char *controllers)
{
	char folder[PATH_MAX];

	snprintf(folder, sizeof(folder), "%s%s", root, path);
	if (*path) {
		assert_int_equal(fake_mkdir(folder, 0755), 0);
	}
	put_file(folder, "cgroup.controllers", controllers);
	put_file(folder, "cgroup.subtree_control", "");
}

static void drop(const char *path)
{
	char folder[PATH_MAX];

	snprintf(folder, sizeof(folder), "%s%s", root, path);
	assert_int_equal(fake_rmdir(folder), 0);
}

static struct ps_host_slice whole_slice(void)
{
	struct ps_host_slice s = {.memory_bytes = 512 << 20, .cpu_quota = 1.5};

	ps_cpus_add(&s.cpus, 0);
	ps_cpus_add(&s.cpus, 2);
	return s;
}

static void make(const char *cgroups, const char *mounts, struct ps_host_group *g)
{
	struct ps_host_slice slice = whole_slice();
	char text[PATH_MAX + 128];

	snprintf(text, sizeof(text), mounts, root, root, root);
	make_all(&slice, cgroups, text, g);
}

#define UNIFIED "25 1 0:22 / %s rw - cgroup2 cgroup2 rw\n"

static void version_2_has_one_group_for_all(void **state)
{
	struct ps_host_group g[PS_HOST_CONTROLLERS];
	char path[PATH_MAX], control[PATH_MAX];

	(void)state;
	group("/own", "cpuset cpu io memory pids\n");
	make("0::/own\n", UNIFIED, g);
	snprintf(control, sizeof(control), "%s/own", root);
	for (int c = 0; c < PS_HOST_CONTROLLERS; c++) {
		if (!g[c].applied) {
			fail_msg("controller %d: %s", c, g[c].reason);
		}
		assert_int_equal(g[c].version, 2);
		assert_string_equal(g[c].path, g[0].path);
		assert_int_equal(g[c].shared, c > 0);
	}
	assert_int_equal(strncmp(g[0].path, control, strlen(control)), 0);
	expect(g[0].path, "memory.max", "536870912");
	expect(g[0].path, "cpuset.cpus", "0,2");
	expect(g[0].path, "cpu.max", "150000 100000");
	expect(control, "cgroup.subtree_control", "+cpu"); /* the last one written */
	memcpy(path, g[0].path, sizeof(path));
	ps_host_groups_remove(g);
	assert_int_not_equal(access(path, F_OK), 0);
	drop("/own");
}

/* The usual place of a shell: a group with processes, below one without. */
static void beside_a_group_with_processes(void **state)
{
	struct ps_host_group g[PS_HOST_CONTROLLERS];
	char above[PATH_MAX];

	(void)state;
	group("/user", "cpuset cpu memory\n");
	group("/user/session", "cpuset cpu memory\n");
	busy = "/user/session";
	make("0::/user/session\n", UNIFIED, g);
	snprintf(above, sizeof(above), "%s/user/perseus-", root);
	for (int c = 0; c < PS_HOST_CONTROLLERS; c++) {
		assert_true(g[c].applied);
		assert_int_equal(strncmp(g[c].path, above, strlen(above)), 0);
		assert_string_equal(g[c].path, g[0].path);
	}
	expect(g[0].path, "cpu.max", "150000 100000");
	ps_host_groups_remove(g);
	busy = NULL;
	drop("/user/session");
	drop("/user");
}

/* In a container: what is above is not to be seen, or has processes as well. */
static void nowhere_to_go(void **state)
{
	static const char *const above[] = {"", "cpuset cpu memory\n"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct ps_host_group g[PS_HOST_CONTROLLERS];

		group("", above[i]);
		group("/own", "cpuset cpu memory\n");
		busy = "/own";
		if (i == 1) { /* we may not write there */
			char path[PATH_MAX];

			snprintf(path, sizeof(path), "%s/cgroup.subtree_control", root);
			assert_int_equal(unlink(path), 0);
		}
		make("0::/own\n", UNIFIED, g);
		for (int c = 0; c < PS_HOST_CONTROLLERS; c++) {
			assert_false(g[c].applied);
			assert_non_null(strstr(g[c].reason, "cannot enable the controller"));
		}
		ps_host_groups_remove(g);
		busy = NULL;
		drop("/own");
	}
}

#define LEGACY                                                                                     \
	"30 1 0:26 / %s/cpuset rw - cgroup cgroup rw,cpuset\n"                                     \
	"31 1 0:27 / %s/memory rw - cgroup cgroup rw,memory\n"                                     \
	"32 1 0:28 / %s/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"

static void version_1_has_a_group_each(void **state)
{
	struct ps_host_group g[PS_HOST_CONTROLLERS];
	char folder[PATH_MAX];

	(void)state;
	group("/cpuset", "");
	group("/memory", "");
	group("/cpu", "");
	snprintf(folder, sizeof(folder), "%s/cpuset", root);
	put_file(folder, "cpuset.effective_mems", "0-1\n");
	make("4:memory:/\n3:cpuset:/\n2:cpu,cpuacct:/\n", LEGACY, g);
	for (int c = 0; c < PS_HOST_CONTROLLERS; c++) {
		assert_true(g[c].applied);
		assert_int_equal(g[c].version, 1);
		assert_false(g[c].shared);
	}
	expect(g[PS_HOST_MEMORY].path, "memory.limit_in_bytes", "536870912");
	expect(g[PS_HOST_CPUSET].path, "cpuset.cpus", "0,2");
	expect(g[PS_HOST_CPUSET].path, "cpuset.mems", "0-1\n"); /* before anybody enters */
	expect(g[PS_HOST_QUOTA].path, "cpu.cfs_period_us", "100000");
	expect(g[PS_HOST_QUOTA].path, "cpu.cfs_quota_us", "150000");
	ps_host_groups_remove(g);
	drop("/cpuset");
	drop("/memory");
	drop("/cpu");
}

/* Each controller by itself: version 2 where our own group lists it, else version 1, else none. */
static void each_controller_where_it_is(void **state)
{
	static const char mounts[] = "25 1 0:22 / %s/unified rw - cgroup2 cgroup2 rw\n"
				     "31 1 0:27 / %s/memory rw - cgroup cgroup rw,memory\n"
				     "# %s\n";
	struct ps_host_group g[PS_HOST_CONTROLLERS];

	(void)state;
	group("/unified", "cpu hugetlb\n");
	group("/memory", "");
	make("4:memory:/\n0::/\n", mounts, g);
	assert_true(g[PS_HOST_MEMORY].applied && g[PS_HOST_MEMORY].version == 1);
	assert_true(g[PS_HOST_QUOTA].applied && g[PS_HOST_QUOTA].version == 2);
	assert_false(g[PS_HOST_CPUSET].applied);
	assert_string_equal(g[PS_HOST_CPUSET].reason, "this system offers us no cpuset controller");
	ps_host_groups_remove(g);
	drop("/unified");
	drop("/memory");
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return fake_rmdir(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_2_has_one_group_for_all),
		cmocka_unit_test(beside_a_group_with_processes),
		cmocka_unit_test(nowhere_to_go),
		cmocka_unit_test(version_1_has_a_group_each),
		cmocka_unit_test(each_controller_where_it_is),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
