/* ONNX files. */
#include "fuzz/fuzz.h"
#include "model/edit.h"
#include "model/onnx.h"

/* What can be read node by node can be written with one replaced, and read again. */
static void edit(const uint8_t *data, size_t size)
{
	static const int keep[] = {0, 4};
	const struct ps_edit_replacement r = {
		.op = "Ours", .domain = "ours", .keep = keep, .n_keep = 2};
	struct ps_strbuf again;
	struct ps_error err;
	struct ps_edit e, f;
	ps_error_clear(&err);
	enum ps_status s = ps_edit_parse(data, size, &e, &err);
	MUST(s == PS_OK || (err.status == s && err.what[0]));
	if (s != PS_OK)
		return;
	ps_strbuf_init(&again);
	if (e.n_nodes > 0)
		MUST(ps_edit_replace(&e, 0, &r, &err) == PS_OK);
	MUST(ps_edit_write(&e, "ours", &again, &err) == PS_OK);
	MUST(ps_edit_parse(again.data, again.len, &f, &err) == PS_OK);
	MUST(f.n_nodes == e.n_nodes && f.n_stored <= e.n_stored);
	ps_edit_fini(&f);
	ps_edit_fini(&e);
	ps_strbuf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ps_onnx_model m;
	struct ps_error err;
	ps_error_clear(&err);
	enum ps_status s = ps_onnx_parse(data, size, &m, &err);
	MUST(s == PS_OK || (err.status == s && err.what[0]));
	if (s == PS_OK)
		ps_onnx_free(&m);
	edit(data, size);
	return 0;
}
