/* coding_internal.h - content codings: bodies of requests inflated as they come, answers deflated.
 *
 * Pure but for memory. gzip and deflate (zlib's format, and the bare one that some clients send
 * under that name).
 */
#ifndef PS_NET_CODING_INTERNAL_H
#define PS_NET_CODING_INTERNAL_H

#include "net/net_internal.h"

enum ps_net_coding {
	PS_NET_CODING_IDENTITY = 0,
	PS_NET_CODING_GZIP,
	PS_NET_CODING_DEFLATE,
	PS_NET_CODING_UNKNOWN, /* also more than one */
};

/* ps_net_coding_parse reads a Content-Encoding (NULL: identity). */
enum ps_net_coding ps_net_coding_parse(const char *value);
/* ps_net_coding_accepted chooses by Accept-Encoding and its q values (NULL: identity): gzip before
 * deflate at the same q, never one with q=0, identity when it has the greater q. */
enum ps_net_coding ps_net_coding_accepted(const char *value);
/* ps_net_coding_name returns "gzip", "deflate" or "identity". */
const char *ps_net_coding_name(enum ps_net_coding coding);

struct ps_net_inflate;

/* ps_net_inflate_new begins to inflate: `max_ratio` as in ps_net_server_options, > 0. NULL: no
 * memory. `coding` is gzip or deflate. */
struct ps_net_inflate *ps_net_inflate_new(enum ps_net_coding coding, int max_ratio);
void ps_net_inflate_free(struct ps_net_inflate *f);
/* ps_net_inflate_feed appends what the bytes become to `body`. PS_ETOOBIG (body->max_bytes, or the
 * ratio), PS_EPARSE (not that coding, or bytes behind its end), PS_ENOMEM. `grown` (may be NULL) is
 * called after each time that body->cap changed; what it returns, if not PS_OK, ends the work. */
enum ps_status ps_net_inflate_feed(struct ps_net_inflate *f, const void *at, size_t n,
				   struct ps_net_body *body, enum ps_status (*grown)(void *ctx),
				   void *ctx);
/* ps_net_inflate_ended says whether the coding came to its end. */
bool ps_net_inflate_ended(const struct ps_net_inflate *f);

/* ps_net_deflate makes one piece of `pieces` in `arena`, compressed; PS_ETOOBIG when it would not
 * get smaller, or its first 64 KiB not by an eighth; PS_ENOMEM. */
enum ps_status ps_net_deflate(enum ps_net_coding coding, const struct iovec *pieces, size_t n,
			      struct ps_arena *arena, struct iovec *ret_piece);

#endif
