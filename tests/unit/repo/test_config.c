/* config.pbtxt: what is read, what is warned about, what is refused and where. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "repo/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ps_repo_config parsed(const char *text)
{
	struct ps_repo_config c;
	struct ps_error err;
	char buf[1024];

	ps_error_clear(&err);
	if (ps_repo_config_parse(text, strlen(text), "c", &c, &err) != PS_OK)
		fail_msg("%s", ps_error_format(&err, buf, sizeof(buf)));
	return c;
}

static void a_whole_configuration_is_read(void **state)
{
	struct ps_repo_config c = parsed(
		"# as people write it\n"
		"name: \"resnet\"\n"
		"backend: 'onnxruntime' platform: \"onnxruntime\" \"_onnx\"\n"
		"default_model_filename: \"net.onnx\";\n"
		"max_batch_size: 16,\n"
		"input [\n"
		"  { name: \"x\" data_type: TYPE_FP32 dims: [ 3, 224, -1 ] format: FORMAT_NCHW },\n"
		"  { name: \"n\", data_type: TYPE_INT64, dims: 1, reshape { shape: [] },\n"
		"    optional: true }\n"
		"]\n"
		"output { name: \"y\" data_type: 11 dims: [1000] label_filename: \"l.txt\" }\n"
		"output < name: \"s\" data_type: TYPE_STRING dims: 2 dims: 0x3 >\n"
		"version_policy: { specific: { versions: [3, 1] } }\n"
		"dynamic_batching {\n"
		"  preferred_batch_size: [ 8, 4 ]\n"
		"  max_queue_delay_microseconds: 1500\n"
		"  preserve_ordering: true\n"
		"  priority_levels: 3 default_priority_level: 2\n"
		"  default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 7\n"
		"    allow_timeout_override: true max_queue_size: 9 }\n"
		"  priority_queue_policy { key: 3 value { default_timeout_microseconds: 8 } }\n"
		"  priority_queue_policy [ { key: 1 value: { max_queue_size: 1 } } ]\n"
		"}\n"
		"instance_group [ { count: 2 kind: KIND_GPU gpus: [ 1 ] } ]\n"
		"model_warmup { name: \"w\" batch_size: 4 count: 3 inputs { key: \"x\" value {\n"
		"  data_type: TYPE_FP32 dims: [3, 224, 224] random_data: true } } }\n"
		"parameters { key: \"max_run_ms\" value { string_value: \"250\" } }\n"
		"parameters: { key: \"a\\tb\" value: { string_value: \"\\x41\\102\" } }\n");

	(void)state;
	assert_string_equal(c.name, "resnet");
	assert_string_equal(c.backend, "onnxruntime");
	assert_string_equal(c.platform, "onnxruntime_onnx");
	assert_string_equal(c.filename, "net.onnx");
	assert_int_equal(c.max_batch_size, 16);
	assert_int_equal(c.n_inputs, 2);
	assert_int_equal(c.inputs[0].rank, 3);
	assert_int_equal(c.inputs[0].dims[2], -1);
	assert_true(c.inputs[1].reshaped && c.inputs[1].optional);
	assert_int_equal(c.inputs[1].reshape_rank, 0);
	assert_int_equal(c.n_outputs, 2);
	assert_int_equal(c.outputs[0].dtype, PS_DTYPE_FP32);
	assert_int_equal(c.outputs[1].dtype, PS_DTYPE_BYTES);
	assert_int_equal(c.outputs[1].rank, 2);
	assert_int_equal(c.outputs[1].dims[1], 3);
	assert_int_equal(c.policy.kind, PS_REPO_SPECIFIC);
	assert_int_equal(c.policy.versions[0], 3);
	assert_true(c.batching.on && c.batching.preserve_ordering && c.batching.queue.delay &&
		    c.batching.queue.allow_timeout_override);
	assert_int_equal(c.batching.preferred[0], 4);
	assert_int_equal(c.batching.preferred[1], 8);
	assert_int_equal(c.batching.max_delay_ns, 1500000);
	assert_int_equal(c.batching.default_priority_level, 2);
	assert_int_equal(c.batching.queue.default_timeout_ns, 7000);
	assert_int_equal(c.batching.queue.max_queue_size, 9);
	assert_int_equal(ps_repo_queue_policy_get(&c.batching, 1)->max_queue_size, 1);
	assert_int_equal(ps_repo_queue_policy_get(&c.batching, 2)->max_queue_size, 9);
	assert_int_equal(ps_repo_queue_policy_get(&c.batching, 3)->default_timeout_ns, 8000);
	assert_int_equal(c.instance_count, 2);
	assert_string_equal(c.device, "cuda:1");
	assert_int_equal(c.n_warmups, 1);
	assert_int_equal(c.warmups[0].count, 3);
	assert_int_equal(c.warmups[0].inputs[0].data, PS_REPO_WARMUP_RANDOM);
	assert_int_equal(c.max_run_ns, 250000000);
	assert_string_equal(c.parameters[1].key, "a\tb");
	assert_string_equal(c.parameters[1].value, "AB");
	assert_int_equal(c.n_warnings, 2);
	assert_string_equal(c.warnings[0], "c:7: format has no effect here");
	ps_repo_config_fini(&c);
}

static void an_empty_file_gives_the_defaults(void **state)
{
	struct ps_repo_config c = parsed(" \n# nothing\n"), d;

	(void)state;
	ps_repo_config_init(&d);
	assert_true(ps_repo_config_equal(&c, &d));
	assert_int_equal(c.policy.kind, PS_REPO_LATEST);
	assert_string_equal(c.device, "cpu");
	ps_repo_config_fini(&c);
}

static void a_copy_is_equal_and_of_its_own(void **state)
{
	struct ps_repo_config a = parsed(
		"max_batch_size: 4 input { name: \"x\" data_type: TYPE_BOOL dims: 1 } "
		"parameters { key: \"k\" value { string_value: \"v\" } } model_warmup { inputs { "
		"key: \"x\" value { data_type: TYPE_BOOL dims: 1 input_data_file: \"f\" } } } "
		"runtime: \"x\" dynamic_batching { priority_levels: 2 default_priority_level: 1 "
		"priority_queue_policy { key: 2 value { max_queue_size: 5 } } }");
	struct ps_repo_config b;

	(void)state;
	assert_int_equal(ps_repo_config_copy(&a, &b), PS_OK);
	assert_true(ps_repo_config_equal(&a, &b));
	b.parameters[0].value[0] = 'w';
	assert_false(ps_repo_config_equal(&a, &b));
	b.parameters[0].value[0] = 'v';
	b.warmups[0].inputs[0].file[0] = 'g';
	assert_false(ps_repo_config_equal(&a, &b));
	b.warmups[0].inputs[0].file[0] = 'f';
	b.batching.level_policies[0].queue.max_queue_size = 4;
	assert_false(ps_repo_config_equal(&a, &b));
	b.batching.level_policies[0].queue.max_queue_size = 5;
	assert_true(ps_repo_config_equal(&a, &b));
	b.inputs[0].dims[0] = 2;
	assert_false(ps_repo_config_equal(&a, &b));
	assert_int_equal(b.n_warnings, 1);
	ps_repo_config_fini(&a);
	ps_repo_config_fini(&b);
}

/* What is refused: the text, the status, the place, a part of what is said. */
static const struct {
	const char *text;
	enum ps_status status;
	const char *where, *what;
} bad[] = {
	{"nmae: \"x\"", PS_EPARSE, "c:1:7", "nmae: there is no such field"},
	{"name \"x\"", PS_EPARSE, "c:1:6", "':' or '{' is missing"},
	{"name: \"x", PS_EPARSE, "c:1:7", "no end on its line"},
	{"name: \"x\n\"", PS_EPARSE, "c:1:7", "no end on its line"},
	{"name: \"\\q\"", PS_EPARSE, "c:1:9", "escape"},
	{"name: \"a\" name: \"b\"", PS_EPARSE, "c:1:17", "given twice"},
	{"name: \"a/b\"", PS_EINVAL, "c", "cannot be a model's name"},
	{"name: \"..\"", PS_EINVAL, "c", "cannot be a model's name"},
	{"name: 7", PS_EPARSE, "c:1:7", "string in quotes"},
	{"name: \"a\\000b\"", PS_EPARSE, "c:1:7", "NUL"},
	{"name:", PS_EPARSE, "c:1:6", "value is missing"},
	{": 7", PS_EPARSE, "c:1:1", "name of a field is missing"},
	{"max_batch_size: 1e3", PS_EPARSE, "c:1:17", "whole number"},
	{"max_batch_size: -1", PS_EPARSE, "c:1:17", "not in 0..65536"},
	{"max_batch_size: 99999999999999999999", PS_EPARSE, "c:1:17", "not in"},
	{"\n  input {\n name: \"x\"", PS_EPARSE, "c:2:9", "never closed"},
	{"input { name: \"x\" }", PS_EINVAL, "c", "no data_type"},
	{"input { data_type: TYPE_FP32 }", PS_EINVAL, "c", "has no name"},
	{"input { name: \"x\" data_type: TYPE_FP33 }", PS_EPARSE, "c:1:30", "TYPE_FP33"},
	{"input { name: \"x\" data_type: TYPE_INVALID }", PS_EPARSE, "c:1:30", "no type"},
	{"input { name: \"x\" data_type: TYPE_FP32 dims: [1, 2 }", PS_EPARSE, "c:1:52", "']'"},
	{"input { name: \"x\" data_type: TYPE_FP32 dims: 0 }", PS_EINVAL, "c", "dimension"},
	{"input { name: \"x\" data_type: TYPE_FP32 dims: -2 }", PS_EPARSE, "c:1:46", "not in"},
	{"input { name: \"x\" data_type: TYPE_FP32 dims: [1,1,1,1,1,1,1,1,1] }", PS_ETOOBIG,
	 "c:1:63", "8 dimensions"},
	{"input { name: \"x\" data_type: TYPE_FP32 dims: 4 reshape { shape: [2, 3] } }", PS_EINVAL,
	 "c", "[4] and reshape [2,3]"},
	{"input { name: \"x\" data_type: TYPE_FP32 } input { name: \"x\" data_type: TYPE_FP32 }",
	 PS_EINVAL, "c", "two inputs"},
	{"input { name: \"x\" data_type: TYPE_FP32 allow_ragged_batch: true }", PS_EUNSUPPORTED,
	 "c:1:60", "allow_ragged_batch"},
	{"backend: \"tensorrt\"", PS_EUNSUPPORTED, "c:1:10", "tensorrt"},
	{"platform: \"pytorch_libtorch\"", PS_EUNSUPPORTED, "c:1:11", "pytorch_libtorch"},
	{"platform: \"ensemble\"", PS_EUNSUPPORTED, "c:1:11", "ensembles"},
	{"ensemble_scheduling { step [ { model_name: \"a\" } ] }", PS_EUNSUPPORTED, "c:1:21",
	 "ensembles"},
	{"max_batch_size: 2 dynamic_batching { priority_levels: 3 }", PS_EINVAL, "c",
	 "default_priority_level 0 is not in 1..3"},
	{"max_batch_size: 2 dynamic_batching { default_priority_level: 1 }", PS_EINVAL, "c",
	 "not in 1..0"},
	{"max_batch_size: 2 dynamic_batching { priority_levels: 1 default_priority_level: 1 "
	 "priority_queue_policy { key: 2 value { max_queue_size: 5 } } }",
	 PS_EINVAL, "c", "level 2 of a queue policy is not in 1..1"},
	{"max_batch_size: 2 dynamic_batching { priority_levels: 1 default_priority_level: 1 "
	 "priority_queue_policy { key: 1 value { } } priority_queue_policy { key: 1 } }",
	 PS_EINVAL, "c", "level 1 has two queue policies"},
	{"dynamic_batching { priority_queue_policy { key: 0 } }", PS_EPARSE, "c:1:49",
	 "not in 1.."},
	{"sequence_batching { }", PS_EUNSUPPORTED, "c:1:19", "sequences"},
	{"default_model_filename: \"../../etc/passwd\"", PS_EINVAL, "c", "plain file name"},
	{"version_policy { latest { num_versions: 0 } }", PS_EPARSE, "c:1:41", "not in"},
	{"version_policy { all { } latest { } }", PS_EPARSE, "c:1:16", "only one"},
	{"version_policy { specific { } }", PS_EINVAL, "c", "specific"},
	{"max_batch_size: 4 dynamic_batching { preferred_batch_size: [ 8 ] }", PS_EINVAL, "c",
	 "preferred_batch_size 8"},
	{"max_batch_size: 0 dynamic_batching { }", PS_EINVAL, "c", "max_batch_size over 0"},
	{"instance_group { kind: KIND_CPU gpus: 0 }", PS_EPARSE, "c:1:16", "exclude"},
	{"instance_group { kind: KIND_MODEL }", PS_EUNSUPPORTED, "c:1:24", "devices"},
	{"instance_group { count: 0 }", PS_EPARSE, "c:1:25", "not in"},
	{"parameters { key: \"a\" }", PS_EPARSE, "c:1:1", "key and value"},
	{"parameters { key: \"rnn\" value { string_value: \"int4\" } }", PS_EPARSE, "c:1:12",
	 "float32, bf16"},
	{"parameters { key: \"rnn_max_error\" value { string_value: \"-1\" } }", PS_EPARSE,
	 "c:1:12", "rnn_max_error"},
	{"parameters { key: \"rnn_calibration\" value { string_value: \"\" } }", PS_EPARSE,
	 "c:1:12", "rnn_calibration"},
	{"parameters { key: \"max_run_ms\" value { string_value: \"soon\" } }", PS_EPARSE, "c:1:12",
	 "max_run_ms"},
	{"model_warmup { inputs { key: \"x\" value { data_type: TYPE_FP32 dims: -1 } } }",
	 PS_EINVAL, "c", "fixed dims"},
	{"model_warmup { inputs { key: \"x\" value { data_type: TYPE_FP32 dims: 1 "
	 "input_data_file: \"../x\" } } }",
	 PS_EINVAL, "c", "plain name"},
	{"input 3", PS_EPARSE, "c:1:7", "':' or '{'"},
	{"input: 3", PS_EPARSE, "c:1:8", "message in braces"},
	{"optimization { graph { level: ] } }", PS_EPARSE, "c:1:31", "value is missing"},
};

static void mistakes_are_refused_at_their_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct ps_repo_config c;
		struct ps_error err;
		char buf[1024];
		enum ps_status st;

		ps_error_clear(&err);
		st = ps_repo_config_parse(bad[i].text, strlen(bad[i].text), "c", &c, &err);
		ps_error_format(&err, buf, sizeof(buf));
		if (st != bad[i].status || strcmp(err.where, bad[i].where) != 0 ||
		    !strstr(err.what, bad[i].what))
			fail_msg("%s\n\tgives %s: %s", bad[i].text, ps_status_name(st), buf);
	}
}

static void every_limit_is_held(void **state)
{
	struct ps_repo_config c;
	struct ps_error err;
	char *deep = malloc(40 * 3 + 1), *many = malloc(2 << 20);

	(void)state;
	assert_non_null(deep);
	assert_non_null(many);
	for (int i = 0; i < 40; i++)
		memcpy(deep + 3 * i, "a {", 4);
	assert_int_equal(ps_repo_config_parse(deep, strlen(deep), "c", &c, &err), PS_ETOOBIG);
	assert_non_null(strstr(err.what, "32 levels"));
	memset(many, '\n', 2 << 20);
	assert_int_equal(ps_repo_config_parse(many, 2 << 20, "c", &c, &err), PS_ETOOBIG);
	for (int i = 0; i < 110000; i++)
		memcpy(many + 4 * i, "a:1 ", 4);
	assert_int_equal(ps_repo_config_parse(many, 4 * 110000, "c", &c, &err), PS_ETOOBIG);
	assert_non_null(strstr(err.what, "100000"));
	free(deep);
	free(many);
}

/* ---- against the model ---- */

struct fit_row {
	const char *config;
	const char *what; /* "": it fits */
};

/* The model: x FP32 [-1,3,-1], n INT64 [-1,1] -> y FP32 [-1,10] */
static const struct fit_row fits[] = {
	{"", ""},
	{"max_batch_size: 8", ""},
	{"max_batch_size: 8 input { name: \"x\" data_type: TYPE_FP32 dims: [3, 224] } "
	 "input { name: \"n\" data_type: TYPE_INT64 dims: 1 reshape { shape: [1] } }",
	 ""},
	{"output { name: \"y\" data_type: TYPE_FP32 dims: [-1, 10] }", ""},
	{"output { name: \"y\" data_type: TYPE_FP32 dims: [4, 10] }", ""},
	{"output { name: \"z\" data_type: TYPE_FP32 dims: [-1, 10] }",
	 "names output \"z\", the model has: y"},
	{"output { name: \"y\" data_type: TYPE_FP64 dims: [-1, 10] }",
	 "\"y\" is FP64 in the configuration, but FP32 in the model"},
	{"output { name: \"y\" data_type: TYPE_FP32 dims: [-1, 11] }",
	 "[-1,11] in the configuration, but [-1,10] in the model"},
	{"max_batch_size: 2 output { name: \"y\" data_type: TYPE_FP32 dims: [-1, 10] }",
	 "[-1,-1,10] in the configuration (with the batch axis of max_batch_size), but [-1,10]"},
	{"input { name: \"x\" data_type: TYPE_FP32 dims: [-1, 3, 5] }",
	 "the model has input \"n\", the configuration names only 1 other"},
};

static void a_configuration_is_held_against_the_model(void **state)
{
	static const struct ps_tensor_spec in[] = {{"x", PS_DTYPE_FP32, 3, {-1, 3, -1}},
						   {"n", PS_DTYPE_INT64, 2, {-1, 1}}},
					   out[] = {{"y", PS_DTYPE_FP32, 2, {-1, 10}}};

	(void)state;
	for (size_t i = 0; i < sizeof(fits) / sizeof(*fits); i++) {
		struct ps_repo_config c = parsed(fits[i].config);
		struct ps_error err;
		enum ps_status st;

		ps_error_clear(&err);
		st = ps_repo_config_check(&c, in, 2, out, 1, &err);
		if (st != (fits[i].what[0] ? PS_EINVAL : PS_OK) || !strstr(err.what, fits[i].what))
			fail_msg("%s\n\tgives %s: %s", fits[i].config, ps_status_name(st),
				 err.what);
		ps_repo_config_fini(&c);
	}
}

static void a_batch_size_needs_an_open_axis(void **state)
{
	static const struct ps_tensor_spec in = {"x", PS_DTYPE_FP32, 2, {1, 3}};
	struct ps_repo_config c = parsed("max_batch_size: 8");
	struct ps_error err;

	(void)state;
	assert_int_equal(ps_repo_config_check(&c, &in, 1, NULL, 0, &err), PS_EINVAL);
	assert_non_null(strstr(err.what, "max_batch_size is 8"));
	assert_non_null(strstr(err.what, "[1,3]"));
	ps_repo_config_fini(&c);
}

static void devices_have_one_form(void **state)
{
	static const struct {
		const char *text, *device; /* NULL: refused */
	} rows[] = {{"cpu", "cpu"},
		    {"cuda", "cuda:0"},
		    {"cuda:0", "cuda:0"},
		    {"cuda:07", "cuda:7"},
		    {"cuda:63", "cuda:63"},
		    {"cuda:64", NULL},
		    {"cuda:", NULL},
		    {"cuda:-1", NULL},
		    {"cuda:1x", NULL},
		    {"gpu", NULL},
		    {"", NULL},
		    {"cuda: 1", NULL}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char device[PS_REPO_DEVICE_SIZE] = "";
		enum ps_status st = ps_repo_device_parse(rows[i].text, device, NULL);

		if (st != (rows[i].device ? PS_OK : PS_EINVAL) ||
		    (rows[i].device && strcmp(device, rows[i].device) != 0))
			fail_msg("%s -> %s", rows[i].text, device);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_configuration_is_read),
		cmocka_unit_test(an_empty_file_gives_the_defaults),
		cmocka_unit_test(a_copy_is_equal_and_of_its_own),
		cmocka_unit_test(mistakes_are_refused_at_their_place),
		cmocka_unit_test(every_limit_is_held),
		cmocka_unit_test(a_configuration_is_held_against_the_model),
		cmocka_unit_test(a_batch_size_needs_an_open_axis),
		cmocka_unit_test(devices_have_one_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
