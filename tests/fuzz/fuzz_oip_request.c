/* Infer requests; what was understood is written again in binary and must come back the same. The
 * body is also tried as a path. */
#include "fuzz/oip_common.h"

static void write_again(const struct ps_oip_request *q)
{
	struct ps_arena out, in;
	struct ps_oip_message m;
	struct ps_oip_request again;
	struct ps_oip_infer i = {.id = q->id,
				 .inputs = q->inputs,
				 .n_inputs = q->n_inputs,
				 .binary_inputs = true,
				 .outputs = q->outputs,
				 .n_outputs = q->n_outputs,
				 .binary_output = q->binary_output,
				 .timeout_us = q->timeout_us,
				 .priority = q->priority};
	ps_arena_init(&out, 0);
	ps_arena_init(&in, 0);
	MUST(ps_oip_build_request(&i, &out, &m, NULL) == PS_OK);
	char *body = oip_fuzz_join(&m);
	MUST(ps_oip_parse_request(body, m.bytes, m.json_bytes, &in, &again, NULL) == PS_OK);
	MUST(again.n_inputs == q->n_inputs && again.n_outputs == q->n_outputs);
	MUST(again.timeout_us == q->timeout_us && again.priority == q->priority);
	MUST(!q->id || strcmp(q->id, again.id) == 0);
	oip_fuzz_same(q->inputs, again.inputs, q->n_inputs);
	free(body);
	ps_arena_fini(&out);
	ps_arena_fini(&in);
}

static void match(struct ps_oip_request *q, struct ps_arena *arena)
{
	static const struct ps_tensor_spec specs[] = {
		{.name = "x", .dtype = PS_DTYPE_FP32, .rank = 2, .dims = {-1, -1}},
		{.name = "y", .dtype = PS_DTYPE_BYTES, .rank = 1, .dims = {-1}}};
	struct ps_tensor inputs[2];
	int index[PS_MODEL_MAX_TENSORS], n;
	bool binary[PS_MODEL_MAX_TENSORS];
	(void)ps_oip_select(q, specs, 2, index, binary, &n, NULL);
	if (!q->raw)
		(void)ps_oip_match(q, specs, 2, inputs, NULL);
	else if (ps_oip_resolve_raw(q, specs, 1, arena, NULL) == PS_OK)
		MUST(ps_oip_match(q, specs, 1, inputs, NULL) == PS_OK);
}

static void try_path(const char *body, size_t n)
{
	struct ps_oip_target t, again;
	char buf[PS_OIP_PATH_SIZE], *path = strndup(body, n);
	MUST(path);
	if (ps_oip_parse_path("GET", path, &t, NULL) == PS_OK) {
		MUST(ps_oip_build_path(&t, buf, NULL) == PS_OK);
		MUST(ps_oip_parse_path("GET", buf, &again, NULL) == PS_OK);
		/* A model called "stats" is only reachable as "%73tats". */
		MUST(strcmp(t.model, "stats") == 0 || t.route == again.route);
		MUST(strcmp(t.model, "stats") == 0 || strcmp(t.model, again.model) == 0);
		MUST(strcmp(t.version, again.version) == 0);
	}
	free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n;
	int64_t json;
	struct ps_arena arena;
	struct ps_oip_request q;
	struct ps_error err;
	char *body = oip_fuzz_body(data, size, &n, &json);
	if (!body)
		return 0;
	try_path(body, n);
	ps_arena_init(&arena, 0);
	enum ps_status s = ps_oip_parse_request(body, n, json, &arena, &q, &err);
	MUST(s == PS_OK || (err.status == s && err.what[0]));
	if (s == PS_OK && !q.raw) {
		oip_fuzz_check(q.inputs, q.n_inputs);
		write_again(&q);
	}
	if (s == PS_OK)
		match(&q, &arena);
	ps_arena_fini(&arena);
	free(body);
	return 0;
}
