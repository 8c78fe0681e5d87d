#include "trial/sweep.h"

#include "base/units.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_ANSWERED 0.95
#define LEAST_GAIN     1.02
#define TREND_LEVEL    0.01
#define TREND_SHARE    0.5
#define TEXT_MAX       1024 /* bytes of a list */

static enum ps_status bad(struct ps_error *err, const char *text, const char *why)
{
	(void)ps_error_set(err, PS_EPARSE, "'%.80s' is no sweep: %s", text, why);
	ps_error_hint(err, "write 10,20,40 or 10..200:8 (8 points from 10 to 200); at most %d",
		      PS_TRIAL_MAX_SWEEP);
	return PS_EPARSE;
}

/* "10..200:8": a copy that may be cut into its three numbers. */
static bool parse_range(char *text, struct ps_trial_sweep *s)
{
	char *dots = strstr(text, ".."), *colon = strchr(dots, ':');
	double from, to;
	int64_t n;
	if (!colon)
		return false;
	*dots = *colon = '\0';
	if (ps_units_parse_double(text, &from, NULL) != PS_OK ||
	    ps_units_parse_double(dots + 2, &to, NULL) != PS_OK ||
	    ps_units_parse_int(colon + 1, &n, NULL) != PS_OK || n < 2 || n > PS_TRIAL_MAX_SWEEP)
		return false;
	for (int i = 0; i < n; i++)
		s->points[i] = from + (to - from) * i / (double)(n - 1);
	s->len = (int)n;
	return true;
}

static bool parse_list(char *text, struct ps_trial_sweep *s)
{
	char *next = text;
	s->len = 0;
	while (next) {
		char *item = next, *comma = strchr(item, ',');
		next = comma ? comma + 1 : NULL;
		if (comma)
			*comma = '\0';
		if (s->len == PS_TRIAL_MAX_SWEEP ||
		    ps_units_parse_double(item, &s->points[s->len++], NULL) != PS_OK)
			return false;
	}
	return s->len > 0;
}

static void round_points(struct ps_trial_sweep *s)
{
	int n = 0;
	for (int i = 0; i < s->len; i++) {
		double x = round(s->points[i]);
		if (n == 0 || x != s->points[n - 1])
			s->points[n++] = x;
	}
	s->len = n;
}

enum ps_status ps_trial_sweep_parse(const char *text, double most, bool whole,
				    struct ps_trial_sweep *ret_sweep, struct ps_error *err)
{
	struct ps_trial_sweep s = {.len = 0};
	char copy[TEXT_MAX];
	size_t len = strlen(text);
	if (len >= sizeof(copy))
		return bad(err, text, "it is too long");
	memcpy(copy, text, len + 1);
	if (!(strstr(copy, "..") ? parse_range(copy, &s) : parse_list(copy, &s)))
		return bad(err, text, "it is neither a list nor a range");
	if (whole)
		round_points(&s);
	for (int i = 0; i < s.len; i++) {
		if (!(s.points[i] > 0 && s.points[i] <= most))
			return bad(err, text, "a point is out of range");
		if (i > 0 && s.points[i] <= s.points[i - 1])
			return bad(err, text, "the points do not rise");
	}
	*ret_sweep = s;
	return PS_OK;
}

static bool rate_saturated(const struct ps_trial_sweep_row *r)
{
	if (r->throughput_rps < LEAST_ANSWERED * r->offered_rps)
		return true;
	return r->p_rising <= TREND_LEVEL && r->rise_ns >= TREND_SHARE * r->p50_ns;
}

static bool gains(const struct ps_trial_sweep_row *rows, int i)
{
	double best = 0;
	for (int k = 0; k < i; k++)
		best = fmax(best, rows[k].throughput_rps);
	return rows[i].throughput_rps >= LEAST_GAIN * best;
}

bool ps_trial_sweep_saturated(const struct ps_trial_sweep_row *rows, int n)
{
	if (n == 0)
		return false;
	if (rows[n - 1].offered_rps > 0)
		return rate_saturated(&rows[n - 1]);
	/* One row that gains nothing may be chance. */
	return n > 2 && !gains(rows, n - 1) && !gains(rows, n - 2);
}
