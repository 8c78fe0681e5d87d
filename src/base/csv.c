/* csv.c - fields of comma-separated values. */
#include "base/csv.h"

#include <math.h>

void ps_csv_text(struct ps_strbuf *out, const char *text)
{
	ps_strbuf_putc(out, '"');
	if (text[0] && strchr("=+-@\t\r", text[0]))
		ps_strbuf_putc(out, '\'');
	for (; *text; text++) {
		if (*text == '"')
			ps_strbuf_putc(out, '"');
		ps_strbuf_putc(out, *text);
	}
	ps_strbuf_putc(out, '"');
}

void ps_csv_real(struct ps_strbuf *out, double v)
{
	if (isfinite(v))
		ps_strbuf_printf(out, "%.10g", v);
	else if (isinf(v))
		ps_strbuf_puts(out, v > 0 ? "inf" : "-inf");
}
