#include "unit/conf/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A file that must be refused, and what the error must say. */
static const struct {
	const char *text, *where, *what, *hint;
} refused[] = {
	{"rat: 5\n", "f.yaml:1:rat", "unknown key in sample", "did you mean rate?"},
	{"json: true\napikey: x\n", "f.yaml:2:apikey", "unknown key in sample",
	 "did you mean api_key?"},
	{"rate: 5\nrate: 6\n", "f.yaml:2:rate", "the key is given twice", ""},
	{"api-key: a\napi_key: b\n", "f.yaml:2:api_key", "the key is given twice", ""},
	{"rate: fast\n", "f.yaml:1:rate",
	 "'fast' is not a rate; write it like 20, 20/s, 90/min or 3600/h", ""},
	{"duration: 8\n", "f.yaml:1:duration",
	 "duration '8' has no unit; write it like 200ms or 8s", ""},
	{"threads: 65\n", "f.yaml:1:threads", "'65' is out of range: 1 to 64", ""},
	{"threads: [1]\n", "f.yaml:1:threads", "expected a single value, found a list", ""},
	{"threads:\n  a: 1\n", "f.yaml:2:threads",
	 "expected a single value, found a mapping of keys", ""},
	{"threads:\nrate: 5\n", "f.yaml:1:threads", "the key has no value", ""},
	{"url: ~\n", "f.yaml:1:url", "the key has no value", ""},
	{"json: yes\n", "f.yaml:1:json", "'yes' is neither true nor false", ""},
	{"slice: 3\n", "f.yaml:1:slice", "expected a mapping of keys, found a single value", ""},
	{"slice:\n  memory: 1GiB\n", "f.yaml:2:cpus", "the key is missing in the slice", ""},
	{"slice:\n  cpus: 0\n  cpu: 1\n", "f.yaml:3:cpu", "unknown key in the slice",
	 "did you mean cpus?"},
	{"tenants: {name: a}\n", "f.yaml:1:tenants", "expected a list, found a mapping of keys",
	 ""},
	{"tenants: []\n", "f.yaml:1:tenants", "0 given, allowed are 1 to 3", ""},
	{"tenants:\n- name: a\n- rate: 5\n", "f.yaml:3:name", "the key is missing in a tenant", ""},
	{"tenants:\n- name: a\n- b\n", "f.yaml:3:tenants",
	 "expected a mapping of keys, found a single value", ""},
	{"tenants:\n- name: a\n  sla: p95\n", "f.yaml:3:sla",
	 "'p95' is no part of an SLA; write it like p95<=200ms,success>=99%", ""},
	{"tenants:\n- name: a\n  keys: [a, b, c]\n", "f.yaml:3:keys", "3 given, allowed are 1 to 2",
	 ""},
	{"tenants:\n- name: a\n- name: b\n- name: c\n- name: d\n", "f.yaml:1:tenants",
	 "4 given, allowed are 1 to 3", ""},
	{"names: [[a]]\n", "f.yaml:1:names", "expected a single value, found a list", ""},
	{"- a\n", "f.yaml:1", "expected a mapping of keys, found a list", ""},
	{"just text\n", "f.yaml:1", "expected a mapping of keys, found a single value", ""},
	{"? [a]\n: b\n", "f.yaml:1", "expected a key, found a list", ""},
	{"url: &a x\n", "f.yaml:1", "anchors (&name) and tags (!name) are not allowed here", ""},
	{"url: !!str x\n", "f.yaml:1", "anchors (&name) and tags (!name) are not allowed here", ""},
	{"url: *a\n", "f.yaml:1", "aliases (*name) are not allowed here", ""},
	{"url: \"a\\0b\"\n", "f.yaml:1", "a value holds a NUL byte", ""},
	{"rate: 5\n---\nrate: 6\n", "f.yaml:2", "a second document (---) is not allowed here", ""},
	{"names: [5\n", "f.yaml:2:1",
	 "not valid YAML: did not find expected ',' or ']', while parsing a flow sequence", ""},
	{"\trate: 5\n", "f.yaml:1:1",
	 "not valid YAML: found character that cannot start any token, while scanning for the "
	 "next token",
	 ""},
	{"url: \xff\n", "f.yaml:byte 5", "not valid YAML: invalid leading UTF-8 octet", ""},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct sample s;
		struct ps_error err;

		assert_int_equal(ps_conf_parse_yaml(&sample_schema, refused[i].text,
						    strlen(refused[i].text), "f.yaml", &s, &err),
				 PS_EPARSE);
		assert_string_equal(err.where, refused[i].where);
		assert_string_equal(err.what, refused[i].what);
		assert_string_equal(err.hint, refused[i].hint);
		assert_int_equal(ps_conf_parse_yaml(&sample_schema, refused[i].text,
						    strlen(refused[i].text), "f.yaml", &s, NULL),
				 PS_EPARSE);
	}
}

static void parse(struct sample *s, const char *text, size_t len)
{
	struct ps_error err;
	char line[1000];

	if (ps_conf_parse_yaml(&sample_schema, text, len, "f.yaml", s, &err) != PS_OK)
		fail_msg("%s", ps_error_format(&err, line, sizeof line));
}

static const char good[] = "# a comment\n"
			   "json: true\n"
			   "api-key: \"null\"\n"
			   "sla: p95 <= 200ms, success >= 99%\n"
			   "names: [x, \"y z\", '']\n"
			   "slice:\n"
			   "  cpus: 0,2-3\n"
			   "tenants:\n"
			   "- {name: a, keys: one}\n"
			   "- name: b\n"
			   "  rate: 90/min\n"
			   "- name: >-\n"
			   "    folded\n"
			   "    name\n"
			   "  keys:\n"
			   "  - k1\n"
			   "  - k2\n";

static void test_every_shape(void **state)
{
	struct sample s;

	(void)state;
	parse(&s, good, strlen(good));
	assert_true(s.json);
	assert_string_equal(s.key, "null");
	assert_float_equal(s.sla.min_success, 0.99, 1e-12);
	assert_int_equal(s.names.len, 3);
	assert_string_equal(s.names.items[1], "y z");
	assert_string_equal(s.names.items[2], "");
	assert_int_equal(s.slice.where.line, 7);
	assert_int_equal(s.slice.where.column, 3);
	assert_true(ps_cpus_has(&s.slice.cpus, 3));
	assert_int_equal(s.slice.memory_bytes, 1 << 30);
	assert_int_equal(s.where.line, 2);

	const struct tenant *t = s.tenants.items;
	assert_int_equal(s.tenants.len, 3);
	assert_float_equal(t[0].rate, 5, 0); /* the default reaches list items */
	assert_int_equal(t[0].keys.len, 1);
	assert_int_equal(t[0].where.line, 9);
	assert_float_equal(t[1].rate, 1.5, 1e-12);
	assert_int_equal(t[1].where.line, 10);
	assert_string_equal(t[2].name, "folded name");
	assert_int_equal(t[2].keys.len, 2);
	ps_conf_free(&sample_schema, &s);
}

/* Cut anywhere, a file is read or refused, and leaks nothing (the sanitizer watches). */
static void test_truncated(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof good; n++) {
		struct sample s;
		struct ps_error err;
		char *exact = malloc(n + 1); /* no NUL behind: reads past the end show */

		memcpy(exact, good, n);
		if (ps_conf_parse_yaml(&sample_schema, exact, n, "f", &s, &err) == PS_OK)
			ps_conf_free(&sample_schema, &s);
		else
			assert_true(err.what[0] != '\0');
		free(exact);
	}
}

static void test_empty_file(void **state)
{
	static const char *const texts[] = {"", "# nothing\n", "---\n", "---\n...\n"};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct sample s;
		struct slice slice;
		struct ps_error err;

		parse(&s, texts[i], strlen(texts[i]));
		assert_int_equal(s.threads, 1);
		ps_conf_free(&sample_schema, &s);
		assert_int_equal(ps_conf_parse_yaml(&slice_schema, texts[i], strlen(texts[i]), "f",
						    &slice, &err),
				 PS_EPARSE);
		assert_string_equal(err.where, "f:1:cpus");
	}
}

static void test_limits(void **state)
{
	struct ps_strbuf big;
	struct ps_error err;
	struct sample s;

	(void)state;
	ps_strbuf_init(&big);
	ps_strbuf_puts(&big, "names: [");
	for (int i = 0; i < 100001; i++)
		ps_strbuf_puts(&big, "a,");
	ps_strbuf_puts(&big, "]\n");
	assert_int_equal(ps_conf_parse_yaml(&sample_schema, big.data, big.len, "f", &s, &err),
			 PS_ETOOBIG);
	assert_string_equal(err.what, "more than 100000 items");
	ps_strbuf_clear(&big);
	ps_strbuf_puts(&big, "url: x\n#");
	assert_int_equal(ps_strbuf_reserve(&big, 32 << 20), PS_OK);
	memset(big.data + big.len, 'c', (32 << 20) - big.len + 1);
	big.len = (32 << 20) + 1;
	big.data[big.len] = '\0';
	assert_int_equal(ps_conf_parse_yaml(&sample_schema, big.data, big.len, "f", &s, &err),
			 PS_EPARSE);
	assert_string_equal(err.what, "33554433 bytes, the limit is 33554432");
	ps_strbuf_fini(&big);
}

static void test_secret_stays_secret(void **state)
{
	static const struct ps_conf_option rows[] = {
		{.name = "pin", .type = PS_CONF_INT, .help = "Help.", .flags = PS_CONF_SECRET},
		{0},
	};
	static const struct ps_conf_schema schema = {
		.name = "s", .options = rows, .size = sizeof(int64_t), .where_offset = SIZE_MAX};
	struct ps_error err;
	int64_t pin;

	(void)state;
	assert_int_equal(ps_conf_parse_yaml(&schema, "pin: hunter2", 12, "f", &pin, &err),
			 PS_EPARSE);
	assert_null(strstr(err.what, "hunter2"));
}

static void test_load(void **state)
{
	char path[] = "/tmp/test_conf_XXXXXX";
	struct ps_error err;
	struct sample s;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "rate: x\n", 8), 8);
	close(fd);
	assert_int_equal(ps_conf_load_yaml(&sample_schema, path, &s, &err), PS_EPARSE);
	assert_int_equal(strncmp(err.where, path, strlen(path)), 0);
	assert_string_equal(err.where + strlen(path), ":1:rate");
	unlink(path);
	assert_int_equal(ps_conf_load_yaml(&sample_schema, path, &s, &err), PS_ENOTFOUND);
}

static void test_line_of_a_key(void **state)
{
	static const char text[] = "# a comment\n"
				   "name: x\n"
				   "list:\n"
				   "  - {server: 1}\n"
				   "  - server: 2\n"
				   "server:\n"
				   "  metrics: # none\n"
				   "    deep: 3\n"
				   "  'tls_ca': {flow: [1, {two: 2}],\n"
				   "             over: 4}\n"
				   "last: {here: 1}\n";
	static const struct {
		const char *path;
		int line;
	} rows[] = {
		{"name", 2},	       {"server", 6}, /* not those in the list */
		{"server.metrics", 7}, {"server.metrics.deep", 8},
		{"server.tls-ca", 9},  {"server.tls_ca.over", 10},
		{"last.here", 11},     {"server.nothing", 6},
		{"name.nothing", 2},   {"nothing", 0},
		{"serve", 0},	       {"server2", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int line = ps_conf_yaml_line(text, sizeof text - 1, rows[i].path);
		if (line != rows[i].line)
			fail_msg("'%s' is on line %d", rows[i].path, line);
	}
	for (size_t n = 0; n < sizeof text; n++) /* cut off anywhere */
		ps_conf_yaml_line(text, n, "server.tls_ca.over");
	assert_int_equal(ps_conf_yaml_line("- 1\n", 4, "a"), 0);
	assert_int_equal(ps_conf_yaml_line("{server: {url: x}}\n", 19, "server.url"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),	  cmocka_unit_test(test_every_shape),
		cmocka_unit_test(test_truncated), cmocka_unit_test(test_empty_file),
		cmocka_unit_test(test_limits),	  cmocka_unit_test(test_secret_stays_secret),
		cmocka_unit_test(test_load),	  cmocka_unit_test(test_line_of_a_key),
	};

	return cmocka_run_group_tests_name("conf/yaml", tests, NULL, NULL);
}
