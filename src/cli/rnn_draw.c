/* rnn_draw.c - an exploration as a drawing: latency against units, and against memory. */
#include "base/units.h"
#include "cli/rnn_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define WIDTH	 1060
#define HEIGHT	 534
#define TOP	 96
#define BOTTOM	 456
#define LEFT	 80 /* of the first panel */
#define PANEL	 420
#define GAP	 90
#define CELL	 3  /* pixels: of points in the same cell one is drawn */
#define MOST_ROW 40 /* of the page's table, per precision */

/* Three colours that stay apart for most eyes. */
static const char *const colours[PS_SPATIAL_PRECISIONS] = {"#0072b2", "#d55e00", "#009e73"};

struct axis {
	double from, to;  /* logarithms */
	double at, until; /* pixels */
};

struct panel {
	const struct ps_cli_rnn_explored *e;
	struct axis x, y;
	bool memory; /* x is memory; else units */
	bool bytes;  /* memory in bytes */
};

static double x_of(const struct panel *p, const struct ps_spatial_cost *c)
{
	if (!p->memory)
		return (double)c->units;
	return p->bytes ? (double)c->weight_bytes : (double)c->memories;
}

static void widen(struct axis *a, double v)
{
	a->from = fmin(a->from, log10(v));
	a->to = fmax(a->to, log10(v));
}

static double place(const struct axis *a, double v)
{
	return a->at + (log10(v) - a->from) / (a->to - a->from) * (a->until - a->at);
}

static void margin(struct axis *a)
{
	double more = fmax(0.05, 0.04 * (a->to - a->from));

	a->from -= more;
	a->to += more;
}

static struct panel panel_of(const struct ps_cli_rnn_explored *e, bool memory)
{
	double at = LEFT + (memory ? PANEL + GAP : 0);
	struct panel p = {.e = e,
			  .x = {INFINITY, -INFINITY, at, at + PANEL},
			  .y = {INFINITY, -INFINITY, BOTTOM, TOP},
			  .memory = memory,
			  .bytes = e->machine.kind == PS_SPATIAL_CORES};

	for (size_t i = 0; i < e->points.len; i++) {
		widen(&p.x, x_of(&p, &e->points.items[i].cost));
		widen(&p.y, e->points.items[i].cost.latency_s);
	}
	margin(&p.x);
	margin(&p.y);
	return p;
}

/* ---- text ---- */

static void put_escaped(struct ps_strbuf *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '<')
			ps_strbuf_puts(out, "&lt;");
		else if (*s == '&')
			ps_strbuf_puts(out, "&amp;");
		else if (*s == '"')
			ps_strbuf_puts(out, "&quot;");
		else
			ps_strbuf_putc(out, (unsigned char)*s < 0x20 ? ' ' : *s);
	}
}

static void put_text(struct ps_strbuf *out, double x, double y, const char *anchor,
		     const char *class, const char *s)
{
	ps_strbuf_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y,
			 anchor, class);
	put_escaped(out, s);
	ps_strbuf_puts(out, "</text>\n");
}

/* ---- axes ---- */

static void label(const struct panel *p, bool is_x, double v, char buf[PS_UNITS_SIZE])
{
	if (!is_x)
		ps_units_format_duration((int64_t)(v * 1e9 + 0.5), buf);
	else if (p->memory && p->bytes)
		ps_units_format_bytes((int64_t)v, buf);
	else
		snprintf(buf, PS_UNITS_SIZE, "%.0f", v);
}

static void tick(const struct panel *p, bool is_x, double v, struct ps_strbuf *out)
{
	char text[PS_UNITS_SIZE];
	double at = place(is_x ? &p->x : &p->y, v);

	label(p, is_x, v, text);
	if (is_x) {
		ps_strbuf_printf(out, "<path class=\"grid\" d=\"M%.1f %d V%d\"/>\n", at, TOP,
				 BOTTOM);
		put_text(out, at, BOTTOM + 18, "middle", "tick", text);
	} else {
		ps_strbuf_printf(out, "<path class=\"grid\" d=\"M%.1f %.1f H%.1f\"/>\n", p->x.at,
				 at, p->x.until);
		put_text(out, p->x.at - 8, at + 4, "end", "tick", text);
	}
}

/* 1, 2 and 5 times powers of ten (for bytes: powers of two), fewer where they would crowd and more
 * where they would be lonely. */
static void ticks(const struct panel *p, bool is_x, struct ps_strbuf *out)
{
	const struct axis *a = is_x ? &p->x : &p->y;
	bool binary = is_x && p->memory && p->bytes;
	double decades = a->to - a->from, base = binary ? log10(2) : 1;
	int apart = binary ? (int)ceil(decades / base / 6) : 1;

	for (int k = (int)floor(a->from / base); k <= (int)ceil(a->to / base); k++) {
		for (int step = 0; step < 6; step++) {
			static const double steps[] = {1, 2, 5, 1.5, 3, 7};
			double v = binary ? exp2(k) : steps[step] * pow(10, k);
			bool crowds =
				binary ? step > 0 || k % apart
				       : (step > 0 && decades > 2.2) || (step > 2 && decades > 0.9);
			if (!crowds && log10(v) >= a->from && log10(v) <= a->to)
				tick(p, is_x, v, out);
		}
	}
}

static void frame(const struct panel *p, struct ps_strbuf *out)
{
	const char *what = !p->memory ? p->bytes ? "threads" : "compute units"
			   : p->bytes ? "bytes of weights"
				      : "memory units";

	ticks(p, true, out);
	ticks(p, false, out);
	ps_strbuf_printf(out,
			 "<rect class=\"frame\" x=\"%.1f\" y=\"%d\" width=\"%d\""
			 " height=\"%d\"/>\n",
			 p->x.at, TOP, PANEL, BOTTOM - TOP);
	put_text(out, (p->x.at + p->x.until) / 2, BOTTOM + 42, "middle", "axis", what);
	put_text(out, p->x.at, TOP - 10, "start", "axis", "latency of all steps");
}

/* ---- points ---- */

/* Whether the cell was free; it is taken then. */
static bool take(unsigned char *taken, double x, double y)
{
	size_t i = (size_t)(y / CELL) * (WIDTH / CELL) + (size_t)(x / CELL);
	bool free_before = !(taken[i / 8] >> i % 8 & 1);

	taken[i / 8] = (unsigned char)(taken[i / 8] | 1U << i % 8);
	return free_before;
}

static void cloud(const struct panel *p, enum ps_spatial_precision which, struct ps_strbuf *out)
{
	unsigned char taken[(WIDTH / CELL + 1) * (HEIGHT / CELL + 1) / 8 + 1] = {};
	const struct ps_spatial_points *points = &p->e->points;

	ps_strbuf_printf(out, "<g fill=\"%s\" fill-opacity=\"0.22\">\n", colours[which]);
	for (size_t i = 0; i < points->len; i++) {
		const struct ps_spatial_point *point = &points->items[i];
		double x = place(&p->x, x_of(p, &point->cost));
		double y = place(&p->y, point->cost.latency_s);
		if (point->map.precision == which && !point->front && take(taken, x, y))
			ps_strbuf_printf(out, "<circle cx=\"%.0f\" cy=\"%.0f\" r=\"1.6\"/>\n", x,
					 y);
	}
	ps_strbuf_puts(out, "</g>\n");
}

static void front_point(const struct panel *p, const struct ps_spatial_point *point,
			struct ps_strbuf *out)
{
	char time[PS_UNITS_SIZE], size[PS_UNITS_SIZE];
	const struct ps_spatial_cost *c = &point->cost;

	ps_strbuf_printf(out,
			 "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.4\"><title>%s: %s, %lld %s, %s of "
			 "weights</title></circle>\n",
			 place(&p->x, x_of(p, c)), place(&p->y, c->latency_s),
			 ps_spatial_precision_name(point->map.precision),
			 ps_units_format_duration((int64_t)(c->latency_s * 1e9 + 0.5), time),
			 (long long)c->units, p->bytes ? "threads" : "compute units",
			 ps_units_format_bytes(c->weight_bytes, size));
}

/* The least latency for so much of what x shows: points come by latency, so each that needs less
 * than all before it is a corner. */
static void staircase(const struct panel *p, enum ps_spatial_precision which, struct ps_strbuf *out)
{
	const struct ps_spatial_points *points = &p->e->points;
	double least = INFINITY;

	ps_strbuf_printf(out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" d=\"",
			 colours[which]);
	for (size_t i = 0; i < points->len; i++) {
		const struct ps_spatial_point *point = &points->items[i];
		double x = x_of(p, &point->cost), y = place(&p->y, point->cost.latency_s);
		if (point->map.precision != which || x >= least)
			continue;
		if (least > 1e300)
			ps_strbuf_printf(out, "M%.1f %.1f H%.1f", p->x.until, y, place(&p->x, x));
		else
			ps_strbuf_printf(out, " V%.1f H%.1f", y, place(&p->x, x));
		least = x;
	}
	ps_strbuf_puts(out, "\"/>\n");
}

static void front(const struct panel *p, enum ps_spatial_precision which, struct ps_strbuf *out)
{
	const struct ps_spatial_points *points = &p->e->points;

	staircase(p, which, out);
	ps_strbuf_printf(out, "<g fill=\"%s\" stroke=\"#fff\" stroke-width=\"0.7\">\n",
			 colours[which]);
	for (size_t i = 0; i < points->len; i++) {
		if (points->items[i].map.precision == which && points->items[i].front)
			front_point(p, &points->items[i], out);
	}
	ps_strbuf_puts(out, "</g>\n");
}

static bool is_there(const struct ps_cli_rnn_explored *e, int precision)
{
	size_t all, on_front;

	ps_cli_rnn_count(&e->points, (enum ps_spatial_precision)precision, &all, &on_front);
	return all > 0;
}

static void draw_panel(const struct ps_cli_rnn_explored *e, bool memory, struct ps_strbuf *out)
{
	struct panel p = panel_of(e, memory);

	frame(&p, out);
	for (int i = 0; i < PS_SPATIAL_PRECISIONS; i++) {
		if (is_there(e, i))
			cloud(&p, (enum ps_spatial_precision)i, out);
	}
	for (int i = 0; i < PS_SPATIAL_PRECISIONS; i++) {
		if (is_there(e, i))
			front(&p, (enum ps_spatial_precision)i, out);
	}
}

static void legend(const struct ps_cli_rnn_explored *e, struct ps_strbuf *out)
{
	double x = LEFT;

	for (int i = 0; i < PS_SPATIAL_PRECISIONS; i++) {
		if (!is_there(e, i))
			continue;
		ps_strbuf_printf(out, "<circle cx=\"%.0f\" cy=\"%d\" r=\"4\" fill=\"%s\"/>\n",
				 x + 4, HEIGHT - 10, colours[i]);
		put_text(out, x + 14, HEIGHT - 6, "start", "tick",
			 ps_spatial_precision_name((enum ps_spatial_precision)i));
		x += 90;
	}
	put_text(out, x + 10, HEIGHT - 6, "start", "tick",
		 "large: on the front (latency, units and memory together); small: all other "
		 "mappings; line: least latency up to there");
}

static void title(const struct ps_cli_rnn_explored *e, struct ps_strbuf *out)
{
	struct ps_strbuf text;

	ps_strbuf_init(&text);
	ps_cli_rnn_layer_text(&e->layer, &text);
	if (ps_strbuf_status(&text) == PS_OK)
		put_text(out, LEFT, 30, "start", "title", text.data);
	ps_strbuf_clear(&text);
	ps_strbuf_printf(&text, "on %s: %zu mappings tried, %zu fit", e->machine.name,
			 e->points.tried, e->points.len);
	if (ps_strbuf_status(&text) == PS_OK)
		put_text(out, LEFT, 54, "start", "axis", text.data);
	ps_strbuf_fini(&text);
}

void ps_cli_rnn_svg(const struct ps_cli_rnn_explored *e, struct ps_strbuf *out)
{
	ps_strbuf_printf(out,
			 "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
			 "width=\"%d\" height=\"%d\" role=\"img\">\n"
			 "<style>text{font-family:sans-serif;fill:#222}.title{font-size:17px;"
			 "font-weight:600}.axis{font-size:13px}.tick{font-size:12px;fill:#555}"
			 ".grid{stroke:#e4e4e4}.frame{fill:none;stroke:#888}</style>\n"
			 "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
			 WIDTH, HEIGHT, WIDTH, HEIGHT, WIDTH, HEIGHT);
	title(e, out);
	draw_panel(e, false, out);
	draw_panel(e, true, out);
	legend(e, out);
	ps_strbuf_puts(out, "</svg>\n");
}

/* ---- page ---- */

static void page_row(const struct ps_spatial_point *p, bool cores, struct ps_strbuf *out)
{
	char time[PS_UNITS_SIZE], step[PS_UNITS_SIZE], size[PS_UNITS_SIZE];
	char memories[40] = "";
	const struct ps_spatial_cost *c = &p->cost;

	if (!cores)
		snprintf(memories, sizeof memories, "<td>%lld</td>", (long long)c->memories);
	ps_strbuf_printf(out,
			 "<tr><td>%s</td><td>%lld</td>%s<td>%s</td><td>%lld</td>"
			 "<td>%.1f %%</td><td>%s</td><td>%s</td><td>%.4g</td><td>%.4g</td></tr>\n",
			 ps_spatial_precision_name(p->map.precision), (long long)c->units, memories,
			 ps_units_format_bytes(c->weight_bytes, size),
			 (long long)(cores ? p->map.rows : p->map.reduce * p->map.width),
			 100 * c->fragmentation,
			 ps_units_format_duration((int64_t)(c->step_s * 1e9 + 0.5), step),
			 ps_units_format_duration((int64_t)(c->latency_s * 1e9 + 0.5), time),
			 c->ops / c->latency_s / 1e9, c->recurrent_ops / c->latency_s / 1e9);
}

static void page_table(const struct ps_cli_rnn_explored *e, struct ps_strbuf *out)
{
	bool cores = e->machine.kind == PS_SPATIAL_CORES;
	int shown[PS_SPATIAL_PRECISIONS] = {};

	ps_strbuf_printf(out,
			 "<table><tr><th>precision</th><th>%s</th>"
			 "<th>weights</th><th>%s</th><th>padding</th><th>step</th><th>latency</th>"
			 "<th>Gop/s</th><th>of h*R</th></tr>\n",
			 cores ? "threads" : "compute units</th><th>memory units",
			 cores ? "rows of x*W" : "products of a sum per cycle");
	for (size_t i = 0; i < e->points.len; i++) {
		const struct ps_spatial_point *p = &e->points.items[i];
		if (p->front && shown[p->map.precision]++ < MOST_ROW)
			page_row(p, cores, out);
	}
	ps_strbuf_puts(out, "</table>\n");
}

void ps_cli_rnn_html(const struct ps_cli_rnn_explored *e, struct ps_strbuf *out)
{
	ps_strbuf_puts(out,
		       "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
		       "<meta name=\"viewport\" content=\"width=device-width\">\n"
		       "<title>perseus rnn explore</title>\n"
		       "<style>body{font:15px sans-serif;margin:24px;color:#222;background:#fff}"
		       "svg{max-width:100%;height:auto}table{border-collapse:collapse;margin-top:"
		       "20px}th,td{padding:3px "
		       "12px;text-align:right;white-space:nowrap;border-bottom:1px solid #ddd}"
		       "th:first-child,td:first-child{text-align:left}p{max-width:60em}</style>"
		       "</head><body>\n");
	ps_cli_rnn_svg(e, out);
	ps_strbuf_puts(out,
		       "<h2>The front</h2>\n<p>Mappings that no other beats in latency, units "
		       "and memory together, the fastest first. Gop/s: operations of x * W and "
		       "h * R per second of latency, 2 per product; of h*R: those of h * R "
		       "alone.</p>\n");
	page_table(e, out);
	ps_strbuf_puts(out, "</body></html>\n");
}
