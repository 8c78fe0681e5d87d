#include "measure/measure_internal.h"

#include "base/file.h"
#include "base/strbuf.h"
#include "model/zoo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CAMPAIGN_BYTES (1u << 20)
#define MAX_NAME	   48

/* ---- rows ---- */

#define HOUR_NS (3600.0 * 1e9)

#define FIELD(S, F) .offset = offsetof(struct S, F)

static const struct ps_conf_option model_rows[] = {
	{.name = "name",
	 .type = PS_CONF_TEXT,
	 FIELD(ps_measure_model, name),
	 .flags = PS_CONF_REQUIRED,
	 .help = "What tenants call it."},
	{.name = "file",
	 .type = PS_CONF_TEXT,
	 FIELD(ps_measure_model, file),
	 .metavar = "PATH",
	 .help = "An ONNX file or a *.synthetic.yaml file; relative to the campaign's folder."},
	{.name = "zoo",
	 .type = PS_CONF_TEXT,
	 FIELD(ps_measure_model, zoo),
	 .metavar = "NAME",
	 .help = "Instead of a file: a network of `perseus zoo list`, written when needed."},
	{0},
};

static const struct ps_conf_option tenant_rows[] = {
	{.name = "name",
	 .type = PS_CONF_TEXT,
	 FIELD(ps_measure_tenant, name),
	 .flags = PS_CONF_REQUIRED,
	 .help = "Name of the tenant: letters, digits, '.', '_', '-'."},
	{.name = "model",
	 .type = PS_CONF_TEXT,
	 FIELD(ps_measure_tenant, model),
	 .flags = PS_CONF_REQUIRED,
	 .help = "Name of its model, from models."},
	{.name = "demand",
	 .type = PS_CONF_RATE,
	 FIELD(ps_measure_tenant, demand_rps),
	 .min = 1e-3,
	 .max = 1e6,
	 .flags = PS_CONF_REQUIRED,
	 .help = "The rate of requests that this tenant really needs."},
	{.name = "sla",
	 .type = PS_CONF_SLA,
	 FIELD(ps_measure_tenant, sla),
	 .flags = PS_CONF_REQUIRED,
	 .help = "What it was promised, such as p95<=200ms,success>=99%."},
	{.name = "batch",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_tenant, batch),
	 .def = "1",
	 .min = 1,
	 .max = 1024,
	 .help = "Inferences per request."},
	{0},
};

static const struct ps_conf_option set_rows[] = {
	{.name = "name",
	 .type = PS_CONF_TEXT,
	 FIELD(ps_measure_set, name),
	 .flags = PS_CONF_REQUIRED,
	 .help = "Name of the set."},
	{.name = "tenants",
	 .type = PS_CONF_TEXTS,
	 FIELD(ps_measure_set, tenants),
	 .min = 2,
	 .max = PS_MEASURE_MAX_MEMBERS,
	 .flags = PS_CONF_REQUIRED,
	 .help = "The tenants that share the slice."},
	{0},
};

static const struct ps_conf_option slice_rows[] = {
	{.name = "cpus",
	 .type = PS_CONF_CPUS,
	 FIELD(ps_measure_slice, cpus),
	 .help = "CPUs of the server; all that may be used when absent."},
	{.name = "memory",
	 .type = PS_CONF_BYTES,
	 FIELD(ps_measure_slice, memory_bytes),
	 .min = 1 << 24,
	 .max = 1e15,
	 .help = "Memory of the server, where control groups let us limit it."},
	{.name = "priced-as",
	 .type = PS_CONF_TEXT,
	 FIELD(ps_measure_slice, priced_as),
	 .metavar = "INSTANCE",
	 .help = "Instance type that the slice is priced as: c6i.large, aws/c6i.large."},
	{.name = "prices",
	 .type = PS_CONF_TEXT,
	 FIELD(ps_measure_slice, prices),
	 .metavar = "PATH",
	 .def = "prices.yaml",
	 .help = "Price sheet; relative to the campaign's folder."},
	{0},
};

static const char *const widths[] = {"narrow", "wide", NULL};

static const struct ps_conf_option server_rows[] = {
	{.name = "lanes",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_server, lanes),
	 .def = "0",
	 .min = 0,
	 .max = PS_MEASURE_MAX_LANES,
	 .help = "Requests that run at once; 0: one per CPU of the slice when narrow, one when "
		 "wide."},
	{.name = "width",
	 .type = PS_CONF_ENUM,
	 FIELD(ps_measure_server, width),
	 .choices = widths,
	 .def = "narrow",
	 .help = "One CPU per request, or all of them."},
	{.name = "queue-limit",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_server, queue_limit),
	 .def = "1024",
	 .min = 1,
	 .max = 1e6,
	 .help = "Requests of a tenant that may wait; further ones are refused at once."},
	{.name = "library",
	 .type = PS_CONF_TEXT,
	 FIELD(ps_measure_server, library),
	 .metavar = "PATH",
	 .help = "ONNX Runtime to use; the server's own search when absent."},
	{0},
};

static const struct ps_conf_option search_rows[] = {
	{.name = "scale",
	 .type = PS_CONF_DURATION,
	 FIELD(ps_measure_search, scale_ns),
	 .def = "4s",
	 .min = 1e8,
	 .max = HOUR_NS,
	 .help = "Length of the closed loop that finds the scale."},
	{.name = "steps",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_search, steps),
	 .def = "4",
	 .min = 2,
	 .max = 100,
	 .help = "Steps at most, per set."},
	{.name = "min-steps",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_search, min_steps),
	 .def = "4",
	 .min = 2,
	 .max = 100,
	 .help = "Steps at least, before the search may stop for being precise."},
	{.name = "step",
	 .type = PS_CONF_DURATION,
	 FIELD(ps_measure_search, step_ns),
	 .def = "8s",
	 .min = 1e8,
	 .max = HOUR_NS,
	 .help = "Length of a step."},
	{.name = "warmup",
	 .type = PS_CONF_DURATION,
	 FIELD(ps_measure_search, warmup_ns),
	 .def = "500ms",
	 .min = 0,
	 .max = HOUR_NS,
	 .help = "Load before each step, not counted."},
	{.name = "checks",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_search, checks),
	 .def = "1",
	 .min = 0,
	 .max = 8,
	 .help = "Fresh trials, at most, until one keeps every SLA: the first at the lower end of "
		 "the "
		 "capacity's interval, each further one below the last."},
	{.name = "users",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_search, users),
	 .def = "0",
	 .min = 0,
	 .max = 4096,
	 .help = "Users of the closed loop, per tenant; 0: two per CPU of the slice."},
	{0},
};

static const struct ps_conf_option confirm_rows[] = {
	{.name = "trials",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_confirm, trials),
	 .def = "4",
	 .min = 0,
	 .max = PS_MEASURE_MAX_BLOCKS,
	 .help = "Blocks at the demand rates: in each, every set once, in shuffled order."},
	{.name = "duration",
	 .type = PS_CONF_DURATION,
	 FIELD(ps_measure_confirm, duration_ns),
	 .def = "8s",
	 .min = 1e8,
	 .max = HOUR_NS,
	 .help = "Length of a trial."},
	{.name = "warmup",
	 .type = PS_CONF_DURATION,
	 FIELD(ps_measure_confirm, warmup_ns),
	 .def = "500ms",
	 .min = 0,
	 .max = HOUR_NS,
	 .help = "Load before each trial, not counted."},
	{.name = "at-capacity",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_confirm, at_capacity),
	 .def = "0",
	 .min = 0,
	 .max = PS_MEASURE_MAX_BLOCKS,
	 .help = "Further blocks at the capacities found."},
	{0},
};

static const struct ps_conf_option stop_rows[] = {
	{.name = "half-width",
	 .type = PS_CONF_RATIO,
	 FIELD(ps_measure_stop, half_width),
	 .def = "5%",
	 .min = 0,
	 .max = 1,
	 .help = "A search stops when half the capacity's interval is no more than this share."},
	{.name = "max-time",
	 .type = PS_CONF_DURATION,
	 FIELD(ps_measure_stop, max_time_ns),
	 .min = 0,
	 .max = 1000 * HOUR_NS,
	 .help = "No cell is begun after this time, and a search under way ends with the steps it "
		 "has, two at least. The report names such searches; cells that were not begun can "
		 "be resumed."},
	{0},
};

#define SECTION(id, type, text, where_at)                                                          \
	static const struct ps_conf_schema id##_schema = {                                         \
		.name = #id,                                                                       \
		.summary = (text),                                                                 \
		.options = id##_rows,                                                              \
		.size = sizeof(type),                                                              \
		.where_offset = (where_at),                                                        \
	}

SECTION(model, struct ps_measure_model, "A model of the campaign.",
	offsetof(struct ps_measure_model, where));
SECTION(tenant, struct ps_measure_tenant, "A tenant: what it runs, needs and was promised.",
	offsetof(struct ps_measure_tenant, where));
SECTION(set, struct ps_measure_set, "A set of tenants to measure together.",
	offsetof(struct ps_measure_set, where));
SECTION(slice, struct ps_measure_slice, "The part of this machine that the server gets.",
	offsetof(struct ps_measure_slice, where));
SECTION(server, struct ps_measure_server, "How the server runs requests.", SIZE_MAX);
SECTION(search, struct ps_measure_search, "How capacities are searched.", SIZE_MAX);
SECTION(confirm, struct ps_measure_confirm, "Trials at the demand rates.", SIZE_MAX);
SECTION(stop, struct ps_measure_stop, "When it is enough.", SIZE_MAX);

static const char *const together_choices[] = {"all", "pairs", "none", NULL};

static const struct ps_conf_option campaign_rows[] = {
	{.name = "name",
	 .type = PS_CONF_TEXT,
	 FIELD(ps_measure_campaign, name),
	 .flags = PS_CONF_REQUIRED,
	 .help = "Name of the campaign."},
	{.name = "seed",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_campaign, seed),
	 .def = "1",
	 .min = 0,
	 .max = 9e15,
	 .help = "Of arrivals, inputs, block orders and zoo weights."},
	{.name = "models",
	 .type = PS_CONF_SECTIONS,
	 FIELD(ps_measure_campaign, models),
	 .section = &model_schema,
	 .min = 1,
	 .max = PS_MEASURE_MAX_TENANTS,
	 .flags = PS_CONF_REQUIRED,
	 .help = "The models."},
	{.name = "tenants",
	 .type = PS_CONF_SECTIONS,
	 FIELD(ps_measure_campaign, tenants),
	 .section = &tenant_schema,
	 .min = 1,
	 .max = PS_MEASURE_MAX_TENANTS,
	 .flags = PS_CONF_REQUIRED,
	 .help = "The tenants. Each is measured alone."},
	{.name = "together",
	 .type = PS_CONF_ENUM,
	 FIELD(ps_measure_campaign, together),
	 .choices = together_choices,
	 .def = "all",
	 .help = "Which tenants are measured together, besides the sets named in sets."},
	{.name = "sets",
	 .type = PS_CONF_SECTIONS,
	 FIELD(ps_measure_campaign, sets),
	 .section = &set_schema,
	 .min = 0,
	 .max = PS_MEASURE_MAX_SETS,
	 .help = "Further sets."},
	{.name = "slice",
	 .type = PS_CONF_SECTION,
	 FIELD(ps_measure_campaign, slice),
	 .section = &slice_schema,
	 .help = "The slice of this machine."},
	{.name = "server",
	 .type = PS_CONF_SECTION,
	 FIELD(ps_measure_campaign, server),
	 .section = &server_schema,
	 .help = "The server."},
	{.name = "search",
	 .type = PS_CONF_SECTION,
	 FIELD(ps_measure_campaign, search),
	 .section = &search_schema,
	 .help = "The search."},
	{.name = "confirm",
	 .type = PS_CONF_SECTION,
	 FIELD(ps_measure_campaign, confirm),
	 .section = &confirm_schema,
	 .help = "The trials at the demand rates."},
	{.name = "stop",
	 .type = PS_CONF_SECTION,
	 FIELD(ps_measure_campaign, stop),
	 .section = &stop_schema,
	 .help = "When it is enough."},
	{.name = "timeout",
	 .type = PS_CONF_DURATION,
	 FIELD(ps_measure_campaign, timeout_ns),
	 .min = 1e6,
	 .max = HOUR_NS,
	 .help = "A request without an answer after this time has failed; without it ten times "
		 "the largest limit of an SLA, and at least 2 s."},
	{.name = "generator-cpu",
	 .type = PS_CONF_INT,
	 FIELD(ps_measure_campaign, generator_cpu),
	 .def = "-1",
	 .min = -1,
	 .max = PS_CPUS_MAX - 1,
	 .help = "CPU that the load generator is bound to; -1: the system chooses. It runs before "
		 "ordinary threads where the system allows, and what it uses is recorded."},
	{.name = "full",
	 .type = PS_CONF_TEXT,
	 FIELD(ps_measure_campaign, full),
	 .metavar = "PATH",
	 .help = "The campaign file of the publishable form, relative to this one's folder."},
	{0},
};

const struct ps_conf_schema ps_measure_schema = {
	.name = "campaign",
	.summary = "A campaign: which tenants to measure, on what, and for how long.",
	.options = campaign_rows,
	.size = sizeof(struct ps_measure_campaign),
	.where_offset = SIZE_MAX,
};

/* ---- checks that rows cannot make ---- */

static enum ps_status wrong(const struct ps_measure_campaign *c, const struct ps_conf_where *w,
			    const char *key, struct ps_error *err, const char *fmt,
			    const char *name)
{
	ps_error_set(err, PS_EPARSE, fmt, name);
	ps_error_where(err, "%.100s:%d:%s", c->path, w->line, key);
	return PS_EPARSE;
}

static bool good_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	size_t n = strlen(name);
	return n > 0 && n <= MAX_NAME && strspn(name, allowed) == n && name[0] != '.';
}

int ps_measure_find_model(const struct ps_measure_campaign *c, const char *name)
{
	const struct ps_measure_model *m = c->models.items;
	for (size_t i = 0; i < c->models.len; i++) {
		if (strcmp(m[i].name, name) == 0) {
			return (int)i;
		}
	}
	return -1;
}

int ps_measure_find_tenant(const struct ps_measure_campaign *c, const char *name)
{
	const struct ps_measure_tenant *t = c->tenants.items;
	for (size_t i = 0; i < c->tenants.len; i++) {
		if (strcmp(t[i].name, name) == 0) {
			return (int)i;
		}
	}
	return -1;
}

static enum ps_status check_models(const struct ps_measure_campaign *c, struct ps_error *err)
{
	const struct ps_measure_model *m = c->models.items;
	for (size_t i = 0; i < c->models.len; i++) {
		if (!good_name(m[i].name)) {
			return wrong(c, &m[i].where, "models.name", err,
				     "\"%.60s\" is no name for a model (letters, digits, . _ -)",
				     m[i].name);
		}
		if ((size_t)ps_measure_find_model(c, m[i].name) != i) {
			return wrong(c, &m[i].where, "models.name", err,
				     "two models are called \"%.60s\"", m[i].name);
		}
		if (!m[i].file == !m[i].zoo) {
			return wrong(c, &m[i].where, "models.file", err,
				     "model \"%.60s\" needs either file or zoo", m[i].name);
		}
		if (m[i].zoo && !ps_zoo_find(m[i].zoo)) {
			wrong(c, &m[i].where, "models.zoo", err, "the zoo has no network \"%.60s\"",
			      m[i].zoo);
			ps_error_hint(err, "perseus zoo list shows them");
			return PS_EPARSE;
		}
	}
	return PS_OK;
}

static enum ps_status check_tenants(const struct ps_measure_campaign *c, struct ps_error *err)
{
	const struct ps_measure_tenant *t = c->tenants.items;
	for (size_t i = 0; i < c->tenants.len; i++) {
		if (!good_name(t[i].name)) {
			return wrong(c, &t[i].where, "tenants.name", err,
				     "\"%.60s\" is no name for a tenant (letters, digits, . _ -)",
				     t[i].name);
		}
		if ((size_t)ps_measure_find_tenant(c, t[i].name) != i) {
			return wrong(c, &t[i].where, "tenants.name", err,
				     "two tenants are called \"%.60s\"", t[i].name);
		}
		if (ps_measure_find_model(c, t[i].model) < 0) {
			return wrong(c, &t[i].where, "tenants.model", err,
				     "there is no model \"%.60s\" in models", t[i].model);
		}
	}
	return PS_OK;
}

static enum ps_status check_sets(const struct ps_measure_campaign *c, struct ps_error *err)
{
	const struct ps_measure_set *s = c->sets.items;
	for (size_t i = 0; i < c->sets.len; i++) {
		if (!good_name(s[i].name)) {
			return wrong(c, &s[i].where, "sets.name", err,
				     "\"%.60s\" is no name for a set (letters, digits, . _ -)",
				     s[i].name);
		}
		for (size_t k = 0; k < s[i].tenants.len; k++) {
			if (ps_measure_find_tenant(c, s[i].tenants.items[k]) < 0) {
				return wrong(c, &s[i].where, "sets.tenants", err,
					     "there is no tenant \"%.60s\" in tenants",
					     s[i].tenants.items[k]);
			}
			for (size_t j = 0; j < k; j++) {
				if (strcmp(s[i].tenants.items[j], s[i].tenants.items[k]) == 0) {
					return wrong(c, &s[i].where, "sets.tenants", err,
						     "tenant \"%.60s\" is named twice",
						     s[i].tenants.items[k]);
				}
			}
		}
	}
	if (c->together == PS_MEASURE_TOGETHER_ALL && c->tenants.len > PS_MEASURE_MAX_MEMBERS) {
		ps_error_set(err, PS_EPARSE, "%zu tenants are too many for one set (at most %d)",
			     c->tenants.len, PS_MEASURE_MAX_MEMBERS);
		ps_error_where(err, "%.100s:together", c->path);
		ps_error_hint(err, "say together: none, and name sets");
		return PS_EPARSE;
	}
	return PS_OK;
}

/* ---- reading ---- */

char *ps_measure_path(const char *folder, const char *path)
{
	struct ps_strbuf b;
	ps_strbuf_init(&b);
	if (path[0] != '/' && strcmp(folder, ".") != 0) {
		ps_strbuf_printf(&b, "%s/", folder);
	}
	ps_strbuf_puts(&b, path);
	return ps_strbuf_take_data(&b);
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash) {
		return strdup(".");
	}
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

enum ps_status ps_measure_parse(const char *text, size_t len, const char *path,
				struct ps_measure_campaign *ret_campaign, struct ps_error *err)
{
	struct ps_measure_campaign c;
	enum ps_status st = ps_conf_parse_yaml(&ps_measure_schema, text, len, path, &c, err);
	if (st != PS_OK) {
		return st;
	}
	c.path = strdup(path);
	c.folder = folder_of(path);
	c.text = strndup(text, len);
	if (!c.path || !c.folder || !c.text) {
		st = ps_error_set(err, PS_ENOMEM, "no memory for a campaign");
	}
	st = st == PS_OK ? check_models(&c, err) : st;
	st = st == PS_OK ? check_tenants(&c, err) : st;
	st = st == PS_OK ? check_sets(&c, err) : st;
	if (st != PS_OK) {
		ps_measure_free(&c);
		return st;
	}
	*ret_campaign = c;
	return PS_OK;
}

enum ps_status ps_measure_load(const char *path, struct ps_measure_campaign *ret_campaign,
			       struct ps_error *err)
{
	char *text = NULL;
	size_t len = 0;
	enum ps_status st = ps_file_read(path, MAX_CAMPAIGN_BYTES, &text, &len, err);
	if (st == PS_OK) {
		st = ps_measure_parse(text, len, path, ret_campaign, err);
	}
	free(text);
	return st;
}

void ps_measure_free(struct ps_measure_campaign *c)
{
	char *path = c->path, *folder = c->folder, *text = c->text;
	ps_conf_free(&ps_measure_schema, c);
	free(path);
	free(folder);
	free(text);
	memset(c, 0, sizeof(*c));
}
