/* bill.h - the ledger as people and programs read it.   Layer 5. Uses base, store. Any thread;
 * blocks on the disk. Shared by `perseus bill` and the operator's routes.
 */
#ifndef PS_SERVE_BILL_H
#define PS_SERVE_BILL_H

#include "base/strbuf.h"
#include "store/state.h"

enum ps_serve_bill_form { PS_SERVE_BILL_JSON, PS_SERVE_BILL_CSV, PS_SERVE_BILL_TEXT };

enum { PS_SERVE_BILL_MAX_ROWS = 1000000 };

/* ps_serve_bill_minute reads an instant as a minute since 1970 UTC: "2026-11-22",
 * "2026-11-22T17:05" (a Z, seconds that are 0, and a blank in place of T are fine) or seconds since
 * 1970. Not a whole minute is PS_EINVAL: bills are made of minutes. PS_EPARSE. */
enum ps_status ps_serve_bill_minute(const char *text, int64_t *ret_minute, struct ps_error *err);

/* ps_serve_bill_write appends the rows of a query, their sum, and what may be missing: for each run
 * that was killed (or goes on) the time between two writes. At most `max_rows` rows: PS_ETOOBIG
 * beyond. Errors of store/state.h. */
enum ps_status ps_serve_bill_write(struct ps_state *s, const struct ps_state_query *q,
				   enum ps_serve_bill_form form, int max_rows,
				   struct ps_strbuf *out, struct ps_error *err);

#endif
