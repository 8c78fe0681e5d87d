/* Clients: made, freed, and left beside the next connection. */
#include "net/client_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { H2_IN_BYTES = 64 * 1024, MAX_CALLS = 4096, DEFAULT_CALLS = 100, MAX_NAME = 255 };

/* --- the end --- */

/* What outlives the other forgets it. */
static void part_from_elder(struct ps_net_client *c)
{
	struct ps_net_client *e = c->elder;
	if (!e)
		return;
	c->elder = NULL;
	e->younger = NULL;
	e->wire.stats = &e->stats;
}

static void destroy(struct ps_net_client *c)
{
	if (c->younger)
		part_from_elder(c->younger);
	ps_evloop_timer_cancel(&c->timer);
	ps_evloop_later_cancel(&c->later);
	c->speech->fini(c);
	ps_net_wire_fini(&c->wire);
	ps_net_client_tls_free(c->o.tls);
	free(c->host);
	free(c->server_name);
	free(c->in);
	free(c);
}

/* An elder that is at work just now goes when it has come back. */
static void destroy_both(struct ps_net_client *c)
{
	struct ps_net_client *e = c->elder;
	part_from_elder(c);
	if (e && e->depth == 0)
		destroy(e);
	else if (e)
		e->freed = true;
	destroy(c);
}

void ps_net_client_release(struct ps_net_client *c)
{
	if (--c->depth == 0 && c->freed)
		destroy_both(c);
}

/* --- life --- */

static enum ps_status check_options(const struct ps_net_client_options *o, struct ps_error *err)
{
	if (!o->host || !ps_net_text_is_plain(o->host))
		return ps_error_set(err, PS_EINVAL, "a client needs the value of its Host header");
	if (o->max_calls < 0 || o->max_calls > MAX_CALLS)
		return ps_error_set(err, PS_EINVAL, "a connection has 1 to %d calls at once",
				    MAX_CALLS);
	if (o->server_name && (!*o->server_name || strlen(o->server_name) > MAX_NAME))
		return ps_error_set(err, PS_EINVAL, "a server's name has 1 to %d bytes", MAX_NAME);
	return PS_OK;
}

static void set_defaults(struct ps_net_client_options *o)
{
	if (!o->max_header_bytes)
		o->max_header_bytes = 64 * 1024;
	if (!o->max_body_bytes)
		o->max_body_bytes = (size_t)64 << 20;
	if (!o->connect_timeout_ns)
		o->connect_timeout_ns = 5 * PS_NS_PER_SEC;
	if (!o->max_calls || o->protocol == PS_NET_HTTP1)
		o->max_calls = o->protocol == PS_NET_HTTP1 ? 1 : DEFAULT_CALLS;
}

/* "h:80" and "[::1]:80" without the port and the brackets. */
static char *name_of_host(const char *host)
{
	if (*host == '[')
		return strndup(host + 1, strcspn(host + 1, "]"));
	return strndup(host, strcspn(host, ":"));
}

static bool copy_options(struct ps_net_client *c, const struct ps_net_client_options *o)
{
	c->o = *o;
	set_defaults(&c->o);
	c->o.tls = o->tls ? ps_net_client_tls_ref(o->tls) : NULL;
	c->host = strdup(o->host);
	c->server_name = o->server_name ? strdup(o->server_name) : name_of_host(o->host);
	c->in_bytes = o->protocol == PS_NET_HTTP2 ? H2_IN_BYTES : PS_NET_IN_BYTES;
	c->in = malloc(c->in_bytes);
	c->maker = (struct ps_net_maker){o->protocol, c->host, o->tls != NULL};
	return c->host && c->server_name && c->in && (!o->tls || c->o.tls);
}

enum ps_status ps_net_client_new(struct ps_evloop *loop,
				 const struct ps_net_client_options *options,
				 struct ps_net_client **ret_client, struct ps_error *err)
{
	enum ps_status s = check_options(options, err);
	if (s != PS_OK)
		return s;
	struct ps_net_client *c = calloc(1, sizeof *c);
	if (!c)
		return ps_error_set(err, PS_ENOMEM, "no memory for a connection");
	c->loop = loop;
	c->speech = options->protocol == PS_NET_HTTP2 ? &ps_net_speech_h2 : &ps_net_speech_h1;
	c->wire = (struct ps_net_wire){.loop = loop, .stats = &c->stats, .fd = -1};
	ps_net_client_await(c);
	bool copied = copy_options(c, options);
	if (c->speech->init(c) != PS_OK || !copied) {
		destroy(c);
		return ps_error_set(err, PS_ENOMEM, "no memory for a connection");
	}
	*ret_client = c;
	return PS_OK;
}

void ps_net_client_free(struct ps_net_client *c)
{
	if (!c)
		return;
	ps_net_client_hold(c);
	c->freed = true;
	ps_net_client_cancel_all(c);
	ps_net_client_release(c);
}

/* --- elders --- */

bool ps_net_client_has_elder(const struct ps_net_client *c)
{
	return c->elder && c->elder->state != PS_NET_CLOSED;
}

/* A client that watches the connection of `c`. NULL: no memory. */
static struct ps_net_client *make_elder(struct ps_net_client *c)
{
	struct ps_net_client_options o = c->o;
	struct ps_net_client *e = NULL;
	o.host = c->host;
	o.server_name = c->server_name;
	if (ps_net_client_new(c->loop, &o, &e, NULL) != PS_OK || !e)
		return NULL;
	ps_evloop_fd_remove(&c->watch);
	if (ps_net_client_watch_socket(e, c->wire.fd, PS_EVLOOP_READ) == PS_OK)
		return e;
	destroy(e);
	return NULL;
}

enum ps_status ps_net_client_retire(struct ps_net_client *c)
{
	part_from_elder(c); /* one that is closed */
	struct ps_net_client *e = make_elder(c);
	if (!e) {
		ps_net_client_fail_soon(c, PS_NET_MEMORY, ENOMEM);
		return PS_ENOMEM;
	}
	e->is_elder = true;
	e->younger = c;
	c->elder = e;
	e->wire = c->wire; /* its counts stay here */
	c->wire = (struct ps_net_wire){.loop = c->loop, .stats = &c->stats, .fd = -1};
	e->state = PS_NET_OPEN;
	e->unread = e->wire.ssl != NULL;
	ps_net_client_close_connection(c);
	e->speech->inherit(e, c);
	ps_net_client_arm(e, e->speech->expire(e, 0));
	ps_evloop_later_add(e->loop, &e->later);
	return PS_OK;
}
