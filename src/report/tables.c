/* tables.c - tables of values: made of rows, shown as CSV and JSON; text.c and html.c show them
 * too. */
#include "report_internal.h"

#include "base/csv.h"
#include "base/units.h"

#include <math.h>
#include <string.h>

const char *ps_report_keep(struct ps_report_answer *a, const char *text)
{
	const char *copy = ps_arena_strndup(&a->arena, text, strlen(text));

	return copy ? copy : "";
}

struct ps_report_value *ps_report_table_row(struct ps_report_answer *a, struct ps_report_table *t)
{
	size_t row = sizeof *t->values * (size_t)t->column_len;
	size_t cap = t->row_len ? t->row_len & (~t->row_len + 1) : 0;

	/* full at every power of two: then twice as much */
	if (t->row_len == 0 || cap == t->row_len) {
		struct ps_report_value *more =
			ps_arena_zalloc(&a->arena, row * (t->row_len ? 2 * t->row_len : 1));
		if (!more)
			return NULL;
		if (t->row_len)
			memcpy(more, t->values, row * t->row_len);
		t->values = more;
	}
	struct ps_report_value *v = &t->values[t->row_len++ * (size_t)t->column_len];
	for (int i = 0; i < t->column_len; i++)
		v[i] = (struct ps_report_value){.text = "",
						.v = {.value = NAN, .lo = NAN, .hi = NAN}};
	return v;
}

bool ps_report_table_has(const struct ps_report_table *t, int column)
{
	for (size_t r = 0; r < t->row_len; r++) {
		const struct ps_report_value *v =
			&t->values[r * (size_t)t->column_len + (size_t)column];
		if (t->columns[column].kind == PS_REPORT_TEXT || !isnan(v->v.value))
			return true;
	}
	return false;
}

const char *ps_report_value_text(const struct ps_report_column *c, const struct ps_report_value *v,
				 char buf[PS_REPORT_CELL_SIZE])
{
	char bytes[PS_UNITS_SIZE];

	if (c->kind == PS_REPORT_TEXT) {
		snprintf(buf, PS_REPORT_CELL_SIZE, "%s", v->text);
	} else if (c->kind == PS_REPORT_BYTES) {
		snprintf(buf, PS_REPORT_CELL_SIZE, "%s",
			 isnan(v->v.value) ? "-"
					   : ps_units_format_bytes((int64_t)v->v.value, bytes));
	} else if (c->kind == PS_REPORT_SHARE) {
		ps_report_percent(&v->v, buf);
	} else {
		ps_report_interval(&v->v, v->open_below, v->open_above, buf);
	}
	return buf;
}

/* ---- CSV ---- */

static void put_value(struct ps_strbuf *out, const struct ps_report_column *c,
		      const struct ps_report_value *v)
{
	if (c->kind == PS_REPORT_TEXT) {
		ps_csv_text(out, v->text);
		return;
	}
	ps_csv_real(out, v->v.value);
	if (c->interval) {
		ps_strbuf_putc(out, ',');
		ps_csv_real(out, v->v.has_interval ? v->v.lo : NAN);
		ps_strbuf_putc(out, ',');
		ps_csv_real(out, v->v.has_interval ? v->v.hi : NAN);
	}
}

void ps_report_table_csv(const struct ps_report_table *t, struct ps_strbuf *out)
{
	for (int i = 0; i < t->column_len; i++) {
		const char *key = t->columns[i].key;
		ps_strbuf_printf(out, "%s%s", i ? "," : "", key);
		if (t->columns[i].interval)
			ps_strbuf_printf(out, ",%s_low,%s_high", key, key);
	}
	ps_strbuf_puts(out, "\r\n");
	for (size_t r = 0; r < t->row_len; r++) {
		for (int i = 0; i < t->column_len; i++) {
			if (i)
				ps_strbuf_putc(out, ',');
			put_value(out, &t->columns[i],
				  &t->values[r * (size_t)t->column_len + (size_t)i]);
		}
		ps_strbuf_puts(out, "\r\n");
	}
}

/* ---- all of them ---- */

enum ps_status ps_report_tables(struct ps_report_answer *a, struct ps_error *err)
{
	enum ps_status st = ps_report_interference(a, err);

	if (st == PS_OK)
		st = ps_report_frontier(a, err);
	return st == PS_OK ? ps_report_models(a, err) : st;
}
