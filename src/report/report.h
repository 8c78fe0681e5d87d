/* report.h - what a campaign found, computed once and shown five ways.   Layer 5.
 *
 * Uses base, conf, stats, load (its codes of reasons), store, cost. ps_report_build computes the
 * answer from a campaign that was read from a store, and from nothing else; the renderers only show
 * it. No function reads files, clocks or the environment. An answer belongs to one thread.
 *
 * Which trials say what:
 *	capacity  the fit that the search stored with its cell; not derived again here.
 *	latency, goodput, verdict, CPU, memory
 *		all trials at the demand rates (role DEMAND) of cells that are done, pooled.
 *		INVALID ones are pooled too, since an instrument that lagged or sent too little
 *		makes the tenant look worse, never better; each is named in the warnings, and a
 *		verdict of MISSED must hold without them (a rising backlog is no fault of the
 *		instrument: those count).
 *	slowdown  p50 together / p50 alone per block, over the blocks in which both trials are
 *		trusted (VALID, or INVALID for a rising backlog alone): the geometric mean.
 *	interference
 *		the slowdown of every tenant in every set of several at the demand rates, and at the
 *		points of grids against the point at which the others are silent; per block, as
 *		above. For a set of three or more: what its pairs predict (the product of the
 *		slowdowns by each neighbour alone, per block), and the measured slowdown against
 *		that.
 *	CPU saving
 *		1 - processor time of the server together / the sum of it alone, at the demand
 *rates, over the blocks in which all of these trials are VALID: same arrivals, so the same work;
 *the geometric mean.
 *	cost	price per hour / (capacity in inferences/s x 3600) x 10^6; of a set of tenants
 *		split by compute share: capacity x mean compute time of a request.
 *
 * The verdict of a tenant at its demand rate: MET when the share of requests over the SLA's limit
 * (failed and unsent ones included) is below what the percentile allows and the share of good
 * answers is as asked; MISSED when it is above; each with one-sided 95 % confidence
 * (Clopper-Pearson on effective counts). Else UNDECIDED, with how many more requests it would take.
 */
#ifndef PS_REPORT_REPORT_H
#define PS_REPORT_REPORT_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strbuf.h"
#include "cost/cost.h"
#include "report/plan.h"
#include "stats/stats.h"
#include "store/store.h"

#include <stddef.h>
#include <stdint.h>

#define PS_REPORT_CONFIDENCE   0.95
#define PS_REPORT_MAX_WARNINGS 200

enum ps_report_verdict {
	PS_REPORT_NO_DATA,
	PS_REPORT_UNDECIDED,
	PS_REPORT_MET,
	PS_REPORT_MISSED,
};

/* One tenant in one set. */
struct ps_report_line {
	int tenant, set; /* indexes into the campaign */
	bool alone;	 /* the set is this tenant only */

	bool capacity_known;
	struct ps_stats_interval capacity_rps; /* requests/s, at the set's ray */
	bool open_below, open_above; /* the data do not bound that end, which is 0 or INFINITY */
	double held_rps; /* requests/s at which a fresh trial kept every SLA; NAN: none did */
	struct ps_stats_interval usd_per_million; /* inferences; value NAN when not known */
	double compute_share;			  /* of the set's compute at capacity; 1 alone */
	double batch;				  /* inferences per request; of a mix their mean */

	/* at the demand rates, all trials pooled */
	int trials, invalid;
	uint64_t requests, over, failed; /* scheduled; over the limit or failed; failed */
	double effective_ratio;
	double offered_rps, goodput_rps;
	struct ps_hist latency;
	struct ps_stats_time_quantile p50, p95, p99, at_sla; /* at_sla: the SLA's own percentile */
	struct ps_stats_interval share_over;
	struct ps_stats_interval slowdown; /* of p50 against alone; NAN alone; infinite when half
					    * of a trial together had no answer */
	int slowdown_blocks;		   /* pairs of trials behind it */
	enum ps_report_verdict verdict;
	uint64_t needs_more; /* requests until the verdict would be decided, if shares stay; 0 when
			      * decided, UINT64_MAX when no number of them can be named */
};

/* What one set used at the demand rates. NAN or -1: not known. */
struct ps_report_set {
	int trials;
	double cpu_cores;	   /* of the server */
	double cpu_ms_per_request; /* of the server */
	double generator_cores;
	double steal_share; /* of the machine's CPUs */
	int64_t peak_rss_bytes, pss_bytes;
	enum ps_report_verdict verdict;		  /* the worst of its lines */
	const struct ps_store_capacity *capacity; /* NULL: not known */
	const struct ps_store_trial *shown;	  /* the trial drawn over time, or NULL */
};

/* A set of several tenants against the same tenants alone. */
struct ps_report_comparison {
	int set;
	bool possible;			/* all capacities alone are known */
	bool on_ray;			/* the demand rates lie on the ray that was searched */
	struct ps_stats_interval share; /* of one shared machine, for the demand rates */
	struct ps_stats_interval share_apart;	   /* machines' worth of time apart */
	struct ps_stats_interval fluid_saving;	   /* at the demand rates */
	struct ps_stats_interval full_load_saving; /* on the frontier */
	struct ps_stats_interval cpu_saving; /* processor time together against the sum alone, per
					      * block at the demand rates; NAN: not known */
	int cpu_blocks;
	struct ps_cost_machines machines;
	char demand_sentence[1200];   /* answers for the demand rates */
	char full_load_sentence[400]; /* what sharing does at full load */
};

/* ---- tables beside the answer ---- */

/* Each kind of cell that a campaign may have has a table of its own: computed once as numbers,
 * shown as text, page, CSV and JSON. A table without rows is not shown. */
enum ps_report_table_id {
	PS_REPORT_INTERFERENCE, /* slowdown of each tenant by its neighbours, at stated rates */
	PS_REPORT_FRONTIER,	/* the boundary between two tenants' rates */
	PS_REPORT_PACKING,	/* most tenants of one kind */
	PS_REPORT_COLD,		/* cold starts */
	PS_REPORT_BATCHES,	/* batch sizes */
	PS_REPORT_OPERATORS,	/* where the time goes */
	PS_REPORT_TABLES
};

/* SHARE: in parts of one, shown in per cent. */
enum ps_report_value_kind {
	PS_REPORT_TEXT,
	PS_REPORT_NUMBER,
	PS_REPORT_SHARE,
	PS_REPORT_MS,
	PS_REPORT_BYTES
};

struct ps_report_column {
	const char *key;  /* in JSON and CSV; units in names */
	const char *head; /* in tables */
	enum ps_report_value_kind kind;
	bool interval; /* a number with its ends: KEY, KEY_low, KEY_high in CSV */
};

struct ps_report_value {
	const char *text; /* of TEXT */
	struct ps_stats_interval
		v; /* else; NAN: not known. MS and BYTES too are in the column's unit */
	bool open_below, open_above;
};

struct ps_report_table {
	const char *name, *title, *note; /* note: what the numbers are */
	const struct ps_report_column *columns;
	int column_len;
	struct ps_report_value *values; /* row after row */
	size_t row_len;
};

struct ps_report_beside;

/* A price sheet and what it is called. */
struct ps_report_sheet {
	const char *name;
	const struct ps_cost_sheet *sheet;
};

struct ps_report_answer {
	const struct ps_store_campaign *campaign; /* borrowed: must outlive the answer */
	bool has_price;
	struct ps_report_line *lines; /* by tenant, alone first */
	size_t line_len;
	struct ps_report_set *sets;		  /* one per set of the campaign */
	struct ps_report_comparison *comparisons; /* largest set first */
	size_t comparison_len;
	char verdict[1700]; /* one or two sentences: the answer */
	struct ps_report_table tables[PS_REPORT_TABLES];
	struct ps_arena arena;		   /* of the tables */
	const struct ps_report_plan *plan; /* borrowed; NULL: none is shown. The caller sets it */
	const struct ps_report_sheet *sheets; /* likewise: what the page's controls offer */
	size_t sheet_len;
	const struct ps_report_beside *beside; /* likewise: published figures (published.h) */
	const json_t *policies;		       /* likewise: for the memory of models (policies.h) */
	char **warnings;
	size_t warning_len;
	int cells_done, cells_failed, cells_open;
};

/* ps_report_build computes the answer; the caller calls ps_report_fini. PS_ECORRUPT when a
 * histogram in the store cannot be read, PS_EINVAL when the campaign has no tenants or sets,
 * PS_ENOMEM. On failure *ret_answer owns nothing. */
enum ps_status ps_report_build(const struct ps_store_campaign *c,
			       struct ps_report_answer *ret_answer, struct ps_error *err);
/* ps_report_fini frees what the answer owns; a zeroed one may be passed. */
void ps_report_fini(struct ps_report_answer *a);

/* ps_report_verdict_name returns "met", "missed", "undecided" or "no data". */
const char *ps_report_verdict_name(enum ps_report_verdict v);
/* ps_report_set_label writes "alone", "together" or the set's name; returns buf. */
#define PS_REPORT_LABEL_SIZE 64
const char *ps_report_set_label(const struct ps_report_answer *a, int set,
				char buf[PS_REPORT_LABEL_SIZE]);

/* ps_report_text appends the sentence and tables for a window of `width` columns. */
void ps_report_text(const struct ps_report_answer *a, int width, struct ps_strbuf *out);
/* ps_report_markdown appends the same tables, with all their columns, as Markdown. */
void ps_report_markdown(const struct ps_report_answer *a, struct ps_strbuf *out);
/* ps_report_json makes the same as a JSON object (keys: docs/report.md). NULL: no memory. The
 * caller owns it. `charts` adds the curves and series that the page draws. */
json_t *ps_report_json(const struct ps_report_answer *a, bool charts);
/* ps_report_csv appends one header and one row per line (RFC 4180). */
void ps_report_csv(const struct ps_report_answer *a, struct ps_strbuf *out);
/* ps_report_table_csv appends one of the further tables in the same form. */
void ps_report_table_csv(const struct ps_report_table *t, struct ps_strbuf *out);
/* ps_report_table_text appends it for a window of `width` columns, with an empty line and its title
 * before it and its note behind; nothing when it has no rows. */
void ps_report_table_text(const struct ps_report_table *t, int width, struct ps_strbuf *out);
/* ps_report_table_json makes a list of its rows. NULL: no memory. */
json_t *ps_report_table_json(const struct ps_report_table *t);
/* ps_report_html appends one page that needs no other file. PS_ENOMEM. */
enum ps_status ps_report_html(const struct ps_report_answer *a, struct ps_strbuf *out,
			      struct ps_error *err);

#endif
