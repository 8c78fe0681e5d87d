/* Metadata and error bodies; model metadata is written again and must come back the same. */
#include "fuzz/fuzz.h"
#include "oip/oip.h"

#include <string.h>

static void write_again(const struct ps_oip_model_metadata *m)
{
	struct ps_strbuf b;
	struct ps_arena arena;
	struct ps_oip_model_metadata again;
	ps_strbuf_init(&b);
	ps_arena_init(&arena, 0);
	ps_oip_build_model_metadata(m, PS_OIP_JSON, &b);
	MUST(ps_oip_parse_model_metadata(b.data, b.len, &arena, &again, NULL) == PS_OK);
	MUST(again.n_inputs == m->n_inputs && again.n_outputs == m->n_outputs);
	MUST(again.n_versions == m->n_versions);
	for (int i = 0; i < m->n_inputs; i++)
		MUST(memcmp(&m->inputs[i], &again.inputs[i], sizeof again.inputs[i]) == 0);
	ps_strbuf_fini(&b);
	ps_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ps_arena arena;
	struct ps_oip_model_metadata model;
	struct ps_oip_server_metadata server;
	struct ps_error err;
	char text[32];
	ps_arena_init(&arena, 0);
	enum ps_status s = ps_oip_parse_model_metadata(data, size, &arena, &model, &err);
	MUST(s == PS_OK || (err.status == s && err.what[0]));
	if (s == PS_OK)
		write_again(&model);
	(void)ps_oip_parse_server_metadata(data, size, &arena, &server, &err);
	MUST(strlen(ps_oip_parse_error(data, size, text, sizeof text)) < sizeof text);
	ps_arena_fini(&arena);
	return 0;
}
