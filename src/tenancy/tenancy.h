/* tenancy.h - tenants, their keys and what each may see.   Layer 3, pure. Uses base.
 *
 * A struct ps_tenancy is an immutable snapshot: built once, then read by any thread. Keys are kept
 * as SHA-256 digests only; a presented key is hashed and compared with every digest in constant
 * time. A key carries 256 bits from the kernel, so a plain hash of it cannot be searched.
 */
#ifndef PS_TENANCY_TENANCY_H
#define PS_TENANCY_TENANCY_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define PS_TENANCY_MAX_TENANTS	1024
#define PS_TENANCY_MAX_KEYS	1024 /* of all tenants together */
#define PS_TENANCY_MAX_NAME	64
#define PS_TENANCY_DIGEST_BYTES 32
#define PS_TENANCY_MAX_WEIGHT	1000
/* "psk_" and 43 characters of base64url, and a NUL. */
#define PS_TENANCY_KEY_SIZE 48
/* "sha256:", 64 hexadecimal digits, and a NUL. */
#define PS_TENANCY_DIGEST_SIZE 72

/* What a configuration says of one tenant; everything is borrowed during ps_tenancy_new only. */
struct ps_tenancy_tenant {
	const char *name;	   /* letters, digits, '.', '_', '-'; at most PS_TENANCY_MAX_NAME */
	const char *const *keys;   /* each "sha256:HEX"; none: requests without a key are its own */
	size_t n_keys;		   /* at most one tenant may have none */
	const char *const *models; /* names that it may see */
	size_t n_models;
	bool all_models;     /* sees everything, `models` is ignored */
	int64_t queue_limit; /* requests waiting at most, >= 1 */
	int64_t weight;	     /* requests served per turn, 1..PS_TENANCY_MAX_WEIGHT */
};

struct ps_tenancy;

/* ps_tenancy_new checks and copies the tenants. PS_EINVAL with the tenant in `where`: bad or
 * duplicate name, malformed digest, a key that two tenants share, two tenants without a key, no
 * tenant at all, a queue limit or weight out of range; PS_ETOOBIG; PS_ENOMEM. */
enum ps_status ps_tenancy_new(const struct ps_tenancy_tenant *tenants, size_t n,
			      struct ps_tenancy **ret_tenancy, struct ps_error *err);
/* ps_tenancy_free frees the snapshot; NULL is fine. */
void ps_tenancy_free(struct ps_tenancy *t);

/* ps_tenancy_count returns the number of tenants; they are called 0..count-1 everywhere else. */
int ps_tenancy_count(const struct ps_tenancy *t);
/* ps_tenancy_name borrows the name of a tenant. */
const char *ps_tenancy_name(const struct ps_tenancy *t, int tenant);
/* ps_tenancy_queue_limit returns how many requests of the tenant may wait. */
int64_t ps_tenancy_queue_limit(const struct ps_tenancy *t, int tenant);
/* ps_tenancy_weight returns how many requests of the tenant are served per turn. */
int64_t ps_tenancy_weight(const struct ps_tenancy *t, int tenant);
/* ps_tenancy_sees says whether the tenant may see the model of that name. */
bool ps_tenancy_sees(const struct ps_tenancy *t, int tenant, const char *model);
/* ps_tenancy_has_open says whether a tenant without a key exists. */
bool ps_tenancy_has_open(const struct ps_tenancy *t);

/* ps_tenancy_authenticate turns the value of an Authorization header ("Bearer KEY"; NULL when there
 * was none) into a tenant. The time taken does not depend on how much of a key is right.
 * PS_EUNAUTH: no key though every tenant has one, another scheme, or an unknown key. */
enum ps_status ps_tenancy_authenticate(const struct ps_tenancy *t, const char *authorization,
				       size_t len, int *ret_tenant, struct ps_error *err);

/* ps_tenancy_make_key makes a new key from the kernel's generator, and its digest. PS_EIO. */
enum ps_status ps_tenancy_make_key(char ret_key[PS_TENANCY_KEY_SIZE],
				   char ret_digest[PS_TENANCY_DIGEST_SIZE], struct ps_error *err);
/* ps_tenancy_digest writes the digest text of `key`. */
void ps_tenancy_digest(const char *key, size_t len, char ret_digest[PS_TENANCY_DIGEST_SIZE]);

#endif
