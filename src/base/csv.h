/* csv.h - fields of comma-separated values (RFC 4180), for every file that people open.   Layer 0.
 */
#ifndef PS_BASE_CSV_H
#define PS_BASE_CSV_H

#include "base/strbuf.h"

/* ps_csv_text appends a quoted field, its quotes doubled. One that a spreadsheet would run as a
 * formula (= + - @, tab or return in front) gets an apostrophe before it. */
void ps_csv_text(struct ps_strbuf *out, const char *text);
/* ps_csv_real appends a number with ten significant digits, "inf" or "-inf"; nothing for NAN, which
 * is not known. */
void ps_csv_real(struct ps_strbuf *out, double v);

#endif
