/* price_options_internal.h - how commands are told what a machine costs.   Layer 6. */
#ifndef PS_CLI_PRICE_OPTIONS_INTERNAL_H
#define PS_CLI_PRICE_OPTIONS_INTERNAL_H

#include "cli/cli.h"
#include "cost/cost.h"
#include "report/costs.h"
#include "report_verbs_internal.h"
#include "store/store.h"

struct ps_cli_price_options {
	char *prices, *today;
	double spot_share, reserved_share;
};

/* PS_CLI_TODAY is the row of --today. */
#define PS_CLI_TODAY(at)                                                                           \
	{                                                                                          \
		.name = "today", .type = PS_CONF_TEXT, .offset = (at), .metavar = "YYYY-MM-DD",    \
		.help = "The day by which the age of prices is judged. Left out: the clock's.",    \
	}

/* PS_CLI_PRICE is the rows of --prices, --spot-share, --reserved-share and --today for an options
 * struct with a field `struct ps_cli_price_options price`. */
#define PS_CLI_PRICE_AT(struct_type, field)                                                        \
	(offsetof(struct_type, price) + offsetof(struct ps_cli_price_options, field))
#define PS_CLI_PRICE(struct_type, prices_help)                                                     \
	{.name = "prices",                                                                         \
	 .type = PS_CONF_TEXT,                                                                     \
	 .offset = PS_CLI_PRICE_AT(struct_type, prices),                                           \
	 .metavar = "SHEET",                                                                       \
	 .help = (prices_help)},                                                                   \
		{.name = "spot-share",                                                             \
		 .type = PS_CONF_RATIO,                                                            \
		 .offset = PS_CLI_PRICE_AT(struct_type, spot_share),                               \
		 .help = "Share of machine hours bought at the spot price."},                      \
		{.name = "reserved-share",                                                         \
		 .type = PS_CONF_RATIO,                                                            \
		 .offset = PS_CLI_PRICE_AT(struct_type, reserved_share),                           \
		 .help = "Share of machine hours bought with a commitment of one year. The rest "  \
			 "is on demand."},                                                         \
		PS_CLI_TODAY(PS_CLI_PRICE_AT(struct_type, today))

/* What a command prices with: a sheet's rows, or the one row that a campaign was stored with. */
struct ps_cli_pricing {
	struct ps_cost_sheet sheet;
	struct ps_report_price_row stored; /* borrows from the campaign */
	struct ps_cost_mix mix;
	struct ps_cost_date today;
	bool has_sheet, has_stored;
	bool has_terms; /* the stored price has its units of billing, spot and reserved prices */
};

/* ps_cli_today reads the day of --today; NULL: the clock's. PS_EUSAGE for one that is none. */
enum ps_status ps_cli_today(const char *text, struct ps_cost_date *ret_today, struct ps_error *err);

/* ps_cli_pricing_open reads the sheet, if one was named; `stored` (NULL: none) is the price that is
 * used without one, and whose type is the default. The errors of ps_cost_sheet_load; PS_EUSAGE for
 * a day that is none, PS_EINVAL for shares over 1. The caller closes it; until then it may not be
 * moved. */
enum ps_status ps_cli_pricing_open(const struct ps_cli_price_options *o,
				   const struct ps_store_price *stored,
				   struct ps_cli_pricing *ret_pricing, struct ps_error *err);
void ps_cli_pricing_close(struct ps_cli_pricing *p);

/* ps_cli_pricing_find borrows the row of `name` (NULL: of the stored type) and computes its price
 * per hour as bought. PS_EUSAGE when there is neither sheet nor stored price, and for shares of a
 * stored one without terms. */
enum ps_status ps_cli_pricing_find(const struct ps_cli_pricing *p, const char *name,
				   const struct ps_cost_price **ret_price, double *ret_usd_per_hour,
				   struct ps_error *err);

/* What every verb that reckons with money begins with: a campaign's answer, and prices. */
struct ps_cli_priced {
	struct ps_cli_answered answered;
	struct ps_cli_pricing pricing;
};

/* ps_cli_priced_open reads both. The errors of ps_cli_answer_open and ps_cli_pricing_open; the
 * caller closes it, and does not move it. */
enum ps_status ps_cli_priced_open(const char *store, int64_t campaign,
				  const struct ps_cli_price_options *o,
				  struct ps_cli_priced *ret_priced, struct ps_error *err);
/* ps_cli_priced_close frees both; a zeroed one may be passed. */
void ps_cli_priced_close(struct ps_cli_priced *p);

/* ps_cli_warn_price says on stderr that a price is old on a day. */
void ps_cli_warn_price(struct ps_cost_date today, const struct ps_cost_price *price);
/* ps_cli_warn_slice says there that the slice that was measured is another machine. */
void ps_cli_warn_slice(const struct ps_store_campaign *c, const struct ps_cost_price *price);

#endif
