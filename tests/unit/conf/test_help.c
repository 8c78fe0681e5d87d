#include "unit/conf/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_lines_fit(void **state)
{
	static const int widths[] = {40, 60, 80, 100};

	(void)state;
	for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
		struct ps_strbuf out;
		ps_strbuf_init(&out);
		ps_conf_help(&sample_schema, widths[i], &out);
		ps_conf_help_file(&sample_schema, widths[i], &out);
		for (const char *p = out.data; *p;) {
			size_t n = strcspn(p, "\n");
			if (ps_conf_columns(p, n) > (size_t)widths[i])
				fail_msg("%d columns: %.*s", widths[i], (int)n, p);
			p += n + (p[n] == '\n');
		}
		ps_strbuf_fini(&out);
	}
}

/* Every row shows up in all four texts, with what it knows. */
static void test_everything_is_said(void **state)
{
	static const char *const said[] = {
		"Usage: sample [OPTIONS] [MODEL...]\n",
		"  -t, --threads N         Help of threads. (1 to 64; default 1)\n",
		"  --arrival CHOICE        Help of arrival. (one of poisson, constant)\n",
		"(on unless --no-spin)",
		"  --settle TIME           Help of settle. (or auto, never; 0 to 1m; default 2s)\n",
		"\n  kept   as   it is\n",
		"\nExamples:\n  sample --rate 20 resnet50\n  sample -t 2\n",
		"  -h, --help              Show this text.\n",
	};
	struct ps_strbuf out;

	(void)state;
	ps_strbuf_init(&out);
	ps_conf_help(&sample_schema, 80, &out);
	for (size_t i = 0; i < sizeof said / sizeof *said; i++)
		if (!strstr(out.data, said[i]))
			fail_msg("missing: %s\nin:\n%s", said[i], out.data);
	assert_null(strstr(out.data, "--tenants")); /* for files only */
	ps_strbuf_clear(&out);
	ps_conf_help_file(&sample_schema, 80, &out);
	assert_non_null(strstr(out.data, "  tenants:"));
	assert_non_null(strstr(out.data, "    sla: SLA"));
	ps_strbuf_clear(&out);
	ps_conf_reference(&sample_schema, &out);
	assert_non_null(strstr(out.data, "### `tenants[]`"));
	assert_non_null(strstr(out.data, "| `api_key` | text | Help of api-key. |"));
	ps_strbuf_clear(&out);
	ps_conf_reference_args(&sample_schema, &out);
	assert_non_null(strstr(out.data, "## `sample`\n\nA sample of every type.\n"));
	assert_non_null(strstr(out.data, "| `-t, --threads N` | Help of threads. (1 to 64; default "
					 "1) |\n"));
	assert_null(strstr(out.data, "tenants"));
	ps_strbuf_fini(&out);
}

/* Groups follow each other in the order of the rows; --help ends the first one. */
static void test_headings(void **state)
{
	static const struct ps_conf_option rows[] = {
		{.name = "a", .type = PS_CONF_TEXT, .help = "A."},
		{.name = "b", .type = PS_CONF_TEXT, .help = "B.", .heading = "Second"},
		{.name = "c", .type = PS_CONF_TEXT, .help = "C."},
		{0},
	};
	static const struct ps_conf_schema schema = {
		.name = "s", .options = rows, .size = sizeof(char *), .where_offset = SIZE_MAX};
	struct ps_strbuf out;

	(void)state;
	ps_strbuf_init(&out);
	ps_conf_help(&schema, 80, &out);
	assert_string_equal(out.data, "Usage: s [OPTIONS]\n"
				      "\n"
				      "Options:\n"
				      "  --a TEXT                A.\n"
				      "  -h, --help              Show this text.\n"
				      "\n"
				      "Second:\n"
				      "  --b TEXT                B.\n"
				      "  --c TEXT                C.\n");
	ps_strbuf_clear(&out);
	ps_conf_man(&schema, &out);
	assert_non_null(strstr(out.data, "A.\n.PP\nSecond:\n.TP\n\\fB\\-\\-b TEXT"));
	ps_strbuf_clear(&out);
	ps_conf_reference_args(&schema, &out);
	assert_non_null(strstr(out.data, "| `--a TEXT` | A. |\n"
					 "\n"
					 "Second:\n"
					 "\n"
					 "| option | meaning |\n"
					 "|---|---|\n"
					 "| `--b TEXT` | B. |\n"
					 "| `--c TEXT` | C. |\n"));
	ps_strbuf_fini(&out);
}

static void test_roff_is_escaped(void **state)
{
	static const struct ps_conf_option rows[] = {
		{.name = "a-b", .type = PS_CONF_TEXT, .help = ".starts with a dot\\", .def = "'x"},
		{0},
	};
	static const struct ps_conf_schema schema = {
		.name = "s", .options = rows, .size = sizeof(char *), .where_offset = SIZE_MAX};
	struct ps_strbuf out;

	(void)state;
	ps_strbuf_init(&out);
	ps_conf_man(&schema, &out);
	assert_non_null(strstr(out.data, ".TP\n\\fB\\-\\-a\\-b TEXT\\fR\n\\&.starts with a dot\\e "
					 "(default 'x)\n"));
	ps_strbuf_fini(&out);
}

static void test_wrap(void **state)
{
	static const struct {
		const char *text;
		size_t at, indent, width;
		const char *want;
	} rows[] = {
		{"", 0, 0, 10, "\n"},
		{"one two three", 0, 2, 7, "one two\n  three\n"},
		{"one two three", 4, 4, 7, "one\n    two\n    three\n"},
		{"a verylongwordindeed b", 0, 0, 6, "a\nverylongwordindeed\nb\n"},
		{"\xc3\xa4\xc3\xb6 \xc3\xbc", 0, 0, 4, "\xc3\xa4\xc3\xb6 \xc3\xbc\n"},
		{"a\nb   c", 0, 0, 80, "a b c\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ps_strbuf out;
		ps_strbuf_init(&out);
		ps_conf_wrap(&out, rows[i].text, strlen(rows[i].text), rows[i].at, rows[i].indent,
			     rows[i].width);
		assert_string_equal(out.data, rows[i].want);
		ps_strbuf_fini(&out);
	}
}

#define ONE(...)                                                                                   \
	{                                                                                          \
		{.name = "value", .type = PS_CONF_INT, .help = "Help.", __VA_ARGS__},              \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}

static void test_broken_tables(void **state)
{
	static const struct ps_conf_option tables[][2] = {
		ONE(.def = "x"),
		ONE(.def = "5", .min = 6, .max = 7),
		ONE(.offset = 4),
		{{.name = "value", .type = PS_CONF_REAL, .choices = arrivals, .help = "Help."},
		 {0}},
		{{.name = "value", .type = PS_CONF_ENUM, .help = "Help."}, {0}},
		ONE(.section = &slice_schema),
		ONE(.def = "5", .flags = PS_CONF_REQUIRED),
		{{.name = "bad_name", .type = PS_CONF_INT, .help = "Help."}, {0}},
		{{.name = "value", .type = PS_CONF_INT}, {0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		const struct ps_conf_schema schema = {
			.name = "s", .options = tables[i], .size = 8, .where_offset = SIZE_MAX};
		struct ps_error err;
		assert_int_equal(ps_conf_check_schema(&schema, &err), PS_EINTERNAL);
	}
	assert_int_equal(ps_conf_check_schema(&sample_schema, NULL), PS_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_fit), cmocka_unit_test(test_everything_is_said),
		cmocka_unit_test(test_headings),  cmocka_unit_test(test_roff_is_escaped),
		cmocka_unit_test(test_wrap),	  cmocka_unit_test(test_broken_tables),
	};

	return cmocka_run_group_tests_name("conf/help", tests, NULL, NULL);
}
