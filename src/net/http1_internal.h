/* http1_internal.h - heads that are as plain as nearly all are, read in one pass. */
#ifndef PS_NET_HTTP1_INTERNAL_H
#define PS_NET_HTTP1_INTERNAL_H

#include "net/net_internal.h"

/* Where a header lies in the bytes that were read; the value without blanks around it. */
struct ps_net_span {
	const char *name, *name_end, *value, *value_end;
};

struct ps_net_plain_head {
	const char *method; /* of a request: static */
	const char *target, *target_end;
	int http;		     /* of an answer */
	struct ps_net_span *headers; /* the caller's: room for `max_headers` */
	size_t max_headers, n_headers;
	int64_t content_length; /* -1: not said */
};

/* ps_net_http1_plain reads a head of HTTP/1.1 that is whole in data[0..n), of a GET or POST whose
 * connection stays open and whose body, if any, comes by length. Returns its bytes; 0 when it is
 * anything else, good or bad: the library says which. */
size_t ps_net_http1_plain(const char *data, size_t n, struct ps_net_plain_head *h);

/* ps_net_http1_plain_answer is the same for answers: of HTTP/1.1, with a final status that may have
 * a body, whose length is said. */
size_t ps_net_http1_plain_answer(const char *data, size_t n, struct ps_net_plain_head *h);

/* ps_net_is_host says whether `n` bytes may be a host with its port: no user, nothing odd. */
bool ps_net_is_host(const char *s, size_t n);

#endif
