/* yaml_line.c - where a key stands, for checks that come after parsing. */
#include "conf_internal.h"

#include <string.h>
#include <yaml.h>

static bool is_start(const yaml_event_t *e)
{
	return e->type == YAML_MAPPING_START_EVENT || e->type == YAML_SEQUENCE_START_EVENT;
}

static bool is_end(const yaml_event_t *e)
{
	return e->type == YAML_MAPPING_END_EVENT || e->type == YAML_SEQUENCE_END_EVENT ||
	       e->type == YAML_STREAM_END_EVENT;
}

/* What begins with the present event, with all that is in it. */
static bool skip(yaml_parser_t *p, yaml_event_t *e)
{
	int level = 0;

	do {
		level += is_start(e) - is_end(e);
		if (level == 0)
			return true;
		yaml_event_delete(e);
	} while (yaml_parser_parse(p, e));
	return false;
}

/* The first of the keys in `path` ("server" of "server.metrics"); '-' and '_' are the same. */
static bool is_first(const char *path, const char *key)
{
	for (; *key && *path && *path != '.'; path++, key++)
		if ((*path == '_' ? '-' : *path) != (*key == '_' ? '-' : *key))
			return false;
	return !*key && (!*path || *path == '.');
}

/* The present event is a mapping's start; 0: it has no such key. */
static int find(yaml_parser_t *p, yaml_event_t *e, const char *path)
{
	const char *dot = strchr(path, '.');
	int line = 0;

	for (;;) {
		yaml_event_delete(e);
		if (!yaml_parser_parse(p, e) || e->type != YAML_SCALAR_EVENT)
			return line;
		bool found = is_first(path, (const char *)e->data.scalar.value);
		if (found)
			line = (int)e->start_mark.line + 1;
		yaml_event_delete(e);
		if ((found && !dot) || !yaml_parser_parse(p, e))
			return line;
		if (found && e->type == YAML_MAPPING_START_EVENT) {
			int inner = find(p, e, dot + 1);

			return inner ? inner : line;
		}
		if (found || !skip(p, e))
			return line;
	}
}

int ps_conf_yaml_line(const char *text, size_t len, const char *path)
{
	yaml_parser_t p;
	yaml_event_t e = {.type = YAML_NO_EVENT};
	int line = 0;

	if (!yaml_parser_initialize(&p))
		return 0;
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p, (const unsigned char *)text, len);
	while (yaml_parser_parse(&p, &e) && e.type != YAML_MAPPING_START_EVENT &&
	       e.type != YAML_STREAM_END_EVENT)
		yaml_event_delete(&e);
	if (e.type == YAML_MAPPING_START_EVENT)
		line = find(&p, &e, path);
	yaml_event_delete(&e);
	yaml_parser_delete(&p);
	return line;
}
