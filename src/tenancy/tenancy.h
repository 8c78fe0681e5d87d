/* tenancy.h - tenants, their keys, agreements and quotas, and what each may see.   Layer 3, pure.
 * Uses base.
 *
 * A struct ps_tenancy is an immutable snapshot: built once, counted by reference, read by any
 * thread. Tenants are called by number; a snapshot that is built after another gives every name the
 * number that it had, and the numbers of tenants that are gone stay reserved for their names, so
 * that queues, statistics and bills may be kept by number across a change of configuration.
 *
 * Keys are kept as SHA-256 digests only. A presented key is hashed and its digest looked up in a
 * hash table: which slots are looked at depends on nothing but that digest, and the comparison with
 * a stored digest takes the same time whatever differs. A key carries 256 bits from the kernel, so
 * a plain hash of it cannot be searched.
 */
#ifndef PS_TENANCY_TENANCY_H
#define PS_TENANCY_TENANCY_H

#include "base/error.h"
#include "base/sla.h"

#include <stddef.h>
#include <stdint.h>

#define PS_TENANCY_MAX_TENANTS	10000
#define PS_TENANCY_MAX_KEYS	20000	/* of all tenants and the operator together */
#define PS_TENANCY_MAX_CERTS	20000	/* likewise */
#define PS_TENANCY_MAX_MODELS	1000000 /* entries of all lists of models and SLAs together */
#define PS_TENANCY_MAX_NUMBERS	40000	/* names ever seen by one chain of snapshots */
#define PS_TENANCY_MAX_NAME	64
#define PS_TENANCY_MAX_CERT	255 /* bytes of a name in a client's certificate */
#define PS_TENANCY_DIGEST_BYTES 32
#define PS_TENANCY_MAX_WEIGHT	1000
/* "psk_" and 43 characters of base64url, and a NUL. */
#define PS_TENANCY_KEY_SIZE 48
/* "sha256:", 64 hexadecimal digits, and a NUL. */
#define PS_TENANCY_DIGEST_SIZE 72

/* Not tenants, but what may stand in a tenant's place. */
#define PS_TENANCY_NONE	 (-1)
#define PS_TENANCY_ADMIN (-2) /* the operator: sees and may do everything, runs nothing */

enum ps_tenancy_class {
	PS_TENANCY_GUARANTEED,
	PS_TENANCY_BEST_EFFORT,
};
/* ps_tenancy_class_name returns "guaranteed" or "best-effort". */
const char *ps_tenancy_class_name(enum ps_tenancy_class c);

/* So many per second in the long run, and at most `burst` of them at once. */
struct ps_tenancy_rate {
	double per_s; /* 0: no limit */
	double burst; /* >= 1 where there is a limit */
};

struct ps_tenancy_sla {
	const char *model;
	struct ps_sla sla;
};

/* What a configuration says of one tenant; everything is borrowed during ps_tenancy_new only. */
struct ps_tenancy_tenant {
	const char *name;	 /* letters, digits, '.', '_', '-'; at most PS_TENANCY_MAX_NAME */
	const char *const *keys; /* each "sha256:HEX" */
	size_t n_keys;
	const char *const
		*certs; /* names (CN, DNS or URI) of client certificates that are its own */
	size_t n_certs; /* no key and no certificate: requests without either are its own; at most
			 * one tenant may be so */
	const char *const *models; /* names that it may see */
	size_t n_models;
	bool all_models;   /* sees everything, `models` is ignored */
	struct ps_sla sla; /* of every model without one of its own; none: not set */
	const struct ps_tenancy_sla *slas;
	size_t n_slas;
	enum ps_tenancy_class class;
	int64_t weight;		     /* share of lane time, 1..PS_TENANCY_MAX_WEIGHT */
	int64_t queue_limit;	     /* requests waiting at most, >= 1 */
	int64_t concurrency;	     /* requests waiting and running at most; 0: no limit */
	struct ps_tenancy_rate rate; /* requests */
	int64_t max_body_bytes;	     /* 0: the server's */
	int64_t memory_bytes;	     /* of models that it uses: others' loads leave it that much */
	bool may_load;		     /* may load and unload the models that it sees */
	bool no_share; /* identical files of other tenants are instances of their own */
};

struct ps_tenancy_config {
	const struct ps_tenancy_tenant *tenants;
	size_t n_tenants;
	const char *const *admin_keys; /* the operator's, each "sha256:HEX" */
	size_t n_admin_keys;
	const char *const *admin_certs;
	size_t n_admin_certs;
};

struct ps_tenancy;

/* ps_tenancy_new checks and copies the configuration. Names that `previous` (NULL: none; only read)
 * knows keep their numbers; new ones follow in the order of the list. The snapshot has one
 * reference. O(n) in all that is listed.
 * PS_EINVAL: bad or duplicate name, malformed digest, a key or certificate name given twice, two
 * tenants without either, no tenant at all, a value out of its range; PS_ETOOBIG: a limit above;
 * PS_ENOMEM. *ret_bad (may be NULL) is the index of the tenant that is wrong, n_tenants when it is
 * none of them; `where` names it. */
enum ps_status ps_tenancy_new(const struct ps_tenancy_config *config,
			      const struct ps_tenancy *previous, struct ps_tenancy **ret_tenancy,
			      size_t *ret_bad, struct ps_error *err);
/* ps_tenancy_ref takes another reference and returns `t`. Any thread. */
struct ps_tenancy *ps_tenancy_ref(struct ps_tenancy *t);
/* ps_tenancy_unref gives one back, and frees with the last; NULL is fine. Any thread. */
void ps_tenancy_unref(struct ps_tenancy *t);

/* ps_tenancy_count returns how many numbers there are: tenants are called 0..count-1 everywhere
 * else, those that are gone included. */
int ps_tenancy_count(const struct ps_tenancy *t);
/* ps_tenancy_exists says whether this number (any int) is a tenant of this snapshot. */
bool ps_tenancy_exists(const struct ps_tenancy *t, int tenant);
/* ps_tenancy_name borrows the name of a number, also of one that is gone; "admin" for
 * PS_TENANCY_ADMIN, "-" for other numbers that mean nothing. */
const char *ps_tenancy_name(const struct ps_tenancy *t, int tenant);
/* ps_tenancy_find returns the number of a name that exists, else PS_TENANCY_NONE. O(1). */
int ps_tenancy_find(const struct ps_tenancy *t, const char *name, size_t len);

/* Of a tenant 0..count-1; one that is gone sees nothing, may do nothing, has weight 1 and limits 0
 * (queue) or none. O(1), but for _sees and _sla, which are O(log m) in its own list. */

/* ps_tenancy_weight returns its weight, ps_tenancy_class its class. */
int64_t ps_tenancy_weight(const struct ps_tenancy *t, int tenant);
enum ps_tenancy_class ps_tenancy_class(const struct ps_tenancy *t, int tenant);
/* ps_tenancy_queue_limit returns how many requests of the tenant may wait. */
int64_t ps_tenancy_queue_limit(const struct ps_tenancy *t, int tenant);
/* ps_tenancy_concurrency returns how many requests of it may wait and run; 0: no limit. */
int64_t ps_tenancy_concurrency(const struct ps_tenancy *t, int tenant);
/* ps_tenancy_rate returns its quota of requests; per_s 0: none. */
struct ps_tenancy_rate ps_tenancy_rate(const struct ps_tenancy *t, int tenant);
/* ps_tenancy_max_body_bytes returns the largest body it may send, `server_bytes` when it has no
 * limit of its own or a larger one. PS_TENANCY_ADMIN is held to the server's. */
int64_t ps_tenancy_max_body_bytes(const struct ps_tenancy *t, int tenant, int64_t server_bytes);
/* ps_tenancy_memory_bytes returns how much of the models that it uses stays loaded whatever others
 * ask for; 0: nothing is guaranteed. */
int64_t ps_tenancy_memory_bytes(const struct ps_tenancy *t, int tenant);
/* ps_tenancy_shares says whether identical files are one instance with other tenants. */
bool ps_tenancy_shares(const struct ps_tenancy *t, int tenant);
/* ps_tenancy_sla borrows the agreement for a model of that name: its own, else the tenant's
 * default; not set (ps_sla_is_set) when there is neither. Never NULL. */
const struct ps_sla *ps_tenancy_sla(const struct ps_tenancy *t, int tenant, const char *model);
/* ps_tenancy_sees says whether the tenant may see the model of that name. The admin sees all. */
bool ps_tenancy_sees(const struct ps_tenancy *t, int tenant, const char *model);
/* ps_tenancy_may_load says whether the tenant may load and unload that model: it sees it and has
 * the right. The admin may. */
bool ps_tenancy_may_load(const struct ps_tenancy *t, int tenant, const char *model);

/* ps_tenancy_has_open says whether a tenant without a key exists, ps_tenancy_has_admin whether the
 * operator has a key or certificate. */
bool ps_tenancy_has_open(const struct ps_tenancy *t);
bool ps_tenancy_has_admin(const struct ps_tenancy *t);

/* ps_tenancy_authenticate turns the value of an Authorization header ("Bearer KEY"; NULL when there
 * was none) into a tenant or PS_TENANCY_ADMIN. The time taken does not depend on how much of a key
 * is right, nor on how many keys there are.
 * PS_EUNAUTH: no key though every tenant has one, another scheme, or an unknown key. */
enum ps_status ps_tenancy_authenticate(const struct ps_tenancy *t, const char *authorization,
				       size_t len, int *ret_tenant, struct ps_error *err);
/* ps_tenancy_by_cert returns the tenant or PS_TENANCY_ADMIN to whom a name in a verified client
 * certificate belongs, else PS_TENANCY_NONE. O(1). Letters of either case are the same, as in DNS.
 */
int ps_tenancy_by_cert(const struct ps_tenancy *t, const char *name, size_t len);

/* ps_tenancy_make_key makes a new key from the kernel's generator, and its digest. PS_EIO. */
enum ps_status ps_tenancy_make_key(char ret_key[PS_TENANCY_KEY_SIZE],
				   char ret_digest[PS_TENANCY_DIGEST_SIZE], struct ps_error *err);
/* ps_tenancy_digest writes the digest text of `key`. */
void ps_tenancy_digest(const char *key, size_t len, char ret_digest[PS_TENANCY_DIGEST_SIZE]);

/* A token bucket of a rate; zeroed memory is a full one. Not thread-safe. Whoever keeps it passes
 * the rate each time, so that a change of quota needs no second structure: tokens above the new
 * burst are gone. `now_ns` must not go back (if it does, nothing is added). */
struct ps_tenancy_bucket {
	double used; /* tokens missing from a full bucket at `at_ns` */
	int64_t at_ns;
};
/* ps_tenancy_bucket_take takes n (<= burst) tokens if they are there and says so. Always true when
 * the rate has no limit. */
bool ps_tenancy_bucket_take(struct ps_tenancy_bucket *b, const struct ps_tenancy_rate *rate,
			    double n, int64_t now_ns);
/* ps_tenancy_bucket_wait_ns returns how long until n tokens will be there; 0: now; INT64_MAX: n is
 * more than the burst. */
int64_t ps_tenancy_bucket_wait_ns(const struct ps_tenancy_bucket *b,
				  const struct ps_tenancy_rate *rate, double n, int64_t now_ns);

/* Who presents wrong keys. Each address may fail `failures` times at once and regains one every
 * window_ns / failures. An address that has used them up is refused before any key is hashed, right
 * or wrong, so that guessing is bounded; but for the last 8 keys that were right from that very
 * address: neighbours behind one proxy or NAT go on working while one of them fails. Those are
 * recognised by a keyed 64-bit fingerprint, then authenticated as always.
 *
 * An address is a text as net/ writes it, "192.0.2.1:4711" or "[2001:db8::1]:4711"; the port is
 * ignored, and IPv6 counts by its first 64 bits. Unix sockets ("unix:...") are one address.
 * Requests without a key never fail here. The table is bounded: a set of 8 slots per hash value;
 * when all are taken the one that has most nearly recovered is given up. Not thread-safe: one per
 * I/O thread, or under a lock. */
struct ps_tenancy_guard;
#define PS_TENANCY_GUARD_SLOTS	   4096
#define PS_TENANCY_GUARD_FAILURES  10
#define PS_TENANCY_GUARD_WINDOW_NS INT64_C(60000000000)

/* ps_tenancy_guard_new makes an empty table of `slots` addresses (rounded up to a power of two, 8
 * to 2^20). PS_EINVAL: slots, failures or window out of range; PS_EIO: the kernel gives no random
 * bytes; PS_ENOMEM. */
enum ps_status ps_tenancy_guard_new(int slots, int failures, int64_t window_ns,
				    struct ps_tenancy_guard **ret_guard, struct ps_error *err);
/* ps_tenancy_guard_free frees it; NULL is fine. */
void ps_tenancy_guard_free(struct ps_tenancy_guard *g);
/* ps_tenancy_guard_authenticate is ps_tenancy_authenticate behind the guard. PS_EQUOTA: the address
 * has failed too often, *ret_retry_after_ns (may be NULL) says how long it must wait, nothing was
 * hashed; else as there. O(1). */
enum ps_status ps_tenancy_guard_authenticate(struct ps_tenancy_guard *g, const struct ps_tenancy *t,
					     const char *address, const char *authorization,
					     size_t len, int64_t now_ns, int *ret_tenant,
					     int64_t *ret_retry_after_ns, struct ps_error *err);
/* ps_tenancy_guard_blocked returns how many authentications it has refused since it was made. */
int64_t ps_tenancy_guard_blocked(const struct ps_tenancy_guard *g);

#endif
