/* cmd_load.c - perseus load: requests on an absolute schedule, and what became of them. */
#include "cli/cli.h"
#include "cli/load_files_internal.h"
#include "cli/load_live_internal.h"
#include "cli/load_log_internal.h"
#include "cli/load_modes_internal.h"
#include "cli/load_plan_internal.h"
#include "cli/load_rounds_internal.h"
#include "cli/load_text_internal.h"

#define MIN_SUCCESS 0.99 /* of a tenant without an SLA */

static bool show_progress(void *ctx, const struct ps_load_progress *p)
{
	ps_cli_load_live_show(ctx, p);
	return !ps_cli_stopped();
}

static enum ps_status print_result(const struct ps_cli_load_options *o,
				   const struct ps_load_plan *plan, const struct ps_load_result *r,
				   struct ps_error *err)
{
	struct ps_strbuf out;
	enum ps_status st;

	if (o->json) {
		return ps_cli_print_json(ps_load_result_json(r), err);
	}
	ps_strbuf_init(&out);
	ps_cli_load_text(plan, r, &out);
	st = ps_strbuf_status(&out) == PS_OK ? ps_cli_print(out.data, out.len, err)
					     : ps_error_set(err, PS_ENOMEM, "no memory");
	ps_strbuf_fini(&out);
	return st;
}

/* Without an SLA a run that mostly failed is still no success to a script. */
static bool tenant_well(const struct ps_load_tenant_result *t)
{
	return t->sla_verdict == PS_LOAD_SLA_MET ||
	       (t->sla_verdict == PS_LOAD_SLA_NONE && t->success_ratio >= MIN_SUCCESS);
}

static bool all_well(const struct ps_load_result *r)
{
	bool well = r->valid;

	for (size_t i = 0; i < r->tenant_len; i++) {
		well = well && tenant_well(&r->tenants[i]);
	}
	return well;
}

static int perform(const struct ps_cli_load_options *o, const struct ps_load_plan *plan)
{
	struct ps_cli_load_live live;
	struct ps_load_result r;
	struct ps_error err = {0};
	enum ps_status st;
	bool well;

	ps_cli_stop_on_signals();
	ps_cli_load_live_init(&live);
	st = ps_cli_load_rounds(plan, o->until_decided, show_progress, &live, &r, &err);
	ps_cli_load_live_done(&live);
	if (st != PS_OK) {
		return ps_cli_fail(&err);
	}
	st = print_result(o, plan, &r, &err);
	if (st == PS_OK) {
		st = ps_cli_load_files_write(o, &r, &err);
	}
	well = all_well(&r);
	ps_load_result_fini(&r);
	if (st != PS_OK) {
		return ps_cli_fail(&err);
	}
	return well ? PS_CLI_OK : PS_CLI_NEGATIVE;
}

static int run(void *options)
{
	struct ps_cli_load_options *o = options;
	struct ps_cli_load_setup setup;
	struct ps_error err = {0};
	int code;

	if (ps_cli_load_modes_prepare(o, &err) != PS_OK ||
	    ps_cli_load_setup_make(o, &setup, &err) != PS_OK) {
		return ps_cli_fail(&err);
	}
	if (ps_cli_load_files_check(o, &setup.plan, &err) != PS_OK ||
	    ps_cli_load_rounds_check(o, &setup.plan, &err) != PS_OK) {
		code = ps_cli_fail(&err);
	} else if (ps_cli_load_modes_any(&o->m)) {
		code = ps_cli_load_modes_run(&o->m, &setup.plan, o->json);
	} else {
		code = perform(o, &setup.plan);
	}
	ps_cli_load_setup_free(&setup);
	return code;
}

static const struct ps_cli_command *const verbs[] = {&ps_cli_load_log, NULL};
static const struct ps_conf_schema *const files[] = {&ps_cli_load_file_schema, NULL};

const struct ps_cli_command ps_cmd_load = {
	.name = "load",
	.schema = &ps_cli_load_schema,
	.run = run,
	.verbs = verbs,
	.files = files,
};
