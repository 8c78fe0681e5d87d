#include "unit/conf/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_ARGS = 12 };

static int count(char *const *argv)
{
	int n = 0;

	while (argv[n])
		n++;
	return n;
}

/* A line of arguments that must be refused, and what the error must say. */
static const struct {
	const char *argv[MAX_ARGS];
	const char *where, *what, *hint;
} refused[] = {
	{{"--rat", "5"}, "--rat", "unknown option", "did you mean --rate?"},
	{{"--arival=poisson"}, "--arival", "unknown option", "did you mean --arrival?"},
	{{"--api_key=x"}, "--api_key", "unknown option", "did you mean --api-key?"},
	{{"--zzz"}, "--zzz", "unknown option", ""},
	{{"-q"}, "-q", "unknown option", ""},
	{{"-tx"}, "-tx", "unknown option", ""},
	{{"--threads"}, "--threads", "a value is missing", ""},
	{{"--threads", "0"}, "--threads", "'0' is out of range: 1 to 64", ""},
	{{"--threads", "two"}, "--threads", "'two' is not a whole number", ""},
	{{"--threads", "18446744073709551615"},
	 "--threads",
	 "'18446744073709551615' is out of range: 1 to 64",
	 ""},
	{{"--threads", "-9223372036854775809"},
	 "--threads",
	 "'-9223372036854775809' is out of range: 1 to 64",
	 ""},
	{{"--threads=1", "-t", "2"}, "--threads", "given twice", ""},
	{{"--factor=0.5"}, "--factor", "'0.5' is out of range: at least 1", ""},
	{{"--duration=8"}, "--duration", "duration '8' has no unit; write it like 200ms or 8s", ""},
	{{"--duration=2h"}, "--duration", "'2h' is out of range: 1ms to 1h", ""},
	{{"--settle=soon"},
	 "--settle",
	 "'soon' is not a duration such as 200ms or 8s",
	 "it may also be auto"},
	{{"--settle=2m"}, "--settle", "'2m' is out of range: 0 to 1m", "it may also be auto"},
	{{"--limit=5Mi"},
	 "--limit",
	 "size '5Mi' has an unknown unit; write it like 512MiB or 2GiB",
	 ""},
	{{"--rate=5/day"},
	 "--rate",
	 "'5/day' is not a rate; write it like 20, 20/s, 90/min or 3600/h",
	 ""},
	{{"--rate", "-5"},
	 "--rate",
	 "'-5' is not a rate; write it like 20, 20/s, 90/min or 3600/h",
	 ""},
	{{"--ratio=1.5"}, "--ratio", "'1.5' is out of range: 0% to 100%", ""},
	{{"--ratio=many"}, "--ratio", "'many' is not a ratio; write it like 99% or 0.99", ""},
	{{"--arrival=poison"},
	 "--arrival",
	 "'poison' is none of poisson, constant",
	 "did you mean poisson?"},
	{{"--sla=95"},
	 "--sla",
	 "'95' is no part of an SLA; write it like p95<=200ms,success>=99%",
	 ""},
	{{"--cpus=3-1"}, "--cpus", "'3-1' is not a list of CPUs such as 0-3,6", ""},
	{{"--json=maybe"}, "--json", "'maybe' is neither true nor false", ""},
	{{"--no-rate"}, "--no-rate", "unknown option", ""},
	{{"--slice=x"}, "--slice", "can only be given in a file", ""},
	{{"--rest=x"}, "--rest", "unknown option", ""},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct sample s;
		struct ps_error err;
		bool help = true;
		char **argv = (char **)refused[i].argv;

		assert_int_equal(
			ps_conf_parse_args(&sample_schema, count(argv), argv, &s, &help, &err),
			PS_EUSAGE);
		assert_string_equal(err.where, refused[i].where);
		assert_string_equal(err.what, refused[i].what);
		assert_string_equal(err.hint, refused[i].hint);
		assert_int_equal(err.status, PS_EUSAGE);
		assert_false(help);
	}
}

static void parse(struct sample *s, char *const *argv)
{
	struct ps_error err;
	bool help = true;
	char text[1000];

	if (ps_conf_parse_args(&sample_schema, count(argv), (char **)argv, s, &help, &err) != PS_OK)
		fail_msg("%s", ps_error_format(&err, text, sizeof text));
	assert_false(help);
}

static void test_defaults(void **state)
{
	struct sample s;
	char *none[] = {NULL};

	(void)state;
	parse(&s, none);
	assert_false(s.json);
	assert_true(s.spin);
	assert_int_equal(s.threads, 1);
	assert_null(s.url);
	assert_int_equal(s.duration_ns, INT64_C(8000000000));
	assert_int_equal(s.arrival, 0);
	assert_false(ps_sla_is_set(&s.sla));
	assert_int_equal(s.names.len, 1);
	assert_string_equal(s.names.items[0], "first");
	assert_int_equal(s.slice.memory_bytes, 1 << 30);
	assert_int_equal(s.tenants.len, 0);
	assert_int_equal(s.rest.len, 0);
	ps_conf_free(&sample_schema, &s);
}

static void test_every_type(void **state)
{
	struct sample s;
	char *argv[] = {"--json",
			"--no-spin",
			"-t",
			"4",
			"--url=http://h:1",
			"--api-key",
			"-x",
			"--limit",
			"64KiB",
			"--rate",
			"90/min",
			"--ratio=99 %",
			"--arrival",
			"constant",
			"--sla",
			"p99<=150ms",
			"--cpus=0-1,3",
			"--names=a",
			"--names",
			"b",
			"resnet50",
			"--duration=90ms",
			"--",
			"--inception",
			NULL};

	(void)state;
	parse(&s, argv);
	assert_true(s.json);
	assert_false(s.spin);
	assert_int_equal(s.threads, 4);
	assert_string_equal(s.url, "http://h:1");
	assert_string_equal(s.key, "-x");
	assert_int_equal(s.limit_bytes, 65536);
	assert_float_equal(s.rate, 1.5, 1e-12);
	assert_float_equal(s.ratio, 0.99, 1e-12);
	assert_int_equal(s.arrival, 1);
	assert_float_equal(s.sla.percentile, 0.99, 1e-12);
	assert_int_equal(s.sla.limit_ns, 150000000);
	assert_int_equal(ps_cpus_count(&s.cpus), 3);
	assert_int_equal(s.names.len, 2); /* the default is replaced, not extended */
	assert_string_equal(s.names.items[1], "b");
	assert_int_equal(s.duration_ns, 90000000);
	assert_int_equal(s.rest.len, 2);
	assert_string_equal(s.rest.items[0], "resnet50");
	assert_string_equal(s.rest.items[1], "--inception");
	ps_conf_free(&sample_schema, &s);
}

static void test_words_in_place_of_numbers(void **state)
{
	static const struct {
		char *text;
		int64_t want;
	} rows[] = {{"auto", -1}, {"never", -2}, {"0", 0}, {"5s", INT64_C(5000000000)}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *argv[] = {"--settle", rows[i].text, NULL};
		struct sample s;

		parse(&s, argv);
		assert_int_equal(s.settle_ns, rows[i].want);
		ps_conf_free(&sample_schema, &s);
	}
}

static void test_help_checks_nothing(void **state)
{
	struct ps_error err;
	struct sample s;
	bool help = false;
	char *argv[] = {"--nonsense", "-h", NULL};
	char *literal[] = {"--", "--help", NULL};

	(void)state;
	assert_int_equal(ps_conf_parse_args(&sample_schema, 2, argv, &s, &help, &err), PS_OK);
	assert_true(help);
	ps_conf_free(&sample_schema, &s);
	parse(&s, literal);
	assert_string_equal(s.rest.items[0], "--help");
	ps_conf_free(&sample_schema, &s);
}

struct pair {
	char *from, *to;
};

static const struct ps_conf_option pair_rows[] = {
	ROW(struct pair, "from", PS_CONF_TEXT, from, .flags = PS_CONF_POSITIONAL | PS_CONF_REQUIRED,
	    .metavar = "FROM"),
	ROW(struct pair, "to", PS_CONF_TEXT, to, .flags = PS_CONF_POSITIONAL),
	{0},
};
static const struct ps_conf_schema pair_schema = {.name = "pair",
						  .options = pair_rows,
						  .size = sizeof(struct pair),
						  .where_offset = SIZE_MAX};

static void test_positionals(void **state)
{
	struct ps_error err;
	struct pair p;
	bool help;
	char *argv[] = {"a", "-", "c", NULL};

	(void)state;
	assert_int_equal(ps_conf_parse_args(&pair_schema, 2, argv, &p, &help, &err), PS_OK);
	assert_string_equal(p.from, "a");
	assert_string_equal(p.to, "-");
	ps_conf_free(&pair_schema, &p);
	assert_int_equal(ps_conf_parse_args(&pair_schema, 3, argv, &p, &help, &err), PS_EUSAGE);
	assert_string_equal(err.what, "unexpected argument 'c'");
	assert_int_equal(ps_conf_parse_args(&pair_schema, 0, argv, &p, &help, &err), PS_EUSAGE);
	assert_string_equal(err.where, "FROM");
	assert_string_equal(err.what, "missing");
	/* An error struct is optional. */
	assert_int_equal(ps_conf_parse_args(&pair_schema, 0, argv, &p, &help, NULL), PS_EUSAGE);
}

static void test_nearest(void **state)
{
	static const char *const names[] = {"duration", "rate", "arrival", "url"};
	static const struct {
		const char *word, *want;
	} rows[] = {
		{"rate", "rate"},
		{"rat", "rate"},
		{"rtae", "rate"},
		{"durration", "duration"},
		{"duratino", "duration"},
		{"arival", "arrival"},
		{"x", NULL},
		{"", NULL},
		{"uri", "url"},
		{"timeout", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *got = ps_conf_nearest(rows[i].word, names, 4);
		if (rows[i].want)
			assert_string_equal(got, rows[i].want);
		else
			assert_null(got);
	}
	char word[100];
	memset(word, 'r', 99);
	word[99] = '\0';
	assert_null(ps_conf_nearest(word, names, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_type),
		cmocka_unit_test(test_help_checks_nothing),
		cmocka_unit_test(test_positionals),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_words_in_place_of_numbers),
	};

	return cmocka_run_group_tests_name("conf/args", tests, NULL, NULL);
}
