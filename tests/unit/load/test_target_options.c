/* Options of targets: texts -> what a plan wants, or why not. */
#include "load/target_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

struct filled {
	struct ps_load_target_options o;
};

static const struct ps_conf_option rows[] = {
	PS_LOAD_URL_ROW(struct filled, o., "Never without."),
	PS_LOAD_TARGET_ROWS(struct filled, o.),
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "test",
	.summary = "A test.",
	.options = rows,
	.size = sizeof(struct filled),
	.where_offset = SIZE_MAX,
};

static enum ps_status make(const char *yaml, const char *dir, struct ps_arena *arena,
			   struct filled *f, struct ps_load_target_spec *s, struct ps_error *err)
{
	if (ps_conf_parse_yaml(&schema, yaml, strlen(yaml), "f", f, err) != PS_OK) {
		fail_msg("%s: %s", yaml, err->what);
	}
	return ps_load_target_from_options(&f->o, dir, arena, s, err);
}

static void the_table_is_sound(void **state)
{
	struct ps_error err = {0};

	(void)state;
	if (ps_conf_check_schema(&schema, &err) != PS_OK) {
		fail_msg("%s: %s", err.where, err.what);
	}
}

static void all_of_it(void **state)
{
	struct ps_load_target_spec s;
	struct ps_error err = {0};
	struct ps_arena arena;
	struct filled f;

	(void)state;
	ps_arena_init(&arena, 0);
	assert_int_equal(make("url: [\"http://a\", \"http://b\", \"http://c\"]\n"
			      "balance: least-outstanding\n"
			      "protocol: grpc-stream\n"
			      "streams: 7\n"
			      "tls-ca: ca.pem\n"
			      "tls-cert: /abs/own.pem\n"
			      "tls-key: own.key\n"
			      "mix: [big, \"small@3,weight=2.5,batch=8\"]\n"
			      "input-file: [x=in.npy, \"y=/abs/k=1.npy\", \"dir/a=b\"]\n"
			      "expect-file: out.npy\n"
			      "tolerance: 1e-3\n"
			      "check-share: 5%\n",
			      "/there", &arena, &f, &s, &err),
			 PS_OK);
	assert_int_equal(s.more_url_len, 2);
	assert_string_equal(s.more_urls[1], "http://c");
	assert_int_equal(s.balance, PS_LOAD_LEAST_OUTSTANDING);
	assert_int_equal(s.protocol, PS_LOAD_GRPC_STREAM);
	assert_int_equal(s.streams, 7);
	assert_string_equal(s.tls.ca_path, "/there/ca.pem");
	assert_string_equal(s.tls.certificate_path, "/abs/own.pem");
	assert_string_equal(s.tls.key_path, "/there/own.key");
	assert_int_equal(s.mix_len, 2);
	assert_string_equal(s.mix[0].model, "big");
	assert_null(s.mix[0].version);
	assert_true(s.mix[0].weight == 1 && s.mix[0].batch == 0);
	assert_string_equal(s.mix[1].model, "small");
	assert_string_equal(s.mix[1].version, "3");
	assert_true(s.mix[1].weight == 2.5 && s.mix[1].batch == 8);
	assert_int_equal(s.input_len, 3);
	assert_string_equal(s.inputs[0].tensor, "x");
	assert_string_equal(s.inputs[0].path, "/there/in.npy");
	assert_string_equal(s.inputs[1].tensor, "y");
	assert_string_equal(s.inputs[1].path, "/abs/k=1.npy");
	assert_null(s.inputs[2].tensor);
	assert_string_equal(s.inputs[2].path, "/there/dir/a=b");
	assert_null(s.expected[0].tensor);
	assert_true(s.tolerance == 1e-3 && s.check_share == 0.05);
	ps_conf_free(&schema, &f);
	ps_arena_fini(&arena);
}

static void nothing_given_is_nothing_asked(void **state)
{
	struct ps_load_target_spec s;
	struct ps_error err = {0};
	struct ps_arena arena;
	struct filled f;

	(void)state;
	ps_arena_init(&arena, 0);
	assert_int_equal(make("{}\n", NULL, &arena, &f, &s, &err), PS_OK);
	assert_int_equal(s.more_url_len + s.mix_len + s.input_len + s.expected_len, 0);
	assert_int_equal(s.protocol, PS_LOAD_HTTP1);
	assert_null(s.in_process);
	assert_true(s.check_share == 1 && s.tolerance == 0);
	ps_conf_free(&schema, &f);
	ps_arena_fini(&arena);
}

/* A name of the zoo is no file beside the load file. */
static void models_in_process(void **state)
{
	static const struct {
		const char *yaml, *want;
	} in[] = {
		{"in-process: resnet50\n", "resnet50"},
		{"in-process: m.onnx\n", "/there/m.onnx"},
		{"in-process: /m.synthetic.yaml\n", "/m.synthetic.yaml"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		struct ps_load_target_spec s;
		struct ps_error err = {0};
		struct ps_arena arena;
		struct filled f;

		ps_arena_init(&arena, 0);
		assert_int_equal(make(in[i].yaml, "/there", &arena, &f, &s, &err), PS_OK);
		assert_string_equal(s.in_process, in[i].want);
		ps_conf_free(&schema, &f);
		ps_arena_fini(&arena);
	}
}

static void mistakes(void **state)
{
	static const struct {
		const char *yaml, *what;
	} in[] = {
		{"mix: [\"a,b\"]\n", "'a,b' is no entry of a mix"},
		{"mix: [\"a,batch=0\"]\n", "no entry"},
		{"mix: [\"a,batch=1.5\"]\n", "no entry"},
		{"mix: [\"a,weight=-1\"]\n", "no entry"},
		{"mix: [\"a,weight=nan\"]\n", "no entry"},
		{"mix: [\"a,weight=1x\"]\n", "no entry"},
		{"mix: [\"@1\"]\n", "no entry"},
		{"mix: [\"a@\"]\n", "no entry"},
		{"mix: [\"a,\"]\n", "no entry"},
		{"input-file: [\"x=\"]\n", "names no tensor or no file"},
		{"input-file: [\"=f\"]\n", "names no tensor or no file"},
		{"tls-cert: a\n", "belong together"},
		{"tls-key: a\n", "belong together"},
		{"insecure: true\ntls-ca: a\n", "insecure"},
		{"in-process: m.onnx\nurl: [\"http://a\"]\n", "in-process"},
		{"in-process: m.onnx\nprotocol: grpc\n", "in-process"},
		{"in-process: m.onnx\nmix: [a]\n", "in-process"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		struct ps_load_target_spec s;
		struct ps_error err = {0};
		struct ps_arena arena;
		struct filled f;
		enum ps_status st;

		ps_arena_init(&arena, 0);
		st = make(in[i].yaml, NULL, &arena, &f, &s, &err);
		if (st != PS_EUSAGE || !strstr(err.what, in[i].what)) {
			fail_msg("row %zu: %d %s", i, st, err.what);
		}
		ps_conf_free(&schema, &f);
		ps_arena_fini(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_sound),
		cmocka_unit_test(all_of_it),
		cmocka_unit_test(nothing_given_is_nothing_asked),
		cmocka_unit_test(models_in_process),
		cmocka_unit_test(mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
