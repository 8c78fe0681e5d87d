#include "base/sla.h"

#include "base/units.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static char *trim(char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	char *end = s + strlen(s);
	while (end > s && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return s;
}

/* Splits "left OP right" at `op`; NULL when `op` is not there. */
static char *split(char *part, const char *op)
{
	char *at = strstr(part, op);
	if (!at)
		return NULL;
	*at = '\0';
	return trim(at + strlen(op));
}

static enum ps_status parse_success(char *right, struct ps_sla *sla, struct ps_error *err)
{
	double scale = 1.0, v;
	size_t n = strlen(right);
	if (n > 0 && right[n - 1] == '%') {
		right[n - 1] = '\0';
		right = trim(right);
		scale = 0.01;
	}
	enum ps_status s = ps_units_parse_double(right, &v, err);
	if (s != PS_OK)
		return s;
	sla->min_success = v * scale;
	if (!(sla->min_success >= 0 && sla->min_success <= 1))
		return ps_error_set(err, PS_EPARSE, "success must be between 0 %% and 100 %%");
	return PS_OK;
}

static enum ps_status parse_percentile(const char *left, char *right, struct ps_sla *sla,
				       struct ps_error *err)
{
	double p;
	if (left[0] != 'p' || ps_units_parse_double(left + 1, &p, NULL) != PS_OK || p <= 0 ||
	    p >= 100)
		return ps_error_set(err, PS_EPARSE, "'%.40s' is not a percentile such as p95",
				    left);
	enum ps_status s = ps_units_parse_duration(right, &sla->limit_ns, err);
	if (s != PS_OK)
		return s;
	if (sla->limit_ns <= 0)
		return ps_error_set(err, PS_EPARSE, "the latency limit must be positive");
	sla->percentile = p / 100.0;
	return PS_OK;
}

enum ps_status ps_sla_parse(const char *text, struct ps_sla *ret_sla, struct ps_error *err)
{
	char copy[PS_SLA_SIZE];
	struct ps_sla sla = {.min_success = 0.99};
	if (strlen(text) >= sizeof copy)
		return ps_error_set(err, PS_EPARSE, "SLA text is too long");
	strcpy(copy, text);
	char *rest = copy;
	for (char *part; (part = strsep(&rest, ","));) {
		part = trim(part);
		char *right;
		enum ps_status s;
		if ((right = split(part, "<=")))
			s = parse_percentile(trim(part), right, &sla, err);
		else if ((right = split(part, ">=")) && strcmp(trim(part), "success") == 0)
			s = parse_success(right, &sla, err);
		else
			s = ps_error_set(err, PS_EPARSE,
					 "'%.60s' is no part of an SLA; write it like "
					 "p95<=200ms,success>=99%%",
					 part);
		if (s != PS_OK)
			return s;
	}
	if (!ps_sla_is_set(&sla))
		return ps_error_set(err, PS_EPARSE,
				    "the SLA '%.60s' names no percentile; write it like p95<=200ms",
				    text);
	*ret_sla = sla;
	return PS_OK;
}

const char *ps_sla_format(const struct ps_sla *sla, char buf[PS_SLA_SIZE])
{
	if (!ps_sla_is_set(sla)) {
		snprintf(buf, PS_SLA_SIZE, "none");
		return buf;
	}
	double ms = (double)sla->limit_ns / 1e6;
	if (ms >= 10000)
		snprintf(buf, PS_SLA_SIZE, "p%g <= %g s, success >= %g %%", sla->percentile * 100,
			 ms / 1e3, sla->min_success * 100);
	else
		snprintf(buf, PS_SLA_SIZE, "p%g <= %g ms, success >= %g %%", sla->percentile * 100,
			 ms, sla->min_success * 100);
	return buf;
}
