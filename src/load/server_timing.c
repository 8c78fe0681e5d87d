/* server_timing.c - see server_timing.h. */
#include "load/server_timing.h"

#include <math.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

/* Digits with an optional fraction; strtod would follow the locale. Returns the end or NULL. */
static const char *read_ms(const char *s, double *ret_ms)
{
	double v = 0, scale = 1;
	const char *start = s;

	for (; *s >= '0' && *s <= '9'; s++) {
		v = v * 10 + (*s - '0');
	}
	if (s == start) {
		return NULL;
	}
	if (*s == '.') {
		for (s++; *s >= '0' && *s <= '9'; s++) {
			scale /= 10;
			v += scale * (*s - '0');
		}
	}
	*ret_ms = v;
	return s;
}

/* The parameters of one metric, up to the comma: ";dur=1.5;desc=x". */
static int64_t read_dur(const char *s)
{
	double ms;

	while (*(s = skip_blanks(s)) == ';') {
		s = skip_blanks(s + 1);
		if (strncasecmp(s, "dur=", 4) == 0) {
			s += 4;
			s += *s == '"';
			s = read_ms(s, &ms);
			return s && strchr("\"; \t,", *s) && ms <= 1e9 ? llround(ms * 1e6) : -1;
		}
		s += strcspn(s, ";,");
	}
	return -1;
}

int64_t ps_load_server_timing(const char *value, const char *name)
{
	size_t n = strlen(name);

	while (value && *value) {
		const char *s = skip_blanks(value);

		if (strncmp(s, name, n) == 0 && strchr("; \t,", s[n])) {
			return read_dur(s + n);
		}
		value = strchr(s, ',');
		value += value != NULL;
	}
	return -1;
}
