/* request_log.h - every single request of a run, in a file.   Layer 3. Blocking.
 *
 * Compact form, version 1: about 25 bytes a request, any byte order, each part with its checksum.
 *
 *	file    = "PSRLOG1\n" block... end-block
 *	block   = length u32, CRC-32 of the payload u32 (both little-endian), payload
 *	payload = kind u8: 0 head, 1 requests of one tenant, 2 end
 *	head    = start (wall clock, ns since 1970), warm-up ns, duration ns, seed, tenants, each:
 *	          length of the name, name, requests that were only counted
 *	requests= tenant, number, each: flags u8, scheduled, sequence (both as the difference to the
 *	          one before), [sent - scheduled], [first byte - scheduled], [done - scheduled],
 *	          [queue], [compute], connection, HTTP status, outcome
 *	end     = number of requests in the file
 *
 * Numbers are LEB128, signed ones zigzag. Flags say which of the [optional] ones are there (bits 0
 * to 4), and: 32 scheduled in the warm-up, 64 belongs to the uncorrected view. A file without its
 * end block was cut off.
 */
#ifndef PS_LOAD_REQUEST_LOG_H
#define PS_LOAD_REQUEST_LOG_H

#include "base/error.h"
#include "base/strbuf.h"
#include "load/result.h"

#define PS_LOAD_LOG_MAX_BLOCK (4u << 20) /* bytes; a longer one is refused when read */

/* ps_load_log_write writes all records of `r` to `path`, whole or not at all. PS_EIO, PS_ENOSPC,
 * PS_ENOMEM, ... */
enum ps_status ps_load_log_write(const struct ps_load_result *r, const char *path,
				 struct ps_error *err);

struct ps_load_log_tenant {
	char name[64];
	uint64_t dropped; /* counted in the result, not recorded */
};

struct ps_load_log_head {
	int64_t wall_ns, warmup_ns, duration_ns;
	uint64_t seed;
	struct ps_load_log_tenant *tenants;
	size_t tenant_len;
};

/* What a reader does; each may be NULL. Any other return than PS_OK ends the reading with it, `err`
 * filled. */
struct ps_load_log_visitor {
	enum ps_status (*head)(void *ctx, const struct ps_load_log_head *head,
			       struct ps_error *err);
	enum ps_status (*record)(void *ctx, const struct ps_load_log_head *head, size_t tenant,
				 const struct ps_load_record *record, struct ps_error *err);
	/* behind the last one; `head` goes when the reading is over */
	enum ps_status (*end)(void *ctx, const struct ps_load_log_head *head, struct ps_error *err);
	void *ctx;
};

/* ps_load_log_read reads a file and hands on what it holds, in order; at most one block is in
 * memory. PS_ECORRUPT, with the block's place, when the file is no request log, of another version,
 * damaged or cut off: what was handed on before was sound. PS_ENOTFOUND, PS_EIO, PS_ENOMEM. */
enum ps_status ps_load_log_read(const char *path, const struct ps_load_log_visitor *visitor,
				struct ps_error *err);

/* ps_load_csv_head and ps_load_csv_row append the same as CSV: nanoseconds after the start, an
 * empty field where it never came to that. */
void ps_load_csv_head(struct ps_strbuf *out);
void ps_load_csv_row(struct ps_strbuf *out, const char *tenant, const struct ps_load_record *q);

#endif
