/* report_internal.h - shared by the parts of report/.   Layer 5. */
#ifndef PS_REPORT_REPORT_INTERNAL_H
#define PS_REPORT_REPORT_INTERNAL_H

#include "report/report.h"

/* ps_report_judge_line fills quantiles, share_over, verdict and needs_more from the pooled counts;
 * `valid_requests` and `valid_over` count the VALID trials alone. */
void ps_report_judge_line(struct ps_report_line *l, const struct ps_sla *sla,
			  uint64_t valid_requests, uint64_t valid_over);
/* ps_report_compare fills a->comparisons and a->verdict. */
enum ps_status ps_report_compare(struct ps_report_answer *a, struct ps_error *err);
/* ps_report_has_several says whether several sets are the largest, so that none of them answers for
 * the campaign. */
bool ps_report_has_several(const struct ps_report_answer *a);
/* ps_report_warn fills a->warnings. */
enum ps_status ps_report_warn(struct ps_report_answer *a, struct ps_error *err);

/* What the search wrote about itself: a flag (false when absent), a number (NAN), and whether a
 * text is `value`. */
bool ps_report_method_says(const struct ps_store_capacity *cap, const char *key);
double ps_report_method_number(const struct ps_store_capacity *cap, const char *key);
bool ps_report_method_is(const struct ps_store_capacity *cap, const char *key, const char *value);
/* ps_report_capacity returns the capacity times `by`, with the ends that the data bound: one that
 * they do not bound is 0 or INFINITY. */
struct ps_stats_interval ps_report_capacity(const struct ps_store_capacity *cap, double by);

/* ps_report_result_of returns the result of a tenant in a trial, or NULL. */
const struct ps_store_result *ps_report_result_of(const struct ps_store_trial *t, int tenant);
/* ps_report_read_hist reads stored bytes into an initialised histogram. PS_ECORRUPT. */
enum ps_status ps_report_read_hist(struct ps_hist *h, const struct ps_store_blob *b,
				   struct ps_error *err);
/* Trials of which a tenant's medians are taken, one per block. */
struct ps_report_where {
	enum ps_store_cell_kind kind; /* CONFIRM or RATES */
	int set, part, point;	      /* part and point: of RATES */
};
/* ps_report_block_p50 fills the p50 of a tenant in each block (as many as the campaign has cells):
 * NAN where there is none to be trusted, INFINITY where half had no answer. `scratch` is an
 * initialised histogram. PS_ECORRUPT. */
enum ps_status ps_report_block_p50(const struct ps_store_campaign *c, int tenant,
				   const struct ps_report_where *where, struct ps_hist *scratch,
				   double *ret_p50, struct ps_error *err);
/* ps_report_block_ratio compares n blocks: the geometric mean of x over y where both are there, its
 * interval from four on; the value is INFINITY when one x is. *ret_blocks counts them. Reorders
 * both. */
struct ps_stats_interval ps_report_block_ratio(double *x, double *y, size_t n, int *ret_blocks);
/* ps_report_cpu_saving compares a set's processor time with that of its members alone, per block.
 * PS_ENOMEM. */
enum ps_status ps_report_cpu_saving(const struct ps_store_campaign *c, int set,
				    struct ps_stats_interval *ret_saving, int *ret_blocks,
				    struct ps_error *err);
/* ps_report_alone_set returns the set of a tenant alone, or -1. */
int ps_report_alone_set(const struct ps_store_campaign *c, int tenant);
/* ps_report_in_matrix says whether a set was to be searched or confirmed: others are only of a grid
 * or a frontier. */
bool ps_report_in_matrix(const struct ps_store_campaign *c, int set);

/* ps_report_tables fills a->tables. PS_ENOMEM, PS_ECORRUPT. */
enum ps_status ps_report_tables(struct ps_report_answer *a, struct ps_error *err);
enum ps_status ps_report_interference(struct ps_report_answer *a, struct ps_error *err);
enum ps_status ps_report_frontier(struct ps_report_answer *a, struct ps_error *err);
enum ps_status ps_report_models(struct ps_report_answer *a, struct ps_error *err);
/* ps_report_table_row adds a row of values that are not known; NULL: no memory. */
struct ps_report_value *ps_report_table_row(struct ps_report_answer *a, struct ps_report_table *t);
/* ps_report_table_has says whether any row has a value in this column; one without is not shown. */
bool ps_report_table_has(const struct ps_report_table *t, int column);
/* ps_report_keep copies a text into the answer; "" when there is no memory. */
const char *ps_report_keep(struct ps_report_answer *a, const char *text);

/* ps_report_slowdown fills l->slowdown. `scratch` is an initialised histogram. PS_ENOMEM,
 * PS_ECORRUPT. */
enum ps_status ps_report_slowdown(const struct ps_store_campaign *c, struct ps_report_line *l,
				  struct ps_hist *scratch, struct ps_error *err);

/* ps_report_has_other_percentile says whether an SLA is of a percentile that the tables do not show
 * anyway. */
bool ps_report_has_other_percentile(const struct ps_report_answer *a);

/* ps_report_line_of returns the line of a tenant in a set, or NULL. */
const struct ps_report_line *ps_report_line_of(const struct ps_report_answer *a, int tenant,
					       int set);
/* ps_report_alone_line returns the line of a tenant alone, or NULL. */
const struct ps_report_line *ps_report_alone_line(const struct ps_report_answer *a, int tenant);

/* Short texts of figures; each returns buf. "-" when there is none. */
#define PS_REPORT_CELL_SIZE 80
/* "12.3" with three significant digits. */
const char *ps_report_number(double v, char buf[PS_REPORT_CELL_SIZE]);
/* "12.3 [11.0, 13.5]"; an end that is open or infinite as "open". */
const char *ps_report_interval(const struct ps_stats_interval *i, bool open_below, bool open_above,
			       char buf[PS_REPORT_CELL_SIZE]);
/* "7.1 % [-1, 15]" of a share in parts of one; an end of all or of minus infinity as "open": no
 * measurement shows that much. */
const char *ps_report_percent(const struct ps_stats_interval *i, char buf[PS_REPORT_CELL_SIZE]);
/* milliseconds: "81.2"; "lost" when it falls on requests without an answer. */
const char *ps_report_ms(int64_t ns, char buf[PS_REPORT_CELL_SIZE]);
/* "151 [140, 170]" or "151, needs 120 more" */
const char *ps_report_quantile(const struct ps_stats_time_quantile *q,
			       char buf[PS_REPORT_CELL_SIZE]);
/* "c6i.large (aws us-east-1, $0.085/h, 2026-07-20)" */
#define PS_REPORT_PRICE_SIZE 300
const char *ps_report_price(const struct ps_report_answer *a, char buf[PS_REPORT_PRICE_SIZE]);

/* ps_report_plan_sentences says what a plan rents, and against what. */
void ps_report_plan_sentences(const struct ps_report_plan *p, struct ps_strbuf *out);
/* ps_report_plan_cut says what of the predictions its tables do not list. */
void ps_report_plan_cut(const struct ps_report_plan *p, struct ps_strbuf *out);
/* ps_report_plan_text appends a->plan for a window of `width` columns; nothing without one. */
void ps_report_plan_text(const struct ps_report_answer *a, size_t width, struct ps_strbuf *out);

/* What the page's controls start from: a comparison's numbers before any rounding. */
struct ps_report_case {
	int set, n; /* members of the set, in its order */
	double demand_rps[PS_STORE_MAX_TENANTS], ray_rps[PS_STORE_MAX_TENANTS];
	struct ps_stats_interval alone_rps[PS_STORE_MAX_TENANTS];
	struct ps_stats_interval scale;
	bool has_alone, has_scale;
};
/* ps_report_widening returns by how much intervals widen (on the logarithm) when n of them shall
 * hold at once, as cost/saving.c does it. */
double ps_report_widening(int n);
/* ps_report_sheets_json makes the prices that the controls offer, each with its warnings. NULL: no
 * memory. */
json_t *ps_report_sheets_json(const struct ps_report_answer *a);
/* ps_report_case_of gathers them. */
void ps_report_case_of(const struct ps_report_answer *a, int set, struct ps_report_case *ret);

/* ps_report_value_text writes a value as the tables show it; returns buf. */
const char *ps_report_value_text(const struct ps_report_column *c, const struct ps_report_value *v,
				 char buf[PS_REPORT_CELL_SIZE]);

/* The files built into the program. */
struct ps_report_asset {
	const char *data;
	size_t len;
};
enum ps_report_asset_name {
	PS_REPORT_TEMPLATE,
	PS_REPORT_CSS,
	PS_REPORT_MONEY_JS,
	PS_REPORT_FIGURES_JS,
	PS_REPORT_PAGE_JS,
	PS_REPORT_PRICES_JS,
	PS_REPORT_WHATIF_JS,
	PS_REPORT_EVEN_JS,
	PS_REPORT_PUBLISHED_JS,
	PS_REPORT_POLICIES_JS,
	PS_REPORT_JS,
	PS_REPORT_CHART_JS,
	PS_REPORT_VERSUS_TEMPLATE,
	PS_REPORT_VERSUS_JS,
	PS_REPORT_POLICIES_TEMPLATE,
};
/* ps_report_asset_get borrows the bytes of a file. */
struct ps_report_asset ps_report_asset_get(enum ps_report_asset_name name);

#endif
