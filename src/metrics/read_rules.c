/* read_rules.c - the rules that concern more than one line of a page. */
#include "metrics/read_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_labels(const struct ps_metrics_sample *a, const struct ps_metrics_sample *b,
			  const char *without)
{
	size_t i = 0, k = 0;
	for (;; i++, k++) {
		while (without && i < a->n_labels && strcmp(a->labels[i].name, without) == 0)
			i++;
		while (without && k < b->n_labels && strcmp(b->labels[k].name, without) == 0)
			k++;
		if (i == a->n_labels || k == b->n_labels)
			return (k == b->n_labels) - (i == a->n_labels);
		int names = strcmp(a->labels[i].name, b->labels[k].name);
		int values = strcmp(a->labels[i].value, b->labels[k].value);
		if (names || values)
			return names ? names : values;
	}
}

static int compare_samples(const void *x, const void *y)
{
	const struct ps_metrics_sample *a = *(const struct ps_metrics_sample *const *)x;
	const struct ps_metrics_sample *b = *(const struct ps_metrics_sample *const *)y;
	int names = strcmp(a->name, b->name);
	return names ? names : compare_labels(a, b, NULL);
}

static enum ps_status check_once(struct ps_metrics_reader *r)
{
	struct ps_metrics_page *p = r->page;
	const struct ps_metrics_sample **sorted = malloc((p->n + 1) * sizeof *sorted);
	enum ps_status status = PS_OK;
	if (!sorted)
		return ps_metrics_read_no_memory(r);
	for (size_t i = 0; i < p->n; i++)
		sorted[i] = &p->samples[i];
	if (p->n > 0)
		qsort(sorted, p->n, sizeof *sorted, compare_samples);
	for (size_t i = 1; status == PS_OK && i < p->n; i++)
		if (compare_samples(&sorted[i - 1], &sorted[i]) == 0) {
			r->line = p->lines[sorted[i] - p->samples];
			status = ps_metrics_read_wrong(r, "the same sample twice");
		}
	free(sorted);
	return status;
}

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);
	return n >= m && strcmp(text + n - m, end) == 0;
}

/* One run of buckets with equal labels: bounds and counts rise, +Inf is the count behind it. */
static enum ps_status check_buckets(struct ps_metrics_reader *r, size_t *i)
{
	struct ps_metrics_page *p = r->page;
	const struct ps_metrics_sample *first = &p->samples[*i];
	double bound = -INFINITY, count = 0;
	for (; *i < p->n && strcmp(p->samples[*i].name, first->name) == 0 &&
	       compare_labels(first, &p->samples[*i], "le") == 0;
	     ++*i) {
		const struct ps_metrics_sample *s = &p->samples[*i];
		const char *le = ps_metrics_sample_label(s, "le");
		r->line = p->lines[*i];
		if (!le)
			return ps_metrics_read_wrong(r, "a bucket without le");
		double v = strtod(le, NULL);
		if (v <= bound || s->value < count)
			return ps_metrics_read_wrong(r, "buckets do not rise");
		bound = v;
		count = s->value;
	}
	if (!isinf(bound))
		return ps_metrics_read_wrong(r, "no bucket up to +Inf");
	for (size_t k = *i; k < p->n && k < *i + 2; k++)
		if (ends_in(p->samples[k].name, "_count"))
			return p->samples[k].value == count
				       ? PS_OK
				       : ps_metrics_read_wrong(r,
							       "the bucket +Inf is not the count");
	return ps_metrics_read_wrong(r, "a histogram without its count");
}

static enum ps_status check_histograms(struct ps_metrics_reader *r)
{
	struct ps_metrics_page *p = r->page;
	enum ps_status status = PS_OK;
	for (size_t i = 0; status == PS_OK && i < p->n;) {
		if (p->samples[i].type == PS_METRICS_HISTOGRAM &&
		    ends_in(p->samples[i].name, "_bucket"))
			status = check_buckets(r, &i);
		else
			i++;
	}
	return status;
}

enum ps_status ps_metrics_read_rules(struct ps_metrics_reader *r)
{
	enum ps_status status = check_once(r);
	return status == PS_OK ? check_histograms(r) : status;
}
