/* Whose doing an INVALID run was. */
#include "load/fault.h"
#include "load/judge.h"
#include "load/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { NONE = -1, SERVER = 0, FAULT = 1 };

static void only_what_the_server_did_counts(void **state)
{
	static const struct {
		int code;
		uint64_t waited, after;
		int64_t cpu_ns; /* of two threads over 1000 ns */
		int want;
	} rows[] = {
		{NONE, 0, 0, 2000, SERVER},
		{PS_LOAD_REASON_FEW, 0, 0, 2000, SERVER},
		{PS_LOAD_REASON_RISING, 0, 0, 2000, SERVER},
		{PS_LOAD_REASON_LAG, 0, 0, 100, FAULT},
		{PS_LOAD_REASON_LAG, 1, 0, 100, SERVER},
		{PS_LOAD_REASON_LAG, 1, 0, 1800, SERVER},
		{PS_LOAD_REASON_LAG, 1, 0, 1801, FAULT},
		{PS_LOAD_REASON_UNSENT, 0, 0, 100, FAULT},
		{PS_LOAD_REASON_UNSENT, 9, 0, 100, SERVER},
		{PS_LOAD_REASON_UNSENT, 9, 0, 1900, FAULT},
		{PS_LOAD_REASON_RATE, 0, 5, 100, FAULT},
		{PS_LOAD_REASON_RATE, 4, 5, 100, FAULT},
		{PS_LOAD_REASON_RATE, 5, 5, 100, SERVER},
		{PS_LOAD_REASON_RATE, 5, 5, 1900, FAULT},
		{PS_LOAD_REASON_MACHINE, 9, 0, 100, FAULT},
		{PS_LOAD_REASON_LITTLE, 9, 0, 100, FAULT},
		{PS_LOAD_REASON_CHANGED, 9, 0, 100, FAULT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_tenant_result t[2] = {{.late_limit = 0}};
		struct ps_load_result r = {.tenants = t,
					   .tenant_len = 2,
					   .threads = 2,
					   .start_ns = 500,
					   .end_ns = 1500,
					   .cpu_ns = rows[i].cpu_ns};

		t[1].late_limit = rows[i].waited;
		t[1].sent_after = rows[i].after;
		if (rows[i].code != NONE) {
			ps_load_judge_reason(&t[1], PS_LOAD_REASON_FALLING, "it fell");
			ps_load_judge_reason(&t[1], rows[i].code, "row %zu", i);
		}
		const char *fault = ps_load_fault(&r);

		assert_int_equal(fault != NULL, rows[i].want == FAULT);
		if (fault) {
			assert_ptr_equal(fault, t[1].reasons[1]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_the_server_did_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
