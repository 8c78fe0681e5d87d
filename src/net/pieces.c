/* pieces.c - see pieces_internal.h. */
#include "net/pieces_internal.h"

#include <string.h>

void ps_net_cursor_advance(struct ps_net_cursor *c, size_t bytes)
{
	while (c->n > 0 && bytes >= c->piece->iov_len - c->skip) {
		bytes -= c->piece->iov_len - c->skip;
		c->skip = 0;
		c->piece++;
		c->n--;
	}
	c->skip += c->n > 0 ? bytes : 0;
}

const char *ps_net_cursor_record(struct ps_net_cursor c, char *record, size_t *ret_bytes)
{
	size_t n = c.piece->iov_len - c.skip, at = 0;

	if (n >= PS_NET_RECORD_BYTES || c.n == 1) {
		*ret_bytes = n;
		return (const char *)c.piece->iov_base + c.skip;
	}
	while (c.n > 0 && at < PS_NET_RECORD_BYTES) {
		n = c.piece->iov_len - c.skip;
		n = n < PS_NET_RECORD_BYTES - at ? n : PS_NET_RECORD_BYTES - at;
		memcpy(record + at, (const char *)c.piece->iov_base + c.skip, n);
		at += n;
		ps_net_cursor_advance(&c, n);
	}
	*ret_bytes = at;
	return record;
}
