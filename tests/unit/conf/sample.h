/* sample.h - a table with a row of each type, for the tests of conf. */
#ifndef TEST_CONF_SAMPLE_H
#define TEST_CONF_SAMPLE_H

#include "conf/conf.h"

#include <stddef.h>

struct tenant {
	struct ps_conf_where where;
	char *name;
	double rate;
	struct ps_sla sla;
	struct ps_conf_texts keys;
};

struct slice {
	struct ps_conf_where where;
	struct ps_cpus cpus;
	int64_t memory_bytes;
};

struct sample {
	bool json, spin;
	int64_t threads;
	double factor;
	char *url, *key;
	int64_t duration_ns, limit_bytes, settle_ns;
	double rate, ratio;
	int arrival;
	struct ps_sla sla;
	struct ps_cpus cpus;
	struct ps_conf_texts names;
	struct slice slice;
	struct ps_conf_array tenants;
	struct ps_conf_texts rest;
	struct ps_conf_where where;
};

static const char *const arrivals[] = {"poisson", "constant", NULL};

static const char *const settle_words[] = {"auto", "never", NULL};

#define ROW(st, n, t, field, ...)                                                                  \
	{                                                                                          \
		.name = n, .type = t, .offset = offsetof(st, field), .help = "Help of " n ".",     \
		__VA_ARGS__                                                                        \
	}

static const struct ps_conf_option tenant_rows[] = {
	ROW(struct tenant, "name", PS_CONF_TEXT, name, .flags = PS_CONF_REQUIRED),
	ROW(struct tenant, "rate", PS_CONF_RATE, rate, .def = "5", .min = 0, .max = 1000),
	ROW(struct tenant, "sla", PS_CONF_SLA, sla),
	ROW(struct tenant, "keys", PS_CONF_TEXTS, keys, .min = 1, .max = 2),
	{0},
};
static const struct ps_conf_schema tenant_schema = {
	.name = "a tenant",
	.options = tenant_rows,
	.size = sizeof(struct tenant),
	.where_offset = offsetof(struct tenant, where),
};

static const struct ps_conf_option slice_rows[] = {
	ROW(struct slice, "cpus", PS_CONF_CPUS, cpus, .flags = PS_CONF_REQUIRED),
	ROW(struct slice, "memory", PS_CONF_BYTES, memory_bytes, .def = "1GiB"),
	{0},
};
static const struct ps_conf_schema slice_schema = {
	.name = "the slice",
	.options = slice_rows,
	.size = sizeof(struct slice),
	.where_offset = offsetof(struct slice, where),
};

static const struct ps_conf_option sample_rows[] = {
	ROW(struct sample, "json", PS_CONF_BOOL, json),
	ROW(struct sample, "spin", PS_CONF_BOOL, spin, .def = "true"),
	ROW(struct sample, "threads", PS_CONF_INT, threads, .def = "1", .min = 1, .max = 64,
	    .letter = 't'),
	ROW(struct sample, "factor", PS_CONF_REAL, factor, .min = 1, .max = 0),
	ROW(struct sample, "url", PS_CONF_TEXT, url, .metavar = "URL"),
	ROW(struct sample, "api-key", PS_CONF_TEXT, key, .flags = PS_CONF_SECRET),
	ROW(struct sample, "duration", PS_CONF_DURATION, duration_ns, .def = "8s", .min = 1e6,
	    .max = 3600e9),
	ROW(struct sample, "limit", PS_CONF_BYTES, limit_bytes),
	ROW(struct sample, "settle", PS_CONF_DURATION, settle_ns, .def = "2s", .min = 0,
	    .max = 60e9, .choices = settle_words),
	ROW(struct sample, "rate", PS_CONF_RATE, rate, .letter = 'r'),
	ROW(struct sample, "ratio", PS_CONF_RATIO, ratio),
	ROW(struct sample, "arrival", PS_CONF_ENUM, arrival, .choices = arrivals),
	ROW(struct sample, "sla", PS_CONF_SLA, sla),
	ROW(struct sample, "cpus", PS_CONF_CPUS, cpus),
	ROW(struct sample, "names", PS_CONF_TEXTS, names, .def = "first"),
	ROW(struct sample, "slice", PS_CONF_SECTION, slice, .section = &slice_schema),
	ROW(struct sample, "tenants", PS_CONF_SECTIONS, tenants, .section = &tenant_schema,
	    .min = 1, .max = 3),
	ROW(struct sample, "rest", PS_CONF_TEXTS, rest, .flags = PS_CONF_POSITIONAL,
	    .metavar = "MODEL"),
	{0},
};
static const struct ps_conf_schema sample_schema = {
	.name = "sample",
	.summary = "A sample of every type.",
	.details = "First paragraph that is long enough to be broken into several lines when the "
		   "window is narrow.\n\n  kept   as   it is\n\nLast paragraph.",
	.example = "sample --rate 20 resnet50\nsample -t 2",
	.options = sample_rows,
	.size = sizeof(struct sample),
	.where_offset = offsetof(struct sample, where),
};

#endif
