#include "base/file.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/test_file_XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[4][300];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
	return path[turn];
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL;
}

static int drop_dir(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

static void test_round_trip(void **state)
{
	struct ps_error err;
	char *data;
	size_t len;

	(void)state;
	assert_int_equal(ps_file_write(in_dir("a"), "one\0two", 7, &err), PS_OK);
	assert_int_equal(ps_file_write(in_dir("a"), "three", 5, &err), PS_OK);
	assert_int_equal(ps_file_read(in_dir("a"), 5, &data, &len, &err), PS_OK);
	assert_int_equal(len, 5);
	assert_string_equal(data, "three");
	free(data);
	assert_int_equal(ps_file_write(in_dir("empty"), "", 0, &err), PS_OK);
	assert_int_equal(ps_file_read(in_dir("empty"), 0, &data, &len, &err), PS_OK);
	assert_int_equal(len, 0);
	free(data);
}

static void test_refusals(void **state)
{
	struct ps_error err;
	char *data;
	size_t len;

	(void)state;
	assert_int_equal(ps_file_write(in_dir("b"), "123456", 6, &err), PS_OK);
	assert_int_equal(ps_file_read(in_dir("b"), 5, &data, &len, &err), PS_ETOOBIG);
	assert_string_equal(err.where, in_dir("b"));
	assert_int_equal(ps_file_read(in_dir("none"), 5, &data, &len, &err), PS_ENOTFOUND);
	assert_int_equal(ps_file_read(dir, 5, &data, &len, &err), PS_EINVAL);
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	assert_int_equal(ps_file_read(in_dir("fifo"), 5, &data, &len, &err), PS_EINVAL);
	assert_int_equal(ps_file_write(in_dir("no/such"), "x", 1, &err), PS_ENOTFOUND);
	assert_int_equal(ps_file_write(in_dir("b/c"), "x", 1, &err), PS_ENOTFOUND);
}

/* A file system that is full half-way: the old file stands, nothing is left beside it. */
static void test_write_fails_half_way(void **state)
{
	static char big[100000];
	struct rlimit old, small;
	struct ps_error err;
	char *data;
	size_t len;

	(void)state;
	assert_int_equal(ps_file_write(in_dir("keep"), "old", 3, &err), PS_OK);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = old;
	small.rlim_cur = 4096;
	setrlimit(RLIMIT_FSIZE, &small);
	enum ps_status st = ps_file_write(in_dir("keep"), big, sizeof big, &err);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(st, PS_ETOOBIG); /* EFBIG is what the limit gives */
	assert_int_equal(ps_file_read(in_dir("keep"), 10, &data, &len, &err), PS_OK);
	assert_string_equal(data, "old");
	free(data);
	char tmp[400];
	snprintf(tmp, sizeof tmp, "%s.%ld.tmp", in_dir("keep"), (long)getpid());
	assert_false(ps_file_exists(tmp));
}

static void *read_fifo(void *path)
{
	static char got[8];
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(got, 1, sizeof got - 1, f) : 0;

	got[n] = '\0';
	if (f)
		fclose(f);
	return got;
}

/* A link stays a link and a FIFO a FIFO: what they stand for gets the bytes. */
static void test_write_through(void **state)
{
	struct ps_error err;
	struct stat st;
	char *data;
	size_t len;
	pthread_t reader;
	void *got;

	(void)state;
	assert_int_equal(ps_file_write(in_dir("real"), "old", 3, &err), PS_OK);
	assert_int_equal(symlink("real", in_dir("link")), 0);
	assert_int_equal(ps_file_write(in_dir("link"), "new", 3, &err), PS_OK);
	assert_int_equal(lstat(in_dir("link"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(ps_file_read(in_dir("real"), 10, &data, &len, &err), PS_OK);
	assert_string_equal(data, "new");
	free(data);
	assert_int_equal(symlink("made", in_dir("ahead")), 0);
	assert_int_equal(ps_file_write(in_dir("ahead"), "x", 1, &err), PS_OK);
	assert_true(ps_file_exists(in_dir("made")));

	char fifo[400];
	snprintf(fifo, sizeof fifo, "%s", in_dir("pipe"));
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(pthread_create(&reader, NULL, read_fifo, fifo), 0);
	assert_int_equal(ps_file_write(fifo, "bytes", 5, &err), PS_OK);
	pthread_join(reader, &got);
	assert_string_equal(got, "bytes");
	assert_int_equal(lstat(fifo, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
}

static void test_can_write(void **state)
{
	struct ps_error err;

	(void)state;
	assert_int_equal(ps_file_can_write(in_dir("anything"), &err), PS_OK);
	assert_int_equal(ps_file_can_write("here", &err), PS_OK);
	assert_int_equal(ps_file_can_write("/dev/null", &err), PS_OK);
	assert_int_equal(ps_file_can_write(in_dir("no/such"), &err), PS_ENOTFOUND);
	assert_int_equal(ps_file_can_write("/nonexistent/x", &err), PS_ENOTFOUND);
	assert_false(ps_file_exists(in_dir("anything")));
}

static void test_mkdirs(void **state)
{
	struct ps_error err;

	(void)state;
	assert_int_equal(ps_file_mkdirs(in_dir("x/y/z"), &err), PS_OK);
	assert_int_equal(ps_file_mkdirs(in_dir("x/y/z"), &err), PS_OK);
	assert_int_equal(ps_file_mkdirs(in_dir("x//y/"), &err), PS_OK);
	assert_true(ps_file_exists(in_dir("x/y/z")));
	assert_int_equal(ps_file_write(in_dir("plain"), "x", 1, &err), PS_OK);
	assert_int_not_equal(ps_file_mkdirs(in_dir("plain"), &err), PS_OK);
	assert_int_not_equal(ps_file_mkdirs(in_dir("plain/below"), &err), PS_OK);
	assert_int_equal(ps_file_mkdirs("", &err), PS_EINVAL);
	assert_int_equal(symlink("nowhere", in_dir("dangling")), 0);
	assert_true(ps_file_exists(in_dir("dangling")));
	assert_false(ps_file_exists(in_dir("nothing")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_write_fails_half_way),
		cmocka_unit_test(test_write_through),
		cmocka_unit_test(test_can_write),
		cmocka_unit_test(test_mkdirs),
	};

	return cmocka_run_group_tests_name("base/file", tests, make_dir, drop_dir);
}
