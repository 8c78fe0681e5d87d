/* agree_show.c - a comparison of two campaigns as a paragraph, a list, JSON and CSV. */
#include "report/agree.h"

#include "base/csv.h"
#include "conf/conf.h"
#include "report_internal.h"

/* How many figures were compared though they were measured under other conditions. */
static void say_changed(const struct ps_report_agreement *g, struct ps_strbuf *line)
{
	if (g->changed > 0)
		ps_strbuf_printf(
			line,
			" %d figure%s measured under other conditions (where the manifests "
			"differ): whether they changed is said, and is no question of "
			"agreement.",
			g->changed, g->changed == 1 ? " was" : "s were");
}

void ps_report_agree_sentence(const struct ps_report_agreement *g, struct ps_strbuf *line)
{
	if (g->row_len == 0)
		ps_strbuf_puts(line, "Nothing can be compared");
	else if (g->compared == 0)
		ps_strbuf_puts(line, "Nothing was measured twice under the same conditions");
	else
		ps_strbuf_printf(line, "%s: %d of %d comparisons at %.0f %% disagree",
				 g->limit >= g->compared ? "Too few comparisons to tell"
				 : g->agrees		 ? "The campaigns agree"
							 : "The campaigns DISAGREE",
				 g->disagreeing, g->compared, 100 * PS_REPORT_AGREE_CONFIDENCE);
	if (g->compared > 0)
		ps_strbuf_printf(line, ", and chance lets %d do so in %.0f of 100 cases", g->limit,
				 100 * (1 - PS_REPORT_AGREE_CHANCE));
	if (g->row_len > 0 && g->real == 0)
		ps_strbuf_puts(line, ". No single difference is real");
	else if (g->row_len > 0)
		ps_strbuf_printf(line, ". Of %zu figures %d difference%s real", g->row_len, g->real,
				 g->real == 1 ? " is" : "s are");
	ps_strbuf_putc(line, '.');
	say_changed(g, line);
	ps_strbuf_printf(line,
			 " Both have done %d cells that depend on the same, and %d that do not; %d "
			 "figures have too few blocks, an open end, or rays that differ.",
			 g->cells, g->differ, g->too_few);
}

json_t *ps_report_agree_json(const struct ps_report_agreement *g)
{
	json_t *o = json_object(), *rows = json_array();

	ps_json_set_bool(o, "agree", g->agrees);
	ps_json_set_int(o, "comparisons", g->compared);
	ps_json_set_int(o, "disagreeing", g->disagreeing);
	ps_json_set_int(o, "limit", g->limit);
	ps_json_set_int(o, "real", g->real);
	ps_json_set_int(o, "changed", g->changed);
	ps_json_set_real(o, "confidence", PS_REPORT_AGREE_CONFIDENCE);
	ps_json_set_int(o, "cells", g->cells);
	ps_json_set_int(o, "cells_that_differ", g->differ);
	ps_json_set_int(o, "too_few", g->too_few);
	for (size_t i = 0; i < g->row_len; i++) {
		const struct ps_report_agree_row *x = &g->rows[i];
		json_t *r = json_object();
		ps_json_set_string(r, "what", x->what);
		ps_json_set_real(r, "ratio", x->v.value);
		ps_json_set_real(r, "low", x->v.lo);
		ps_json_set_real(r, "high", x->v.hi);
		ps_json_set_bool(r, "agrees", x->agrees);
		ps_json_set_bool(r, "counted", x->counted);
		ps_json_set_bool(r, "changed", x->changed);
		ps_json_set_string(r, "difference", ps_report_difference_name(x->difference));
		json_array_append_new(rows, r);
	}
	json_object_set_new(o, "rows", rows);
	return o;
}

void ps_report_agree_csv(const struct ps_report_agreement *g, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "what,ratio,ratio_low,ratio_high,difference,counted,changed\r\n");
	for (size_t i = 0; i < g->row_len; i++) {
		const struct ps_report_agree_row *r = &g->rows[i];
		ps_csv_text(out, r->what);
		ps_strbuf_putc(out, ',');
		ps_csv_real(out, r->v.value);
		ps_strbuf_putc(out, ',');
		ps_csv_real(out, r->v.lo);
		ps_strbuf_putc(out, ',');
		ps_csv_real(out, r->v.hi);
		ps_strbuf_printf(out, ",%s,%d,%d\r\n", ps_report_difference_name(r->difference),
				 r->counted, r->changed);
	}
}
