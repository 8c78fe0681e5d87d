/* read_internal.h - a page that is being read. Only metrics/ includes this. */
#ifndef PS_METRICS_READ_INTERNAL_H
#define PS_METRICS_READ_INTERNAL_H

#include "base/arena.h"
#include "metrics/metrics.h"

#include <stdbool.h>

struct ps_metrics_read_family {
	const char *name;
	size_t name_len;
	enum ps_metrics_type type;
	bool has_help, has_type, has_samples, closed; /* closed: samples of another one followed */
	struct ps_metrics_read_family *next;	      /* of the same bucket */
};

enum { PS_METRICS_READ_BUCKETS = 1024 };

struct ps_metrics_page {
	struct ps_arena arena;
	struct ps_metrics_sample *samples;
	int *lines;
	size_t n, cap;
	struct ps_metrics_read_family *families[PS_METRICS_READ_BUCKETS]; /* by their names */
	size_t n_families;
};

struct ps_metrics_reader {
	struct ps_metrics_page *page;
	const char *at, *end; /* of the line */
	int line;
	struct ps_metrics_read_family *current; /* whose samples stand here */
	bool any;				/* of another make: see ps_metrics_read_any */
	struct ps_error *err;
};

/* ps_metrics_read_wrong reports PS_EPARSE with the line. */
enum ps_status ps_metrics_read_wrong(struct ps_metrics_reader *r, const char *what);
/* ps_metrics_read_no_memory reports PS_ENOMEM. */
enum ps_status ps_metrics_read_no_memory(struct ps_metrics_reader *r);
/* ps_metrics_read_rules holds a page that was read to the rules over all its samples. */
enum ps_status ps_metrics_read_rules(struct ps_metrics_reader *r);
/* ps_metrics_read_tail reads what may stand behind a value: a timestamp, an exemplar. */
enum ps_status ps_metrics_read_tail(struct ps_metrics_reader *r);
/* ps_metrics_read_labels reads {a="b",...} into labels of the page's arena, if there are any. */
enum ps_status ps_metrics_read_labels(struct ps_metrics_reader *r,
				      const struct ps_metrics_label **ret_labels, size_t *ret_n);
/* ps_metrics_read_name reads a name; its length, 0 when there is none. */
size_t ps_metrics_read_name(struct ps_metrics_reader *r, const char **ret_name);
/* ps_metrics_read_blanks skips blanks. */
void ps_metrics_read_blanks(struct ps_metrics_reader *r);

#endif
