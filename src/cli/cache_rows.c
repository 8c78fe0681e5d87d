/* cache_rows.c - the rows of the cache's file: parser, help and manual come from them. */
#include "cli/cache_file_internal.h"

#define TENANT(field) offsetof(struct ps_cli_cache_tenant, field)
#define MODEL(field)  offsetof(struct ps_cli_cache_model, field)
#define ASKED(field)  offsetof(struct ps_cli_cache_asked, field)
#define FILE_(field)  offsetof(struct ps_cli_cache_file, field)

static const struct ps_conf_option tenant_rows[] = {
	{.name = "name",
	 .type = PS_CONF_TEXT,
	 .offset = TENANT(name),
	 .help = "Name of the tenant.",
	 .flags = PS_CONF_REQUIRED},
	{.name = "weight",
	 .type = PS_CONF_REAL,
	 .offset = TENANT(weight),
	 .def = "1",
	 .help = "Its part of the chances, against the other tenants' weights.",
	 .min = 1e-6,
	 .max = 1e6},
	{.name = "guaranteed",
	 .type = PS_CONF_BYTES,
	 .offset = TENANT(guaranteed_bytes),
	 .def = "0",
	 .help = "So many bytes always hold what is worth most to this tenant.",
	 .min = 0,
	 .max = 1e15},
	{0},
};

static const struct ps_conf_schema tenant_schema = {
	.name = "tenants",
	.summary = "A tenant.",
	.options = tenant_rows,
	.size = sizeof(struct ps_cli_cache_tenant),
	.where_offset = TENANT(where),
};

static const struct ps_conf_option model_rows[] = {
	{.name = "name",
	 .type = PS_CONF_TEXT,
	 .offset = MODEL(name),
	 .help = "Name of the model.",
	 .flags = PS_CONF_REQUIRED},
	{.name = "bytes",
	 .type = PS_CONF_BYTES,
	 .offset = MODEL(bytes),
	 .help = "Memory that it takes when loaded, with its working memory.",
	 .flags = PS_CONF_REQUIRED,
	 .min = 0,
	 .max = 1e15},
	{.name = "load",
	 .type = PS_CONF_DURATION,
	 .offset = MODEL(load_ns),
	 .help = "What a cold load costs the request that waits for it.",
	 .flags = PS_CONF_REQUIRED,
	 .min = 0,
	 .max = 8.64e13},
	{.name = "run",
	 .type = PS_CONF_DURATION,
	 .offset = MODEL(run_ns),
	 .def = "0s",
	 .help = "What a request takes when the model is loaded: for simulate.",
	 .min = 0,
	 .max = 8.64e13},
	{.name = "content",
	 .type = PS_CONF_TEXT,
	 .offset = MODEL(content),
	 .help = "A digest of the file and its options: models of one content are in memory once, "
		 "for all their tenants. Left out: the name."},
	{.name = "pinned",
	 .type = PS_CONF_BOOL,
	 .offset = MODEL(pinned),
	 .def = "false",
	 .help = "Always in memory."},
	{.name = "resident",
	 .type = PS_CONF_BOOL,
	 .offset = MODEL(resident),
	 .def = "false",
	 .help = "In memory now."},
	{0},
};

static const struct ps_conf_schema model_schema = {
	.name = "models",
	.summary = "A model.",
	.options = model_rows,
	.size = sizeof(struct ps_cli_cache_model),
	.where_offset = MODEL(where),
};

static const struct ps_conf_option asked_rows[] = {
	{.name = "tenant",
	 .type = PS_CONF_TEXT,
	 .offset = ASKED(tenant),
	 .help = "Who asks.",
	 .flags = PS_CONF_REQUIRED},
	{.name = "model",
	 .type = PS_CONF_TEXT,
	 .offset = ASKED(model),
	 .help = "For which model.",
	 .flags = PS_CONF_REQUIRED},
	{.name = "requests",
	 .type = PS_CONF_REAL,
	 .offset = ASKED(requests),
	 .help = "How often in an epoch.",
	 .flags = PS_CONF_REQUIRED,
	 .min = 0,
	 .max = 1e12},
	{0},
};

static const struct ps_conf_schema asked_schema = {
	.name = "demand",
	.summary = "What a tenant asks for.",
	.options = asked_rows,
	.size = sizeof(struct ps_cli_cache_asked),
	.where_offset = ASKED(where),
};

static const struct ps_conf_option file_rows[] = {
	{.name = "capacity",
	 .type = PS_CONF_BYTES,
	 .offset = FILE_(capacity_bytes),
	 .help = "Memory for models.",
	 .flags = PS_CONF_REQUIRED,
	 .min = 0,
	 .max = 1e18},
	{.name = "warm-factor",
	 .type = PS_CONF_REAL,
	 .offset = FILE_(warm_factor),
	 .def = "1",
	 .help = "The utility of a model that is in memory counts so many times.",
	 .min = 1,
	 .max = 1e6},
	{.name = "tenants",
	 .type = PS_CONF_SECTIONS,
	 .offset = FILE_(tenants),
	 .section = &tenant_schema,
	 .help = "Who shares the memory.",
	 .flags = PS_CONF_REQUIRED,
	 .min = 1,
	 .max = PS_CACHE_MAX_TENANTS},
	{.name = "models",
	 .type = PS_CONF_SECTIONS,
	 .offset = FILE_(models),
	 .section = &model_schema,
	 .help = "What they ask for.",
	 .flags = PS_CONF_REQUIRED,
	 .min = 1,
	 .max = PS_CACHE_MAX_ITEMS},
	{.name = "demand",
	 .type = PS_CONF_SECTIONS,
	 .offset = FILE_(demand),
	 .section = &asked_schema,
	 .help = "How often in an epoch. Not needed for a trace.",
	 .min = 0,
	 .max = PS_CACHE_MAX_CELLS},
	{0},
};

const struct ps_conf_schema ps_cli_cache_file_schema = {
	.name = "cache file",
	.summary = "Tenants, models and what is asked for, of perseus cache.",
	.example = "capacity: 1GB\n"
		   "tenants:\n"
		   "  - name: shop\n"
		   "  - {name: lab, weight: 2}\n"
		   "models:\n"
		   "  - {name: resnet50, bytes: 150MB, load: 400ms, run: 45ms}\n"
		   "  - {name: vgg16, bytes: 900MB, load: 2s, run: 160ms}\n"
		   "demand:\n"
		   "  - {tenant: shop, model: resnet50, requests: 30}\n"
		   "  - {tenant: lab, model: vgg16, requests: 4}\n",
	.options = file_rows,
	.size = sizeof(struct ps_cli_cache_file),
	.where_offset = SIZE_MAX,
};
