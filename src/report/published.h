/* published.h - figures that somebody published, beside ours.   Layer 5. Uses conf, cost, and an
 * answer.
 *
 * The file (YAML, docs/report.md) says of two models what each could do alone on some machines, and
 * which pairs of rates they could have together. Ours are the campaign's capacities of the tenants
 * that run these models, and its frontier between them. Each pair of rates is summed as shares of
 * what was possible alone: r_1 / C_1 + r_2 / C_2; the fluid saving is 1 - 1 / that sum.
 *
 * Intervals of ours are of 95 %. Published rates have none; where they were read off a figure
 * (reading_error) the ends are what the reading alone leaves open, all errors at their worst.
 */
#ifndef PS_REPORT_PUBLISHED_H
#define PS_REPORT_PUBLISHED_H

#include "conf/conf.h"
#include "report/report.h"

#define PS_REPORT_PUBLISHED_MAX_BYTES (1 << 20)
/* The share of the other model up to which it is "a little". */
#define PS_REPORT_A_LITTLE 0.10

enum ps_report_point_kind {
	PS_REPORT_POINT_FRONTIER,
	PS_REPORT_POINT_FIRST,	/* the most of the first beside a little of the second */
	PS_REPORT_POINT_SECOND, /* and the other way round */
};

struct ps_report_published_point {
	int kind; /* enum ps_report_point_kind */
	double first_rps, second_rps;
};

struct ps_report_published_machine {
	char *name, *source;
	double first_rps, second_rps; /* alone */
	struct ps_conf_array points;  /* of struct ps_report_published_point */
	struct ps_conf_where where;
};

struct ps_report_published_model {
	char *name, *model; /* for people; as campaigns call it */
};

struct ps_report_published {
	char *name, *source, *sla, *claim; /* the last two may be NULL */
	struct ps_report_published_model first, second;
	double reading_error_rps;
	struct ps_conf_array machines; /* of struct ps_report_published_machine */
	struct ps_conf_texts notes;
};

/* ps_report_published_schema describes the file. */
extern const struct ps_conf_schema ps_report_published_schema;

/* ps_report_published_parse reads YAML text; `path` names it in errors. PS_EPARSE with
 * file:line:key, PS_ENOMEM. The caller calls ps_report_published_free. */
enum ps_status ps_report_published_parse(const char *text, size_t len, const char *path,
					 struct ps_report_published *ret_published,
					 struct ps_error *err);
/* ps_report_published_free releases it; a zeroed one may be passed. */
void ps_report_published_free(struct ps_report_published *p);

enum ps_report_beside_table {
	PS_REPORT_BESIDE_PEAKS,	 /* alone, and with a little of the other */
	PS_REPORT_BESIDE_POINTS, /* pairs of rates, summed as shares */
	PS_REPORT_BESIDE_LOADS,	 /* ours: whole machines by load */
	PS_REPORT_BESIDE_TABLES
};

/* Published figures and ours, as tables in the answer's arena. */
struct ps_report_beside {
	const struct ps_report_published *published; /* borrowed */
	int first, second;			     /* tenants of the campaign */
	struct ps_report_table tables[PS_REPORT_BESIDE_TABLES];
	char sentence[900];
};

/* ps_report_beside_build fills the tables. PS_ENOTFOUND when no tenant runs one of the models;
 * PS_ENOMEM. The caller sets a->beside to show it. */
enum ps_status ps_report_beside_build(struct ps_report_answer *a,
				      const struct ps_report_published *p,
				      struct ps_report_beside *ret_beside, struct ps_error *err);

#endif
