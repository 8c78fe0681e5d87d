/* Infer over gRPC: requests walked, answers written. What is compared byte for byte was made by
 * Python's protobuf from Triton's own schemas. */
#include "oip/grpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- messages by hand --- */

struct pb {
	unsigned char b[4096];
	size_t n;
};

static void varint(struct pb *m, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		m->b[m->n++] = (unsigned char)(v | 0x80);
	m->b[m->n++] = (unsigned char)v;
}

static void bytes(struct pb *m, unsigned field, const void *data, size_t n)
{
	varint(m, field << 3 | 2);
	varint(m, n);
	memcpy(m->b + m->n, data, n);
	m->n += n;
}

static void text(struct pb *m, unsigned field, const char *s)
{
	bytes(m, field, s, strlen(s));
}

static void nest(struct pb *m, unsigned field, const struct pb *inner)
{
	bytes(m, field, inner->b, inner->n);
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

static void to_hex(const void *data, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		sprintf(out + 2 * i, "%02x", ((const unsigned char *)data)[i]);
	out[2 * n] = '\0';
}

/* --- parsing --- */

struct parsed {
	struct ps_arena arena;
	struct ps_oip_request q;
	struct ps_oip_target target;
	struct ps_error err;
	enum ps_status status;
	char *message;
};

/* A copy of exactly these bytes, `off` bytes from where it would be aligned. */
static void parse_at(struct parsed *p, const void *message, size_t n, size_t off)
{
	ps_arena_init(&p->arena, 0);
	ps_error_clear(&p->err);
	p->message = malloc(n + off ? n + off : 1);
	if (n > 0)
		memcpy(p->message + off, message, n);
	p->status =
		ps_oip_grpc_parse_infer(p->message + off, n, &p->arena, &p->target, &p->q, &p->err);
}

static void done(struct parsed *p)
{
	ps_arena_fini(&p->arena);
	free(p->message);
}

static const char whole[] =
	"0a016d1201321a0169220e0a0166120921000000000000e03f22130a0468756765120b288080808080808080"
	"800122120a036e6567120b10fdffffffffffffffff01220b0a046e6f746512031a016e220e0a087072696f72"
	"69747912022802220e0a0774696d656f7574120310dc0b22070a0174120208012a1e0a01781205494e543136"
	"1a0202012a0e120cfeffffffffffffffff01ac022a150a0162120542595445531a01022a0642026162420032"
	"030a017932030a017a";

static void a_whole_request(void **state)
{
	(void)state;
	unsigned char message[sizeof whole / 2];
	size_t n = unhex(whole, message);
	struct parsed p;
	parse_at(&p, message, n, 0);
	if (p.status != PS_OK)
		fail_msg("%s", p.err.what);
	assert_string_equal(p.target.model, "m");
	assert_string_equal(p.target.version, "2");
	assert_string_equal(p.q.id, "i");
	assert_int_equal(p.q.timeout_us, 1500);
	assert_int_equal(p.q.priority, 2);
	assert_int_equal(p.q.n_parameters, 7);
	assert_string_equal(p.q.parameters[0].name, "f");
	assert_true(p.q.parameters[0].type == PS_OIP_REAL && p.q.parameters[0].real == 0.5);
	assert_true(p.q.parameters[1].type == PS_OIP_REAL && p.q.parameters[1].real == 0x1p63);
	assert_int_equal(p.q.parameters[2].integer, -3);
	assert_string_equal(p.q.parameters[3].text, "n");
	assert_true(p.q.parameters[6].boolean);
	assert_int_equal(p.q.n_inputs, 2);
	assert_string_equal(p.q.inputs[0].name, "x");
	assert_int_equal(p.q.inputs[0].dims[0], 2);
	assert_memory_equal(p.q.inputs[0].data, "\xfe\xff\x2c\x01", 4);
	assert_string_equal(p.q.inputs[1].name, "b");
	assert_int_equal(p.q.inputs[1].bytes, 10);
	assert_memory_equal(p.q.inputs[1].data, "\2\0\0\0ab\0\0\0\0", 10);
	assert_int_equal(p.q.n_outputs, 2);
	assert_string_equal(p.q.outputs[1].name, "z");
	assert_true(p.q.outputs[1].binary && p.q.binary_output);
	done(&p);
}

/* Every cut of a message is refused or, where it falls between fields, understood as far as it
 * goes; none is read beyond its end (the sanitisers see to that). */
static void cut_requests(void **state)
{
	(void)state;
	unsigned char message[sizeof whole / 2];
	size_t n = unhex(whole, message);
	for (size_t cut = 0; cut < n; cut++) {
		struct parsed p;
		parse_at(&p, message, cut, 0);
		assert_true(p.status == PS_OK || p.err.what[0]);
		if (cut < 150)
			assert_true(p.status == PS_EPARSE || p.status == PS_EINVAL);
		done(&p);
	}
}

/* --- typed contents --- */

/* contents in hex: tag, length, packed elements; or tag and element one by one. */
static const struct {
	const char *datatype;
	int64_t count;
	const char *contents, *tensor; /* in hex; tensor NULL: refused ... */
	const char *says;	       /* ... with this */
} typed[] = {
	{"BOOL", 3, "0a03010002", "010001", NULL},
	{"BOOL", 3, "080108000801", "010001", NULL},
	{"BOOL", 3, "0a0101080008ff01", "010001", NULL},
	{"INT8", 2, "120b80ffffffffffffffff017f", "807f", NULL},
	{"INT8", 1, "12028001", NULL, "element 0 of input 'x' is no INT8"},
	{"INT8", 1, "120affffffffffffffffff01", "ff", NULL},
	{"INT16", 1, "1203808002", NULL, "is no INT16"},
	{"INT16", 1, "10ffff01", "ff7f", NULL},
	{"INT32", 1, "1205ffffffff07", "ffffff7f", NULL},
	{"INT32", 1, "1205ffffffff0f", "ffffffff", NULL}, /* cut to 32 bits, as protobuf has it */
	{"INT64", 2, "1a0b0580808080808080808001", "05000000000000000000000000000080", NULL},
	{"UINT8", 2, "220300ff01", "00ff", NULL},
	{"UINT8", 1, "22028002", NULL, "is no UINT8"},
	{"UINT16", 1, "2203ffff03", "ffff", NULL},
	{"UINT32", 1, "2205ffffffff0f", "ffffffff", NULL},
	{"UINT64", 1, "2a0affffffffffffffffff01", "ffffffffffffffff", NULL},
	{"FP32", 2, "32080000803f000000c0", "0000803f000000c0", NULL},
	{"FP32", 2, "350000803f35000000c0", "0000803f000000c0", NULL},
	{"FP32", 2, "32040000803f35000000c0", "0000803f000000c0", NULL},
	{"FP64", 1, "3a08000000000000f03f", "000000000000f03f", NULL},
	{"FP64", 1, "39000000000000f03f", "000000000000f03f", NULL},
	{"BYTES", 3, "420161420042026263",
	 "01000000610000000002000000"
	 "6263",
	 NULL},
	{"FP32", 2, "32040000803f", NULL,
	 "'fp32_contents' does not hold the 2 elements of shape [2]"},
	{"FP32", 1, "32080000803f000000c0", NULL, "does not hold the 1 elements"},
	{"FP32", 1, "32030000803f", NULL, "cut off"},
	{"FP32", 1, "32050000803f00", NULL, "contents that are cut off"},
	{"FP32", 1, "120401010101", NULL, "has 'int_contents', not 'fp32_contents'"},
	{"INT32", 1, "32040000803f", NULL,
	 "datatype INT32 has 'fp32_contents', not 'int_contents'"},
	{"INT32", 2, "12020180", NULL, "contents that are cut off"},
	{"INT32", 1, "12020102", NULL, "does not hold the 1 elements"},
	{"INT32", 1000000000, "12020102", NULL, "does not hold the 1000000000 elements"},
	{"BYTES", 1, "420161420162", NULL, "does not hold the 1 elements"},
	{"FP16", 1, "32040000803f", NULL,
	 "FP16 data has no typed contents. Please use raw_input_contents"},
	{"BF16", 1, "32040000803f", NULL, "BF16 data has no typed contents"},
	{"FP31", 1, "32040000803f", NULL, "'FP31' is no datatype"},
	{"", 1, "32040000803f", NULL, "input 'x' has no 'datatype'"},
	{"INT32", 1, "12010148010a0100", NULL, "'int_contents'"}, /* bool_contents beside */
	{"INT32", 1, "4a01001201014801", "01000000", NULL}, /* unknown fields are passed over */
	{"FP32", 0, "", "", NULL},
	{"FP32", 1, "", NULL, "unable to find data for input tensor 'x'"},
};

static void start(struct pb *m)
{
	m->n = 0;
	text(m, 1, "m");
}

static void typed_contents(void **state)
{
	(void)state;
	char hex[200];
	for (size_t i = 0; i < sizeof typed / sizeof typed[0]; i++) {
		struct pb m, in = {.n = 0}, shape = {.n = 0}, contents = {.n = 0};
		struct parsed p;
		start(&m);
		contents.n = unhex(typed[i].contents, contents.b);
		varint(&shape, (uint64_t)typed[i].count);
		text(&in, 1, "x");
		if (typed[i].datatype[0])
			text(&in, 2, typed[i].datatype);
		nest(&in, 3, &shape);
		if (contents.n > 0)
			nest(&in, 5, &contents);
		nest(&m, 5, &in);
		parse_at(&p, m.b, m.n, 0);
		if (typed[i].says) {
			if (p.status == PS_OK || !strstr(p.err.what, typed[i].says))
				fail_msg("%zu: %s %s: got '%s'", i, typed[i].datatype,
					 typed[i].contents, p.err.what);
		} else if (p.status != PS_OK) {
			fail_msg("%zu: %s %s: %s", i, typed[i].datatype, typed[i].contents,
				 p.err.what);
		} else {
			to_hex(p.q.inputs[0].data, p.q.inputs[0].bytes, hex);
			assert_string_equal(hex, typed[i].tensor);
		}
		done(&p);
	}
}

/* --- raw contents --- */

static void add_input(struct pb *m, const char *name, const char *datatype, int64_t dim)
{
	struct pb in = {.n = 0};
	text(&in, 1, name);
	text(&in, 2, datatype);
	varint(&in, 3 << 3); /* not packed */
	varint(&in, (uint64_t)dim);
	nest(m, 5, &in);
}

static void raw_contents_stay_in_place(void **state)
{
	(void)state;
	static const double values[] = {1, -2, 3};
	for (size_t off = 0; off < 16; off++) {
		struct pb m;
		struct parsed p;
		start(&m);
		add_input(&m, "x", "FP32", 50);
		add_input(&m, "y", "FP64", 3);
		unsigned char floats[200];
		for (size_t i = 0; i < sizeof floats; i++)
			floats[i] = (unsigned char)i;
		bytes(&m, 7, floats, sizeof floats);
		bytes(&m, 7, values, sizeof values);
		parse_at(&p, m.b, m.n, off);
		if (p.status != PS_OK)
			fail_msg("%s", p.err.what);
		const struct ps_tensor *t = p.q.inputs;
		assert_memory_equal(t[0].data, floats, sizeof floats);
		assert_memory_equal(t[1].data, values, sizeof values);
		assert_int_equal((uintptr_t)t[0].data % 4, 0);
		assert_int_equal((uintptr_t)t[1].data % 8, 0);
		/* Its own head of three bytes is always room enough for elements of four. */
		assert_true((char *)t[0].data > p.message &&
			    (char *)t[0].data < p.message + off + m.n);
		done(&p);
	}
}

/* --- refusals --- */

static void two_inputs(struct pb *m)
{
	add_input(m, "x", "INT8", 1);
	add_input(m, "y", "INT8", 1);
}

static void one_raw_for_two(struct pb *m)
{
	two_inputs(m);
	bytes(m, 7, "a", 1);
}

static void two_raws_for_one(struct pb *m)
{
	add_input(m, "x", "INT8", 1);
	bytes(m, 7, "a", 1);
	bytes(m, 7, "b", 1);
}

static void raw_of_wrong_size(struct pb *m)
{
	add_input(m, "x", "FP32", 2);
	bytes(m, 7, "1234", 4);
}

static void raw_and_typed(struct pb *m)
{
	struct pb in = {.n = 0};
	text(&in, 1, "x");
	text(&in, 2, "INT8");
	bytes(&in, 3, "\1", 1);
	bytes(&in, 5, "\x12\1\1", 3);
	nest(m, 5, &in);
	bytes(m, 7, "a", 1);
}

static void typed_twice(struct pb *m)
{
	struct pb in = {.n = 0};
	text(&in, 1, "x");
	text(&in, 2, "INT8");
	bytes(&in, 5, "\x12\1\1", 3);
	bytes(&in, 5, "\x12\1\1", 3);
	nest(m, 5, &in);
}

static void bad_bytes(struct pb *m)
{
	add_input(m, "x", "BYTES", 1);
	bytes(m, 7, "\xff\xff\xff\xff", 4);
}

static void bad_bool(struct pb *m)
{
	add_input(m, "x", "BOOL", 1);
	bytes(m, 7, "\2", 1);
}

static void no_inputs(struct pb *m)
{
	text(m, 3, "id");
}

static void no_model(struct pb *m)
{
	m->n = 0;
	add_input(m, "x", "INT8", 1);
}

static void model_with_slash(struct pb *m)
{
	text(m, 1, "../m");
}

static void negative_dim(struct pb *m)
{
	add_input(m, "x", "INT8", -1);
}

static void huge_shape(struct pb *m)
{
	struct pb in = {.n = 0}, shape = {.n = 0};
	text(&in, 1, "x");
	text(&in, 2, "INT8");
	for (int i = 0; i < 3; i++)
		varint(&shape, INT64_MAX);
	nest(&in, 3, &shape);
	nest(m, 5, &in);
	bytes(m, 7, "a", 1);
}

static void deep_shape(struct pb *m)
{
	struct pb in = {.n = 0};
	text(&in, 1, "x");
	text(&in, 2, "INT8");
	bytes(&in, 3, "\1\1\1\1\1\1\1\1\1", 9);
	nest(m, 5, &in);
}

static void nameless_input(struct pb *m)
{
	struct pb in = {.n = 0};
	text(&in, 2, "INT8");
	nest(m, 5, &in);
}

static void long_name(struct pb *m)
{
	char name[257];
	memset(name, 'a', 256);
	name[256] = '\0';
	add_input(m, name, "INT8", 1);
}

static void name_with_nul(struct pb *m)
{
	struct pb in = {.n = 0};
	bytes(&in, 1, "a\0b", 3);
	nest(m, 5, &in);
}

static void name_not_utf8(struct pb *m)
{
	struct pb in = {.n = 0};
	bytes(&in, 1, "\xff", 1);
	nest(m, 5, &in);
}

static void parameter(struct pb *m, unsigned field, const char *name, const char *value, size_t n)
{
	struct pb entry = {.n = 0};
	text(&entry, 1, name);
	bytes(&entry, 2, value, n);
	nest(m, field, &entry);
}

static void shared_memory(struct pb *m)
{
	struct pb in = {.n = 0};
	text(&in, 1, "x");
	text(&in, 2, "INT8");
	parameter(&in, 4, "shared_memory_region", "\x1a\1r", 3);
	nest(m, 5, &in);
}

static void classification(struct pb *m)
{
	struct pb out = {.n = 0};
	text(&out, 1, "y");
	parameter(&out, 2, "classification", "\x10\3", 2);
	nest(m, 6, &out);
}

static void timeout_text(struct pb *m)
{
	parameter(m, 4, "timeout",
		  "\x1a\1"
		  "1",
		  3);
}

static void many_inputs(struct pb *m)
{
	for (int i = 0; i < 65; i++)
		add_input(m, "x", "INT8", 1);
}

static void many_raws(struct pb *m)
{
	for (int i = 0; i < 65; i++)
		bytes(m, 7, "", 0);
}

static void many_outputs(struct pb *m)
{
	for (int i = 0; i < 65; i++)
		bytes(m, 6, "\x0a\1y", 3);
}

static void many_parameters(struct pb *m)
{
	for (int i = 0; i < 65; i++)
		parameter(m, 4, "p", "\x08\1", 2);
}

static void nameless_output(struct pb *m)
{
	bytes(m, 6, "", 0);
}

static void group(struct pb *m)
{
	varint(m, 9 << 3 | 3);
}

static void field_zero(struct pb *m)
{
	varint(m, 0);
	varint(m, 1);
}

static void long_varint(struct pb *m)
{
	memcpy(m->b + m->n, "\x48\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 12);
	m->n += 12;
}

static void length_beyond(struct pb *m)
{
	varint(m, 9 << 3 | 2);
	varint(m, UINT64_MAX);
}

static const struct {
	void (*make)(struct pb *m);
	enum ps_status status;
	const char *says;
} bad[] = {
	{two_inputs, PS_EINVAL, "unable to find data for input tensor 'x'"},
	{one_raw_for_two, PS_EINVAL, "unable to find data for input tensor 'y'"},
	{two_raws_for_one, PS_EINVAL, "2 raw_input_contents for 1 inputs"},
	{raw_of_wrong_size, PS_EINVAL, "input 'x' got unexpected byte size 4, expecting 8"},
	{raw_and_typed, PS_EINVAL,
	 "contents field must not be specified when using raw_input_contents for 'x'"},
	{typed_twice, PS_EINVAL, "the contents of input 'x' come twice"},
	{bad_bytes, PS_EINVAL, "the bytes do not hold 1 elements"},
	{bad_bool, PS_EINVAL, "a BOOL is neither 0 nor 1"},
	{no_inputs, PS_EINVAL, "no 'inputs'"},
	{no_model, PS_EINVAL, "no 'model_name'"},
	{model_with_slash, PS_EINVAL, "the model name holds a slash"},
	{negative_dim, PS_EINVAL, "negative dimension -1"},
	{huge_shape, PS_ETOOBIG, "too many elements"},
	{deep_shape, PS_ETOOBIG, "over 8 dimensions"},
	{nameless_input, PS_EINVAL, "has no 'name'"},
	{long_name, PS_ETOOBIG, "over 255 bytes"},
	{name_with_nul, PS_EINVAL, "holds a NUL"},
	{name_not_utf8, PS_EINVAL, "is not UTF-8"},
	{shared_memory, PS_EUNSUPPORTED, "shared memory"},
	{classification, PS_EUNSUPPORTED, "'classification'"},
	{timeout_text, PS_EINVAL, "'timeout' must be a number of microseconds"},
	{many_inputs, PS_ETOOBIG, "over 64 tensors"},
	{many_raws, PS_ETOOBIG, "over 64 raw contents"},
	{many_outputs, PS_ETOOBIG, "over 64 outputs"},
	{many_parameters, PS_ETOOBIG, "over 64 parameters"},
	{nameless_output, PS_EINVAL, "an output has no 'name'"},
	{group, PS_EPARSE, "malformed"},
	{field_zero, PS_EPARSE, "malformed"},
	{long_varint, PS_EPARSE, "malformed"},
	{length_beyond, PS_EPARSE, "malformed"},
};

static void bad_requests_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct pb m;
		struct parsed p;
		start(&m);
		bad[i].make(&m);
		parse_at(&p, m.b, m.n, 0);
		if (p.status != bad[i].status || !strstr(p.err.what, bad[i].says))
			fail_msg("%zu: wanted %s '%s', got %s '%s'", i,
				 ps_status_name(bad[i].status), bad[i].says,
				 ps_status_name(p.status), p.err.what);
		done(&p);
	}
}

/* --- answers --- */

static char *join(const struct ps_oip_message *m)
{
	char *body = malloc(m->bytes + 1), *at = body;
	for (size_t i = 0; i < m->n_pieces; i++) {
		memcpy(at, m->pieces[i].iov_base, m->pieces[i].iov_len);
		at += m->pieces[i].iov_len;
	}
	assert_int_equal(at - body, m->bytes);
	return body;
}

static const char answer_head[] =
	"0a016d1201331a0271372a0e0a01791204465033321a0301ac022a0c0a01651204494e54381a01002a090a01"
	"731204424f4f4c32b009";

static void answers_are_raw_in_order(void **state)
{
	(void)state;
	struct ps_arena arena;
	struct ps_oip_message m;
	unsigned char want[2000];
	char large[1200], flag = 1;
	const struct ps_tensor t[] = {{"y", PS_DTYPE_FP32, 2, {1, 300}, large, sizeof large},
				      {"e", PS_DTYPE_INT8, 1, {0}, NULL, 0},
				      {"s", PS_DTYPE_BOOL, 0, {0}, &flag, 1}};
	const struct ps_oip_response r = {"m", "3", "q7", t, NULL, 3};
	for (size_t i = 0; i < sizeof large; i++)
		large[i] = (char)(i % 4 + 1);
	size_t n = unhex(answer_head, want);
	memcpy(want + n, large, sizeof large);
	n += sizeof large;
	n += unhex("3200320101", want + n);
	for (int stream = 0; stream < 2; stream++) {
		ps_arena_init(&arena, 0);
		assert_int_equal(ps_oip_grpc_build_infer(&r, stream, &arena, &m, NULL), PS_OK);
		char *body = join(&m);
		assert_int_equal(m.bytes, n + (stream ? 3 : 0));
		assert_memory_equal(body, stream ? "\x12\xeb\x09" : "", stream ? 3 : 0);
		assert_memory_equal(body + (stream ? 3 : 0), want, n);
		assert_int_equal(m.n_pieces, 4);
		assert_ptr_equal(m.pieces[1].iov_base, large); /* not a copy */
		free(body);
		ps_arena_fini(&arena);
	}
}

static void answers_are_checked(void **state)
{
	(void)state;
	struct ps_arena arena;
	struct ps_oip_message m;
	struct ps_error err;
	const struct ps_tensor t = {"y", PS_DTYPE_FP32, 1, {2}, "1234", 4};
	const struct ps_oip_response r = {"m", NULL, NULL, &t, NULL, 1};
	ps_arena_init(&arena, 0);
	assert_int_equal(ps_oip_grpc_build_infer(&r, false, &arena, &m, &err), PS_EINVAL);
	assert_non_null(strstr(err.what, "output 'y' of FP32[2] does not have 4 bytes"));
	ps_arena_fini(&arena);
}

static void stream_errors(void **state)
{
	(void)state;
	struct ps_strbuf out;
	struct ps_error err;
	char hex[100];
	ps_error_set(&err, PS_EINVAL, "no");
	ps_strbuf_init(&out);
	ps_oip_grpc_build_stream_error(&err, "q", &out);
	to_hex(out.data, out.len, hex);
	assert_string_equal(hex, "0a026e6f12031a0171");
	ps_strbuf_clear(&out);
	ps_oip_grpc_build_stream_error(&err, NULL, &out);
	assert_int_equal(out.len, 4);
	ps_strbuf_fini(&out);
}

/* --- what one side writes the other reads --- */

static float reals[] = {0.0f, -0.0f, 0.1f, 1e-45f, 3.4028235e38f, 16777216.0f, 1.0f / 3, 7e20f};
static double wide[] = {0.1, -2.5e-308, 1.7976931348623157e308};
static int64_t small[] = {INT64_MIN, -1, 0, INT64_MAX};
static uint8_t bools[] = {1, 0, 1};
static char texts[] = "\3\0\0\0a\"b\0\0\0\0\5\0\0\0\xc3\xa9\n\x7f\0";
static uint16_t halves[] = {0x3c00, 0x8000};

static const struct ps_tensor tensors[] = {
	{"reals", PS_DTYPE_FP32, 2, {2, 4}, reals, sizeof reals},
	{"wide", PS_DTYPE_FP64, 1, {3}, wide, sizeof wide},
	{"small", PS_DTYPE_INT64, 1, {4}, small, sizeof small},
	{"bools", PS_DTYPE_BOOL, 1, {3}, bools, sizeof bools},
	{"texts", PS_DTYPE_BYTES, 1, {3}, texts, sizeof texts - 1},
	{"none", PS_DTYPE_FP32, 2, {0, 7}, reals, 0},
	{"halves", PS_DTYPE_FP16, 1, {2}, halves, sizeof halves},
	{"brain", PS_DTYPE_BF16, 1, {2}, halves, sizeof halves},
	{"scalar", PS_DTYPE_UINT16, 0, {0}, halves, 2},
};
enum { N = sizeof tensors / sizeof tensors[0] };

static void same(const struct ps_tensor *a, const struct ps_tensor *b)
{
	assert_string_equal(a->name, b->name);
	assert_int_equal(a->dtype, b->dtype);
	assert_int_equal(a->rank, b->rank);
	assert_memory_equal(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
	assert_int_equal(a->bytes, b->bytes);
	assert_true(a->bytes == 0 || memcmp(a->data, b->data, a->bytes) == 0);
}

static void requests_come_back(void **state)
{
	(void)state;
	struct ps_arena out;
	struct ps_oip_message m;
	struct parsed p;
	struct ps_oip_output want[] = {{"o", true}, {"p", false}};
	const struct ps_oip_infer i = {.id = "7",
				       .inputs = tensors,
				       .n_inputs = N,
				       .outputs = want,
				       .n_outputs = 2,
				       .timeout_us = 5,
				       .priority = 1};
	const struct ps_oip_target target = {.model = "m", .version = "4"};
	ps_arena_init(&out, 0);
	assert_int_equal(ps_oip_grpc_build_request(&target, &i, &out, &m, NULL), PS_OK);
	char *body = join(&m);
	parse_at(&p, body, m.bytes, 1);
	if (p.status != PS_OK)
		fail_msg("%s", p.err.what);
	assert_string_equal(p.target.model, "m");
	assert_string_equal(p.target.version, "4");
	assert_string_equal(p.q.id, "7");
	assert_int_equal(p.q.timeout_us, 5);
	assert_int_equal(p.q.priority, 1);
	assert_int_equal(p.q.n_outputs, 2);
	assert_string_equal(p.q.outputs[1].name, "p");
	assert_int_equal(p.q.n_inputs, N);
	for (int k = 0; k < N; k++)
		same(&tensors[k], &p.q.inputs[k]);
	free(body);
	done(&p);
	ps_arena_fini(&out);
}

static void answers_come_back(void **state)
{
	(void)state;
	struct ps_arena arena;
	struct ps_oip_message m;
	struct ps_oip_reply reply;
	const struct ps_oip_response r = {"m", "3", "q7", tensors, NULL, N};
	ps_arena_init(&arena, 0);
	assert_int_equal(ps_oip_grpc_build_infer(&r, false, &arena, &m, NULL), PS_OK);
	char *body = join(&m);
	assert_int_equal(ps_oip_grpc_parse_response(body, m.bytes, &arena, &reply, NULL), PS_OK);
	assert_string_equal(reply.model_name, "m");
	assert_string_equal(reply.id, "q7");
	assert_int_equal(reply.n_outputs, N);
	for (int k = 0; k < N; k++)
		same(&tensors[k], &reply.outputs[k]);
	free(body);
	ps_arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_request),
		cmocka_unit_test(cut_requests),
		cmocka_unit_test(typed_contents),
		cmocka_unit_test(raw_contents_stay_in_place),
		cmocka_unit_test(bad_requests_are_refused),
		cmocka_unit_test(answers_are_raw_in_order),
		cmocka_unit_test(answers_are_checked),
		cmocka_unit_test(stream_errors),
		cmocka_unit_test(requests_come_back),
		cmocka_unit_test(answers_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
