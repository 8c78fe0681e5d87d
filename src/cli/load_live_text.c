/* load_live_text.c - see load_live_internal.h. */
#include "cli/load_live_internal.h"

#include "base/units.h"
#include "conf/conf.h"
#include "stats/hist.h"

#include <stdio.h>
#include <string.h>

enum {
	CELL = 8, /* columns of a number, with the blank before it */
	CELL_SIZE = 32,
	NAME_LEAST = 7,
	NAME_MOST = 24,
	BAR_LEAST = 12,
	BAR_MOST = 40,
	LINE_SIZE = 256,
};

enum column { RATE, GOOD, P50, P99, LAG, ERRORS, COLUMNS };

/* In the order of the screen; `rank` says which stay when there is no room for all. */
static const struct {
	const char *head;
	int rank;
} columns[COLUMNS] = {
	[RATE] = {"rate/s", 0}, [GOOD] = {"good/s", 4}, [P50] = {"p50", 3},
	[P99] = {"p99", 1},	[LAG] = {"lag", 5},	[ERRORS] = {"errors", 2},
};

static void rate_text(double rps, char buf[CELL_SIZE])
{
	if (rps < 1000) {
		snprintf(buf, CELL_SIZE, "%.1f", rps);
	} else if (rps < 1e6) {
		snprintf(buf, CELL_SIZE, "%.0f", rps);
	} else {
		snprintf(buf, CELL_SIZE, "%.2fM", rps / 1e6);
	}
}

static void count_text(uint64_t n, char buf[CELL_SIZE])
{
	if (n < 1000000) {
		snprintf(buf, CELL_SIZE, "%llu", (unsigned long long)n);
	} else {
		snprintf(buf, CELL_SIZE, "%.4gM", (double)n / 1e6);
	}
}

static void time_text(int64_t ns, char buf[CELL_SIZE])
{
	char text[PS_UNITS_SIZE];

	snprintf(buf, CELL_SIZE, "%s",
		 ns < 0			  ? "-"
		 : ns == PS_HIST_INFINITE ? "never"
					  : ps_units_format_duration(ns, text));
}

static void cell_text(const struct ps_load_progress_tenant *t, enum column c, char buf[CELL_SIZE])
{
	switch (c) {
	case RATE:
		rate_text(t->rate_rps, buf);
		break;
	case GOOD:
		rate_text(t->goodput_rps, buf);
		break;
	case P50:
		time_text(t->p50_ns, buf);
		break;
	case P99:
		time_text(t->p99_ns, buf);
		break;
	case LAG:
		time_text(t->lag_p99_ns, buf);
		break;
	default:
		count_text(t->failed, buf);
		break;
	}
}

static bool is_bad(const struct ps_load_progress_tenant *t, enum column c)
{
	return (c == ERRORS && t->failed > 0) || (c == P50 && t->p50_ns == PS_HIST_INFINITE) ||
	       (c == P99 && t->p99_ns == PS_HIST_INFINITE);
}

/* The beginning of a text in at most `room` columns, no control characters; returns how many. */
static int put_cut(struct ps_strbuf *out, const char *name, int room)
{
	int used = 0;

	for (; *name && (used < room || ((unsigned char)*name & 0xC0) == 0x80); name++) {
		unsigned char c = (unsigned char)*name;

		ps_strbuf_putc(out, c < 0x20 || c == 0x7f ? '?' : (char)c);
		used += (c & 0xC0) != 0x80;
	}
	return used;
}

/* A name in exactly `room` columns: cut, or filled up with blanks. */
static void put_name(struct ps_strbuf *out, const char *name, int room)
{
	ps_strbuf_printf(out, "%*s", room - put_cut(out, name, room), "");
}

void ps_cli_load_live_line(struct ps_strbuf *out, const char *text, int width)
{
	(void)put_cut(out, text, width - 1);
	ps_strbuf_putc(out, '\n');
}

struct layout {
	int name, shown; /* columns of the name; number of other columns */
	bool color;
};

static struct layout lay_out(const struct ps_load_progress *p, int width, bool color)
{
	int longest = NAME_LEAST, room = width - 1;
	struct layout l = {.shown = (room - NAME_LEAST) / CELL, .color = color};

	for (size_t i = 0; i < p->tenant_len; i++) {
		const char *name = p->tenants[i].name;
		int n = (int)ps_conf_columns(name, strlen(name));

		longest = n > longest ? n : longest;
	}
	l.shown = l.shown > COLUMNS ? COLUMNS : l.shown;
	l.name = room - l.shown * CELL;
	l.name = l.name > longest ? longest : l.name;
	l.name = l.name > NAME_MOST ? NAME_MOST : l.name;
	return l;
}

static void put_head(struct ps_strbuf *out, const struct layout *l)
{
	put_name(out, "tenant", l->name);
	for (int c = 0; c < COLUMNS; c++) {
		if (columns[c].rank < l->shown) {
			ps_strbuf_printf(out, "%*s", CELL, columns[c].head);
		}
	}
	ps_strbuf_putc(out, '\n');
}

static void put_tenant(struct ps_strbuf *out, const struct layout *l,
		       const struct ps_load_progress_tenant *t)
{
	char text[CELL_SIZE];

	put_name(out, t->name, l->name);
	for (int c = 0; c < COLUMNS; c++) {
		bool red = l->color && is_bad(t, (enum column)c);

		if (columns[c].rank >= l->shown) {
			continue;
		}
		cell_text(t, (enum column)c, text);
		ps_strbuf_printf(out, "%s%*.*s%s", red ? "\033[31m" : "", CELL, CELL - 1, text,
				 red ? "\033[0m" : "");
	}
	ps_strbuf_putc(out, '\n');
}

static void put_bar(struct ps_strbuf *out, double share, int room)
{
	int full = room - 2 > BAR_MOST ? BAR_MOST : room - 2;
	int done = (int)(share * full);

	ps_strbuf_puts(out, "[");
	for (int i = 0; i < full; i++) {
		ps_strbuf_putc(out, i < done ? '#' : '.');
	}
	ps_strbuf_puts(out, "]");
}

/* "load: 28s left, 12 open, 3 waiting"; returns its length. */
static int time_left(const struct ps_load_progress *p, char line[LINE_SIZE])
{
	unsigned long long open = p->in_flight + p->waiting;
	int64_t left = p->total_ns - p->elapsed_ns;
	char eta[PS_UNITS_SIZE];
	int n = snprintf(line, LINE_SIZE, "load: %s left, %llu open",
			 ps_units_format_eta(left > 0 ? left : 0, eta), open);

	if (p->waiting > 0) {
		n += snprintf(line + n, LINE_SIZE - (size_t)n, ", %llu waiting",
			      (unsigned long long)p->waiting);
	}
	return n;
}

/* The run ends a moment after its last answer. */
static int last_answers(const struct ps_load_progress *p, char line[LINE_SIZE])
{
	unsigned long long open = p->in_flight + p->waiting;

	if (open == 0) {
		return snprintf(line, LINE_SIZE, "load: all answers are in");
	}
	if (open == 1) {
		return snprintf(line, LINE_SIZE, "load: waiting for the last answer");
	}
	return snprintf(line, LINE_SIZE, "load: waiting for the last %llu answers", open);
}

/* "load: 28s left, 12 open, 3 waiting  [####........]" */
static void put_time(struct ps_strbuf *out, const struct ps_load_progress *p, int width)
{
	char line[LINE_SIZE];
	double share = p->total_ns > 0 ? (double)p->elapsed_ns / (double)p->total_ns : 1;
	int n = p->draining ? last_answers(p, line) : time_left(p, line), room = width - 1;

	ps_strbuf_printf(out, "%.*s", room, line);
	if (!p->draining && room - n >= BAR_LEAST + 2) {
		ps_strbuf_puts(out, "  ");
		put_bar(out, share < 0 ? 0 : share > 1 ? 1 : share, room - n - 2);
	}
	ps_strbuf_putc(out, '\n');
}

int ps_cli_load_live_text(const struct ps_load_progress *p, int width, int height, bool color,
			  struct ps_strbuf *out)
{
	struct layout l = lay_out(p, width, color);
	size_t room = height > 4 ? (size_t)height - 3 : 1;
	size_t shown = p->tenant_len <= room ? p->tenant_len : room - 1;

	put_time(out, p, width);
	put_head(out, &l);
	for (size_t i = 0; i < shown; i++) {
		put_tenant(out, &l, &p->tenants[i]);
	}
	if (shown < p->tenant_len) {
		char text[LINE_SIZE];

		snprintf(text, sizeof(text), "and %zu more tenants", p->tenant_len - shown);
		ps_strbuf_printf(out, "%.*s\n", width - 1, text);
	}
	return 2 + (int)shown + (shown < p->tenant_len);
}
