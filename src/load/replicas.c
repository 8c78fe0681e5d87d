/* replicas.c - see replicas.h. */
#include "load/replicas.h"

#include <stdio.h>
#include <string.h>

enum ps_status ps_load_replica_resolve(const char *text, struct ps_load_replica *ret_replica,
				       struct ps_error *err)
{
	struct ps_load_replica r = {.text = text};
	enum ps_status st = ps_net_url_parse(text, &r.url, err);

	if (st == PS_OK) {
		st = ps_net_resolve_url(&r.url, &r.address, err);
	}
	if (st != PS_OK) {
		return st;
	}
	if (r.url.unix_path[0]) {
		strcpy(r.host, "localhost");
	} else {
		snprintf(r.host, sizeof(r.host), strchr(r.url.host, ':') ? "[%s]:%u" : "%s:%u",
			 r.url.host, r.url.port);
	}
	*ret_replica = r;
	return PS_OK;
}

void ps_load_balancer_init(struct ps_load_balancer *b, enum ps_load_balance how, uint32_t len,
			   uint32_t first)
{
	*b = (struct ps_load_balancer){.how = how, .len = len};
	b->last = (first % len + len - 1) % len;
}

uint32_t ps_load_balancer_pick(struct ps_load_balancer *b)
{
	uint32_t best = (b->last + 1) % b->len;

	if (b->how == PS_LOAD_LEAST_OUTSTANDING) {
		/* Among equals the one after the last used, so that an idle set is used evenly. */
		for (uint32_t i = 1; i < b->len; i++) {
			uint32_t k = (b->last + 1 + i) % b->len;

			if (b->outstanding[k] < b->outstanding[best]) {
				best = k;
			}
		}
	}
	b->last = best;
	return best;
}
