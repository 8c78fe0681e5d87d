/* transport_http.c - the Open Inference Protocol over HTTP/1.1 and HTTP/2. */
#include "load/remote_internal.h"

#include <stdio.h>
#include <string.h>

static enum ps_status path_of(const struct ps_load_replica *r, const struct ps_load_item *it,
			      enum ps_oip_route route, char path[PS_LOAD_PATH_SIZE],
			      struct ps_error *err)
{
	struct ps_oip_target where = it->where;
	char tail[PS_OIP_PATH_SIZE];
	enum ps_status st;

	where.route = route;
	st = ps_oip_build_path(&where, tail, err);
	if (st == PS_OK) {
		snprintf(path, PS_LOAD_PATH_SIZE, "%s%s", r->url.base, tail);
	}
	return st;
}

/* ---- metadata ---- */

struct fetch {
	const struct ps_load_item *it;
	const struct ps_load_replica *replica;
	const char *path;
	struct ps_arena *arena;
	struct ps_oip_model_metadata *metadata;
};

static enum ps_status on_metadata(void *ctx, const struct ps_net_call *c, const char *why,
				  struct ps_error *err)
{
	struct fetch *f = ctx;
	enum ps_status st;

	if (c->outcome != PS_NET_OK || c->http != 200) {
		return ps_load_remote_refusal(f->it, f->replica, c, why, err);
	}
	st = ps_oip_parse_model_metadata(c->answer_body ? c->answer_body : "", c->answer_bytes,
					 f->arena, f->metadata, err);
	if (st != PS_OK) {
		ps_error_where(err, "%s%s", f->replica->host, f->path);
	}
	return st;
}

static enum ps_status fetch(struct ps_load_target *g, const struct ps_load_item *it, size_t replica,
			    int64_t timeout_ns, struct ps_arena *arena,
			    struct ps_oip_model_metadata *ret_metadata, struct ps_error *err)
{
	char path[PS_LOAD_PATH_SIZE];
	struct ps_net_header auth = {"Authorization", g->authorization};
	struct fetch f = {it, &g->replicas[replica], path, arena, ret_metadata};
	struct ps_net_call call = {.method = "GET",
				   .path = path,
				   .headers = &auth,
				   .n_headers = g->authorization != NULL};
	enum ps_status st = path_of(f.replica, it, PS_OIP_MODEL_METADATA, path, err);

	return st == PS_OK
		       ? ps_load_remote_call(g, replica, &call, timeout_ns, on_metadata, &f, err)
		       : st;
}

/* ---- requests ---- */

static size_t headers_of(const struct ps_load_target *g, const struct ps_oip_message *m,
			 struct ps_net_header headers[3])
{
	size_t n = 0;

	headers[n++] = (struct ps_net_header){"Content-Type", m->content_type};
	if (m->json_bytes >= 0) {
		headers[n++] = (struct ps_net_header){PS_OIP_JSON_BYTES_HEADER, m->json_bytes_text};
	}
	if (g->authorization) {
		headers[n++] = (struct ps_net_header){"Authorization", g->authorization};
	}
	return n;
}

static enum ps_status prepare(struct ps_load_target *g, struct ps_load_request *q, size_t replica,
			      struct ps_error *err)
{
	char path[PS_LOAD_PATH_SIZE];
	struct ps_net_header headers[3];
	const struct ps_net_call like = {.method = "POST",
					 .path = path,
					 .headers = headers,
					 .n_headers = headers_of(g, &q->message, headers),
					 .body = q->message.pieces,
					 .n_body = q->message.n_pieces};
	enum ps_status st = path_of(&g->replicas[replica], q->item, PS_OIP_INFER, path, err);

	return st == PS_OK ? ps_load_remote_prepare(g, q, replica, &like, err) : st;
}

static enum ps_status build(struct ps_load_target *g, struct ps_load_request *q,
			    struct ps_error *err)
{
	const struct ps_oip_infer infer = {.inputs = q->inputs.tensors,
					   .n_inputs = (int)q->inputs.len,
					   .binary_inputs = !g->t->json_tensors,
					   .binary_output = !g->t->json_tensors};
	enum ps_status st = ps_oip_build_request(&infer, &g->arena, &q->message, err);

	for (size_t i = 0; st == PS_OK && i < g->replica_len; i++) {
		st = prepare(g, q, i, err);
	}
	return st;
}

/* ---- answers ---- */

static void on_answer(struct ps_net_call *c)
{
	struct ps_load_islot *s = c->ctx;
	struct ps_load_answer *a = &s->pub.answer;

	a->outcome = ps_load_remote_take(s, c);
	if (a->outcome == PS_LOAD_OK) {
		a->outcome = ps_load_remote_http(s, c);
	}
	if (a->outcome == PS_LOAD_OK) {
		const struct ps_load_body body = {.bytes = c->answer_body,
						  .n = c->answer_bytes,
						  .json_bytes = c->answer_json_bytes};

		a->outcome = ps_load_answer_judge(s, &body);
	}
	ps_load_slot_end(s);
}

static enum ps_status send(struct ps_load_islot *s, int64_t deadline_ns, struct ps_error *err)
{
	return ps_load_remote_send(s, deadline_ns, on_answer, err);
}

const struct ps_load_transport ps_load_transport_http = {
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
