/* What a changed campaign file keeps: each change of one key, and the cells that it makes invalid.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "measure/measure_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MODELS                                                                                     \
	"models:\n  - {name: m, file: m.synthetic.yaml}\n  - {name: n, file: n.synthetic.yaml}\n"
#define BASE                                                                                       \
	"name: x\n" MODELS "tenants:\n"                                                            \
	"  - {name: a, model: m, demand: 4/s, sla: p95<=200ms}\n"                                  \
	"  - {name: b, model: n, demand: 4/s, sla: p95<=200ms}\n"                                  \
	"confirm: {trials: 2, duration: 8s}\n"                                                     \
	"grids:\n  - {name: g, trials: 1, axes: [{tenant: a, rates: [0, 1]}, {tenant: b, rates: "  \
	"[2]}]}\n"                                                                                 \
	"cold: {trials: 1}\n"
/* searches 3, confirms 6, rates 2, colds 2 */
#define CELLS 13
/* searches 3, confirms 3, capacities 3 */
#define CAPPED                                                                                     \
	"name: x\n" MODELS "tenants:\n"                                                            \
	"  - {name: a, model: m, demand: 4/s, sla: p95<=200ms}\n"                                  \
	"  - {name: b, model: n, demand: 4/s, sla: p95<=200ms}\n"                                  \
	"confirm: {trials: 1, at_capacity: 1}\nstop: {max_time: %s}\n"

struct planned {
	struct ps_measure_campaign c;
	struct ps_store_campaign plan;
	struct ps_arena a;
};

static void make(struct planned *p, const char *text, const char *const *models)
{
	struct ps_error err;
	ps_arena_init(&p->a, 0);
	if (ps_measure_parse(text, strlen(text), "c.yaml", &p->c, &err) != PS_OK ||
	    ps_measure_plan(&p->c, models, &p->a, &p->plan, &err) != PS_OK) {
		fail_msg("%s: %s", err.where, err.what);
	}
}

static void release(struct planned *p)
{
	ps_arena_fini(&p->a);
	ps_measure_free(&p->c);
}

static void set_all(struct planned *p, enum ps_store_cell_state state)
{
	struct ps_store_cell *cells = (struct ps_store_cell *)p->plan.cells;
	for (size_t i = 0; i < p->plan.cell_len; i++) {
		cells[i].state = state;
	}
}

/* Replaces the first `from` of BASE. */
static void edit(char *buf, size_t size, const char *from, const char *to)
{
	const char *at = strstr(BASE, from);
	assert_non_null(at);
	(void)snprintf(buf, size, "%.*s%s%s", (int)(at - BASE), BASE, to, at + strlen(from));
}

static void test_changes(void **state)
{
	static const char *const models[] = {"one", "two", "", ""};
	static const struct {
		const char *from, *to;
		int kept, changed, added, dropped;
	} rows[] = {
		{"name: x", "name: x ", 13, 0, 0, 0}, /* a blank */
		/* a demand: only the blocks of its sets */
		{"a, model: m, demand: 4/s", "a, model: m, demand: 5/s", 9, 4, 0, 0},
		/* an SLA: all of its sets; cold starts do not judge, yet their trials do */
		{"m, demand: 4/s, sla: p95<=200ms", "m, demand: 4/s, sla: p95<=150ms", 4, 9, 0, 0},
		{"duration: 8s", "duration: 9s", 7, 6, 0, 0},
		{"trials: 2", "trials: 3", 13, 0, 3, 0},
		{"trials: 2", "trials: 1", 10, 0, 0, 3},
		{"rates: [0, 1]", "rates: [0, 1, 7]", 13, 0, 1, 0},
		{"rates: [2]", "rates: [3]", 11, 0, 2, 2},
		{"cold: {trials: 1}", "cold: {trials: 1, duration: 1s}", 11, 2, 0, 0},
		{"cold: {trials: 1}", "cold: {trials: 1}\nseed: 9", 0, 13, 0, 0},
		{"cold: {trials: 1}", "cold: {trials: 1}\nserver: {width: wide}", 0, 13, 0, 0},
		{"cold: {trials: 1}", "cold: {trials: 1}\nserver: {order: arrival}", 0, 13, 0, 0},
		{"cold: {trials: 1}", "cold: {trials: 1}\nserver: {order: fair}", 13, 0, 0, 0},
		{"cold: {trials: 1}", "cold: {trials: 1}\nslice: {memory: 1GiB}", 0, 13, 0, 0},
		{"cold: {trials: 1}", "cold: {trials: 1}\nstop: {max_time: 1h}", 13, 0, 0, 0},
		{"cold: {trials: 1}", "cold: {trials: 1}\nsearch: {steps: 9}", 10, 3, 0, 0},
		{"b, model: n", "b, model: m", 4, 8, 0, 1},
		/* how a tenant's requests come */
		{"b, model: n,", "b, model: n, arrival: gamma, cv: 2,", 4, 9, 0, 0},
		/* how they travel, and what must come back; whom TLS trusts is all the same */
		{"b, model: n,", "b, model: n, protocol: grpc,", 4, 9, 0, 0},
		{"b, model: n,", "b, model: n, tolerance: 1e-3,", 4, 9, 0, 0},
		{"b, model: n,", "b, model: n, tls_ca: other.pem,", 13, 0, 0, 0},
		/* a mix of one model is no longer that model alone */
		{"b, model: n,", "b, mix: [n],", 4, 9, 0, 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[1024];
		struct planned old, now;
		struct ps_measure_match m;
		struct ps_error err;
		edit(text, sizeof(text), rows[i].from, rows[i].to);
		make(&old, BASE, models);
		make(&now, text, models);
		assert_int_equal(old.plan.cell_len, CELLS);
		set_all(&old, PS_STORE_DONE);
		assert_int_equal(ps_measure_match_plans(&now.plan, &old.plan, 0, &now.a, &m, &err),
				 PS_OK);
		if (m.same || m.counts[PS_MEASURE_KEPT] != rows[i].kept ||
		    m.counts[PS_MEASURE_CHANGED] != rows[i].changed ||
		    m.counts[PS_MEASURE_NEW] != rows[i].added ||
		    (int)m.dropped_len != rows[i].dropped) {
			char buf[PS_MEASURE_MATCH_SIZE];
			fail_msg("row %zu: %s", i, ps_measure_match_text(&m, buf));
		}
		assert_int_equal(m.move_len, rows[i].kept);
		release(&old);
		release(&now);
	}
}

/* The same text, and yet another model behind it: its cells are measured again. */
static void test_model_changed(void **state)
{
	static const char *const before[] = {"one", "two", "", ""}, *const after[] = {
									    "one", "three", "", ""};
	struct planned old, now;
	struct ps_measure_match m;
	struct ps_error err;
	(void)state;
	make(&old, BASE, before);
	make(&now, BASE, before);
	set_all(&old, PS_STORE_DONE);
	assert_int_equal(ps_measure_match_plans(&now.plan, &old.plan, 0, &now.a, &m, &err), PS_OK);
	assert_true(m.same);
	release(&now);
	make(&now, BASE, after);
	assert_int_equal(ps_measure_match_plans(&now.plan, &old.plan, 0, &now.a, &m, &err), PS_OK);
	assert_false(m.same);
	assert_int_equal(m.counts[PS_MEASURE_KEPT], 4); /* search, two blocks, cold start of a */
	assert_int_equal(m.counts[PS_MEASURE_CHANGED], 9);
	release(&old);
	release(&now);
}

/* Only what is done can be kept; a file without digests keeps its cells while the text is the same.
 */
static void test_states(void **state)
{
	static const char *const models[] = {"one", "two", "", ""};
	struct planned old, now;
	struct ps_measure_match m;
	struct ps_error err;
	(void)state;
	make(&old, BASE, models);
	make(&now, "# changed\n" BASE, models);
	set_all(&old, PS_STORE_FAILED);
	assert_int_equal(ps_measure_match_plans(&now.plan, &old.plan, 0, &now.a, &m, &err), PS_OK);
	assert_int_equal(m.counts[PS_MEASURE_OPEN], CELLS);
	release(&old);
	make(&old, BASE, NULL); /* as a Perseus wrote it that knew no digests */
	set_all(&old, PS_STORE_DONE);
	assert_int_equal(ps_measure_match_plans(&now.plan, &old.plan, 0, &now.a, &m, &err),
			 PS_EEXIST);
	release(&now);
	make(&now, BASE, models);
	assert_int_equal(ps_measure_match_plans(&now.plan, &old.plan, 0, &now.a, &m, &err), PS_OK);
	assert_true(m.same);
	assert_int_equal(m.counts[PS_MEASURE_KEPT], CELLS);
	release(&old);
	release(&now);
}

/* The same text and keys, but a damaged place: no longer the same plan. */
static void test_damaged(void **state)
{
	static const char *const models[] = {"one", "two", "", ""};
	struct planned old, now;
	struct ps_measure_match m;
	(void)state;
	make(&old, BASE, models);
	make(&now, BASE, models);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ps_measure_match_plans(&now.plan, &old.plan, 0, &now.a, &m, NULL),
				 PS_OK);
		assert_int_equal(m.same, i == 0);
		((struct ps_store_cell *)old.plan.cells)[CELLS - 1].part = 7;
	}
	release(&old);
	release(&now);
}

/* A done cell whose seal is broken is measured again, be the rest as it may; a broken plan is the
 * end. */
static void test_broken_seal(void **state)
{
	static const char *const models[] = {"one", "two", "", ""};
	struct planned old, now;
	struct ps_measure_match m;
	struct ps_error err;
	char text[PS_MEASURE_MATCH_SIZE];
	(void)state;
	make(&old, BASE, models);
	make(&now, BASE, models);
	set_all(&old, PS_STORE_DONE);
	((struct ps_store_cell *)old.plan.cells)[CELLS - 1].damaged = true;
	assert_int_equal(ps_measure_match_plans(&now.plan, &old.plan, 0, &now.a, &m, &err), PS_OK);
	assert_true(!m.same && m.damaged);
	assert_int_equal(m.fates[CELLS - 1], PS_MEASURE_CHANGED);
	assert_int_equal(m.move_len, CELLS - 1);
	assert_non_null(strstr(ps_measure_match_text(&m, text), "not what was written: 12 done"));
	/* one that is measured anyway */
	((struct ps_store_cell *)old.plan.cells)[CELLS - 1].state = PS_STORE_FAILED;
	assert_int_equal(ps_measure_match_plans(&now.plan, &old.plan, 0, &now.a, &m, &err), PS_OK);
	assert_true(m.same && !m.damaged);
	old.plan.damaged = true;
	assert_int_equal(ps_measure_match_plans(&now.plan, &old.plan, 0, &now.a, &m, &err),
			 PS_ECORRUPT);
	release(&old);
	release(&now);
}

/* The price sheet changed and the file did not: a form of its own, which keeps all results. */
static void test_price(void **state)
{
	static const char *const models[] = {"one", "two", "", ""};
	static const struct ps_store_price
		none = {.vcpu = 7},
		nothing = {.vcpu = 8}, one = {"p", "r", "i", 2, 4, 0.085, "s", "2025", {0}},
		same = {"p", "r", "i", 2, 4, 0.085, "s", "2025", {0}},
		dearer = {"p", "r", "i", 2, 4, 0.09, "s", "2026", {0}},
		hours = {"p", "r", "i", 2, 4, 0.085, "s", "2025", {.billed_per = "hour"}},
		seconds = {"p", "r", "i", 2, 4, 0.085, "s", "2025", {.billed_per = "second"}},
		spot = {"p", "r",    "i",
			2,   4,	     0.085,
			"s", "2025", {.billed_per = "hour", .spot_usd_per_hour = 0.03}};
	static const struct {
		const struct ps_store_price *before, *now;
		bool same;
	} rows[] = {
		{&one, &same, true},	 {&one, &dearer, false},
		{&none, &one, false},	 {&one, &none, false},
		{&none, &nothing, true}, {&one, &seconds, true}, /* an older file kept no terms */
		{&hours, &hours, true},	 {&hours, &seconds, false},
		{&hours, &spot, false}};
	char text[PS_MEASURE_MATCH_SIZE];
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct planned old, now;
		struct ps_measure_match m;
		make(&old, BASE, models);
		make(&now, BASE, models);
		set_all(&old, PS_STORE_DONE);
		old.plan.price = *rows[i].before;
		now.plan.price = *rows[i].now;
		assert_int_equal(ps_measure_match_plans(&now.plan, &old.plan, 0, &now.a, &m, NULL),
				 PS_OK);
		if (m.same != rows[i].same || m.repriced == m.same || m.move_len != CELLS) {
			fail_msg("row %zu: %s", i, ps_measure_match_text(&m, text));
		}
		assert_true(m.same || strncmp(ps_measure_match_text(&m, text),
					      "the price has changed: 13 done", 30) == 0);
		release(&old);
		release(&now);
	}
}

static struct ps_store_cell *cell_of(struct planned *p, const char *key)
{
	struct ps_store_cell *cells = (struct ps_store_cell *)p->plan.cells;
	for (size_t i = 0; i < p->plan.cell_len; i++) {
		if (strcmp(cells[i].key, key) == 0) {
			return &cells[i];
		}
	}
	fail_msg("there is no cell %s", key);
	return NULL;
}

/* A search that max_time cut short is measured again when there is more of it, and so is what went
 * by its capacity: the search of the set along the ray of a and b, and blocks at the capacities. */
static void test_cut(void **state)
{
	static const struct ps_store_figure had = {
		PS_MEASURE_CUT_BY_TIME, "a", "ns", NAN, 10e9, NAN, NAN, 0};
	static const char *const models[] = {"one", "two", "", ""};
	static const struct {
		const char *key, *method; /* NULL: it found no capacity, and says so in a figure */
		const char *max_time;	  /* of the changed file */
		int changed;
	} rows[] = {
		{"search/a", "{\"stop\":\"time\",\"max_time_ns\":10000000000}", "11s", 4},
		{"search/a", "{\"stop\":\"time\",\"max_time_ns\":10000000000}", "9s", 0},
		{"search/a", "{\"stop\":\"time\",\"max_time_ns\":10000000000}", "0s", 4},
		{"search/a", "{\"stop\":\"steps\",\"max_time_ns\":10000000000}", "11s", 0},
		/* of an older Perseus */
		{"search/a", "{\"stop\":\"time\"}", "11s", 4},
		{"search/a", "no JSON", "11s", 0},
		{"search/a", NULL, "11s", 4},
		{"search/a", NULL, "10s", 0},
		{"search/together", "{\"stop\":\"time\",\"max_time_ns\":10000000000}", "11s", 2},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char before[1200], after[1200];
		struct planned old, now;
		struct ps_measure_match m;
		struct ps_error err;
		(void)snprintf(before, sizeof(before), CAPPED, "10s");
		(void)snprintf(after, sizeof(after), CAPPED, rows[i].max_time);
		make(&old, before, models);
		make(&now, after, models);
		set_all(&old, PS_STORE_DONE);
		struct ps_store_cell *x = cell_of(&old, rows[i].key);
		x->capacity.method_json = rows[i].method;
		x->figures = &had;
		x->figure_len = rows[i].method ? 0 : 1;
		assert_int_equal(ps_measure_match_plans(&now.plan, &old.plan,
							now.c.stop.max_time_ns, &now.a, &m, &err),
				 PS_OK);
		if (m.counts[PS_MEASURE_CHANGED] != rows[i].changed) {
			fail_msg("row %zu: %d changed", i, m.counts[PS_MEASURE_CHANGED]);
		}
		release(&now);
		/* the same file keeps what it cut */
		make(&now, before, models);
		assert_int_equal(ps_measure_match_plans(&now.plan, &old.plan,
							now.c.stop.max_time_ns, &now.a, &m, &err),
				 PS_OK);
		assert_true(m.same);
		assert_int_equal(m.counts[PS_MEASURE_KEPT], now.plan.cell_len);
		release(&old);
		release(&now);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),	    cmocka_unit_test(test_cut),
		cmocka_unit_test(test_price),	    cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_broken_seal), cmocka_unit_test(test_model_changed),
		cmocka_unit_test(test_states),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
