#include "net/client.h"

static const struct {
	const char *name;
	enum ps_status status;
} outcomes[PS_NET_OUTCOME_COUNT] = {
	[PS_NET_OK] = {"ok", PS_OK},
	[PS_NET_REFUSED] = {"refused", PS_EUNAVAIL},
	[PS_NET_CONNECT] = {"connect", PS_EIO},
	[PS_NET_CONNECT_TIMEOUT] = {"connect_timeout", PS_ETIMEOUT},
	[PS_NET_TLS] = {"tls", PS_EUNAUTH},
	[PS_NET_PROTOCOL] = {"protocol", PS_EUNSUPPORTED},
	[PS_NET_TIMEOUT] = {"timeout", PS_ETIMEOUT},
	[PS_NET_RESET] = {"reset", PS_EIO},
	[PS_NET_HALF] = {"half", PS_EIO},
	[PS_NET_STREAM] = {"stream_reset", PS_EIO},
	[PS_NET_GOAWAY] = {"goaway", PS_EUNAVAIL},
	[PS_NET_MALFORMED] = {"malformed", PS_EPARSE},
	[PS_NET_TOO_BIG] = {"too_big", PS_ETOOBIG},
	[PS_NET_CANCELLED] = {"cancelled", PS_ECANCELLED},
	[PS_NET_MEMORY] = {"memory", PS_ENOMEM},
};

const char *ps_net_outcome_name(enum ps_net_outcome o)
{
	return (unsigned)o < PS_NET_OUTCOME_COUNT ? outcomes[o].name : "unknown";
}

enum ps_status ps_net_outcome_status(enum ps_net_outcome o)
{
	return (unsigned)o < PS_NET_OUTCOME_COUNT ? outcomes[o].status : PS_EINTERNAL;
}
