/* Connections per address: open addressing, deletion by moving the followers back. */
#include "net/server_internal.h"

#include <stdlib.h>
#include <string.h>

struct entry {
	int count; /* 0: empty */
	char address[60];
};

struct ps_net_peers {
	size_t mask;
	struct entry *entries;
};

struct ps_net_peers *ps_net_peers_new(int max_connections)
{
	size_t size = 16;
	while (size < 2 * (size_t)max_connections)
		size *= 2;
	struct ps_net_peers *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->mask = size - 1;
	p->entries = calloc(size, sizeof *p->entries);
	if (p->entries)
		return p;
	free(p);
	return NULL;
}

void ps_net_peers_free(struct ps_net_peers *p)
{
	if (!p)
		return;
	free(p->entries);
	free(p);
}

static size_t home_of(const struct ps_net_peers *p, const char *address)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */
	for (; *address; address++)
		h = (h ^ (unsigned char)*address) * 1099511628211u;
	return (size_t)(h ^ h >> 29) & p->mask;
}

/* The entry of `address`, or the empty one where it would be. Never full: half of it at most. */
static size_t find(const struct ps_net_peers *p, const char *address)
{
	size_t i = home_of(p, address);
	while (p->entries[i].count > 0 && strcmp(p->entries[i].address, address) != 0)
		i = (i + 1) & p->mask;
	return i;
}

bool ps_net_peers_enter(struct ps_net_peers *p, const char *address, int max)
{
	struct entry *e = &p->entries[find(p, address)];
	if (e->count >= max)
		return false;
	if (e->count++ == 0) {
		size_t n = strnlen(address, sizeof e->address - 1);
		memcpy(e->address, address, n);
		e->address[n] = '\0';
	}
	return true;
}

void ps_net_peers_leave(struct ps_net_peers *p, const char *address)
{
	size_t hole = find(p, address);
	if (p->entries[hole].count == 0 || --p->entries[hole].count > 0)
		return;
	for (size_t i = (hole + 1) & p->mask; p->entries[i].count > 0; i = (i + 1) & p->mask) {
		size_t home = home_of(p, p->entries[i].address);
		if (((i - home) & p->mask) < ((i - hole) & p->mask))
			continue; /* would come to lie before its home */
		p->entries[hole] = p->entries[i];
		p->entries[i].count = 0;
		hole = i;
	}
}
