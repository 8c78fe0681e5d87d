/* tenancy_internal.h - what a snapshot consists of.   Inside tenancy/ only. */
#ifndef PS_TENANCY_TENANCY_INTERNAL_H
#define PS_TENANCY_TENANCY_INTERNAL_H

#include "base/arena.h"
#include "tenancy/tenancy.h"

#include <openssl/evp.h>
#include <stdatomic.h>

struct tenancy_entry {
	const char *name;
	bool exists;	     /* false: the number is only reserved */
	const char **models; /* sorted */
	size_t n_models;
	struct ps_tenancy_sla *slas; /* sorted by model */
	size_t n_slas;
	bool all_models, may_load, no_share;
	struct ps_sla sla;
	enum ps_tenancy_class class;
	int64_t weight, queue_limit, concurrency, max_body_bytes, memory_bytes;
	struct ps_tenancy_rate rate;
};

/* Open addressing with linear probing, at most half full; who == PS_TENANCY_NONE: an empty slot. */
struct tenancy_key {
	unsigned char digest[PS_TENANCY_DIGEST_BYTES];
	int who;
};

struct tenancy_word { /* a name of a tenant or of a certificate */
	const char *text;
	size_t len;
	int who;
};

struct tenancy_words {
	struct tenancy_word *slots;
	size_t mask;
	bool fold; /* letters of either case are the same */
};

struct ps_tenancy {
	atomic_int refs;
	struct ps_arena arena; /* texts and lists */
	struct tenancy_entry *entries;
	int n_entries;
	struct tenancy_words names, certs;
	struct tenancy_key *keys;
	size_t key_mask;
	int open_tenant; /* the one without key and certificate, or PS_TENANCY_NONE */
	bool has_admin;
	EVP_MD *sha256; /* fetched once: looking it up costs more than a hash */
};

/* ps_tenancy_words_init makes an empty table for at most n words. PS_ENOMEM. */
enum ps_status ps_tenancy_words_init(struct tenancy_words *w, size_t n, bool fold);
/* ps_tenancy_words_find returns the slot of a text: its own, or the empty one where it belongs. */
struct tenancy_word *ps_tenancy_words_find(const struct tenancy_words *w, const char *text,
					   size_t len);

/* ps_tenancy_key_parse reads "sha256:HEX". */
bool ps_tenancy_key_parse(const char *text, unsigned char ret[PS_TENANCY_DIGEST_BYTES]);
/* ps_tenancy_key_slot returns the slot of a digest: its own, or the empty one where it belongs. */
struct tenancy_key *ps_tenancy_key_slot(const struct ps_tenancy *t,
					const unsigned char digest[PS_TENANCY_DIGEST_BYTES]);
/* ps_tenancy_bearer finds the key in the value of an Authorization header. */
bool ps_tenancy_bearer(const char *value, size_t len, const char **ret_key, size_t *ret_len);

#endif
