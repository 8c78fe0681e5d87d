/* Small messages in both forms: methods, health, metadata, repository, statistics, configuration,
 * reflection. The protobuf that is compared was made by Python's protobuf from Triton's schemas. */
#include "oip/grpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check_hex(struct ps_strbuf *out, const char *want)
{
	char *hex = malloc(2 * out->len + 1);
	assert_int_equal(ps_strbuf_status(out), PS_OK);
	hex[0] = '\0';
	for (size_t i = 0; i < out->len; i++)
		sprintf(hex + 2 * i, "%02x", (unsigned char)out->data[i]);
	assert_string_equal(hex, want);
	free(hex);
	ps_strbuf_fini(out);
}

static void check_text(struct ps_strbuf *out, const char *want)
{
	json_t *v = json_loadb(out->data, out->len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(v);
	json_decref(v);
	assert_string_equal(out->data, want);
	ps_strbuf_fini(out);
}

static size_t unhex(const char *hex, unsigned char *out)
{
	size_t n = strlen(hex) / 2;
	for (size_t i = 0; i < n; i++) {
		unsigned v;
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
		out[i] = (unsigned char)v;
	}
	return n;
}

/* --- methods --- */

static void methods_are_found(void **state)
{
	(void)state;
	enum ps_oip_route r;
	int n = 0;
	for (int i = 0; i < PS_OIP_ROUTE_COUNT; i++) {
		const char *path = ps_oip_grpc_path((enum ps_oip_route)i);
		assert_true(ps_oip_route_name((enum ps_oip_route)i)[0]);
		if (!path)
			continue;
		n++;
		assert_int_equal(ps_oip_grpc_parse_path(path, &r, NULL), PS_OK);
		assert_int_equal(r, i);
	}
	assert_int_equal(n, 16);
	static const char *const unknown[] = {"",
					      "/",
					      "/inference.GRPCInferenceService/",
					      "/inference.GRPCInferenceService/ModelLoad",
					      "/inference.grpcinferenceservice/ModelInfer",
					      "inference.GRPCInferenceService/ModelInfer"};
	for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
		assert_int_equal(ps_oip_grpc_parse_path(unknown[i], &r, NULL), PS_EUNSUPPORTED);
	assert_true(ps_oip_grpc_client_streams(PS_OIP_INFER_STREAM));
	assert_false(ps_oip_grpc_client_streams(PS_OIP_HEALTH_WATCH));
	assert_true(ps_oip_grpc_is_service(""));
	assert_true(ps_oip_grpc_is_service("inference.GRPCInferenceService"));
	assert_true(ps_oip_grpc_is_service("grpc.health.v1.Health"));
	assert_false(ps_oip_grpc_is_service("inference"));
	assert_false(ps_oip_grpc_is_service("inference.GRPCInferenceService/"));
}

static const struct {
	enum ps_oip_route route;
	const char *message; /* hex */
	enum ps_status status;
	const char *model, *version; /* or what the error says */
} targets[] = {
	{PS_OIP_LIVE, "", PS_OK, "", ""},
	{PS_OIP_LIVE, "0a0161", PS_OK, "", ""}, /* unknown fields */
	{PS_OIP_LIVE, "0a05", PS_EPARSE, "the message is no ", ""},
	{PS_OIP_MODEL_READY, "0a016d120131", PS_OK, "m", "1"},
	{PS_OIP_MODEL_METADATA, "0a016d", PS_OK, "m", ""},
	{PS_OIP_MODEL_CONFIG, "120131", PS_EINVAL, "the model name is missing", ""},
	{PS_OIP_STATISTICS, "", PS_OK, "", ""},
	{PS_OIP_STATISTICS, "0a016d", PS_OK, "m", ""},
	{PS_OIP_MODEL_READY, "0a022e2e", PS_EINVAL, "the model name is '..'", ""},
	{PS_OIP_MODEL_READY, "0a03612f62", PS_EINVAL, "the model name holds a slash", ""},
	{PS_OIP_MODEL_READY, "0a01ff", PS_EINVAL, "the model name is not UTF-8", ""},
	{PS_OIP_MODEL_READY, "0a016d12022e2e", PS_EINVAL, "the model version is '..'", ""},
	{PS_OIP_HEALTH_CHECK, "", PS_OK, "", ""},
	{PS_OIP_HEALTH_WATCH, "0a0161", PS_OK, "a", ""},
	{PS_OIP_INFER, "", PS_EINTERNAL, "", ""},
};

static void targets_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
		unsigned char message[64];
		struct ps_oip_target t;
		struct ps_error err;
		size_t n = unhex(targets[i].message, message);
		enum ps_status s = ps_oip_grpc_parse_target(targets[i].route, message, n, &t, &err);
		if (s != targets[i].status)
			fail_msg("%zu: got %s", i, ps_status_name(s));
		assert_int_equal(t.route, targets[i].route);
		if (s != PS_OK)
			assert_non_null(strstr(err.what, targets[i].model));
		assert_string_equal(t.model, s == PS_OK ? targets[i].model : "");
		assert_string_equal(t.version, targets[i].version);
	}
}

static void large_messages_are_refused(void **state)
{
	(void)state;
	struct ps_oip_target t;
	char *message = calloc(1, PS_OIP_MAX_SMALL_MESSAGE + 1);
	assert_int_equal(ps_oip_grpc_parse_target(PS_OIP_LIVE, message,
						  PS_OIP_MAX_SMALL_MESSAGE + 1, &t, NULL),
			 PS_ETOOBIG);
	free(message);
}

static void health(void **state)
{
	(void)state;
	struct ps_strbuf out;
	ps_strbuf_init(&out);
	ps_oip_grpc_build_health(PS_OIP_SERVING, &out);
	check_hex(&out, "0801");
	ps_strbuf_init(&out);
	ps_oip_grpc_build_health(PS_OIP_NOT_SERVING, &out);
	check_hex(&out, "0802");
}

/* --- metadata --- */

static void metadata(void **state)
{
	(void)state;
	struct ps_strbuf out;
	static const char *const extensions[] = {"a", "b"}, *const versions[] = {"1", "2"};
	const struct ps_oip_server_metadata s = {"perseus", "1", extensions, 2};
	const struct ps_tensor_spec in = {"x", PS_DTYPE_FP32, 2, {-1, 3}};
	const struct ps_tensor_spec o = {.name = "y", .dtype = PS_DTYPE_BYTES};
	const struct ps_oip_model_metadata m = {"m", versions, 2, "p", &in, &o, 1, 1};
	ps_strbuf_init(&out);
	ps_oip_build_live(true, PS_OIP_PROTOBUF, &out);
	check_hex(&out, "0801");
	ps_oip_build_ready(true, PS_OIP_PROTOBUF, &out);
	check_hex(&out, "0801");
	ps_oip_build_model_ready("m", false, PS_OIP_PROTOBUF, &out);
	check_hex(&out, "");
	ps_oip_build_server_metadata(&s, PS_OIP_PROTOBUF, &out);
	check_hex(&out, "0a07706572736575731201311a01611a0162");
	ps_oip_build_model_metadata(&m, PS_OIP_PROTOBUF, &out);
	check_hex(&out, "0a016d1201311201321a017022160a01781204465033321a0bffffffffffffffffff0103"
			"2a0a0a017912054259544553");
}

static void extensions_are_what_is_there(void **state)
{
	(void)state;
	static const char *const want[] = {
		"binary_tensor_data",  "parameters",
		"model_repository",    "model_repository(unload_dependents)",
		"model_configuration", "schedule_policy",
		"statistics"};
	assert_int_equal(ps_oip_n_extensions, 7);
	for (int i = 0; i < 7; i++)
		assert_string_equal(ps_oip_extensions[i], want[i]);
}

/* --- repository --- */

static void the_index(void **state)
{
	(void)state;
	struct ps_strbuf out;
	static const struct ps_oip_index_row rows[] = {{"a", "1", "READY", "", NULL},
						       {"b", "", NULL, "", NULL},
						       {"c", "2", "UNAVAILABLE", "broken", NULL}};
	static const struct ps_oip_index_row there = {"d", "1", "READY", "", "on disk"};
	ps_strbuf_init(&out);
	ps_oip_build_index(rows, 3, PS_OIP_PROTOBUF, &out);
	check_hex(&out, "0a0d0a01611201311a0552454144590a030a01620a1b0a01631201321a0b554e4156"
			"41494c41424c45220662726f6b656e");
	ps_oip_build_index(rows, 3, PS_OIP_JSON, &out);
	check_text(&out, "[{\"name\":\"a\",\"version\":\"1\",\"state\":\"READY\"},{\"name\":\"b\"},"
			 "{\"name\":\"c\",\"version\":\"2\",\"state\":\"UNAVAILABLE\",\"reason\":"
			 "\"broken\"}]");
	ps_oip_build_index(&there, 1, PS_OIP_JSON, &out);
	check_text(&out, "[{\"name\":\"d\",\"version\":\"1\",\"state\":\"READY\",\"residency\":"
			 "\"on disk\"}]");
	ps_oip_build_index(NULL, 0, PS_OIP_JSON, &out);
	check_text(&out, "[]");
	ps_oip_build_index(NULL, 0, PS_OIP_PROTOBUF, &out);
	check_hex(&out, "");
}

static const struct {
	enum ps_oip_route route;
	const char *body;
	enum ps_status status;
	const char *config; /* or what the error says */
	bool ready, dependents;
} bodies[] = {
	{PS_OIP_REPOSITORY_INDEX, "", PS_OK, NULL, false, false},
	{PS_OIP_REPOSITORY_INDEX, "{}", PS_OK, NULL, false, false},
	{PS_OIP_REPOSITORY_INDEX, "{\"ready\":true}", PS_OK, NULL, true, false},
	{PS_OIP_REPOSITORY_INDEX, "{\"ready\":1}", PS_EINVAL, "'ready'", false, false},
	{PS_OIP_REPOSITORY_INDEX, "[]", PS_EINVAL, "no JSON object", false, false},
	{PS_OIP_REPOSITORY_INDEX, "{", PS_EPARSE, "", false, false},
	{PS_OIP_LOAD, "", PS_OK, NULL, false, false},
	{PS_OIP_LOAD, "{\"parameters\":{\"config\":\"{}\"}}", PS_OK, "{}", false, false},
	{PS_OIP_LOAD, "{\"parameters\":{\"config\":{}}}", PS_EINVAL, "'config' must be", false,
	 false},
	{PS_OIP_LOAD, "{\"parameters\":[]}", PS_EINVAL, "'parameters'", false, false},
	{PS_OIP_LOAD, "{\"parameters\":{\"file:1/model.onnx\":\"AA==\"}}", PS_EUNSUPPORTED,
	 "'file:1/model.onnx'", false, false},
	{PS_OIP_LOAD, "{\"parameters\":{\"other\":1}}", PS_EUNSUPPORTED, "'other'", false, false},
	{PS_OIP_UNLOAD, "{\"parameters\":{\"unload_dependents\":true}}", PS_OK, NULL, false, true},
	{PS_OIP_UNLOAD, "{\"parameters\":{\"unload_dependents\":\"yes\"}}", PS_EINVAL,
	 "true or false", false, false},
	{PS_OIP_UNLOAD, "{\"parameters\":{\"config\":\"{}\"}}", PS_EUNSUPPORTED, "'config'", false,
	 false},
};

static void repository_bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
		struct ps_arena a;
		struct ps_oip_repository_request r;
		struct ps_error err = {0};
		ps_arena_init(&a, 0);
		enum ps_status s = ps_oip_parse_repository(bodies[i].route, bodies[i].body,
							   strlen(bodies[i].body), &a, &r, &err);
		if (s != bodies[i].status || (s != PS_OK && !strstr(err.what, bodies[i].config)))
			fail_msg("%s: got %s '%s'", bodies[i].body, ps_status_name(s), err.what);
		if (s == PS_OK) {
			assert_int_equal(r.ready_only, bodies[i].ready);
			assert_int_equal(r.unload_dependents, bodies[i].dependents);
			assert_int_equal(r.config != NULL, bodies[i].config != NULL);
			assert_true(!r.config || strcmp(r.config, bodies[i].config) == 0);
		}
		ps_arena_fini(&a);
	}
}

static const struct {
	enum ps_oip_route route;
	const char *message; /* hex */
	enum ps_status status;
	const char *model, *repository;
	const char *config; /* or what the error says */
	bool ready, dependents;
} messages[] = {
	{PS_OIP_REPOSITORY_INDEX, "1001", PS_OK, "", "", NULL, true, false},
	{PS_OIP_REPOSITORY_INDEX, "0a0172", PS_OK, "", "r", NULL, false, false},
	{PS_OIP_LOAD, "0a017212016d1a0e0a06636f6e66696712041a027b7d", PS_OK, "m", "r", "{}", false,
	 false},
	{PS_OIP_LOAD, "12016d1a180a1166696c653a312f6d6f64656c2e6f6e6e781203220178", PS_EUNSUPPORTED,
	 "", "", "'file:1/model.onnx'", false, false},
	{PS_OIP_LOAD, "", PS_EINVAL, "", "", "the model name is missing", false, false},
	{PS_OIP_LOAD, "12022e2e", PS_EINVAL, "", "", "the model name is '..'", false, false},
	{PS_OIP_LOAD, "12", PS_EPARSE, "", "", "no RepositoryModelLoadRequest", false, false},
	{PS_OIP_UNLOAD, "12016d1a170a11756e6c6f61645f646570656e64656e747312020801", PS_OK, "m", "",
	 NULL, false, true},
};

static void repository_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
		unsigned char message[256];
		struct ps_arena a;
		struct ps_oip_repository_request r;
		struct ps_oip_target t;
		struct ps_error err = {0};
		size_t n = unhex(messages[i].message, message);
		ps_arena_init(&a, 0);
		enum ps_status s = ps_oip_grpc_parse_repository(messages[i].route, message, n, &a,
								&t, &r, &err);
		if (s != messages[i].status ||
		    (s != PS_OK && !strstr(err.what, messages[i].config)))
			fail_msg("%zu: got %s '%s'", i, ps_status_name(s), err.what);
		assert_string_equal(t.model, messages[i].model);
		assert_string_equal(t.repository, messages[i].repository);
		if (s == PS_OK) {
			assert_int_equal(r.ready_only, messages[i].ready);
			assert_int_equal(r.unload_dependents, messages[i].dependents);
			assert_true(messages[i].config ? strcmp(r.config, messages[i].config) == 0
						       : !r.config);
		}
		ps_arena_fini(&a);
	}
}

/* --- statistics --- */

static void statistics(void **state)
{
	(void)state;
	struct ps_strbuf out;
	const struct ps_oip_batch_statistics batch = {2, {1, 1}, {2, 2}, {3, 3}};
	const struct ps_oip_memory_usage memory[] = {{"CPU", 0, 5000}, {"GPU", 1, 7}};
	const struct ps_oip_statistics m = {.name = "m",
					    .version = "1",
					    .last_inference_ms = 1700000000123,
					    .inference_count = 9,
					    .execution_count = 4,
					    .success = {1, 2},
					    .fail = {3, 4},
					    .queue = {5, 6},
					    .compute_input = {7, 8},
					    .compute_infer = {9, 10},
					    .compute_output = {11, 12},
					    .cache_miss = {0, UINT64_C(1) << 40},
					    .batches = &batch,
					    .n_batches = 1,
					    .memory = memory,
					    .n_memory = 2};
	ps_strbuf_init(&out);
	ps_oip_build_statistics(&m, 1, PS_OIP_PROTOBUF, &out);
	check_hex(&out, "0a6d0a016d12013118fbd095ffbc3120092804322f0a04080110021204080310041a0408"
			"05100622040807"
			"10082a040809100a3204080b100c3a004207108080808080203a1408021204080110011a"
			"04080210022204"
			"08031003"
			"42080a0343505518882742090a0347505510011807");
	ps_oip_build_statistics(&m, 1, PS_OIP_JSON, &out);
	check_text(&out,
		   "{\"model_stats\":[{\"name\":\"m\",\"version\":\"1\",\"last_inference\":"
		   "1700000000123,\"inference_count\":9,\"execution_count\":4,\"inference_stats\":"
		   "{\"success\":{\"count\":1,\"ns\":2},\"fail\":{\"count\":3,\"ns\":4},\"queue\":"
		   "{\"count\":5,\"ns\":6},\"compute_input\":{\"count\":7,\"ns\":8},"
		   "\"compute_infer\":{\"count\":9,\"ns\":10},\"compute_output\":{\"count\":11,"
		   "\"ns\":12},\"cache_hit\":{\"count\":0,\"ns\":0},\"cache_miss\":{\"count\":0,"
		   "\"ns\":1099511627776}},\"response_stats\":{},\"batch_stats\":[{\"batch_size\":"
		   "2,\"compute_input\":{\"count\":1,\"ns\":1},\"compute_infer\":{\"count\":2,"
		   "\"ns\":2},\"compute_output\":{\"count\":3,\"ns\":3}}],\"memory_usage\":["
		   "{\"type\":\"CPU\",\"id\":0,\"byte_size\":5000},{\"type\":\"GPU\",\"id\":1,"
		   "\"byte_size\":7}]}]}");
	ps_oip_build_statistics(NULL, 0, PS_OIP_JSON, &out);
	check_text(&out, "{\"model_stats\":[]}");
}

/* --- configuration --- */

static void configuration(void **state)
{
	(void)state;
	struct ps_strbuf out;
	static const int32_t gpus[] = {0, 1}, preferred[] = {4, 8};
	const struct ps_oip_config_tensor in = {.name = "x",
						.dtype = PS_DTYPE_FP32,
						.rank = 2,
						.dims = {3, -1},
						.has_reshape = true,
						.reshape_rank = 1,
						.reshape = {3},
						.optional = true};
	const struct ps_oip_config_tensor o = {
		.name = "y", .dtype = PS_DTYPE_BYTES, .rank = 1, .dims = {1}};
	const struct ps_oip_instance_group group = {"g", PS_OIP_KIND_GPU, 2, gpus, 2};
	const struct ps_oip_level_policy level = {2, {false, 7, false, 8}};
	const struct ps_oip_dynamic_batching batching = {
		preferred, 2, 100, false, {true, 5, true, 6}, 3, 1, &level, 1};
	const struct ps_oip_config_parameter parameter = {"k", "v"};
	const struct ps_oip_warmup_input winput = {"x", PS_DTYPE_FP32,	    1,
						   {3}, PS_OIP_WARMUP_ZERO, NULL};
	const struct ps_oip_warmup warmup = {"w", 1, 3, &winput, 1};
	const struct ps_oip_model_config c = {.name = "m",
					      .platform = "onnxruntime_onnx",
					      .backend = "onnxruntime",
					      .default_model_filename = "model.onnx",
					      .version_policy = PS_OIP_LATEST,
					      .n_latest = 2,
					      .max_batch_size = 8,
					      .inputs = &in,
					      .n_inputs = 1,
					      .outputs = &o,
					      .n_outputs = 1,
					      .groups = &group,
					      .n_groups = 1,
					      .batching = &batching,
					      .parameters = &parameter,
					      .n_parameters = 1,
					      .warmups = &warmup,
					      .n_warmups = 1};
	ps_strbuf_init(&out);
	ps_oip_build_model_config(&c, PS_OIP_PROTOBUF, &out);
	check_hex(&out,
		  "0aab010a016d12106f6e6e7872756e74696d655f6f6e6e781a040a02080220082a190a0178100b22"
		  "0b03ffffffffffffffffff012a030a0103400132080a0179100d1a01013a0b0a016710021a020001"
		  "2001420a6d6f64656c2e6f6e6e785a1e0a020408106420032801320808011005180120063a080802"
		  "12041007200872080a016b12030a01768201150a017710011a0c0a01781207080b12010318012003"
		  "8a010b6f6e6e7872756e74696d65");
	ps_oip_build_model_config(&c, PS_OIP_JSON, &out);
	check_text(
		&out,
		"{\"name\":\"m\",\"platform\":\"onnxruntime_onnx\",\"backend\":\"onnxruntime\","
		"\"version_policy\":{\"latest\":{\"num_versions\":2}},\"max_batch_size\":8,"
		"\"input\":[{\"name\":\"x\",\"data_type\":\"TYPE_FP32\",\"format\":"
		"\"FORMAT_NONE\",\"dims\":[3,-1],\"reshape\":{\"shape\":[3]},"
		"\"is_shape_tensor\":false,\"allow_ragged_batch\":false,\"optional\":true}],"
		"\"output\":[{\"name\":\"y\",\"data_type\":\"TYPE_STRING\",\"dims\":[1],"
		"\"label_filename\":\"\",\"is_shape_tensor\":false}],\"batch_input\":[],"
		"\"batch_output\":[],\"instance_group\":[{\"name\":\"g\",\"kind\":\"KIND_GPU\","
		"\"count\":2,\"gpus\":[0,1]}],\"default_model_filename\":\"model.onnx\","
		"\"cc_model_filenames\":{},\"metric_tags\":{},\"dynamic_batching\":{"
		"\"preferred_batch_size\":[4,8],\"max_queue_delay_microseconds\":100,"
		"\"preserve_ordering\":false,\"priority_levels\":3,\"default_priority_level\":1,"
		"\"default_queue_policy\":{\"timeout_action\":\"DELAY\","
		"\"default_timeout_microseconds\":5,\"allow_timeout_override\":true,"
		"\"max_queue_size\":6},\"priority_queue_policy\":{\"2\":{\"timeout_action\":"
		"\"REJECT\",\"default_timeout_microseconds\":7,\"allow_timeout_override\":false,"
		"\"max_queue_size\":8}}},\"parameters\":{\"k\":{"
		"\"string_value\":\"v\"}},\"model_warmup\":[{\"name\":\"w\",\"batch_size\":1,"
		"\"inputs\":{\"x\":{\"data_type\":\"TYPE_FP32\",\"dims\":[3],\"zero_data\":true}},"
		"\"count\":3}]}");
}

static void a_small_configuration(void **state)
{
	(void)state;
	struct ps_strbuf out;
	static const int64_t versions[] = {1, 7};
	const struct ps_oip_model_config c = {.name = "m",
					      .version_policy = PS_OIP_SPECIFIC,
					      .specific = versions,
					      .n_specific = 2};
	ps_strbuf_init(&out);
	ps_oip_build_model_config(&c, PS_OIP_PROTOBUF, &out);
	check_hex(&out, "0a0b0a016d1a061a040a020107");
	ps_oip_build_model_config(&c, PS_OIP_JSON, &out);
	assert_non_null(strstr(out.data, "\"version_policy\":{\"specific\":{\"versions\":[1,7]}}"));
	assert_null(strstr(out.data, "dynamic_batching"));
	check_text(&out, out.data);
}

/* --- reflection --- */

static bool holds(const struct ps_strbuf *out, const char *what)
{
	return memmem(out->data, out->len, what, strlen(what)) != NULL;
}

static void reflect(unsigned field, const char *text, struct ps_strbuf *out)
{
	unsigned char message[256];
	size_t n = strlen(text);
	message[0] = (unsigned char)(field << 3 | 2);
	message[1] = (unsigned char)n;
	memcpy(message + 2, text, n);
	ps_strbuf_init(out);
	assert_int_equal(ps_oip_grpc_reflect(message, n + 2, out, NULL), PS_OK);
	/* The request comes back with the answer. */
	assert_memory_equal(out->data + 2, message, n + 2);
}

static const struct {
	unsigned field; /* 3: by file, 4: by symbol, 7: list */
	const char *text;
	const char *says[3];
} reflections[] = {
	{7,
	 "",
	 {"inference.GRPCInferenceService", "grpc.health.v1.Health",
	  "grpc.reflection.v1alpha.ServerReflection"}},
	{4,
	 "inference.GRPCInferenceService",
	 {"ModelStreamInfer", "model_config.proto", "TYPE_BF16"}},
	{4,
	 "inference.GRPCInferenceService.ModelInfer",
	 {"RepositoryModelUnload", "TYPE_BF16", NULL}},
	{4, "inference.ModelInferRequest", {"raw_input_contents", NULL, NULL}},
	{4, "inference.ModelInferRequest.InferInputTensor", {"raw_input_contents", NULL, NULL}},
	{4,
	 "inference.ModelInferRequest.InferInputTensor.shape",
	 {"raw_input_contents", NULL, NULL}},
	{4, "inference.DataType", {"TYPE_BF16", NULL, NULL}},
	{4, "grpc.health.v1.Health", {"Watch", "NOT_SERVING", NULL}},
	{4, "grpc.reflection.v1.ServerReflection", {"ServerReflectionInfo", NULL, NULL}},
	{4, "grpc.reflection.v1alpha.ServerReflection", {"grpc.reflection.v1alpha", NULL, NULL}},
	{3, "inference.proto", {"ModelStreamInfer", NULL, NULL}},
	{3, "other.proto", {"\x3a\x0d\x08\x05\x12\x09not found", NULL, NULL}},
	{4, "inference.Nothing", {"not found", NULL, NULL}},
	{4, "inference", {"not found", NULL, NULL}},
	{4, "inference.", {"not found", NULL, NULL}},
	{4, "inference.ModelInferReq", {"not found", NULL, NULL}},
	{4, "", {"not found", NULL, NULL}},
	{6, "inference.ModelInferRequest", {"there are no extensions", NULL, NULL}},
};

static void reflection(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof reflections / sizeof reflections[0]; i++) {
		struct ps_strbuf out;
		reflect(reflections[i].field, reflections[i].text, &out);
		for (int k = 0; k < 3 && reflections[i].says[k]; k++)
			if (!holds(&out, reflections[i].says[k]))
				fail_msg("%s: no %s", reflections[i].text, reflections[i].says[k]);
		ps_strbuf_fini(&out);
	}
}

static void bad_reflection(void **state)
{
	(void)state;
	struct ps_strbuf out;
	ps_strbuf_init(&out);
	assert_int_equal(ps_oip_grpc_reflect("\x22\x05", 2, &out, NULL), PS_EPARSE);
	assert_int_equal(out.len, 0);
	assert_int_equal(ps_oip_grpc_reflect(NULL, 0, &out, NULL), PS_OK);
	assert_true(holds(&out, "the request asks for nothing"));
	ps_strbuf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(methods_are_found),
		cmocka_unit_test(targets_are_read),
		cmocka_unit_test(large_messages_are_refused),
		cmocka_unit_test(health),
		cmocka_unit_test(metadata),
		cmocka_unit_test(extensions_are_what_is_there),
		cmocka_unit_test(the_index),
		cmocka_unit_test(repository_bodies),
		cmocka_unit_test(repository_messages),
		cmocka_unit_test(statistics),
		cmocka_unit_test(configuration),
		cmocka_unit_test(a_small_configuration),
		cmocka_unit_test(reflection),
		cmocka_unit_test(bad_reflection),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
