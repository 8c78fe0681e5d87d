/* nearest.c - "did you mean ...?" */
#include "conf_internal.h"

#include <string.h>

enum { MAX_WORD = 48 };

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`; the optimal string
 * alignment distance by its textbook recurrence over three rows. */
static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t rows[3][MAX_WORD + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= nb; j++)
		last[j] = j;
	for (size_t i = 1; i <= na; i++) {
		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			row[j] = min3(last[j] + 1, row[j - 1] + 1,
				      last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		size_t *free_row = before;
		before = last;
		last = row;
		row = free_row;
	}
	return last[nb];
}

const char *ps_conf_nearest(const char *word, const char *const *candidates, size_t n)
{
	const char *best = NULL;
	size_t len = strlen(word), least = len / 3 + 1;

	if (len > MAX_WORD)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t m = strlen(candidates[i]);
		if (m > MAX_WORD)
			continue;
		size_t d = distance(word, len, candidates[i], m);
		if (d < least) {
			least = d;
			best = candidates[i];
		}
	}
	return best;
}

const char *ps_conf_yaml_name(const char *name, char buf[PS_CONF_NAME_SIZE])
{
	size_t i = 0;

	for (; i < PS_CONF_NAME_SIZE - 1 && name[i]; i++)
		buf[i] = name[i] == '-' ? '_' : name[i];
	buf[i] = '\0';
	return buf;
}

void ps_conf_hint_nearest(const struct ps_conf_schema *schema, const char *word, bool yaml,
			  struct ps_error *err)
{
	const char *names[PS_CONF_MAX_OPTIONS];
	char plain[PS_CONF_NAME_SIZE], buf[PS_CONF_NAME_SIZE];
	size_t n = 0;

	for (const struct ps_conf_option *o = schema->options; o->name; o++)
		if (n < PS_CONF_MAX_OPTIONS && (yaml || !(o->flags & PS_CONF_POSITIONAL)))
			names[n++] = o->name;
	/* Compare in the spelling of the tables. */
	snprintf(plain, sizeof plain, "%s", word);
	for (char *p = plain; *p; p++)
		*p = *p == '_' ? '-' : *p;
	const char *near = ps_conf_nearest(plain, names, n);
	if (near)
		ps_error_hint(err, "did you mean %s%s?", yaml ? "" : "--",
			      yaml ? ps_conf_yaml_name(near, buf) : near);
}
