#include "serve/bill.h"

#include "base/clock.h"
#include "base/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* --- instants --- */

/* Reads `digits` digits; false when there are none. */
static bool take_number(const char **at, int digits, int *ret)
{
	int v = 0;
	for (int i = 0; i < digits; i++, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		v = 10 * v + (**at - '0');
	}
	*ret = v;
	return true;
}

static bool take_date(const char **at, struct tm *tm)
{
	int year, month, day;
	if (!take_number(at, 4, &year) || *(*at)++ != '-' || !take_number(at, 2, &month) ||
	    *(*at)++ != '-' || !take_number(at, 2, &day))
		return false;
	*tm = (struct tm){.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
	return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

static bool take_time(const char **at, struct tm *tm)
{
	if (**at == '\0')
		return true;
	if (**at != 'T' && **at != ' ')
		return false;
	(*at)++;
	if (!take_number(at, 2, &tm->tm_hour) || *(*at)++ != ':' ||
	    !take_number(at, 2, &tm->tm_min))
		return false;
	if (**at == ':' && ((*at)++, !take_number(at, 2, &tm->tm_sec)))
		return false;
	if (**at == 'Z')
		(*at)++;
	return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 60;
}

enum ps_status ps_serve_bill_minute(const char *text, int64_t *ret_minute, struct ps_error *err)
{
	const char *at = text;
	struct tm tm;
	int64_t seconds;
	if (ps_units_parse_int(text, &seconds, NULL) != PS_OK) {
		if (!take_date(&at, &tm) || !take_time(&at, &tm) || *at != '\0') {
			ps_error_set(err, PS_EPARSE, "'%.60s' is no instant", text);
			ps_error_hint(err, "write 2026-11-22, 2026-11-22T17:05 or seconds since "
					   "1970, all UTC");
			return PS_EPARSE;
		}
		int day = tm.tm_mday;
		seconds = (int64_t)timegm(&tm);
		if (tm.tm_mday != day) /* the 31st of a month of 30 */
			return ps_error_set(err, PS_EPARSE, "there is no %.60s", text);
	}
	if (seconds < 0 || seconds % 60 != 0 || seconds > INT64_MAX / PS_NS_PER_SEC)
		return ps_error_set(err, PS_EINVAL, "'%.60s' is no whole minute", text);
	*ret_minute = seconds / 60;
	return PS_OK;
}

static const char *minute_text(int64_t minute, char buf[32])
{
	time_t at = (time_t)(minute * 60);
	struct tm tm;
	gmtime_r(&at, &tm);
	strftime(buf, 32, "%Y-%m-%dT%H:%MZ", &tm);
	return buf;
}

/* --- rows --- */

struct writer {
	const struct ps_state_query *q;
	enum ps_serve_bill_form form;
	struct ps_strbuf *out;
	int n, max_rows;
	struct ps_state_usage sum;
	bool too_many, overflow;
};

static void add(struct writer *w, int64_t *to, int64_t v)
{
	w->overflow |= __builtin_add_overflow(*to, v, to);
}

static void add_row(struct writer *w, const struct ps_state_usage *u)
{
	add(w, &w->sum.requests, u->requests);
	add(w, &w->sum.failed, u->failed);
	add(w, &w->sum.inferences, u->inferences);
	add(w, &w->sum.compute_ns, u->compute_ns);
	add(w, &w->sum.resident_byte_s, u->resident_byte_s);
}

/* A name as a JSON string; names of tenants and models have no control characters. */
static void put_string(struct ps_strbuf *out, const char *text)
{
	ps_strbuf_putc(out, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			ps_strbuf_putc(out, '\\');
		ps_strbuf_putc(out, (unsigned char)*text < 0x20 ? '?' : *text);
	}
	ps_strbuf_putc(out, '"');
}

static void put_numbers_json(struct ps_strbuf *out, const struct ps_state_usage *u)
{
	ps_strbuf_printf(out,
			 "\"requests\":%" PRId64 ",\"failed\":%" PRId64 ",\"inferences\":%" PRId64
			 ",\"compute_ns\":%" PRId64 ",\"resident_byte_s\":%" PRId64,
			 u->requests, u->failed, u->inferences, u->compute_ns, u->resident_byte_s);
}

static void put_json(struct writer *w, const struct ps_state_usage *u)
{
	char minute[32];
	ps_strbuf_puts(w->out, w->n ? "," : "");
	ps_strbuf_puts(w->out, "{\"tenant\":");
	put_string(w->out, u->tenant);
	ps_strbuf_puts(w->out, ",\"model\":");
	put_string(w->out, u->model);
	ps_strbuf_printf(w->out, ",\"version\":%" PRId64 ",", u->version);
	if (w->q->by_minute)
		ps_strbuf_printf(w->out, "\"minute\":\"%s\",", minute_text(u->minute, minute));
	put_numbers_json(w->out, u);
	ps_strbuf_putc(w->out, '}');
}

static void put_csv(struct writer *w, const struct ps_state_usage *u)
{
	char minute[32];
	ps_strbuf_printf(w->out, "%s,%s,%" PRId64, u->tenant, u->model, u->version);
	if (w->q->by_minute)
		ps_strbuf_printf(w->out, ",%s", minute_text(u->minute, minute));
	ps_strbuf_printf(w->out, ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "\n",
			 u->requests, u->failed, u->inferences, u->compute_ns, u->resident_byte_s);
}

static void put_text(struct writer *w, const struct ps_state_usage *u)
{
	char minute[32] = "";
	if (w->q->by_minute)
		minute_text(u->minute, minute);
	ps_strbuf_printf(w->out,
			 "%-20s %-24s %7" PRId64 " %-18s %12" PRId64 " %9" PRId64 " %12" PRId64
			 " %14.3f %16.3f\n",
			 u->tenant, u->model, u->version, minute, u->requests, u->failed,
			 u->inferences, (double)u->compute_ns * 1e-9,
			 (double)u->resident_byte_s / (1073741824.0 * 3600));
}

static bool on_row(void *ctx, const struct ps_state_usage *u)
{
	struct writer *w = ctx;
	if (w->n == w->max_rows) {
		w->too_many = true;
		return false;
	}
	if (w->form == PS_SERVE_BILL_JSON)
		put_json(w, u);
	else if (w->form == PS_SERVE_BILL_CSV)
		put_csv(w, u);
	else
		put_text(w, u);
	add_row(w, u);
	w->n++;
	return true;
}

/* --- around the rows --- */

static void put_head(struct writer *w)
{
	if (w->form == PS_SERVE_BILL_JSON)
		ps_strbuf_puts(w->out, "{\"rows\":[");
	else if (w->form == PS_SERVE_BILL_CSV)
		ps_strbuf_printf(w->out,
				 "tenant,model,version%s,requests,failed,inferences,compute_ns,"
				 "resident_byte_s\n",
				 w->q->by_minute ? ",minute" : "");
	else
		ps_strbuf_printf(w->out, "%-20s %-24s %7s %-18s %12s %9s %12s %14s %16s\n",
				 "TENANT", "MODEL", "VERSION", w->q->by_minute ? "MINUTE" : "",
				 "REQUESTS", "FAILED", "INFERENCES", "COMPUTE CPU-s",
				 "MEMORY GiB-h");
}

/* Whether the query asks for minutes that are not kept any more. */
static bool asks_for_deleted(const struct writer *w, const struct ps_state_loss *loss)
{
	return loss->kept_minute > w->q->from_minute;
}

static void put_end_json(struct writer *w, const struct ps_state_loss *loss)
{
	char written[PS_CLOCK_ISO_SIZE] = "", minute[32];
	if (loss->last_write_ns)
		ps_clock_wall_iso(loss->last_write_ns, written);
	ps_strbuf_puts(w->out, "],\"total\":{");
	put_numbers_json(w->out, &w->sum);
	ps_strbuf_printf(w->out,
			 "},\"written\":\"%s\",\"runs\":%d,\"runs_without_end\":%d,"
			 "\"possible_loss_ns\":%" PRId64 ",\"kept_from\":\"%s\"}",
			 written, loss->runs, loss->killed, loss->open_ns,
			 loss->kept_minute ? minute_text(loss->kept_minute, minute) : "");
}

static void put_end_text(struct writer *w, const struct ps_state_loss *loss)
{
	char written[PS_CLOCK_ISO_SIZE] = "never", minute[32];
	w->sum.tenant = "total";
	w->sum.model = "";
	if (loss->last_write_ns)
		ps_clock_wall_iso(loss->last_write_ns, written);
	ps_strbuf_printf(w->out,
			 "total: %" PRId64 " requests, %" PRId64 " failed, %" PRId64
			 " inferences, %.3f CPU-s, %.3f GiB-h\n",
			 w->sum.requests, w->sum.failed, w->sum.inferences,
			 (double)w->sum.compute_ns * 1e-9,
			 (double)w->sum.resident_byte_s / (1073741824.0 * 3600));
	if (asks_for_deleted(w, loss))
		ps_strbuf_printf(w->out, "minutes before %s were deleted (state_keep)\n",
				 minute_text(loss->kept_minute, minute));
	ps_strbuf_printf(w->out, "last written %s; ", written);
	if (loss->killed == 0)
		ps_strbuf_puts(w->out, "every server run has ended in good order: nothing is "
				       "missing\n");
	else
		ps_strbuf_printf(w->out,
				 "%d of %d server runs go on or were killed: of each at most the "
				 "last %d s are missing\n",
				 loss->killed, loss->runs,
				 (int)(PS_STATE_FLUSH_NS / PS_NS_PER_SEC));
}

enum ps_status ps_serve_bill_write(struct ps_state *s, const struct ps_state_query *q,
				   enum ps_serve_bill_form form, int max_rows,
				   struct ps_strbuf *out, struct ps_error *err)
{
	struct writer w = {.q = q, .form = form, .out = out, .max_rows = max_rows};
	struct ps_state_loss loss;
	put_head(&w);
	enum ps_status status = ps_state_read(s, q, on_row, &w, err);
	if (status == PS_OK && w.too_many)
		status = ps_error_set(err, PS_ETOOBIG,
				      "more than %d rows: ask for a shorter time or one tenant",
				      max_rows);
	if (status == PS_OK && w.overflow)
		status = ps_error_set(err, PS_ECORRUPT, "the total does not fit 64 bits");
	if (status == PS_OK)
		status = ps_state_loss(s, q, &loss, err);
	if (status != PS_OK)
		return status;
	if (form == PS_SERVE_BILL_JSON)
		put_end_json(&w, &loss);
	else if (form == PS_SERVE_BILL_TEXT)
		put_end_text(&w, &loss);
	return ps_strbuf_status(out) == PS_OK ? PS_OK
					      : ps_error_set(err, PS_ENOMEM, "out of memory");
}
