/* ModelInferResponse and ModelInferRequest, written: everything but the tensors in one piece of
 * memory, which is cut where a tensor comes between. */
#include "oip/grpc_internal.h"
#include "oip/proto_internal.h"

#include <string.h>

/* Counts while `buf` is NULL, so that one function tells a message's size and writes it. */
struct writer {
	uint8_t *buf;
	size_t n;
};

static void put(struct writer *w, const void *bytes, size_t n)
{
	if (w->buf && n > 0)
		memcpy(w->buf + w->n, bytes, n);
	w->n += n;
}

static void put_varint(struct writer *w, uint64_t v)
{
	uint8_t bytes[10];
	if (v < 0x80) { /* fields and most lengths */
		if (w->buf)
			w->buf[w->n] = (uint8_t)v;
		w->n++;
		return;
	}
	size_t n = 0;
	for (; v >= 0x80; v >>= 7)
		bytes[n++] = (uint8_t)(v | 0x80);
	bytes[n++] = (uint8_t)v;
	put(w, bytes, n);
}

static void put_head(struct writer *w, unsigned field, size_t n)
{
	put_varint(w, field << 3 | PS_WIRE_BYTES);
	put_varint(w, n);
}

/* The empty text is the default, which is not sent. */
static void put_text(struct writer *w, unsigned field, const char *text)
{
	size_t n = text ? strlen(text) : 0;
	if (n == 0)
		return;
	put_head(w, field, n);
	put(w, text, n);
}

static void put_shape(struct writer *w, unsigned field, const struct ps_tensor *t)
{
	struct writer count = {0};
	for (int i = 0; i < t->rank; i++)
		put_varint(&count, (uint64_t)t->dims[i]);
	if (t->rank == 0)
		return;
	put_head(w, field, count.n);
	for (int i = 0; i < t->rank; i++)
		put_varint(w, (uint64_t)t->dims[i]);
}

static void put_tensor(struct writer *w, const struct ps_tensor *t)
{
	put_text(w, 1, t->name);
	put_text(w, 2, ps_dtype_name(t->dtype));
	put_shape(w, 3, t);
}

static void put_tensors(struct writer *w, unsigned field, const struct ps_tensor *t, int n)
{
	for (int i = 0; i < n; i++) {
		struct writer count = {0};
		put_tensor(&count, &t[i]);
		put_head(w, field, count.n);
		put_tensor(w, &t[i]);
	}
}

/* --- the two messages, all but their raw contents --- */

struct message {
	const struct ps_oip_response *response; /* or */
	const struct ps_oip_infer *request;
	const struct ps_oip_target *target;
	const struct ps_tensor *tensors;
	int n_tensors;
	unsigned raw_field;
	bool stream;
};

static void put_number_parameter(struct writer *w, const char *name, unsigned choice, uint64_t v)
{
	struct writer value = {0}, entry = {0};
	if (v == 0)
		return;
	put_varint(&value, choice << 3);
	put_varint(&value, v);
	put_text(&entry, 1, name);
	put_head(&entry, 2, value.n);
	put_head(w, 4, entry.n + value.n);
	put_text(w, 1, name);
	put_head(w, 2, value.n);
	put_varint(w, choice << 3);
	put_varint(w, v);
}

static void put_outputs(struct writer *w, const struct ps_oip_infer *r)
{
	for (int i = 0; i < r->n_outputs; i++) {
		struct writer count = {0};
		put_text(&count, 1, r->outputs[i].name);
		put_head(w, 6, count.n);
		put_text(w, 1, r->outputs[i].name);
	}
}

static void put_message(struct writer *w, const struct message *m)
{
	if (m->response) {
		put_text(w, 1, m->response->model_name);
		put_text(w, 2, m->response->model_version);
		put_text(w, 3, m->response->id);
		put_tensors(w, 5, m->tensors, m->n_tensors);
		return;
	}
	put_text(w, 1, m->target->model);
	put_text(w, 2, m->target->version);
	put_text(w, 3, m->request->id);
	put_number_parameter(w, "timeout", 2, (uint64_t)m->request->timeout_us);
	put_number_parameter(w, "priority", 5, m->request->priority);
	put_tensors(w, 5, m->tensors, m->n_tensors);
	put_outputs(w, m->request);
}

/* How many bytes the heads of the raw contents have, and with the contents. */
static size_t raw_bytes(const struct message *m, size_t *ret_heads)
{
	struct writer heads = {0};
	size_t contents = 0;
	for (int i = 0; i < m->n_tensors; i++) {
		put_head(&heads, m->raw_field, m->tensors[i].bytes);
		contents += m->tensors[i].bytes;
	}
	*ret_heads = heads.n;
	return heads.n + contents;
}

static void put_wrapper(struct writer *w, const struct message *m, size_t bytes)
{
	if (m->stream)
		put_head(w, 2, bytes); /* ModelStreamInferResponse.infer_response */
}

/* --- pieces --- */

static void cut(struct writer *w, const struct message *m, struct ps_oip_message *out)
{
	size_t from = 0;
	for (int i = 0; i < m->n_tensors; i++) {
		const struct ps_tensor *t = &m->tensors[i];
		put_head(w, m->raw_field, t->bytes);
		if (t->bytes == 0)
			continue;
		out->pieces[out->n_pieces++] = (struct iovec){w->buf + from, w->n - from};
		out->pieces[out->n_pieces++] = (struct iovec){t->data, t->bytes};
		from = w->n;
	}
	if (w->n > from)
		out->pieces[out->n_pieces++] = (struct iovec){w->buf + from, w->n - from};
}

static enum ps_status build(const struct message *m, struct ps_arena *arena,
			    struct ps_oip_message *ret_message, struct ps_error *err)
{
	struct ps_oip_message out = {.json_bytes = -1, .content_type = "application/grpc"};
	struct writer body = {0}, wrapper = {0};
	size_t heads = 0;
	for (int i = 0; i < m->n_tensors; i++) {
		int64_t count;
		enum ps_status s = ps_oip_check_tensor(m->response ? "output" : "input",
						       &m->tensors[i], &count, err);
		if (s != PS_OK)
			return s;
	}
	put_message(&body, m);
	size_t raw = raw_bytes(m, &heads);
	put_wrapper(&wrapper, m, body.n + raw);
	struct writer w = {.buf = ps_arena_alloc(arena, wrapper.n + body.n + heads + 1)};
	out.pieces = ps_arena_alloc(arena, (2 * (size_t)m->n_tensors + 1) * sizeof *out.pieces);
	if (!w.buf || !out.pieces)
		return ps_error_set(err, PS_ENOMEM, "no memory for a message");
	put_wrapper(&w, m, body.n + raw);
	put_message(&w, m);
	cut(&w, m, &out);
	out.bytes = wrapper.n + body.n + raw;
	*ret_message = out;
	return PS_OK;
}

enum ps_status ps_oip_grpc_build_infer(const struct ps_oip_response *r, bool stream,
				       struct ps_arena *arena, struct ps_oip_message *ret_message,
				       struct ps_error *err)
{
	const struct message m = {.response = r,
				  .tensors = r->outputs,
				  .n_tensors = r->n_outputs,
				  .raw_field = 6,
				  .stream = stream};
	return build(&m, arena, ret_message, err);
}

enum ps_status ps_oip_grpc_build_request(const struct ps_oip_target *target,
					 const struct ps_oip_infer *r, struct ps_arena *arena,
					 struct ps_oip_message *ret_message, struct ps_error *err)
{
	const struct message m = {.request = r,
				  .target = target,
				  .tensors = r->inputs,
				  .n_tensors = r->n_inputs,
				  .raw_field = 7};
	return build(&m, arena, ret_message, err);
}

void ps_oip_grpc_build_stream_error(const struct ps_error *e, const char *id, struct ps_strbuf *out)
{
	char text[sizeof e->what + sizeof e->hint + 8];
	Inference__ModelStreamInferResponse p = INFERENCE__MODEL_STREAM_INFER_RESPONSE__INIT;
	Inference__ModelInferResponse r = INFERENCE__MODEL_INFER_RESPONSE__INIT;
	p.error_message = (char *)ps_oip_error_text(e, text, sizeof text);
	r.id = (char *)id;
	if (id && *id)
		p.infer_response = &r;
	ps_oip_pack(&p.base, out);
}
