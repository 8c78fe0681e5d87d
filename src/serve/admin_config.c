/* admin_config.c - a model's configuration in Triton's JSON, as a load carries it, and back.
 *
 * The JSON form of the protobuf message is rewritten as its text form, which repo/ reads and checks
 * anyway: one set of rules for a config.pbtxt and for the API. JSON does not tell a string from an
 * enumerator or a 64-bit number in quotes, so the names of those fields stand here.
 */
#include "base/json.h"
#include "oip/admin.h"
#include "serve/admin_state_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LEVELS = 16 };

/* Fields whose strings are enumerators or numbers: written without quotes. */
static const char *const bare[] = {
	"data_type",
	"kind",
	"timeout_action",
	"format",
	"dims",
	"shape",
	"versions",
	"gpus",
	"max_batch_size",
	"preferred_batch_size",
	"max_queue_delay_microseconds",
	"default_timeout_microseconds",
	"priority_levels",
	"default_priority_level",
	"num_versions",
	"count",
	"batch_size",
	"max_queue_size",
	NULL,
};

/* Fields that are maps: {"key": value} is written as { key: "key" value: ... }. */
static const char *const maps[] = {"parameters", "inputs", "metric_tags", "cc_model_filenames",
				   NULL};
/* Maps whose keys are numbers. */
static const char *const number_maps[] = {"priority_queue_policy", NULL};

static bool is_in(const char *const *list, const char *name)
{
	for (; *list; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

/* "maxBatchSize", as protobuf's own JSON writes it, is max_batch_size. */
static enum ps_status field_name(const char *key, char name[64], struct ps_error *err)
{
	size_t n = 0;
	for (const char *p = key; *p; p++) {
		bool upper = isupper((unsigned char)*p) != 0;
		if (!isalnum((unsigned char)*p) && *p != '_')
			n = 64;
		if (n + 2 + upper >= 64)
			return ps_error_set(err, PS_EPARSE,
					    "'%.60s' is no field of a model's "
					    "configuration",
					    key);
		if (upper && n > 0)
			name[n++] = '_';
		name[n++] = (char)tolower((unsigned char)*p);
	}
	name[n] = '\0';
	return n > 0 ? PS_OK : ps_error_set(err, PS_EPARSE, "a field without a name");
}

static void put_quoted(struct ps_strbuf *out, const char *text)
{
	ps_strbuf_putc(out, '"');
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p == '"' || *p == '\\')
			ps_strbuf_printf(out, "\\%c", *p);
		else if (*p < 0x20 || *p == 0x7f)
			ps_strbuf_printf(out, "\\%03o", *p);
		else
			ps_strbuf_putc(out, (char)*p);
	}
	ps_strbuf_putc(out, '"');
}

static enum ps_status put_object(const json_t *object, int level, struct ps_strbuf *out,
				 struct ps_error *err);

/* An enumerator or a number: nothing that could end the value and begin another one. */
static enum ps_status put_bare(const char *name, const char *text, struct ps_strbuf *out,
			       struct ps_error *err)
{
	for (const char *p = text; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '_' && *p != '-')
			return ps_error_set(err, PS_EPARSE, "'%.60s' is no value of %s", text,
					    name);
	ps_strbuf_printf(out, "%s: %s\n", name, text);
	return PS_OK;
}

static enum ps_status put_value(const char *name, const json_t *v, int level, struct ps_strbuf *out,
				struct ps_error *err)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		ps_strbuf_printf(out, "%s {\n", name);
		if (put_object(v, level + 1, out, err) != PS_OK)
			return err->status;
		ps_strbuf_puts(out, "}\n");
		return PS_OK;
	case JSON_STRING:
		if (is_in(bare, name))
			return put_bare(name, json_string_value(v), out, err);
		ps_strbuf_printf(out, "%s: ", name);
		put_quoted(out, json_string_value(v));
		ps_strbuf_putc(out, '\n');
		return PS_OK;
	case JSON_INTEGER:
		ps_strbuf_printf(out, "%s: %lld\n", name, (long long)json_integer_value(v));
		return PS_OK;
	case JSON_REAL:
		ps_strbuf_printf(out, "%s: %.17g\n", name, json_real_value(v));
		return PS_OK;
	case JSON_TRUE:
	case JSON_FALSE:
		ps_strbuf_printf(out, "%s: %s\n", name, json_is_true(v) ? "true" : "false");
		return PS_OK;
	case JSON_NULL:
		return PS_OK;
	default:
		return ps_error_set(err, PS_EPARSE, "a list inside a list in %s", name);
	}
}

static enum ps_status put_key(const char *map, const char *key, struct ps_strbuf *out,
			      struct ps_error *err)
{
	if (is_in(number_maps, map))
		return put_bare("key", key, out, err);
	ps_strbuf_puts(out, "key: ");
	put_quoted(out, key);
	ps_strbuf_putc(out, '\n');
	return PS_OK;
}

static enum ps_status put_map(const char *name, const json_t *map, int level, struct ps_strbuf *out,
			      struct ps_error *err)
{
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)map, key, v)
	{
		ps_strbuf_printf(out, "%s {\n", name);
		if (put_key(name, key, out, err) != PS_OK)
			return err->status;
		if (put_value("value", v, level + 1, out, err) != PS_OK)
			return err->status;
		ps_strbuf_puts(out, "}\n");
	}
	return PS_OK;
}

static enum ps_status put_field(const char *key, const json_t *v, int level, struct ps_strbuf *out,
				struct ps_error *err)
{
	char name[64];
	size_t i;
	json_t *item;
	enum ps_status status = field_name(key, name, err);
	if (status != PS_OK)
		return status;
	if (json_is_object(v) && (is_in(maps, name) || is_in(number_maps, name)))
		return put_map(name, v, level, out, err);
	if (!json_is_array(v))
		return put_value(name, v, level, out, err);
	json_array_foreach((json_t *)v, i, item) if (status == PS_OK) status =
		put_value(name, item, level, out, err);
	return status;
}

static enum ps_status put_object(const json_t *object, int level, struct ps_strbuf *out,
				 struct ps_error *err)
{
	const char *key;
	json_t *v;
	enum ps_status status = PS_OK;
	if (level > MAX_LEVELS)
		return ps_error_set(err, PS_ETOOBIG, "nested deeper than %d levels", MAX_LEVELS);
	json_object_foreach((json_t *)object, key, v) if (status == PS_OK) status =
		put_field(key, v, level, out, err);
	return status;
}

enum ps_status ps_serve_config_from_json(const char *text, const char *model,
					 struct ps_repo_config *ret_config, struct ps_error *err)
{
	struct ps_error own = {0};
	struct ps_strbuf out;
	json_t *root;
	char name[PS_REPO_MAX_NAME + 32];
	err = err ? err : &own;
	enum ps_status status = ps_json_parse(text, strlen(text), &root, err);
	if (status != PS_OK)
		return status;
	ps_strbuf_init(&out);
	if (!json_is_object(root))
		status = ps_error_set(err, PS_EPARSE, "a model's configuration is an object");
	else
		status = put_object(root, 0, &out, err);
	json_decref(root);
	if (status == PS_OK && ps_strbuf_status(&out) != PS_OK)
		status = ps_error_set(err, PS_ENOMEM, "out of memory");
	snprintf(name, sizeof name, "config of %s", model);
	if (status == PS_OK)
		status = ps_repo_config_parse(out.data, out.len, name, ret_config, err);
	ps_strbuf_fini(&out);
	return status;
}
