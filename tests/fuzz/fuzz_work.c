/* ONNX files, down to the work of their operators: the first byte says how the engine runs them. */
#include "fuzz/fuzz.h"
#include "predict/work.h"

#include <math.h>

static void check(const struct ps_predict_model *m)
{
	double macs = 0;
	size_t unknown = 0;
	for (size_t k = 0; k < m->op_count; k++) {
		const struct ps_predict_op *op = &m->ops[k];
		MUST(op->name && op->type[0]);
		MUST(op->known ? op->macs >= 0 && ps_predict_op_bytes(op) >= 0 : isnan(op->macs));
		macs += op->known ? op->macs : 0;
		unknown += !op->known;
	}
	MUST(macs == m->macs && unknown == m->unknown);
	MUST(m->peak_bytes >= 0 && m->parameters >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int blocks[] = {0, 8, 16};
	struct ps_predict_model m;
	struct ps_error err;
	if (size < 1)
		return 0;
	struct ps_predict_target t = {.batch = 1 + data[0] / 64,
				      .steps = data[0] & 8 ? 3 : 0,
				      .block = blocks[data[0] % 3],
				      .fused = (data[0] & 4) == 0};
	ps_error_clear(&err);
	enum ps_status s = ps_predict_work_parse(data + 1, size - 1, "m", &t, &m, &err);
	MUST(s == PS_OK || (err.status == s && err.what[0]));
	if (s != PS_OK)
		return 0;
	check(&m);
	ps_predict_model_fini(&m);
	return 0;
}
