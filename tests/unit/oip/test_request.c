/* Infer requests: a table of bodies and what becomes of them. */
#include "oip/oip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parsed {
	struct ps_arena arena;
	struct ps_oip_request q;
	struct ps_error err;
	enum ps_status status;
	char *body;
};

/* A copy of exactly these bytes, so that a sanitiser sees any step beyond. */
static void parse(struct parsed *p, const char *body, size_t n, int64_t json_bytes)
{
	ps_arena_init(&p->arena, 0);
	ps_error_clear(&p->err);
	p->body = malloc(n ? n : 1);
	memcpy(p->body, body, n);
	p->status = ps_oip_parse_request(p->body, n, json_bytes, &p->arena, &p->q, &p->err);
}

static void done(struct parsed *p)
{
	ps_arena_fini(&p->arena);
	free(p->body);
}

#define IN(datatype, shape, data)                                                                  \
	"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"" datatype "\",\"shape\":" shape              \
	",\"data\":" data "}]}"

/* --- tensors in JSON --- */

struct good {
	const char *body;
	const char *bytes; /* of the one input, in hex */
};

static const struct good good[] = {
	{IN("FP32", "[2]", "[1,-0.5]"), "0000803f000000bf"},
	{IN("FP32", "[2,2]", "[[1,2],[3,4]]"), "0000803f000000400000404000008040"},
	{IN("FP32", "[2,2]", " [ 1 , 2 , 3 , 4 ] "), "0000803f000000400000404000008040"},
	{IN("FP32", "[1]", "[3.4028235e38]"), "ffff7f7f"},
	{IN("FP32", "[1]", "[1e-50]"), "00000000"},
	{IN("FP32", "[3]", "[NaN,Infinity,-Infinity]"), "0000c07f0000807f000080ff"},
	{IN("FP64", "[1]", "[0.1]"), "9a9999999999b93f"},
	{IN("FP64", "[1]", "[123456789012345678901234567890]"), "3e376cff90eef845"},
	{IN("FP64", "[1]", "[2.2250738585072014e-308]"), "0000000000001000"},
	{IN("INT8", "[2]", "[-128,127]"), "807f"},
	{IN("UINT8", "[2]", "[0,255]"), "00ff"},
	{IN("INT16", "[1]", "[-2]"), "feff"},
	{IN("UINT16", "[1]", "[65535]"), "ffff"},
	{IN("INT32", "[1]", "[-2147483648]"), "00000080"},
	{IN("UINT32", "[1]", "[4294967295]"), "ffffffff"},
	{IN("INT64", "[1]", "[-9223372036854775808]"), "0000000000000080"},
	{IN("UINT64", "[1]", "[18446744073709551615]"), "ffffffffffffffff"},
	{IN("BOOL", "[4]", "[true,false,1,0]"), "01000100"},
	{IN("BYTES", "[3]", "[\"ab\",\"\",\"\\u00e9\\n\"]"), "0200000061620000000003000000c3a90a"},
	{IN("BYTES", "[1]", "[\"\\ud83d\\ude00\\u0000\"]"), "05000000f09f988000"},
	{IN("FP32", "[0]", "[]"), ""},
	{IN("FP32", "[]", "[7]"), "0000e040"},
	/* data before what it means */
	{"{\"inputs\":[{\"data\":[[1],[2]],\"name\":\"x\",\"shape\":[2,1],\"datatype\":\"INT8\"}]}",
	 "0102"},
	/* what we do not know is passed over */
	{"{\"later\":{\"a\":[1,{\"b\":null}]},\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\","
	 "\"shape\":[1],\"new\":[[]],\"data\":[1]}]}",
	 "01"},
	{" \t\r\n{\"inputs\":[{\"n\\u0061me\":\"x\",\"datatype\":\"INT8\",\"shape\":[1],"
	 "\"data\":[1]}]}\n",
	 "01"},
};

static void to_hex(const struct ps_tensor *t, char *out)
{
	*out = '\0';
	for (size_t i = 0; i < t->bytes; i++)
		out += sprintf(out, "%02x", ((unsigned char *)t->data)[i]);
}

static void json_tensors_are_read(void **state)
{
	(void)state;
	char hex[200];
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct parsed p;
		parse(&p, good[i].body, strlen(good[i].body),
		      i % 2 ? -1 : (int64_t)strlen(good[i].body));
		if (p.status != PS_OK)
			fail_msg("%s: %s", good[i].body, p.err.what);
		assert_int_equal(p.q.n_inputs, 1);
		assert_string_equal(p.q.inputs[0].name, "x");
		to_hex(&p.q.inputs[0], hex);
		if (strcmp(hex, good[i].bytes) != 0)
			fail_msg("%s: wanted %s, got %s", good[i].body, good[i].bytes, hex);
		done(&p);
	}
}

/* --- refusals --- */

struct bad {
	const char *body;
	enum ps_status status;
	const char *says;
};

static const struct bad bad[] = {
	{"", PS_EPARSE, "an object is expected"},
	{"[]", PS_EPARSE, "an object is expected"},
	{"{}", PS_EINVAL, "no 'inputs'"},
	{"{", PS_EPARSE, "a key is expected"},
	{"{\"inputs\":[]}", PS_EINVAL, "no 'inputs'"},
	{"{\"inputs\":[]} x", PS_EPARSE, "bytes after the end"},
	{"{\"inputs\":{}}", PS_EPARSE, "an array is expected"},
	{"{\"inputs\":[],\"inputs\":[]}", PS_EINVAL, "comes twice"},
	{"{\"id\":7}", PS_EPARSE, "a string is expected"},
	{"{\"id\":\"\\u0000\"}", PS_EINVAL, "the id holds a NUL"},
	{"{\"id\":\"a\x01\"}", PS_EPARSE, "control character"},
	{"{\"id\":\"\\x\"}", PS_EPARSE, "bad escape"},
	{"{\"id\":\"\\ud800\"}", PS_EPARSE, "bad escape"},
	{"{\"id\":\"\\udc00\"}", PS_EPARSE, "bad escape"},
	{"{\"id\":\"\xff\"}", PS_EPARSE, "not UTF-8"},
	{"{\"id\":\"\xc0\xaf\"}", PS_EPARSE, "not UTF-8"},
	{"{\"id\":\"\xed\xa0\x80\"}", PS_EPARSE, "not UTF-8"},
	{"{\"id\":\"a", PS_EPARSE, "without its end"},
	{"{\"id\":\"a\\", PS_EPARSE, "bad escape"},
	{"{\"a\":01}", PS_EPARSE, "a value is expected"},
	{"{\"a\":1.}", PS_EPARSE, "a value is expected"},
	{"{\"a\":.5}", PS_EPARSE, "a value is expected"},
	{"{\"a\":1e}", PS_EPARSE, "a value is expected"},
	{"{\"a\":+1}", PS_EPARSE, "a value is expected"},
	{"{\"a\":tru}", PS_EPARSE, "a value is expected"},
	{"{\"a\":1,}", PS_EPARSE, "a key is expected"},
	{"{\"a\":[1,]}", PS_EPARSE, "a value is expected"},
	{"{\"a\":[1 2]}", PS_EPARSE, "',' or ']' expected"},
	{"{\"a\":1 \"b\":2}", PS_EPARSE, "',' or '}' expected"},
	{"{\"a\" 1}", PS_EPARSE, "':' is expected"},
	{"{\"inputs\":[{\"datatype\":\"FP32\",\"shape\":[1],\"data\":[1]}]}", PS_EINVAL,
	 "has no 'name'"},
	{"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"data\":[1]}]}", PS_EINVAL,
	 "input 'x' has no 'shape'"},
	{"{\"inputs\":[{\"name\":\"x\",\"shape\":[1],\"data\":[1]}]}", PS_EINVAL,
	 "input 'x' has no 'datatype'"},
	{"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1]}]}", PS_EINVAL,
	 "input 'x' has neither 'data' nor 'binary_data_size'"},
	{IN("FP31", "[1]", "[1]"), PS_EINVAL, "'FP31' is no datatype"},
	{IN("FP16", "[1]", "[1]"), PS_EINVAL,
	 "receiving FP16 data via JSON is not supported. Please use the binary data format for "
	 "input 'x'"},
	{IN("BF16", "[1]", "[1]"), PS_EINVAL, "receiving BF16 data via JSON is not supported"},
	{IN("FP32", "[3]", "[1,2]"), PS_EINVAL, "shape [3] does not match true shape"},
	{IN("FP32", "[2]", "[1,2,3]"), PS_EINVAL, "more than 2 elements"},
	{IN("FP32", "[1]", "1"), PS_EINVAL, "is no array"},
	{IN("FP32", "[1]", "[\"a\"]"), PS_EINVAL, "element 0 of input 'x' is no FP32"},
	{IN("FP32", "[1]", "[null]"), PS_EINVAL, "element 0 of input 'x' is no FP32"},
	{IN("FP32", "[1]", "[1e39]"), PS_EINVAL, "element 0 of input 'x' is no FP32"},
	{IN("FP32", "[2]", "[1,1e]"), PS_EINVAL, "element 1 of input 'x' is no FP32"},
	{IN("FP64", "[1]", "[1e400]"), PS_EINVAL, "element 0 of input 'x' is no FP64"},
	{IN("INT8", "[1]", "[128]"), PS_EINVAL, "element 0 of input 'x' is no INT8"},
	{IN("INT8", "[1]", "[-129]"), PS_EINVAL, "element 0 of input 'x' is no INT8"},
	{IN("UINT8", "[1]", "[-1]"), PS_EINVAL, "element 0 of input 'x' is no UINT8"},
	{IN("INT32", "[1]", "[1.5]"), PS_EINVAL, "element 0 of input 'x' is no INT32"},
	{IN("UINT64", "[1]", "[18446744073709551616]"), PS_EINVAL, "is no UINT64"},
	{IN("BOOL", "[1]", "[2]"), PS_EINVAL, "element 0 of input 'x' is no BOOL"},
	{IN("BYTES", "[1]", "[1]"), PS_EINVAL, "element 0 of input 'x' is no BYTES"},
	{IN("FP32", "[-1]", "[1]"), PS_EINVAL, "negative dimension -1"},
	{IN("FP32", "[1.5]", "[1]"), PS_EPARSE, "an integer of 64 bits is expected"},
	{IN("FP32", "[1,1,1,1,1,1,1,1,1]", "[1]"), PS_ETOOBIG, "over 8 dimensions"},
	{IN("FP32", "[9223372036854775807,9223372036854775807]", "[1]"), PS_ETOOBIG,
	 "too many elements"},
	{IN("FP32", "[1000000000]", "[1]"), PS_EINVAL, "text is too short for it"},
	{"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1],\"parameters\":"
	 "{\"shared_memory_region\":\"r\"}}]}",
	 PS_EUNSUPPORTED, "shared memory"},
	{"{\"parameters\":{\"binary_data_output\":1}}", PS_EINVAL, "must be true or false"},
	{"{\"parameters\":{\"timeout\":\"soon\"}}", PS_EINVAL, "must be a number of microseconds"},
	{"{\"parameters\":{\"a\":[1]}}", PS_EINVAL, "is no string, number or boolean"},
	{"{\"outputs\":[{}]}", PS_EINVAL, "an output has no 'name'"},
	{"{\"outputs\":[{\"name\":\"y\",\"parameters\":{\"classification\":3}}]}", PS_EUNSUPPORTED,
	 "'classification'"},
};

static void bad_requests_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct parsed p;
		parse(&p, bad[i].body, strlen(bad[i].body), -1);
		if (p.status != bad[i].status || !strstr(p.err.what, bad[i].says))
			fail_msg("%s: wanted %s '%s', got %s '%s'", bad[i].body,
				 ps_status_name(bad[i].status), bad[i].says,
				 ps_status_name(p.status), p.err.what);
		assert_true(p.err.status == p.status);
		done(&p);
	}
}

static void nesting_is_bounded(void **state)
{
	(void)state;
	char body[512];
	for (int depth = 98; depth <= 100; depth++) {
		struct parsed p;
		size_t n = (size_t)sprintf(body, "{\"a\":");
		memset(body + n, '[', (size_t)depth);
		memset(body + n + depth, ']', (size_t)depth);
		body[n + 2 * (size_t)depth] = '}';
		parse(&p, body, n + 2 * (size_t)depth + 1, -1);
		assert_int_equal(p.status, depth < 100 ? PS_EINVAL : PS_ETOOBIG);
		done(&p);
	}
}

static void counts_are_bounded(void **state)
{
	(void)state;
	char *body = malloc(20000);
	for (int n = 64; n <= 65; n++) {
		struct parsed p;
		size_t len = (size_t)sprintf(body, "{\"inputs\":[");
		for (int i = 0; i < n; i++)
			len += (size_t)sprintf(body + len,
					       "%s{\"name\":\"x%d\",\"datatype\":\"INT8\","
					       "\"shape\":[1],\"data\":[1]}",
					       i ? "," : "", i);
		len += (size_t)sprintf(body + len, "]}");
		parse(&p, body, len, -1);
		assert_int_equal(p.status, n <= 64 ? PS_OK : PS_ETOOBIG);
		done(&p);
	}
	free(body);
}

/* --- the binary extension --- */

#define BIN(name, datatype, shape, size)                                                           \
	"{\"name\":\"" name "\",\"datatype\":\"" datatype "\",\"shape\":" shape                    \
	",\"parameters\":{\"binary_data_size\":" size "}}"

struct binary {
	const char *json;
	const char *data;
	size_t n;
	enum ps_status status;
	const char *says;
};

static const struct binary binary[] = {
	{"{\"inputs\":[" BIN("x", "FP32", "[2]", "8") "]}", "01234567", 8, PS_OK, ""},
	{"{\"inputs\":[" BIN("x", "FP32", "[1]", "4") "," BIN("y", "INT8", "[3]", "3") "]}",
	 "0123456", 7, PS_OK, ""},
	{"{\"inputs\":[" BIN("x", "FP16", "[2]", "4") "]}", "0123", 4, PS_OK, ""},
	{"{\"inputs\":[" BIN("x", "BYTES", "[2]", "10") "]}", "\2\0\0\0ab\0\0\0\0", 10, PS_OK, ""},
	{"{\"inputs\":[" BIN("x", "BOOL", "[2]", "2") "]}", "\0\1", 2, PS_OK, ""},
	{"{\"inputs\":[" BIN("x", "FP32", "[0]", "0") "]}", "", 0, PS_OK, ""},
	/* the size may be left out where it follows from the shape */
	{"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[2]}]}", "01234567", 8,
	 PS_OK, ""},
	{"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"BYTES\",\"shape\":[1]}]}", "\1\0\0\0a", 5,
	 PS_OK, ""},
	{"{\"inputs\":[" BIN("x", "FP32", "[2]", "8") "]}", "0123", 4, PS_EINVAL,
	 "unexpected size for input 'x', expecting 4 additional bytes"},
	{"{\"inputs\":[" BIN("x", "FP32", "[1]", "4") "]}", "01234", 5, PS_EINVAL,
	 "unexpected additional input data for model"},
	{"{\"inputs\":[" BIN("x", "FP32", "[2]", "4") "]}", "0123", 4, PS_EINVAL,
	 "input 'x' got unexpected byte size 4, expecting 8"},
	{"{\"inputs\":[" BIN("x", "BYTES", "[2]", "5") "]}", "\1\0\0\0a", 5, PS_EINVAL,
	 "do not hold 2 elements"},
	{"{\"inputs\":[" BIN("x", "BYTES", "[1]", "5") "]}",
	 "\xff\xff\xff\xff"
	 "a",
	 5, PS_EINVAL, "do not hold 1 elements"},
	{"{\"inputs\":[" BIN("x", "BOOL", "[2]", "2") "]}", "\0\2", 2, PS_EINVAL,
	 "a BOOL is neither 0 nor 1"},
	{"{\"inputs\":[" BIN("x", "FP32", "[1]", "-4") "]}", "0123", 4, PS_EINVAL, "is negative"},
	{"{\"inputs\":[" BIN("x", "FP32", "[1]", "\"4\"") "]}", "0123", 4, PS_EPARSE, "an integer"},
	{"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1],\"data\":[1],"
	 "\"parameters\":{\"binary_data_size\":4}}]}",
	 "0123", 4, PS_EINVAL, "has both"},
};

static void binary_tensors_are_placed(void **state)
{
	(void)state;
	char body[512];
	for (size_t i = 0; i < sizeof binary / sizeof binary[0]; i++) {
		struct parsed p;
		size_t json = strlen(binary[i].json);
		memcpy(body, binary[i].json, json);
		memcpy(body + json, binary[i].data, binary[i].n);
		parse(&p, body, json + binary[i].n, (int64_t)json);
		if (p.status != binary[i].status || !strstr(p.err.what, binary[i].says))
			fail_msg("%s: wanted '%s', got %s '%s'", binary[i].json, binary[i].says,
				 ps_status_name(p.status), p.err.what);
		const char *at = binary[i].data;
		for (int k = 0; p.status == PS_OK && k < p.q.n_inputs; k++) {
			const struct ps_tensor *t = &p.q.inputs[k];
			size_t size = ps_dtype_size(t->dtype);
			assert_memory_equal(t->data, at, t->bytes);
			assert_int_equal(size ? (uintptr_t)t->data % size : 0, 0);
			at += t->bytes;
		}
		done(&p);
	}
}

static void header_beyond_the_body_is_refused(void **state)
{
	(void)state;
	struct parsed p;
	parse(&p, "{}", 2, 3);
	assert_int_equal(p.status, PS_EINVAL);
	assert_non_null(strstr(p.err.what, "Inference-Header-Content-Length is 3"));
	done(&p);
}

/* --- the rest of a request --- */

static void outputs_and_parameters(void **state)
{
	(void)state;
	struct parsed p;
	static const char body[] =
		"{\"id\":\"a\\\"b\",\"outputs\":[{\"name\":\"y\"},{\"name\":\"z\",\"parameters\":"
		"{\"binary_data\":false,\"x\":1}}],\"parameters\":{\"binary_data_output\":true,"
		"\"timeout\":1500,\"priority\":2,\"note\":\"n\",\"f\":0.5,\"t\":true},"
		"\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[1],\"data\":[1]}]}";
	parse(&p, body, sizeof body - 1, -1);
	assert_int_equal(p.status, PS_OK);
	assert_string_equal(p.q.id, "a\"b");
	assert_int_equal(p.q.n_outputs, 2);
	assert_true(p.q.outputs[0].binary);
	assert_false(p.q.outputs[1].binary);
	assert_true(p.q.binary_output);
	assert_int_equal(p.q.timeout_us, 1500);
	assert_int_equal(p.q.priority, 2);
	assert_int_equal(p.q.n_parameters, 5);
	assert_string_equal(p.q.parameters[2].text, "n");
	assert_int_equal(p.q.parameters[3].type, PS_OIP_REAL);
	assert_true(p.q.parameters[3].real == 0.5);
	assert_true(p.q.parameters[4].boolean);
	done(&p);
}

/* --- against the model --- */

static const struct ps_tensor_spec specs[] = {
	{.name = "x", .dtype = PS_DTYPE_INT8, .rank = 2, .dims = {-1, 2}},
	{.name = "y", .dtype = PS_DTYPE_INT8, .rank = 1, .dims = {1}},
};

#define T(name, shape, data)                                                                       \
	"{\"name\":\"" name "\",\"datatype\":\"INT8\",\"shape\":" shape ",\"data\":" data "}"

static const struct bad matches[] = {
	{"{\"inputs\":[" T("y", "[1]", "[9]") "," T("x", "[3,2]", "[1,2,3,4,5,6]") "]}", PS_OK, ""},
	{"{\"inputs\":[" T("x", "[3,2]", "[1,2,3,4,5,6]") "]}", PS_EINVAL,
	 "expected 2 inputs but got 1 inputs: 'y' is missing"},
	{"{\"inputs\":[" T("z", "[1]", "[9]") "]}", PS_EINVAL, "unexpected inference input 'z'"},
	{"{\"inputs\":[" T("y", "[1]", "[9]") "," T("y", "[1]", "[9]") "]}", PS_EINVAL,
	 "input 'y' comes twice"},
	{"{\"inputs\":[" T("y", "[2]", "[9,9]") "]}", PS_EINVAL,
	 "input 'y' has shape [2], the model wants [1]"},
};

static void inputs_are_matched(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof matches / sizeof matches[0]; i++) {
		struct parsed p;
		struct ps_tensor in[2];
		parse(&p, matches[i].body, strlen(matches[i].body), -1);
		assert_int_equal(p.status, PS_OK);
		enum ps_status s = ps_oip_match(&p.q, specs, 2, in, &p.err);
		if (s != matches[i].status || !strstr(p.err.what, matches[i].says))
			fail_msg("%s: got %s '%s'", matches[i].body, ps_status_name(s), p.err.what);
		if (s == PS_OK) {
			assert_ptr_equal(in[0].name, specs[0].name);
			assert_int_equal(in[0].bytes, 6);
			assert_int_equal(in[1].bytes, 1);
		}
		done(&p);
	}
}

static void outputs_are_selected(void **state)
{
	(void)state;
	int index[PS_MODEL_MAX_TENSORS], n;
	bool bin[PS_MODEL_MAX_TENSORS];
	struct ps_oip_output want[] = {{"y", true}, {"x", false}, {"y", true}, {"w", true}};
	struct ps_oip_request q = {.outputs = want, .n_outputs = 2, .binary_output = true};
	struct ps_error err;
	assert_int_equal(ps_oip_select(&q, specs, 2, index, bin, &n, &err), PS_OK);
	assert_int_equal(n, 2);
	assert_int_equal(index[0], 1);
	assert_int_equal(index[1], 0);
	assert_true(bin[0] && !bin[1]);
	q.n_outputs = 0;
	assert_int_equal(ps_oip_select(&q, specs, 2, index, bin, &n, &err), PS_OK);
	assert_true(n == 2 && index[0] == 0 && index[1] == 1 && bin[0] && bin[1]);
	q.n_outputs = 3;
	assert_int_equal(ps_oip_select(&q, specs, 2, index, bin, &n, &err), PS_EINVAL);
	assert_non_null(strstr(err.what, "output 'y' is asked for twice"));
	q.outputs = want + 3;
	q.n_outputs = 1;
	assert_int_equal(ps_oip_select(&q, specs, 2, index, bin, &n, &err), PS_EINVAL);
	assert_non_null(strstr(err.what, "unexpected inference output 'w'"));
}

static void raw_requests_take_the_models_shape(void **state)
{
	(void)state;
	static const struct {
		struct ps_tensor_spec spec;
		size_t n;
		enum ps_status status;
		int64_t dims[2];
	} rows[] = {
		{{.name = "x", .dtype = PS_DTYPE_FP32, .rank = 2, .dims = {-1, 2}},
		 8,
		 PS_OK,
		 {1, 2}},
		{{.name = "x", .dtype = PS_DTYPE_FP32, .rank = 2, .dims = {-1, -1}},
		 8,
		 PS_OK,
		 {1, 2}},
		{{.name = "x", .dtype = PS_DTYPE_FP32, .rank = 2, .dims = {-1, -1}},
		 7,
		 PS_EINVAL,
		 {0}},
		{{.name = "x", .dtype = PS_DTYPE_FP32, .rank = 2, .dims = {1, 3}},
		 8,
		 PS_EINVAL,
		 {0}},
		{{.name = "x", .dtype = PS_DTYPE_BYTES, .rank = 1, .dims = {-1}}, 5, PS_OK, {1}},
		{{.name = "x", .dtype = PS_DTYPE_FP32, .rank = 3, .dims = {1, -1, -1}},
		 8,
		 PS_EINVAL,
		 {0}},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct parsed p;
		parse(&p, "01234567", rows[i].n, 0);
		assert_int_equal(p.status, PS_OK);
		assert_true(p.q.raw && p.q.binary_output);
		assert_int_equal(ps_oip_resolve_raw(&p.q, &rows[i].spec, 1, &p.arena, &p.err),
				 rows[i].status);
		if (rows[i].status == PS_OK) {
			struct ps_tensor in;
			assert_memory_equal(p.q.inputs[0].dims, rows[i].dims,
					    (size_t)rows[i].spec.rank * sizeof(int64_t));
			assert_int_equal(ps_oip_match(&p.q, &rows[i].spec, 1, &in, &p.err), PS_OK);
		}
		assert_int_equal(ps_oip_resolve_raw(&p.q, specs, 2, &p.arena, &p.err), PS_EINVAL);
		done(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_tensors_are_read),
		cmocka_unit_test(bad_requests_are_refused),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(counts_are_bounded),
		cmocka_unit_test(binary_tensors_are_placed),
		cmocka_unit_test(header_beyond_the_body_is_refused),
		cmocka_unit_test(outputs_and_parameters),
		cmocka_unit_test(inputs_are_matched),
		cmocka_unit_test(outputs_are_selected),
		cmocka_unit_test(raw_requests_take_the_models_shape),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
