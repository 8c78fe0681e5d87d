/* client_wire_internal.h - a client's bytes to and from the socket, with the instants of it.
 *
 * Unlike transport.c, which lets OpenSSL read and write the descriptor, TLS works on memory here:
 * every system call is made in this file, next to a reading of the clock, many records leave in one
 * write, and the kernel's receive stamps can be had. Owned by the connection's thread.
 */
#ifndef PS_NET_CLIENT_WIRE_INTERNAL_H
#define PS_NET_CLIENT_WIRE_INTERNAL_H

#include "net/client.h"
#include "net/net_internal.h"
#include "net/transport_internal.h" /* PS_NET_IO_* */

struct ssl_st;
struct msghdr;

/* Bytes of TLS records on their way. */
struct ps_net_cipher {
	size_t in_at, in_n; /* what lies in `in` between them is not taken by OpenSSL yet */
	char *out;	    /* what lies in [out_at, out_n) is not with the kernel yet */
	size_t out_at, out_n, out_cap;
	size_t plain;	  /* bytes of the caller's that are in `out` */
	int64_t begun_ns; /* just before the first write of them; 0: none yet */
	char in[PS_NET_IN_BYTES];
};

struct ps_net_wire {
	const struct ps_evloop *loop;
	struct ps_net_client_stats *stats;
	int fd; /* -1: closed */
	struct ssl_st *ssl;
	bool stamps; /* the kernel says when bytes came */
	bool broken;
	bool full; /* the last write left bytes over because the socket takes no more */
	int error; /* errno behind PS_NET_IO_BROKEN; 0: a breach of TLS */
	int64_t read_ns, kernel_ns;   /* of the last read that brought bytes or an end */
	struct ps_net_cipher *cipher; /* NULL: no TLS so far */
};

/* ps_net_wire_open takes the non-blocking socket `fd`; with `tls` a handshake has to follow.
 * PS_ENOMEM (then the descriptor stays the caller's). */
enum ps_status ps_net_wire_open(struct ps_net_wire *w, int fd,
				const struct ps_net_client_options *o, const char *server_name);
void ps_net_wire_close(struct ps_net_wire *w);
/* ps_net_wire_fini frees what is kept between connections. */
void ps_net_wire_fini(struct ps_net_wire *w);

/* ps_net_wire_handshake goes on: 0 when it is done (always, in the clear), PS_NET_IO_AGAIN,
 * PS_NET_IO_BROKEN. */
int ps_net_wire_handshake(struct ps_net_wire *w);
/* ps_net_wire_chose_h2 says whether ALPN chose HTTP/2; ps_net_wire_chose: whether anything. */
bool ps_net_wire_chose_h2(const struct ps_net_wire *w);
bool ps_net_wire_chose(const struct ps_net_wire *w);
/* ps_net_wire_is_refusal says whether TLS broke by an alert of the server's. */
bool ps_net_wire_is_refusal(void);
/* ps_net_wire_why says why the handshake failed. Returns buf. */
const char *ps_net_wire_why(const struct ps_net_wire *w, char *buf, size_t size);

/* ps_net_wire_read makes one system call and returns up to `n` bytes of what it brought, or
 * PS_NET_IO_*. What is over comes by ps_net_wire_rest, to be asked until it says AGAIN. */
int64_t ps_net_wire_read(struct ps_net_wire *w, void *buf, size_t n);
int64_t ps_net_wire_rest(struct ps_net_wire *w, void *buf, size_t n);

/* ps_net_wire_write gives the kernel what it takes of the pieces: how many bytes went since the
 * last call (0: the socket is full), or PS_NET_IO_BROKEN; *ret_before_ns is read just before the
 * first of them went. What did not go must be offered again: at once, or when w->full as soon as
 * the socket can be written. */
int64_t ps_net_wire_write(struct ps_net_wire *w, const struct iovec *pieces, size_t n,
			  int64_t *ret_before_ns);
/* ps_net_wire_is_stuck says whether bytes wait for the socket that no caller knows of. */
bool ps_net_wire_is_stuck(const struct ps_net_wire *w);
/* ps_net_wire_push tries to send those. PS_NET_IO_BROKEN, else 0. */
int ps_net_wire_push(struct ps_net_wire *w);

/* --- client_tls.c --- */

/* ps_net_client_tls_ref counts one more user; ps_net_client_tls_free is its end. Any thread. */
struct ps_net_client_tls *ps_net_client_tls_ref(struct ps_net_client_tls *t);
/* ps_net_client_tls_session makes a session that asks for `name` and `protocol`; its bytes go
 * through `cipher`. NULL: no memory. */
struct ssl_st *ps_net_client_tls_session(struct ps_net_client_tls *t, const char *name,
					 enum ps_net_protocol protocol,
					 struct ps_net_cipher *cipher);
/* ps_net_cipher_put adds bytes to `out`. False: no memory. */
bool ps_net_cipher_put(struct ps_net_cipher *c, const void *bytes, size_t n);

#endif
