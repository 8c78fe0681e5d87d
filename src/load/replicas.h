/* replicas.h - the servers of a tenant, and whose turn it is.   Layer 3. */
#ifndef PS_LOAD_REPLICAS_H
#define PS_LOAD_REPLICAS_H

#include "load/target_spec.h"
#include "net/net.h"

#include <stdint.h>

struct ps_load_replica {
	const char *text; /* as given, for messages */
	struct ps_net_url url;
	struct ps_net_address address;
	char host[PS_NET_HOST_SIZE + 8]; /* "name:port", for Host: */
};

/* ps_load_replica_resolve reads a URL and looks up its host (may block on a name); `text` is
 * borrowed. PS_EPARSE, PS_EUNSUPPORTED, PS_ENOTFOUND, PS_EINVAL, PS_EIO. */
enum ps_status ps_load_replica_resolve(const char *text, struct ps_load_replica *ret_replica,
				       struct ps_error *err);

struct ps_load_balancer {
	enum ps_load_balance how;
	uint32_t len, last;
	uint32_t outstanding[PS_LOAD_MAX_REPLICAS]; /* kept by the caller */
};

/* ps_load_balancer_init starts so that the first pick is `first` modulo len. */
void ps_load_balancer_init(struct ps_load_balancer *b, enum ps_load_balance how, uint32_t len,
			   uint32_t first);
/* ps_load_balancer_pick returns the replica whose turn it is. */
uint32_t ps_load_balancer_pick(struct ps_load_balancer *b);

#endif
