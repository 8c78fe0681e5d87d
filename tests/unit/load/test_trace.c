/* Readers of traces: what each format means, what is refused and where, and what a replay makes of
 * it. */
#include "load/arrivals.h"
#include "load/trace.h"

#include "support/ks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SEC 1e9
#define MIN (60 * SEC)

#define HEAD_2019 "HashOwner,HashApp,HashFunction,Trigger,1,2,3\n"
#define HEAD_2021 "app,func,end_timestamp,duration\n"
#define HEAD_LLM  "TIMESTAMP,ContextTokens,GeneratedTokens\n"

static enum ps_status parse(const char *text, const struct ps_load_trace_options *o,
			    struct ps_load_trace *ret_trace, struct ps_error *err)
{
	ps_error_clear(err);
	return ps_load_trace_parse(text, strlen(text), "t.csv", o, ret_trace, err);
}

static struct ps_load_trace parsed(const char *text, const struct ps_load_trace_options *o)
{
	struct ps_load_trace t;
	struct ps_error err;

	if (parse(text, o, &t, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
	assert_true(t.len > 0 && t.length_ns >= t.entries[t.len - 1].at_ns);
	assert_true(t.entries[0].at_ns >= 0);
	return t;
}

/* ---- one arrival per line ---- */

static void each_format_gives_its_instants(void **state)
{
	static const struct {
		const char *text;
		struct ps_load_trace_options o;
		size_t len;
		double at_s[6], length_s;
	} rows[] = {
		/* gaps: in microseconds; the first arrival comes after the first gap */
		{"100\n200\n300\n",
		 {.format = PS_LOAD_TRACE_GAPS},
		 3,
		 {100e-6, 300e-6, 600e-6},
		 600e-6},
		{"# made\n\n 0.5 \r\n0\n",
		 {.format = PS_LOAD_TRACE_GAPS},
		 2,
		 {0.5e-6, 0.5e-6},
		 0.5e-6},
		{"\xef\xbb\xbf"
		 "1e3\n2.5e2",
		 {.format = PS_LOAD_TRACE_GAPS},
		 2,
		 {1e-3, 1.25e-3},
		 1.25e-3},
		{"1\n2\n", {.format = PS_LOAD_TRACE_GAPS, .unit_ns = 1e9}, 2, {1, 3}, 3},
		{"1\n2\n3\n4\n",
		 {.format = PS_LOAD_TRACE_GAPS, .unit_ns = 1e9, .from_ns = 3000000000},
		 3,
		 {0, 3, 7},
		 7},
		{"1\n2\n3\n4\n",
		 {.format = PS_LOAD_TRACE_GAPS,
		  .unit_ns = 1e9,
		  .from_ns = 1,
		  .length_ns = 3000000000},
		 2,
		 {1 - 1e-9, 3 - 1e-9},
		 3},
		/* what the window leaves out takes no room */
		{"1\n2\n3\n4\n",
		 {.format = PS_LOAD_TRACE_GAPS,
		  .unit_ns = 1e9,
		  .from_ns = 1,
		  .length_ns = 3000000000,
		  .max_entries = 2},
		 2,
		 {1 - 1e-9, 3 - 1e-9},
		 3},
		{"5\n5\n6\n7\n8\n",
		 {.format = PS_LOAD_TRACE_TIMESTAMPS,
		  .from_ns = 1000000000,
		  .length_ns = 1500000000,
		  .max_entries = 2},
		 2,
		 {0, 1},
		 1.5},
		{"5\n5\n6\n7\n8\n", /* the end of the trace is that of all of it */
		 {.format = PS_LOAD_TRACE_TIMESTAMPS, .from_ns = 2000000000, .max_entries = 2},
		 2,
		 {0, 1},
		 1.75},
		/* timestamps: in seconds; the first one is the begin, the end a mean gap on */
		{"1700000000.25\n1700000000.5\n1700000001.25\n",
		 {.format = PS_LOAD_TRACE_TIMESTAMPS},
		 3,
		 {0, 0.25, 1},
		 1.5},
		{"5\n5\n6\n",
		 {.format = PS_LOAD_TRACE_TIMESTAMPS, .unit_ns = 1e6},
		 3,
		 {0, 0, 1e-3},
		 1.5e-3},
		{"1700000000123456789\n1700000000123456790\n",
		 {.format = PS_LOAD_TRACE_TIMESTAMPS, .unit_ns = 1},
		 2,
		 {0, 1e-9},
		 2e-9},
		{"2024-02-28 23:59:59.5\n2024-02-29T00:00:00Z\n2024-03-01 01:00:00+01:00\n",
		 {.format = PS_LOAD_TRACE_TIMESTAMPS},
		 3,
		 {0, 0.5, 86400.5},
		 129600.75},
		/* 2021: begin = end - duration, by begin, whatever the order of the rows */
		{HEAD_2021 "a,f,10.5,0.5\na,g,9.5,2\nb,f,20,0\n",
		 {.format = PS_LOAD_TRACE_AUTO},
		 3,
		 {0, 2.5, 12.5},
		 18.75},
		{"duration, end_timestamp ,x,func,app\n1e-1,5.1,,f,a\n0,6,,f,a\n",
		 {.format = PS_LOAD_TRACE_FUNCTIONS_2021},
		 2,
		 {0, 1},
		 2},
		{HEAD_2021 "a,f,1,0\na,f,2,0\na,f,3,0\na,f,4,0\n",
		 {.format = PS_LOAD_TRACE_AUTO, .from_ns = 1000000000, .length_ns = 2000000000},
		 2,
		 {0, 1},
		 2},
		/* LLM: seven digits behind the point, no end of the last line */
		{HEAD_LLM "2023-11-16 18:17:03.9799600,4808,10\r\n"
			  "2023-11-16 18:17:04.0319600,3180,8",
		 {.format = PS_LOAD_TRACE_AUTO},
		 2,
		 {0, 0.052},
		 0.104},
		{HEAD_LLM "2024-05-10 00:00:01,1,1\n2024-05-10 00:00:00.009930+00:00,1,1\n",
		 {.format = PS_LOAD_TRACE_LLM},
		 2,
		 {0, 0.99007},
		 2 * 0.99007},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_trace t = parsed(rows[i].text, &rows[i].o);

		assert_int_equal(t.len, rows[i].len);
		for (size_t k = 0; k < t.len; k++)
			if (fabs(t.entries[k].at_ns - rows[i].at_s[k] * SEC) > 1e-3)
				fail_msg("row %zu: arrival %zu at %.3f ns", i, k,
					 t.entries[k].at_ns);
		assert_true(fabs(t.length_ns - rows[i].length_s * SEC) < 1e-3);
		ps_load_trace_fini(&t);
	}
}

/* ---- calls per minute ---- */

static size_t in_minute(const struct ps_load_trace *t, double m)
{
	return ps_load_trace_before(t, (m + 1) * MIN) - ps_load_trace_before(t, m * MIN);
}

static void counts_become_instants_in_their_minute(void **state)
{
	static double u[60000];
	struct ps_load_trace_options o = {.seed = 5};
	struct ps_load_trace t =
		parsed(HEAD_2019 "o,a,f,http,20000,0,40000\no,a,g,timer,1,2,0\n", &o);
	size_t n = 0;

	(void)state;
	assert_int_equal(t.format, PS_LOAD_TRACE_FUNCTIONS_2019);
	assert_true(t.has_functions && t.length_ns == 3 * MIN);
	assert_int_equal(t.len, 60003);
	assert_int_equal(in_minute(&t, 0), 20001);
	assert_int_equal(in_minute(&t, 1), 2);
	assert_int_equal(in_minute(&t, 2), 40000);
	uint32_t g = t.entries[ps_load_trace_before(&t, MIN)].function;
	for (size_t i = 0; i < t.len; i++) {
		assert_true(i == 0 || t.entries[i].at_ns >= t.entries[i - 1].at_ns);
		if (t.entries[i].function != g)
			u[n++] = fmod(t.entries[i].at_ns, MIN) / MIN;
	}
	assert_int_equal(n, 60000);
	assert_true(ks_uniform(u, n) >= 1e-4);
	ps_load_trace_fini(&t);
}

/* One function's instants in one minute are the same whatever else is read, but for the seed. */
static void instants_depend_on_function_minute_and_seed(void **state)
{
	struct ps_load_trace_options all = {.seed = 1}, other = {.seed = 2},
				     part = {.seed = 1,
					     .from_ns = (int64_t)(1.5 * MIN),
					     .length_ns = (int64_t)MIN};
	struct ps_load_trace a = parsed(HEAD_2019 "o,a,f,http,3,50,9\no,a,g,http,0,50,0\n", &all);
	struct ps_load_trace b = parsed(HEAD_2019 "o,a,g,http,7,50,0\n", &all);
	struct ps_load_trace c = parsed(HEAD_2019 "o,a,f,http,3,50,9\no,a,g,http,0,50,0\n", &part);
	struct ps_load_trace d = parsed(HEAD_2019 "o,a,g,http,7,50,0\n", &other);
	uint32_t g = b.entries[0].function;
	size_t k = ps_load_trace_before(&b, MIN), n = 0;

	(void)state;
	for (size_t i = 0; i < a.len; i++)
		if (a.entries[i].function == g)
			assert_true(a.entries[i].at_ns == b.entries[k++].at_ns);
	assert_int_equal(k, b.len);
	assert_true(d.entries[0].at_ns != b.entries[0].at_ns);
	assert_true(c.length_ns == MIN);
	for (size_t i = 0; i < a.len; i++) {
		double at = a.entries[i].at_ns - 1.5 * MIN;

		if (at >= 0 && at < MIN)
			assert_true(fabs(at - c.entries[n++].at_ns) < 1e-3);
	}
	assert_int_equal(n, c.len);
	ps_load_trace_fini(&a);
	ps_load_trace_fini(&b);
	ps_load_trace_fini(&c);
	ps_load_trace_fini(&d);
}

/* ---- refusals ---- */

static void hostile_files_are_refused_with_their_line(void **state)
{
	static const struct {
		const char *text;
		struct ps_load_trace_options o;
		const char *where, *what;
	} rows[] = {
		{"", {0}, "t.csv", "empty"},
		{"1\n2\n", {0}, "t.csv:1", "no head of a known format"},
		{"\n", {.format = PS_LOAD_TRACE_GAPS}, "t.csv", "no arrival in the file"},
		{"# only\n",
		 {.format = PS_LOAD_TRACE_TIMESTAMPS},
		 "t.csv",
		 "no arrival in the file"},
		{"1\nnan\n", {.format = PS_LOAD_TRACE_GAPS}, "t.csv:2", "'nan' is no number"},
		{"1\n0x10\n", {.format = PS_LOAD_TRACE_GAPS}, "t.csv:2", "'0x10' is no number"},
		{"1\n1e9999\n", {.format = PS_LOAD_TRACE_GAPS}, "t.csv:2", "no number"},
		{"1\ninf\n", {.format = PS_LOAD_TRACE_GAPS}, "t.csv:2", "no number"},
		{"1\n1e\n", {.format = PS_LOAD_TRACE_GAPS}, "t.csv:2", "no number"},
		{"1 2\n", {.format = PS_LOAD_TRACE_GAPS}, "t.csv:1", "no number"},
		{"1,2\n",
		 {.format = PS_LOAD_TRACE_GAPS},
		 "t.csv:1",
		 "'several values' is no number"},
		{"5\n-1\n", {.format = PS_LOAD_TRACE_GAPS}, "t.csv:2", "below 0"},
		{"1\n1e30\n", {.format = PS_LOAD_TRACE_GAPS}, "t.csv:2", "nine years"},
		{"1\n",
		 {.format = PS_LOAD_TRACE_GAPS, .from_ns = 1000000},
		 "t.csv",
		 "no arrival in the window"},
		{"2\n1\n",
		 {.format = PS_LOAD_TRACE_TIMESTAMPS},
		 "t.csv:2",
		 "before the line above"},
		{"1\n1e18\n", {.format = PS_LOAD_TRACE_TIMESTAMPS}, "t.csv:2", "nine years"},
		{"1\n2024-01-01 00:00:00\n",
		 {.format = PS_LOAD_TRACE_TIMESTAMPS},
		 "t.csv:2",
		 "one file"},
		{"2024-01-01 00:00:00\n",
		 {.format = PS_LOAD_TRACE_TIMESTAMPS, .unit_ns = 1},
		 "t.csv:1",
		 "no unit"},
		{"2023-02-29 00:00:00\n",
		 {.format = PS_LOAD_TRACE_TIMESTAMPS},
		 "t.csv:1",
		 "neither"},
		{"2024-13-01 00:00:00\n",
		 {.format = PS_LOAD_TRACE_TIMESTAMPS},
		 "t.csv:1",
		 "neither"},
		{"2024-01-01 24:00:00\n",
		 {.format = PS_LOAD_TRACE_TIMESTAMPS},
		 "t.csv:1",
		 "neither"},
		{"2024-01-01 00:00:00.\n",
		 {.format = PS_LOAD_TRACE_TIMESTAMPS},
		 "t.csv:1",
		 "neither"},
		{"2024-01-01 00:00:00+1:00\n",
		 {.format = PS_LOAD_TRACE_TIMESTAMPS},
		 "t.csv:1",
		 "neither"},
		{"2024-01-01\n", {.format = PS_LOAD_TRACE_TIMESTAMPS}, "t.csv:1", "neither"},
		{HEAD_2019, {0}, "t.csv", "no arrival"},
		{HEAD_2019 "o,a,f,http,0,0,0\n", {0}, "t.csv", "no arrival"},
		{HEAD_2019 "o,a,f,http,0,0\n", {0}, "t.csv:2", "6 columns, the head has 7"},
		{HEAD_2019 "o,a,f,http,0,0,0,0\n", {0}, "t.csv:2", "8 columns, the head has 7"},
		{HEAD_2019 "o,a,f,http,1,0,0\no,a,f,http,-1,0,0\n", {0}, "t.csv:3", "minute 1"},
		{HEAD_2019 "o,a,f,http,1,,0\n", {0}, "t.csv:2", "minute 2"},
		{HEAD_2019 "o,a,f,http,1,1.5,0\n", {0}, "t.csv:2", "'1.5' is no number of calls"},
		{HEAD_2019 "o,a,f,http,1,99999999999999999999,0\n", {0}, "t.csv:2", "no number"},
		{HEAD_2019 "o,a,f,http,1,33554432,0\n", {0}, "t.csv:2", "over 33554432 arrivals"},
		/* what the window leaves out is work all the same */
		{HEAD_2019 "o,a,f,http,3000,0,0\no,a,g,http,400,0,0\n",
		 {.from_ns = 30000000000, .length_ns = 1, .max_entries = 3399},
		 "t.csv:3",
		 "with the 400 calls of minute 1 over 3399 arrivals"},
		{HEAD_2019 "o,a,f,http,5,4,0\n", {.max_entries = 8}, "t.csv:2", "over 8 arrivals"},
		{"1\n2\n3\n",
		 {.format = PS_LOAD_TRACE_GAPS, .max_entries = 2},
		 "t.csv:3",
		 "over 2 arrivals"},
		{HEAD_2019 "o,a,f,http,1,1,1\n",
		 {.from_ns = INT64_C(600000000000)},
		 "t.csv",
		 "no arrival in the window"},
		{"HashOwner,HashApp,HashFunction,Trigger\n", {0}, "t.csv:1", "1 to 1440 minutes"},
		{"HashOwner,HashApp,HashFunction,Trigger,1,3\n", {0}, "t.csv:1", "next minute"},
		{"HashApp,HashOwner,HashFunction,Trigger,1\n", {0}, "t.csv:1", "not HashOwner"},
		{HEAD_2021 "a,f,1\n", {0}, "t.csv:2", "3 columns"},
		{HEAD_2021 "a,f,x,1\n", {0}, "t.csv:2", "end_timestamp: 'x'"},
		{HEAD_2021 "a,f,1,\n", {0}, "t.csv:2", "duration: ''"},
		{HEAD_2021 "a,f,1,-1\n", {0}, "t.csv:2", "a call of -1 s"},
		{HEAD_2021 "a,f,1,1\na,f,1e12,1\n", {0}, "t.csv:3", "nine years"},
		{HEAD_2021 "a,f,1e4930,1\n", {0}, "t.csv:2", "nine years"},
		{HEAD_2021 "a,f,1,1\na,f,1e4930,1\n", {0}, "t.csv:3", "nine years"},
		{"1e4930\n1e4930\n", {.format = PS_LOAD_TRACE_TIMESTAMPS}, "t.csv:1", "nine years"},
		{"1\n1e4930\n", {.format = PS_LOAD_TRACE_TIMESTAMPS}, "t.csv:2", "nine years"},
		{"app,end_timestamp\n1,2\n", {0}, "t.csv:1", "no column func"},
		{HEAD_LLM "yesterday,1,2\n", {0}, "t.csv:2", "TIMESTAMP: 'yesterday'"},
		{HEAD_LLM "2023-11-16 18:17:03\n", {0}, "t.csv:2", "1 columns"},
		{"ContextTokens\n",
		 {.format = PS_LOAD_TRACE_LLM},
		 "t.csv:1",
		 "no column TIMESTAMP"},
		{"1\n", {.format = PS_LOAD_TRACE_FORMATS}, "", "no such format"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_trace t;
		struct ps_error err;

		if (parse(rows[i].text, &rows[i].o, &t, &err) == PS_OK)
			fail_msg("row %zu is read", i);
		if (strcmp(err.where, rows[i].where) != 0 || !strstr(err.what, rows[i].what))
			fail_msg("row %zu: '%s: %s'", i, err.where, err.what);
	}
}

static void long_lines_and_nul_bytes_are_refused(void **state)
{
	static char text[4 * PS_LOAD_TRACE_MAX_LINE];
	struct ps_load_trace_options o = {.format = PS_LOAD_TRACE_GAPS};
	struct ps_load_trace t;
	struct ps_error err;

	(void)state;
	for (size_t n = PS_LOAD_TRACE_MAX_LINE - 1; n + 3 < sizeof(text);
	     n += PS_LOAD_TRACE_MAX_LINE / 2) {
		memset(text, ' ', sizeof(text));
		memcpy(text, "1\n7", 3);
		text[n + 2] = '\n';
		enum ps_status st = ps_load_trace_parse(text, n + 3, "t.csv", &o, &t, &err);
		assert_int_equal(st, n <= PS_LOAD_TRACE_MAX_LINE ? PS_OK : PS_ETOOBIG);
		if (st == PS_OK)
			ps_load_trace_fini(&t);
		else
			assert_string_equal(err.where, "t.csv:2");
	}
	assert_int_equal(ps_load_trace_parse("1\n2\0003\n", 6, "t.csv", &o, &t, &err), PS_EPARSE);
	assert_string_equal(err.where, "t.csv:2");
}

/* ---- files, and many of them ---- */

static void files_are_read_once(void **state)
{
	struct ps_load_traces set = {0};
	struct ps_load_trace_options o = {.format = PS_LOAD_TRACE_GAPS}, p = o;
	const struct ps_load_trace *a, *b, *c;
	char path[] = "/tmp/ps-trace-XXXXXX";
	struct ps_error err;
	FILE *f = fdopen(mkstemp(path), "w");

	(void)state;
	assert_non_null(f);
	for (int i = 1; i <= 50000; i++)
		fprintf(f, "%d\n", i);
	fclose(f);
	p.length_ns = 1000000;
	assert_int_equal(ps_load_traces_get(&set, path, &o, &a, &err), PS_OK);
	assert_int_equal(ps_load_traces_get(&set, path, &o, &b, &err), PS_OK);
	assert_int_equal(ps_load_traces_get(&set, path, &p, &c, &err), PS_OK);
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, c);
	assert_int_equal(a->len, 50000);
	assert_int_equal(c->len, 44); /* 1 + ... + 44 = 990 us */
	remove(path);
	assert_int_equal(ps_load_traces_get(&set, "/nowhere.csv", &o, &b, &err), PS_ENOTFOUND);
	assert_string_equal(err.where, "/nowhere.csv");
	assert_int_equal(ps_load_traces_get(&set, "/tmp", &o, &b, &err), PS_EINVAL);
	assert_int_equal(ps_load_traces_get(&set, "/dev/zero", &o, &b, &err), PS_EINVAL);
	assert_int_equal(set.len, 2);
	ps_load_traces_fini(&set);
}

/* ---- replay ---- */

static struct ps_load_arrival_spec replay(const struct ps_load_trace *t)
{
	return (struct ps_load_arrival_spec){.kind = PS_LOAD_TRACE, .replay = {.trace = t}};
}

static void a_replay_is_fast_slow_and_round(void **state)
{
	struct ps_load_trace_options o = {.format = PS_LOAD_TRACE_GAPS, .unit_ns = 1e9};
	struct ps_load_trace t = parsed("1\n2\n3\n", &o);
	static const struct {
		double speed, scale;
		bool loop;
		double at_s[7]; /* 0: ended */
	} rows[] = {
		{0, 0, false, {1, 3, 6, 0}},
		{2, 0, false, {0.5, 1.5, 3, 0}},
		{0.5, 4, false, {0.5, 1.5, 3, 0}},
		{0, 0, true, {1, 3, 6, 7, 9, 12, 13}},
		{10, 0, true, {0.1, 0.3, 0.6, 0.7, 0.9, 1.2, 1.3}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_arrival_spec s = replay(&t);
		struct ps_load_arrivals a;

		s.replay.speed = rows[i].speed;
		s.replay.loop = rows[i].loop;
		s.scale = rows[i].scale;
		ps_load_arrivals_init(&a, &s, 1, "t");
		for (int k = 0; k < 7; k++) {
			double at = ps_load_arrivals_next(&a);
			double want = rows[i].at_s[k] * SEC;

			if (rows[i].at_s[k] == 0) {
				assert_true(isinf(at));
				break;
			}
			assert_true(fabs(at - want) < 1e-3);
			assert_true(ps_load_arrival_expected(&s, want + 1) == k + 1);
			assert_true(ps_load_arrival_expected(&s, want - 1) == k);
		}
	}
	struct ps_load_arrival_spec s = replay(&t);
	s.replay.loop = true;
	assert_int_equal(ps_load_arrival_rescale(&s, 5, 0, NULL), PS_OK);
	assert_true(fabs(s.scale - 10) < 1e-9);
	ps_load_trace_fini(&t);
}

/* Parts are disjoint and make the whole, also over several laps; each has its share. */
static void parts_make_the_whole(void **state)
{
	enum { PARTS = 3, MAX = 8000 };
	static double want[MAX], got[MAX];
	static char text[64 * 1024];
	struct ps_load_trace_options o = {0};
	size_t used = (size_t)snprintf(text, sizeof(text), HEAD_2021);

	(void)state;
	for (int i = 0; i < 2000; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "a,f%d,%d,0\n", i % 40,
					 i);
	struct ps_load_trace t = parsed(text, &o);
	for (int functions = 0; functions < 2; functions++) {
		struct ps_load_arrival_spec s = replay(&t);
		struct ps_load_arrivals a;
		size_t n = 0;
		double end = 2.5 * t.length_ns;

		s.replay.loop = true;
		s.replay.split_functions = functions;
		ps_load_arrivals_init(&a, &s, 1, "t");
		for (size_t i = 0; i < 5000; i++)
			want[i] = ps_load_arrivals_next(&a);
		s.replay.parts = PARTS;
		for (s.replay.part = 0; s.replay.part < PARTS; s.replay.part++) {
			size_t before = n;
			char name[8];
			double at;

			assert_int_equal(ps_load_arrival_check(&s, (int64_t)end, NULL), PS_OK);
			snprintf(name, sizeof(name), "t%d", s.replay.part);
			ps_load_arrivals_init(&a, &s, 9, name);
			while ((at = ps_load_arrivals_next(&a)) < end)
				got[n++] = at;
			double expected = ps_load_arrival_expected(&s, end);
			/* functions: exactly; single arrivals: binomial(5000, 1/3), 33.3 */
			assert_true(fabs((double)(n - before) - expected) <=
				    (functions ? 0 : 4 * 33.3));
		}
		assert_int_equal(n, 5000);
		qsort(got, n, sizeof(got[0]), ks_compare);
		assert_memory_equal(got, want, n * sizeof(got[0]));
	}
	ps_load_trace_fini(&t);
}

static void the_fullest_stretch_is_found(void **state)
{
	struct ps_load_trace_options o = {.format = PS_LOAD_TRACE_TIMESTAMPS};
	struct ps_load_trace t = parsed("0\n1\n1.5\n1.9\n2\n5\n5\n5\n5\n9\n", &o);
	static const struct {
		double window_s;
		size_t most;
	} rows[] = {{1e-9, 4}, {0.45, 4}, {1, 4}, {1.01, 4}, {2.1, 5}, {3.6, 7}, {99, 10}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(ps_load_trace_most(&t, rows[i].window_s * SEC), rows[i].most);
	assert_int_equal(ps_load_trace_before(&t, 0), 0);
	assert_int_equal(ps_load_trace_before(&t, 5 * SEC), 5);
	assert_int_equal(ps_load_trace_before(&t, 5 * SEC + 1), 9);
	ps_load_trace_fini(&t);
}

static void what_cannot_be_replayed_is_refused(void **state)
{
	struct ps_load_trace_options gaps = {.format = PS_LOAD_TRACE_GAPS, .unit_ns = 1e9};
	struct ps_load_trace plain = parsed("1\n2\n", &gaps), flat = parsed("0\n0\n", &gaps);
	struct ps_load_trace_options minute = {.seed = 1};
	struct ps_load_trace crowd = parsed(HEAD_2019 "o,a,f,http,1000,0,0\n", &minute);
	const struct {
		struct ps_load_replay r;
		int64_t total_s;
		const char *what; /* NULL: fine */
	} rows[] = {
		{{.trace = &plain}, 3, NULL},
		{{.trace = &plain}, 4, "ends after 3.000 s"},
		{{.trace = &plain, .speed = 2}, 2, "ends after 1.500 s"},
		{{.trace = &plain, .loop = true}, 4000, NULL},
		{{.trace = &plain, .speed = -1}, 1, "speed"},
		{{.trace = &plain, .speed = NAN}, 1, "speed"},
		{{.trace = &plain, .speed = 1e7, .loop = true}, 1, NULL},
		{{.trace = &plain, .speed = 1e8, .loop = true}, 1, "offers over"},
		{{.trace = &plain, .part = 2, .parts = 2}, 1, "no part 3 of 2"},
		{{.trace = &plain, .part = -1, .parts = 2}, 1, "no part"},
		{{.trace = &plain, .parts = 2, .split_functions = true}, 1, "functions"},
		{{.trace = &flat}, 1, "ends after"},
		{{.trace = &flat, .loop = true}, 1, "loop"},
		{{.trace = &crowd}, 1, NULL},
		{{.trace = &crowd, .speed = 1e6, .loop = true}, 1, NULL},
		{{.trace = &crowd, .speed = 1e7, .loop = true}, 1, "offers over"},
		{{.trace = &crowd, .parts = 2, .part = 0, .split_functions = true}, 1, NULL},
		{{.trace = &crowd, .parts = 2, .part = 1, .split_functions = true}, 1, "empty"},
	};

	(void)state;
	int empty = -1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_arrival_spec s = {.kind = PS_LOAD_TRACE, .replay = rows[i].r};
		struct ps_error err = {0};
		enum ps_status st = ps_load_arrival_check(&s, rows[i].total_s * (int64_t)SEC, &err);

		/* Which of two parts the one function is of does not matter. */
		if (rows[i].r.trace == &crowd && rows[i].r.parts) {
			empty += st != PS_OK && strstr(err.what, "is empty");
			continue;
		}
		assert_int_equal(st, rows[i].what ? PS_EINVAL : PS_OK);
		if (rows[i].what && !strstr(err.what, rows[i].what))
			fail_msg("row %zu: '%s'", i, err.what);
	}
	assert_int_equal(empty, 0);
	ps_load_trace_fini(&plain);
	ps_load_trace_fini(&flat);
	ps_load_trace_fini(&crowd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_format_gives_its_instants),
		cmocka_unit_test(counts_become_instants_in_their_minute),
		cmocka_unit_test(instants_depend_on_function_minute_and_seed),
		cmocka_unit_test(hostile_files_are_refused_with_their_line),
		cmocka_unit_test(long_lines_and_nul_bytes_are_refused),
		cmocka_unit_test(files_are_read_once),
		cmocka_unit_test(a_replay_is_fast_slow_and_round),
		cmocka_unit_test(parts_make_the_whole),
		cmocka_unit_test(the_fullest_stretch_is_found),
		cmocka_unit_test(what_cannot_be_replayed_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
