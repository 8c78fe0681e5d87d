/* capacity.c - a stored capacity, and what its search wrote about itself. */
#include "report_internal.h"

#include <math.h>
#include <string.h>

static json_t *method_of(const struct ps_store_capacity *cap)
{
	json_t *method = NULL;

	if (cap->method_json)
		ps_json_parse(cap->method_json, strlen(cap->method_json), &method, NULL);
	return method;
}

bool ps_report_method_says(const struct ps_store_capacity *cap, const char *key)
{
	json_t *method = method_of(cap);
	bool yes = json_is_true(json_object_get(method, key));

	json_decref(method);
	return yes;
}

double ps_report_method_number(const struct ps_store_capacity *cap, const char *key)
{
	json_t *method = method_of(cap);
	const json_t *v = json_object_get(method, key);
	double x = json_is_number(v) ? json_number_value(v) : NAN;

	json_decref(method);
	return x;
}

bool ps_report_method_is(const struct ps_store_capacity *cap, const char *key, const char *value)
{
	json_t *method = method_of(cap);
	const char *text = json_string_value(json_object_get(method, key));
	bool same = text && strcmp(text, value) == 0;

	json_decref(method);
	return same;
}

/* The search stores the end of what it was allowed to look at where no trial bounds the capacity:
 * nobody measured that number, and a sum or ratio made with it would claim that somebody had. */
struct ps_stats_interval ps_report_capacity(const struct ps_store_capacity *cap, double by)
{
	struct ps_stats_interval c = {
		.value = by * cap->factor,
		.lo = by * cap->factor_low,
		.hi = by * cap->factor_high,
		.confidence = PS_REPORT_CONFIDENCE,
		.has_interval = isfinite(cap->factor_low) && !isnan(cap->factor_high),
	};

	if (!c.has_interval)
		c.lo = c.hi = NAN;
	if (c.has_interval && ps_report_method_says(cap, "open_below"))
		c.lo = 0;
	if (c.has_interval && (isinf(cap->factor_high) || ps_report_method_says(cap, "open_above")))
		c.hi = by > 0 ? INFINITY : 0; /* nothing of a tenant without a rate */
	return c;
}
