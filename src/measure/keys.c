/* keys.c - the keys that a remote server wants: from files or the environment, never from the
 * campaign's own text, which the store keeps. */
#include "measure/measure_internal.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

#define MAX_KEY_FILE_BYTES 65536
#define MAX_KEY_BYTES	   4096

/* Cuts at the end of the first line; false when that is no key. */
static bool first_line(char *text)
{
	text[strcspn(text, "\r\n")] = '\0';
	size_t n = strlen(text);
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] == 0x7f) {
			return false;
		}
	}
	return n > 0 && n <= MAX_KEY_BYTES;
}

static enum ps_status from_file(const struct ps_measure_campaign *c, const char *file,
				char **ret_key, struct ps_error *err)
{
	size_t len = 0;
	char *path = ps_measure_path(c->folder, file), *text = NULL;
	enum ps_status st = path ? ps_file_read(path, MAX_KEY_FILE_BYTES, &text, &len, err)
				 : ps_error_set(err, PS_ENOMEM, "no memory for a path");
	if (st == PS_OK && (!text || !first_line(text))) {
		st = ps_error_set(err, PS_EINVAL,
				  "the first line is no key (1 to %d bytes, no blanks)",
				  MAX_KEY_BYTES);
		ps_error_where(err, "%s", path);
		free(text);
		text = NULL;
	}
	*ret_key = st == PS_OK ? text : NULL;
	free(path);
	return st;
}

static enum ps_status from_environment(const struct ps_measure_campaign *c,
				       const struct ps_measure_tenant *t, char **ret_key,
				       struct ps_error *err)
{
	const char *value = getenv(t->key_env);
	char *copy = value ? strdup(value) : NULL;
	if (copy && first_line(copy)) {
		*ret_key = copy;
		return PS_OK;
	}
	free(copy);
	ps_error_set(err, PS_EINVAL, "the environment variable %.60s %s", t->key_env,
		     value ? "holds no key" : "is not set");
	ps_error_where(err, "%.100s:%d:tenants.key_env", c->path, t->where.line);
	return PS_EINVAL;
}

enum ps_status ps_measure_read_keys(struct ps_measure_context *m, struct ps_error *err)
{
	const struct ps_measure_tenant *t = m->c->tenants.items;
	enum ps_status st = PS_OK;
	for (size_t i = 0; i < m->c->tenants.len && st == PS_OK; i++) {
		if (t[i].key_file) {
			st = from_file(m->c, t[i].key_file, &m->keys[i], err);
		} else if (t[i].key_env) {
			st = from_environment(m->c, &t[i], &m->keys[i], err);
		}
	}
	if (st == PS_OK && m->c->server.metrics_key_file) {
		st = from_file(m->c, m->c->server.metrics_key_file, &m->metrics_key, err);
	}
	return st;
}

static void forget(char *key)
{
	if (key) {
		explicit_bzero(key, strlen(key));
	}
	free(key);
}

void ps_measure_free_keys(struct ps_measure_context *m)
{
	for (size_t i = 0; i < m->c->tenants.len; i++) {
		forget(m->keys[i]);
	}
	forget(m->metrics_key);
}
