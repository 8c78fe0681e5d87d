/* plan_read_internal.h - reads what other commands wrote as JSON into the plan of a report.
 * Layer 5.
 *
 * Everything comes from outside, so everything is checked, and the first thing that does not fit is
 * said with its place. After a failure the functions go on and return what is harmless.
 */
#ifndef PS_REPORT_PLAN_READ_INTERNAL_H
#define PS_REPORT_PLAN_READ_INTERNAL_H

#include "report/plan.h"

#define PS_REPORT_WHERE_SIZE 120

enum { PS_REPORT_MAX_TEXT = 4000 };

struct ps_report_reader {
	struct ps_report_plan *p;
	struct ps_error *err;
	enum ps_status st; /* the first failure */
};

void ps_report_read_refuse(struct ps_report_reader *r, const char *where, const char *what);
void ps_report_read_no_memory(struct ps_report_reader *r);
/* ps_report_read_take returns zeroed memory of the plan, at least one entry; NULL: none is left. */
void *ps_report_read_take(struct ps_report_reader *r, size_t n, size_t size);

/* ps_report_read_text returns a text of at most PS_REPORT_MAX_TEXT bytes; "" when it is absent. */
const char *ps_report_read_text(struct ps_report_reader *r, const json_t *o, const char *key,
				bool required, const char *where);
/* ps_report_read_real returns a number from 0 to max; NAN when it is absent. */
double ps_report_read_real(struct ps_report_reader *r, const json_t *o, const char *key,
			   bool required, double max, const char *where);
/* ps_report_read_list returns the list under a key, of at most PS_REPORT_PLAN_MAX entries; NULL
 * when it is absent or wrong. */
const json_t *ps_report_read_list(struct ps_report_reader *r, const json_t *o, const char *key,
				  bool required, const char *where);
bool ps_report_read_object(struct ps_report_reader *r, const json_t *v, const char *where);

/* ps_report_read_predictions takes the key "predictions", ps_report_read_proof "verification". */
void ps_report_read_predictions(struct ps_report_reader *r, const json_t *root);
void ps_report_read_proof(struct ps_report_reader *r, const json_t *root);

#endif
