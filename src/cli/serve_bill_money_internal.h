/* serve_bill_money_internal.h - a server's ledger in money.   Layer 6. */
#ifndef PS_CLI_SERVE_BILL_MONEY_INTERNAL_H
#define PS_CLI_SERVE_BILL_MONEY_INTERNAL_H

#include "bill_options_internal.h"
#include "store/state.h"

struct ps_cli_ledger_bill {
	const struct ps_cli_price_options *price;
	const struct ps_cli_bill_options *bill;
	const char *priced_as, *state_dir;
	bool json, csv;
};

/* ps_cli_ledger_bill splits what the machine cost in the query's minutes over the ledger's tenants
 * and models, and prints it. What the ledger may lack is said on stderr. The query names a begin;
 * one without an end ends with the minute that goes on. Errors of store/state.h, cost/bill.h. */
enum ps_status ps_cli_ledger_bill(struct ps_state *s, const struct ps_state_query *q,
				  const struct ps_cli_ledger_bill *o, struct ps_error *err);

#endif
