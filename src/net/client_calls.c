/* Calls as all protocols have them: their beginning, instants and ends. */
#include "net/client_internal.h"

void ps_net_call_reset(struct ps_net_call *call)
{
	call->outcome = PS_NET_OK;
	call->system_errno = 0;
	call->h2_code = 0;
	call->reused = false;
	call->connected_ns = call->sent_ns = call->sent_all_ns = 0;
	call->first_byte_ns = call->done_ns = 0;
	call->first_byte_kernel_ns = call->done_kernel_ns = -1;
	call->http = 0;
	call->grpc_status = -1;
	call->grpc_message = "";
	call->answer_headers = call->answer_trailers = NULL;
	call->n_answer_headers = call->n_answer_trailers = 0;
	call->answer_body = NULL;
	call->answer_bytes = 0;
	call->answer_json_bytes = -1;
}

int64_t ps_net_client_kernel_ns(const struct ps_net_client *c, int64_t after_ns)
{
	return c->wire.kernel_ns >= after_ns ? c->wire.kernel_ns : -1;
}

void ps_net_call_came(struct ps_net_client *c, struct ps_net_call *call)
{
	if (call->first_byte_ns)
		return;
	call->first_byte_ns = c->wire.read_ns;
	call->first_byte_kernel_ns = ps_net_client_kernel_ns(c, call->sent_ns);
}

void ps_net_call_end_with(struct ps_net_call *call, enum ps_net_outcome outcome, int e,
			  int64_t now_ns)
{
	call->outcome = outcome;
	call->system_errno = e;
	call->done_ns = now_ns;
	call->stream = NULL;
	call->on_done(call);
}

enum ps_status ps_net_client_send(struct ps_net_client *c, struct ps_net_call *call,
				  struct ps_error *err)
{
	if (ps_net_client_room(c) == 0)
		return ps_error_set(err, PS_EUNAVAIL,
				    "as many calls are under way on this connection as it takes");
	enum ps_status s = c->speech->begin(c, call, err);
	if (s != PS_OK)
		return s;
	if (c->state == PS_NET_CLOSED) {
		int e = ps_net_client_dial(c);
		if (e != 0)
			ps_net_client_fail_soon(c, ps_net_client_dial_outcome(e), e);
	} else if (c->state == PS_NET_OPEN) {
		call->reused = c->used;
		c->used = true;
		c->speech->start(c);
	}
	if (c->state != PS_NET_CLOSED)
		ps_net_client_arm(c, call->deadline_ns);
	return PS_OK;
}

void ps_net_client_connect(struct ps_net_client *c)
{
	if (c->state == PS_NET_CLOSED && !c->failing)
		(void)ps_net_client_dial(c);
}

void ps_net_client_cancel_all(struct ps_net_client *c)
{
	if (c->elder)
		ps_net_client_fail(c->elder, PS_NET_CANCELLED, 0);
	ps_net_client_fail(c, PS_NET_CANCELLED, 0);
}

void ps_net_client_cancel(struct ps_net_client *c)
{
	ps_net_client_hold(c);
	ps_net_client_cancel_all(c);
	ps_net_client_release(c);
}

void ps_net_call_cancel(struct ps_net_call *call)
{
	if (!call->stream)
		return;
	struct ps_net_client *c = call->stream->client;
	ps_net_client_hold(c);
	c->speech->cancel(c, call);
	ps_net_client_watch(c);
	ps_net_client_release(c);
}

/* --- what is the matter --- */

int ps_net_client_room(const struct ps_net_client *c)
{
	return c->failing ? 0 : c->speech->room(c);
}

int ps_net_client_streams(const struct ps_net_client *c)
{
	return c->state == PS_NET_OPEN ? c->speech->streams(c) : -1;
}

int ps_net_client_calls(const struct ps_net_client *c)
{
	return c->speech->calls(c) + (ps_net_client_has_elder(c) ? c->speech->calls(c->elder) : 0);
}

bool ps_net_client_is_connected(const struct ps_net_client *c)
{
	return c->state == PS_NET_OPEN;
}

const char *ps_net_client_why(const struct ps_net_client *c)
{
	return c->why;
}

void ps_net_client_get_stats(const struct ps_net_client *c, struct ps_net_client_stats *ret_stats)
{
	*ret_stats = c->stats;
}
