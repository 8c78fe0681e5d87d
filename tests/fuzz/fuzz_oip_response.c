/* Infer responses; what was understood is written again, as binary and as JSON. */
#include "fuzz/oip_common.h"

static void write_again(const struct ps_oip_reply *reply, bool as_binary)
{
	struct ps_arena out, in;
	struct ps_oip_message m;
	struct ps_oip_reply again;
	bool binary[PS_MODEL_MAX_TENSORS];
	for (int i = 0; i < reply->n_outputs; i++)
		binary[i] = as_binary || reply->outputs[i].dtype == PS_DTYPE_FP16 ||
			    reply->outputs[i].dtype == PS_DTYPE_BF16;
	struct ps_oip_response r = {.model_name = "m",
				    .id = reply->id,
				    .outputs = reply->outputs,
				    .binary = binary,
				    .n_outputs = reply->n_outputs};
	ps_arena_init(&out, 0);
	ps_arena_init(&in, 0);
	enum ps_status s = ps_oip_build_response(&r, &out, &m, NULL);
	MUST(s == PS_OK || !as_binary); /* bytes that are not UTF-8 cannot be JSON */
	if (s == PS_OK) {
		char *body = oip_fuzz_join(&m);
		MUST(ps_oip_parse_response(body, m.bytes, m.json_bytes, &in, &again, NULL) ==
		     PS_OK);
		MUST(again.n_outputs == reply->n_outputs);
		for (int i = 0; i < again.n_outputs; i++)
			MUST(again.outputs[i].bytes == reply->outputs[i].bytes);
		if (as_binary)
			oip_fuzz_same(reply->outputs, again.outputs, again.n_outputs);
		free(body);
	}
	ps_arena_fini(&out);
	ps_arena_fini(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n;
	int64_t json;
	struct ps_arena arena;
	struct ps_oip_reply reply;
	struct ps_error err;
	char *body = oip_fuzz_body(data, size, &n, &json);
	if (!body)
		return 0;
	ps_arena_init(&arena, 0);
	enum ps_status s = ps_oip_parse_response(body, n, json, &arena, &reply, &err);
	MUST(s == PS_OK || (err.status == s && err.what[0]));
	if (s == PS_OK) {
		oip_fuzz_check(reply.outputs, reply.n_outputs);
		write_again(&reply, true);
		write_again(&reply, false);
	}
	ps_arena_fini(&arena);
	free(body);
	return 0;
}
