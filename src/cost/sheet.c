#include "cost/cost.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRICE(field) offsetof(struct ps_cost_price, field)
#define MAX_USD	     10000.0 /* per hour: more is a slip of the pen */

static const struct ps_conf_option price_options[] = {
	{.name = "provider",
	 .type = PS_CONF_TEXT,
	 .offset = PRICE(provider),
	 .help = "Who rents it out.",
	 .flags = PS_CONF_REQUIRED},
	{.name = "region",
	 .type = PS_CONF_TEXT,
	 .offset = PRICE(region),
	 .help = "Where, as the provider names it; may be left out when the source names none."},
	{.name = "instance-type",
	 .type = PS_CONF_TEXT,
	 .offset = PRICE(instance_type),
	 .help = "The machine, as the provider names it.",
	 .flags = PS_CONF_REQUIRED},
	{.name = "vcpu",
	 .type = PS_CONF_REAL,
	 .offset = PRICE(vcpu),
	 .help = "Virtual CPUs.",
	 .min = 0.01,
	 .max = 10000},
	{.name = "memory-gib",
	 .type = PS_CONF_REAL,
	 .offset = PRICE(memory_gib),
	 .help = "Memory in GiB.",
	 .min = 0.01,
	 .max = 1000000},
	{.name = "gpu-kind",
	 .type = PS_CONF_TEXT,
	 .offset = PRICE(gpu_kind),
	 .help = "Which GPU it has, such as T4."},
	{.name = "gpu-count",
	 .type = PS_CONF_INT,
	 .offset = PRICE(gpu_count),
	 .help = "How many GPUs.",
	 .min = 0,
	 .max = 64},
	{.name = "on-demand-usd-per-hour",
	 .type = PS_CONF_REAL,
	 .offset = PRICE(on_demand_usd_per_hour),
	 .help = "Price without commitment.",
	 .min = 1e-6,
	 .max = MAX_USD,
	 .flags = PS_CONF_REQUIRED},
	{.name = "spot-usd-per-hour",
	 .type = PS_CONF_REAL,
	 .offset = PRICE(spot_usd_per_hour),
	 .help = "Price of capacity that can be revoked.",
	 .min = 1e-6,
	 .max = MAX_USD},
	{.name = "reserved-1y-usd-per-hour",
	 .type = PS_CONF_REAL,
	 .offset = PRICE(reserved_1y_usd_per_hour),
	 .help = "Price with a commitment of one year.",
	 .min = 1e-6,
	 .max = MAX_USD},
	{.name = "source",
	 .type = PS_CONF_TEXT,
	 .offset = PRICE(source),
	 .help = "Where the price was read.",
	 .flags = PS_CONF_REQUIRED},
	{.name = "source-date",
	 .type = PS_CONF_TEXT,
	 .offset = PRICE(source_date),
	 .help = "The date of the source, as YYYY-MM-DD.",
	 .flags = PS_CONF_REQUIRED},
	{0},
};

static const struct ps_conf_schema price_schema = {
	.name = "price",
	.summary = "One instance type at one price",
	.options = price_options,
	.size = sizeof(struct ps_cost_price),
	.where_offset = PRICE(where),
};

static const struct ps_conf_option sheet_options[] = {
	{.name = "prices",
	 .type = PS_CONF_SECTIONS,
	 .offset = offsetof(struct ps_cost_sheet, prices),
	 .help = "The rows of the sheet.",
	 .min = 1,
	 .max = 10000,
	 .section = &price_schema,
	 .flags = PS_CONF_REQUIRED},
	{0},
};

const struct ps_conf_schema ps_cost_sheet_schema = {
	.name = "price sheet",
	.summary = "What providers rent, and for how much",
	.details = "Every row names where its price was read and when. Prices are in US dollars "
		   "per hour for the whole machine; they are never pro-rated.",
	.options = sheet_options,
	.size = sizeof(struct ps_cost_sheet),
	.where_offset = SIZE_MAX,
};

static const struct ps_cost_price *row(const struct ps_cost_sheet *sheet, size_t i)
{
	return (const struct ps_cost_price *)sheet->prices.items + i;
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool is_date(const char *s)
{
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	if (strlen(s) != 10)
		return false;
	for (int i = 0; i < 10; i++) {
		bool dash = i == 4 || i == 7;
		if (dash ? s[i] != '-' : (s[i] < '0' || s[i] > '9'))
			return false;
	}
	int month = (s[5] - '0') * 10 + s[6] - '0', day = (s[8] - '0') * 10 + s[9] - '0';
	return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1];
}

static enum ps_status refuse(const struct ps_cost_price *p, const char *name, const char *key,
			     const char *what, struct ps_error *err)
{
	ps_error_set(err, PS_EPARSE, "%s", what);
	ps_error_where(err, "%s:%d:%s", name, p->where.line, key);
	return PS_EPARSE;
}

static bool same_row(const struct ps_cost_price *a, const struct ps_cost_price *b)
{
	return same_text(a->provider, b->provider) && same_text(a->region, b->region) &&
	       same_text(a->instance_type, b->instance_type) &&
	       same_text(a->source_date, b->source_date);
}

static enum ps_status check_row(const struct ps_cost_sheet *sheet, size_t i, const char *name,
				struct ps_error *err)
{
	const struct ps_cost_price *p = row(sheet, i);
	if (!is_date(p->source_date))
		return refuse(p, name, "source_date", "a source's date is written YYYY-MM-DD", err);
	if ((p->gpu_count > 0) != (p->gpu_kind != NULL))
		return refuse(p, name, "gpu_kind", "gpu_kind and gpu_count belong together", err);
	for (size_t k = 0; k < i; k++) {
		if (same_row(p, row(sheet, k)))
			return refuse(p, name, "instance_type",
				      "this provider, region, type and date are in the sheet "
				      "twice",
				      err);
	}
	return PS_OK;
}

static enum ps_status check(struct ps_cost_sheet *sheet, const char *name, struct ps_error *err)
{
	for (size_t i = 0; i < sheet->prices.len; i++) {
		enum ps_status st = check_row(sheet, i, name, err);
		if (st != PS_OK) {
			ps_cost_sheet_free(sheet);
			return st;
		}
	}
	return PS_OK;
}

enum ps_status ps_cost_sheet_load(const char *path, struct ps_cost_sheet *ret_sheet,
				  struct ps_error *err)
{
	struct ps_cost_sheet sheet;
	enum ps_status st = ps_conf_load_yaml(&ps_cost_sheet_schema, path, &sheet, err);
	if (st == PS_OK)
		st = check(&sheet, path, err);
	if (st == PS_OK)
		*ret_sheet = sheet;
	return st;
}

enum ps_status ps_cost_sheet_parse(const char *text, size_t len, const char *name,
				   struct ps_cost_sheet *ret_sheet, struct ps_error *err)
{
	struct ps_cost_sheet sheet;
	enum ps_status st = ps_conf_parse_yaml(&ps_cost_sheet_schema, text, len, name, &sheet, err);
	if (st == PS_OK)
		st = check(&sheet, name, err);
	if (st == PS_OK)
		*ret_sheet = sheet;
	return st;
}

void ps_cost_sheet_free(struct ps_cost_sheet *sheet)
{
	ps_conf_free(&ps_cost_sheet_schema, sheet);
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
	size_t len = at && is_date(at + 1) ? (size_t)(at - name) : strlen(name);
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

static bool differs(double a, double b)
{
	return fabs(a - b) > 0.1 * b * (1 + 1e-9);
}

bool ps_cost_slice_warning(const struct ps_cost_price *price, double slice_vcpu,
			   int64_t memory_bytes, char buf[PS_COST_WARNING_SIZE])
{
	double gib = (double)memory_bytes / (1024.0 * 1024 * 1024);
	char cpu[80] = "", memory[120] = "";
	if (!(price->vcpu > 0))
		snprintf(cpu, sizeof(cpu), "the sheet does not state its vCPUs");
	else if (differs(slice_vcpu, price->vcpu))
		snprintf(cpu, sizeof(cpu), "%g vCPU against %g", slice_vcpu, price->vcpu);
	if (!(price->memory_gib > 0))
		snprintf(memory, sizeof(memory), "the sheet does not state its memory");
	else if (memory_bytes <= 0)
		snprintf(memory, sizeof(memory), "no memory limit against %g GiB",
			 price->memory_gib);
	else if (differs(gib, price->memory_gib))
		snprintf(memory, sizeof(memory), "%.3g GiB of memory against %g", gib,
			 price->memory_gib);
	if (!cpu[0] && !memory[0])
		return false;
	snprintf(buf, PS_COST_WARNING_SIZE,
		 "the slice is not the instance it is priced as (%.60s): %s%s%s",
		 price->instance_type, cpu, cpu[0] && memory[0] ? "; " : "", memory);
	return true;
}
