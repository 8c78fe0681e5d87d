/* What one side writes the other reads; paths, metadata, errors. */
#include "oip/oip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- paths --- */

static const struct {
	const char *method, *path;
	enum ps_status status;
	enum ps_oip_route route;
	const char *model, *version;
} paths[] = {
	{"GET", "/v2", PS_OK, PS_OIP_SERVER_METADATA, "", ""},
	{"GET", "/v2/", PS_OK, PS_OIP_SERVER_METADATA, "", ""},
	{"GET", "/v2/health/live", PS_OK, PS_OIP_LIVE, "", ""},
	{"HEAD", "/v2/health/ready", PS_OK, PS_OIP_READY, "", ""},
	{"GET", "/v2/models/m", PS_OK, PS_OIP_MODEL_METADATA, "m", ""},
	{"GET", "/v2/models/m/versions/3", PS_OK, PS_OIP_MODEL_METADATA, "m", "3"},
	{"GET", "/v2/models/m/ready", PS_OK, PS_OIP_MODEL_READY, "m", ""},
	{"GET", "/v2/models/m/versions/3/ready", PS_OK, PS_OIP_MODEL_READY, "m", "3"},
	{"POST", "/v2/models/m/infer", PS_OK, PS_OIP_INFER, "m", ""},
	{"POST", "/v2/models/a%2Bb%20c/versions/1/infer", PS_OK, PS_OIP_INFER, "a+b c", "1"},
	{"GET", "/v2/models/m/config", PS_OK, PS_OIP_MODEL_CONFIG, "m", ""},
	{"GET", "/v2/models/m/versions/2/config", PS_OK, PS_OIP_MODEL_CONFIG, "m", "2"},
	{"GET", "/v2/models/stats", PS_OK, PS_OIP_STATISTICS, "", ""},
	{"GET", "/v2/models/m/stats", PS_OK, PS_OIP_STATISTICS, "m", ""},
	{"GET", "/v2/models/m/versions/2/stats", PS_OK, PS_OIP_STATISTICS, "m", "2"},
	{"GET", "/v2/models/stats/stats?x=/y", PS_OK, PS_OIP_STATISTICS, "stats", ""},
	{"POST", "/v2/repository/index", PS_OK, PS_OIP_REPOSITORY_INDEX, "", ""},
	{"POST", "/v2/repository/r/index", PS_OK, PS_OIP_REPOSITORY_INDEX, "", ""},
	{"POST", "/v2/repository/models/m/load", PS_OK, PS_OIP_LOAD, "m", ""},
	{"POST", "/v2/repository/r/models/m/load", PS_OK, PS_OIP_LOAD, "m", ""},
	{"POST", "/v2/repository/models/m/unload", PS_OK, PS_OIP_UNLOAD, "m", ""},
	{"POST", "/v2/perseus/reload", PS_OK, PS_OIP_OPERATOR_RELOAD, "", ""},
	{"GET", "/v2/perseus/status", PS_OK, PS_OIP_OPERATOR_STATUS, "", ""},
	{"GET", "/v2/perseus/tenants", PS_OK, PS_OIP_OPERATOR_TENANTS, "", ""},
	{"GET", "/v2/perseus/tenants/a%20b", PS_OK, PS_OIP_OPERATOR_TENANTS, "a b", ""},
	{"GET", "/v2/perseus/usage?tenant=a", PS_OK, PS_OIP_OPERATOR_USAGE, "", ""},
	{"GET", "/v2/perseus/bill", PS_OK, PS_OIP_OPERATOR_BILL, "", ""},
	{"GET", "/v2?", PS_OK, PS_OIP_SERVER_METADATA, "", ""},
	{"GET", "/v2/?/../..", PS_OK, PS_OIP_SERVER_METADATA, "", ""},
	{"GET", "/v2/repository/index", PS_EMETHOD, PS_OIP_REPOSITORY_INDEX, "", ""},
	{"GET", "/v2/perseus/reload", PS_EMETHOD, PS_OIP_OPERATOR_RELOAD, "", ""},
	{"PUT", "/v2/repository/models/m/load", PS_EMETHOD, PS_OIP_LOAD, "", ""},
	{"GET", "/v2/perseus", PS_ENOTFOUND, PS_OIP_NONE, "", ""},
	{"POST", "/v2/repository/models/m", PS_ENOTFOUND, PS_OIP_NONE, "", ""},
	{"POST", "/v2/repository/r/r/index", PS_ENOTFOUND, PS_OIP_NONE, "", ""},
	{"POST", "/v2/repository//index", PS_ENOTFOUND, PS_OIP_REPOSITORY_INDEX, "", ""},
	{"GET", "/v2/models/..", PS_EINVAL, PS_OIP_MODEL_METADATA, "", ""},
	{"GET", "/v2/models/%2e%2E/config", PS_EINVAL, PS_OIP_MODEL_CONFIG, "", ""},
	{"GET", "/v2/models/.", PS_EINVAL, PS_OIP_MODEL_METADATA, "", ""},
	{"GET", "/v2/models/...", PS_OK, PS_OIP_MODEL_METADATA, "...", ""},
	{"GET", "/v2/models/m/versions/..", PS_EINVAL, PS_OIP_MODEL_METADATA, "", ""},
	{"GET", "/v2/models/../../etc/passwd", PS_ENOTFOUND, PS_OIP_NONE, "", ""},
	{"POST", "/v2/models/a%2Fb/infer", PS_EINVAL, PS_OIP_INFER, "", ""},
	{"POST", "/v2/models/a%5cb/infer", PS_EINVAL, PS_OIP_INFER, "", ""},
	{"POST", "/v2/models/a%0Ab/infer", PS_EINVAL, PS_OIP_INFER, "", ""},
	{"POST", "/v2/models/a%7fb/infer", PS_EINVAL, PS_OIP_INFER, "", ""},
	{"POST", "/v2/models/a%ffb/infer", PS_EINVAL, PS_OIP_INFER, "", ""},
	{"POST", "/v2/repository/../models/m/load", PS_EINVAL, PS_OIP_LOAD, "", ""},
	{"POST", "/v2/models/%c3%a9/infer", PS_OK, PS_OIP_INFER, "\xc3\xa9", ""},
	{"GET", "/v2/models/m/infer", PS_EMETHOD, PS_OIP_INFER, "", ""},
	{"POST", "/v2", PS_EMETHOD, PS_OIP_SERVER_METADATA, "", ""},
	{"DELETE", "/v2/models/m", PS_EMETHOD, PS_OIP_MODEL_METADATA, "", ""},
	{"GET", "/", PS_ENOTFOUND, PS_OIP_NONE, "", ""},
	{"GET", "*", PS_ENOTFOUND, PS_OIP_NONE, "", ""},
	{"GET", "http://h/v2", PS_ENOTFOUND, PS_OIP_NONE, "", ""},
	{"GET", "/v1", PS_ENOTFOUND, PS_OIP_NONE, "", ""},
	{"GET", "/v2/health", PS_ENOTFOUND, PS_OIP_NONE, "", ""},
	{"GET", "/v2/health/lively", PS_ENOTFOUND, PS_OIP_NONE, "", ""},
	{"GET", "/v2/models", PS_ENOTFOUND, PS_OIP_NONE, "", ""},
	{"GET", "/v2//models/m", PS_ENOTFOUND, PS_OIP_NONE, "", ""},
	{"POST", "/v2/models//infer", PS_ENOTFOUND, PS_OIP_INFER, "", ""},
	{"POST", "/v2/models/m/infer/more", PS_ENOTFOUND, PS_OIP_NONE, "", ""},
	{"POST", "/v2/models/m/1/2/3/4/5/6/7/8/9", PS_ENOTFOUND, PS_OIP_NONE, "", ""},
	{"POST", "/v2/models/%4/infer", PS_EINVAL, PS_OIP_INFER, "", ""},
	{"POST", "/v2/models/%/infer", PS_EINVAL, PS_OIP_INFER, "", ""},
	{"POST", "/v2/models/%zz/infer", PS_EINVAL, PS_OIP_INFER, "", ""},
	{"POST", "/v2/models/a%00b/infer", PS_EINVAL, PS_OIP_INFER, "", ""},
};

static void paths_are_found(void **state)
{
	(void)state;
	char buf[PS_OIP_PATH_SIZE];
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		struct ps_oip_target t, again;
		enum ps_status s = ps_oip_parse_path(paths[i].method, paths[i].path, &t, NULL);
		if (s != paths[i].status || t.route != paths[i].route)
			fail_msg("%s: got %s, route %d", paths[i].path, ps_status_name(s), t.route);
		assert_string_equal(t.model, s == PS_OK ? paths[i].model : "");
		if (s != PS_OK)
			continue;
		assert_string_equal(t.version, paths[i].version);
		assert_int_equal(ps_oip_build_path(&t, buf, NULL), PS_OK);
		assert_int_equal(ps_oip_parse_path(paths[i].method, buf, &again, NULL), PS_OK);
		assert_int_equal(t.route, again.route);
		assert_string_equal(t.model, again.model);
		assert_string_equal(t.version, again.version);
		assert_string_equal(t.repository, again.repository);
	}
}

static void repositories_are_named(void **state)
{
	(void)state;
	struct ps_oip_target t;
	assert_int_equal(ps_oip_parse_path("POST", "/v2/repository/a%20b/models/m/load", &t, NULL),
			 PS_OK);
	assert_string_equal(t.repository, "a b");
	assert_int_equal(ps_oip_parse_path("POST", "/v2/repository/index", &t, NULL), PS_OK);
	assert_string_equal(t.repository, "");
}

static const struct {
	const char *query, *key, *value;
	enum ps_status status;
} queries[] = {
	{"a=1&b=2", "a", "1", PS_OK},
	{"a=1&b=2", "b", "2", PS_OK},
	{"ab=1&b=x+y%20z", "b", "x y z", PS_OK},
	{"a=&b=2", "a", "", PS_OK},
	{"a", "a", NULL, PS_ENOTFOUND},
	{"", "a", NULL, PS_ENOTFOUND},
	{NULL, "a", NULL, PS_ENOTFOUND},
	{"a=%zz", "a", NULL, PS_EINVAL},
	{"a=%00", "a", NULL, PS_EINVAL},
	{"a=1234567", "a", "1234567", PS_OK},
	{"a=12345678", "a", NULL, PS_ETOOBIG},
};

static void queries_are_read(void **state)
{
	(void)state;
	char buf[8];
	for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
		enum ps_status s =
			ps_oip_query_get(queries[i].query, queries[i].key, buf, sizeof buf, NULL);
		if (s != queries[i].status)
			fail_msg("%s: got %s", queries[i].query, ps_status_name(s));
		if (s == PS_OK)
			assert_string_equal(buf, queries[i].value);
	}
}

static void long_names_are_bounded(void **state)
{
	(void)state;
	char path[800], buf[PS_OIP_PATH_SIZE];
	struct ps_oip_target t;
	for (int n = PS_TENSOR_MAX_NAME - 1; n <= PS_TENSOR_MAX_NAME; n++) {
		size_t at = (size_t)sprintf(path, "/v2/models/");
		memset(path + at, 'm', (size_t)n);
		strcpy(path + at + n, "/infer");
		assert_int_equal(ps_oip_parse_path("POST", path, &t, NULL),
				 n < PS_TENSOR_MAX_NAME ? PS_OK : PS_EINVAL);
	}
	t = (struct ps_oip_target){.route = PS_OIP_INFER};
	memset(t.model, ' ', sizeof t.model - 1);
	memset(t.version, ' ', sizeof t.version - 1);
	assert_int_equal(ps_oip_build_path(&t, buf, NULL), PS_OK);
}

/* --- tensors there and back --- */

static char *join(const struct ps_oip_message *m, char **ret_end)
{
	char *body = malloc(m->bytes + 1), *at = body;
	for (size_t i = 0; i < m->n_pieces; i++) {
		memcpy(at, m->pieces[i].iov_base, m->pieces[i].iov_len);
		at += m->pieces[i].iov_len;
	}
	*at = '\0';
	assert_int_equal(at - body, m->bytes);
	*ret_end = at;
	return body;
}

static float reals[] = {0.0f, -0.0f, 0.1f, 1e-45f, 3.4028235e38f, 16777216.0f, 1.0f / 3, 7e20f};
static double wide[] = {0.1,	 -2.5e-308, 1.7976931348623157e308,
			1.0 / 3, 5e-324,    9007199254740993.0};
static int8_t bytes[] = {-128, -1, 0, 1, 127};
static uint64_t large[] = {0, 1, UINT64_MAX};
static int64_t small[] = {INT64_MIN, -1, 0, INT64_MAX};
static uint8_t bools[] = {1, 0, 1};
static char texts[] = "\3\0\0\0a\"b\0\0\0\0\5\0\0\0\xc3\xa9\n\x7f\0";
static uint16_t halves[] = {0x3c00, 0x8000};

static const struct ps_tensor tensors[] = {
	{"reals", PS_DTYPE_FP32, 2, {2, 4}, reals, sizeof reals},
	{"wide", PS_DTYPE_FP64, 1, {6}, wide, sizeof wide},
	{"bytes \"quoted\"", PS_DTYPE_INT8, 1, {5}, bytes, sizeof bytes},
	{"large", PS_DTYPE_UINT64, 1, {3}, large, sizeof large},
	{"small", PS_DTYPE_INT64, 1, {4}, small, sizeof small},
	{"bools", PS_DTYPE_BOOL, 1, {3}, bools, sizeof bools},
	{"texts", PS_DTYPE_BYTES, 1, {3}, texts, sizeof texts - 1},
	{"none", PS_DTYPE_FP32, 2, {0, 7}, reals, 0},
	{"halves", PS_DTYPE_FP16, 1, {2}, halves, sizeof halves},
};
enum { N = sizeof tensors / sizeof tensors[0], N_JSON = N - 1 };

static void same(const struct ps_tensor *a, const struct ps_tensor *b)
{
	assert_string_equal(a->name, b->name);
	assert_int_equal(a->dtype, b->dtype);
	assert_int_equal(a->rank, b->rank);
	assert_memory_equal(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
	assert_int_equal(a->bytes, b->bytes);
	if (a->bytes > 0 && memcmp(a->data, b->data, a->bytes) != 0)
		fail_msg("tensor %s changed", a->name);
}

static void requests_come_back(void **state)
{
	(void)state;
	for (int binary = 0; binary < 2; binary++) {
		struct ps_arena out, in;
		struct ps_oip_message m;
		struct ps_oip_request q;
		struct ps_error err;
		char *end;
		struct ps_oip_output want[] = {{"o", true}, {"p", false}};
		struct ps_oip_infer i = {.id = "7",
					 .inputs = tensors,
					 .n_inputs = binary ? N : N_JSON,
					 .binary_inputs = binary,
					 .outputs = want,
					 .n_outputs = binary ? 2 : 0,
					 .binary_output = true,
					 .timeout_us = 9,
					 .priority = 1};
		ps_arena_init(&out, 0);
		ps_arena_init(&in, 0);
		assert_int_equal(ps_oip_build_request(&i, &out, &m, &err), PS_OK);
		assert_int_equal(m.json_bytes > 0, binary);
		char *body = join(&m, &end);
		assert_int_equal(ps_oip_parse_request(body, m.bytes, m.json_bytes, &in, &q, &err),
				 PS_OK);
		assert_int_equal(q.n_inputs, i.n_inputs);
		for (int k = 0; k < q.n_inputs; k++)
			same(&q.inputs[k], &tensors[k]);
		assert_string_equal(q.id, "7");
		assert_int_equal(q.timeout_us, 9);
		assert_int_equal(q.priority, 1);
		assert_int_equal(q.n_outputs, i.n_outputs);
		assert_int_equal(q.binary_output, !binary);
		assert_true(!binary || (q.outputs[0].binary && !q.outputs[1].binary));
		free(body);
		ps_arena_fini(&out);
		ps_arena_fini(&in);
	}
}

static void responses_come_back(void **state)
{
	(void)state;
	for (int pattern = 0; pattern < 3; pattern++) {
		struct ps_arena out, in;
		struct ps_oip_message m;
		struct ps_oip_reply reply;
		struct ps_error err;
		bool form[N];
		char *end;
		for (int k = 0; k < N; k++)
			form[k] = pattern == 1 || (pattern == 2 && k % 2 == 0) || k == N_JSON;
		struct ps_oip_response r = {.model_name = "m",
					    .model_version = pattern ? "2" : NULL,
					    .id = pattern ? "x" : NULL,
					    .outputs = tensors,
					    .binary = form,
					    .n_outputs = N};
		ps_arena_init(&out, 0);
		ps_arena_init(&in, 0);
		assert_int_equal(ps_oip_build_response(&r, &out, &m, &err), PS_OK);
		char *body = join(&m, &end);
		assert_int_equal(
			ps_oip_parse_response(body, m.bytes, m.json_bytes, &in, &reply, &err),
			PS_OK);
		assert_int_equal(reply.n_outputs, N);
		for (int k = 0; k < N; k++)
			same(&reply.outputs[k], &tensors[k]);
		assert_string_equal(reply.model_name, "m");
		assert_int_equal(reply.id != NULL, pattern > 0);
		free(body);
		ps_arena_fini(&out);
		ps_arena_fini(&in);
	}
}

/* The header that announces binary data is there only when there is some: clients look for it. */
static void empty_binary_needs_no_header(void **state)
{
	(void)state;
	struct ps_arena out;
	struct ps_oip_message m;
	bool form = true;
	struct ps_oip_response r = {
		.model_name = "m", .outputs = &tensors[7], .binary = &form, .n_outputs = 1};
	ps_arena_init(&out, 0);
	assert_int_equal(ps_oip_build_response(&r, &out, &m, NULL), PS_OK);
	assert_int_equal(m.json_bytes, -1);
	assert_string_equal(m.json_bytes_text, "");
	assert_string_equal(m.content_type, "application/json");
	assert_non_null(strstr(m.pieces[0].iov_base, "\"binary_data_size\":0"));
	ps_arena_fini(&out);
}

static void exact_response(void **state)
{
	(void)state;
	struct ps_arena out;
	struct ps_oip_message m;
	float v[] = {1.5f, NAN, INFINITY, -INFINITY, 0.1f};
	struct ps_tensor t[] = {{"y", PS_DTYPE_FP32, 2, {1, 5}, v, sizeof v},
				{"z", PS_DTYPE_FP32, 2, {1, 5}, v, sizeof v}};
	bool form[] = {false, true};
	struct ps_oip_response r = {.model_name = "m",
				    .model_version = "1",
				    .id = "i",
				    .outputs = t,
				    .binary = form,
				    .n_outputs = 2};
	ps_arena_init(&out, 0);
	assert_int_equal(ps_oip_build_response(&r, &out, &m, NULL), PS_OK);
	assert_string_equal(
		m.pieces[0].iov_base,
		"{\"model_name\":\"m\",\"model_version\":\"1\",\"id\":\"i\",\"outputs\":["
		"{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[1,5],"
		"\"data\":[1.5,NaN,Infinity,-Infinity,0.1]},"
		"{\"name\":\"z\",\"datatype\":\"FP32\",\"shape\":[1,5],"
		"\"parameters\":{\"binary_data_size\":20}}]}");
	assert_ptr_equal(m.pieces[1].iov_base, v); /* not copied */
	assert_int_equal(m.json_bytes, strlen(m.pieces[0].iov_base));
	ps_arena_fini(&out);
}

static void what_json_cannot_say_is_refused(void **state)
{
	(void)state;
	static char not_utf8[] = "\1\0\0\0\xff", short_text[] = "\5\0\0\0a";
	static const struct {
		struct ps_tensor t;
		const char *says;
	} rows[] = {
		{{"h", PS_DTYPE_FP16, 1, {2}, halves, sizeof halves},
		 "sending FP16 data via JSON is not supported"},
		{{"u", PS_DTYPE_BYTES, 1, {1}, not_utf8, 5}, "is not UTF-8"},
		{{"s", PS_DTYPE_BYTES, 1, {1}, short_text, 5}, "does not have 5 bytes"},
		{{"n", PS_DTYPE_FP32, 1, {3}, reals, 8}, "does not have 8 bytes"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_arena out;
		struct ps_oip_message m;
		struct ps_error err;
		bool form = false;
		struct ps_oip_response r = {
			.model_name = "m", .outputs = &rows[i].t, .binary = &form, .n_outputs = 1};
		ps_arena_init(&out, 0);
		assert_int_equal(ps_oip_build_response(&r, &out, &m, &err), PS_EINVAL);
		if (!strstr(err.what, rows[i].says))
			fail_msg("%s: got '%s'", rows[i].says, err.what);
		ps_arena_fini(&out);
	}
}

/* --- metadata --- */

static void metadata_comes_back(void **state)
{
	(void)state;
	static const char *const versions[] = {"1", "2"};
	static const struct ps_tensor_spec in[] = {
		{.name = "x", .dtype = PS_DTYPE_FP32, .rank = 4, .dims = {-1, 3, 224, 224}}};
	static const struct ps_tensor_spec out[] = {
		{.name = "y", .dtype = PS_DTYPE_FP32, .rank = 2, .dims = {-1, 1000}},
		{.name = "z", .dtype = PS_DTYPE_BYTES, .rank = 0}};
	struct ps_oip_model_metadata m = {.name = "m\n",
					  .versions = versions,
					  .n_versions = 2,
					  .platform = "onnx_onnxv1",
					  .inputs = in,
					  .n_inputs = 1,
					  .outputs = out,
					  .n_outputs = 2},
				     back;
	struct ps_strbuf b;
	struct ps_arena arena;
	ps_strbuf_init(&b);
	ps_arena_init(&arena, 0);
	ps_oip_build_model_metadata(&m, PS_OIP_JSON, &b);
	assert_int_equal(ps_oip_parse_model_metadata(b.data, b.len, &arena, &back, NULL), PS_OK);
	assert_string_equal(back.name, m.name);
	assert_string_equal(back.platform, m.platform);
	assert_int_equal(back.n_versions, 2);
	assert_string_equal(back.versions[1], "2");
	assert_int_equal(back.n_inputs, 1);
	assert_memory_equal(&back.inputs[0], &in[0], sizeof in[0]);
	assert_int_equal(back.n_outputs, 2);
	assert_memory_equal(&back.outputs[1], &out[1], sizeof out[1]);
	ps_strbuf_fini(&b);
	ps_arena_fini(&arena);
}

static const struct {
	const char *body;
	enum ps_status status;
} metadata[] = {
	{"", PS_EPARSE},
	{"[]", PS_EPARSE},
	{"{}", PS_EINVAL},
	{"{\"name\":\"m\"}", PS_EINVAL},
	{"{\"name\":\"m\",\"inputs\":[],\"outputs\":[]}", PS_OK},
	{"{\"name\":\"m\",\"versions\":null,\"inputs\":[],\"outputs\":[]}", PS_OK},
	{"{\"name\":\"m\",\"versions\":7,\"inputs\":[],\"outputs\":[]}", PS_EINVAL},
	{"{\"name\":\"m\",\"versions\":[7],\"inputs\":[],\"outputs\":[]}", PS_EINVAL},
	{"{\"name\":\"m\",\"inputs\":[1],\"outputs\":[]}", PS_EINVAL},
	{"{\"name\":\"m\",\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[\"-1\",3]}],"
	 "\"outputs\":[]}",
	 PS_OK},
	{"{\"name\":\"m\",\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-2]}],"
	 "\"outputs\":[]}",
	 PS_EINVAL},
	{"{\"name\":\"m\",\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP9\",\"shape\":[1]}],"
	 "\"outputs\":[]}",
	 PS_EINVAL},
	{"{\"name\":\"m\",\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\","
	 "\"shape\":[1,1,1,1,1,1,1,1,1]}],\"outputs\":[]}",
	 PS_EINVAL},
};

static void metadata_is_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof metadata / sizeof metadata[0]; i++) {
		struct ps_arena arena;
		struct ps_oip_model_metadata m;
		ps_arena_init(&arena, 0);
		enum ps_status s = ps_oip_parse_model_metadata(
			metadata[i].body, strlen(metadata[i].body), &arena, &m, NULL);
		if (s != metadata[i].status)
			fail_msg("%s: got %s", metadata[i].body, ps_status_name(s));
		ps_arena_fini(&arena);
	}
}

static void small_bodies(void **state)
{
	(void)state;
	static const char *const extensions[] = {"binary_tensor_data"};
	struct ps_oip_server_metadata m = {"perseus", "1", extensions, 1}, back;
	struct ps_arena arena;
	struct ps_strbuf b;
	struct ps_error e;
	char text[200];
	ps_strbuf_init(&b);
	ps_arena_init(&arena, 0);
	ps_oip_build_server_metadata(&m, PS_OIP_JSON, &b);
	assert_string_equal(b.data, "{\"name\":\"perseus\",\"version\":\"1\",\"extensions\":"
				    "[\"binary_tensor_data\"]}");
	assert_int_equal(ps_oip_parse_server_metadata(b.data, b.len, &arena, &back, NULL), PS_OK);
	assert_string_equal(back.extensions[0], "binary_tensor_data");
	ps_strbuf_clear(&b);
	ps_oip_build_live(true, PS_OIP_JSON, &b);
	ps_oip_build_ready(false, PS_OIP_JSON, &b);
	ps_oip_build_model_ready("a\"b", true, PS_OIP_JSON, &b);
	assert_string_equal(b.data,
			    "{\"live\":true}{\"ready\":false}{\"name\":\"a\\\"b\",\"ready\":true}");
	ps_strbuf_clear(&b);
	ps_error_set(&e, PS_EINVAL, "no \xff'x'");
	ps_oip_build_error(&e, &b);
	assert_string_equal(b.data, "{\"error\":\"no ?'x'\"}");
	assert_string_equal(ps_oip_parse_error(b.data, b.len, text, sizeof text), "no ?'x'");
	assert_string_equal(ps_oip_parse_error("", 0, text, sizeof text), "an empty body");
	assert_non_null(
		strstr(ps_oip_parse_error("<html>", 6, text, sizeof text), "no {\"error\""));
	ps_strbuf_fini(&b);
	ps_arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_found),
		cmocka_unit_test(repositories_are_named),
		cmocka_unit_test(queries_are_read),
		cmocka_unit_test(long_names_are_bounded),
		cmocka_unit_test(requests_come_back),
		cmocka_unit_test(responses_come_back),
		cmocka_unit_test(empty_binary_needs_no_header),
		cmocka_unit_test(exact_response),
		cmocka_unit_test(what_json_cannot_say_is_refused),
		cmocka_unit_test(metadata_comes_back),
		cmocka_unit_test(metadata_is_checked),
		cmocka_unit_test(small_bodies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
