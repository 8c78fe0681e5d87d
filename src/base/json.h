/* json.h - a few helpers over jansson for control messages and results.   Layer 0.
 *
 * Tensor data never passes here: oip/ streams it. Limits: nesting depth of jansson (2048 as built
 * by Debian); callers bound the size of the text.
 */
#ifndef PS_BASE_JSON_H
#define PS_BASE_JSON_H

#include "base/error.h"
#include "base/strbuf.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* ps_json_parse reads `len` bytes of JSON, refusing duplicate keys and trailing bytes. The caller
 * owns *ret_value (json_decref). PS_EPARSE with line and column in `where`. */
enum ps_status ps_json_parse(const char *text, size_t len, json_t **ret_value,
			     struct ps_error *err);
/* ps_json_set_real sets obj[key] to `v`, or to null when v is not finite (JSON has no NaN). */
void ps_json_set_real(json_t *obj, const char *key, double v);
/* ps_json_set_int sets obj[key] to `v`. */
void ps_json_set_int(json_t *obj, const char *key, int64_t v);
/* ps_json_set_string sets obj[key] to `v`, or to null for NULL. Bytes that are not UTF-8 are
 * replaced by '?'. */
void ps_json_set_string(json_t *obj, const char *key, const char *v);
/* ps_json_set_bool sets obj[key]. */
void ps_json_set_bool(json_t *obj, const char *key, bool v);
/* ps_json_get_real reads a number from obj[key], or `otherwise` when absent or no number. */
double ps_json_get_real(const json_t *obj, const char *key, double otherwise);
/* ps_json_get_int reads an integer from obj[key], or `otherwise`. */
int64_t ps_json_get_int(const json_t *obj, const char *key, int64_t otherwise);
/* ps_json_get_string borrows a string from obj[key], or `otherwise`. */
const char *ps_json_get_string(const json_t *obj, const char *key, const char *otherwise);
/* ps_json_quote appends `text` in double quotes, with JSON's escapes, which are YAML's too. What is
 * not UTF-8 makes `out` fail, as no memory does. */
void ps_json_quote(struct ps_strbuf *out, const char *text);

#endif
