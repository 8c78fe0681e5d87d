/* Pages of other servers: what can be read is read, and what cannot is counted. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "metrics/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As Triton writes it: counters without _total, microseconds, and a summary. */
static const char triton[] =
	"# HELP nv_inference_request_success Number of successful inference requests\n"
	"# TYPE nv_inference_request_success counter\n"
	"nv_inference_request_success{model=\"resnet50\",version=\"1\"} 1207\n"
	"# HELP nv_inference_request_summary_us Cumulative\n"
	"# TYPE nv_inference_request_summary_us summary\n"
	"nv_inference_request_summary_us_count{model=\"m\",version=\"1\"} 161\n"
	"nv_inference_request_summary_us_sum{model=\"m\",version=\"1\"} 11110\n"
	"nv_inference_request_summary_us{model=\"m\",version=\"1\",quantile=\"0.5\"} 7\n"
	"nv_gpu_utilization{gpu_uuid=\"GPU-1\"} 0.5\n";

/* As OpenVINO Model Server writes it. */
static const char openvino[] =
	"# HELP ovms_request_time_us Processing time of requests to a model.\n"
	"# TYPE ovms_request_time_us histogram\n"
	"ovms_request_time_us_count{interface=\"gRPC\",name=\"r\",version=\"1\"} 3\n"
	"ovms_request_time_us_sum{interface=\"gRPC\",name=\"r\",version=\"1\"} 2000.000000\n"
	"ovms_request_time_us_bucket{interface=\"gRPC\",name=\"r\",version=\"1\",le=\"10\"} 0\n"
	"ovms_request_time_us_bucket{interface=\"gRPC\",name=\"r\",version=\"1\",le=\"+Inf\"} 3\n";

/* As vLLM writes it: names with colons, counters named without _total in TYPE, _created, and the
 * samples of one name apart (several processes). */
static const char vllm[] =
	"# HELP vllm:e2e_request_latency_seconds Histogram of end to end request latency.\n"
	"# TYPE vllm:e2e_request_latency_seconds histogram\n"
	"vllm:e2e_request_latency_seconds_bucket{le=\"0.3\",model_name=\"opt\"} 1.0\n"
	"vllm:e2e_request_latency_seconds_bucket{le=\"+Inf\",model_name=\"opt\"} 2.0\n"
	"vllm:e2e_request_latency_seconds_count{model_name=\"opt\"} 2.0\n"
	"vllm:e2e_request_latency_seconds_sum{model_name=\"opt\"} 0.8\n"
	"# TYPE vllm:prompt_tokens counter\n"
	"vllm:prompt_tokens_total{model_name=\"opt\"} 17.0\n"
	"vllm:prompt_tokens_created{model_name=\"opt\"} 1.7e+09\n"
	"vllm:e2e_request_latency_seconds_sum{model_name=\"other\"} 0.5\n";

static const char openmetrics[] =
	"# TYPE foo counter\n# UNIT foo seconds\n"
	"foo_total{a=\"x\\\"y\"} 17.0 1520879607.789 # {trace_id=\"K,}oYgZ\"} 0.67 1520879607.1\n"
	"# TYPE h histogram\n"
	"h_bucket{le=\"+Inf\"} 8 # {trace_id=\"x\"} 9.8\n"
	"h_count 8\nh_sum 324789.3\nh_created 1520430000.123\n"
	"# TYPE i info\ni_info{version=\"1\"} 1\n"
	"# EOF\n";

struct row {
	const char *text;
	size_t samples, lost;
	const char *name; /* a sample that must be there */
	double value;
	enum ps_metrics_type type;
	const char *first; /* of what was lost; or the error when samples is 0 */
};

static const struct row rows[] = {
	{triton, 5, 0, "nv_inference_request_success", 1207, PS_METRICS_COUNTER, ""},
	{triton, 5, 0, "nv_inference_request_summary_us_sum", 11110, PS_METRICS_UNTYPED, ""},
	{openvino, 4, 0, "ovms_request_time_us_count", 3, PS_METRICS_HISTOGRAM, ""},
	{vllm, 7, 0, "vllm:prompt_tokens_total", 17, PS_METRICS_COUNTER, ""},
	{vllm, 7, 0, "vllm:e2e_request_latency_seconds_sum", 0.8, PS_METRICS_HISTOGRAM, ""},
	{openmetrics, 6, 0, "foo_total", 17, PS_METRICS_COUNTER, ""},
	{openmetrics, 6, 0, "h_created", 1520430000.123, PS_METRICS_HISTOGRAM, ""},
	{"", 0, 0, NULL, 0, 0, ""},
	{"# only talk\n", 0, 0, NULL, 0, 0, ""},
	{"a 1\r\nb 2\r\nc 3", 3, 0, "c", 3, PS_METRICS_UNTYPED, ""}, /* CRLF, no last end */
	{"a 1\na 2\n", 2, 0, "a", 1, PS_METRICS_UNTYPED, ""},	     /* the first one counts */
	{"a NaN\nb 2\n", 2, 0, "b", 2, PS_METRICS_UNTYPED, ""},
	{"a{x=\"1\" 1\nb 2\n{\"c.d\"} 3\n", 1, 2, "b", 2, PS_METRICS_UNTYPED, "line 1: "},
	{"a 1 2 3\nb 0x10\nc 4\n", 1, 2, "c", 4, PS_METRICS_UNTYPED, "line 1: something behind"},
	{"a 1 # {x=\"1\"}\nb 2\n", 1, 1, "b", 2, PS_METRICS_UNTYPED, "line 1: an exemplar without"},
	{"# TYPE a counter\n# TYPE a gauge\na 1\n", 1, 1, "a", 1, PS_METRICS_COUNTER, "line 2: "},
	{"<!DOCTYPE html>\n<p>404</p>\n", 0, 0, NULL, 0, 0, "no page of metrics: line 1"},
};

static void test_pages(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *row = &rows[i];
		struct ps_metrics_page *page = NULL;
		struct ps_metrics_loss loss = {0};
		struct ps_error err = {0};
		size_t n = 0;
		enum ps_status status =
			ps_metrics_read_any(row->text, strlen(row->text), &page, &loss, &err);
		bool refused = row->samples == 0 && row->first[0];
		if (status != (refused ? PS_EPARSE : PS_OK) ||
		    !strstr(refused ? err.what : loss.first, row->first))
			fail_msg("row %zu: %d %s %s", i, (int)status, err.what, loss.first);
		if (status != PS_OK)
			continue;
		(void)ps_metrics_page_samples(page, &n);
		if (n != row->samples || loss.lines != row->lost)
			fail_msg("row %zu: %zu samples, %zu lost: %s", i, n, loss.lines,
				 loss.first);
		const struct ps_metrics_sample *s =
			row->name ? ps_metrics_page_find(page, row->name, NULL, 0) : NULL;
		if (row->name && (!s || s->value != row->value || s->type != row->type))
			fail_msg("row %zu: %s", i, row->name);
		ps_metrics_page_free(page);
	}
}

/* Exemplars and other things behind a value are no licence for our own pages. */
static void test_strict(void **state)
{
	struct ps_metrics_page *page = NULL;
	(void)state;
	assert_int_equal(ps_metrics_read(vllm, strlen(vllm), &page, NULL), PS_EPARSE);
	assert_int_equal(ps_metrics_read("a 1\r\n", 5, &page, NULL), PS_EPARSE);
}

/* Limits: one line of many labels costs what it is long, not its square; names and samples end. */
static void test_limits(void **state)
{
	struct ps_metrics_page *page = NULL;
	struct ps_metrics_loss loss;
	struct ps_error err;
	size_t size = 16u << 20, at = 0;
	char *text = malloc(size);
	(void)state;
	assert_non_null(text);
	at += (size_t)snprintf(text, size, "a{");
	for (int i = 0; i < 63; i++)
		at += (size_t)snprintf(text + at, size - at, "l%d=\"\",", i);
	at += (size_t)snprintf(text + at, size - at, "x=\"");
	memset(text + at, 'y', 1 << 20);
	at += 1 << 20;
	at += (size_t)snprintf(text + at, size - at, "\"} 5\n");
	assert_int_equal(ps_metrics_read_any(text, at, &page, &loss, &err), PS_OK);
	const struct ps_metrics_sample *s = ps_metrics_page_find(page, "a", NULL, 0);
	assert_int_equal(s->n_labels, 64);
	assert_int_equal(strlen(ps_metrics_sample_label(s, "x")), 1 << 20);
	ps_metrics_page_free(page);

	at = 0;
	for (int i = 0; i <= PS_METRICS_MAX_NAMES; i++)
		at += (size_t)snprintf(text + at, size - at, "n%d 1\n", i);
	assert_int_equal(ps_metrics_read_any(text, at, &page, &loss, &err), PS_ETOOBIG);
	at = 0;
	for (int i = 0; i <= PS_METRICS_MAX_SAMPLES; i++)
		at += (size_t)snprintf(text + at, size - at, "n%d 1\n", i % 9);
	assert_int_equal(ps_metrics_read_any(text, at, &page, &loss, &err), PS_ETOOBIG);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
