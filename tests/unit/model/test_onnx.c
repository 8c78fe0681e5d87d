/* ONNX files: what is written can be read, and what is broken is refused with its place. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "model/onnx.h"
#include "model/zoo.h"
#include "support/tiny_onnx.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/perseus-onnx-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static const char *in_dir(const char *name)
{
	static char path[200];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

/* A network with every kind of field that we write. */
static struct ps_graph *small(uint64_t seed)
{
	struct ps_graph *g = ps_graph_new("small", seed);
	assert_non_null(g);
	int x = ps_graph_input(g, "input", 4, (int64_t[]){PS_GRAPH_BATCH, 3, 9, 9});
	x = ps_graph_conv(g, x,
			  &(struct ps_graph_conv){.out = 5, .kernel = 3, .pad = 1, .bias = true});
	x = ps_graph_relu6(g, ps_graph_batch_norm(g, x, 1e-5, 1, 0));
	x = ps_graph_max_pool(g, x,
			      &(struct ps_graph_pool){.kernel = 2, .stride = 2, .ceil = true});
	x = ps_graph_gemm(g, ps_graph_flatten(g, ps_graph_swish(g, x)), 7);
	ps_graph_output(g, x, "output");
	return g;
}

static void write_bytes(struct ps_graph *g, char **ret_data, size_t *ret_len)
{
	const char *path = in_dir("m.onnx");
	struct ps_error err = {0};
	if (ps_onnx_write(g, path, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
	assert_int_equal(ps_file_read(path, 1 << 24, ret_data, ret_len, NULL), PS_OK);
	unlink(path);
	ps_graph_free(g);
}

static void test_round_trip(void **state)
{
	(void)state;
	struct ps_graph *g = small(1);
	struct ps_graph_counts n;
	struct ps_onnx_model m;
	struct ps_error err = {0};
	char *data;
	size_t len;
	int64_t size;
	ps_graph_count(g, &n);
	assert_int_equal(ps_onnx_size(g, &size, NULL), PS_OK);
	write_bytes(g, &data, &len);
	assert_int_equal(size, len);
	if (ps_onnx_parse(data, len, &m, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
	free(data);
	assert_int_equal(m.parameters, n.parameters);
	assert_int_equal(m.parameters, 5 * 27 + 5 + 10 + 7 * 125 + 7);
	/* Weights, four vectors of normalisation, a bias each, and the two bounds of the clip. */
	assert_int_equal(m.weight_bytes, 4 * (n.parameters + 10 + 2));
	assert_int_equal(m.n_nodes, n.nodes);
	assert_int_equal(m.n_initializers, 10);
	assert_int_equal(m.opset, PS_ONNX_OPSET);
	assert_int_equal(m.ir_version, PS_ONNX_IR_VERSION);
	assert_string_equal(m.producer, "perseus");
	assert_false(m.external_data);
	assert_int_equal(m.n_inputs, 1);
	assert_string_equal(m.inputs[0].name, "input");
	assert_int_equal(m.inputs[0].dtype, PS_DTYPE_FP32);
	assert_int_equal(m.inputs[0].rank, 4);
	assert_memory_equal(m.inputs[0].dims, ((int64_t[]){-1, 3, 9, 9}), 32);
	assert_int_equal(m.n_outputs, 1);
	assert_string_equal(m.outputs[0].name, "output");
	assert_memory_equal(m.outputs[0].dims, ((int64_t[]){-1, 7}), 16);
	ps_onnx_free(&m);
}

static uint64_t hash(const char *data, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
	return h;
}

static uint64_t hash_of(struct ps_graph *g)
{
	char *data;
	size_t len;
	write_bytes(g, &data, &len);
	uint64_t h = hash(data, len);
	free(data);
	return h;
}

static void test_same_seed_same_bytes(void **state)
{
	(void)state;
	struct ps_graph *g;
	assert_int_equal(hash_of(small(1)), hash_of(small(1)));
	assert_int_not_equal(hash_of(small(1)), hash_of(small(2)));
	/* On every machine and in every release: a change here changes all measurements' files. */
	assert_int_equal(ps_zoo_build(ps_zoo_find("squeezenet1_1"), 1, &g, NULL), PS_OK);
	assert_int_equal(hash_of(g), UINT64_C(0x30fec469ac9a384e));
}

/* Weights are drawn from the stream of their tensor's name: finite, normal, of the right spread. */
static void test_weights(void **state)
{
	(void)state;
	struct ps_graph *g = ps_graph_new("w", 3);
	char *data;
	size_t len;
	int x = ps_graph_input(g, "input", 2, (int64_t[]){PS_GRAPH_BATCH, 100});
	ps_graph_output(g, ps_graph_gemm(g, x, 401), "output");
	write_bytes(g, &data, &len);
	const char *at = memmem(data, len, "gemm_0.weight", 13);
	assert_non_null(at); /* the node's; the tensor's own comes next */
	at = memmem(at + 1, len - (size_t)(at + 1 - data), "gemm_0.weight", 13);
	assert_non_null(at);
	at += 13 + 4; /* tag, and a length of three bytes */
	double sum = 0, square = 0;
	for (int i = 0; i < 40100; i++) {
		float w;
		memcpy(&w, at + 4 * i, 4);
		assert_true(isfinite(w) && (w == 0 || fabsf(w) >= FLT_MIN));
		sum += w;
		square += (double)w * w;
	}
	free(data);
	assert_true(fabs(sum / 40100) < 0.002);
	assert_true(fabs(square / 401 - 1) < 0.02);
}

static void test_refusals(void **state)
{
	(void)state;
	struct ps_error err = {0};
	int64_t size;
	struct ps_graph *g = small(1);
	assert_int_not_equal(ps_onnx_write(g, in_dir("none/m.onnx"), &err), PS_OK);
	assert_non_null(strstr(err.where, "none/m.onnx"));
	ps_graph_free(g);
	g = ps_graph_new("nothing", 1);
	ps_graph_input(g, "input", 1, (int64_t[]){3});
	assert_int_equal(ps_onnx_write(g, in_dir("m.onnx"), &err), PS_EINVAL);
	ps_graph_free(g);
	/* Four gigabytes in one tensor; a petabyte in several. */
	for (int layers = 1; layers <= 8; layers += 7) {
		g = ps_graph_new("big", 1);
		int x = ps_graph_input(
			g, "input", 2,
			(int64_t[]){PS_GRAPH_BATCH, layers == 1 ? 1 << 30 : 1 << 24});
		for (int i = 0; i < layers; i++)
			x = ps_graph_gemm(g, x, layers == 1 ? 1 : 1 << 24);
		ps_graph_output(g, x, "output");
		assert_int_equal(ps_onnx_size(g, &size, &err), PS_ETOOBIG);
		assert_int_equal(ps_onnx_write(g, in_dir("m.onnx"), &err), PS_ETOOBIG);
		assert_non_null(strstr(err.what, "big"));
		ps_graph_free(g);
	}
	assert_false(ps_file_exists(in_dir("m.onnx")));
}

static void test_failed_rename(void **state)
{
	(void)state;
	struct ps_error err = {0};
	struct ps_graph *g = small(1);
	/* A folder in the way of the last step: the temporary file must go, the folder must stay.
	 */
	char path[200];
	snprintf(path, sizeof path, "%s", in_dir("taken"));
	assert_int_equal(mkdir(path, 0777), 0);
	assert_int_not_equal(ps_onnx_write(g, path, &err), PS_OK);
	assert_non_null(strstr(err.where, "taken"));
	assert_int_equal(rmdir(path), 0);
	ps_graph_free(g);
	/* remove_dir fails when a temporary file was left. */
}

static enum ps_status parse(const void *data, size_t len, struct ps_error *err)
{
	struct ps_onnx_model m;
	/* A copy of the exact length, so that a sanitizer sees a read behind the end. */
	void *copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, data, len);
	*err = (struct ps_error){0};
	enum ps_status s = ps_onnx_parse(copy, len, &m, err);
	free(copy);
	if (s == PS_OK)
		ps_onnx_free(&m);
	else
		assert_true(err->what[0]);
	return s;
}

static void test_every_truncation(void **state)
{
	(void)state;
	struct ps_error err;
	char *data;
	size_t len;
	write_bytes(small(1), &data, &len);
	assert_int_equal(parse(data, len, &err), PS_OK);
	for (size_t n = 0; n < len; n++)
		if (parse(data, n, &err) != PS_EPARSE)
			fail_msg("cut at %zu of %zu: %s", n, len, err.what);
	assert_int_equal(parse(data, len - 1, &err), PS_EPARSE);
	assert_non_null(strstr(err.where, "byte "));
	free(data);
}

/* Random damage: any answer but a crash; a sanitizer build sees the rest. */
static void test_damage(void **state)
{
	(void)state;
	struct ps_error err;
	struct ps_rng rng;
	char *data;
	size_t len;
	write_bytes(small(1), &data, &len);
	char *copy = malloc(len);
	assert_non_null(copy);
	ps_rng_init(&rng, 1, ps_rng_stream("damage"));
	int refused = 0;
	for (int i = 0; i < 5000; i++) {
		memcpy(copy, data, len);
		for (uint64_t k = 1 + ps_rng_below(&rng, 4); k > 0; k--)
			copy[ps_rng_below(&rng, 1200)] = (char)ps_rng_next(&rng);
		refused += parse(copy, len, &err) != PS_OK;
	}
	assert_true(refused > 1250);
	free(copy);
	free(data);
}

struct hostile {
	void (*make)(struct tiny_onnx *t);
	enum ps_status status;
	const char *complaint;
};

static void sound(struct tiny_onnx *t)
{
	tiny_input(t, "x", 1, "N,4");
	tiny_node(t, "Identity", "x", NULL, "y", -1);
	tiny_output(t, "y", 1, "N,4");
}
static void no_output(struct tiny_onnx *t)
{
	tiny_input(t, "x", 1, "N,4");
}
static void deep(struct tiny_onnx *t)
{
	sound(t);
	tiny_input(t, "deep", 1, "1,1,1,1,1,1,1,1,1");
}
static void odd_type(struct tiny_onnx *t)
{
	sound(t);
	tiny_input(t, "odd", 14, "1");
}
static void not_utf8(struct tiny_onnx *t)
{
	sound(t);
	tiny_input(t, "bad\xff\x1b[2J", 1, "1");
}
static void nameless(struct tiny_onnx *t)
{
	sound(t);
	tiny_input(t, "", 1, "1");
}
static void no_tensor(struct tiny_onnx *t)
{
	struct ps_strbuf v;
	sound(t);
	ps_strbuf_init(&v);
	tiny_text(&v, 1, "sequence");
	tiny_message(&t->graph, 11, &v);
}
static void long_name(struct tiny_onnx *t)
{
	char name[400];
	sound(t);
	memset(name, 'n', sizeof name);
	name[sizeof name - 1] = '\0';
	tiny_input(t, name, 1, "1");
}
static void many_inputs(struct tiny_onnx *t)
{
	sound(t);
	for (int i = 0; i < PS_MODEL_MAX_TENSORS; i++)
		tiny_input(t, "x", 1, "1");
}

/* A stored tensor of the given dimensions and bytes. */
static void stored(struct tiny_onnx *t, uint64_t a, uint64_t b, size_t bytes)
{
	struct ps_strbuf w;
	char zeros[64] = {0};
	sound(t);
	ps_strbuf_init(&w);
	tiny_int(&w, 1, a);
	tiny_int(&w, 1, b);
	tiny_int(&w, 2, 1);
	tiny_text(&w, 8, "w");
	tiny_bytes(&w, 9, zeros, bytes);
	tiny_message(&t->graph, 5, &w);
}
static void short_weights(struct tiny_onnx *t)
{
	stored(t, 2, 3, 20);
}
static void huge_weights(struct tiny_onnx *t)
{
	stored(t, UINT64_C(1) << 40, UINT64_C(1) << 40, 4);
}
static void negative_weights(struct tiny_onnx *t)
{
	stored(t, (uint64_t)-1, 2, 4);
}
static void good_weights(struct tiny_onnx *t)
{
	stored(t, 2, 3, 24);
}
static void bad_node(struct tiny_onnx *t)
{
	sound(t);
	tiny_bytes(&t->graph, 1, "\x0a\x7f", 2);
}
static void group(struct tiny_onnx *t)
{
	sound(t);
	tiny_varint(&t->graph, 1 << 3 | 3);
}
static void field_zero(struct tiny_onnx *t)
{
	sound(t);
	tiny_int(&t->graph, 0, 1);
}
static void endless_varint(struct tiny_onnx *t)
{
	sound(t);
	for (int i = 0; i < 11; i++)
		ps_strbuf_putc(&t->graph, (char)0xff);
}
static void many_attributes(struct tiny_onnx *t)
{
	/* Two bytes each on the wire, over a hundred in memory: the allocator's limit answers. */
	struct ps_strbuf n;
	sound(t);
	ps_strbuf_init(&n);
	for (int i = 0; i < 2500000; i++)
		ps_strbuf_append(&n, "\x2a\x00", 2);
	tiny_message(&t->graph, 1, &n);
}

static const struct hostile hostile[] = {
	{sound, PS_OK, NULL},
	{good_weights, PS_OK, NULL},
	{no_output, PS_EPARSE, "no output"},
	{deep, PS_EUNSUPPORTED, "9 dimensions"},
	{odd_type, PS_EUNSUPPORTED, "data type 14"},
	{not_utf8, PS_EUNSUPPORTED, "bad??[2J"},
	{nameless, PS_EPARSE, "without a name"},
	{no_tensor, PS_EUNSUPPORTED, "'sequence' is not a tensor"},
	{long_name, PS_EUNSUPPORTED, "longer than 255"},
	{many_inputs, PS_EUNSUPPORTED, "over 64"},
	{short_weights, PS_EPARSE, "holds 20 bytes, its shape wants 24"},
	{huge_weights, PS_EPARSE, "shape"},
	{negative_weights, PS_EPARSE, "shape"},
	{bad_node, PS_EPARSE, "a node"},
	{group, PS_EPARSE, "the graph"},
	{field_zero, PS_EPARSE, "the graph"},
	{endless_varint, PS_EPARSE, "the graph"},
	{many_attributes, PS_EPARSE, "a node"},
};

static void test_hostile(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
		struct tiny_onnx t;
		struct ps_error err;
		char *data;
		size_t len;
		tiny_begin(&t);
		hostile[i].make(&t);
		assert_int_equal(tiny_write(&t, in_dir("t.onnx")), PS_OK);
		assert_int_equal(ps_file_read(in_dir("t.onnx"), 1 << 24, &data, &len, NULL), PS_OK);
		unlink(in_dir("t.onnx"));
		enum ps_status s = parse(data, len, &err);
		free(data);
		if (s != hostile[i].status)
			fail_msg("row %zu: %s: %s", i, ps_status_name(s), err.what);
		if (s != PS_OK && !strstr(err.what, hostile[i].complaint))
			fail_msg("row %zu says: %s", i, err.what);
	}
}

static void test_not_onnx(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "<html>", "model: resnet50\n", "\x89PNG\r\n\x1a\n",
					    "\x08\x08"};
	struct ps_error err;
	struct ps_onnx_model m;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		assert_int_equal(parse(texts[i], strlen(texts[i]), &err), PS_EPARSE);
	assert_int_equal(ps_onnx_read(in_dir("none.onnx"), &m, &err), PS_ENOTFOUND);
	assert_non_null(strstr(err.where, "none.onnx"));
	assert_int_equal(ps_file_write(in_dir("t.onnx"), "junk", 4, NULL), PS_OK);
	assert_int_equal(ps_onnx_read(in_dir("t.onnx"), &m, &err), PS_EPARSE);
	assert_non_null(strstr(err.where, "t.onnx: byte "));
	unlink(in_dir("t.onnx"));
}

/* An input that has an initialiser is a default, not a demand. */
static void test_defaults_are_no_inputs(void **state)
{
	(void)state;
	struct tiny_onnx t;
	struct ps_onnx_model m;
	tiny_begin(&t);
	sound(&t);
	tiny_input(&t, "w", 1, "1,2");
	tiny_weights(&t, "w", 1, 2, (const float[]){1, 2});
	assert_int_equal(tiny_write(&t, in_dir("t.onnx")), PS_OK);
	assert_int_equal(ps_onnx_read(in_dir("t.onnx"), &m, NULL), PS_OK);
	unlink(in_dir("t.onnx"));
	assert_int_equal(m.n_inputs, 1);
	assert_string_equal(m.inputs[0].name, "x");
	assert_int_equal(m.parameters, 2);
	ps_onnx_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_same_seed_same_bytes),
		cmocka_unit_test(test_weights),	      cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_failed_rename), cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_damage),	      cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_not_onnx),      cmocka_unit_test(test_defaults_are_no_inputs),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
