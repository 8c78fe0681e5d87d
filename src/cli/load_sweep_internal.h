/* load_sweep_internal.h - what a sweep of perseus load found, and how it looks.   Layer 6.
 *
 * A row shows the percentile that is judged: the SLA's own, p99 without one. Of several tenants it
 * shows the one that is nearest to its limit, or farthest over it, and of tenants without any SLA
 * the slowest; JSON has them all.
 */
#ifndef PS_CLI_LOAD_SWEEP_INTERNAL_H
#define PS_CLI_LOAD_SWEEP_INTERNAL_H

#include "base/strbuf.h"
#include "load/load.h"
#include "trial/sweep.h"

#define PS_CLI_LOAD_SWEEP_PERCENTILE 0.99 /* of a tenant without an SLA */

struct ps_cli_load_swept_tenant {
	struct ps_stats_time_quantile quantile; /* the SLA's, else p99 */
	enum ps_load_sla_verdict verdict;
};

struct ps_cli_load_swept_row {
	double asked; /* rate of all tenants together, or users */
	double offered_rps, throughput_rps, goodput_rps;
	struct ps_stats_time_quantile p50, p99;	  /* of several tenants the worst */
	struct ps_cli_load_swept_tenant *tenants; /* in the plan's order */
	enum ps_load_sla_verdict verdict;	  /* the worst */
	bool valid;
	char reason[PS_LOAD_REASON_SIZE]; /* the first of a run that is not */
};

struct ps_cli_load_swept {
	bool users; /* else rates */
	const struct ps_load_tenant *tenants;
	size_t tenant_len;
	struct ps_cli_load_swept_row rows[PS_TRIAL_MAX_SWEEP];
	int len, asked; /* rows, of how many points */
	bool saturated, stopped;
};

/* ps_cli_load_swept_take adds a result to a row, whose `tenants` has room for all. */
void ps_cli_load_swept_take(struct ps_cli_load_swept_row *row, const struct ps_load_result *r);
/* ps_cli_load_swept_head and ps_cli_load_swept_line append the head of the table and row k, without
 * a line feed, for `columns` columns. */
void ps_cli_load_swept_head(const struct ps_cli_load_swept *s, int columns, struct ps_strbuf *out);
void ps_cli_load_swept_line(const struct ps_cli_load_swept *s, int k, int columns,
			    struct ps_strbuf *out);
/* ps_cli_load_swept_text appends the whole table, and how the sweep ended. */
void ps_cli_load_swept_text(const struct ps_cli_load_swept *s, int columns, struct ps_strbuf *out);
/* ps_cli_load_swept_json returns a new object as docs/load-sweep.schema.json describes it. */
json_t *ps_cli_load_swept_json(const struct ps_cli_load_swept *s);

#endif
