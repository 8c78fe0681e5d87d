#include "base/units.h"

#include "base/clock.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads the number at the front of `text`; hex, nan and inf are no numbers here. */
static bool read_number(const char *text, double *ret, const char **ret_rest)
{
	const char *p = text;
	if (*p == '-' || *p == '+')
		p++;
	size_t digits = strspn(p, "0123456789.");
	if (digits == 0 || (digits == 1 && *p == '.') || digits > 60)
		return false;
	p += digits;
	if ((*p == 'e' || *p == 'E') && (p[1 + (p[1] == '-' || p[1] == '+')] >= '0') &&
	    (p[1 + (p[1] == '-' || p[1] == '+')] <= '9')) {
		p += 1 + (p[1] == '-' || p[1] == '+');
		p += strspn(p, "0123456789");
	}
	char copy[80];
	size_t n = (size_t)(p - text);
	if (n >= sizeof copy)
		return false;
	memcpy(copy, text, n);
	copy[n] = '\0';
	/* The program never calls setlocale, so strtod reads the C locale's point. */
	char *end;
	double v = strtod(copy, &end);
	if (*end || !isfinite(v))
		return false;
	*ret = v;
	*ret_rest = p;
	return true;
}

enum ps_status ps_units_parse_double(const char *text, double *ret_value, struct ps_error *err)
{
	const char *rest;
	double v;
	if (!read_number(text, &v, &rest) || *rest)
		return ps_error_set(err, PS_EPARSE, "'%.60s' is not a number", text);
	*ret_value = v;
	return PS_OK;
}

enum ps_status ps_units_parse_int(const char *text, int64_t *ret_value, struct ps_error *err)
{
	const char *p = text + (*text == '-' || *text == '+');
	errno = 0;
	char *end;
	long long v = strtoll(text, &end, 10);
	if (*p < '0' || *p > '9' || *end)
		return ps_error_set(err, PS_EPARSE, "'%.60s' is not a whole number", text);
	if (errno)
		return ps_error_set(err, PS_ETOOBIG, "'%.60s' is beyond 64 bits", text);
	*ret_value = v;
	return PS_OK;
}

struct unit {
	const char *name;
	double factor;
};

static enum ps_status parse_unit(const char *text, const struct unit *units, const char *what,
				 const char *example, int64_t *ret, struct ps_error *err)
{
	const char *rest;
	double v;
	if (!read_number(text, &v, &rest) || v < 0)
		return ps_error_set(err, PS_EPARSE, "'%.60s' is not a %s such as %s", text, what,
				    example);
	rest += *rest == ' ';
	if (v == 0 && !*rest) {
		*ret = 0;
		return PS_OK;
	}
	for (const struct unit *u = units; u->name; u++) {
		if (strcmp(rest, u->name) != 0)
			continue;
		double x = round(v * u->factor);
		if (x > 9.2e18)
			return ps_error_set(err, PS_EPARSE, "%s '%.60s' is too large", what, text);
		*ret = (int64_t)x;
		return PS_OK;
	}
	return ps_error_set(err, PS_EPARSE,
			    *rest ? "%s '%.60s' has an unknown unit; write it like %s"
				  : "%s '%.60s' has no unit; write it like %s",
			    what, text, example);
}

enum ps_status ps_units_parse_duration(const char *text, int64_t *ret_ns, struct ps_error *err)
{
	static const struct unit units[] = {{"ns", 1},	   {"us", 1e3},	   {"ms", 1e6},
					    {"s", 1e9},	   {"m", 60e9},	   {"min", 60e9},
					    {"h", 3600e9}, {"d", 86400e9}, {NULL, 0}};
	return parse_unit(text, units, "duration", "200ms or 8s", ret_ns, err);
}

enum ps_status ps_units_parse_bytes(const char *text, int64_t *ret_bytes, struct ps_error *err)
{
	static const struct unit units[] = {{"", 1},
					    {"B", 1},
					    {"KiB", 1024.0},
					    {"MiB", 1048576.0},
					    {"GiB", 1073741824.0},
					    {"TiB", 1099511627776.0},
					    {"KB", 1e3},
					    {"MB", 1e6},
					    {"GB", 1e9},
					    {"TB", 1e12},
					    {NULL, 0}};
	return parse_unit(text, units, "size", "512MiB or 2GiB", ret_bytes, err);
}

/* Three significant digits without an exponent. */
static void format3(double v, const char *unit, char buf[PS_UNITS_SIZE])
{
	double a = fabs(v);
	int decimals = a >= 99.95 ? 0 : a >= 9.995 ? 1 : 2;
	snprintf(buf, PS_UNITS_SIZE, "%.*f %s", decimals, v, unit);
}

const char *ps_units_format_duration(int64_t ns, char buf[PS_UNITS_SIZE])
{
	double v = (double)ns, a = fabs(v);
	if (a < 1e3)
		snprintf(buf, PS_UNITS_SIZE, "%lld ns", (long long)ns);
	else if (a < 1e6)
		format3(v / 1e3, "us", buf);
	else if (a < 1e9)
		format3(v / 1e6, "ms", buf);
	else
		format3(v / 1e9, "s", buf);
	return buf;
}

const char *ps_units_format_bytes(int64_t bytes, char buf[PS_UNITS_SIZE])
{
	static const char *const names[] = {"KiB", "MiB", "GiB", "TiB"};
	double v = (double)bytes / 1024.0;
	if (bytes < 1024 && bytes > -1024) {
		snprintf(buf, PS_UNITS_SIZE, "%lld B", (long long)bytes);
		return buf;
	}
	int i = 0;
	while (fabs(v) >= 1024.0 && i < 3) {
		v /= 1024.0;
		i++;
	}
	format3(v, names[i], buf);
	return buf;
}

const char *ps_units_format_eta(int64_t ns, char buf[PS_UNITS_SIZE])
{
	long long s = ns <= 0 ? 0 : (ns + PS_NS_PER_SEC / 2) / PS_NS_PER_SEC;
	if (s < 60)
		snprintf(buf, PS_UNITS_SIZE, "%llds", s);
	else if (s < 3600)
		snprintf(buf, PS_UNITS_SIZE, "%lldm%02llds", s / 60, s % 60);
	else
		snprintf(buf, PS_UNITS_SIZE, "%lldh%02lldm", s / 3600, s / 60 % 60);
	return buf;
}
