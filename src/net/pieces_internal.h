/* pieces_internal.h - walking through the pieces of a message.
 *
 * A cursor stands in front of a byte of the pieces, or behind all of them (n == 0). Pieces without
 * bytes are passed over: after ps_net_cursor_advance(c, 0) it stands in front of a byte.
 */
#ifndef PS_NET_PIECES_INTERNAL_H
#define PS_NET_PIECES_INTERNAL_H

#include <stddef.h>
#include <sys/uio.h>

enum { PS_NET_RECORD_BYTES = 16 * 1024 /* of plain text in one record of TLS */ };

struct ps_net_cursor {
	const struct iovec *piece;
	size_t n;    /* pieces from here on */
	size_t skip; /* of the first */
};

/* ps_net_cursor_advance goes on by `bytes`, at most to the end. */
void ps_net_cursor_advance(struct ps_net_cursor *c, size_t bytes);
/* ps_net_cursor_record returns what the next record of TLS is to hold: small pieces gathered in
 * `record` (PS_NET_RECORD_BYTES), a large or last one where it lies, as a whole. There must be one.
 * The same bytes come again until the cursor goes on. */
const char *ps_net_cursor_record(struct ps_net_cursor c, char *record, size_t *ret_bytes);

#endif
