/* transport_grpc.c - the Open Inference Protocol over gRPC: ModelInfer, one call per request; and
 * ModelStreamInfer, one stream per slot that stays open for the whole run.
 *
 * A stream carries one request at a time here, so that its answer needs no number to be known by. A
 * request that times out ends its stream (the answer may still come, and would be taken for the
 * next one's); the slot's next request opens another. So does an answer that nobody asked for: what
 * follows it on the stream could not be told from the next one's. A stream on a connection that is
 * being left is opened anew with its slot's next request.
 */
#include "load/remote_internal.h"
#include "oip/grpc.h"

#include <string.h>

/* ---- metadata ---- */

struct fetch {
	const struct ps_load_item *it;
	const struct ps_load_replica *replica;
	struct ps_arena *arena;
	struct ps_oip_model_metadata *metadata;
};

static enum ps_status on_metadata(void *ctx, const struct ps_net_call *c, const char *why,
				  struct ps_error *err)
{
	struct fetch *f = ctx;
	enum ps_status st;

	if (c->outcome != PS_NET_OK || c->grpc_status != 0) {
		return ps_load_remote_refusal(f->it, f->replica, c, why, err);
	}
	st = ps_oip_grpc_parse_model_metadata(c->answer_body, c->answer_bytes, f->arena,
					      f->metadata, err);
	if (st != PS_OK) {
		ps_error_where(err, "%s", f->replica->text);
	}
	return st;
}

static enum ps_status fetch(struct ps_load_target *g, const struct ps_load_item *it, size_t replica,
			    int64_t timeout_ns, struct ps_arena *arena,
			    struct ps_oip_model_metadata *ret_metadata, struct ps_error *err)
{
	struct ps_net_header auth = {"authorization", g->authorization};
	struct fetch f = {it, &g->replicas[replica], arena, ret_metadata};
	struct ps_strbuf message;
	struct iovec body;
	struct ps_net_call call = {.kind = PS_NET_CALL_GRPC,
				   .path = ps_oip_grpc_path(PS_OIP_MODEL_METADATA),
				   .headers = &auth,
				   .n_headers = g->authorization != NULL,
				   .body = &body,
				   .n_body = 1};
	enum ps_status st;

	ps_strbuf_init(&message);
	ps_oip_grpc_build_target(&it->where, &message);
	body = (struct iovec){message.data, message.len};
	st = ps_strbuf_status(&message) == PS_OK
		     ? ps_load_remote_call(g, replica, &call, timeout_ns, on_metadata, &f, err)
		     : ps_error_set(err, PS_ENOMEM, "no memory to ask for metadata");
	ps_strbuf_fini(&message);
	return st;
}

/* ---- requests ---- */

static enum ps_status build_message(struct ps_load_target *g, struct ps_load_request *q,
				    struct ps_error *err)
{
	const struct ps_oip_infer infer = {.inputs = q->inputs.tensors,
					   .n_inputs = (int)q->inputs.len};

	return ps_oip_grpc_build_request(&q->item->where, &infer, &g->arena, &q->message, err);
}

static enum ps_status build(struct ps_load_target *g, struct ps_load_request *q,
			    struct ps_error *err)
{
	enum ps_status st = build_message(g, q, err);
	struct ps_net_header auth = {"authorization", g->authorization};
	const struct ps_net_call like = {.kind = PS_NET_CALL_GRPC,
					 .path = ps_oip_grpc_path(PS_OIP_INFER),
					 .headers = &auth,
					 .n_headers = g->authorization != NULL,
					 .body = q->message.pieces,
					 .n_body = q->message.n_pieces};

	for (size_t i = 0; st == PS_OK && i < g->replica_len; i++) {
		st = ps_load_remote_prepare(g, q, i, &like, err);
	}
	return st;
}

/* ---- one call per request ---- */

static void on_answer(struct ps_net_call *c)
{
	struct ps_load_islot *s = c->ctx;
	struct ps_load_answer *a = &s->pub.answer;

	a->outcome = ps_load_remote_take(s, c);
	if (a->outcome == PS_LOAD_OK) {
		a->outcome = ps_load_remote_grpc(s, c);
	}
	if (a->outcome == PS_LOAD_OK) {
		const struct ps_load_body body = {
			.bytes = c->answer_body, .n = c->answer_bytes, .grpc = true};

		a->outcome = ps_load_answer_judge(s, &body);
	}
	ps_load_slot_end(s);
}

static enum ps_status send(struct ps_load_islot *s, int64_t deadline_ns, struct ps_error *err)
{
	return ps_load_remote_send(s, deadline_ns, on_answer, err);
}

const struct ps_load_transport ps_load_transport_grpc = {
	.slot_bytes = sizeof(struct ps_load_remote_slot),
	.init = ps_load_remote_init,
	.fini = ps_load_remote_fini,
	.fetch = fetch,
	.build = build,
	.open = ps_load_remote_open,
	.ready = ps_load_remote_ready,
	.close = ps_load_remote_close,
	.room = ps_load_remote_room,
	.streams = ps_load_remote_streams,
	.send = send,
	.cancel = ps_load_remote_cancel,
};

/* ---- one stream per slot ---- */

struct stream_slot {
	struct ps_load_islot base;
	struct ps_net_call call;
	struct ps_net_message message;
	struct ps_net_header auth;
	struct ps_evloop_timer deadline;
	bool open;
	bool stray; /* the stream is being ended because an answer came before its request left */
};

static struct stream_slot *stream_of(struct ps_load_islot *s)
{
	return (struct stream_slot *)s;
}

static void stream_end(struct stream_slot *s)
{
	ps_evloop_timer_cancel(&s->deadline);
	ps_load_slot_end(&s->base);
}

static enum ps_load_outcome judge_message(struct stream_slot *s, const struct ps_net_arrived *m)
{
	struct ps_error *err = &s->base.pub.port->err;
	struct ps_load_body body = {.grpc = true};
	char text[sizeof(err->what) - 64];

	if (ps_oip_grpc_unwrap_stream(m->data, m->bytes, &body.bytes, &body.n, text, sizeof(text),
				      err) != PS_OK) {
		return PS_LOAD_GARBAGE;
	}
	if (text[0]) {
		/* No status comes with it: busy or broken cannot be told apart. */
		ps_error_set(err, PS_EIO, "the server says: %s", text);
		return PS_LOAD_REJECTED;
	}
	s->base.pub.answer.http_status = 200;
	return ps_load_answer_judge(&s->base, &body);
}

static void on_message(struct ps_net_call *c, const struct ps_net_arrived *m)
{
	struct stream_slot *s = c->ctx;
	struct ps_load_answer *a = &s->base.pub.answer;

	/* More answers than requests: a model that answers several times. A message that has not
	 * left is the client's until the call is over: the next one may not take its place. */
	if (!s->base.busy || s->message.sent_all_ns == 0) {
		s->stray = s->base.busy;
		ps_net_call_cancel(c);
		s->stray = false;
		return;
	}
	a->sent_ns = s->message.sent_ns;
	a->first_byte_ns = m->first_byte_ns;
	a->done_ns = m->done_ns;
	a->first_byte_kernel_ns = m->first_byte_kernel_ns > 0 ? m->first_byte_kernel_ns : 0;
	a->done_kernel_ns = m->done_kernel_ns > 0 ? m->done_kernel_ns : 0;
	a->bytes_sent = s->base.request->message.bytes;
	a->bytes_received = m->bytes;
	a->outcome = judge_message(s, m);
	stream_end(s);
}

/* The stream is over. */
static void on_stream_done(struct ps_net_call *c)
{
	struct stream_slot *s = c->ctx;
	struct ps_load_answer *a = &s->base.pub.answer;

	s->open = false;
	if (!s->base.busy) {
		return;
	}
	a->outcome = ps_load_remote_take(&s->base, c);
	a->sent_ns = s->message.sent_ns;
	a->bytes_sent = a->sent_ns ? s->base.request->message.bytes : 0;
	a->bytes_received = 0;
	a->first_byte_ns = 0; /* the call's are of earlier answers */
	a->first_byte_kernel_ns = a->done_kernel_ns = 0;
	if (a->outcome == PS_LOAD_OK) {
		a->outcome = ps_load_remote_grpc(&s->base, c);
	}
	if (a->outcome == PS_LOAD_OK) {
		ps_error_set(&s->base.pub.port->err, PS_EIO,
			     "the server ended the stream without an answer");
		a->outcome = PS_LOAD_RESET;
	}
	if (s->stray) {
		ps_error_set(&s->base.pub.port->err, PS_EPARSE,
			     "an answer came before its request had left");
		a->outcome = PS_LOAD_GARBAGE;
		a->cancelled = false;
	}
	stream_end(s);
}

static void on_deadline(struct ps_evloop_timer *t, int64_t now_ns)
{
	struct stream_slot *s = t->ctx;

	(void)now_ns;
	ps_net_call_give_up(&s->call, s->message.sent_ns);
}

static enum ps_status open_stream(struct stream_slot *s, struct ps_error *err)
{
	const struct ps_load_target *g = s->base.pub.port->target;
	enum ps_status st;

	s->auth = (struct ps_net_header){"authorization", g->authorization};
	s->call = (struct ps_net_call){.kind = PS_NET_CALL_GRPC_STREAM,
				       .path = ps_oip_grpc_path(PS_OIP_INFER_STREAM),
				       .headers = &s->auth,
				       .n_headers = g->authorization != NULL,
				       .on_message = on_message,
				       .on_done = on_stream_done,
				       .ctx = s};
	st = ps_net_client_send(s->base.line->way, &s->call, err);
	s->open = st == PS_OK;
	return st;
}

static enum ps_status stream_attach(struct ps_load_islot *base, struct ps_error *err)
{
	struct stream_slot *s = stream_of(base);

	(void)err;
	ps_evloop_timer_init(&s->deadline, on_deadline, s);
	(void)open_stream(s, NULL); /* else the first request opens it, and says why it cannot */
	return PS_OK;
}

static void stream_detach(struct ps_load_islot *base)
{
	ps_evloop_timer_cancel(&stream_of(base)->deadline);
}

/* A slot whose stream is open needs no more room on the connection. */
static bool stream_keeps(const struct ps_load_islot *base)
{
	const struct stream_slot *s = (const struct stream_slot *)base;

	return s->open && !ps_net_call_is_left(&s->call);
}

/* A connection that the server is leaving, or from which nothing came, must not be kept by streams
 * on which nothing is asked: their next requests open others on the next connection. */
static void leave_streams(const struct ps_load_line *line)
{
	for (struct ps_load_islot *base = line->port->all; base; base = base->next_all) {
		struct stream_slot *s = stream_of(base);

		if (base->line == line && s->open && !base->busy && ps_net_call_is_left(&s->call)) {
			ps_net_call_cancel(&s->call);
		}
	}
}

/* The request that is being sent is not on the stream yet. */
static enum ps_status stream_ready(struct stream_slot *s, struct ps_error *err)
{
	if (s->open && ps_net_call_is_left(&s->call)) {
		s->base.busy = false;
		leave_streams(s->base.line);
		s->base.busy = true;
	}
	return s->open ? PS_OK : open_stream(s, err);
}

static enum ps_status stream_send(struct ps_load_islot *base, int64_t deadline_ns,
				  struct ps_error *err)
{
	struct stream_slot *s = stream_of(base);
	enum ps_status st = stream_ready(s, err);

	if (st != PS_OK) {
		return st;
	}
	s->message = (struct ps_net_message){.body = base->request->message.pieces,
					     .n_body = base->request->message.n_pieces};
	st = ps_evloop_timer_set(base->pub.port->o.loop, &s->deadline, deadline_ns);
	if (st != PS_OK) {
		return ps_error_set(err, st, "no memory for a timer");
	}
	st = ps_net_call_message(&s->call, &s->message, err);
	if (st != PS_OK) {
		ps_evloop_timer_cancel(&s->deadline);
	}
	return st;
}

static void stream_cancel(struct ps_load_islot *base)
{
	ps_net_call_cancel(&stream_of(base)->call);
}

const struct ps_load_transport ps_load_transport_stream = {
	.slot_bytes = sizeof(struct stream_slot),
	.init = ps_load_remote_init,
	.fini = ps_load_remote_fini,
	.fetch = fetch,
	.build = build_message,
	.open = ps_load_remote_open,
	.ready = ps_load_remote_ready,
	.close = ps_load_remote_close,
	.room = ps_load_remote_room,
	.keeps = stream_keeps,
	.streams = ps_load_remote_streams,
	.attach = stream_attach,
	.detach = stream_detach,
	.send = stream_send,
	.cancel = stream_cancel,
};
