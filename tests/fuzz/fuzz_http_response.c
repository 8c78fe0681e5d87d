/* Responses as a client reads them; the first byte's top bit: the request was a HEAD. */
#include "fuzz/http_common.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return http_fuzz_run(data, size, true);
}
