/* Traces: the first byte chooses the format, the second window and unit, the rest is the file. A
 * few bytes may stand for millions of arrivals, which take their time: a low limit keeps that out.
 */
#include "fuzz/fuzz.h"
#include "load/arrivals.h"
#include "load/trace.h"

#include <math.h>

#define MAX_ENTRIES 4096

static void check_entries(const struct ps_load_trace *t)
{
	MUST(t->len > 0 && t->len <= MAX_ENTRIES);
	MUST(isfinite(t->length_ns) && t->length_ns <= 4 * PS_LOAD_TRACE_MAX_NS);
	for (size_t i = 0; i < t->len; i++) {
		MUST(t->entries[i].at_ns >= 0 && t->entries[i].at_ns <= t->length_ns);
		MUST(i == 0 || t->entries[i].at_ns >= t->entries[i - 1].at_ns);
	}
}

/* Whatever was read can be replayed, looped and split, or is refused in words. */
static void check_replay(const struct ps_load_trace *t, int parts)
{
	struct ps_load_arrival_spec s = {
		.kind = PS_LOAD_TRACE,
		.replay = {.trace = t,
			   .loop = parts > 0,
			   .parts = parts,
			   .split_functions = parts > 2 && t->has_functions},
	};
	struct ps_error err = {0};
	struct ps_load_arrivals a;
	double last = 0;

	if (ps_load_arrival_check(&s, 1000000000, &err) != PS_OK) {
		MUST(err.what[0]);
		return;
	}
	MUST(ps_load_arrival_expected(&s, 1e9) >= 0);
	ps_load_arrivals_init(&a, &s, 1, "t");
	for (int i = 0; i < 1000; i++) {
		double at = ps_load_arrivals_next(&a);
		MUST(at >= last);
		last = at;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ps_load_trace_options o = {.seed = 1, .max_entries = MAX_ENTRIES};
	struct ps_load_trace t;
	struct ps_error err = {0};

	if (size < 2)
		return 0;
	o.format = (enum ps_load_trace_format)(data[0] % PS_LOAD_TRACE_FORMATS);
	o.unit_ns = data[1] & 1 ? 1e6 : 0;
	o.from_ns = data[1] & 2 ? 1500000000 : 0;
	o.length_ns = data[1] & 4 ? 90000000000 : 0;
	enum ps_status st =
		ps_load_trace_parse((const char *)data + 2, size - 2, "file", &o, &t, &err);
	if (st != PS_OK) {
		MUST(err.status == st && err.what[0] && (err.where[0] || st == PS_ENOMEM));
		return 0;
	}
	check_entries(&t);
	for (int parts = 0; parts < 4; parts++)
		check_replay(&t, parts);
	ps_load_trace_fini(&t);
	return 0;
}
