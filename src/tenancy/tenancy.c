#include "tenancy/tenancy.h"

#include "base/rng.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_RANDOM_BYTES = 32 }; /* 256 bits */
static const char key_prefix[] = "psk_";
static const char digest_prefix[] = "sha256:";

struct tenant {
	char *name;
	char **models; /* sorted */
	size_t n_models;
	bool all_models;
	int64_t queue_limit, weight;
};

struct key {
	unsigned char digest[PS_TENANCY_DIGEST_BYTES];
	int tenant;
};

struct ps_tenancy {
	struct tenant *tenants;
	struct key *keys;
	int n_tenants, n_keys;
	int open_tenant; /* the one without a key, or -1 */
};

static bool name_is_good(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "._-";
	size_t n = name ? strlen(name) : 0;
	return n > 0 && n <= PS_TENANCY_MAX_NAME && strspn(name, good) == n;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool parse_digest(const char *text, unsigned char ret[PS_TENANCY_DIGEST_BYTES])
{
	size_t skip = sizeof digest_prefix - 1;
	if (strlen(text) != skip + 2 * PS_TENANCY_DIGEST_BYTES ||
	    memcmp(text, digest_prefix, skip) != 0)
		return false;
	for (size_t i = 0; i < PS_TENANCY_DIGEST_BYTES; i++) {
		int hi = hex_value(text[skip + 2 * i]), lo = hex_value(text[skip + 2 * i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		ret[i] = (unsigned char)(hi << 4 | lo);
	}
	return true;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum ps_status copy_models(struct tenant *t, const struct ps_tenancy_tenant *from)
{
	if (from->n_models == 0)
		return PS_OK;
	t->models = calloc(from->n_models, sizeof *t->models);
	if (!t->models)
		return PS_ENOMEM;
	for (size_t i = 0; i < from->n_models; i++) {
		t->models[i] = strdup(from->models[i]);
		if (!t->models[i])
			return PS_ENOMEM;
		t->n_models = i + 1;
	}
	qsort(t->models, t->n_models, sizeof *t->models, by_text);
	return PS_OK;
}

static enum ps_status add_key(struct ps_tenancy *t, int tenant, const char *text,
			      struct ps_error *err)
{
	struct key *k = &t->keys[t->n_keys];
	if (!parse_digest(text, k->digest)) {
		ps_error_set(err, PS_EINVAL, "a key is not of the form sha256:<64 hex digits>");
		ps_error_hint(err, "perseus serve --new-key prints a key and its digest");
		return PS_EINVAL;
	}
	for (int i = 0; i < t->n_keys; i++)
		if (CRYPTO_memcmp(t->keys[i].digest, k->digest, sizeof k->digest) == 0)
			return ps_error_set(err, PS_EINVAL, "a key is given twice, to %s and %s",
					    t->tenants[t->keys[i].tenant].name,
					    t->tenants[tenant].name);
	k->tenant = tenant;
	t->n_keys++;
	return PS_OK;
}

static enum ps_status check_values(const struct ps_tenancy_tenant *from, struct ps_error *err)
{
	if (!name_is_good(from->name))
		return ps_error_set(err, PS_EINVAL,
				    "a tenant's name has 1 to %d letters, digits, '.', '_', '-'",
				    PS_TENANCY_MAX_NAME);
	if (from->queue_limit < 1)
		return ps_error_set(err, PS_EINVAL, "the queue limit is less than 1");
	if (from->weight < 1 || from->weight > PS_TENANCY_MAX_WEIGHT)
		return ps_error_set(err, PS_EINVAL, "the weight is not in 1..%d",
				    PS_TENANCY_MAX_WEIGHT);
	return PS_OK;
}

static enum ps_status add_keys(struct ps_tenancy *t, int tenant,
			       const struct ps_tenancy_tenant *from, struct ps_error *err)
{
	if (from->n_keys == 0) {
		if (t->open_tenant >= 0)
			return ps_error_set(err, PS_EINVAL,
					    "tenants %s and %s both have no key: nothing tells "
					    "them apart",
					    t->tenants[t->open_tenant].name, from->name);
		t->open_tenant = tenant;
	}
	for (size_t i = 0; i < from->n_keys; i++) {
		enum ps_status s = add_key(t, tenant, from->keys[i], err);
		if (s != PS_OK)
			return s;
	}
	return PS_OK;
}

static enum ps_status add_tenant(struct ps_tenancy *t, const struct ps_tenancy_tenant *from,
				 struct ps_error *err)
{
	enum ps_status s = check_values(from, err);
	if (s != PS_OK)
		return s;
	for (int i = 0; i < t->n_tenants; i++)
		if (strcmp(t->tenants[i].name, from->name) == 0)
			return ps_error_set(err, PS_EINVAL, "two tenants are called %s",
					    from->name);
	struct tenant *to = &t->tenants[t->n_tenants];
	to->all_models = from->all_models;
	to->queue_limit = from->queue_limit;
	to->weight = from->weight;
	to->name = strdup(from->name);
	if (!to->name)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	t->n_tenants++;
	if (copy_models(to, from) != PS_OK)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	return add_keys(t, t->n_tenants - 1, from, err);
}

static enum ps_status check_counts(const struct ps_tenancy_tenant *tenants, size_t n,
				   size_t *ret_keys, struct ps_error *err)
{
	size_t keys = 0;
	if (n == 0)
		return ps_error_set(err, PS_EINVAL, "there is no tenant");
	if (n > PS_TENANCY_MAX_TENANTS)
		return ps_error_set(err, PS_ETOOBIG, "more than %d tenants",
				    PS_TENANCY_MAX_TENANTS);
	for (size_t i = 0; i < n; i++) {
		keys += tenants[i].n_keys;
		if (keys > PS_TENANCY_MAX_KEYS)
			return ps_error_set(err, PS_ETOOBIG, "more than %d keys",
					    PS_TENANCY_MAX_KEYS);
	}
	*ret_keys = keys;
	return PS_OK;
}

enum ps_status ps_tenancy_new(const struct ps_tenancy_tenant *tenants, size_t n,
			      struct ps_tenancy **ret_tenancy, struct ps_error *err)
{
	size_t n_keys = 0;
	enum ps_status s = check_counts(tenants, n, &n_keys, err);
	if (s != PS_OK)
		return s;
	struct ps_tenancy *t = calloc(1, sizeof *t);
	if (t) {
		t->open_tenant = -1;
		t->tenants = calloc(n, sizeof *t->tenants);
		t->keys = calloc(n_keys + 1, sizeof *t->keys);
	}
	if (!t || !t->tenants || !t->keys) {
		ps_tenancy_free(t);
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < n; i++) {
		s = add_tenant(t, &tenants[i], err);
		if (s != PS_OK) {
			ps_error_where(err, "tenant %s", tenants[i].name ? tenants[i].name : "?");
			ps_tenancy_free(t);
			return s;
		}
	}
	*ret_tenancy = t;
	return PS_OK;
}

void ps_tenancy_free(struct ps_tenancy *t)
{
	if (!t)
		return;
	for (int i = 0; i < t->n_tenants; i++) {
		for (size_t m = 0; m < t->tenants[i].n_models; m++)
			free(t->tenants[i].models[m]);
		free(t->tenants[i].models);
		free(t->tenants[i].name);
	}
	free(t->tenants);
	free(t->keys);
	free(t);
}

int ps_tenancy_count(const struct ps_tenancy *t)
{
	return t->n_tenants;
}

const char *ps_tenancy_name(const struct ps_tenancy *t, int tenant)
{
	return t->tenants[tenant].name;
}

int64_t ps_tenancy_queue_limit(const struct ps_tenancy *t, int tenant)
{
	return t->tenants[tenant].queue_limit;
}

int64_t ps_tenancy_weight(const struct ps_tenancy *t, int tenant)
{
	return t->tenants[tenant].weight;
}

bool ps_tenancy_sees(const struct ps_tenancy *t, int tenant, const char *model)
{
	const struct tenant *x = &t->tenants[tenant];
	if (x->all_models)
		return true;
	return x->n_models > 0 &&
	       bsearch(&model, x->models, x->n_models, sizeof *x->models, by_text) != NULL;
}

bool ps_tenancy_has_open(const struct ps_tenancy *t)
{
	return t->open_tenant >= 0;
}

static bool bearer(const char *value, size_t len, const char **ret_key, size_t *ret_len)
{
	static const char scheme[] = "Bearer ";
	size_t skip = sizeof scheme - 1;
	if (len <= skip || strncasecmp(value, scheme, skip) != 0)
		return false;
	while (skip < len && value[skip] == ' ')
		skip++;
	while (len > skip && value[len - 1] == ' ')
		len--;
	*ret_key = value + skip;
	*ret_len = len - skip;
	return len > skip;
}

/* Looks at every digest and at every byte of it, whatever it finds. */
static int find_key(const struct ps_tenancy *t, const char *key, size_t len)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	int found = -1;
	SHA256((const unsigned char *)key, len, digest);
	for (int i = 0; i < t->n_keys; i++) {
		int differs = CRYPTO_memcmp(t->keys[i].digest, digest, sizeof digest);
		int mask = -(differs == 0); /* all ones when equal */
		found = (t->keys[i].tenant & mask) | (found & ~mask);
	}
	return found;
}

enum ps_status ps_tenancy_authenticate(const struct ps_tenancy *t, const char *authorization,
				       size_t len, int *ret_tenant, struct ps_error *err)
{
	const char *key;
	size_t key_len;
	int tenant;
	if (!authorization) {
		if (t->open_tenant < 0) {
			ps_error_set(err, PS_EUNAUTH, "a key is needed");
			ps_error_hint(err, "send the header Authorization: Bearer KEY");
			return PS_EUNAUTH;
		}
		*ret_tenant = t->open_tenant;
		return PS_OK;
	}
	if (!bearer(authorization, len, &key, &key_len)) {
		ps_error_set(err, PS_EUNAUTH, "the Authorization header does not hold a key");
		ps_error_hint(err, "its form is Authorization: Bearer KEY");
		return PS_EUNAUTH;
	}
	tenant = find_key(t, key, key_len);
	if (tenant < 0)
		return ps_error_set(err, PS_EUNAUTH, "unknown key");
	*ret_tenant = tenant;
	return PS_OK;
}

void ps_tenancy_digest(const char *key, size_t len, char ret_digest[PS_TENANCY_DIGEST_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char *p = ret_digest + sizeof digest_prefix - 1;
	SHA256((const unsigned char *)key, len, digest);
	memcpy(ret_digest, digest_prefix, sizeof digest_prefix - 1);
	for (size_t i = 0; i < sizeof digest; i++) {
		*p++ = hex[digest[i] >> 4];
		*p++ = hex[digest[i] & 15];
	}
	*p = '\0';
}

enum ps_status ps_tenancy_make_key(char ret_key[PS_TENANCY_KEY_SIZE],
				   char ret_digest[PS_TENANCY_DIGEST_SIZE], struct ps_error *err)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789-_";
	unsigned char raw[KEY_RANDOM_BYTES];
	char *p = ret_key + sizeof key_prefix - 1;
	unsigned bits = 0, have = 0;
	if (ps_rng_kernel(raw, sizeof raw) != PS_OK)
		return ps_error_set(err, PS_EIO, "the kernel gives no random bytes");
	memcpy(ret_key, key_prefix, sizeof key_prefix - 1);
	for (size_t i = 0; i < sizeof raw; i++) {
		bits = bits << 8 | raw[i];
		for (have += 8; have >= 6; have -= 6)
			*p++ = alphabet[bits >> (have - 6) & 63];
	}
	*p++ = alphabet[bits << (6 - have) & 63]; /* 256 = 42 * 6 + 4 */
	*p = '\0';
	ps_tenancy_digest(ret_key, strlen(ret_key), ret_digest);
	OPENSSL_cleanse(raw, sizeof raw);
	return PS_OK;
}
