#include "net/client_wire_internal.h"
#include "net/net_internal.h"
#include "net/pieces_internal.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	MAX_PIECES = 1024,	 /* the kernel's bound for one call */
	BATCH_BYTES = 64 * 1024, /* encrypted ahead of one write */
};

static bool would_block(int e)
{
	return e == EAGAIN || e == EWOULDBLOCK || e == EINTR;
}

static int64_t now(const struct ps_net_wire *w)
{
	return ps_evloop_now_ns(w->loop);
}

/* --- life --- */

/* Refused by kernels and for sockets that know of no stamps: then there are none. */
static bool ask_for_stamps(int fd)
{
	int flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
	struct sockaddr_storage name = {0};
	socklen_t len = sizeof name;
	return getsockname(fd, (struct sockaddr *)&name, &len) == 0 &&
	       (name.ss_family == AF_INET || name.ss_family == AF_INET6) &&
	       setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags) == 0;
}

static bool open_cipher(struct ps_net_wire *w, const struct ps_net_client_options *o,
			const char *server_name)
{
	struct ps_net_cipher *c = w->cipher;
	if (!c)
		w->cipher = c = calloc(1, sizeof *c);
	if (!c)
		return false;
	c->in_at = c->in_n = c->out_at = c->out_n = c->plain = 0;
	c->begun_ns = 0;
	w->ssl = ps_net_client_tls_session(o->tls, server_name, o->protocol, c);
	return w->ssl != NULL;
}

enum ps_status ps_net_wire_open(struct ps_net_wire *w, int fd,
				const struct ps_net_client_options *o, const char *server_name)
{
	w->broken = false;
	w->error = 0;
	w->kernel_ns = -1;
	if (o->tls && !open_cipher(w, o, server_name))
		return PS_ENOMEM;
	w->stamps = o->kernel_timestamps && ask_for_stamps(fd);
	w->fd = fd;
	return PS_OK;
}

/* One try: a server that does not take close_notify at once does not get it. */
static void say_goodbye(struct ps_net_wire *w)
{
	struct ps_net_cipher *c = w->cipher;
	if (w->broken || c->plain > 0 || !SSL_is_init_finished(w->ssl))
		return;
	ERR_clear_error();
	(void)SSL_shutdown(w->ssl);
	ERR_clear_error();
	(void)ps_net_wire_push(w);
}

void ps_net_wire_close(struct ps_net_wire *w)
{
	if (w->fd < 0)
		return;
	if (w->ssl) {
		say_goodbye(w);
		SSL_free(w->ssl);
		w->ssl = NULL;
	}
	close(w->fd);
	w->fd = -1;
}

void ps_net_wire_fini(struct ps_net_wire *w)
{
	ps_net_wire_close(w);
	if (w->cipher)
		free(w->cipher->out);
	free(w->cipher);
	w->cipher = NULL;
}

/* --- reading --- */

static int64_t instant_of(const struct ps_net_wire *w, const struct timespec *stamp)
{
	if (stamp->tv_sec == 0)
		return -1;
	int64_t stamp_ns = (int64_t)stamp->tv_sec * PS_NS_PER_SEC + stamp->tv_nsec;
	int64_t age_ns = ps_clock_wall_ns() - stamp_ns;
	return age_ns >= 0 && age_ns < w->read_ns ? w->read_ns - age_ns : -1;
}

static int64_t stamp_of(const struct ps_net_wire *w, struct msghdr *m)
{
	struct scm_timestamping stamps;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPING ||
		    c->cmsg_len < CMSG_LEN(sizeof stamps))
			continue;
		memcpy(&stamps, CMSG_DATA(c), sizeof stamps);
		return instant_of(w, &stamps.ts[0]);
	}
	return -1;
}

static ssize_t receive_stamped(struct ps_net_wire *w, void *buf, size_t n)
{
	_Alignas(struct cmsghdr) char control[256];
	struct iovec piece = {buf, n};
	struct msghdr m = {.msg_iov = &piece,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof control};
	ssize_t got = recvmsg(w->fd, &m, MSG_DONTWAIT);
	if (got <= 0)
		return got;
	w->read_ns = now(w);
	w->kernel_ns = stamp_of(w, &m);
	return got;
}

static int64_t receive(struct ps_net_wire *w, void *buf, size_t n)
{
	ssize_t got = w->stamps ? receive_stamped(w, buf, n) : recv(w->fd, buf, n, MSG_DONTWAIT);
	if (got > 0) {
		if (!w->stamps)
			w->read_ns = now(w);
		w->stats->reads++;
		w->stats->read_bytes += (uint64_t)got;
		return got;
	}
	int e = errno;
	if (got < 0 && would_block(e))
		return PS_NET_IO_AGAIN;
	w->read_ns = now(w);
	w->kernel_ns = -1;
	if (got == 0)
		return PS_NET_IO_END;
	w->broken = true;
	w->error = e;
	return PS_NET_IO_BROKEN;
}

/* What OpenSSL's return value means. Its error queue must have been empty before the call. */
static int tls_result(struct ps_net_wire *w, int result)
{
	switch (SSL_get_error(w->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return PS_NET_IO_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return PS_NET_IO_END;
	default:
		w->broken = true;
		w->error = 0;
		return PS_NET_IO_BROKEN;
	}
}

/* An end of the socket without close_notify may have been made by anybody: it is no end. */
static int64_t receive_cipher(struct ps_net_wire *w)
{
	struct ps_net_cipher *c = w->cipher;
	if (c->in_at < c->in_n)
		return 0;
	int64_t n = receive(w, c->in, PS_NET_IN_BYTES);
	if (n == PS_NET_IO_END) {
		w->broken = true;
		w->error = ECONNRESET;
		return PS_NET_IO_BROKEN;
	}
	if (n < 0)
		return n;
	c->in_at = 0;
	c->in_n = (size_t)n;
	return 0;
}

int64_t ps_net_wire_rest(struct ps_net_wire *w, void *buf, size_t n)
{
	size_t got;
	if (!w->ssl)
		return PS_NET_IO_AGAIN;
	ERR_clear_error();
	int r = SSL_read_ex(w->ssl, buf, n, &got);
	int64_t result = r == 1 ? (int64_t)got : tls_result(w, r);
	/* Answers to what the server asked of TLS itself (new keys). */
	if (result >= 0 || result == PS_NET_IO_AGAIN)
		if (ps_net_wire_push(w) != 0)
			return PS_NET_IO_BROKEN;
	return result;
}

int64_t ps_net_wire_read(struct ps_net_wire *w, void *buf, size_t n)
{
	if (!w->ssl)
		return receive(w, buf, n);
	int64_t s = receive_cipher(w);
	return s < 0 ? s : ps_net_wire_rest(w, buf, n);
}

/* --- writing --- */

static size_t bytes_of(const struct iovec *pieces, size_t n)
{
	size_t bytes = 0;
	for (size_t i = 0; i < n; i++)
		bytes += pieces[i].iov_len;
	return bytes;
}

static int64_t give(struct ps_net_wire *w, const struct iovec *pieces, size_t n)
{
	struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)pieces,
			   .msg_iovlen = n < MAX_PIECES ? n : MAX_PIECES};
	ssize_t put =
		n == 1 ? send(w->fd, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT)
		       : sendmsg(w->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	w->full = put < (ssize_t)bytes_of(pieces, m.msg_iovlen);
	if (put >= 0) {
		w->stats->writes++;
		w->stats->written_bytes += (uint64_t)put;
		return put;
	}
	if (would_block(errno))
		return 0;
	w->broken = true;
	w->error = errno;
	return PS_NET_IO_BROKEN;
}

static bool encrypt(struct ps_net_wire *w, const struct iovec *pieces, size_t n)
{
	char record[PS_NET_RECORD_BYTES];
	struct ps_net_cursor c = {.piece = pieces, .n = n};
	for (ps_net_cursor_advance(&c, 0); c.n > 0 && w->cipher->plain < BATCH_BYTES;) {
		size_t bytes, put;
		const char *at = ps_net_cursor_record(c, record, &bytes);
		bytes = bytes < PS_NET_RECORD_BYTES ? bytes : PS_NET_RECORD_BYTES;
		ps_net_cursor_advance(&c, bytes);
		ERR_clear_error();
		if (SSL_write_ex(w->ssl, at, bytes, &put) != 1 || put != bytes) {
			w->broken = true;
			w->error = ENOMEM;
			return false;
		}
		w->cipher->plain += bytes;
	}
	return true;
}

bool ps_net_wire_is_stuck(const struct ps_net_wire *w)
{
	return w->cipher && w->cipher->out_at < w->cipher->out_n;
}

int ps_net_wire_push(struct ps_net_wire *w)
{
	struct ps_net_cipher *c = w->cipher;
	if (!ps_net_wire_is_stuck(w))
		return 0;
	struct iovec piece = {c->out + c->out_at, c->out_n - c->out_at};
	int64_t put = give(w, &piece, 1);
	if (put < 0)
		return PS_NET_IO_BROKEN;
	c->out_at += (size_t)put;
	if (c->out_at == c->out_n)
		c->out_at = c->out_n = 0;
	return 0;
}

static int64_t write_tls(struct ps_net_wire *w, const struct iovec *pieces, size_t n,
			 int64_t *ret_before_ns)
{
	struct ps_net_cipher *c = w->cipher;
	if (c->plain == 0 && !encrypt(w, pieces, n))
		return PS_NET_IO_BROKEN;
	if (!c->begun_ns)
		c->begun_ns = now(w);
	if (ps_net_wire_push(w) != 0)
		return PS_NET_IO_BROKEN;
	if (ps_net_wire_is_stuck(w))
		return 0;
	*ret_before_ns = c->begun_ns;
	int64_t went = (int64_t)c->plain;
	c->plain = 0;
	c->begun_ns = 0;
	return went;
}

int64_t ps_net_wire_write(struct ps_net_wire *w, const struct iovec *pieces, size_t n,
			  int64_t *ret_before_ns)
{
	if (w->ssl)
		return write_tls(w, pieces, n, ret_before_ns);
	*ret_before_ns = now(w);
	return give(w, pieces, n);
}

/* --- the handshake --- */

int ps_net_wire_handshake(struct ps_net_wire *w)
{
	if (!w->ssl)
		return 0;
	for (;;) {
		ERR_clear_error();
		int r = SSL_do_handshake(w->ssl);
		int result = r == 1 ? 0 : tls_result(w, r);
		/* Also the alert that says why not. */
		bool pushed = ps_net_wire_push(w) == 0;
		if (result != PS_NET_IO_AGAIN)
			return result == 0 && pushed ? 0 : PS_NET_IO_BROKEN;
		if (!pushed)
			return PS_NET_IO_BROKEN;
		int64_t got = receive_cipher(w);
		if (got < 0)
			return got == PS_NET_IO_AGAIN ? PS_NET_IO_AGAIN : PS_NET_IO_BROKEN;
	}
}

static size_t chosen(const struct ps_net_wire *w, const unsigned char **ret_name)
{
	unsigned n = 0;
	*ret_name = NULL;
	if (w->ssl)
		SSL_get0_alpn_selected(w->ssl, ret_name, &n);
	return n;
}

bool ps_net_wire_is_refusal(void)
{
	return ERR_GET_REASON(ERR_peek_error()) >= SSL_AD_REASON_OFFSET;
}

bool ps_net_wire_chose_h2(const struct ps_net_wire *w)
{
	const unsigned char *name;
	return chosen(w, &name) == 2 && memcmp(name, "h2", 2) == 0;
}

bool ps_net_wire_chose(const struct ps_net_wire *w)
{
	const unsigned char *name;
	return chosen(w, &name) > 0;
}

const char *ps_net_wire_why(const struct ps_net_wire *w, char *buf, size_t size)
{
	bool asked = w->ssl && SSL_get_verify_mode(w->ssl) != SSL_VERIFY_NONE;
	long verify = asked ? SSL_get_verify_result(w->ssl) : X509_V_OK;
	unsigned long e = ERR_peek_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;
	if (verify != X509_V_OK)
		snprintf(buf, size, "the server's certificate is not trusted: %s",
			 X509_verify_cert_error_string(verify));
	else if (text)
		snprintf(buf, size, "TLS: %s", text);
	else if (w->error)
		snprintf(buf, size, "the server ended the handshake: %s", strerror(w->error));
	else
		snprintf(buf, size, "the handshake of TLS failed");
	ERR_clear_error();
	return buf;
}
