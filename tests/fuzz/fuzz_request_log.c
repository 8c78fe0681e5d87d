/* A request log from anywhere: read, or refused at a place; what is read makes CSV. The bytes are
 * payloads, one behind the other with their lengths: a fuzzer does not find checksums. */
#include "fuzz/fuzz.h"
#include "load/request_log.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

static enum ps_status on_record(void *ctx, const struct ps_load_log_head *h, size_t tenant,
				const struct ps_load_record *q, struct ps_error *err)
{
	struct ps_strbuf *out = ctx;

	(void)err;
	MUST(tenant < h->tenant_len && q->outcome < PS_LOAD_OUTCOME_COUNT);
	MUST(q->scheduled_ns >= 0 && q->done_ns >= -1);
	ps_strbuf_clear(out);
	ps_load_csv_row(out, h->tenants[tenant].name, q);
	return PS_OK;
}

static void put_fixed(FILE *f, uint32_t v)
{
	for (int i = 0; i < 4; i++) {
		fputc((int)(v >> (8 * i) & 0xff), f);
	}
}

/* Each block: one byte of length, the payload. */
static void put_blocks(FILE *f, const uint8_t *data, size_t size)
{
	fputs("PSRLOG1\n", f);
	while (size > 0) {
		size_t len = data[0] < size - 1 ? data[0] : size - 1;

		put_fixed(f, (uint32_t)len);
		put_fixed(f, (uint32_t)crc32(0, data + 1, (uInt)len));
		fwrite(data + 1, 1, len, f);
		data += len + 1;
		size -= len + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ps_strbuf out;
	struct ps_load_log_visitor v = {NULL, on_record, NULL, &out};
	struct ps_error err;
	char path[64];
	int fd = memfd_create("log", MFD_CLOEXEC);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	MUST(f);
	put_blocks(f, data, size);
	fflush(f);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ps_strbuf_init(&out);
	enum ps_status st = ps_load_log_read(path, &v, &err);
	MUST(st == PS_OK || (st == PS_ECORRUPT && err.what[0]));
	ps_strbuf_fini(&out);
	fclose(f);
	return 0;
}
