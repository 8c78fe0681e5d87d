/* Manifests: which machines are of one kind, and the runs of two copies of a campaign. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/manifest.h"

#include <stdlib.h>
#include <string.h>

#define MACHINE                                                                                    \
	"{\"processor\":{\"model\":\"A\",\"online\":2,\"allowed\":\"0-1\",\"smt\":null,"           \
	"\"flags\":\"fpu avx avx2 pti\",\"caches\":[\"L1 32K\",\"L2 1M\"],"                        \
	"\"cpufreq\":{\"scaling_governor\":\"performance\"}},"                                     \
	"\"kernel\":{\"machine\":\"x86_64\",\"release\":\"6.1\",\"product\":\"c6i.large\"},"       \
	"\"memory_bytes\":4000000000}"

static json_t *parse(const char *text)
{
	json_t *o = NULL;
	struct ps_error err;
	if (ps_json_parse(text, strlen(text), &o, &err) != PS_OK) {
		fail_msg("%s: %s", text, err.what);
	}
	return o;
}

/* MACHINE with the first `from` replaced. */
static json_t *machine(const char *from, const char *to)
{
	char text[1024];
	const char *at = strstr(MACHINE, from);
	assert_non_null(at);
	(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - MACHINE), MACHINE, to,
		       at + strlen(from));
	return parse(text);
}

static void test_machines(void **state)
{
	static const struct {
		const char *from, *to, *said; /* "": of one kind */
	} rows[] = {
		{"\"A\"", "\"A\"", ""},
		{"\"A\"", "\"B\"", "processor A, here B"},
		{"\"A\"", "null", ""}, /* not said */
		{"\"online\":2", "\"online\":4", "CPUs 2, here 4"},
		{"\"0-1\"", "\"0\"", "CPUs that may be used 0-1, here 0"},
		{"\"smt\":null", "\"smt\":\"1\"", ""},
		{"L2 1M", "L2 2M", "caches [\"L1 32K\",\"L2 1M\"], here [\"L1 32K\",\"L2 2M\"]"},
		{"performance", "powersave", "frequency governor performance, here powersave"},
		{"x86_64", "aarch64", "architecture x86_64, here aarch64"},
		{"c6i.large", "c6i.xlarge", "product c6i.large, here c6i.xlarge"},
		{"\"6.1\"", "\"6.2\"", ""},
		/* what only a kernel shows or hides is no other processor */
		{"avx2 pti", "avx2", ""},
		{"avx avx2", "avx", "instruction set avx2, here none"},
		{"avx2 pti", "avx2 avx512f", "instruction sets without avx512f, here with it"},
		{"4000000000", "3900000000", ""},
		{"4000000000", "3700000000", "memory 3.73 GiB, here 3.45 GiB"},
		{"4000000000", "\"?\"", ""},
		{"\"A\",\"online\":2", "\"B\",\"online\":1", "processor A, here B; CPUs 2, here 1"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[PS_STORE_MACHINE_TEXT_SIZE];
		json_t *was = parse(MACHINE), *here = machine(rows[i].from, rows[i].to);
		bool differs = ps_store_machine_differs(was, here, text);
		if (differs != (rows[i].said[0] != '\0') || strcmp(text, rows[i].said) != 0) {
			fail_msg("row %zu: %s", i, text);
		}
		json_decref(was);
		json_decref(here);
	}
}

/* A text of many differences is cut, not overrun; what is no machine differs from none. */
static void test_hostile_machines(void **state)
{
	static const char *const rows[] = {
		"null",
		"[]",
		"{}",
		"{\"processor\":7}",
		"{\"processor\":{\"flags\":[]}}",
		"{\"processor\":{\"flags\":\"\"},\"memory_bytes\":-1}",
		"{\"processor\":{\"model\":{\"x\":[1,2]}}}",
	};
	char text[PS_STORE_MACHINE_TEXT_SIZE], far[4096], *at = far;
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *was = parse(MACHINE), *here = json_loads(rows[i], JSON_DECODE_ANY, NULL);
		(void)ps_store_machine_differs(was, here, text);
		(void)ps_store_machine_differs(here, was, text);
		json_decref(here);
		json_decref(was);
	}
	at += sprintf(at, "{\"processor\":{\"model\":\"");
	memset(at, 'x', 2000);
	at += 2000;
	at += sprintf(at, "\",\"online\":9,\"allowed\":\"1\",\"smt\":\"1\",\"caches\":[1],"
			  "\"vendor\":\"v\",\"cpufreq\":{\"scaling_governor\":\"s\"},"
			  "\"flags\":\"avx\"},\"kernel\":{\"machine\":\"m\",\"product\":\"p\"},"
			  "\"memory_bytes\":1}");
	json_t *was = parse(MACHINE), *here = parse(far);
	assert_true(ps_store_machine_differs(was, here, text));
	assert_true(strlen(text) < sizeof(text));
	json_decref(here);
	json_decref(was);
}

#define RUN(n, more) "{\"started\":\"" #n "\",\"started_wall_ns\":" #n more "}"
#define ON(cpu)	     ",\"machine\":{\"processor\":{\"model\":\"" #cpu "\"}}"
#define LIST(runs)   "{\"runs\":[" runs "]}"

static void test_join(void **state)
{
	static const struct {
		const char *ours, *theirs;
		enum ps_status st;
		const char *joined; /* NULL: nothing is new */
	} rows[] = {
		{LIST(RUN(1, "")), LIST(RUN(1, "")), PS_OK, NULL},
		{LIST(RUN(1, "") "," RUN(2, "")), LIST(RUN(1, "")), PS_OK, NULL},
		{LIST(RUN(1, "")), LIST(RUN(1, "") "," RUN(2, "")), PS_OK,
		 LIST(RUN(1, "") "," RUN(2, ""))},
		/* both ran on; and once more, which changes nothing */
		{LIST(RUN(1, "") "," RUN(2, "")), LIST(RUN(1, "") "," RUN(3, "")), PS_OK,
		 LIST(RUN(1, "") "," RUN(2, "") "," RUN(3, ""))},
		{LIST(RUN(1, "") "," RUN(2, "") "," RUN(3, "")), LIST(RUN(1, "") "," RUN(3, "")),
		 PS_OK, NULL},
		/* the copy was taken before the run had said all */
		{LIST(RUN(1, "")), LIST(RUN(1, ",\"onnxruntime\":{}")), PS_OK,
		 LIST(RUN(1, ",\"onnxruntime\":{}"))},
		{LIST(RUN(1, ",\"onnxruntime\":{}")), LIST(RUN(1, "")), PS_OK, NULL},
		/* what else stands there stays */
		{"{\"x\":1,\"runs\":[]}", LIST(RUN(1, "")), PS_OK,
		 "{\"x\":1,\"runs\":[" RUN(1, "") "]}"},
		{NULL, LIST(RUN(1, "")), PS_OK, LIST(RUN(1, ""))},
		{LIST(RUN(1, "")), NULL, PS_OK, NULL},
		{"no JSON", "{\"runs\":7}", PS_OK, NULL},
		{LIST(RUN(1, ON(A))), LIST(RUN(2, ON(A))), PS_OK,
		 LIST(RUN(1, ON(A)) "," RUN(2, ON(A)))},
		{LIST(RUN(1, ON(A))), LIST(RUN(2, ON(B))), PS_EEXIST, NULL},
		/* runs that both have were judged when they were made */
		{LIST(RUN(1, ON(A)) "," RUN(2, ON(B))), LIST(RUN(1, ON(A)) "," RUN(2, ON(B))),
		 PS_OK, NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *joined = NULL;
		struct ps_error err;
		enum ps_status st =
			ps_store_manifest_join(rows[i].ours, rows[i].theirs, &joined, &err);
		if (st != rows[i].st || !joined != !rows[i].joined ||
		    (joined && strcmp(joined, rows[i].joined) != 0)) {
			fail_msg("row %zu: %d, %s", i, st, joined ? joined : "nothing new");
		}
		free(joined);
	}
}

static void test_many_runs(void **state)
{
	json_t *o = json_object(), *runs = json_array();
	char *joined = NULL;
	(void)state;
	for (int i = 0; i <= PS_STORE_MAX_RUNS; i++) {
		(void)json_array_append_new(runs, json_pack("{s:i}", "started", i));
	}
	(void)json_object_set_new(o, "runs", runs);
	char *text = json_dumps(o, JSON_COMPACT);
	assert_int_equal(ps_store_manifest_join(NULL, text, &joined, NULL), PS_ETOOBIG);
	assert_null(joined);
	free(text);
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_machines),
		cmocka_unit_test(test_hostile_machines),
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_many_runs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
