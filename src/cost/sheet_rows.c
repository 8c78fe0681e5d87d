/* sheet_rows.c - the keys of a price sheet. */
#include "cost_internal.h"

#include <stddef.h>

#define PRICE(field)	offsetof(struct ps_cost_price, field)
#define EXCHANGE(field) offsetof(struct ps_cost_exchange, field)

const char *const ps_cost_unit_names[] = {"hour", "minute", "second", NULL};

static const struct ps_conf_option price_options[] = {
	{.name = "provider",
	 .type = PS_CONF_TEXT,
	 .offset = PRICE(provider),
	 .help = "Who rents it out.",
	 .flags = PS_CONF_REQUIRED},
	{.name = "region",
	 .type = PS_CONF_TEXT,
	 .offset = PRICE(region),
	 .help = "Where, as the provider names it; may be left out when the source names none."},
	{.name = "instance-type",
	 .type = PS_CONF_TEXT,
	 .offset = PRICE(instance_type),
	 .help = "The machine, as the provider names it.",
	 .flags = PS_CONF_REQUIRED},
	{.name = "vcpu",
	 .type = PS_CONF_REAL,
	 .offset = PRICE(vcpu),
	 .help = "Virtual CPUs.",
	 .min = 0.01,
	 .max = 10000},
	{.name = "memory-gib",
	 .type = PS_CONF_REAL,
	 .offset = PRICE(memory_gib),
	 .help = "Memory in GiB.",
	 .min = 0.01,
	 .max = 1000000},
	{.name = "gpu-kind",
	 .type = PS_CONF_TEXT,
	 .offset = PRICE(gpu_kind),
	 .help = "Which GPU it has, such as T4."},
	{.name = "gpu-count",
	 .type = PS_CONF_INT,
	 .offset = PRICE(gpu_count),
	 .help = "How many GPUs.",
	 .min = 0,
	 .max = 64},
	{.name = "on-demand-usd-per-hour",
	 .type = PS_CONF_REAL,
	 .offset = PRICE(on_demand_usd_per_hour),
	 .help = "Price without commitment, in dollars. It, or on_demand_per_hour, is needed.",
	 .min = PS_COST_MIN_USD,
	 .max = PS_COST_MAX_USD},
	{.name = "spot-usd-per-hour",
	 .type = PS_CONF_REAL,
	 .offset = PRICE(spot_usd_per_hour),
	 .help = "Price of capacity that can be revoked, in dollars.",
	 .min = PS_COST_MIN_USD,
	 .max = PS_COST_MAX_USD},
	{.name = "reserved-1y-usd-per-hour",
	 .type = PS_CONF_REAL,
	 .offset = PRICE(reserved_1y_usd_per_hour),
	 .help = "Price with a commitment of one year, in dollars.",
	 .min = PS_COST_MIN_USD,
	 .max = PS_COST_MAX_USD},
	{.name = "currency",
	 .type = PS_CONF_TEXT,
	 .offset = PRICE(currency),
	 .help = "Of the three prices below, such as EUR; left out: the sheet's."},
	{.name = "on-demand-per-hour",
	 .type = PS_CONF_REAL,
	 .offset = PRICE(on_demand_per_hour),
	 .help = "Price without commitment, in the row's currency.",
	 .min = 1e-6,
	 .max = 1e9},
	{.name = "spot-per-hour",
	 .type = PS_CONF_REAL,
	 .offset = PRICE(spot_per_hour),
	 .help = "Price of capacity that can be revoked, in the row's currency.",
	 .min = 1e-6,
	 .max = 1e9},
	{.name = "reserved-1y-per-hour",
	 .type = PS_CONF_REAL,
	 .offset = PRICE(reserved_1y_per_hour),
	 .help = "Price with a commitment of one year, in the row's currency.",
	 .min = 1e-6,
	 .max = 1e9},
	{.name = "billed-per",
	 .type = PS_CONF_ENUM,
	 .offset = PRICE(billed_per),
	 .help = "The unit of time that is billed: a part of it counts as a whole one.",
	 .choices = ps_cost_unit_names,
	 .def = "hour"},
	{.name = "minimum",
	 .type = PS_CONF_DURATION,
	 .offset = PRICE(minimum_ns),
	 .help = "What is billed of every rental at least, such as 60s.",
	 .min = 0,
	 .max = 366.0 * 86400 * 1e9},
	{.name = "source",
	 .type = PS_CONF_TEXT,
	 .offset = PRICE(source),
	 .help = "Where the price was read.",
	 .flags = PS_CONF_REQUIRED},
	{.name = "source-date",
	 .type = PS_CONF_TEXT,
	 .offset = PRICE(source_date),
	 .help = "The date of the source, as YYYY-MM-DD.",
	 .flags = PS_CONF_REQUIRED},
	{0},
};

static const struct ps_conf_schema price_schema = {
	.name = "price",
	.summary = "One instance type at one price",
	.options = price_options,
	.size = sizeof(struct ps_cost_price),
	.where_offset = PRICE(where),
};

static const struct ps_conf_option exchange_options[] = {
	{.name = "currency",
	 .type = PS_CONF_TEXT,
	 .offset = EXCHANGE(currency),
	 .help = "Three capital letters, such as EUR.",
	 .flags = PS_CONF_REQUIRED},
	{.name = "usd",
	 .type = PS_CONF_REAL,
	 .offset = EXCHANGE(usd),
	 .help = "US dollars for one unit of it.",
	 .min = 1e-6,
	 .max = 1e6,
	 .flags = PS_CONF_REQUIRED},
	{.name = "source",
	 .type = PS_CONF_TEXT,
	 .offset = EXCHANGE(source),
	 .help = "Where the rate was read.",
	 .flags = PS_CONF_REQUIRED},
	{.name = "source-date",
	 .type = PS_CONF_TEXT,
	 .offset = EXCHANGE(source_date),
	 .help = "The date of the source, as YYYY-MM-DD.",
	 .flags = PS_CONF_REQUIRED},
	{0},
};

static const struct ps_conf_schema exchange_schema = {
	.name = "exchange rate",
	.summary = "What one unit of a currency is worth",
	.options = exchange_options,
	.size = sizeof(struct ps_cost_exchange),
	.where_offset = EXCHANGE(where),
};

#define PRICES                                                                                     \
	{                                                                                          \
		.name = "prices", .type = PS_CONF_SECTIONS,                                        \
		.offset = offsetof(struct ps_cost_sheet_file, sheet.prices),                       \
		.help = "The rows of the sheet.", .min = 1, .max = 10000,                          \
		.section = &price_schema, .flags = PS_CONF_REQUIRED,                               \
	}

#define EXCHANGE_RATES                                                                             \
	{                                                                                          \
		.name = "exchange-rates", .type = PS_CONF_SECTIONS,                                \
		.offset = offsetof(struct ps_cost_sheet_file, sheet.exchange_rates),               \
		.help = "What currencies other than USD are worth; needed for every one in use.",  \
		.min = 0, .max = 200, .section = &exchange_schema,                                 \
	}

static const struct ps_conf_option rows_options[] = {PRICES, EXCHANGE_RATES, {0}};

const struct ps_conf_schema ps_cost_rows_schema = {
	.name = "prices",
	.options = rows_options,
	.size = sizeof(struct ps_cost_sheet),
	.where_offset = SIZE_MAX,
};

static const struct ps_conf_option sheet_options[] = {
	PRICES,
	{.name = "currency",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct ps_cost_sheet_file, currency),
	 .help = "Of the rows that name none.",
	 .def = "USD"},
	EXCHANGE_RATES,
	{0},
};

const struct ps_conf_schema ps_cost_sheet_schema = {
	.name = "price sheet",
	.summary = "What providers rent, and for how much",
	.details = "Every row names where its price was read and when. Prices are per hour for "
		   "the whole machine and never pro-rated; in US dollars, or in a currency whose "
		   "exchange rate the sheet states with its source.",
	.options = sheet_options,
	.size = sizeof(struct ps_cost_sheet_file),
	.where_offset = SIZE_MAX,
};
