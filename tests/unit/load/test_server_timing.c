/* Server-Timing values, ours and others'. */
#include "load/server_timing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct {
	const char *value, *name;
	int64_t want;
} rows[] = {
	{"queue;dur=0.125000, compute;dur=41.700000", "queue", 125000},
	{"queue;dur=0.125000, compute;dur=41.700000", "compute", 41700000},
	{"queue;dur=0.000001", "queue", 1},
	{"queue; dur=2", "queue", 2000000},
	{"queue;desc=\"x\";dur=2", "queue", 2000000},
	{"queue;DUR=\"2.5\"", "queue", 2500000},
	{"  queue\t;dur=1 ", "queue", 1000000},
	{"queueing;dur=1, queue;dur=3", "queue", 3000000},
	{"queue;dur=0", "queue", 0},
	{"queue", "queue", -1},
	{"queue, compute;dur=1", "queue", -1},
	{"queue;dur=", "queue", -1},
	{"queue;dur=-1", "queue", -1},
	{"queue;dur=1e3", "queue", -1},
	{"queue;dur=nan", "queue", -1},
	{"queue;dur=1.5x", "queue", -1},
	{"queue;dur=99999999999", "queue", -1},
	{"compute;dur=1", "queue", -1},
	{"", "queue", -1},
	{",,;=", "queue", -1},
	{NULL, "queue", -1},
};

static void table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t got = ps_load_server_timing(rows[i].value, rows[i].name);

		if (got != rows[i].want) {
			fail_msg("'%s' %s: %lld, wanted %lld",
				 rows[i].value ? rows[i].value : "NULL", rows[i].name,
				 (long long)got, (long long)rows[i].want);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(table)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
