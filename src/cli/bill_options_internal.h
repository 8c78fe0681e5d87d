/* bill_options_internal.h - a bill in money, of a ledger or a campaign.   Layer 6. */
#ifndef PS_CLI_BILL_OPTIONS_INTERNAL_H
#define PS_CLI_BILL_OPTIONS_INTERNAL_H

#include "cost/bill.h"
#include "price_options_internal.h"

struct ps_cli_bill_options {
	double vcpu;
	int64_t memory_bytes;
	char *memory_weight, *account; /* NULL: not given */
};

/* PS_CLI_BILL is the rows of --memory-weight, --vcpu, --memory and --account for an options struct
 * with a field `struct ps_cli_bill_options bill`. */
#define PS_CLI_BILL_AT(struct_type, field)                                                         \
	(offsetof(struct_type, bill) + offsetof(struct ps_cli_bill_options, field))
#define PS_CLI_BILL(struct_type)                                                                   \
	{.name = "memory-weight",                                                                  \
	 .type = PS_CONF_TEXT,                                                                     \
	 .offset = PS_CLI_BILL_AT(struct_type, memory_weight),                                     \
	 .metavar = "RATIO",                                                                       \
	 .help = "The part of the machine's cost that is split by memory over time, 0% to 100%; "  \
		 "the rest is split by compute time. 50% when left out."},                         \
		{.name = "vcpu",                                                                   \
		 .type = PS_CONF_REAL,                                                             \
		 .offset = PS_CLI_BILL_AT(struct_type, vcpu),                                      \
		 .help = "vCPUs of the machine, when the sheet does not state them or another "    \
			 "number counts.",                                                         \
		 .min = 0.01,                                                                      \
		 .max = 10000},                                                                    \
		{.name = "memory",                                                                 \
		 .type = PS_CONF_BYTES,                                                            \
		 .offset = PS_CLI_BILL_AT(struct_type, memory_bytes),                              \
		 .help = "Memory of the machine, likewise.",                                       \
		 .min = 1048576,                                                                   \
		 .max = 0},                                                                        \
	{                                                                                          \
		.name = "account", .type = PS_CONF_TEXT,                                           \
		.offset = PS_CLI_BILL_AT(struct_type, account), .metavar = "NAME",                 \
		.help = "BillingAccountId of the CSV: who pays the provider. \"default\" when "    \
			"left "                                                                    \
			"out.",                                                                    \
	}

/* ps_cli_bill_machine fills price, mix, sizes, weight and account of a bill. PS_EUSAGE for a weight
 * that is none. */
enum ps_status ps_cli_bill_machine(const struct ps_cli_bill_options *o,
				   const struct ps_cli_pricing *p,
				   const struct ps_cost_price *price, struct ps_cost_bill *b,
				   struct ps_error *err);
/* ps_cli_bill_print splits the bill and prints it: JSON, CSV (FOCUS columns) or text. */
enum ps_status ps_cli_bill_print(struct ps_cost_bill *b, bool json, bool csv, struct ps_error *err);

#endif
