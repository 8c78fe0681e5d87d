/* ONNX files. */
#include "fuzz/fuzz.h"
#include "model/onnx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ps_onnx_model m;
	struct ps_error err;
	ps_error_clear(&err);
	enum ps_status s = ps_onnx_parse(data, size, &m, &err);
	MUST(s == PS_OK || (err.status == s && err.what[0]));
	if (s == PS_OK)
		ps_onnx_free(&m);
	return 0;
}
