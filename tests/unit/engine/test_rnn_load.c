// sanitizers: not for thread (ONNX Runtime is not instrumented)
/* What loading recurrent layers takes, is forecast to take, and reads; through both doors. What
 * needs ONNX Runtime is skipped without one. */
#include "engine/rnn/facts.h"
#include "support/rnn_doors.h"

// clang-format off
#include <cmocka.h>
// clang-format on

#define OLD_FILE "/usr/share/libonnx-testdata/data/node/test_lstm_defaults/model.onnx"

static const char *const precisions[] = {"float32", "bf16", "int8"};

/* ---- a layer's forecast is exact ---- */

static void test_packed_bytes(void **unused)
{
	static const int sizes[] = {1, 7, 16, 17, 40, 130};

	(void)unused;
	state = 31;
	for (int i = 0; i < 200; i++) {
		struct ps_rnn_spec s = draw_spec();
		s.inputs = sizes[pick(0, 5)];
		s.hidden = sizes[pick(0, 5)];
		struct layer l = draw_weights(s);
		for (int p = 0; p < PS_RNN_PRECISIONS; p++) {
			struct ps_rnn *r;
			struct ps_error err;
			if (ps_rnn_can(&s, (enum ps_rnn_precision)p, NULL) != PS_OK)
				continue;
			must(ps_rnn_new(&s, (enum ps_rnn_precision)p, &l.w, NULL, &r, &err), "new",
			     &err);
			const struct ps_rnn_need need =
				ps_rnn_need_of(&s, (enum ps_rnn_precision)p, l.w.p != NULL, 1);
			assert_int_equal(need.packed_bytes, (int64_t)ps_rnn_bytes(r));
			struct ps_tensor x = drawn("x", 1, &(int64_t){200 * s.inputs});
			float *y = numbers(200 * rnn_onnx_directions(&s) * s.hidden, 1);
			const struct ps_rnn_run run = {
				.steps = 200, .batch = 1, .x = x.data, .y = y};
			must(ps_rnn_run(r, NULL, &run, &err), "run", &err);
			assert_in_range(need.packed_bytes + need.run_bytes, ps_rnn_bytes(r),
					INT64_MAX);
			free(y);
			ps_rnn_free(r);
		}
		drop(&l);
	}
}

/* ---- a model's forecast ---- */

static void write_large(const char *path, struct layer *l)
{
	struct tiny_onnx t;

	*l = draw_weights(ps_rnn_spec_default(PS_RNN_LSTM, 160, 320));
	tiny_begin(&t);
	tiny_input(&t, "x", 1, "T,N,160");
	rnn_onnx_layer(&t, &l->s, &l->w,
		       &(struct rnn_onnx_names){.name = "large", .x = "x", .y = "y"});
	tiny_output(&t, "y", 1, "T,1,N,320");
	assert_int_equal(tiny_write(&t, path), PS_OK);
}

static void check_forecast(int door, const char *path, const char *precision)
{
	static const int64_t shape[] = {40, 1, 160};
	const struct ps_engine_open o = {.path = path, .wide = true, .rnn = precision};
	struct ps_tensor in = drawn("x", 3, shape);
	struct ps_engine_need need;
	struct ps_engine_memory m;
	struct ps_error err;
	struct ran r;

	must(doors[door].ops->need(doors[door].engine, &o, &need, &err), precision, &err);
	must(open_door(door, path, precision, 0, &r, &err), precision, &err);
	for (int wide = 0; wide < 2; wide++)
		must(run_door(door, &r, wide, &in, &err), precision, &err);
	doors[door].ops->memory(r.instance, &m);
	int64_t is = m.private_bytes + m.mapped_bytes;
	if (need.resident_bytes < is || need.resident_bytes > is + is / 4 + (5 << 20))
		fail_msg("%s, %s: %lld bytes are forecast and %lld there", doors[door].label,
			 precision, (long long)need.resident_bytes, (long long)is);
	assert_true(need.load_bytes > need.resident_bytes);
	close_door(door, &r);
}

static void test_forecast(void **unused)
{
	char *path = path_in(dir, "large.onnx");
	struct ps_engine_need need[3];
	struct layer l;

	(void)unused;
	state = 32;
	write_large(path, &l);
	for (int door = INSIDE; door < DOORS; door++) {
		for (int p = 0; p < 3; p++) {
			const struct ps_engine_open o = {.path = path, .rnn = precisions[p]};
			if (is_there(door))
				check_forecast(door, path, precisions[p]);
			assert_int_equal(doors[door].ops->need(NULL, &o, &need[p], NULL), PS_OK);
		}
		assert_true(need[0].resident_bytes > need[1].resident_bytes);
		assert_true(need[1].resident_bytes > need[2].resident_bytes);
	}
	drop(&l);
}

/* The twin in float32 and the file are there meanwhile, whatever the precision that stays. */
static void test_peak(void **unused)
{
	char *path = path_in(dir, "peak.onnx");
	struct ps_engine_need need;
	struct layer l;

	(void)unused;
	state = 33;
	write_large(path, &l);
	int64_t weights = 4 * 320 * (160 + 320) * (int64_t)sizeof(float);
	for (int p = 0; p < 3; p++) {
		const struct ps_engine_open o = {.path = path, .rnn = precisions[p]};
		assert_int_equal(doors[OWN].ops->need(NULL, &o, &need, NULL), PS_OK);
		assert_true(need.load_bytes >= need.resident_bytes + weights);
	}
	const struct ps_engine_open nothing = {.path = "/nowhere.onnx", .rnn = "int8"};
	assert_int_equal(doors[OWN].ops->need(NULL, &nothing, &need, NULL), PS_ENOTFOUND);
	drop(&l);
}

/* ---- one layer under two nodes ---- */

static void put_tied(struct tiny_onnx *t, const struct ps_rnn_spec *s, const char *x, const char *y)
{
	static const char *const weights[] = {"tied.W", "tied.R", "tied.B"};
	struct ps_strbuf node;

	ps_strbuf_init(&node);
	tiny_text(&node, 1, x);
	for (int i = 0; i < 3; i++)
		tiny_text(&node, 1, weights[i]);
	tiny_text(&node, 2, y);
	tiny_text(&node, 4, "LSTM");
	rnn_onnx_attrs(&node, s);
	tiny_message(&t->graph, 1, &node);
}

/* The same weights again, `like` the first node or backwards. */
static void write_tied(const char *path, struct layer *l, bool like)
{
	static const int64_t axis = 1;
	struct ps_rnn_spec second;
	struct tiny_onnx t;

	*l = draw_weights(ps_rnn_spec_default(PS_RNN_LSTM, 96, 96));
	l->w.b = l->owned[2] = l->owned[2] ? l->owned[2] : numbers((int64_t)8 * 96, 0.5);
	l->w.p = NULL;
	second = l->s;
	second.direction = like ? PS_RNN_FORWARD : PS_RNN_REVERSE;
	tiny_begin(&t);
	tiny_input(&t, "x", 1, "T,N,96");
	rnn_onnx_layer(&t, &l->s, &l->w,
		       &(struct rnn_onnx_names){.name = "tied", .x = "x", .y = "y1"});
	rnn_onnx_stored(&t, "axis", 7, &axis, 1, &axis, sizeof axis);
	rnn_onnx_node(&t, "Squeeze", "y1", "axis", "x2", NULL);
	put_tied(&t, &second, "x2", "y");
	tiny_output(&t, "y", 1, "T,1,N,96");
	assert_int_equal(tiny_write(&t, path), PS_OK);
}

static void check_tied(const char *path, int layers)
{
	static const int64_t shape[] = {5, 2, 96};
	struct ps_tensor in = drawn("x", 3, shape);
	const struct ps_engine_open narrow = {.path = path};
	struct ps_engine_instance *i;
	struct ps_engine_memory m;
	struct ps_rnn_facts facts;
	struct ps_error err;
	struct ran r[DOORS];

	must(ps_rnn_facts_get(path, PS_RNN_FLOAT32, &facts, &err), "facts", &err);
	const struct ps_rnn_need one = ps_rnn_need_of(
		&(struct ps_rnn_spec){.cell = PS_RNN_LSTM, .inputs = 96, .hidden = 96},
		PS_RNN_FLOAT32, false, 1);
	assert_int_equal(facts.layers, 2);
	assert_int_equal(facts.packed_bytes, layers * one.packed_bytes);
	assert_int_equal(facts.weight_bytes, 4 * (4 * 96 * 192 + 8 * 96));
	must(doors[OWN].ops->open(doors[OWN].engine, &narrow, &i, &err), "narrow", &err);
	doors[OWN].ops->memory(i, &m); /* no run yet */
	assert_int_equal(m.private_bytes, layers * one.packed_bytes);
	doors[OWN].ops->close(i);
	for (int door = 0; door < DOORS; door++) {
		if (!is_there(door))
			continue;
		must(open_door(door, path, "float32", 0, &r[door], &err), doors[door].label, &err);
		must(run_door(door, &r[door], false, &in, &err), doors[door].label, &err);
		if (have_library)
			assert_same(&r[ALONE].out[0], &r[door].out[0], 2e-5, doors[door].label);
	}
	for (int door = 0; door < DOORS; door++) {
		if (is_there(door))
			close_door(door, &r[door]);
	}
}

static void test_tied(void **unused)
{
	(void)unused;
	state = 34;
	for (int like = 0; like < 2; like++) {
		char *path = path_in(dir, like ? "tied.onnx" : "turned.onnx");
		struct layer l;
		write_tied(path, &l, like);
		check_tied(path, like ? 1 : 2);
		drop(&l);
	}
}

/* ---- reading ---- */

/* Whoever asks about a file that has not changed reads it no more. */
static void test_read_once(void **unused)
{
	const struct ps_engine_open o = {.path = OLD_FILE, .rnn = "int8"};
	struct ps_engine_need need;
	int64_t before = ps_rnn_facts_reads();

	(void)unused;
	if (access(OLD_FILE, R_OK) != 0)
		skip();
	for (int i = 0; i < 3; i++) {
		(void)ps_engine_for_model(OLD_FILE, precisions[i]);
		assert_int_equal(doors[OWN].ops->need(NULL, &o, &need, NULL), PS_OK);
		assert_int_equal(doors[INSIDE].ops->need(NULL, &o, &need, NULL), PS_OK);
	}
	assert_int_equal(ps_rnn_facts_reads(), before + 1);
}

/* A file that was written anew is another. */
static void test_read_again(void **unused)
{
	char *path = path_in(dir, "again.onnx");
	struct ps_rnn_facts f[2];
	struct layer l;

	(void)unused;
	state = 35;
	for (int like = 0; like < 2; like++) {
		write_tied(path, &l, like);
		assert_int_equal(ps_rnn_facts_get(path, PS_RNN_INT8, &f[like], NULL), PS_OK);
		drop(&l);
	}
	assert_int_equal(f[0].packed_bytes, 2 * f[1].packed_bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packed_bytes), cmocka_unit_test(test_forecast),
		cmocka_unit_test(test_peak),	     cmocka_unit_test(test_tied),
		cmocka_unit_test(test_read_once),    cmocka_unit_test(test_read_again),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
