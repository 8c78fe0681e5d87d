/* markdown.c - the answer for an issue, a wiki or a mail. */
#include "beside_internal.h"
#include "policies_internal.h"
#include "grid_internal.h"
#include "report_internal.h"

#include <ctype.h>
#include <string.h>

/* Names are names: nothing in them is markup. A "_" within a word is none, nor is a bracket that no
 * link follows. */
static bool is_markup(const char *from, const char *at)
{
	if (*at == '_')
		return at == from || !isalnum((unsigned char)at[-1]) ||
		       !isalnum((unsigned char)at[1]);
	return *at == ']' ? at[1] == '(' || at[1] == '[' : strchr("\\`*<|", *at) != NULL;
}

void ps_report_markdown_escape(struct ps_strbuf *out, const char *text)
{
	for (const char *s = text; s && *s; s++) {
		if (is_markup(text, s))
			ps_strbuf_putc(out, '\\');
		ps_strbuf_putc(out, *s == '\n' || *s == '\r' ? ' ' : *s);
	}
}

void ps_report_grid_markdown(const struct ps_report_grid *g, struct ps_strbuf *out)
{
	out->failed = out->failed || g->failed;
	if (g->len == 0)
		return;
	ps_strbuf_puts(out, "\n## ");
	ps_report_markdown_escape(out, g->title);
	ps_strbuf_puts(out, "\n\n|");
	for (int c = 0; c < g->columns; c++) {
		ps_strbuf_putc(out, ' ');
		ps_report_markdown_escape(out, g->heads[c]);
		ps_strbuf_puts(out, " |");
	}
	ps_strbuf_puts(out, "\n|");
	for (int c = 0; c < g->columns; c++)
		ps_strbuf_puts(out, g->left >> c & 1 ? " --- |" : " ---: |");
	ps_strbuf_putc(out, '\n');
	for (size_t r = 0; r < g->len; r++) {
		ps_strbuf_putc(out, '|');
		for (int c = 0; c < g->columns; c++) {
			ps_strbuf_putc(out, ' ');
			ps_report_markdown_escape(out, g->rows[r].cells[c]);
			ps_strbuf_puts(out, " |");
		}
		ps_strbuf_putc(out, '\n');
	}
}

static void put_plan(const struct ps_report_plan *p, struct ps_strbuf *out)
{
	void (*const tables[])(const struct ps_report_plan *, struct ps_report_grid *) = {
		ps_report_grid_rent, ps_report_grid_plan, ps_report_grid_proved,
		ps_report_grid_predictions};
	struct ps_strbuf said;

	ps_strbuf_init(&said);
	ps_report_plan_sentences(p, &said);
	if (said.len > 0) {
		ps_strbuf_puts(out, "\n## What to rent\n\n");
		ps_report_markdown_escape(out, said.data);
		ps_strbuf_putc(out, '\n');
	}
	out->failed = out->failed || said.failed;
	ps_strbuf_fini(&said);
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		struct ps_report_grid g;
		tables[i](p, &g);
		ps_report_grid_markdown(&g, out);
		ps_report_grid_fini(&g);
	}
	ps_report_plan_cut(p, out);
}

static void put_warnings(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	if (a->warning_len == 0)
		return;
	ps_strbuf_puts(out, "\n## Warnings\n\n");
	for (size_t i = 0; i < a->warning_len; i++) {
		ps_strbuf_puts(out, "- ");
		ps_report_markdown_escape(out, a->warnings[i]);
		ps_strbuf_putc(out, '\n');
	}
}

void ps_report_markdown(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	void (*const tables[])(const struct ps_report_answer *, struct ps_report_grid *) = {
		ps_report_grid_asked, ps_report_grid_savings, ps_report_grid_capacity,
		ps_report_grid_demand, ps_report_grid_machine};
	char price[PS_REPORT_PRICE_SIZE];

	ps_strbuf_puts(out, "# ");
	ps_report_markdown_escape(out, a->campaign->name);
	ps_strbuf_puts(out, "\n\n> ");
	ps_report_markdown_escape(out, a->verdict);
	ps_strbuf_puts(out, "\n\nPriced as ");
	ps_report_markdown_escape(out, ps_report_price(a, price));
	ps_strbuf_puts(out, ". Brackets: 95 % intervals.\n");
	for (int i = 0; i < 5; i++) {
		struct ps_report_grid g;
		tables[i](a, &g);
		ps_report_grid_markdown(&g, out);
		ps_report_grid_fini(&g);
	}
	for (int i = 0; i < PS_REPORT_TABLES; i++) {
		struct ps_report_grid g;
		if (a->tables[i].row_len == 0)
			continue;
		ps_report_grid_table(&a->tables[i], &g);
		ps_report_grid_markdown(&g, out);
		ps_report_grid_fini(&g);
	}
	ps_report_beside_markdown(a, out);
	ps_report_policies_markdown(a->policies, out);
	if (a->plan)
		put_plan(a->plan, out);
	put_warnings(a, out);
}
