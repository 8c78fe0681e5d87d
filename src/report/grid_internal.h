/* grid_internal.h - a table as people read it: cells of text, made once and shown as page, Markdown
 * or terminal.   Layer 5. */
#ifndef PS_REPORT_GRID_INTERNAL_H
#define PS_REPORT_GRID_INTERNAL_H

#include "report/plan.h"
#include "report/report.h"

enum { PS_REPORT_GRID_COLUMNS = 12 };

struct ps_report_grid_row {
	const char *cells[PS_REPORT_GRID_COLUMNS];
};

struct ps_report_grid {
	const char *title; /* of the whole, borrowed */
	const char *heads[PS_REPORT_GRID_COLUMNS];
	int columns;
	unsigned left;	    /* bit i: column i is text, set to the left */
	int verdict_column; /* -1: none */
	struct ps_report_grid_row *rows;
	size_t len;
	struct ps_arena arena;
	bool failed; /* no memory: renderers pass it on */
};

/* ps_report_grid_init makes `rows` rows of "-" under the heads (ended by NULL, at most
 * PS_REPORT_GRID_COLUMNS). The caller calls ps_report_grid_fini, also after a failure. */
void ps_report_grid_init(struct ps_report_grid *g, const char *title, const char *const *heads,
			 unsigned left, size_t rows);
void ps_report_grid_fini(struct ps_report_grid *g);
/* ps_report_grid_set copies a text into a cell. */
void ps_report_grid_set(struct ps_report_grid *g, size_t row, int column, const char *text);
/* ps_report_grid_printf writes a short text (under 200 bytes) into a cell. */
void ps_report_grid_printf(struct ps_report_grid *g, size_t row, int column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The tables of a report, each with all its columns. */
void ps_report_grid_asked(const struct ps_report_answer *a, struct ps_report_grid *g);
void ps_report_grid_demand(const struct ps_report_answer *a, struct ps_report_grid *g);
void ps_report_grid_capacity(const struct ps_report_answer *a, struct ps_report_grid *g);
void ps_report_grid_savings(const struct ps_report_answer *a, struct ps_report_grid *g);
void ps_report_grid_machine(const struct ps_report_answer *a, struct ps_report_grid *g);
/* One of the further tables: the columns that any row has. */
void ps_report_grid_table(const struct ps_report_table *t, struct ps_report_grid *g);
/* What is rented, by type, in every placement; who runs where in the plan; how it was measured;
 * predictions. */
void ps_report_grid_rent(const struct ps_report_plan *p, struct ps_report_grid *g);
void ps_report_grid_plan(const struct ps_report_plan *p, struct ps_report_grid *g);
void ps_report_grid_proved(const struct ps_report_plan *p, struct ps_report_grid *g);
void ps_report_grid_predictions(const struct ps_report_plan *p, struct ps_report_grid *g);

/* How they are shown. */
void ps_report_grid_html(const struct ps_report_grid *g, struct ps_strbuf *out);
void ps_report_grid_text(const struct ps_report_grid *g, size_t width, struct ps_strbuf *out);
void ps_report_grid_markdown(const struct ps_report_grid *g, struct ps_strbuf *out);

#endif
