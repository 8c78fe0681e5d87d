/* Who presents wrong keys: failures per address, in a bounded table.
 *
 * The place of an address in the table and the fingerprint of a key come from SipHash under a key
 * from the kernel, so nobody can choose addresses that push a certain one out, nor a key that looks
 * like a right one. */
#include "tenancy/tenancy_internal.h"

#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAYS = 8, GOOD = 8, MAX_SLOTS = 1 << 20, MAX_FAILURES = 1000000, GROUPS = 8 };

struct slot {
	uint64_t address; /* its hash; 0: the slot is empty */
	int64_t seen_ns;
	struct ps_tenancy_bucket failures;
	uint64_t good[GOOD]; /* fingerprints of keys that were right lately; 0: none */
	int next_good;
};

struct ps_tenancy_guard {
	uint64_t secret[2];
	struct slot *slots; /* sets of WAYS */
	size_t mask;	    /* of sets */
	struct ps_tenancy_rate rate;
	int64_t blocked;
};

static uint64_t rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

/* SipHash-2-4 (Aumasson, Bernstein, 2012) with the length in the last word; never 0. */
static uint64_t sip_hash(const uint64_t secret[2], const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t v[4] = {secret[0] ^ 0x736f6d6570736575u, secret[1] ^ 0x646f72616e646f6du,
			 secret[0] ^ 0x6c7967656e657261u, secret[1] ^ 0x7465646279746573u};
	bool last = false;
	for (size_t at = 0; !last; at += 8) {
		uint64_t m = 0;
		last = len - at < 8;
		memcpy(&m, p + at, last ? len - at : 8);
		if (last)
			m |= (uint64_t)len << 56;
		v[3] ^= m;
		sip_round(v);
		sip_round(v);
		v[0] ^= m;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	uint64_t h = v[0] ^ v[1] ^ v[2] ^ v[3];
	return h ? h : 1;
}

/* Reads groups of hexadecimal digits up to "::" or the end; -1 when it is no such text. */
static int read_groups(const char **p, const char *end, unsigned ret[GROUPS])
{
	int n = 0;
	while (*p < end && **p != ':') {
		char *after;
		unsigned long v = strtoul(*p, &after, 16);
		if (after == *p || after > end || v > 0xffff || n == GROUPS)
			return -1;
		ret[n++] = (unsigned)v;
		*p = after;
		if (*p < end && **p != ':')
			return -1;
		if (end - *p >= 2 && (*p)[1] == ':')
			return n;
		if (*p < end)
			(*p)++;
	}
	return n;
}

/* The first four groups of an IPv6 address. False: it is none, or one with IPv4 in it, which counts
 * as a whole. */
static bool prefix_of(const char *text, size_t len, unsigned ret[4])
{
	const char *p = text, *end = text + len;
	unsigned left[GROUPS] = {0}, right[GROUPS] = {0};
	int n_right = 0, n_left;
	if (memchr(text, '.', len))
		return false;
	n_left = read_groups(&p, end, left);
	if (n_left < 0)
		return false;
	if (end - p >= 2 && p[0] == ':' && p[1] == ':') {
		p += 2;
		n_right = read_groups(&p, end, right);
	}
	if (p != end || n_right < 0 || n_left + n_right > GROUPS)
		return false;
	for (int i = 0; i < 4; i++) {
		int from_right = i - (GROUPS - n_right);
		ret[i] = i < n_left ? left[i] : from_right >= 0 ? right[from_right] : 0;
	}
	return true;
}

/* What of a peer's text is its address: without port, and IPv6 by its first 64 bits. */
static uint64_t hash_address(const struct ps_tenancy_guard *g, const char *peer)
{
	size_t len = strlen(peer);
	const char *colon = strrchr(peer, ':');
	unsigned prefix[4];
	if (strncmp(peer, "unix", 4) == 0)
		return sip_hash(g->secret, "unix", 4);
	if (peer[0] == '[') {
		const char *close = strchr(peer, ']');
		peer++;
		len = close ? (size_t)(close - peer) : len - 1;
	} else if (colon && memchr(peer, ':', (size_t)(colon - peer)) == NULL) {
		len = (size_t)(colon - peer);
	}
	if (memchr(peer, ':', len) && prefix_of(peer, len, prefix))
		return sip_hash(g->secret, prefix, sizeof prefix);
	return sip_hash(g->secret, peer, len);
}

static struct slot *set_of(const struct ps_tenancy_guard *g, uint64_t address)
{
	return &g->slots[(size_t)(address & g->mask) * WAYS];
}

static struct slot *find(const struct ps_tenancy_guard *g, uint64_t address)
{
	struct slot *set = set_of(g, address);
	for (int i = 0; i < WAYS; i++)
		if (set[i].address == address)
			return &set[i];
	return NULL;
}

/* How long until a slot is as good as empty. */
static int64_t recovers_ns(const struct ps_tenancy_guard *g, const struct slot *s, int64_t now_ns)
{
	return ps_tenancy_bucket_wait_ns(&s->failures, &g->rate, g->rate.burst, now_ns);
}

/* A slot for a new address: an empty one, else the one that has most nearly recovered, among equals
 * the one not seen for longest. A success takes no place from an address that still has failures
 * (NULL then). */
static struct slot *claim(struct ps_tenancy_guard *g, uint64_t address, bool failure,
			  int64_t now_ns)
{
	struct slot *set = set_of(g, address), *best = NULL;
	int64_t best_ns = 0;
	for (int i = 0; i < WAYS; i++) {
		int64_t ns = set[i].address ? recovers_ns(g, &set[i], now_ns) : -1;
		if (!best || ns < best_ns || (ns == best_ns && set[i].seen_ns < best->seen_ns)) {
			best = &set[i];
			best_ns = ns;
		}
	}
	if (best_ns > 0 && !failure)
		return NULL;
	*best = (struct slot){.address = address};
	return best;
}

static int good_index(const struct slot *s, uint64_t fingerprint)
{
	for (int i = 0; i < GOOD; i++)
		if (s->good[i] == fingerprint)
			return i;
	return -1;
}

static void remember(struct slot *s, uint64_t fingerprint)
{
	if (good_index(s, fingerprint) >= 0)
		return;
	s->good[s->next_good] = fingerprint;
	s->next_good = (s->next_good + 1) % GOOD;
}

static void note_failure(struct ps_tenancy_guard *g, struct slot *s, uint64_t fingerprint,
			 int64_t now_ns)
{
	int i = good_index(s, fingerprint);
	if (i >= 0) /* it was right once: its tenant has lost it since */
		s->good[i] = 0;
	ps_tenancy_bucket_take(&s->failures, &g->rate, 1, now_ns);
}

static enum ps_status refuse(struct ps_tenancy_guard *g, int64_t wait_ns,
			     int64_t *ret_retry_after_ns, struct ps_error *err)
{
	g->blocked++;
	if (ret_retry_after_ns)
		*ret_retry_after_ns = wait_ns;
	return ps_error_set(err, PS_EQUOTA, "too many wrong keys from this address");
}

enum ps_status ps_tenancy_guard_authenticate(struct ps_tenancy_guard *g, const struct ps_tenancy *t,
					     const char *address, const char *authorization,
					     size_t len, int64_t now_ns, int *ret_tenant,
					     int64_t *ret_retry_after_ns, struct ps_error *err)
{
	const char *key;
	size_t key_len;
	if (!authorization || !ps_tenancy_bearer(authorization, len, &key, &key_len))
		return ps_tenancy_authenticate(t, authorization, len, ret_tenant, err);
	uint64_t where = hash_address(g, address);
	uint64_t fingerprint = sip_hash(g->secret, key, key_len);
	struct slot *s = find(g, where);
	int64_t wait_ns = s ? ps_tenancy_bucket_wait_ns(&s->failures, &g->rate, 1, now_ns) : 0;
	if (wait_ns > 0 && good_index(s, fingerprint) < 0)
		return refuse(g, wait_ns, ret_retry_after_ns, err);
	enum ps_status status = ps_tenancy_authenticate(t, authorization, len, ret_tenant, err);
	if (status != PS_OK && status != PS_EUNAUTH)
		return status;
	if (!s)
		s = claim(g, where, status != PS_OK, now_ns);
	if (s && status == PS_OK)
		remember(s, fingerprint);
	else if (s)
		note_failure(g, s, fingerprint, now_ns);
	if (s)
		s->seen_ns = now_ns;
	return status;
}

int64_t ps_tenancy_guard_blocked(const struct ps_tenancy_guard *g)
{
	return g->blocked;
}

enum ps_status ps_tenancy_guard_new(int slots, int failures, int64_t window_ns,
				    struct ps_tenancy_guard **ret_guard, struct ps_error *err)
{
	size_t sets = 1;
	if (slots < 1 || slots > MAX_SLOTS || failures < 1 || failures > MAX_FAILURES ||
	    window_ns < 1)
		return ps_error_set(err, PS_EINVAL,
				    "the guard's slots, failures or window are out of range");
	while (sets * WAYS < (size_t)slots)
		sets *= 2;
	struct ps_tenancy_guard *g = calloc(1, sizeof *g);
	if (g)
		g->slots = calloc(sets * WAYS, sizeof *g->slots);
	if (!g || !g->slots) {
		ps_tenancy_guard_free(g);
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	}
	g->mask = sets - 1;
	g->rate = (struct ps_tenancy_rate){.per_s = failures / ((double)window_ns * 1e-9),
					   .burst = failures};
	if (ps_rng_kernel(g->secret, sizeof g->secret) != PS_OK) {
		ps_tenancy_guard_free(g);
		return ps_error_set(err, PS_EIO, "the kernel gives no random bytes");
	}
	*ret_guard = g;
	return PS_OK;
}

void ps_tenancy_guard_free(struct ps_tenancy_guard *g)
{
	if (!g)
		return;
	free(g->slots);
	free(g);
}
