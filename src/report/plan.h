/* plan.h - what is to be rented, and predictions held against measurements: read from the JSON of
 * `perseus plan --json` (and of any other program that writes the same), shown as a part of the
 * report.   Layer 5. Uses base, stats.
 *
 * The file (docs/report.md has every key):
 *
 *	{"format": "perseus-plan/1", "tenants": [..], "placements": {"plan": P, "dedicated": P,
 *	 "homogeneous": P}, "predictions": [..], "verification": {..}, ..}
 *
 * Of a plan that was measured, foreseen against measured latencies are predictions, too; those of
 * models left out come from a second file.
 *
 * Placements or predictions may be absent, not both. Keys that are not known are left alone.
 * Numbers that are absent are NAN. Limits: 16 MiB, PS_REPORT_PLAN_MAX of tenants, of machines in a
 * placement (those that are alike are one entry with a count), of tenants on a machine and of
 * predictions.
 */
#ifndef PS_REPORT_PLAN_H
#define PS_REPORT_PLAN_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "stats/stats.h"

#include <stddef.h>
#include <stdint.h>

#define PS_REPORT_PLAN_MAX	 20000
#define PS_REPORT_PLAN_MAX_BYTES (16 << 20)

struct ps_report_plan_tenant {
	const char *name, *model, *sla; /* "" where not said */
	double rps;
};

/* A tenant on one machine. */
struct ps_report_plan_guest {
	int tenant; /* index into the plan's tenants */
	double rps, share, load, limit_ms, headroom;
	double percentile;	    /* of the latency, in parts of one; NAN: the 99th */
	double p99_ms, p99_high_ms; /* at that percentile */
};

/* So many machines that are alike. */
struct ps_report_plan_machine {
	const char *name, *instance_type, *provider, *region, *market; /* "" where not said */
	int64_t count;
	double usd_per_hour; /* of one */
	double vcpu, memory_bytes, memory_used_bytes, load;
	struct ps_report_plan_guest *guests;
	size_t guest_len;
};

struct ps_report_placement {
	bool known;
	double usd_per_hour;
	int64_t machine_count; /* with their counts */
	struct ps_report_plan_machine *machines;
	size_t machine_len;
};

enum ps_report_placement_id {
	PS_REPORT_DEDICATED,
	PS_REPORT_HOMOGENEOUS,
	PS_REPORT_PLANNED,
	PS_REPORT_PLACEMENTS
};

struct ps_report_prediction {
	const char *what, *unit;
	struct ps_stats_interval predicted, measured;
};

/* A tenant of a planned machine that was to be measured (perseus plan --verify). */
struct ps_report_proved {
	const char *machines, *instance_type, *tenant;
	const char *verdict; /* "met", "violated", "undecided", "INVALID", "not measured" */
	const char *why;     /* not measured; else "" */
	double rps, percentile, limit_ms;
	double foreseen_ms, foreseen_high_ms; /* at that percentile, as all of these */
	struct ps_stats_interval measured_ms; /* INFINITY: never answered; NAN: not measured */
	double goodput_rps, usd_per_hour, usd_per_million_good;
};

struct ps_report_unplaced {
	int tenant;
	const char *reason;
};

struct ps_report_plan {
	const char *name, *verdict, *proof; /* "" where not said */
	struct ps_report_plan_tenant *tenants;
	size_t tenant_len;
	struct ps_report_placement placements[PS_REPORT_PLACEMENTS];
	double bound_usd_per_hour, gap;
	struct ps_report_unplaced *unplaced;
	size_t unplaced_len;
	struct ps_report_prediction *predictions;
	size_t prediction_len;
	size_t predictions_silent;  /* of which no candidate said anything; not among them */
	const char *proved_verdict; /* "holds", "fails", "not shown"; "": it was not measured */
	const char *proved_sentence;
	struct ps_report_proved *proved;
	size_t proved_len;
	struct ps_arena arena;
};

/* ps_report_plan_parse reads the text; the caller calls ps_report_plan_free. PS_EPARSE: no JSON, or
 * what is there does not fit the format (where: the key, such as placements.plan.machines[2]);
 * PS_ETOOBIG; PS_ENOMEM. */
enum ps_status ps_report_plan_parse(const char *text, size_t len, struct ps_report_plan *ret_plan,
				    struct ps_error *err);
/* ps_report_plan_predictions adds what perseus predict --validate --json says of models left out to
 * a plan, or to a zeroed one. The errors of ps_report_plan_parse; the plan is freed as before. */
enum ps_status ps_report_plan_predictions(const char *text, size_t len, struct ps_report_plan *plan,
					  struct ps_error *err);
/* ps_report_plan_free frees it; a zeroed one may be passed. */
void ps_report_plan_free(struct ps_report_plan *p);
/* ps_report_placement_name returns the key in the file; _title the words for people. */
const char *ps_report_placement_name(enum ps_report_placement_id id);
const char *ps_report_placement_title(enum ps_report_placement_id id);
/* ps_report_plan_json and _predictions_json make what the page and --json hold: of each placement
 * the first PS_REPORT_PLAN_SHOWN entries. NULL: no memory. */
#define PS_REPORT_PLAN_SHOWN 400
json_t *ps_report_plan_json(const struct ps_report_plan *p);
json_t *ps_report_predictions_json(const struct ps_report_plan *p);

#endif
