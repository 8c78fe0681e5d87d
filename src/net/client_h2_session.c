/* Sessions of HTTP/2. One is made with the first call of a connection, so that what is said before
 * it is open waits where everything waits: with nghttp2. */
#include "net/client_h2_internal.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

enum {
	STREAM_WINDOW = 1 << 24, /* bodies have limits of their own: windows only cost frames */
	CONNECTION_WINDOW = 1 << 26,
};

static void free_session(struct ps_net_h2c_session *s)
{
	nghttp2_session_del(s->ng);
	ps_arena_fini(&s->kept);
	free(s);
}

void ps_net_h2c_enter(struct ps_net_h2c_session *s)
{
	s->inside++;
}

void ps_net_h2c_leave(struct ps_net_h2c_session *s)
{
	if (--s->inside == 0 && s->doomed)
		free_session(s);
}

static bool submit_settings(const struct ps_net_client *c, nghttp2_session *ng)
{
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0}, /* those of the server */
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
		 (uint32_t)(c->o.max_header_bytes < UINT32_MAX ? c->o.max_header_bytes
							       : UINT32_MAX)},
	};
	return nghttp2_submit_settings(ng, NGHTTP2_FLAG_NONE, settings,
				       sizeof settings / sizeof settings[0]) == 0 &&
	       nghttp2_session_set_local_window_size(ng, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) ==
		       0;
}

bool ps_net_h2c_is_used_up(const struct ps_net_h2c_session *s)
{
	return s->goaway && !s->broken && s->n_calls == 0;
}

struct ps_net_h2c_session *ps_net_h2c_session_of(struct ps_net_client *c)
{
	struct ps_net_client_h2 *h = c->h2;
	if (h->session)
		return h->session;
	struct ps_net_h2c_session *s = malloc(sizeof *s);
	if (!s)
		return NULL;
	memset(s, 0, offsetof(struct ps_net_h2c_session, out.pieces));
	s->c = c;
	ps_arena_init(&s->kept, 0);
	if (nghttp2_session_client_new2(&s->ng, h->callbacks, s, h->option) != 0 ||
	    !submit_settings(c, s->ng)) {
		free_session(s);
		return NULL;
	}
	h->session = s;
	return s;
}

void ps_net_h2c_drop(struct ps_net_client *c)
{
	struct ps_net_h2c_session *s = c->h2->session;
	if (!s)
		return;
	ps_net_h2c_enter(s);
	c->h2->session = NULL;
	s->doomed = true;
	ps_net_h2c_leave(s);
}

void ps_net_h2c_break(struct ps_net_h2c_session *s, enum ps_net_outcome outcome, const char *why)
{
	if (s->broken)
		return;
	s->broken = true;
	s->outcome = s->settled || outcome != PS_NET_MALFORMED ? outcome : PS_NET_PROTOCOL;
	strncpy(s->c->why, why, sizeof s->c->why - 1);
}

void ps_net_h2c_close_idle(struct ps_net_client *c)
{
	ps_net_h2c_drop(c);
	ps_net_client_close_connection(c);
}

void ps_net_h2c_settle(struct ps_net_client *c)
{
	struct ps_net_h2c_session *s = c->h2->session;
	if (c->state != PS_NET_OPEN || !s)
		return;
	/* nghttp2 wants to read until it has said GOAWAY for a breach of the protocol. */
	bool over = !nghttp2_session_want_read(s->ng) && !nghttp2_session_want_write(s->ng) &&
		    !ps_net_h2c_has_output(s);
	if (over && s->n_calls > 0)
		ps_net_h2c_break(s, PS_NET_MALFORMED,
				 s->settled ? "the server breaks the rules of HTTP/2"
					    : "the server does not speak HTTP/2");
	if (s->broken)
		ps_net_client_fail(c, s->outcome, 0);
	else if (ps_net_h2c_is_used_up(s) || (over && s->n_calls == 0))
		ps_net_h2c_close_idle(c);
}
