#include "load/series.h"

#include <stdlib.h>

struct point {
	int64_t at_ns;
	uint64_t sequence;
	double x_ns;
};

static int by_instant(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	if (x->at_ns != y->at_ns) {
		return x->at_ns < y->at_ns ? -1 : 1;
	}
	return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* Records stand in order of their ends. A server that answers in turn leaves them sorted. */
static size_t collect(const struct ps_load_tenant_result *r, int64_t timeout_ns, struct point *out)
{
	bool sorted = true;
	size_t n = 0;

	for (size_t i = 0; i < r->record_len; i++) {
		const struct ps_load_record *q = &r->records[i];
		int64_t x = q->outcome == PS_LOAD_OK ? q->done_ns - q->scheduled_ns : timeout_ns;

		if (!q->warmup) {
			out[n++] = (struct point){q->scheduled_ns, q->sequence, (double)x};
			sorted = sorted && (n < 2 || by_instant(&out[n - 2], &out[n - 1]) <= 0);
		}
	}
	if (!sorted) {
		qsort(out, n, sizeof(out[0]), by_instant);
	}
	return n;
}

void ps_load_series_fini(struct ps_load_series *s)
{
	free(s->t_s);
	free(s->x_ns);
	*s = (struct ps_load_series){0};
}

enum ps_status ps_load_series_init(struct ps_load_series *s, const struct ps_load_tenant_result *r,
				   int64_t timeout_ns)
{
	size_t cap = r->record_len ? r->record_len : 1;
	struct point *sorted = malloc(cap * sizeof(*sorted));

	*s = (struct ps_load_series){.t_s = malloc(cap * sizeof(double)),
				     .x_ns = malloc(cap * sizeof(double))};
	if (!sorted || !s->t_s || !s->x_ns) {
		free(sorted);
		ps_load_series_fini(s);
		return PS_ENOMEM;
	}
	s->len = collect(r, timeout_ns, sorted);
	for (size_t i = 0; i < s->len; i++) {
		s->t_s[i] = (double)sorted[i].at_ns / 1e9;
		s->x_ns[i] = sorted[i].x_ns;
	}
	free(sorted);
	return PS_OK;
}
