/* Targets, ports and slots: who gets what, how sends end, and that one over HTTP/1.1 allocates
 * nothing. The model in this process stands for servers where their manners do not matter. (Its
 * slots and the scripted server start threads with pthread_create: ThreadSanitizer runs this.) */
// link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=strdup
#include "load/port.h"
#include "unit/load/scripted_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>

#define MS PS_NS_PER_MS

/* ---- counting what this thread allocates ---- */

static _Thread_local bool counting;
static _Thread_local uint64_t allocations;

#define WRAP(type, name, parameters, arguments)                                                    \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		allocations += counting;                                                           \
		return __real_##name arguments;                                                    \
	}

WRAP(void *, malloc, (size_t n), (n))
WRAP(void *, calloc, (size_t k, size_t n), (k, n))
WRAP(void *, realloc, (void *p, size_t n), (p, n))
WRAP(void *, aligned_alloc, (size_t a, size_t n), (a, n))
WRAP(char *, strdup, (const char *s), (s))

/* ---- a port and what comes of it ---- */

struct fixture {
	struct ps_evloop *loop;
	struct ps_load_target *target;
	struct ps_load_port *port;
	unsigned done, outcomes[PS_LOAD_OUTCOME_COUNT], cancelled;
	struct ps_load_answer last;
	char why[400];
	uint64_t again; /* further sends on the slot that is done */
};

static void send_one(struct fixture *f, struct ps_load_slot *s, uint64_t sequence,
		     int64_t patience_ns)
{
	struct ps_error err = {0};

	if (ps_load_slot_send(s, sequence, ps_evloop_now_ns(f->loop) + patience_ns, &err) !=
	    PS_OK) {
		fail_msg("%s", err.what);
	}
}

static void on_done(struct ps_load_slot *s)
{
	struct fixture *f = ps_load_port_ctx(s->port);

	f->done++;
	f->last = s->answer;
	f->cancelled += s->answer.cancelled;
	f->outcomes[s->answer.outcome] += !s->answer.cancelled;
	if (s->answer.outcome != PS_LOAD_OK) {
		snprintf(f->why, sizeof(f->why), "%s", s->answer.why);
	}
	if (f->again > 0) {
		send_one(f, s, f->again--, 5000 * MS);
	} else {
		ps_load_port_give(s);
	}
}

static void open_port(struct fixture *f, const struct ps_load_tenant *t, uint32_t slots)
{
	struct ps_error err = {0};
	struct ps_load_port_options o = {
		.max_slots = slots, .slot_bytes = 64, .on_done = on_done, .ctx = f};

	*f = (struct fixture){0};
	assert_int_equal(ps_evloop_new(NULL, &f->loop, &err), PS_OK);
	if (ps_load_target_new(t, 1, 2000 * MS, &f->target, &err) != PS_OK) {
		fail_msg("%s: %s", err.where, err.what);
	}
	o.loop = f->loop;
	assert_int_equal(ps_load_port_open(f->target, &o, &f->port, &err), PS_OK);
}

static void close_port(struct fixture *f)
{
	ps_load_port_close(f->port);
	ps_load_target_free(f->target);
	ps_evloop_free(f->loop);
}

static void run_until(struct fixture *f, unsigned done)
{
	int64_t end = ps_evloop_now_ns(f->loop) + 20000 * MS;

	while (f->done < done && ps_evloop_now_ns(f->loop) < end) {
		assert_int_equal(ps_evloop_run_once(f->loop, 100 * MS, NULL), PS_OK);
	}
	assert_int_equal(f->done, done);
}

static const char *model(const char *service)
{
	static char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "port-%d.synthetic.yaml", (int)getpid());
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file,
		"inputs: [{name: x, datatype: FP32, shape: [-1, 4]}]\n"
		"outputs: [{name: y, datatype: FP32, shape: [-1, 4]}]\n"
		"service: fixed\nmode: sleep\necho: true\n%s\n",
		service);
	fclose(file);
	return path;
}

static struct ps_load_tenant in_process(const char *service)
{
	return (struct ps_load_tenant){.name = "t", .target.in_process = model(service)};
}

/* ---- slots ---- */

static void slots_are_bounded_and_the_last_used_comes_first(void **state)
{
	struct ps_load_tenant t = in_process("mean: 0ms");
	struct ps_load_slot *a, *b, *c;
	struct fixture f;

	(void)state;
	open_port(&f, &t, 2);
	a = ps_load_port_take(f.port);
	b = ps_load_port_take(f.port);
	assert_non_null(a);
	assert_non_null(b);
	assert_ptr_not_equal(a, b);
	assert_null(ps_load_port_take(f.port));
	memset(a->ctx, 7, 64); /* the sender's memory */
	ps_load_port_give(a);
	ps_load_port_give(b);
	c = ps_load_port_take(f.port);
	assert_ptr_equal(c, b);
	assert_ptr_equal(ps_load_port_take(f.port), a);
	assert_int_equal(((char *)a->ctx)[63], 7);
	assert_int_equal(ps_load_port_slots(f.port), 2);
	close_port(&f);
	unlink(t.target.in_process);
}

static void ahead_opens_what_was_asked_for(void **state)
{
	struct ps_load_tenant t = in_process("mean: 0ms");
	struct fixture f;

	(void)state;
	open_port(&f, &t, 5);
	assert_int_equal(ps_load_port_ahead(f.port, 3, NULL), PS_OK);
	assert_int_equal(ps_load_port_slots(f.port), 3);
	assert_int_equal(ps_load_port_ahead(f.port, 9, NULL), PS_OK);
	assert_int_equal(ps_load_port_slots(f.port), 5);
	assert_int_equal(ps_load_port_connections(f.port), 5);
	assert_true(ps_load_port_ready(f.port));
	close_port(&f);
	unlink(t.target.in_process);
}

/* No slot without a connection, and that is no error. */
static void connections_are_bounded(void **state)
{
	struct ps_load_tenant t = in_process("mean: 0ms");
	struct ps_load_slot *a, *b;
	struct fixture f;

	(void)state;
	open_port(&f, &t, 5);
	ps_load_port_close(f.port);
	struct ps_load_port_options o = {.loop = f.loop,
					 .max_slots = 5,
					 .max_lines = 2,
					 .slot_bytes = 64,
					 .on_done = on_done,
					 .ctx = &f};
	assert_int_equal(ps_load_port_open(f.target, &o, &f.port, NULL), PS_OK);
	assert_int_equal(ps_load_port_ahead(f.port, 4, NULL), PS_OK);
	assert_int_equal(ps_load_port_slots(f.port), 2);
	assert_int_equal(ps_load_port_connections(f.port), 2);
	a = ps_load_port_take(f.port);
	b = ps_load_port_take(f.port);
	assert_true(a && b && a != b);
	assert_null(ps_load_port_take(f.port));
	ps_load_port_give(a);
	assert_ptr_equal(ps_load_port_take(f.port), a);
	assert_int_equal(ps_load_port_connections(f.port), 2);
	close_port(&f);
	unlink(t.target.in_process);
}

/* ---- ends ---- */

static void a_run_ends_well_late_or_cancelled(void **state)
{
	struct ps_load_tenant t = in_process("mean: 0ms");
	struct fixture f;

	(void)state;
	open_port(&f, &t, 1);
	send_one(&f, ps_load_port_take(f.port), 0, 5000 * MS);
	run_until(&f, 1);
	assert_int_equal(f.outcomes[PS_LOAD_OK], 1);
	assert_true(f.last.sent_ns > 0 && f.last.sent_ns <= f.last.done_ns);
	assert_int_equal(f.last.bytes_sent, 16);
	assert_int_equal(f.last.bytes_received, 16);
	close_port(&f);

	t = in_process("mean: 10s");
	open_port(&f, &t, 1);
	send_one(&f, ps_load_port_take(f.port), 0, 20 * MS);
	run_until(&f, 1);
	assert_int_equal(f.outcomes[PS_LOAD_TIMEOUT], 1);
	send_one(&f, ps_load_port_take(f.port), 1, 60000 * MS);
	ps_load_port_cancel(f.port);
	run_until(&f, 2);
	assert_int_equal(f.cancelled, 1);
	send_one(&f, ps_load_port_take(f.port), 2, 60000 * MS);
	close_port(&f); /* with a run inside: no answer, no wait for 10 s */
	assert_int_equal(f.done, 2);
	unlink(t.target.in_process);
}

/* The loop was busy elsewhere and sees deadline and report at once: the run was in time. */
static void a_run_that_ended_before_its_deadline_is_no_time_out(void **state)
{
	struct ps_load_tenant t = in_process("mean: 0ms");
	struct fixture f;

	(void)state;
	open_port(&f, &t, 1);
	send_one(&f, ps_load_port_take(f.port), 0, 200 * MS);
	ps_clock_sleep_until_ns(ps_clock_now_ns() + 220 * MS);
	run_until(&f, 1);
	assert_int_equal(f.outcomes[PS_LOAD_OK], 1);
	close_port(&f);
	unlink(t.target.in_process);
}

static void repeats_are_compared_and_a_sample_is_a_sample(void **state)
{
	static const double shares[] = {0, 0.25};
	struct ps_load_tenant t = in_process("mean: 0ms");

	(void)state;
	t.check_repeats = true;
	t.distinct_inputs = 2;
	for (size_t i = 0; i < 2; i++) {
		struct ps_load_notes notes = {0};
		double want = (shares[i] > 0 ? shares[i] : 1) * 1000;
		struct fixture f;

		t.target.check_share = shares[i];
		open_port(&f, &t, 1);
		f.again = 999;
		send_one(&f, ps_load_port_take(f.port), 0, 5000 * MS);
		run_until(&f, 1000);
		assert_int_equal(f.outcomes[PS_LOAD_OK], 1000);
		ps_load_port_notes(f.port, &notes);
		/* the first answer to each input is what the others are compared with */
		if (fabs((double)notes.checked + 2 - want) > 4 * sqrt(want)) {
			fail_msg("%llu of 1000", (unsigned long long)notes.checked);
		}
		assert_int_equal(notes.sent[0], 1000);
		close_port(&f);
	}
	unlink(t.target.in_process);
}

static void targets_that_cannot_be(void **state)
{
	static const struct ps_load_mix_item mix[] = {{.model = "m", .weight = 1}};
	static const char *const urls[PS_LOAD_MAX_REPLICAS];
	const struct {
		struct ps_load_tenant t;
		const char *what;
	} rows[] = {
		{{.target = {.in_process = "a.onnx", .mix = mix, .mix_len = 1}}, "no replicas"},
		{{.json_tensors = true, .target.in_process = "a.onnx"}, "no replicas, mix or JSON"},
		{{.concurrency = 257, .target.in_process = "a.onnx"}, "at most 256 users"},
		{{.target = {.more_urls = urls, .more_url_len = PS_LOAD_MAX_REPLICAS}},
		 "at most 16 replicas"},
		{{.target.streams = 4097}, "streams"},
		{{.target.tolerance = -1}, "tolerance"},
		{{.target.tolerance = NAN}, "tolerance"},
		{{.target.check_share = 1.5}, "share"},
		{{.target.protocol = PS_LOAD_GRPC, .json_tensors = true}, "no JSON tensors"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_tenant t = rows[i].t;
		struct ps_load_target *g;
		struct ps_error err = {0};

		t.name = "t";
		t.url = "http://127.0.0.1:1";
		t.model = "m";
		assert_int_equal(ps_load_target_new(&t, 1, MS, &g, &err), PS_EINVAL);
		if (!strstr(err.what, rows[i].what)) {
			fail_msg("row %zu: %s", i, err.what);
		}
	}
}

/* ---- over HTTP/1.1 ---- */

static enum script_action good(struct script_server *s, uint64_t n, int64_t *delay)
{
	(void)s;
	(void)n;
	(void)delay;
	return SCRIPT_GOOD;
}

static void a_send_allocates_nothing(void **state)
{
	struct script_server *s = script_start(good);
	struct ps_load_tenant t = {.name = "t", .url = s->url, .model = "m", .check_repeats = true};
	struct fixture f;

	(void)state;
	open_port(&f, &t, 1);
	f.again = 49; /* answers are read in full, buffers grow */
	counting = true;
	send_one(&f, ps_load_port_take(f.port), 0, 5000 * MS);
	run_until(&f, 50);
	assert_true(allocations > 0);
	allocations = 0;
	f.again = 199;
	send_one(&f, ps_load_port_take(f.port), 0, 5000 * MS);
	run_until(&f, 250);
	counting = false;
	assert_int_equal(f.outcomes[PS_LOAD_OK], 250);
	assert_int_equal(allocations, 0);
	assert_true(script_requests(s) >= 250);
	assert_true(script_open_most(s) <= 2); /* one of them asked for the metadata */
	close_port(&f);
	script_stop(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_are_bounded_and_the_last_used_comes_first),
		cmocka_unit_test(ahead_opens_what_was_asked_for),
		cmocka_unit_test(connections_are_bounded),
		cmocka_unit_test(a_run_ends_well_late_or_cancelled),
		cmocka_unit_test(a_run_that_ended_before_its_deadline_is_no_time_out),
		cmocka_unit_test(repeats_are_compared_and_a_sample_is_a_sample),
		cmocka_unit_test(targets_that_cannot_be),
		cmocka_unit_test(a_send_allocates_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
