/* published.c - reading the file of published figures. */
#include "report/published.h"

enum { MAX_MACHINES = 32, MAX_POINTS = 64, MAX_NOTES = 32 };

#define LEAST_RATE 1e-6
#define MOST_RATE  1e9

#define POINT(f)   .offset = offsetof(struct ps_report_published_point, f)
#define MACHINE(f) .offset = offsetof(struct ps_report_published_machine, f)
#define MODEL(f)   .offset = offsetof(struct ps_report_published_model, f)
#define FILE_(f)   .offset = offsetof(struct ps_report_published, f)

/* In the order of enum ps_report_point_kind. */
static const char *const kinds[] = {"frontier", "peak-of-first", "peak-of-second", NULL};

static const struct ps_conf_option point_rows[] = {
	{.name = "kind",
	 .type = PS_CONF_ENUM,
	 POINT(kind),
	 .choices = kinds,
	 .def = "frontier",
	 .help = "peak-of-first: the most of the first model beside a little of the second."},
	{.name = "first",
	 .type = PS_CONF_RATE,
	 POINT(first_rps),
	 .min = LEAST_RATE,
	 .max = MOST_RATE,
	 .flags = PS_CONF_REQUIRED,
	 .help = "Requests of the first model that were served."},
	{.name = "second",
	 .type = PS_CONF_RATE,
	 POINT(second_rps),
	 .min = LEAST_RATE,
	 .max = MOST_RATE,
	 .flags = PS_CONF_REQUIRED,
	 .help = "Requests of the second at the same time."},
	{0},
};

static const struct ps_conf_schema point_schema = {
	.name = "points",
	.summary = "A pair of rates on one machine.",
	.options = point_rows,
	.size = sizeof(struct ps_report_published_point),
	.where_offset = SIZE_MAX,
};

static const struct ps_conf_option machine_rows[] = {
	{.name = "name",
	 .type = PS_CONF_TEXT,
	 MACHINE(name),
	 .flags = PS_CONF_REQUIRED,
	 .help = "What the machine is called."},
	{.name = "source",
	 .type = PS_CONF_TEXT,
	 MACHINE(source),
	 .help = "Where its figures stand, when that is not said for all."},
	{.name = "first-alone",
	 .type = PS_CONF_RATE,
	 MACHINE(first_rps),
	 .min = LEAST_RATE,
	 .max = MOST_RATE,
	 .flags = PS_CONF_REQUIRED,
	 .help = "The most of the first model alone."},
	{.name = "second-alone",
	 .type = PS_CONF_RATE,
	 MACHINE(second_rps),
	 .min = LEAST_RATE,
	 .max = MOST_RATE,
	 .flags = PS_CONF_REQUIRED,
	 .help = "The most of the second."},
	{.name = "points",
	 .type = PS_CONF_SECTIONS,
	 MACHINE(points),
	 .section = &point_schema,
	 .min = 0,
	 .max = MAX_POINTS,
	 .help = "What both had together."},
	{0},
};

static const struct ps_conf_schema machine_schema = {
	.name = "machines",
	.summary = "A machine of the publication.",
	.options = machine_rows,
	.size = sizeof(struct ps_report_published_machine),
	.where_offset = offsetof(struct ps_report_published_machine, where),
};

static const struct ps_conf_option model_rows[] = {
	{.name = "name",
	 .type = PS_CONF_TEXT,
	 MODEL(name),
	 .flags = PS_CONF_REQUIRED,
	 .help = "What the publication calls it."},
	{.name = "model",
	 .type = PS_CONF_TEXT,
	 MODEL(model),
	 .flags = PS_CONF_REQUIRED,
	 .help = "What the campaign's tenants call it."},
	{0},
};

static const struct ps_conf_schema model_schema = {
	.name = "model",
	.summary = "One of the two models.",
	.options = model_rows,
	.size = sizeof(struct ps_report_published_model),
	.where_offset = SIZE_MAX,
};

static const struct ps_conf_option file_rows[] = {
	{.name = "name",
	 .type = PS_CONF_TEXT,
	 FILE_(name),
	 .flags = PS_CONF_REQUIRED,
	 .help = "What the publication is called here."},
	{.name = "source",
	 .type = PS_CONF_TEXT,
	 FILE_(source),
	 .flags = PS_CONF_REQUIRED,
	 .help = "Where the figures stand: title, table or figure."},
	{.name = "sla",
	 .type = PS_CONF_TEXT,
	 FILE_(sla),
	 .help = "What it promised, in its words."},
	{.name = "claim", .type = PS_CONF_TEXT, FILE_(claim), .help = "What it concludes."},
	{.name = "first",
	 .type = PS_CONF_SECTION,
	 FILE_(first),
	 .section = &model_schema,
	 .flags = PS_CONF_REQUIRED,
	 .help = "The first model."},
	{.name = "second",
	 .type = PS_CONF_SECTION,
	 FILE_(second),
	 .section = &model_schema,
	 .flags = PS_CONF_REQUIRED,
	 .help = "The second model."},
	{.name = "reading-error",
	 .type = PS_CONF_RATE,
	 FILE_(reading_error_rps),
	 .def = "0",
	 .min = 0,
	 .max = MOST_RATE,
	 .help = "Rates were read off a figure, each to so much."},
	{.name = "machines",
	 .type = PS_CONF_SECTIONS,
	 FILE_(machines),
	 .section = &machine_schema,
	 .min = 1,
	 .max = MAX_MACHINES,
	 .flags = PS_CONF_REQUIRED,
	 .help = "Its machines."},
	{.name = "notes",
	 .type = PS_CONF_TEXTS,
	 FILE_(notes),
	 .min = 0,
	 .max = MAX_NOTES,
	 .help = "What to know before comparing."},
	{0},
};

const struct ps_conf_schema ps_report_published_schema = {
	.name = "published",
	.summary = "Published figures of two models that share machines.",
	.options = file_rows,
	.size = sizeof(struct ps_report_published),
	.where_offset = SIZE_MAX,
};

static enum ps_status wrong(const char *path, const struct ps_report_published_machine *m,
			    const char *key, struct ps_error *err, const char *what)
{
	ps_error_set(err, PS_EPARSE, "%s of %.60s", what, m->name);
	ps_error_where(err, "%.100s:%d:%s", path, m->where.line, key);
	return PS_EPARSE;
}

/* Each may be off by the reading error, and no rate may then be 0. */
static enum ps_status check_machine(const struct ps_report_published *p, const char *path,
				    const struct ps_report_published_machine *m,
				    struct ps_error *err)
{
	const struct ps_report_published_point *x = m->points.items;
	double least = p->reading_error_rps;
	int peaks[3] = {0};

	if (m->first_rps <= least || m->second_rps <= least)
		return wrong(path, m, "machines", err,
			     "the reading error is no less than a rate alone");
	for (size_t i = 0; i < m->points.len; i++)
		if (++peaks[x[i].kind] > 1 && x[i].kind != PS_REPORT_POINT_FRONTIER)
			return wrong(path, m, "machines.points", err, "two peaks of one model");
	return PS_OK;
}

enum ps_status ps_report_published_parse(const char *text, size_t len, const char *path,
					 struct ps_report_published *ret_published,
					 struct ps_error *err)
{
	struct ps_report_published p;
	enum ps_status st =
		ps_conf_parse_yaml(&ps_report_published_schema, text, len, path, &p, err);

	if (st != PS_OK)
		return st;
	const struct ps_report_published_machine *m = p.machines.items;
	for (size_t i = 0; i < p.machines.len && st == PS_OK; i++)
		st = check_machine(&p, path, &m[i], err);
	if (st != PS_OK)
		ps_report_published_free(&p);
	else
		*ret_published = p;
	return st;
}

void ps_report_published_free(struct ps_report_published *p)
{
	ps_conf_free(&ps_report_published_schema, p);
	*p = (struct ps_report_published){0};
}
