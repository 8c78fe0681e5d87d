#include "base/cpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_cpu(const char **p, int *ret)
{
	if (**p < '0' || **p > '9')
		return false;
	char *end;
	unsigned long v = strtoul(*p, &end, 10);
	if (v >= PS_CPUS_MAX)
		return false;
	*ret = (int)v;
	*p = end;
	return true;
}

enum ps_status ps_cpus_parse(const char *text, struct ps_cpus *ret_cpus, struct ps_error *err)
{
	struct ps_cpus c = {{0}};
	for (const char *p = text; *p;) {
		int a, b;
		if (!read_cpu(&p, &a))
			goto bad;
		b = a;
		if (*p == '-') {
			p++;
			if (!read_cpu(&p, &b) || b < a)
				goto bad;
		}
		for (int i = a; i <= b; i++)
			ps_cpus_add(&c, i);
		if (*p == ',' && p[1])
			p++;
		else if (*p)
			goto bad;
	}
	*ret_cpus = c;
	return PS_OK;
bad:
	return ps_error_set(err, PS_EPARSE, "'%.60s' is not a list of CPUs such as 0-3,6", text);
}

const char *ps_cpus_format(const struct ps_cpus *c, char buf[PS_CPUS_SIZE])
{
	size_t n = 0;
	buf[0] = '\0';
	for (int i = 0; i < PS_CPUS_MAX; i++) {
		if (!ps_cpus_has(c, i))
			continue;
		int end = i;
		while (end + 1 < PS_CPUS_MAX && ps_cpus_has(c, end + 1))
			end++;
		if (n > PS_CPUS_SIZE - 20) {
			snprintf(buf + n, PS_CPUS_SIZE - n, ",...");
			break;
		}
		n += (size_t)snprintf(buf + n, PS_CPUS_SIZE - n, "%s%d", n ? "," : "", i);
		if (end > i)
			n += (size_t)snprintf(buf + n, PS_CPUS_SIZE - n, "-%d", end);
		i = end;
	}
	return buf;
}

int ps_cpus_count(const struct ps_cpus *c)
{
	int n = 0;
	for (int i = 0; i < PS_CPUS_MAX / 64; i++)
		n += __builtin_popcountll(c->bits[i]);
	return n;
}

bool ps_cpus_has(const struct ps_cpus *c, int cpu)
{
	return cpu >= 0 && cpu < PS_CPUS_MAX && (c->bits[cpu / 64] >> (cpu % 64) & 1);
}

void ps_cpus_add(struct ps_cpus *c, int cpu)
{
	c->bits[cpu / 64] |= UINT64_C(1) << (cpu % 64);
}

int ps_cpus_nth(const struct ps_cpus *c, int n)
{
	for (int i = 0; i < PS_CPUS_MAX; i++)
		if (ps_cpus_has(c, i) && n-- == 0)
			return i;
	return -1;
}
