/* load_rounds_internal.h - a load again and again until its SLAs are decided.   Layer 6. */
#ifndef PS_CLI_LOAD_ROUNDS_INTERNAL_H
#define PS_CLI_LOAD_ROUNDS_INTERNAL_H

#include "cli/load_options_internal.h"
#include "load/load.h"

/* ps_cli_load_rounds_check refuses --until-decided where nothing is to be decided, and when it is
 * shorter than the first round. PS_EUSAGE. */
enum ps_status ps_cli_load_rounds_check(const struct ps_cli_load_options *o,
					const struct ps_load_plan *plan, struct ps_error *err);

/* ps_cli_load_rounds performs the plan. With a bound, and while an SLA is undecided, it does so
 * again with the next seed and twice the duration, as long as all rounds together stay within
 * `most_ns`. Each round is judged on its own requests, and as one look of several: the k-th spends
 * 1/2^k of the error, so that all of them together err no more often than one alone would. Fills
 * the result of the last round. Same errors as ps_load_run. */
enum ps_status ps_cli_load_rounds(const struct ps_load_plan *plan, int64_t most_ns,
				  ps_load_progress_fn *progress, void *ctx,
				  struct ps_load_result *ret_result, struct ps_error *err);

#endif
