/* load_plan_internal.h - from the options of perseus load to a plan.   Layer 6. */
#ifndef PS_CLI_LOAD_PLAN_INTERNAL_H
#define PS_CLI_LOAD_PLAN_INTERNAL_H

#include "base/arena.h"
#include "cli/load_options_internal.h"
#include "load/load.h"
#include "load/trace.h"

/* A plan and what it borrows from. */
struct ps_cli_load_setup {
	struct ps_load_plan plan;
	struct ps_cli_load_file file; /* when there was one */
	bool has_file;
	struct ps_load_traces traces;
	struct ps_arena arena; /* of the targets */
};

/* ps_cli_load_setup_make reads --file where there is one and makes the plan. `o` must outlive it.
 * PS_EUSAGE, PS_EPARSE (with file:line), what reading a trace gives, PS_ENOMEM; on failure there is
 * nothing to free. */
enum ps_status ps_cli_load_setup_make(struct ps_cli_load_options *o, struct ps_cli_load_setup *ret,
				      struct ps_error *err);
/* ps_cli_load_setup_free releases what it owns. */
void ps_cli_load_setup_free(struct ps_cli_load_setup *s);

#endif
