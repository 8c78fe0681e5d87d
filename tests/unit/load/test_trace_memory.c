// link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
/* Reading traces and options while the n-th allocation fails, for every n: PS_ENOMEM each time, and
 * nothing is lost (the sanitizers' build sees that). */
#include "load/arrival_options.h"
#include "load/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);

static int left = -1; /* allocations until one fails; -1: none does */

static bool fails(void)
{
	return left >= 0 && left-- == 0;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

#define TRACES PS_SOURCE_DIR "/examples/traces"

static enum ps_status read_all(const struct ps_load_arrival_options *o, struct ps_error *err)
{
	struct ps_load_traces traces = {0};
	struct ps_load_arrival_spec spec = {0};
	enum ps_status st = ps_load_arrival_from_options(o, TRACES, 1, &traces, &spec, err);

	ps_load_arrival_release(&spec);
	ps_load_traces_fini(&traces);
	return st;
}

static void every_allocation_may_fail(void **state)
{
	char *steps[] = {"1:1s,2:2s,3:3s", "4:4s,5:5s"};
	const struct {
		struct ps_load_arrival_options
			o; /* the first of the choices is none of the kinds */
		int least; /* allocations there are */
	} rows[] = {
		{{.arrival = PS_LOAD_TRACE + 1, .trace = "azure-functions-2019.csv"}, 6},
		{{.arrival = PS_LOAD_TRACE + 1, .trace = "azure-functions-2021.csv"}, 6},
		{{.arrival = PS_LOAD_TRACE + 1, .trace = "azure-llm.csv", .rate = 5}, 6},
		{{.arrival = PS_LOAD_TRACE + 1,
		  .trace = "gaps.txt",
		  .trace_format = PS_LOAD_TRACE_GAPS,
		  .trace_part = "1/2"},
		 6},
		{{.arrival = PS_LOAD_TRACE + 1,
		  .trace = "timestamps.txt",
		  .trace_format = PS_LOAD_TRACE_TIMESTAMPS},
		 6},
		{{.arrival = PS_LOAD_STEPS + 1, .steps = {steps, 2}}, 5},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_error err = {0};
		int n = -1;
		enum ps_status st;

		do {
			left = ++n;
			st = read_all(&rows[i].o, &err);
			if (st != PS_OK)
				assert_true(st == PS_ENOMEM && err.what[0]);
		} while (st != PS_OK);
		left = -1;
		assert_true(n >= rows[i].least);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
