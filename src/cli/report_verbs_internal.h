/* report_verbs_internal.h - perseus report VERB, and what the verbs share.   Layer 6. */
#ifndef PS_CLI_REPORT_VERBS_INTERNAL_H
#define PS_CLI_REPORT_VERBS_INTERNAL_H

#include "cli/cli.h"
#include "report/report.h"

extern const struct ps_cli_command ps_cli_report_cost, ps_cli_report_loads,
	ps_cli_report_break_even, ps_cli_report_bill;

/* A campaign of a store, read, with its answer. */
struct ps_cli_answered {
	struct ps_store_campaign *campaign;
	struct ps_report_answer answer;
};

/* ps_cli_answer_open reads campaign `id` (0: the last one begun) of a store and computes its
 * answer. The errors of ps_store_open and ps_report_build; the caller closes it. */
enum ps_status ps_cli_answer_open(const char *path, int64_t id, struct ps_cli_answered *ret,
				  struct ps_error *err);
/* ps_cli_answer_close frees both; a zeroed one may be passed. */
void ps_cli_answer_close(struct ps_cli_answered *a);

/* ps_cli_out_print prints a buffer that may have failed. PS_ENOMEM, PS_EIO. */
enum ps_status ps_cli_out_print(const struct ps_strbuf *out, struct ps_error *err);

#endif
