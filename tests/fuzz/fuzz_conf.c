/* Configuration files: a schema with a row of every type, and sections in sections. */
#include "fuzz/fuzz.h"
#include "conf/conf.h"

#include <string.h>

struct part {
	struct ps_conf_where where;
	char *name;
	double rate;
	struct ps_conf_texts tags;
};

struct whole {
	bool on;
	int64_t count, wait_ns, bytes;
	double real, rate, ratio;
	char *text;
	int choice;
	struct ps_sla sla;
	struct ps_cpus cpus;
	struct ps_conf_texts texts;
	struct part one;
	struct ps_conf_array parts;
};

static const struct ps_conf_option part_options[] = {
	{.name = "name",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct part, name),
	 .help = "name",
	 .flags = PS_CONF_REQUIRED},
	{.name = "rate", .type = PS_CONF_RATE, .offset = offsetof(struct part, rate), .help = "r"},
	{.name = "tags", .type = PS_CONF_TEXTS, .offset = offsetof(struct part, tags), .help = "t"},
	{0},
};

static const struct ps_conf_schema part_schema = {
	.name = "part",
	.summary = "a part",
	.options = part_options,
	.size = sizeof(struct part),
	.where_offset = offsetof(struct part, where),
};

static const char *const choices[] = {"red", "green", NULL};

#define ROW(n, t, f) .name = n, .type = t, .offset = offsetof(struct whole, f), .help = "help"

static const struct ps_conf_option whole_options[] = {
	{ROW("on", PS_CONF_BOOL, on), .def = "true"},
	{ROW("count", PS_CONF_INT, count), .def = "3", .min = 1, .max = 100},
	{ROW("wait", PS_CONF_DURATION, wait_ns), .def = "1s"},
	{ROW("size", PS_CONF_BYTES, bytes), .def = "1KiB"},
	{ROW("real", PS_CONF_REAL, real)},
	{ROW("rate", PS_CONF_RATE, rate)},
	{ROW("ratio", PS_CONF_RATIO, ratio)},
	{ROW("text", PS_CONF_TEXT, text), .flags = PS_CONF_SECRET},
	{ROW("choice", PS_CONF_ENUM, choice), .choices = choices, .def = "green"},
	{ROW("sla", PS_CONF_SLA, sla)},
	{ROW("cpus", PS_CONF_CPUS, cpus)},
	{ROW("texts", PS_CONF_TEXTS, texts)},
	{ROW("one", PS_CONF_SECTION, one), .section = &part_schema},
	{ROW("parts", PS_CONF_SECTIONS, parts), .section = &part_schema},
	{0},
};

static const struct ps_conf_schema whole_schema = {
	.name = "whole",
	.summary = "a whole",
	.options = whole_options,
	.size = sizeof(struct whole),
	.where_offset = SIZE_MAX,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct whole w;
	struct ps_error err;
	ps_error_clear(&err);
	enum ps_status s =
		ps_conf_parse_yaml(&whole_schema, (const char *)data, size, "file.yaml", &w, &err);
	MUST(s == PS_OK || (err.status == s && err.what[0]));
	if (s == PS_OK) {
		MUST(w.count >= 1 && w.count <= 100);
		MUST(w.choice == 0 || w.choice == 1);
		ps_conf_free(&whole_schema, &w);
	}
	return 0;
}
