/* The log of single requests: what is written comes back, and nothing else does. */
#include "base/clock.h"
#include "base/file.h"
#include "base/rng.h"
#include "load/request_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { TENANTS = 2, RECORDS = 5000 /* more than one block */ };

static char path[] = "/tmp/test_request_log.XXXXXX";

static struct ps_load_record made_up(struct ps_rng *rng, uint64_t i)
{
	int64_t at = (int64_t)(i * 1000000 + ps_rng_below(rng, 500));
	struct ps_load_record q = {.scheduled_ns = at,
				   .sent_ns = at + (int64_t)ps_rng_below(rng, 90000),
				   .first_byte_ns = at + 100000,
				   .done_ns = at + 100000 + (int64_t)ps_rng_below(rng, 5000000),
				   .server_queue_ns = i % 3 ? 777 : -1,
				   .server_compute_ns = i % 3 ? INT64_C(5000000000) : -1,
				   .connection = (uint32_t)(i % 512),
				   .http_status = i % 7 ? 200 : 503,
				   .outcome = (uint8_t)(i % PS_LOAD_OUTCOME_COUNT),
				   .warmup = i < 100,
				   .sampled = i % 2,
				   .sequence = i ^ 1};

	if (q.outcome == PS_LOAD_UNSENT) {
		q.sent_ns = q.first_byte_ns = q.done_ns = -1;
	}
	return q;
}

static void fill(struct ps_load_result *r)
{
	struct ps_rng rng;

	ps_rng_init(&rng, 3, 0);
	*r = (struct ps_load_result){.wall_ns = INT64_C(1700000000000000001),
				     .warmup_ns = 100,
				     .duration_ns = INT64_C(5000000000),
				     .seed = UINT64_MAX,
				     .tenants = calloc(TENANTS, sizeof(*r->tenants)),
				     .tenant_len = TENANTS};
	for (size_t i = 0; i < TENANTS; i++) {
		struct ps_load_tenant_result *t = &r->tenants[i];

		snprintf(t->name, sizeof(t->name), "%s", i ? "b, \"so called\"" : "a");
		t->records_dropped = 7 * i;
		t->record_len = i ? 3 : RECORDS;
		t->records = calloc(t->record_len, sizeof(*t->records));
		for (size_t k = 0; k < t->record_len; k++) {
			t->records[k] = made_up(&rng, k);
		}
	}
}

struct seen {
	const struct ps_load_result *want;
	size_t next[TENANTS];
	bool head, end;
};

static enum ps_status on_head(void *ctx, const struct ps_load_log_head *h, struct ps_error *err)
{
	struct seen *s = ctx;

	(void)err;
	assert_int_equal(h->wall_ns, s->want->wall_ns);
	assert_int_equal(h->warmup_ns, s->want->warmup_ns);
	assert_int_equal(h->duration_ns, s->want->duration_ns);
	assert_true(h->seed == s->want->seed);
	assert_int_equal(h->tenant_len, TENANTS);
	for (size_t i = 0; i < TENANTS; i++) {
		assert_string_equal(h->tenants[i].name, s->want->tenants[i].name);
		assert_int_equal(h->tenants[i].dropped, s->want->tenants[i].records_dropped);
	}
	s->head = true;
	return PS_OK;
}

static enum ps_status on_record(void *ctx, const struct ps_load_log_head *h, size_t tenant,
				const struct ps_load_record *q, struct ps_error *err)
{
	struct seen *s = ctx;
	const struct ps_load_record *want = &s->want->tenants[tenant].records[s->next[tenant]++];

	(void)h;
	(void)err;
	assert_int_equal(q->scheduled_ns, want->scheduled_ns);
	assert_int_equal(q->sent_ns, want->sent_ns);
	assert_int_equal(q->first_byte_ns, want->first_byte_ns);
	assert_int_equal(q->done_ns, want->done_ns);
	assert_int_equal(q->server_queue_ns, want->server_queue_ns);
	assert_int_equal(q->server_compute_ns, want->server_compute_ns);
	assert_int_equal(q->connection, want->connection);
	assert_int_equal(q->http_status, want->http_status);
	assert_int_equal(q->outcome, want->outcome);
	assert_int_equal(q->warmup, want->warmup);
	assert_int_equal(q->sampled, want->sampled);
	assert_true(q->sequence == want->sequence);
	return PS_OK;
}

static enum ps_status on_end(void *ctx, const struct ps_load_log_head *h, struct ps_error *err)
{
	struct seen *s = ctx;

	(void)h;
	(void)err;
	s->end = true;
	return PS_OK;
}

static void what_is_written_comes_back(void **state)
{
	struct ps_load_result r;
	struct seen s = {.want = &r};
	struct ps_load_log_visitor v = {on_head, on_record, on_end, &s};
	char *bytes;
	size_t len;

	(void)state;
	fill(&r);
	assert_int_equal(ps_load_log_write(&r, path, NULL), PS_OK);
	assert_int_equal(ps_load_log_read(path, &v, NULL), PS_OK);
	assert_true(s.head && s.end);
	assert_int_equal(s.next[0], RECORDS);
	assert_int_equal(s.next[1], 3);
	assert_int_equal(ps_file_read(path, 1 << 24, &bytes, &len, NULL), PS_OK);
	assert_true(len < 30 * RECORDS); /* of 64 in memory and about 100 as CSV */
	free(bytes);
	ps_load_result_fini(&r);
}

/* A small log; each bit of it turned over, and each of its beginnings: refused, never misread. */
static void any_damage_is_refused(void **state)
{
	struct ps_load_result r;
	struct seen s = {.want = &r};
	struct ps_load_log_visitor v = {on_head, on_record, on_end, &s};
	char *bytes;
	size_t len;

	(void)state;
	fill(&r);
	r.tenants[0].record_len = 5;
	assert_int_equal(ps_load_log_write(&r, path, NULL), PS_OK);
	assert_int_equal(ps_file_read(path, 1 << 24, &bytes, &len, NULL), PS_OK);
	for (size_t i = 0; i < len; i++) {
		struct ps_error err;

		bytes[i] ^= (char)(1 << i % 8);
		assert_int_equal(ps_file_write(path, bytes, len, NULL), PS_OK);
		s = (struct seen){.want = &r};
		assert_int_equal(ps_load_log_read(path, &v, &err), PS_ECORRUPT);
		assert_false(s.end);
		assert_string_equal(err.where, path);
		bytes[i] ^= (char)(1 << i % 8);
	}
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(ps_file_write(path, bytes, i, NULL), PS_OK);
		s = (struct seen){.want = &r};
		assert_int_equal(ps_load_log_read(path, &v, NULL), PS_ECORRUPT);
	}
	free(bytes);
	ps_load_result_fini(&r);
}

static void other_files_are_refused(void **state)
{
	static const struct {
		const char *bytes, *says;
	} rows[] = {
		{"", "no request log"},
		{"tenant,sequence,warmup", "no request log"},
		{"PSRLOG2\n", "another version"},
		{"PSRLOG1\n", "missing: the file was cut off"},
		{"PSRLOG1\n\xff\xff\xff\xff....", "no possible length"},
		{"PSRLOG1\n\x01", "was cut off"},
	};
	struct ps_load_log_visitor v = {NULL, NULL, NULL, NULL};
	struct ps_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(ps_file_write(path, rows[i].bytes, strlen(rows[i].bytes), NULL),
				 PS_OK);
		assert_int_equal(ps_load_log_read(path, &v, &err), PS_ECORRUPT);
		assert_non_null(strstr(err.what, rows[i].says));
	}
	assert_int_equal(ps_load_log_read("/nowhere/log", &v, &err), PS_ENOTFOUND);
}

static void a_line_of_csv(void **state)
{
	struct ps_load_record q = {.scheduled_ns = 5,
				   .sent_ns = 6,
				   .first_byte_ns = -1,
				   .done_ns = 9,
				   .server_queue_ns = -1,
				   .server_compute_ns = -1,
				   .connection = 3,
				   .http_status = 0,
				   .outcome = PS_LOAD_RESET,
				   .sequence = 12};
	struct ps_strbuf out;

	(void)state;
	ps_strbuf_init(&out);
	ps_load_csv_head(&out);
	ps_load_csv_row(&out, "a", &q);
	q.warmup = 1;
	ps_load_csv_row(&out, "b, \"c\"", &q);
	assert_string_equal(out.data,
			    "tenant,sequence,warmup,scheduled_ns,sent_ns,first_byte_ns,done_ns,"
			    "server_queue_ns,server_compute_ns,connection,http,outcome\n"
			    "a,12,0,5,6,,9,,,3,0,reset\n"
			    "\"b, \"\"c\"\"\",12,1,5,6,,9,,,3,0,reset\n");
	ps_strbuf_fini(&out);
}

static int make_path(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int drop_path(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_comes_back),
		cmocka_unit_test(any_damage_is_refused),
		cmocka_unit_test(other_files_are_refused),
		cmocka_unit_test(a_line_of_csv),
	};

	return cmocka_run_group_tests(tests, make_path, drop_path);
}
