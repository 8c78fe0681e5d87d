#include "metrics/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const type_names[] = {"counter", "gauge", "histogram", "untyped"};

static void put_help(struct ps_strbuf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\')
			ps_strbuf_puts(out, "\\\\");
		else if (*text == '\n')
			ps_strbuf_puts(out, "\\n");
		else
			ps_strbuf_putc(out, *text);
	}
}

void ps_metrics_begin(struct ps_metrics_writer *w, const struct ps_metrics_family *family)
{
	w->family = family;
	ps_strbuf_printf(w->out, "# HELP %s ", family->name);
	put_help(w->out, family->help);
	ps_strbuf_printf(w->out, "\n# TYPE %s %s\n", family->name, type_names[family->type]);
}

static void put_value(struct ps_strbuf *out, const char *text)
{
	const char *from = text;
	for (; *text; text++) {
		if (*text != '\\' && *text != '"' && *text != '\n')
			continue;
		ps_strbuf_append(out, from, (size_t)(text - from));
		ps_strbuf_putc(out, '\\');
		ps_strbuf_putc(out, *text == '\n' ? 'n' : *text);
		from = text + 1;
	}
	ps_strbuf_append(out, from, (size_t)(text - from));
}

/* name[suffix]{labels...,le="bound"} and the blank behind; `le` NULL: no such label. */
static void put_name(struct ps_metrics_writer *w, const char *suffix,
		     const struct ps_metrics_label *labels, size_t n, const char *le)
{
	ps_strbuf_puts(w->out, w->family->name);
	ps_strbuf_puts(w->out, suffix);
	for (size_t i = 0; i < n; i++) {
		ps_strbuf_puts(w->out, i == 0 ? "{" : ",");
		ps_strbuf_puts(w->out, labels[i].name);
		ps_strbuf_puts(w->out, "=\"");
		put_value(w->out, labels[i].value);
		ps_strbuf_putc(w->out, '"');
	}
	if (le)
		ps_strbuf_printf(w->out, "%sle=\"%s\"", n == 0 ? "{" : ",", le);
	if (n > 0 || le)
		ps_strbuf_putc(w->out, '}');
	ps_strbuf_putc(w->out, ' ');
}

/* The shortest text that reads back as the same number. */
static void put_real(struct ps_strbuf *out, double v)
{
	char text[32];
	if (isnan(v)) {
		ps_strbuf_puts(out, "NaN");
		return;
	}
	if (isinf(v)) {
		ps_strbuf_puts(out, v > 0 ? "+Inf" : "-Inf");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		double back;
		snprintf(text, sizeof text, "%.*g", digits, v);
		if (sscanf(text, "%lf", &back) == 1 && back == v)
			break;
	}
	ps_strbuf_puts(out, text);
}

void ps_metrics_int(struct ps_metrics_writer *w, const struct ps_metrics_label *labels, size_t n,
		    int64_t value)
{
	put_name(w, "", labels, n, NULL);
	ps_strbuf_printf(w->out, "%" PRId64 "\n", value);
}

void ps_metrics_real(struct ps_metrics_writer *w, const struct ps_metrics_label *labels, size_t n,
		     double value)
{
	put_name(w, "", labels, n, NULL);
	put_real(w->out, value);
	ps_strbuf_putc(w->out, '\n');
}

void ps_metrics_hist(struct ps_metrics_writer *w, const struct ps_metrics_label *labels, size_t n,
		     const struct ps_metrics_hist *h)
{
	uint64_t sum = 0;
	char le[32];
	for (int i = 0; i < PS_METRICS_BOUNDS; i++) {
		snprintf(le, sizeof le, "%.9g", (double)ps_metrics_bounds_ns[i] * 1e-9);
		sum += h->counts[i];
		put_name(w, "_bucket", labels, n, le);
		ps_strbuf_printf(w->out, "%" PRIu64 "\n", sum);
	}
	put_name(w, "_bucket", labels, n, "+Inf");
	ps_strbuf_printf(w->out, "%" PRIu64 "\n", h->count);
	put_name(w, "_sum", labels, n, NULL);
	put_real(w->out, (double)h->sum_ns * 1e-9);
	ps_strbuf_putc(w->out, '\n');
	put_name(w, "_count", labels, n, NULL);
	ps_strbuf_printf(w->out, "%" PRIu64 "\n", h->count);
}

/* --- a table's mistakes --- */

static bool is_name(const char *name)
{
	const char *good = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:0123456789";
	return *name && !(*name >= '0' && *name <= '9') && name[strspn(name, good)] == '\0';
}

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);
	return n >= m && strcmp(text + n - m, end) == 0;
}

static enum ps_status broken(const struct ps_metrics_family *f, const char *what,
			     struct ps_error *err)
{
	ps_error_set(err, PS_EINTERNAL, "%s", what);
	ps_error_where(err, "metric %s", f->name);
	return PS_EINTERNAL;
}

enum ps_status ps_metrics_check_families(const struct ps_metrics_family *families,
					 struct ps_error *err)
{
	for (const struct ps_metrics_family *f = families; f->name; f++) {
		bool total = ends_in(f->name, "_total");
		if (!is_name(f->name))
			return broken(f, "not a name", err);
		if (!f->help || !*f->help)
			return broken(f, "no help", err);
		if (f->type > PS_METRICS_HISTOGRAM)
			return broken(f, "no type", err);
		if (strncmp(f->name, "nv_", 3) != 0 && total != (f->type == PS_METRICS_COUNTER))
			return broken(f, "counters, and only they, end in _total", err);
		for (const struct ps_metrics_family *g = families; g < f; g++)
			if (strcmp(f->name, g->name) == 0)
				return broken(f, "there twice", err);
	}
	return PS_OK;
}
