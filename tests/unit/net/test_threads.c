/* Several loops, each with its server, on one port, one certificate and one Unix socket: what they
 * share holds while the certificate is swapped under them. For ThreadSanitizer above all. */
#include "net/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "unit/net/certs.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/un.h>

enum { THREADS = 3, REQUESTS = 60, RELOADS = 20 };

struct io {
	pthread_t thread;
	struct ps_evloop *loop;
	struct ps_net_server *tcp, *unix_socket;
	atomic_int requests;
};

static struct io ios[THREADS];

static void answer_here(void *ctx, struct ps_net_request *r)
{
	struct io *io = ctx;
	static const struct iovec piece = {"hello", 5};
	struct ps_net_answer a = {.http = 200, .body = &piece, .n_body = 1, .close = true};
	atomic_fetch_add(&io->requests, 1);
	ps_net_answer(r, &a);
}

static void *run(void *ctx)
{
	struct io *io = ctx;
	assert_int_equal(ps_evloop_run(io->loop, NULL), PS_OK);
	ps_net_server_close(io->tcp);
	ps_net_server_close(io->unix_socket);
	return NULL;
}

static const char get[] = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

static void ask_tls(SSL_CTX *ctx, uint16_t port)
{
	char buf[1000];
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)(void *)&a, sizeof a), 0);
	SSL *ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	assert_int_equal(SSL_connect(ssl), 1);
	assert_int_equal(SSL_write(ssl, get, sizeof get - 1), sizeof get - 1);
	int n = 0, r;
	while ((r = SSL_read(ssl, buf + n, (int)sizeof buf - 1 - n)) > 0)
		n += r;
	buf[n] = '\0';
	assert_non_null(strstr(buf, "hello"));
	SSL_free(ssl);
	close(fd);
}

static void ask_unix(const char *path)
{
	char buf[1000];
	struct sockaddr_un u = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(u.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)(void *)&u, sizeof u), 0);
	assert_int_equal(write(fd, get, sizeof get - 1), sizeof get - 1);
	ssize_t n = 0, r;
	while ((r = read(fd, buf + n, sizeof buf - 1 - (size_t)n)) > 0)
		n += r;
	buf[n] = '\0';
	assert_non_null(strstr(buf, "hello"));
	close(fd);
}

static void *reload(void *ctx)
{
	for (int i = 0; i < RELOADS; i++) {
		char text[300];
		assert_int_equal(ps_net_tls_reload(ctx, NULL), PS_OK);
		assert_string_equal(ps_net_tls_warning(ctx, text, sizeof text), "");
	}
	return NULL;
}

static void open_all(struct ps_net_tls *tls, const char *path)
{
	struct ps_net_server_options tcp = {.tls = tls, .reuse_port = true};
	struct ps_net_server_options local = {.unix_path = path};
	struct ps_net_address a;
	for (int i = 0; i < THREADS; i++) {
		struct io *io = &ios[i];
		struct ps_net_handler h = {.on_request = answer_here, .ctx = io};
		assert_int_equal(ps_evloop_new(NULL, &io->loop, NULL), PS_OK);
		assert_int_equal(ps_net_server_open(io->loop, &tcp, &h, &io->tcp, NULL), PS_OK);
		assert_int_equal(ps_net_server_open(io->loop, &local, &h, &io->unix_socket, NULL),
				 PS_OK);
		ps_net_server_address(io->tcp, &a);
		tcp.port = ps_net_address_port(&a);
		local = (struct ps_net_server_options){.share = ios[0].unix_socket};
	}
}

static void threads_share_what_they_listen_on(void **state)
{
	(void)state;
	char dir[] = "/tmp/perseus-net-XXXXXX", cert[64], key[64], path[64];
	assert_non_null(mkdtemp(dir));
	snprintf(cert, sizeof cert, "%s/cert.pem", dir);
	snprintf(key, sizeof key, "%s/key.pem", dir);
	snprintf(path, sizeof path, "%s/socket", dir);
	struct cert c = make_cert("server", NULL, 0, 3600, NULL);
	write_cert(cert, &c);
	write_key(key, &c, NULL);
	struct ps_net_tls_options o = {.certificate_path = cert, .key_path = key};
	struct ps_net_tls *tls;
	assert_int_equal(ps_net_tls_new(&o, &tls, NULL), PS_OK);
	open_all(tls, path);
	struct ps_net_address a;
	ps_net_server_address(ios[0].tcp, &a);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&ios[i].thread, NULL, run, &ios[i]);
	pthread_t reloader;
	pthread_create(&reloader, NULL, reload, tls);
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	for (int i = 0; i < REQUESTS; i++) {
		ask_tls(client, ps_net_address_port(&a));
		ask_unix(path);
	}
	pthread_join(reloader, NULL);
	int requests = 0;
	for (int i = 0; i < THREADS; i++) {
		ps_evloop_stop(ios[i].loop);
		pthread_join(ios[i].thread, NULL);
		ps_evloop_free(ios[i].loop);
		requests += ios[i].requests;
	}
	assert_int_equal(requests, 2 * REQUESTS);
	ps_net_tls_free(tls);
	SSL_CTX_free(client);
	free_cert(&c);
	unlink(cert);
	unlink(key);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_share_what_they_listen_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
