/* format.c - figures as short texts, the same in every form of the report. */
#include "report_internal.h"

#include <math.h>

const char *ps_report_number(double v, char buf[PS_REPORT_CELL_SIZE])
{
	double a = fabs(v);

	if (isnan(v))
		snprintf(buf, PS_REPORT_CELL_SIZE, "-");
	else if (isinf(v))
		snprintf(buf, PS_REPORT_CELL_SIZE, v > 0 ? "infinite" : "-infinite");
	else if (v == round(v) && a < 1e6)
		snprintf(buf, PS_REPORT_CELL_SIZE, "%.0f", v);
	else if (a >= 99.95)
		snprintf(buf, PS_REPORT_CELL_SIZE, "%.0f", v);
	else if (a >= 9.995)
		snprintf(buf, PS_REPORT_CELL_SIZE, "%.1f", v);
	else if (a >= 0.0995)
		snprintf(buf, PS_REPORT_CELL_SIZE, "%.2f", v);
	else
		snprintf(buf, PS_REPORT_CELL_SIZE, "%.3g", v);
	return buf;
}

/* No measurement bounds what is open. */
static const char *end(double v, bool open, char buf[PS_REPORT_CELL_SIZE])
{
	if (!open && !isinf(v))
		return ps_report_number(v, buf);
	snprintf(buf, PS_REPORT_CELL_SIZE, "open");
	return buf;
}

const char *ps_report_interval(const struct ps_stats_interval *i, bool open_below, bool open_above,
			       char buf[PS_REPORT_CELL_SIZE])
{
	char v[PS_REPORT_CELL_SIZE], lo[PS_REPORT_CELL_SIZE], hi[PS_REPORT_CELL_SIZE];

	ps_report_number(i->value, v);
	if (isnan(i->value) || !i->has_interval) {
		snprintf(buf, PS_REPORT_CELL_SIZE, "%s", v);
		return buf;
	}
	snprintf(buf, PS_REPORT_CELL_SIZE, "%.20s [%.20s, %.20s]", v, end(i->lo, open_below, lo),
		 end(i->hi, open_above, hi));
	return buf;
}

/* In per cent with one decimal, and never "-0.0". */
static double percent(double v)
{
	return round(1000 * v) / 10 + 0.0;
}

static const char *percent_end(double v, char buf[PS_REPORT_CELL_SIZE])
{
	if (isinf(v) || v >= 1)
		snprintf(buf, PS_REPORT_CELL_SIZE, "open");
	else
		snprintf(buf, PS_REPORT_CELL_SIZE, "%.1f", percent(v));
	return buf;
}

const char *ps_report_percent(const struct ps_stats_interval *i, char buf[PS_REPORT_CELL_SIZE])
{
	char lo[PS_REPORT_CELL_SIZE], hi[PS_REPORT_CELL_SIZE];

	if (isnan(i->value))
		snprintf(buf, PS_REPORT_CELL_SIZE, "-");
	else if (!i->has_interval)
		snprintf(buf, PS_REPORT_CELL_SIZE, "%.1f %%", percent(i->value));
	else
		snprintf(buf, PS_REPORT_CELL_SIZE, "%.1f %% [%.20s, %.20s]", percent(i->value),
			 percent_end(i->lo, lo), percent_end(i->hi, hi));
	return buf;
}

const char *ps_report_ms(int64_t ns, char buf[PS_REPORT_CELL_SIZE])
{
	if (ns == PS_HIST_INFINITE)
		snprintf(buf, PS_REPORT_CELL_SIZE, "lost");
	else
		ps_report_number((double)ns / 1e6, buf);
	return buf;
}

const char *ps_report_quantile(const struct ps_stats_time_quantile *q,
			       char buf[PS_REPORT_CELL_SIZE])
{
	char v[PS_REPORT_CELL_SIZE], lo[PS_REPORT_CELL_SIZE], hi[PS_REPORT_CELL_SIZE];

	ps_report_ms(q->value_ns, v);
	if (q->has_interval)
		snprintf(buf, PS_REPORT_CELL_SIZE, "%.20s [%.20s, %.20s]", v,
			 ps_report_ms(q->lo_ns, lo), ps_report_ms(q->hi_ns, hi));
	else
		snprintf(buf, PS_REPORT_CELL_SIZE, "%.20s, needs %llu more", v,
			 (unsigned long long)q->needs_more);
	return buf;
}

const char *ps_report_price(const struct ps_report_answer *a, char buf[PS_REPORT_PRICE_SIZE])
{
	const struct ps_store_price *p = &a->campaign->price;

	if (!a->has_price) {
		snprintf(buf, PS_REPORT_PRICE_SIZE, "no price was named");
		return buf;
	}
	snprintf(buf, PS_REPORT_PRICE_SIZE, "%.60s (%.40s %.40s, $%g/h, as of %.20s)",
		 p->instance_type, p->provider ? p->provider : "", p->region ? p->region : "",
		 p->usd_per_hour, p->source_date ? p->source_date : "an unknown date");
	return buf;
}
