#include "serve/keys.h"

#include "base/file.h"
#include "base/strbuf.h"
#include "tenancy/tenancy.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MIN_PREFIX = 6 };

#define KEY(field) offsetof(struct ps_serve_key_config, field)

static const struct ps_conf_option key_rows[] = {
	{.name = "tenant",
	 .type = PS_CONF_TEXT,
	 .offset = KEY(tenant),
	 .help = "Whose key it is. Left out: the operator's."},
	{.name = "digest",
	 .type = PS_CONF_TEXT,
	 .offset = KEY(digest),
	 .flags = PS_CONF_REQUIRED,
	 .help = "sha256:HEX of the key."},
	{.name = "created",
	 .type = PS_CONF_TEXT,
	 .offset = KEY(created),
	 .help = "When it was made."},
	{.name = "note", .type = PS_CONF_TEXT, .offset = KEY(note), .help = "What it is for."},
	{0},
};

static const struct ps_conf_schema key_schema = {
	.name = "keys",
	.summary = "One API key.",
	.options = key_rows,
	.size = sizeof(struct ps_serve_key_config),
	.where_offset = KEY(where),
};

static const struct ps_conf_option file_rows[] = {
	{.name = "keys",
	 .type = PS_CONF_SECTIONS,
	 .offset = offsetof(struct ps_serve_keys, keys),
	 .section = &key_schema,
	 .help = "The keys."},
	{0},
};

const struct ps_conf_schema ps_serve_keys_schema = {
	.name = "perseus serve keys file",
	.summary = "API keys, as digests.",
	.options = file_rows,
	.size = sizeof(struct ps_serve_keys),
	.where_offset = SIZE_MAX,
};

enum ps_status ps_serve_keys_load(const char *path, struct ps_serve_keys *ret_keys,
				  struct ps_error *err)
{
	if (!ps_file_exists(path)) {
		*ret_keys = (struct ps_serve_keys){0};
		return PS_OK;
	}
	return ps_conf_load_yaml(&ps_serve_keys_schema, path, ret_keys, err);
}

static enum ps_status no_memory(struct ps_error *err)
{
	ps_error_set(err, PS_ENOMEM, "out of memory");
	return PS_ENOMEM;
}

/* --- writing: texts in double quotes, which YAML reads back as they were --- */

static void put_text(struct ps_strbuf *out, const char *lead, const char *name, const char *text)
{
	ps_strbuf_printf(out, "%s%s: \"", lead, name);
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p == '"' || *p == '\\')
			ps_strbuf_printf(out, "\\%c", *p);
		else if (*p < 0x20 || *p == 0x7f)
			ps_strbuf_printf(out, "\\x%02x", *p);
		else
			ps_strbuf_putc(out, (char)*p);
	}
	ps_strbuf_puts(out, "\"\n");
}

static void put_key(struct ps_strbuf *out, const struct ps_serve_key_config *k)
{
	put_text(out, "  - ", "digest", k->digest);
	if (k->tenant)
		put_text(out, "    ", "tenant", k->tenant);
	if (k->created)
		put_text(out, "    ", "created", k->created);
	if (k->note)
		put_text(out, "    ", "note", k->note);
}

static enum ps_status save(const char *path, const struct ps_serve_key_config *keys, size_t n,
			   struct ps_error *err)
{
	struct ps_strbuf out;
	ps_strbuf_init(&out);
	ps_strbuf_puts(&out, "# Digests of API keys, kept by `perseus serve keys`.\n");
	ps_strbuf_puts(&out, n ? "keys:\n" : "keys: []\n");
	for (size_t i = 0; i < n; i++)
		put_key(&out, &keys[i]);
	enum ps_status status = ps_strbuf_status(&out);
	if (status == PS_OK)
		status = ps_file_write(path, out.data, out.len, err);
	else
		ps_error_set(err, status, "out of memory");
	ps_strbuf_fini(&out);
	return status;
}

enum ps_status ps_serve_keys_add(const char *path, const char *tenant, const char *digest,
				 const char *created, const char *note, struct ps_error *err)
{
	struct ps_serve_keys k;
	enum ps_status status = ps_serve_keys_load(path, &k, err);
	if (status != PS_OK)
		return status;
	const struct ps_serve_key_config *old = k.keys.items;
	struct ps_serve_key_config *all = calloc(k.keys.len + 1, sizeof *all);
	if (!all)
		status = no_memory(err);
	for (size_t i = 0; status == PS_OK && i < k.keys.len; i++) {
		all[i] = old[i];
		if (strcmp(old[i].digest, digest) == 0)
			status = ps_error_set(err, PS_EEXIST, "the key is there already");
	}
	if (status == PS_OK) {
		all[k.keys.len] = (struct ps_serve_key_config){.tenant = (char *)tenant,
							       .digest = (char *)digest,
							       .created = (char *)created,
							       .note = (char *)note};
		status = save(path, all, k.keys.len + 1, err);
	}
	free(all);
	ps_conf_free(&ps_serve_keys_schema, &k);
	return status;
}

static bool starts(const char *digest, const char *prefix)
{
	if (strncmp(prefix, "sha256:", 7) == 0)
		prefix += 7;
	if (strncmp(digest, "sha256:", 7) == 0)
		digest += 7;
	return strncasecmp(digest, prefix, strlen(prefix)) == 0;
}

static enum ps_status find_one(const struct ps_serve_keys *k, const char *path, const char *prefix,
			       size_t *ret_at, struct ps_error *err)
{
	const struct ps_serve_key_config *keys = k->keys.items;
	const char *digits = strncmp(prefix, "sha256:", 7) == 0 ? prefix + 7 : prefix;
	size_t found = 0;
	if (strlen(digits) < MIN_PREFIX) {
		ps_error_set(err, PS_EINVAL, "give at least %d digits of the digest", MIN_PREFIX);
		return PS_EINVAL;
	}
	for (size_t i = 0; i < k->keys.len; i++)
		if (starts(keys[i].digest, prefix)) {
			*ret_at = i;
			found++;
		}
	if (found == 1)
		return PS_OK;
	if (found > 1) {
		ps_error_set(err, PS_EINVAL, "%zu keys of %s start with '%.70s'", found, path,
			     prefix);
		return PS_EINVAL;
	}
	ps_error_set(err, PS_ENOTFOUND, "no key of %s starts with '%.70s'", path, prefix);
	return PS_ENOTFOUND;
}

static bool is_last_of_tenant(const struct ps_serve_keys *k, size_t at)
{
	const struct ps_serve_key_config *keys = k->keys.items;
	if (!keys[at].tenant)
		return false;
	for (size_t i = 0; i < k->keys.len; i++)
		if (i != at && keys[i].tenant && strcmp(keys[i].tenant, keys[at].tenant) == 0)
			return false;
	return true;
}

/* A tenant without any key is open to everybody who comes without one. So the last key is not taken
 * out but exchanged for one that nobody has: made, and thrown away. */
static enum ps_status save_closed(const struct ps_serve_keys *k, const char *path, size_t at,
				  struct ps_error *err)
{
	char key[PS_TENANCY_KEY_SIZE], digest[PS_TENANCY_DIGEST_SIZE];
	struct ps_serve_key_config *keys = k->keys.items, kept = keys[at];
	enum ps_status status = ps_tenancy_make_key(key, digest, err);
	if (status != PS_OK)
		return status;
	keys[at].digest = digest;
	keys[at].note = "all revoked: this one is nobody's and keeps the tenant closed";
	status = save(path, keys, k->keys.len, err);
	keys[at] = kept;
	return status;
}

static enum ps_status save_without(const struct ps_serve_keys *k, const char *path, size_t at,
				   struct ps_error *err)
{
	struct ps_serve_key_config *keys = k->keys.items, gone = keys[at];
	memmove(&keys[at], &keys[at + 1], (k->keys.len - at - 1) * sizeof *keys);
	keys[k->keys.len - 1] = gone; /* freed with the others */
	return save(path, keys, k->keys.len - 1, err);
}

enum ps_status ps_serve_keys_revoke(const char *path, const char *prefix, char **ret_digest,
				    struct ps_error *err)
{
	struct ps_serve_keys k;
	size_t at = 0;
	enum ps_status status = ps_serve_keys_load(path, &k, err);
	if (status != PS_OK)
		return status;
	struct ps_serve_key_config *keys = k.keys.items;
	status = find_one(&k, path, prefix, &at, err);
	if (status == PS_OK) {
		char *digest = strdup(keys[at].digest);
		status = is_last_of_tenant(&k, at) ? save_closed(&k, path, at, err)
						   : save_without(&k, path, at, err);
		if (status == PS_OK && ret_digest)
			*ret_digest = digest;
		else
			free(digest);
	}
	ps_conf_free(&ps_serve_keys_schema, &k);
	return status;
}
