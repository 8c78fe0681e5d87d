/* What a gRPC client writes and reads: requests for metadata, metadata, stream answers, and where
 * the raw contents of an answer lie. */
#include "oip/grpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

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

static void requests_for_metadata(void **state)
{
	(void)state;
	static const struct {
		const char *model, *version, *hex;
	} rows[] = {
		{"m", "", "0a016d"},
		{"resnet", "12", "0a067265736e657412023132"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_oip_target t = {.route = PS_OIP_MODEL_METADATA}, back;
		struct ps_strbuf out;
		unsigned char want[64];
		size_t n = unhex(rows[i].hex, want);
		strcpy(t.model, rows[i].model);
		strcpy(t.version, rows[i].version);
		ps_strbuf_init(&out);
		ps_oip_grpc_build_target(&t, &out);
		assert_int_equal(out.len, n);
		assert_memory_equal(out.data, want, n);
		assert_int_equal(ps_oip_grpc_parse_target(PS_OIP_MODEL_METADATA, out.data, out.len,
							  &back, NULL),
				 PS_OK);
		assert_string_equal(back.model, rows[i].model);
		assert_string_equal(back.version, rows[i].version);
		ps_strbuf_fini(&out);
	}
}

static void metadata_comes_back(void **state)
{
	(void)state;
	static const char *const versions[] = {"1", "3"};
	static const struct ps_tensor_spec specs[] = {
		{.name = "x", .dtype = PS_DTYPE_FP32, .rank = 4, .dims = {-1, 3, 224, 224}},
		{.name = "n", .dtype = PS_DTYPE_BYTES, .rank = 0},
	};
	const struct ps_oip_model_metadata m = {"m",   versions, 2, "onnx_onnxv1",
						specs, specs,	 2, 1};
	struct ps_oip_model_metadata back;
	struct ps_strbuf b;
	struct ps_arena a;
	ps_strbuf_init(&b);
	ps_arena_init(&a, 0);
	ps_oip_build_model_metadata(&m, PS_OIP_PROTOBUF, &b);
	assert_int_equal(ps_oip_grpc_parse_model_metadata(b.data, b.len, &a, &back, NULL), PS_OK);
	ps_strbuf_fini(&b); /* what was read does not refer to the message */
	assert_string_equal(back.name, "m");
	assert_string_equal(back.platform, "onnx_onnxv1");
	assert_int_equal(back.n_versions, 2);
	assert_string_equal(back.versions[1], "3");
	assert_int_equal(back.n_inputs, 2);
	assert_int_equal(back.n_outputs, 1);
	assert_memory_equal(&back.inputs[0], &specs[0], sizeof specs[0]);
	assert_memory_equal(&back.inputs[1], &specs[1], sizeof specs[1]);
	ps_arena_fini(&a);
}

static void bad_metadata_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *hex;
		enum ps_status status;
		const char *what;
	} rows[] = {
		{"", PS_EINVAL, "names no model"},
		{"ff", PS_EPARSE, "no ModelMetadataResponse"},
		{"0a", PS_EPARSE, "no ModelMetadataResponse"},
		{"0a016d"
		 "2200",
		 PS_EINVAL, "has no name"},
		{"0a016d"
		 "2206"
		 "0a0178"
		 "120158",
		 PS_EINVAL, "unknown datatype 'X'"},
		/* shape [-2] */
		{"0a016d"
		 "2217"
		 "0a0178"
		 "120446503332"
		 "1a0a"
		 "feffffffffffffffff01"
		 "1a00",
		 PS_EINVAL, "bad dimension"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_oip_model_metadata m;
		struct ps_error err = {0};
		struct ps_arena a;
		unsigned char message[64];
		size_t n = unhex(rows[i].hex, message);
		ps_arena_init(&a, 0);
		assert_int_equal(ps_oip_grpc_parse_model_metadata(message, n, &a, &m, &err),
				 rows[i].status);
		if (!strstr(err.what, rows[i].what))
			fail_msg("row %zu: %s", i, err.what);
		ps_arena_fini(&a);
	}
}

static void stream_answers_are_opened(void **state)
{
	(void)state;
	static const struct {
		const char *hex, *inner_hex, *text;
		enum ps_status status;
	} rows[] = {
		{"12030a016d", "0a016d", "", PS_OK},
		{"1200", "", "", PS_OK},
		{"0a046f6f7073", NULL, "oops", PS_OK},
		{"0a046f6f7073"
		 "12031a0137",
		 "1a0137", "oops", PS_OK},
		{"0a06610a62632121", NULL, "a?bc!!", PS_OK},
		{"0a0c313233343536373839303132", NULL, "123456789", PS_OK}, /* cut */
		{"", NULL, "", PS_EPARSE},
		{"0a00", NULL, "", PS_EPARSE},
		{"12050a", NULL, "", PS_EPARSE},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		unsigned char message[64], inner[64];
		struct ps_error err;
		const void *response;
		size_t n, got;
		char text[10];
		n = unhex(rows[i].hex, message);
		assert_int_equal(ps_oip_grpc_unwrap_stream(message, n, &response, &got, text,
							   sizeof text, &err),
				 rows[i].status);
		if (rows[i].status != PS_OK)
			continue;
		assert_string_equal(text, rows[i].text);
		assert_int_equal(response != NULL, rows[i].inner_hex != NULL);
		if (!response)
			continue;
		assert_int_equal(got, unhex(rows[i].inner_hex, inner));
		assert_memory_equal(response, inner, got);
	}
}

static void raw_contents_are_found(void **state)
{
	(void)state;
	static const struct {
		const char *hex;
		int n;
		size_t at[2], len[2];
	} rows[] = {
		{"", 0, {0}, {0}},
		{"0a016d", 0, {0}, {0}},
		{"0a016d"
		 "3204"
		 "01020304",
		 1,
		 {5},
		 {4}},
		{"3200"
		 "3201aa"
		 "0a016d",
		 2,
		 {2, 4},
		 {0, 1}},
		{"320100"
		 "320100"
		 "320100",
		 -1,
		 {0},
		 {0}},			  /* over two */
		{"3205aa", -1, {0}, {0}}, /* cut off */
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		unsigned char message[64];
		struct iovec raw[2];
		size_t n = unhex(rows[i].hex, message);
		assert_int_equal(ps_oip_grpc_find_raw(message, n, raw, 2), rows[i].n);
		for (int k = 0; k < rows[i].n; k++) {
			assert_ptr_equal(raw[k].iov_base, message + rows[i].at[k]);
			assert_int_equal(raw[k].iov_len, rows[i].len[k]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_for_metadata),
		cmocka_unit_test(metadata_comes_back),
		cmocka_unit_test(bad_metadata_is_refused),
		cmocka_unit_test(stream_answers_are_opened),
		cmocka_unit_test(raw_contents_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
