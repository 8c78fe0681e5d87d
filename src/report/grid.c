/* grid.c - tables of texts. */
#include "grid_internal.h"

#include <stdio.h>
#include <string.h>

void ps_report_grid_init(struct ps_report_grid *g, const char *title, const char *const *heads,
			 unsigned left, size_t rows)
{
	*g = (struct ps_report_grid){
		.title = title, .left = left, .verdict_column = -1, .len = rows};
	ps_arena_init(&g->arena, 0);
	while (heads[g->columns] && g->columns < PS_REPORT_GRID_COLUMNS) {
		g->heads[g->columns] = heads[g->columns];
		g->columns++;
	}
	g->rows = ps_arena_zalloc(&g->arena, (rows ? rows : 1) * sizeof *g->rows);
	if (!g->rows) {
		g->failed = true;
		g->len = 0;
	}
	for (size_t r = 0; r < g->len; r++)
		for (int c = 0; c < PS_REPORT_GRID_COLUMNS; c++)
			g->rows[r].cells[c] = "-";
}

void ps_report_grid_fini(struct ps_report_grid *g)
{
	ps_arena_fini(&g->arena);
}

void ps_report_grid_set(struct ps_report_grid *g, size_t row, int column, const char *text)
{
	if (row >= g->len)
		return;
	const char *copy = ps_arena_strndup(&g->arena, text, strlen(text));
	if (copy)
		g->rows[row].cells[column] = copy;
	else
		g->failed = true;
}

void ps_report_grid_printf(struct ps_report_grid *g, size_t row, int column, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	ps_report_grid_set(g, row, column, text);
}
