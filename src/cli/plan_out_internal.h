/* plan_out_internal.h - a plan as text, JSON and server configurations.   Layer 6. */
#ifndef PS_CLI_PLAN_OUT_INTERNAL_H
#define PS_CLI_PLAN_OUT_INTERNAL_H

#include "base/json.h"
#include "base/strbuf.h"
#include "plan/answer.h"

/* ps_cli_plan_text appends the plan; of its machines the first `most`. */
void ps_cli_plan_text(const struct ps_plan_answer *a, int most, struct ps_strbuf *out);
/* ps_cli_plan_prices_text appends source and date of each price that the plan pays, with a warning
 * of old ones; _json lists the same, _warn says the warnings on stderr. */
void ps_cli_plan_prices_text(const struct ps_plan_answer *a, struct ps_cost_date today,
			     struct ps_strbuf *out);
json_t *ps_cli_plan_prices_json(const struct ps_plan_answer *a, struct ps_cost_date today);
void ps_cli_plan_prices_warn(const struct ps_plan_answer *a, struct ps_cost_date today);
/* ps_cli_plan_json returns it as one object, or NULL without memory. */
json_t *ps_cli_plan_json(const struct ps_plan_answer *a);
/* ps_cli_plan_bound_text says where a bound comes from. */
const char *ps_cli_plan_bound_text(enum ps_plan_bound by);
/* ps_cli_plan_weight returns the weight that a tenant's configuration has on a machine: its planned
 * share, in per cent. */
int64_t ps_cli_plan_weight(const struct ps_plan_place *p);
/* ps_cli_plan_model_path returns where a model's file is, `path` being as the profiles say it:
 * absolute, since configurations are elsewhere. The caller frees; NULL without memory. */
char *ps_cli_plan_model_path(const struct ps_plan_case *c, const char *path);
/* ps_cli_plan_machine_config appends the configuration of perseus serve for machine `i`. PS_EINVAL
 * when the profiles do not say where a model's file is. */
enum ps_status ps_cli_plan_machine_config(const struct ps_plan_answer *a, int i,
					  struct ps_strbuf *out, struct ps_error *err);
/* ps_cli_plan_serve writes a configuration of perseus serve per machine, DIR/machine-001.yaml and
 * so on. PS_EINVAL when the profiles do not say where a model's file is. Blocking. */
enum ps_status ps_cli_plan_serve(const struct ps_plan_answer *a, const char *dir,
				 struct ps_error *err);

#endif
