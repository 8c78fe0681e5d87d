/* Who holds how much of the memory for bodies: sums by owner, or by address where nobody is known
 * yet. An entry is there while somebody is charged to it. */
#include "net/server_internal.h"

#include <stdlib.h>
#include <string.h>

enum { FREE_MAX = 64 };

struct ps_net_share {
	struct ps_net_share *next; /* of its bucket, or of the free ones */
	uint64_t hash;
	int owner;   /* 0: the address */
	int charges; /* that refer to it */
	size_t bytes;
	char address[60]; /* longer ones do not occur */
};

void ps_net_shares_fini(struct ps_net_shares *t)
{
	while (t->free) {
		struct ps_net_share *e = t->free;
		t->free = e->next;
		free(e);
	}
	t->n_free = 0;
}

static uint64_t hash_of(int owner, const char *address)
{
	uint64_t h = (uint64_t)(unsigned)owner * 0x9e3779b97f4a7c15u;
	if (owner == 0)
		for (h = 14695981039346656037u; *address; address++) /* FNV-1a */
			h = (h ^ (unsigned char)*address) * 1099511628211u;
	return h ^ h >> 32;
}

static bool is(const struct ps_net_share *e, uint64_t hash, int owner, const char *address)
{
	return e->hash == hash && e->owner == owner &&
	       (owner != 0 || strncmp(e->address, address, sizeof e->address - 1) == 0);
}

const char *ps_net_no_room(enum ps_status s)
{
	return s == PS_EQUOTA ? "too many bodies of yours are under way"
			      : "too many bodies are under way";
}

static struct ps_net_share *new_share(struct ps_net_shares *t)
{
	struct ps_net_share *e = t->free;
	if (!e)
		return malloc(sizeof *e);
	t->free = e->next;
	t->n_free--;
	return e;
}

static void drop_share(struct ps_net_shares *t, struct ps_net_share *e)
{
	struct ps_net_share **at = &t->buckets[e->hash % PS_NET_SHARE_BUCKETS];
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	if (t->n_free >= FREE_MAX) {
		free(e);
		return;
	}
	e->next = t->free;
	t->free = e;
	t->n_free++;
}

enum ps_status ps_net_charge_open(struct ps_net_server *s, struct ps_net_charge *c, int owner,
				  const char *address)
{
	uint64_t hash = hash_of(owner, address);
	struct ps_net_share **bucket = &s->shares.buckets[hash % PS_NET_SHARE_BUCKETS],
			    *e = *bucket;
	while (e && !is(e, hash, owner, address))
		e = e->next;
	if (!e) {
		e = new_share(&s->shares);
		if (!e)
			return PS_ENOMEM;
		*e = (struct ps_net_share){.next = *bucket, .hash = hash, .owner = owner};
		if (owner == 0)
			strncpy(e->address, address, sizeof e->address - 1);
		*bucket = e;
	}
	e->charges++;
	*c = (struct ps_net_charge){.share = e};
	return PS_OK;
}

void ps_net_charge_join(struct ps_net_charge *c, const struct ps_net_charge *other)
{
	*c = (struct ps_net_charge){.share = other->share};
	c->share->charges++;
}

enum ps_status ps_net_charge_check(const struct ps_net_server *s, const struct ps_net_charge *c,
				   size_t bytes)
{
	size_t own = c->share->owner ? s->o.max_owner_bytes : s->o.max_address_bytes;
	size_t all = s->o.max_buffered_bytes;
	if (own > 0 && (c->share->bytes > own || bytes > own - c->share->bytes))
		return PS_EQUOTA;
	return s->stats.buffered_bytes > all || bytes > all - s->stats.buffered_bytes ? PS_EUNAVAIL
										      : PS_OK;
}

enum ps_status ps_net_charge_add(struct ps_net_server *s, struct ps_net_charge *c, size_t bytes)
{
	c->bytes += bytes;
	c->share->bytes += bytes;
	s->stats.buffered_bytes += bytes;
	return ps_net_charge_check(s, c, 0);
}

void ps_net_charge_drop(struct ps_net_server *s, struct ps_net_charge *c)
{
	struct ps_net_share *e = c->share;
	if (!e)
		return;
	s->stats.buffered_bytes -= c->bytes;
	e->bytes -= c->bytes;
	*c = (struct ps_net_charge){0};
	if (--e->charges == 0)
		drop_share(&s->shares, e);
}
