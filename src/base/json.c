#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum ps_status ps_json_parse(const char *text, size_t len, json_t **ret_value, struct ps_error *err)
{
	json_error_t je;
	json_t *v = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);
	if (!v) {
		ps_error_set(err, PS_EPARSE, "JSON: %s", je.text);
		ps_error_where(err, "line %d, column %d", je.line, je.column);
		return PS_EPARSE;
	}
	*ret_value = v;
	return PS_OK;
}

void ps_json_set_real(json_t *obj, const char *key, double v)
{
	json_object_set_new(obj, key, isfinite(v) ? json_real(v) : json_null());
}

void ps_json_set_int(json_t *obj, const char *key, int64_t v)
{
	json_object_set_new(obj, key, json_integer(v));
}

void ps_json_set_string(json_t *obj, const char *key, const char *v)
{
	json_t *s = v ? json_string(v) : json_null();
	if (!s && v) { /* not UTF-8 */
		char *copy = strdup(v);
		if (copy) {
			for (char *p = copy; *p; p++)
				if ((unsigned char)*p >= 0x80)
					*p = '?';
			s = json_string(copy);
			free(copy);
		}
	}
	json_object_set_new(obj, key, s ? s : json_null());
}

void ps_json_set_bool(json_t *obj, const char *key, bool v)
{
	json_object_set_new(obj, key, json_boolean(v));
}

double ps_json_get_real(const json_t *obj, const char *key, double otherwise)
{
	const json_t *v = json_object_get(obj, key);
	return json_is_number(v) ? json_number_value(v) : otherwise;
}

int64_t ps_json_get_int(const json_t *obj, const char *key, int64_t otherwise)
{
	const json_t *v = json_object_get(obj, key);
	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

const char *ps_json_get_string(const json_t *obj, const char *key, const char *otherwise)
{
	const json_t *v = json_object_get(obj, key);
	return json_is_string(v) ? json_string_value(v) : otherwise;
}

void ps_json_quote(struct ps_strbuf *out, const char *text)
{
	json_t *s = json_string(text);
	char *quoted = s ? json_dumps(s, JSON_ENCODE_ANY) : NULL;
	if (quoted)
		ps_strbuf_puts(out, quoted);
	else
		out->failed = true;
	free(quoted);
	json_decref(s);
}
