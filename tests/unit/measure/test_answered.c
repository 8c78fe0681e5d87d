/* A server that answers nobody is no measurement; one that is only too slow is. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "measure/cell_internal.h"

#include <string.h>

struct tenant {
	uint64_t ok, timeout, reset, rejected, refused;
	bool in_warmup; /* one succeeded there */
};

static void fill(struct ps_load_tenant_result *r, const struct tenant *t, const char *name,
		 struct ps_load_record *record)
{
	memset(r, 0, sizeof(*r));
	(void)snprintf(r->name, sizeof(r->name), "%s", name);
	r->outcomes[PS_LOAD_OK] = t->ok;
	r->outcomes[PS_LOAD_TIMEOUT] = t->timeout;
	r->outcomes[PS_LOAD_RESET] = t->reset;
	r->outcomes[PS_LOAD_REJECTED] = t->rejected;
	r->outcomes[PS_LOAD_REFUSED] = t->refused;
	for (int i = 0; i < PS_LOAD_OUTCOME_COUNT; i++) {
		r->scheduled += r->outcomes[i];
	}
	(void)snprintf(r->first_failure, sizeof(r->first_failure), "rejected: status 401");
	*record = (struct ps_load_record){.outcome = t->in_warmup ? PS_LOAD_OK : PS_LOAD_TIMEOUT,
					  .warmup = 1};
	r->records = record;
	r->record_len = 1;
}

static void expect(size_t row, enum ps_status st, const struct ps_error *err, const char *word)
{
	if ((st == PS_OK) != !word || (word && !strstr(err->what, word))) {
		fail_msg("row %zu: %s", row, err->what);
	}
}

static void test_answered(void **state)
{
	static const struct {
		struct tenant a, b;
		const char *open, *closed; /* of the error; NULL: it was a measurement */
	} rows[] = {
		{{.ok = 9}, {.ok = 1, .rejected = 8}, NULL, NULL},
		{{.rejected = 9}, {0}, "none of 9 requests of a succeeded (9 rejected)", "of a"},
		{{.ok = 9},
		 {.rejected = 7, .reset = 2},
		 "of b succeeded (2 reset, 7 rejected)",
		 "of b succeeded (2 reset, 7 rejected)"},
		{{.timeout = 9},
		 {0},
		 "(9 timeout); the first: rejected: status 401",
		 "(9 timeout)"},
		{{.timeout = 9}, {.timeout = 3}, "of a succeeded", "of a succeeded"},
		/* an open loop may be overloaded: late for one, late after a while, refused */
		{{.timeout = 9}, {.ok = 1}, NULL, "of a succeeded (9 timeout)"},
		{{.timeout = 9, .in_warmup = true}, {0}, NULL, "of a succeeded"},
		{{.refused = 9}, {0}, NULL, "of a succeeded (9 refused)"},
		{{.timeout = 9}, {.refused = 1}, NULL, "of a succeeded"},
		{{.ok = 9}, {.refused = 1}, NULL, "of b succeeded"},
		{{0}, {0}, NULL, NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_load_tenant_result t[2];
		struct ps_load_record records[2];
		struct ps_load_result r = {.tenants = t, .tenant_len = 2};
		struct ps_error err = {.status = PS_OK};
		fill(&t[0], &rows[i].a, "a", &records[0]);
		fill(&t[1], &rows[i].b, "b", &records[1]);
		expect(i, ps_measure_answered(&r, &err), &err, rows[i].open);
		err = (struct ps_error){.status = PS_OK};
		expect(i, ps_measure_any_answered(&r, &err), &err, rows[i].closed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_answered)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
