/* Infer messages of gRPC. What the walker accepts and protobuf-c accepts as well must say the same
 * in both; what was understood is written again and must come back. */
#include "fuzz/oip_common.h"
#include "oip/grpc.h"

#include "inference.pb-c.h"

static void *copy_of(const void *data, size_t n)
{
	void *copy = malloc(n ? n : 1);
	MUST(copy);
	if (n > 0)
		memcpy(copy, data, n);
	return copy;
}

static void write_again(const struct ps_oip_target *t, const struct ps_oip_request *q)
{
	struct ps_arena out, in;
	struct ps_oip_message m;
	struct ps_oip_request again;
	struct ps_oip_target target;
	struct ps_oip_infer i = {.id = q->id,
				 .inputs = q->inputs,
				 .n_inputs = q->n_inputs,
				 .outputs = q->outputs,
				 .n_outputs = q->n_outputs,
				 .timeout_us = q->timeout_us,
				 .priority = q->priority};
	ps_arena_init(&out, 0);
	ps_arena_init(&in, 0);
	MUST(ps_oip_grpc_build_request(t, &i, &out, &m, NULL) == PS_OK);
	char *body = oip_fuzz_join(&m);
	MUST(ps_oip_grpc_parse_infer(body, m.bytes, &in, &target, &again, NULL) == PS_OK);
	MUST(strcmp(t->model, target.model) == 0 && strcmp(t->version, target.version) == 0);
	MUST(again.n_inputs == q->n_inputs && again.n_outputs == q->n_outputs);
	MUST(again.timeout_us == q->timeout_us && again.priority == q->priority);
	oip_fuzz_same(q->inputs, again.inputs, q->n_inputs);
	free(body);
	ps_arena_fini(&out);
	ps_arena_fini(&in);
}

static void answer(const struct ps_oip_request *q)
{
	struct ps_arena a;
	struct ps_oip_message m;
	struct ps_oip_reply reply;
	const struct ps_oip_response r = {"m", "1", q->id, q->inputs, NULL, q->n_inputs};
	ps_arena_init(&a, 0);
	MUST(ps_oip_grpc_build_infer(&r, false, &a, &m, NULL) == PS_OK);
	char *body = oip_fuzz_join(&m);
	MUST(ps_oip_grpc_parse_response(body, m.bytes, &a, &reply, NULL) == PS_OK);
	MUST(reply.n_outputs == q->n_inputs);
	oip_fuzz_same(q->inputs, reply.outputs, q->n_inputs);
	free(body);
	ps_arena_fini(&a);
}

/* protobuf-c's view of the same bytes; it refuses more (known fields of another wire type). */
static void compare(const struct ps_oip_target *t, const struct ps_oip_request *q,
		    const uint8_t *data, size_t size)
{
	Inference__ModelInferRequest *p = inference__model_infer_request__unpack(
		NULL, size, size ? data : (const uint8_t *)"");
	if (!p)
		return;
	MUST(strcmp(p->model_name, t->model) == 0);
	MUST(strcmp(p->model_version, t->version) == 0);
	MUST(strcmp(p->id, q->id ? q->id : "") == 0);
	MUST(p->n_inputs == (size_t)q->n_inputs && p->n_outputs == (size_t)q->n_outputs);
	for (int i = 0; i < q->n_inputs; i++) {
		const struct ps_tensor *in = &q->inputs[i];
		MUST(strcmp(p->inputs[i]->name, in->name) == 0);
		MUST(p->inputs[i]->n_shape == (size_t)in->rank);
		for (int d = 0; d < in->rank; d++)
			MUST(p->inputs[i]->shape[d] == in->dims[d]);
		if (p->n_raw_input_contents == 0)
			continue;
		MUST(p->raw_input_contents[i].len == in->bytes);
		MUST(in->bytes == 0 ||
		     memcmp(p->raw_input_contents[i].data, in->data, in->bytes) == 0);
	}
	inference__model_infer_request__free_unpacked(p, NULL);
}

static void try_request(const uint8_t *data, size_t size)
{
	struct ps_arena a;
	struct ps_oip_request q;
	struct ps_oip_target t = {.route = PS_OIP_INFER};
	struct ps_error err;
	void *message = copy_of(data, size);
	ps_arena_init(&a, 0);
	enum ps_status s = ps_oip_grpc_parse_infer(message, size, &a, &t, &q, &err);
	MUST(s == PS_OK || (err.status == s && err.what[0]));
	MUST(a.used_bytes <= 16 * size + 64 * 1024);
	if (s == PS_OK) {
		oip_fuzz_check(q.inputs, q.n_inputs);
		compare(&t, &q, data, size);
		write_again(&t, &q);
		answer(&q);
	}
	ps_arena_fini(&a);
	free(message);
}

static void try_response(const uint8_t *data, size_t size)
{
	struct ps_arena a;
	struct ps_oip_reply reply;
	struct ps_error err;
	void *message = copy_of(data, size);
	ps_arena_init(&a, 0);
	enum ps_status s = ps_oip_grpc_parse_response(message, size, &a, &reply, &err);
	MUST(s == PS_OK || (err.status == s && err.what[0]));
	if (s == PS_OK)
		oip_fuzz_check(reply.outputs, reply.n_outputs);
	ps_arena_fini(&a);
	free(message);
}

/* Raw contents are found where the parser finds them. */
static void try_find(const uint8_t *data, size_t size)
{
	struct iovec raw[4];
	Inference__ModelInferResponse *p = inference__model_infer_response__unpack(
		NULL, size, size ? data : (const uint8_t *)"");
	int n = ps_oip_grpc_find_raw(data, size, raw, 4);
	MUST(n <= 4);
	/* protobuf-c takes some malformed fields that nobody knows; the walker refuses them. */
	if (p && n >= 0) {
		MUST(n == (int)p->n_raw_output_contents);
		for (int i = 0; i < n; i++)
			MUST(raw[i].iov_len == p->raw_output_contents[i].len);
	}
	if (p)
		inference__model_infer_response__free_unpacked(p, NULL);
}

static void try_stream(const uint8_t *data, size_t size)
{
	struct ps_error err;
	void *message = copy_of(data, size);
	const void *inner;
	char text[64];
	size_t n;
	enum ps_status s =
		ps_oip_grpc_unwrap_stream(message, size, &inner, &n, text, sizeof text, &err);
	MUST(s == PS_OK || (err.status == s && err.what[0]));
	MUST(s != PS_OK || inner || text[0]);
	if (s == PS_OK && inner)
		try_response(inner, n);
	free(message);
}

static void try_metadata(const uint8_t *data, size_t size)
{
	struct ps_arena a;
	struct ps_strbuf b;
	struct ps_oip_model_metadata m, again;
	struct ps_error err;
	ps_arena_init(&a, 0);
	ps_strbuf_init(&b);
	enum ps_status s = ps_oip_grpc_parse_model_metadata(data, size, &a, &m, &err);
	MUST(s == PS_OK || (err.status == s && err.what[0]));
	if (s == PS_OK) {
		ps_oip_build_model_metadata(&m, PS_OIP_PROTOBUF, &b);
		MUST(ps_oip_grpc_parse_model_metadata(b.data, b.len, &a, &again, NULL) == PS_OK);
		MUST(again.n_inputs == m.n_inputs && again.n_outputs == m.n_outputs);
		MUST(again.n_versions == m.n_versions);
		for (int i = 0; i < m.n_inputs; i++)
			MUST(memcmp(&m.inputs[i], &again.inputs[i], sizeof m.inputs[i]) == 0);
	}
	ps_strbuf_fini(&b);
	ps_arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_request(data, size);
	try_response(data, size);
	try_find(data, size);
	try_stream(data, size);
	try_metadata(data, size);
	return 0;
}
