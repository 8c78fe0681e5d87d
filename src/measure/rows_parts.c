/* rows_parts.c - the options of grids, frontiers, packings, cold starts and profiles. */
#include "measure/rows_internal.h"

static const struct ps_conf_option axis_rows[] = {
	{.name = "tenant",
	 .type = PS_CONF_TEXT,
	 FIELD(ps_measure_axis, tenant),
	 .flags = PS_CONF_REQUIRED,
	 .help = "Whose rate it is."},
	{.name = "rates",
	 .type = PS_CONF_TEXTS,
	 FIELD(ps_measure_axis, rates),
	 .metavar = "RATE",
	 .min = 1,
	 .max = PS_MEASURE_MAX_RATES,
	 .flags = PS_CONF_REQUIRED,
	 .help = "Its rates, such as 0, 2/s, 90/min. 0: the tenant stays silent, which is what its "
		 "neighbours are compared with."},
	{0},
};

static const struct ps_conf_schema axis_schema = {
	.name = "axis",
	.summary = "The rates of one tenant in a grid.",
	.options = axis_rows,
	.size = sizeof(struct ps_measure_axis),
	.where_offset = offsetof(struct ps_measure_axis, where),
};

static const struct ps_conf_option grid_rows[] = {
	{.name = "name",
	 .type = PS_CONF_TEXT,
	 FIELD(ps_measure_grid, name),
	 .flags = PS_CONF_REQUIRED,
	 .help = "Name of the grid."},
	{.name = "axes",
	 .type = PS_CONF_SECTIONS,
	 FIELD(ps_measure_grid, axes),
	 .section = &axis_schema,
	 .min = 1,
	 .max = PS_MEASURE_MAX_MEMBERS,
	 .flags = PS_CONF_REQUIRED,
	 .help = "One axis per tenant. Every combination of their rates is a point, but for the "
		 "one in which all are silent."},
	{.name = "trials",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_grid, trials),
	 .def = "4",
	 .min = 1,
	 .max = PS_MEASURE_MAX_BLOCKS,
	 .help = "Blocks: in each, every point once, in shuffled order."},
	{.name = "duration",
	 .type = PS_CONF_DURATION,
	 FIELD(ps_measure_grid, duration_ns),
	 .def = "8s",
	 .min = 1e8,
	 .max = PS_MEASURE_HOUR_NS,
	 .help = "Length of a trial."},
	{.name = "warmup",
	 .type = PS_CONF_DURATION,
	 FIELD(ps_measure_grid, warmup_ns),
	 .def = "500ms",
	 .min = 0,
	 .max = PS_MEASURE_HOUR_NS,
	 .help = "Load before each trial, not counted."},
	{.name = "until-decided",
	 .type = PS_CONF_DURATION,
	 FIELD(ps_measure_grid, until_decided_ns),
	 .min = 0,
	 .max = 24 * PS_MEASURE_HOUR_NS,
	 .help = "While the SLA of a tenant is undecided, the trial is repeated with twice the "
		 "length and other arrivals, as long as all of them together take no more than "
		 "this; a trial that is INVALID is repeated as it was. Each is judged as one look "
		 "of several. Without it there is one trial."},
	{0},
};

static const struct ps_conf_option frontier_rows[] = {
	{.name = "name",
	 .type = PS_CONF_TEXT,
	 FIELD(ps_measure_frontier, name),
	 .flags = PS_CONF_REQUIRED,
	 .help = "Name of the frontier."},
	{.name = "tenants",
	 .type = PS_CONF_TEXTS,
	 FIELD(ps_measure_frontier, tenants),
	 .min = 2,
	 .max = 2,
	 .flags = PS_CONF_REQUIRED,
	 .help = "The two tenants."},
	{.name = "points",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_frontier, points),
	 .def = "3",
	 .min = 1,
	 .max = 32,
	 .help = "Points between the capacities alone. Point k of n is searched along the ray in "
		 "which the second tenant has the share k / (n + 1), both in units of what they "
		 "can do alone; how, says search."},
	{.name = "shares",
	 .type = PS_CONF_TEXTS,
	 FIELD(ps_measure_frontier, shares),
	 .min = 0,
	 .max = PS_MEASURE_MAX_SHARES,
	 .help = "Instead of points: the second tenant's share at each point, such as 5%, 50%, "
		 "95%."},
	{0},
};

static const struct ps_conf_option packing_rows[] = {
	{.name = "tenant",
	 .type = PS_CONF_TEXT,
	 FIELD(ps_measure_packing, tenant),
	 .flags = PS_CONF_REQUIRED,
	 .help = "The tenant: its copies have keys, queues and arrivals of their own, at its "
		 "demand "
		 "rate each, and share its model."},
	{.name = "most",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_packing, most),
	 .def = "64",
	 .min = 1,
	 .max = PS_MEASURE_MAX_COPIES,
	 .help = "Copies at most. They are searched as capacities are: how, says search."},
	{0},
};

static const struct ps_conf_option cold_rows[] = {
	{.name = "trials",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_cold, trials),
	 .def = "0",
	 .min = 0,
	 .max = PS_MEASURE_MAX_BLOCKS,
	 .help = "How often a server with one model only is started anew, per model."},
	{.name = "duration",
	 .type = PS_CONF_DURATION,
	 FIELD(ps_measure_cold, duration_ns),
	 .def = "2s",
	 .min = 1e8,
	 .max = PS_MEASURE_HOUR_NS,
	 .help = "Length of the load after the start: one user, who asks again when answered."},
	{.name = "convert",
	 .type = PS_CONF_BOOL,
	 FIELD(ps_measure_cold, convert),
	 .help = "With an empty cache of converted models, so that the first load of all is "
		 "measured."},
	{0},
};

static const struct ps_conf_option profile_rows[] = {
	{.name = "trials",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_profile, trials),
	 .def = "0",
	 .min = 0,
	 .max = PS_MEASURE_MAX_BLOCKS,
	 .help = "Blocks: in each, every model once at every batch size, in shuffled order."},
	{.name = "batches",
	 .type = PS_CONF_TEXTS,
	 FIELD(ps_measure_profile, batches),
	 .metavar = "N",
	 .min = 1,
	 .max = PS_MEASURE_MAX_BATCHES,
	 .help = "Inferences per request; 1, 2, 4, 8 when absent."},
	{.name = "duration",
	 .type = PS_CONF_DURATION,
	 FIELD(ps_measure_profile, duration_ns),
	 .def = "4s",
	 .min = 1e8,
	 .max = PS_MEASURE_HOUR_NS,
	 .help = "Length of the closed loop at one batch size."},
	{.name = "warmup",
	 .type = PS_CONF_DURATION,
	 FIELD(ps_measure_profile, warmup_ns),
	 .def = "500ms",
	 .min = 0,
	 .max = PS_MEASURE_HOUR_NS,
	 .help = "Load before each, not counted."},
	{.name = "users",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_profile, users),
	 .def = "1",
	 .min = 1,
	 .max = 4096,
	 .help = "Users of the closed loop."},
	{0},
};

static const struct ps_conf_option operators_rows[] = {
	{.name = "runs",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_operators, runs),
	 .def = "0",
	 .min = 0,
	 .max = 100000,
	 .help = "Runs of each model under the engine's own profiler, after as many as a tenth of "
		 "them; 0: none."},
	{.name = "batch",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_operators, batch),
	 .def = "1",
	 .min = 1,
	 .max = 1024,
	 .help = "Inferences per run."},
	{0},
};

const struct ps_conf_schema ps_measure_grid_schema = {
	.name = "grid",
	.summary = "Trials at every combination of some rates.",
	.options = grid_rows,
	.size = sizeof(struct ps_measure_grid),
	.where_offset = offsetof(struct ps_measure_grid, where),
};

const struct ps_conf_schema ps_measure_frontier_schema = {
	.name = "frontier",
	.summary = "The boundary between the rates of two tenants.",
	.options = frontier_rows,
	.size = sizeof(struct ps_measure_frontier),
	.where_offset = offsetof(struct ps_measure_frontier, where),
};

const struct ps_conf_schema ps_measure_packing_schema = {
	.name = "packing",
	.summary = "How many copies of a tenant fit the slice.",
	.options = packing_rows,
	.size = sizeof(struct ps_measure_packing),
	.where_offset = offsetof(struct ps_measure_packing, where),
};

const struct ps_conf_schema ps_measure_cold_schema = {
	.name = "cold",
	.summary = "Cold starts: time to load, first requests, memory.",
	.options = cold_rows,
	.size = sizeof(struct ps_measure_cold),
	.where_offset = SIZE_MAX,
};

const struct ps_conf_schema ps_measure_profile_schema = {
	.name = "profile",
	.summary = "Models at several batch sizes.",
	.options = profile_rows,
	.size = sizeof(struct ps_measure_profile),
	.where_offset = SIZE_MAX,
};

const struct ps_conf_schema ps_measure_operators_schema = {
	.name = "operators",
	.summary = "Where a model's time goes.",
	.options = operators_rows,
	.size = sizeof(struct ps_measure_operators),
	.where_offset = SIZE_MAX,
};
