/* Listeners: Unix sockets, shared sockets and ports, what is spoken, bounds, idle connections. */
#include "unit/net/echo.h"

#include <sys/stat.h>
#include <sys/un.h>

static char dir[64], path[96];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/perseus-net-XXXXXX");
	snprintf(path, sizeof path, "%s/socket", mkdtemp(dir) ? dir : "");
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static const struct ps_net_handler handler = {
	.on_head = on_head, .on_request = on_request, .on_gone = on_gone};

static enum ps_status try_open(const struct ps_net_server_options *o, struct ps_net_server **ret,
			       struct ps_error *err)
{
	return ps_net_server_open(F.loop, o, &handler, ret, err);
}

static int dial_unix(void)
{
	struct sockaddr_un u = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(u.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)(void *)&u, sizeof u), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static const char get[] = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

static void ask(int fd, const char *want)
{
	char buf[4096];
	send_all(fd, get, sizeof get - 1);
	read_answer(fd, buf, sizeof buf, want);
}

/* --- Unix sockets --- */

static void unix_sockets_serve(void **state)
{
	(void)state;
	char text[PS_NET_ADDRESS_TEXT_SIZE], want[200];
	struct ps_net_address a;
	struct stat st;
	const struct ps_net_server_options o = {.unix_path = path, .unix_mode = 0600};
	open_server(&o);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	ps_net_server_address(F.server, &a);
	snprintf(want, sizeof want, "unix:%s", path);
	assert_string_equal(ps_net_address_text(&a, text), want);
	F.hold = true;
	int fd = dial_unix();
	send_all(fd, get, sizeof get - 1);
	for (int i = 0; i < 1000 && !F.held; i++)
		turn();
	assert_string_equal(F.held->peer, "unix");
	assert_string_equal(F.held->address, "unix");
	echo(F.held);
	close(fd);
	ps_net_server_close(F.server);
	F.server = NULL;
	assert_int_equal(stat(path, &st), -1);
}

static void stale_sockets_are_replaced(void **state)
{
	(void)state;
	struct sockaddr_un u = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(u.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)(void *)&u, sizeof u), 0);
	close(fd); /* as after kill -9 */
	const struct ps_net_server_options o = {.unix_path = path};
	open_server(&o);
	fd = dial_unix();
	ask(fd, "GET /a? 0:");
	close(fd);
}

static void others_are_not_replaced(void **state)
{
	(void)state;
	struct ps_error err;
	struct ps_net_server *other;
	const struct ps_net_server_options o = {.unix_path = path};
	open_server(&o);
	assert_int_equal(try_open(&o, &other, &err), PS_EINUSE);
	assert_non_null(strstr(err.what, "another program listens on"));
	int fd = dial_unix(); /* it still serves */
	ask(fd, "GET /a? 0:");
	close(fd);
	ps_net_server_close(F.server);
	F.server = NULL;
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(try_open(&o, &other, &err), PS_EINUSE);
	assert_non_null(strstr(err.what, "is no socket"));
	assert_int_equal(unlink(path), 0); /* still there */
	char far[200];
	memset(far, 'x', sizeof far - 1);
	far[sizeof far - 1] = '\0';
	const struct ps_net_server_options longer = {.unix_path = far};
	assert_int_equal(try_open(&longer, &other, &err), PS_EINVAL);
	const struct ps_net_server_options nowhere = {.unix_path = "/nonexistent/socket"};
	assert_int_equal(try_open(&nowhere, &other, &err), PS_ENOTFOUND);
}

/* A path that went to somebody else stays theirs. */
static void only_our_path_is_removed(void **state)
{
	(void)state;
	struct stat st;
	const struct ps_net_server_options o = {.unix_path = path};
	open_server(&o);
	char kept[sizeof path + 8];
	snprintf(kept, sizeof kept, "%s.kept", path);
	assert_int_equal(link(path, kept), 0); /* so that its inode is not handed out again */
	assert_int_equal(unlink(path), 0);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	ps_net_server_close(F.server);
	F.server = NULL;
	assert_int_equal(stat(path, &st), 0);
	unlink(kept);
	unlink(path);
}

/* --- several loops --- */

static void servers_share_a_socket(void **state)
{
	(void)state;
	struct ps_net_server *second;
	struct ps_error err;
	const struct ps_net_server_options o = {.unix_path = path};
	open_server(&o);
	const struct ps_net_server_options sharing = {.share = F.server};
	assert_int_equal(try_open(&sharing, &second, &err), PS_OK);
	int fd = dial_unix();
	ps_net_server_close(F.server);
	F.server = second;
	/* The name went with the first; who had connected is served by the second. */
	assert_int_equal(access(path, F_OK), -1);
	ask(fd, "GET /a? 0:");
	close(fd);
}

static void servers_reuse_a_port(void **state)
{
	(void)state;
	struct ps_net_server *second, *third;
	struct ps_error err;
	struct ps_net_server_options o = {.reuse_port = true};
	open_server(&o);
	o.port = ntohs(F.address.sin_port);
	assert_int_equal(try_open(&o, &second, &err), PS_OK);
	o.reuse_port = false;
	assert_int_equal(try_open(&o, &third, &err), PS_EINUSE);
	for (int i = 0; i < 20; i++) {
		int fd = dial();
		ask(fd, "GET /a? 0:");
		close(fd);
	}
	struct ps_net_server_stats a, b;
	ps_net_server_get_stats(F.server, &a);
	ps_net_server_get_stats(second, &b);
	assert_int_equal(a.requests + b.requests, 20);
	ps_net_server_close(second);
}

/* --- what is spoken --- */

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
static const char settings[] = PREFACE "\0\0\0\4\0\0\0\0\0";

static void first_bytes_tell_the_protocol(void **state)
{
	(void)state;
	static const struct {
		enum ps_net_kind kind;
		const char *send;
		size_t n;
		const char *want; /* NULL: HTTP/2's own SETTINGS */
	} rows[] = {
		{PS_NET_KIND_HTTP, get, sizeof get - 1, "GET /a? 0:"},
		{PS_NET_KIND_HTTP, settings, sizeof settings - 1, NULL},
		{PS_NET_KIND_HTTP1, get, sizeof get - 1, "GET /a? 0:"},
		{PS_NET_KIND_HTTP1, settings, sizeof settings - 1, "HTTP/1.1 50"},
		{PS_NET_KIND_HTTP2, get, sizeof get - 1, "505 HTTP Version Not Supported"},
		{PS_NET_KIND_HTTP2, settings, sizeof settings - 1, NULL},
		{PS_NET_KIND_HTTP, "PRI * HTTP/2.0\r\n\r\nXX", 20, "HTTP/1.1 50"},
		{PS_NET_KIND_HTTP, "PUT /a HTTP/1.1\r\nHost: h\r\n\r\n", 28, "PUT /a? 0:"},
		/* Only the first request of a connection. */
		{PS_NET_KIND_HTTP, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n" PREFACE, 28 + 24,
		 "HTTP/1.1 50"},
	};
	char buf[4096];
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (size_t step = 1; step < 1000; step += 998) {
			const struct ps_net_server_options o = {.kind = rows[i].kind};
			open_server(&o);
			int fd = dial();
			for (size_t at = 0; at < rows[i].n; at += step)
				send_all(fd, rows[i].send + at,
					 rows[i].n - at < step ? rows[i].n - at : step);
			if (rows[i].want) {
				read_answer(fd, buf, sizeof buf, rows[i].want);
			} else {
				ssize_t n = -1;
				for (int k = 0; k < 1000 && n < 9; k++) {
					turn();
					n = recv(fd, buf, sizeof buf, MSG_PEEK);
				}
				assert_true(n >= 9 && buf[3] == 4); /* a SETTINGS frame */
			}
			close(fd);
		}
}

static void half_a_preface_times_out(void **state)
{
	(void)state;
	char buf[4096];
	int fd = dial();
	send_all(fd, PREFACE, 20);
	for (int i = 0; i < 20; i++)
		turn();
	F.clock.now_ns += 10 * PS_NS_PER_SEC + 1;
	assert_true(read_answer(fd, buf, sizeof buf, NULL));
	close(fd);
}

/* --- bounds --- */

static void connections_per_address_are_bounded(void **state)
{
	(void)state;
	char buf[100];
	int fds[3];
	struct ps_net_server_stats stats;
	const struct ps_net_server_options o = {.max_connections_per_address = 3};
	open_server(&o);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 3; i++) {
			fds[i] = dial();
			ask(fds[i], "GET /a? 0:");
		}
		int more = dial();
		assert_true(read_answer(more, buf, sizeof buf, NULL));
		close(more);
		for (int i = 0; i < 3; i++)
			close(fds[i]);
		do {
			turn();
			ps_net_server_get_stats(F.server, &stats);
		} while (stats.open > 0);
		assert_int_equal(stats.over_address_limit, round + 1);
	}
}

static size_t resident_bytes(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	assert_int_equal(fscanf(f, "%*d %ld", &pages), 1);
	fclose(f);
	return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Connections that have had a request and wait for the next one. */
static void idle_connections_cost_little(void **state)
{
	(void)state;
	int64_t limit = ps_net_raise_descriptors();
	assert_true(limit > 0);
	assert_int_equal(ps_net_raise_descriptors(), limit);
	int n = limit > 4200 ? 2000 : (int)(limit - 100) / 2;
	int *fds = calloc((size_t)n, sizeof *fds);
	char buf[1000];
	const struct ps_net_server_options o = {0};
	open_server(&o);
	size_t before = resident_bytes();
	for (int i = 0; i < n; i++) {
		fds[i] = dial();
		send_all(fds[i], get, sizeof get - 1);
		read_answer(fds[i], buf, sizeof buf, "GET /a? 0:");
	}
	size_t each = (resident_bytes() - before) / (size_t)n;
#ifndef __SANITIZE_ADDRESS__
	if (each > 2048)
		fail_msg("%zu bytes for each of %d connections", each, n);
#else
	(void)each;
#endif
	struct ps_net_server_stats stats;
	ps_net_server_get_stats(F.server, &stats);
	assert_int_equal(stats.open, n);
	for (int i = 0; i < n; i++)
		close(fds[i]);
	free(fds);
}

/* A slow reader takes a byte now and then: the answer does not wait for ever. */
static void trickling_reader_is_given_up(void **state)
{
	(void)state;
	enum { BYTES = 30 << 20 };
	char *body = calloc(1, BYTES), head[100], byte;
	struct ps_net_server_stats stats;
	const struct ps_net_server_options o = {0};
	open_server(&o);
	int fd = dial(), small = 4096;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	int n = snprintf(head, sizeof head,
			 "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", BYTES);
	send_all(fd, head, (size_t)n);
	send_all(fd, body, BYTES);
	free(body);
	/* All of it first: else the limit of the body's time is what ends it. */
	for (int i = 0; i < 10000 && F.requests == 0; i++) {
		turn();
		poll(NULL, 0, F.requests == 0);
	}
	assert_int_equal(F.requests, 1);
	int64_t began_ns = F.clock.now_ns;
	do {
		for (int i = 0; i < 20; i++)
			turn();
		F.clock.now_ns += 20 * PS_NS_PER_SEC;
		(void)recv(fd, &byte, 1, 0);
		turn();
		ps_net_server_get_stats(F.server, &stats);
		assert_true(F.clock.now_ns - began_ns < 1000 * PS_NS_PER_SEC);
	} while (stats.open > 0);
	assert_int_equal(F.cancelled, 1);
	close(fd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(unix_sockets_serve),
		T(stale_sockets_are_replaced),
		T(others_are_not_replaced),
		T(only_our_path_is_removed),
		T(servers_share_a_socket),
		T(servers_reuse_a_port),
		T(first_bytes_tell_the_protocol),
		T(half_a_preface_times_out),
		T(connections_per_address_are_bounded),
		T(idle_connections_cost_little),
		T(trickling_reader_is_given_up),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
