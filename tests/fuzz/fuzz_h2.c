/* HTTP/2 as a server reads it: the bytes of a connection behind its preface. The first byte says
 * what the handlers do, the second in which pieces the rest comes. */
#include "fuzz/h2_common.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	if (size < 2)
		return 0;
	h2_fuzz_begin(data[0]);
	h2_fuzz_feed(preface, sizeof preface - 1);
	size_t step = data[1] ? data[1] : size;
	for (size_t at = 2; at < size; at += step) {
		size_t n = size - at < step ? size - at : step;
		if (F.does & FUZZ_DRAIN && at > size / 2)
			ps_net_h2_drain(F.h);
		h2_fuzz_feed(data + at, n);
	}
	if (F.does & FUZZ_EARLY)
		ps_net_h2_eof(F.h, F.now_ns);
	h2_fuzz_finish_all();
	return 0;
}
