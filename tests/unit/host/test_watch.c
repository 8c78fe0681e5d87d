/* Watching: what it reads, how seldom it reads what is dear, what it costs, and what the numbers
 * mean. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "host/cgroup_internal.h"
#include "host/watch_internal.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND PS_NS_PER_SEC
#define MS     PS_NS_PER_MS

/* ---- texts of the kernel ---- */

static void test_net(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t received, sent;
	} rows[] = {
		{"Inter-|   Receive   |  Transmit\n face |bytes packets|bytes packets\n"
		 "    lo: 100 1 0 0 0 0 0 0 100 1 0 0 0 0 0 0\n"
		 "  eth0:7000 9 0 0 0 0 0 0 30 4 0 0 0 0 0 0\n",
		 true, 7100, 130},
		{"lo: 1 2 3\n", false, 0, 0},
		{"", false, 0, 0},
		{":::::", false, 0, 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t r = -1, s = -1;
		assert_int_equal(ps_host_net_sum(rows[i].text, &r, &s), rows[i].ok);
		assert_int_equal(r, rows[i].received);
		assert_int_equal(s, rows[i].sent);
	}
}

/* More than the kernel hands out at a time, and more than is read at all. */
static void test_many_interfaces(void **state)
{
	static const struct {
		int lines;
		int64_t received;
	} rows[] = {{20, 2000}, {100, 10000}, {5000, -1}};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_host_machine_files m = {.stat_fd = -1, .throttle_fd = -1};
		struct ps_host_sample s;
		FILE *f = tmpfile();
		assert_non_null(f);
		for (int k = 0; k < rows[i].lines; k++) {
			fprintf(f, "  veth%05d: 100 1 0 0 0 0 0 0 30 1 0 0 0 0 0 0\n", k);
		}
		assert_int_equal(fflush(f), 0);
		m.net_fd = fileno(f);
		ps_host_machine_read(&m, &s);
		assert_int_equal(s.net_received_bytes, rows[i].received);
		assert_int_equal(s.net_sent_bytes, rows[i].received < 0 ? -1 : rows[i].lines * 30);
		fclose(f);
	}
}

static void test_throttled(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} rows[] = {
		{"usage_usec 5\nnr_throttled 2\nthrottled_usec 1500\n", 1500000}, /* version 2 */
		{"nr_periods 9\nnr_throttled 2\nthrottled_time 777\n", 777},	  /* version 1 */
		{"usage_usec 5\nuser_usec 1\n", -1}, /* the root group has no quota */
		{"", -1},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(ps_host_throttled_ns(rows[i].text), rows[i].ns);
	}
	assert_int_equal(ps_host_quota_us(1.5), 150000);
	assert_int_equal(ps_host_quota_us(0.1), 10000);
}

/* A cpu.stat of version 2 that has no controller is there, and says nothing. */
static void test_tells_throttled(void **state)
{
	static const struct {
		const char *text;
		bool tells;
	} rows[] = {
		{"usage_usec 5\nuser_usec 1\nsystem_usec 4\n", false},
		{"usage_usec 5\nnr_throttled 0\nthrottled_usec 0\n", true},
		{"", false},
		{NULL, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char folder[] = "/tmp/ps-stat-XXXXXX", path[64];
		assert_non_null(mkdtemp(folder));
		(void)snprintf(path, sizeof(path), "%s/cpu.stat", folder);
		FILE *f = rows[i].text ? fopen(path, "w") : NULL;
		if (f) {
			assert_true(fputs(rows[i].text, f) >= 0);
			assert_int_equal(fclose(f), 0);
		}
		assert_int_equal(ps_host_tells_throttled(folder, "cpu"), rows[i].tells);
		(void)unlink(path);
		(void)rmdir(folder);
	}
}

/* ---- pace ---- */

static void test_pace(void **state)
{
	static const struct {
		int64_t cost_ns, due_after_ns;
	} rows[] = {
		{0, 100 * MS},		    /* free: as often as wanted */
		{50000, 100 * MS},	    /* 50 us are 0.05 % of 100 ms */
		{1 * MS, 1 * SECOND},	    /* ten times dearer: ten times more seldom */
		{20 * MS, 20 * SECOND},	    /* page tables of a large process */
		{INT64_MAX, 1000 * SECOND}, /* nothing waits for ever */
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_host_pace p = {.least_ns = 100 * MS, .share = 0.001};
		assert_true(ps_host_pace_due(&p, 0));
		ps_host_pace_spent(&p, 7 * SECOND, rows[i].cost_ns);
		int64_t due = 7 * SECOND + rows[i].due_after_ns;
		assert_false(ps_host_pace_due(&p, due - MS));
		assert_true(ps_host_pace_due(&p, due + MS));
	}
}

/* ---- watching a process with many threads ---- */

static void *idle(void *arg)
{
	(void)pause();
	return arg;
}

/* The program that is watched: this one, started anew, with 41 threads that wait. */
static int be_watched(void)
{
	pthread_t t;
	for (int i = 0; i < 40; i++) {
		if (pthread_create(&t, NULL, idle, NULL) != 0) {
			return 1;
		}
	}
	(void)!write(STDOUT_FILENO, "x", 1);
	(void)pause();
	return 0;
}

static pid_t start_watched(void)
{
	int ready[2];
	char c;
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(ready[1], STDOUT_FILENO);
		(void)execl("/proc/self/exe", "watched", "--be-watched", NULL);
		_exit(127);
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	return child;
}

static struct ps_host_watched watch_for(const struct ps_host_watch *what, int64_t ns)
{
	struct ps_host_watcher *w = NULL;
	struct ps_host_watched seen;
	assert_int_equal(ps_host_watch_start(what, &w, NULL), PS_OK);
	(void)ps_clock_sleep_until_ns(ps_clock_now_ns() + ns);
	ps_host_watch_stop(w, &seen);
	return seen;
}

static const char *absent(const json_t *about, const char *what)
{
	return ps_json_get_string(json_object_get(about, "absent"), what, NULL);
}

/* Known, or absent with a reason: nothing in between. */
static void check_told(const json_t *about, const char *what, int64_t value)
{
	if ((value < 0) != (absent(about, what) != NULL)) {
		fail_msg("%s is %lld, and its reason %s", what, (long long)value,
			 absent(about, what) ? absent(about, what) : "is missing");
	}
}

static void check_samples(const struct ps_host_watched *seen)
{
	const struct ps_host_sample *s = seen->samples;
	for (size_t i = 0; i < seen->len; i++) {
		assert_true(s[i].server.rss_bytes > 0 && s[i].server.threads >= 41);
		assert_true(s[i].self.cpu_ns > 0);
		if (i > 0) {
			assert_true(s[i].at_ns > s[i - 1].at_ns);
			assert_true(s[i].server.cpu_ns >= s[i - 1].server.cpu_ns);
			assert_true(s[i].server.minor_faults >= s[i - 1].server.minor_faults);
			assert_true(s[i].server.run_delay_ns >= s[i - 1].server.run_delay_ns);
		}
	}
	const struct ps_host_sample *last = &s[seen->len - 1];
	assert_true(last->server.pss_bytes > 0 && last->server.peak_rss_bytes > 0);
	assert_true(last->server.voluntary >= 41); /* each thread has waited */
	json_t *about = ps_host_watched_json(seen);
	check_told(about, "run_delay", last->server.run_delay_ns);
	check_told(about, "counters", last->server.cycles);
	check_told(about, "cpu_khz", last->cpu_khz);
	check_told(about, "throttled", last->throttled_ns);
	check_told(about, "network", last->net_received_bytes);
	check_told(about, "disk", last->server.read_bytes);
	assert_non_null(absent(about, "gpu"));
	assert_int_equal(ps_json_get_int(about, "samples", 0), seen->len);
	json_decref(about);
}

/* The promise: ten times a second, 41 threads, and under half a per cent of one core. */
static void test_cost(void **state)
{
	(void)state;
	pid_t child = start_watched();
	struct ps_host_watch what = {.server = child, .nvml = "/nowhere/nvml.so"};
	struct ps_host_watched seen = watch_for(&what, 2500 * MS);
	assert_true(seen.len >= 10 && seen.len <= 30);
	check_samples(&seen);
	double share = (double)seen.cost_ns / (double)seen.span_ns;
	print_message("watching costs %.3f %% of one core (%zu samples)\n", share * 100, seen.len);
	assert_true(share > 0 && share < PS_HOST_WATCH_SHARE);
	ps_host_watched_fini(&seen);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

/* A server that ends repeats its last values; one elsewhere has none. */
static void test_gone(void **state)
{
	(void)state;
	struct ps_host_watcher *w = NULL;
	struct ps_host_watched seen;
	pid_t child = fork();
	if (child == 0) {
		(void)pause();
		_exit(0);
	}
	struct ps_host_watch what = {.server = child, .period_ns = 20 * MS, .no_gpu = true};
	assert_int_equal(ps_host_watch_start(&what, &w, NULL), PS_OK);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	ps_host_watch_stop(w, &seen);
	assert_true(seen.len >= 2);
	assert_int_equal(seen.samples[seen.len - 1].server.cpu_ns, seen.samples[0].server.cpu_ns);
	assert_int_equal(seen.samples[seen.len - 1].server.rss_bytes,
			 seen.samples[0].server.rss_bytes);
	ps_host_watched_fini(&seen);

	what.server = 0;
	assert_int_equal(ps_host_watch_start(&what, &w, NULL), PS_OK);
	ps_host_watch_stop(w, &seen);
	const struct ps_host_sample *x = &seen.samples[0];
	assert_true(x->server.cpu_ns == -1 && x->server.rss_bytes == -1 && x->self.cpu_ns >= 0);
	assert_non_null(absent(seen.about, "server"));
	ps_host_watched_fini(&seen);
}

/* ---- GPUs ---- */

static char dir[64];

static const char *stub(const char *macro)
{
	static char so[128];
	char command[1024];
	snprintf(so, sizeof(so), "%s/%s.so", dir, macro);
	snprintf(command, sizeof(command), "cc -shared -fPIC -D%s -o %s %s", macro, so,
		 PS_SOURCE_DIR "/tests/support/nvml_stub.c");
	assert_int_equal(system(command), 0);
	return so;
}

static void check_gpus(const struct ps_host_watched *seen, bool old)
{
	assert_true(seen->gpu_len >= 4 && seen->gpu_len % 2 == 0);
	const struct ps_host_gpu_sample *a = &seen->gpus[seen->gpu_len - 2], *b = a + 1;
	assert_true(a->gpu == 0 && b->gpu == 1 && a->at_ns == b->at_ns);
	assert_true(a->busy_ratio == 0 && b->busy_ratio == 0.75);
	assert_true(isnan(a->power_w) && b->power_w == 312.5);
	assert_int_equal(a->memory_bytes, 1 << 20);
	assert_int_equal(b->memory_bytes, INT64_C(3) << 30);
	assert_int_equal(a->server_memory_bytes, 0); /* nobody is on GPU 0 */
	assert_int_equal(b->server_memory_bytes, INT64_C(2) << 30);
	assert_true(b->clock_mhz == 1980 && b->memory_clock_mhz == 2619);
	assert_true(old ? isnan(a->server_busy_ratio) : a->server_busy_ratio == 0); /* idle */
	assert_true(old ? isnan(b->server_busy_ratio) : b->server_busy_ratio == 0.6);
	json_t *about = ps_host_watched_json(seen), *gpu = json_object_get(about, "gpu");
	const json_t *second = json_array_get(json_object_get(gpu, "gpus"), 1);
	assert_string_equal(ps_json_get_string(gpu, "driver", ""), "1.2.3");
	assert_string_equal(ps_json_get_string(second, "name", ""), "Stub GPU 1");
	assert_int_equal(ps_json_get_int(second, "memory_bytes", 0), INT64_C(80) << 30);
	assert_null(absent(about, "gpu"));
	json_decref(about);
}

/* The driver has nothing new: its last reading stands for two seconds, not for ever. */
static void check_nothing_new(const char *so)
{
	static const struct {
		int64_t at_ns;
		double use;
	} rows[] = {{100 * SECOND, 0.6}, {101 * SECOND, 0.6}, {103 * SECOND, NAN}};
	struct ps_host_absences absences = {0};
	struct ps_host_nvml *n = ps_host_nvml_open(so, &absences);
	assert_non_null(n);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_host_gpu_sample s = {.at_ns = rows[i].at_ns};
		ps_host_nvml_read(n, 1, getpid(), &s);
		assert_true(s.server_busy_ratio == rows[i].use ||
			    (isnan(s.server_busy_ratio) && isnan(rows[i].use)));
	}
	ps_host_nvml_close(n);
}

static void test_gpu(void **state)
{
	static const char *const there[] = {"FULL", "OLD"};
	static const struct {
		const char *macro, *word;
	} rows[] = {{"NO_GPU", "the driver has none"},
		    {"BROKEN", "Driver Not Loaded"},
		    {"SHORT", "nvmlDeviceGetHandleByIndex_v2"}};
	char pid[32];
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/ps-nvml-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("NVML_STUB_PID", pid, 1);
	for (size_t i = 0; i < 2; i++) {
		struct ps_host_watch what = {.server = getpid(), .nvml = stub(there[i])};
		struct ps_host_watched seen = watch_for(&what, 0);
		check_gpus(&seen, i == 1);
		ps_host_watched_fini(&seen);
		if (i == 0) {
			check_nothing_new(what.nvml);
		}
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_host_watch what = {.server = getpid(), .nvml = stub(rows[i].macro)};
		struct ps_host_watched seen = watch_for(&what, 0);
		const char *why = absent(seen.about, "gpu");
		if (seen.gpu_len != 0 || !why || !strstr(why, rows[i].word)) {
			fail_msg("%s: %s", rows[i].macro, why ? why : "no reason");
		}
		ps_host_watched_fini(&seen);
	}
	char command[128];
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

/* ---- what it means ---- */

static void test_memory_over(void **state)
{
	static const struct {
		int64_t rss, peak, limit;
		bool over;
	} rows[] = {
		{100, -1, 0, false},  {100, -1, 100, false}, {101, -1, 100, true},
		{50, 101, 100, true}, {-1, -1, 100, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char why[200] = "";
		struct ps_host_sample s[2] = {{0}};
		s[1].server.rss_bytes = rows[i].rss * (1 << 20);
		s[1].server.peak_rss_bytes = rows[i].peak * (1 << 20);
		assert_int_equal(ps_host_memory_over(s, 2, rows[i].limit << 20, why, sizeof(why)),
				 rows[i].over);
		assert_true(rows[i].over == (strstr(why, "101 MiB") && strstr(why, "100 MiB")));
	}
}

static void test_apart(void **state)
{
	static const struct {
		const char *slice, *generator;
		int64_t used_ms;
		bool apart;
		const char *shared;
		double share; /* of the slice over 1 s */
	} rows[] = {
		{"0", "1", 900, true, "", 0},	   {"0-1", "1", 500, false, "1", 0.25},
		{"", "1", 500, false, "1", 0.125}, {"0", "", 500, false, "0", 0.5},
		{"0", "", 5000, false, "0", 1},	   {"0-1", "1", -1, false, "1", 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_cpus slice, generator, allowed;
		char text[PS_CPUS_SIZE];
		assert_int_equal(ps_cpus_parse(rows[i].slice, &slice, NULL), PS_OK);
		assert_int_equal(ps_cpus_parse(rows[i].generator, &generator, NULL), PS_OK);
		assert_int_equal(ps_cpus_parse("0-3", &allowed, NULL), PS_OK);
		struct ps_host_apart a =
			ps_host_apart(&slice, &generator, &allowed, rows[i].used_ms * MS, SECOND);
		assert_int_equal(a.apart, rows[i].apart);
		assert_string_equal(ps_cpus_format(&a.shared, text), rows[i].shared);
		assert_true(fabs(a.generator_share - rows[i].share) < 1e-12);
	}
}

static void test_attribute(void **state)
{
	static const struct {
		int64_t cpu, memory;
		struct ps_host_part parts[3];
		struct ps_host_charge charges[3], nobody;
	} rows[] = {
		/* lanes held 60 + 20 of 100, the other 20 by requests 1 : 3 */
		{100, 0, {{60, 1, 0}, {20, 3, 0}}, {{60, 5, 0}, {20, 15, 0}}, {0, 0, 0}},
		/* the lanes waited half of their time: scaled down, nothing is left over */
		{50, 0, {{60, 1, 0}, {40, 1, 0}}, {{30, 0, 0}, {20, 0, 0}}, {0, 0, 0}},
		/* nobody asked: the server's own time */
		{70, 9, {{0, 0, 0}, {0, 0, 4}}, {{0, 0, 0}, {0, 0, 4}}, {0, 70, 5}},
		/* models claim more memory than there is */
		{0, 30, {{0, 0, 40}, {0, 0, 20}}, {{0, 0, 20}, {0, 0, 10}}, {0, 0, 0}},
		/* thirds: rounding loses nothing */
		{100,
		 100,
		 {{0, 1, 0}, {0, 1, 0}, {0, 1, 0}},
		 {{0, 33, 0}, {0, 33, 0}, {0, 34, 0}},
		 {0, 0, 100}},
		/* unknown is nothing */
		{-1, -1, {{-5, -1, -1}, {3, 1, 7}}, {{0, 0, 0}, {0, 0, 0}}, {0, 0, 0}},
		/* no overflow */
		{INT64_MAX,
		 INT64_MAX,
		 {{INT64_MAX, 1, INT64_MAX}, {INT64_MAX, 1, INT64_MAX}},
		 {{INT64_MAX / 2, 0, INT64_MAX / 2}, {INT64_MAX / 2 + 1, 0, INT64_MAX / 2 + 1}},
		 {0, 0, 0}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_host_charge got[3], nobody;
		ps_host_attribute(rows[i].cpu, rows[i].memory, rows[i].parts, 3, got, &nobody);
		if (memcmp(got, rows[i].charges, sizeof(got)) != 0 ||
		    memcmp(&nobody, &rows[i].nobody, sizeof(nobody)) != 0) {
			fail_msg("row %zu: %lld %lld %lld, %lld %lld %lld", i,
				 (long long)got[0].compute_ns, (long long)got[0].overhead_ns,
				 (long long)got[0].memory_bytes, (long long)got[1].compute_ns,
				 (long long)got[1].overhead_ns, (long long)got[1].memory_bytes);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--be-watched") == 0) {
		return be_watched();
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_net),
		cmocka_unit_test(test_throttled),
		cmocka_unit_test(test_many_interfaces),
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_tells_throttled),
		cmocka_unit_test(test_cost),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_gpu),
		cmocka_unit_test(test_apart),
		cmocka_unit_test(test_memory_over),
		cmocka_unit_test(test_attribute),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
