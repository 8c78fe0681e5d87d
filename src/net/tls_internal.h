/* tls_internal.h - certificates and their OpenSSL contexts, as transport.c uses them. */
#ifndef PS_NET_TLS_INTERNAL_H
#define PS_NET_TLS_INTERNAL_H

#include "net/net.h"

struct ssl_st;

/* ps_net_tls_ref counts one more user; ps_net_tls_free is its end. Any thread. */
struct ps_net_tls *ps_net_tls_ref(struct ps_net_tls *tls);
/* ps_net_tls_session makes the server's side of a TLS session on `fd`, with the certificate that is
 * in use now. NULL: no memory. Any thread. */
struct ssl_st *ps_net_tls_session(struct ps_net_tls *tls, int fd, enum ps_net_kind kind);
/* ps_net_tls_identity tells of the verified certificate of the client, in `arena`. NULL: none, or
 * no memory (*ret_failed is set then). */
const struct ps_net_identity *ps_net_tls_identity(struct ssl_st *ssl, struct ps_arena *arena,
						  bool *ret_failed);

#endif
