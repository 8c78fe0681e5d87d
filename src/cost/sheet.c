/* sheet.c - a price sheet: read, and a row found in it. */
#include "cost_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct ps_cost_price *row(const struct ps_cost_sheet *sheet, size_t i)
{
	return (const struct ps_cost_price *)sheet->prices.items + i;
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Takes the rows out of the file, or refuses it whole; the file is released. */
static enum ps_status take_rows(struct ps_cost_sheet_file *f, const char *name,
				struct ps_cost_sheet *ret_sheet, struct ps_error *err)
{
	enum ps_status st = ps_cost_sheet_check(f, name, err);
	if (st == PS_OK) {
		*ret_sheet = f->sheet;
		f->sheet = (struct ps_cost_sheet){0};
	}
	ps_conf_free(&ps_cost_sheet_schema, f);
	return st;
}

enum ps_status ps_cost_sheet_load(const char *path, struct ps_cost_sheet *ret_sheet,
				  struct ps_error *err)
{
	struct ps_cost_sheet_file f;
	enum ps_status st = ps_conf_load_yaml(&ps_cost_sheet_schema, path, &f, err);
	return st == PS_OK ? take_rows(&f, path, ret_sheet, err) : st;
}

enum ps_status ps_cost_sheet_parse(const char *text, size_t len, const char *name,
				   struct ps_cost_sheet *ret_sheet, struct ps_error *err)
{
	struct ps_cost_sheet_file f;
	enum ps_status st = ps_conf_parse_yaml(&ps_cost_sheet_schema, text, len, name, &f, err);
	return st == PS_OK ? take_rows(&f, name, ret_sheet, err) : st;
}

void ps_cost_sheet_free(struct ps_cost_sheet *sheet)
{
	ps_conf_free(&ps_cost_rows_schema, sheet);
	memset(sheet, 0, sizeof(*sheet));
}

#define NAME_SIZE 512

/* Types may hold slashes and blanks themselves, so the row is spelled out and compared, not the
 * name cut into parts. */
static bool names_row(const char *name, size_t len, const struct ps_cost_price *p)
{
	char buf[NAME_SIZE];
	const char *region = p->region ? p->region : "";
	for (int form = 0; form < 3; form++) {
		int n = form == 0 ? snprintf(buf, sizeof(buf), "%s", p->instance_type)
			: form == 1
				? snprintf(buf, sizeof(buf), "%s/%s", p->provider, p->instance_type)
				: snprintf(buf, sizeof(buf), "%s/%s/%s", p->provider, region,
					   p->instance_type);
		if (n >= 0 && (size_t)n == len && (size_t)n < sizeof(buf) &&
		    memcmp(buf, name, len) == 0)
			return true;
	}
	return false;
}

static enum ps_status not_found(const struct ps_cost_sheet *sheet, const char *name,
				struct ps_error *err)
{
	ps_error_set(err, PS_ENOTFOUND, "the price sheet has no instance type %s", name);
	const char **types = malloc((sheet->prices.len + 1) * sizeof(*types));
	if (!types)
		return PS_ENOTFOUND;
	for (size_t i = 0; i < sheet->prices.len; i++)
		types[i] = row(sheet, i)->instance_type;
	const char *near = ps_conf_nearest(name, types, sheet->prices.len);
	if (near)
		ps_error_hint(err, "did you mean %s?", near);
	free(types);
	return PS_ENOTFOUND;
}

static enum ps_status ambiguous(const char *name, const struct ps_cost_price *a,
				const struct ps_cost_price *b, struct ps_error *err)
{
	ps_error_set(err, PS_EINVAL, "%s is in the price sheet more than once", name);
	ps_error_hint(err, "write %s/%s/%s or %s/%s/%s", a->provider, a->region ? a->region : "",
		      a->instance_type, b->provider, b->region ? b->region : "", b->instance_type);
	return PS_EINVAL;
}

enum ps_status ps_cost_sheet_find(const struct ps_cost_sheet *sheet, const char *name,
				  const struct ps_cost_price **ret_price, struct ps_error *err)
{
	const char *at = strrchr(name, '@');
	struct ps_cost_date day;
	bool dated = at && ps_cost_date_parse(at + 1, &day);
	size_t len = dated ? (size_t)(at - name) : strlen(name);
	const char *date = name[len] ? name + len + 1 : NULL;
	const struct ps_cost_price *best = NULL;
	for (size_t i = 0; i < sheet->prices.len; i++) {
		const struct ps_cost_price *p = row(sheet, i);
		if (!names_row(name, len, p) || (date && strcmp(date, p->source_date) != 0))
			continue;
		if (best &&
		    !(same_text(best->provider, p->provider) && same_text(best->region, p->region)))
			return ambiguous(name, best, p, err);
		/* Dates of this form sort as text. */
		if (!best || strcmp(p->source_date, best->source_date) > 0)
			best = p;
	}
	if (!best)
		return not_found(sheet, name, err);
	*ret_price = best;
	return PS_OK;
}
