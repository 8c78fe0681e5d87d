/* Pages of metrics: what the strict reader takes, the other takes too, without a loss. */
#include "fuzz/fuzz.h"
#include "metrics/metrics.h"

#include <string.h>

static size_t check_samples(const struct ps_metrics_page *page)
{
	size_t n = 0;
	const struct ps_metrics_sample *s = ps_metrics_page_samples(page, &n);
	for (size_t i = 0; i < n; i++) {
		MUST(s[i].name[0] && s[i].n_labels <= PS_METRICS_MAX_LABELS);
		for (size_t k = 0; k < s[i].n_labels; k++)
			MUST(s[i].labels[k].name[0] && s[i].labels[k].value);
		MUST(ps_metrics_page_find(page, s[i].name, s[i].labels, s[i].n_labels));
		if (i == 50)
			break; /* finding is linear */
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ps_metrics_page *strict = NULL, *any = NULL;
	struct ps_metrics_loss loss = {0};
	struct ps_error err;
	const char *text = (const char *)data;
	enum ps_status a = ps_metrics_read(text, size, &strict, &err);
	enum ps_status b = ps_metrics_read_any(text, size, &any, &loss, &err);
	size_t n = a == PS_OK ? check_samples(strict) : 0, m = b == PS_OK ? check_samples(any) : 0;
	if (a == PS_OK)
		MUST(b == PS_OK && loss.lines == 0 && n == m);
	ps_metrics_page_free(a == PS_OK ? strict : NULL);
	ps_metrics_page_free(b == PS_OK ? any : NULL);
	return 0;
}
