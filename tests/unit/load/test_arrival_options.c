/* Options of arrivals: what they make, and what does not go together. */
#include "base/file.h"
#include "load/arrival_options.h"
#include "load/load.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct ps_conf_option rows[] = {
	PS_LOAD_RATE_ROW(struct ps_load_arrival_options, ),
	PS_LOAD_ARRIVAL_ROWS(struct ps_load_arrival_options, ),
	PS_LOAD_CLOSED_ROWS(struct ps_load_arrival_options, ),
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "arrivals",
	.summary = "Arrivals.",
	.options = rows,
	.size = sizeof(struct ps_load_arrival_options),
	.where_offset = SIZE_MAX,
};

static enum ps_status make(const char *yaml, const char *dir, struct ps_load_traces *traces,
			   struct ps_load_arrival_spec *ret_spec, struct ps_error *err)
{
	struct ps_load_arrival_options o;

	ps_error_clear(err);
	enum ps_status st = ps_conf_parse_yaml(&schema, yaml, strlen(yaml), "f.yaml", &o, err);
	if (st != PS_OK)
		return st;
	st = ps_load_arrival_from_options(&o, dir, 7, traces, ret_spec, err);
	ps_conf_free(&schema, &o);
	return st;
}

static struct ps_load_arrival_spec made(const char *yaml)
{
	struct ps_load_arrival_spec s;
	struct ps_error err;

	if (make(yaml, NULL, NULL, &s, &err) != PS_OK)
		fail_msg("%s: %s", yaml, err.what);
	assert_int_equal(ps_load_arrival_check(&s, 1000000000, &err), PS_OK);
	return s;
}

static void the_table_is_sound(void **state)
{
	struct ps_error err;

	(void)state;
	if (ps_conf_check_schema(&schema, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
	/* the choices stand in the order of the enum */
	for (int i = 0; i <= PS_LOAD_TRACE; i++)
		assert_string_equal(ps_load_arrival_choices[i + 1], ps_load_arrival_name(i));
	assert_string_equal(ps_load_arrival_choices[PS_LOAD_TRACE + 2],
			    ps_load_arrival_name(PS_LOAD_OFFLINE));
	for (int i = 0; i < PS_LOAD_TRACE_FORMATS; i++)
		assert_string_equal(ps_load_trace_format_choices[i], ps_load_trace_format_name(i));
}

static void each_arrival_has_its_options(void **state)
{
	struct ps_load_arrival_spec s;

	(void)state;
	s = made("rate: 90/min");
	assert_true(s.kind == PS_LOAD_POISSON && s.rate_rps == 1.5);
	s = made("{rate: 5, arrival: constant}");
	assert_true(s.kind == PS_LOAD_CONSTANT && s.rate_rps == 5);
	s = made("{rate: 5, arrival: gamma, cv: 2.5}");
	assert_true(s.kind == PS_LOAD_GAMMA && s.cv == 2.5);
	s = made("{rate: 5, arrival: bursts}");
	assert_true(s.kind == PS_LOAD_BURSTS && s.bursts.ratio == 0);
	s = made("{rate: 5, arrival: bursts, burst_ratio: 8, burst_share: 10%, burst_length: 2s}");
	assert_true(s.bursts.ratio == 8 && s.bursts.share == 0.1);
	assert_int_equal(s.bursts.length_ns, 2000000000);
	s = made("{rate: 5, arrival: ramp, ramp_to: 50, ramp_over: 1m}");
	assert_true(s.kind == PS_LOAD_RAMP && s.rate_rps == 5 && s.to_rps == 50);
	assert_int_equal(s.over_ns, 60000000000);
	s = made("{arrival: ramp, ramp_to: 50, ramp_over: 1m, even: true}");
	assert_true(s.rate_rps == 0 && s.even);
	s = made("{rate: 5, arrival: sinusoid, swing: 50%, period: 24h, phase: 25%}");
	assert_true(s.kind == PS_LOAD_SINUSOID && s.swing == 0.5 && s.phase == 0.25);
	assert_int_equal(s.period_ns, INT64_C(86400000000000));
	s = made("concurrency: 3");
	assert_int_equal(s.kind, PS_LOAD_CLOSED);
	s = made("{concurrency: 3, arrival: offline}");
	assert_int_equal(s.kind, PS_LOAD_OFFLINE);
}

static void steps_come_one_by_one_or_in_a_row(void **state)
{
	static const char *const forms[] = {
		"{arrival: steps, rate_steps: [10:30s, '90/min:1m', 0:5ms]}",
		"{arrival: steps, rate_steps: ['10:30s,90/min:1m', 0:5ms]}",
		"{arrival: steps, rate_steps: ['10:30s, 90/min:1m, 0:5ms']}",
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct ps_load_arrival_spec s = made(forms[i]);

		assert_int_equal(s.step_len, 3);
		assert_true(s.steps[0].rate_rps == 10 && s.steps[1].rate_rps == 1.5);
		assert_int_equal(s.steps[1].duration_ns, 60000000000);
		assert_int_equal(s.steps[2].duration_ns, 5000000);
		ps_load_arrival_release(&s);
	}
}

static void a_think_time_is_read(void **state)
{
	struct ps_load_arrival_options o = {.think_time = 5, .think = 1};

	(void)state;
	assert_true(ps_load_think_from_options(&o).constant);
	assert_int_equal(ps_load_think_from_options(&o).mean_ns, 5);
	o.think = 0;
	assert_false(ps_load_think_from_options(&o).constant);
}

static void what_means_nothing_is_refused(void **state)
{
	static const struct {
		const char *yaml, *what;
	} lines[] = {
		{"{}", "either a rate (open loop) or a concurrency"},
		{"{rate: 5, concurrency: 2}", "give one of them"},
		{"{arrival: gamma, rate: 5}", "arrival gamma needs cv"},
		{"{rate: 5, cv: 2}", "cv means nothing with arrival poisson"},
		{"{rate: 5, burst_ratio: 2}", "burst-ratio means nothing"},
		{"{rate: 5, arrival: constant, even: true}", "even means nothing"},
		{"{rate: 5, arrival: ramp, ramp_to: 9}", "arrival ramp needs ramp-over"},
		{"{rate: 5, arrival: steps, rate_steps: ['5:1s']}", "rate means nothing"},
		{"{arrival: steps}", "arrival steps needs rate-steps"},
		{"{rate: 5, arrival: sinusoid, period: 1h}", "arrival sinusoid needs swing"},
		{"{rate: 5, arrival: sinusoid, swing: 1}", "needs period"},
		{"{rate: 5, trace: x.csv}", "trace means nothing with arrival poisson"},
		{"{arrival: trace}", "arrival trace needs trace"},
		{"{arrival: trace, trace: x.csv, concurrency: 5}", "concurrency means nothing"},
		{"{arrival: trace, trace: x.csv, trace_split: functions}", "needs trace-part"},
		{"{arrival: trace, trace: x.csv, rate: 5, trace_speed: 2}",
		 "leave out trace-speed"},
		{"{arrival: trace, trace: x.csv, trace_unit: ms}", "trace-unit is for the formats"},
		{"{arrival: ramp, ramp_to: 5, ramp_over: 1s, concurrency: 5}", "concurrency means"},
		{"{arrival: constant, concurrency: 5}", "concurrency means nothing"},
		{"{arrival: poisson, concurrency: 5}", "concurrency means nothing with arrival p"},
		{"{concurrency: 5, trace_loop: true}", "trace-loop means nothing with a concurr"},
		{"{rate: 5, think_time: 1s}", "think-time means nothing with arrival poisson"},
		{"{concurrency: 5, cv: 2}", "cv means nothing with a concurrency"},
		{"{arrival: offline}", "arrival offline needs concurrency"},
		{"{arrival: offline, concurrency: 2, rate: 1}", "rate means nothing"},
		{"{arrival: offline, concurrency: 2, think_time: 1s}", "think-time means nothing"},
		{"{arrival: steps, rate_steps: [5]}", "'5' is not RATE:TIME"},
		{"{arrival: steps, rate_steps: ['5:']}", "rate-steps: '5:'"},
		{"{arrival: steps, rate_steps: ['5:0s']}", "'5:0s': '0s' is out of range"},
		{"{arrival: steps, rate_steps: ['1e9:1s']}", "'1e9:1s': '1e9' is out of range"},
		{"{arrival: steps, rate_steps: ['-5:1s']}", "is not a rate"},
		{"{arrival: steps, rate_steps: ['5:1s,,6:1s']}", "'' is not RATE:TIME"},
		{"{arrival: steps, rate_steps: ['--help:1s']}", "is not a rate"},
		{"{arrival: steps, rate_steps: ['nan:1s']}", "is not a rate"},
		/* rows refuse these with file, line and key */
		{"{rate: 1e8}", "out of range"},
		{"{rate: -1}", "not a rate"},
		{"{arrival: ramp, ramp_to: 5, ramp_over: 0s}", "out of range"},
		{"{rate: 5, arrival: gamma, cv: 0}", "out of range"},
		{"{rate: 5, arrival: sinusoid, swing: 110%, period: 1h}", "out of range"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct ps_load_traces traces = {0};
		struct ps_load_arrival_spec s;
		struct ps_error err;

		if (make(lines[i].yaml, NULL, &traces, &s, &err) == PS_OK)
			fail_msg("taken: %s", lines[i].yaml);
		if (!strstr(err.what, lines[i].what))
			fail_msg("%s: '%s'", lines[i].yaml, err.what);
		ps_load_traces_fini(&traces);
	}
}

static void parts_are_read(void **state)
{
	static const struct {
		const char *text;
		int part, parts;
	} lines[] = {{"1/3", 0, 3},  {"3/3", 2, 3},
		     {"1/1", 0, 1},  {"1024/1024", 1023, 1024},
		     {"0/3", 0, 0},  {"4/3", 0, 0},
		     {"1", 0, 0},    {"1/", 0, 0},
		     {"/3", 0, 0},   {"1/3x", 0, 0},
		     {"-1/3", 0, 0}, {"1/1025", 0, 0},
		     {"1 /3", 0, 0}, {"", 0, 0},
		     {"1/0", 0, 0},  {"99999999999999999999/99999999999999999999", 0, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		int part = -1, parts = -1;
		enum ps_status st = ps_load_part_parse(lines[i].text, &part, &parts, NULL);

		assert_int_equal(st, lines[i].parts ? PS_OK : PS_EUSAGE);
		if (st == PS_OK)
			assert_true(part == lines[i].part && parts == lines[i].parts);
	}
}

/* The examples are files of each format; a rate sets their speed. */
static void the_examples_can_be_replayed(void **state)
{
	static const struct {
		const char *yaml;
		enum ps_load_trace_format format;
	} lines[] = {
		{"{arrival: trace, trace: azure-functions-2019.csv}", PS_LOAD_TRACE_FUNCTIONS_2019},
		{"{arrival: trace, trace: azure-functions-2021.csv}", PS_LOAD_TRACE_FUNCTIONS_2021},
		{"{arrival: trace, trace: azure-llm.csv}", PS_LOAD_TRACE_LLM},
		{"{arrival: trace, trace: gaps.txt, trace_format: gaps}", PS_LOAD_TRACE_GAPS},
		{"{arrival: trace, trace: timestamps.txt, trace_format: timestamps}",
		 PS_LOAD_TRACE_TIMESTAMPS},
		{"{arrival: trace, trace: azure-functions-2019.csv, rate: 40, trace_part: 2/2, "
		 "trace_split: functions}",
		 PS_LOAD_TRACE_FUNCTIONS_2019},
	};
	struct ps_load_traces traces = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct ps_load_arrival_spec s;
		struct ps_error err;

		if (make(lines[i].yaml, PS_SOURCE_DIR "/examples/traces", &traces, &s, &err) !=
		    PS_OK)
			fail_msg("%s: %s: %s", lines[i].yaml, err.where, err.what);
		assert_int_equal(s.replay.trace->format, lines[i].format);
		assert_int_equal(ps_load_arrival_check(&s, 1000000000, &err), PS_OK);
		if (s.scale != 0) {
			double lap_s = s.replay.trace->length_ns / 1e9 / s.scale;
			assert_true(fabs(ps_load_arrival_expected(&s, lap_s * 1e9) / lap_s - 40) <
				    0.5);
		}
	}
	assert_int_equal(traces.len, 5);
	ps_load_traces_fini(&traces);
}

/* docs/traces.md names every option, arrival and format, and the limits as they are. */
static void the_page_says_it_all(void **state)
{
	static const char *const limits[] = {"33,554,432", "67,108,864", "65,536", "10,000,000"};
	static const unsigned values[] = {PS_LOAD_TRACE_MAX_ENTRIES, PS_LOAD_TRACE_MAX_LINES,
					  PS_LOAD_TRACE_MAX_LINE, (unsigned)PS_LOAD_MAX_RATE_RPS};
	char *text, name[64];
	size_t len;

	(void)state;
	assert_int_equal(ps_file_read(PS_SOURCE_DIR "/docs/traces.md", 1 << 20, &text, &len, NULL),
			 PS_OK);
	for (const struct ps_conf_option *o = rows; o->name; o++) {
		snprintf(name, sizeof(name), "%s", o->name);
		for (char *c = name; *c; c++)
			*c = *c == '-' ? '_' : *c;
		if (!strstr(text, name))
			fail_msg("the page does not say %s", name);
		for (size_t i = 0; o->choices && o->choices[i]; i++)
			if (!strstr(text, o->choices[i]))
				fail_msg("the page does not say %s", o->choices[i]);
	}
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		unsigned value = 0;

		for (const char *c = limits[i]; *c; c++)
			value = *c == ',' ? value : 10 * value + (unsigned)(*c - '0');
		assert_int_equal(value, values[i]);
		assert_non_null(strstr(text, limits[i]));
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_sound),
		cmocka_unit_test(each_arrival_has_its_options),
		cmocka_unit_test(steps_come_one_by_one_or_in_a_row),
		cmocka_unit_test(a_think_time_is_read),
		cmocka_unit_test(what_means_nothing_is_refused),
		cmocka_unit_test(parts_are_read),
		cmocka_unit_test(the_page_says_it_all),
		cmocka_unit_test(the_examples_can_be_replayed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
