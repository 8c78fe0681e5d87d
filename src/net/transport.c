/* Bytes in the clear or under TLS. */
#include "net/transport_internal.h"
#include "net/pieces_internal.h"
#include "net/tls_internal.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_PIECES = 1024 /* the kernel's bound for one call */ };

enum ps_status ps_net_transport_open(struct ps_net_transport *t, int fd, struct ps_net_tls *tls,
				     enum ps_net_kind kind)
{
	SSL *ssl = tls ? ps_net_tls_session(tls, fd, kind) : NULL;
	if (tls && !ssl)
		return PS_ENOMEM;
	*t = (struct ps_net_transport){.fd = fd, .ssl = ssl, .want = PS_EVLOOP_READ};
	return PS_OK;
}

/* What OpenSSL's return value means. Its error queue must have been empty before the call. */
static int tls_result(struct ps_net_transport *t, int result)
{
	switch (SSL_get_error(t->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		t->want = PS_EVLOOP_READ;
		return PS_NET_IO_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		t->want = PS_EVLOOP_WRITE;
		return PS_NET_IO_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return PS_NET_IO_END;
	default:
		t->broken = true;
		ERR_clear_error();
		return PS_NET_IO_BROKEN;
	}
}

int ps_net_transport_handshake(struct ps_net_transport *t)
{
	if (!t->ssl)
		return 0;
	ERR_clear_error();
	int r = SSL_do_handshake(t->ssl);
	if (r == 1)
		return 0;
	r = tls_result(t, r);
	return r == PS_NET_IO_AGAIN ? r : PS_NET_IO_BROKEN;
}

static size_t chosen(const struct ps_net_transport *t, const unsigned char **ret_name)
{
	unsigned n = 0;
	*ret_name = NULL;
	if (t->ssl)
		SSL_get0_alpn_selected(t->ssl, ret_name, &n);
	return n;
}

bool ps_net_transport_is_h2(const struct ps_net_transport *t)
{
	const unsigned char *name;
	return chosen(t, &name) == 2 && memcmp(name, "h2", 2) == 0;
}

bool ps_net_transport_chose(const struct ps_net_transport *t)
{
	const unsigned char *name;
	return chosen(t, &name) > 0;
}

const struct ps_net_identity *ps_net_transport_identity(const struct ps_net_transport *t,
							struct ps_arena *arena, bool *ret_failed)
{
	*ret_failed = false;
	return t->ssl ? ps_net_tls_identity(t->ssl, arena, ret_failed) : NULL;
}

/* --- reading --- */

static int64_t tls_read(struct ps_net_transport *t, void *buf, size_t n)
{
	size_t got;
	ERR_clear_error();
	int r = SSL_read_ex(t->ssl, buf, n, &got);
	/* Bytes of half a record count as pending too: after AGAIN only the socket can help. */
	t->pending = r == 1 && SSL_has_pending(t->ssl);
	return r == 1 ? (int64_t)got : tls_result(t, r);
}

int64_t ps_net_transport_read(struct ps_net_transport *t, void *buf, size_t n)
{
	if (t->ssl)
		return tls_read(t, buf, n);
	ssize_t got = recv(t->fd, buf, n, MSG_DONTWAIT);
	if (got > 0)
		return got;
	if (got == 0)
		return PS_NET_IO_END;
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
		t->want = PS_EVLOOP_READ;
		return PS_NET_IO_AGAIN;
	}
	t->broken = true;
	return PS_NET_IO_BROKEN;
}

bool ps_net_transport_pending(const struct ps_net_transport *t)
{
	return t->pending;
}

/* --- writing --- */

static int64_t tls_write(struct ps_net_transport *t, const void *bytes, size_t n)
{
	size_t put;
	ERR_clear_error();
	int r = SSL_write_ex(t->ssl, bytes, n, &put);
	if (r == 1)
		return (int64_t)put;
	r = tls_result(t, r);
	return r == PS_NET_IO_AGAIN ? r : PS_NET_IO_BROKEN;
}

/* The first bytes after AGAIN are the same as before, as TLS demands. */
static int64_t tls_writev(struct ps_net_transport *t, const struct iovec *pieces, size_t n)
{
	char record[PS_NET_RECORD_BYTES];
	int64_t total = 0;
	struct ps_net_cursor c = {.piece = pieces, .n = n};
	for (ps_net_cursor_advance(&c, 0); c.n > 0;) {
		size_t bytes;
		const char *at = ps_net_cursor_record(c, record, &bytes);
		int64_t put = tls_write(t, at, bytes);
		if (put < 0)
			return put == PS_NET_IO_AGAIN && total > 0 ? total : put;
		total += put;
		ps_net_cursor_advance(&c, (size_t)put);
	}
	return total;
}

int64_t ps_net_transport_writev(struct ps_net_transport *t, const struct iovec *pieces, size_t n)
{
	if (t->ssl)
		return tls_writev(t, pieces, n);
	struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)pieces,
			   .msg_iovlen = n < MAX_PIECES ? n : MAX_PIECES};
	ssize_t w;
	do
		w = sendmsg(t->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (w < 0 && errno == EINTR);
	if (w >= 0)
		return w;
	if (errno == EAGAIN || errno == EWOULDBLOCK) {
		t->want = PS_EVLOOP_WRITE;
		return PS_NET_IO_AGAIN;
	}
	t->broken = true;
	return PS_NET_IO_BROKEN;
}

/* --- ending --- */

/* One try: whoever does not take close_notify at once does not get it. */
static void close_notify(struct ps_net_transport *t)
{
	if (!t->ssl || t->broken || !SSL_is_init_finished(t->ssl))
		return;
	ERR_clear_error();
	if (!(SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN))
		(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}

bool ps_net_transport_shutdown(struct ps_net_transport *t)
{
	close_notify(t);
	return !t->broken && shutdown(t->fd, SHUT_WR) == 0;
}

void ps_net_transport_close(struct ps_net_transport *t)
{
	if (t->fd < 0)
		return;
	close_notify(t);
	SSL_free(t->ssl);
	close(t->fd);
	t->ssl = NULL;
	t->fd = -1;
}
