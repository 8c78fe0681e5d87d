/* Requests as a server reads them: head limits, bodies, several in a row. */
#include "fuzz/http_common.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return http_fuzz_run(data, size, false);
}
