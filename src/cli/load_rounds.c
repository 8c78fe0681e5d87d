/* load_rounds.c - see load_rounds_internal.h. */
#include "cli/load_rounds_internal.h"

#include "load/reason.h"

enum ps_status ps_cli_load_rounds_check(const struct ps_cli_load_options *o,
					const struct ps_load_plan *plan, struct ps_error *err)
{
	bool any = false;

	if (o->until_decided == 0) {
		return PS_OK;
	}
	for (size_t i = 0; i < plan->tenant_len; i++) {
		any = any || ps_sla_is_set(&plan->tenants[i].sla);
	}
	if (!any) {
		return ps_error_set(err, PS_EUSAGE,
				    "--until-decided: no tenant has an SLA to decide about");
	}
	if (o->until_decided < plan->warmup_ns + plan->duration_ns) {
		ps_error_set(err, PS_EUSAGE, "--until-decided is shorter than the first round");
		ps_error_hint(err, "--duration is the length of the first round");
		return PS_EUSAGE;
	}
	return PS_OK;
}

/* A backlog that grew, or too few samples for an interval, could not undo a violation; a generator
 * that was late, or a machine that was away, has caused it itself. */
static bool violation_stands(const struct ps_load_tenant_result *t)
{
	for (int i = 0; i < t->reason_len; i++) {
		enum ps_load_reason why = ps_load_reason_of(t->reasons[i]);

		if (why != PS_LOAD_REASON_RISING && why != PS_LOAD_REASON_FEW) {
			return false;
		}
	}
	return true;
}

static bool is_decided(const struct ps_load_tenant_result *t)
{
	return t->sla_verdict == PS_LOAD_SLA_NONE ||
	       (t->sla_verdict == PS_LOAD_SLA_MET && t->valid) ||
	       (t->sla_verdict == PS_LOAD_SLA_VIOLATED && violation_stands(t));
}

static bool all_decided(const struct ps_load_result *r)
{
	bool decided = true;

	for (size_t i = 0; i < r->tenant_len; i++) {
		decided = decided && is_decided(&r->tenants[i]);
	}
	return decided;
}

enum ps_status ps_cli_load_rounds(const struct ps_load_plan *plan, int64_t most_ns,
				  ps_load_progress_fn *progress, void *ctx,
				  struct ps_load_result *ret_result, struct ps_error *err)
{
	struct ps_load_plan round = *plan;
	int64_t used_ns = 0;

	round.look = most_ns > 0 ? 1 : 0;
	for (;;) {
		enum ps_status st = ps_load_run(&round, progress, ctx, ret_result, err);

		used_ns += round.warmup_ns + round.duration_ns;
		if (st != PS_OK || ret_result->cancelled || all_decided(ret_result) ||
		    used_ns + round.warmup_ns + 2 * round.duration_ns > most_ns) {
			return st;
		}
		ps_load_result_fini(ret_result);
		round.duration_ns *= 2;
		round.seed++;
		round.look++;
	}
}
