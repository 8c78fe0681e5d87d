/* transport_internal.h - bytes over a connected socket, in the clear or under TLS.
 *
 * The rest of net/ reads and writes through this and does not know which it is. Never blocks. Owned
 * by the connection, on the thread of its loop.
 *
 * Level-triggered polling does not tell of bytes that TLS has decrypted and not handed over: after
 * a read that filled its buffer ask ps_net_transport_pending, or read until PS_NET_IO_AGAIN.
 */
#ifndef PS_NET_TRANSPORT_INTERNAL_H
#define PS_NET_TRANSPORT_INTERNAL_H

#include "net/net.h"

struct ssl_st;

struct ps_net_transport {
	int fd;		    /* -1 when closed */
	struct ssl_st *ssl; /* NULL: cleartext */
	unsigned want;	    /* PS_EVLOOP_READ or _WRITE: what the last call that gave
			     * PS_NET_IO_AGAIN waits for */
	bool pending;	    /* TLS holds bytes that the last read did not take */
	bool broken;	    /* no close_notify may be sent any more */
};

/* What read and writev say besides a count. */
enum {
	PS_NET_IO_AGAIN = -1,  /* nothing now: wait for t->want */
	PS_NET_IO_END = -2,    /* the peer has ended its side in order (close_notify under TLS) */
	PS_NET_IO_BROKEN = -3, /* reset, or a breach of TLS: close */
};

/* ps_net_transport_open takes the non-blocking socket `fd`; with `tls` a handshake has to follow.
 * PS_ENOMEM (then the descriptor stays the caller's). */
enum ps_status ps_net_transport_open(struct ps_net_transport *t, int fd, struct ps_net_tls *tls,
				     enum ps_net_kind kind);
/* ps_net_transport_handshake goes on with the handshake: 0 when it is done (always, in the clear),
 * PS_NET_IO_AGAIN, PS_NET_IO_BROKEN. */
int ps_net_transport_handshake(struct ps_net_transport *t);
/* ps_net_transport_is_h2 says whether ALPN chose HTTP/2. False in the clear. */
bool ps_net_transport_is_h2(const struct ps_net_transport *t);
/* ps_net_transport_chose says whether ALPN chose anything. */
bool ps_net_transport_chose(const struct ps_net_transport *t);
/* ps_net_transport_identity tells of the client's certificate, in `arena`; NULL: none, or no
 * memory (*ret_failed then, may not be NULL). */
const struct ps_net_identity *ps_net_transport_identity(const struct ps_net_transport *t,
							struct ps_arena *arena, bool *ret_failed);
/* ps_net_transport_read reads up to `n` > 0 bytes: their count, or PS_NET_IO_*. */
int64_t ps_net_transport_read(struct ps_net_transport *t, void *buf, size_t n);
/* ps_net_transport_pending says whether to read again without waiting for the socket. */
bool ps_net_transport_pending(const struct ps_net_transport *t);
/* ps_net_transport_writev writes as much of the pieces as it can: the count of bytes (0 only
 * when there are none), or PS_NET_IO_AGAIN or _BROKEN. After AGAIN the next call must offer the
 * same bytes again (more may follow them): TLS has encrypted them already. n may be any number. */
int64_t ps_net_transport_writev(struct ps_net_transport *t, const struct iovec *pieces, size_t n);
/* ps_net_transport_shutdown says that no more will be written (close_notify, FIN); reading goes on.
 * False when the connection is broken. */
bool ps_net_transport_shutdown(struct ps_net_transport *t);
/* ps_net_transport_close sends close_notify if it can be sent at once, and closes. The descriptor
 * must not be watched any more. Does nothing when closed. */
void ps_net_transport_close(struct ps_net_transport *t);

#endif
