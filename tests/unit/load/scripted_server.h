/* scripted_server.h - an Open Inference server over HTTP/1.1 that does what a test says: one model,
 * "m": x FP32 [-1,4] in, y FP32 [-1,2] out. A thread per connection, so that it can hang on one and
 * answer on the next. */
#ifndef TEST_SCRIPTED_SERVER_H
#define TEST_SCRIPTED_SERVER_H

#include "base/clock.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum script_action {
	SCRIPT_GOOD,
	SCRIPT_429,
	SCRIPT_401,
	SCRIPT_302,
	SCRIPT_500,
	SCRIPT_GARBAGE,
	SCRIPT_HALF,
	SCRIPT_WRONG,
	SCRIPT_RESET,
	SCRIPT_NEVER,
	SCRIPT_DIE, /* break everything, listen again after `down_ns` */
	SCRIPT_ACTIONS
};

enum { SCRIPT_CONNS = 1024, SCRIPT_BODIES = 64 };

struct script_server;

/* What to do with request number n (from 0, in order of arrival). *ret_delay_ns: first wait. */
typedef enum script_action script_fn(struct script_server *s, uint64_t n, int64_t *ret_delay_ns);

struct script_conn {
	struct script_server *s;
	pthread_t id;
	int fd; /* -1: closed */
};

struct script_server {
	script_fn *script;
	int64_t down_ns;
	pthread_mutex_t mutex;
	pthread_t acceptor;
	int listener; /* -1: down */
	uint16_t port;
	char url[64];
	bool stopping;
	struct script_conn conns[SCRIPT_CONNS];
	size_t conn_len;
	uint64_t requests;
	int open, open_most;
};

static const char script_metadata[] =
	"{\"name\":\"m\",\"versions\":[\"1\"],\"platform\":\"scripted\","
	"\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1,4]}],"
	"\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[-1,2]}]}";
static const char script_good[] =
	"{\"model_name\":\"m\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"y\","
	"\"datatype\":\"FP32\",\"shape\":[1,2],\"data\":[0.5,0.25]}]}";
static const char script_wrong[] =
	"{\"model_name\":\"m\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"z\","
	"\"datatype\":\"FP32\",\"shape\":[1,2],\"data\":[0.5,0.25]}]}";

static bool script_put(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t w = send(fd, bytes, n, MSG_NOSIGNAL);

		if (w <= 0) {
			return false;
		}
		bytes += w;
		n -= (size_t)w;
	}
	return true;
}

static bool script_answer(int fd, const char *status, const char *more, const char *body)
{
	char all[1024];
	int n = snprintf(all, sizeof(all), "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", status,
			 more, strlen(body), body);

	return script_put(fd, all, (size_t)n);
}

/* False: the connection is to be closed. */
static bool script_act(int fd, enum script_action a)
{
	struct linger now = {.l_onoff = 1};

	switch (a) {
	case SCRIPT_GOOD:
		return script_answer(fd, "200 OK", "", script_good);
	case SCRIPT_WRONG:
		return script_answer(fd, "200 OK", "", script_wrong);
	case SCRIPT_429:
		return script_answer(fd, "429 X", "", "{\"error\":\"quota\"}");
	case SCRIPT_401:
		return script_answer(fd, "401 X", "", "{\"error\":\"no key\"}");
	case SCRIPT_302:
		return script_answer(fd, "302 X", "Location: http://127.0.0.1:1/\r\n", "");
	case SCRIPT_500:
		return script_answer(fd, "500 X", "", "{\"error\":\"broken\"}");
	case SCRIPT_GARBAGE:
		script_put(fd, "\x01\x02 no HTTP\r\n\r\n", 13);
		return false;
	case SCRIPT_HALF:
		script_put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"mo", 42);
		return false;
	case SCRIPT_RESET:
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		return false;
	default:
		return true;
	}
}

static void script_listen(struct script_server *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				.sin_port = htons(s->port)};
	socklen_t len = sizeof(a);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 512) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) != 0) {
		abort();
	}
	s->port = ntohs(a.sin_port);
	s->listener = fd;
}

/* With the mutex held. Reads that wait end at once. */
static void script_break_all(struct script_server *s)
{
	if (s->listener >= 0) {
		shutdown(s->listener, SHUT_RDWR);
	}
	for (size_t i = 0; i < s->conn_len; i++) {
		if (s->conns[i].fd >= 0) {
			shutdown(s->conns[i].fd, SHUT_RDWR);
		}
	}
}

/* Reads one request. 0: the connection has ended; 1: GET; 2: POST. */
static int script_read(int fd, char *buf, size_t size, size_t *inout_len)
{
	char *end = NULL, *length;
	size_t need;
	int kind;

	while (!(end = memmem(buf, *inout_len, "\r\n\r\n", 4))) {
		ssize_t n = recv(fd, buf + *inout_len, size - 1 - *inout_len, 0);

		if (n <= 0) {
			return 0;
		}
		*inout_len += (size_t)n;
		buf[*inout_len] = 0;
	}
	kind = strncmp(buf, "GET", 3) == 0 ? 1 : 2;
	length = strcasestr(buf, "content-length:");
	need = (size_t)(end - buf) + 4 + (length ? (size_t)atol(length + 15) : 0);
	while (*inout_len < need) {
		ssize_t n = recv(fd, buf + *inout_len, size - 1 - *inout_len, 0);

		if (n <= 0) {
			return 0;
		}
		*inout_len += (size_t)n;
	}
	*inout_len = 0;
	return kind;
}

/* False: the connection is to be closed. */
static bool script_request(struct script_conn *c)
{
	struct script_server *s = c->s;
	int64_t delay = 0;
	enum script_action a;
	char byte;

	pthread_mutex_lock(&s->mutex);
	a = s->script(s, s->requests++, &delay);
	if (a == SCRIPT_DIE) {
		script_break_all(s);
	}
	pthread_mutex_unlock(&s->mutex);
	if (delay > 0) {
		ps_clock_sleep_until_ns(ps_clock_now_ns() + delay);
	}
	if (a == SCRIPT_NEVER) {
		(void)recv(c->fd, &byte, 1, 0); /* until the other side, or the test, is tired */
		return false;
	}
	return script_act(c->fd, a);
}

static void *script_serve(void *ctx)
{
	struct script_conn *c = ctx;
	struct script_server *s = c->s;
	char buf[16384];
	size_t len = 0;
	int kind, fd = c->fd;

	while ((kind = script_read(fd, buf, sizeof(buf), &len)) != 0) {
		bool stay = kind == 1 ? script_answer(fd, "200 OK", "", script_metadata)
				      : script_request(c);
		if (!stay) {
			break;
		}
	}
	pthread_mutex_lock(&s->mutex);
	c->fd = -1;
	s->open--;
	pthread_mutex_unlock(&s->mutex);
	close(fd);
	return NULL;
}

static void script_admit(struct script_server *s, int fd)
{
	struct script_conn *c;

	pthread_mutex_lock(&s->mutex);
	if (s->conn_len == SCRIPT_CONNS || s->stopping) {
		pthread_mutex_unlock(&s->mutex);
		close(fd);
		return;
	}
	c = &s->conns[s->conn_len++];
	*c = (struct script_conn){.s = s, .fd = fd};
	s->open++;
	s->open_most = s->open > s->open_most ? s->open : s->open_most;
	if (pthread_create(&c->id, NULL, script_serve, c) != 0) {
		abort();
	}
	pthread_mutex_unlock(&s->mutex);
}

static void *script_accept(void *ctx)
{
	struct script_server *s = ctx;
	bool stopping = false;

	while (!stopping) {
		int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0) {
			script_admit(s, fd);
			continue;
		}
		pthread_mutex_lock(&s->mutex);
		stopping = s->stopping;
		close(s->listener);
		s->listener = -1;
		pthread_mutex_unlock(&s->mutex);
		if (!stopping) {
			ps_clock_sleep_until_ns(ps_clock_now_ns() + s->down_ns);
			pthread_mutex_lock(&s->mutex);
			stopping = s->stopping;
			if (!stopping) {
				script_listen(s);
			}
			pthread_mutex_unlock(&s->mutex);
		}
	}
	return NULL;
}

static struct script_server *script_start(script_fn *script)
{
	struct script_server *s = calloc(1, sizeof(*s));

	s->script = script;
	s->down_ns = 300 * PS_NS_PER_MS;
	pthread_mutex_init(&s->mutex, NULL);
	script_listen(s);
	snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u", s->port);
	if (pthread_create(&s->acceptor, NULL, script_accept, s) != 0) {
		abort();
	}
	return s;
}

static uint64_t script_requests(struct script_server *s)
{
	uint64_t n;

	pthread_mutex_lock(&s->mutex);
	n = s->requests;
	pthread_mutex_unlock(&s->mutex);
	return n;
}

static int script_open_most(struct script_server *s)
{
	int n;

	pthread_mutex_lock(&s->mutex);
	n = s->open_most;
	pthread_mutex_unlock(&s->mutex);
	return n;
}

static void script_stop(struct script_server *s)
{
	pthread_mutex_lock(&s->mutex);
	s->stopping = true;
	script_break_all(s);
	pthread_mutex_unlock(&s->mutex);
	pthread_join(s->acceptor, NULL);
	for (size_t i = 0; i < s->conn_len; i++) {
		pthread_join(s->conns[i].id, NULL);
	}
	pthread_mutex_destroy(&s->mutex);
	free(s);
}

#endif
