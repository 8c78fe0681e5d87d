/* keys.h - the file of API keys that `perseus serve keys` keeps and a configuration names as
 * keys_file.   Layer 5. Uses base, conf. Any thread; blocks on the disk.
 *
 * The file is YAML and holds digests only: a key is shown once, when it is made.
 */
#ifndef PS_SERVE_KEYS_H
#define PS_SERVE_KEYS_H

#include "base/error.h"
#include "conf/conf.h"

struct ps_serve_key_config {
	char *tenant;	      /* NULL: the operator's */
	char *digest;	      /* "sha256:HEX" */
	char *created, *note; /* for people; may be NULL */
	struct ps_conf_where where;
};

struct ps_serve_keys {
	struct ps_conf_array keys; /* struct ps_serve_key_config */
};

extern const struct ps_conf_schema ps_serve_keys_schema;

/* ps_serve_keys_load reads the file; one that is not there is empty. The caller frees with
 * ps_conf_free(&ps_serve_keys_schema, ret_keys). PS_EPARSE and others with file:line:key. */
enum ps_status ps_serve_keys_load(const char *path, struct ps_serve_keys *ret_keys,
				  struct ps_error *err);
/* ps_serve_keys_add appends a key and writes the file whole (a new one beside it, renamed over).
 * `tenant` NULL: the operator's. `note` may be NULL. PS_EEXIST, PS_EIO, ... */
enum ps_status ps_serve_keys_add(const char *path, const char *tenant, const char *digest,
				 const char *created, const char *note, struct ps_error *err);
/* ps_serve_keys_revoke takes the key out whose digest starts with `prefix` ("sha256:" may be left
 * out; at least 6 digits) and writes the file. *ret_digest (may be NULL) is its digest, malloc'ed.
 * The last key of a tenant is exchanged for one that nobody has, so that revoking never opens the
 * tenant to those who come without a key. PS_ENOTFOUND, PS_EINVAL (several keys start so, or too
 * short). */
enum ps_status ps_serve_keys_revoke(const char *path, const char *prefix, char **ret_digest,
				    struct ps_error *err);

#endif
