/* http_common.h - drives the parser's glue as a connection does. */
#ifndef PS_TESTS_HTTP_COMMON_H
#define PS_TESTS_HTTP_COMMON_H

#include "fuzz/fuzz.h"
#include "net/net_internal.h"

#include <string.h>

struct http_fuzz {
	struct ps_arena arena;
	struct ps_net_body body;
	bool in_message;
};

enum { FUZZ_MAX_BODY = 4096, FUZZ_MAX_HEADERS = 8, FUZZ_MAX_HEAD = 512, FUZZ_MAX_URL = 64 };

static enum ps_status http_fuzz_body(void *ctx, const char *at, size_t n)
{
	struct http_fuzz *f = ctx;
	MUST(f->in_message);
	return ps_net_body_append(&f->body, at, n);
}

static bool http_fuzz_head(struct http_fuzz *f, const struct ps_net_http1 *p)
{
	const struct ps_net_head *h = ps_net_http1_head(p);
	int64_t json = -1;
	MUST(h->n_headers <= FUZZ_MAX_HEADERS);
	size_t bytes = strlen(h->target);
	MUST(bytes <= FUZZ_MAX_URL);
	for (size_t i = 0; i < h->n_headers; i++) {
		bytes += strlen(h->headers[i].name) + strlen(h->headers[i].value);
		MUST(!strpbrk(h->headers[i].name, " \t:\r\n"));
		MUST(!strpbrk(h->headers[i].value, "\r\n"));
	}
	MUST(bytes <= FUZZ_MAX_HEAD);
	MUST(h->content_length >= -1);
	f->in_message = true;
	if (ps_net_json_bytes(h->headers, h->n_headers, &json) != PS_OK || json > FUZZ_MAX_BODY)
		return false;
	if (ps_net_body_begin(&f->body, &f->arena, h->chunked ? -1 : h->content_length, json,
			      FUZZ_MAX_BODY) != PS_OK)
		return false;
	return true;
}

/* The first byte says in which pieces the others come. */
static int http_fuzz_run(const uint8_t *data, size_t size, bool response)
{
	struct http_fuzz f = {0};
	struct ps_net_http1_options o = {.response = response,
					 .max_url_bytes = FUZZ_MAX_URL,
					 .max_header_bytes = FUZZ_MAX_HEAD,
					 .max_headers = FUZZ_MAX_HEADERS,
					 .on_body = http_fuzz_body,
					 .ctx = &f};
	if (size == 0)
		return 0;
	size_t step = data[0] & 0x7f ? data[0] & 0x7f : SIZE_MAX;
	const char *at = (const char *)data + 1, *end = (const char *)data + size;
	struct ps_net_http1 *p = ps_net_http1_new(&o);
	MUST(p);
	ps_net_http1_reset(p, response && data[0] & 0x80);
	ps_arena_init(&f.arena, 0);
	for (int idle = 0; at < end && idle < 3;) {
		size_t n = (size_t)(end - at) < step ? (size_t)(end - at) : step, used;
		enum ps_net_event e = ps_net_http1_feed(p, at, n, &used);
		MUST(used <= n);
		at += used;
		if (e == PS_NET_EV_BAD) {
			MUST(ps_net_http1_refusal(p).http >= 400 && ps_net_http1_refusal(p).text);
			break;
		}
		/* Only a head may end before its last byte: everything else must move on. */
		idle = used == 0 ? idle + 1 : 0;
		MUST(idle < 2);
		if (e == PS_NET_EV_HEAD && !http_fuzz_head(&f, p))
			break;
		if (e == PS_NET_EV_END) {
			MUST(f.body.bytes <= FUZZ_MAX_BODY);
			f.in_message = false;
			ps_arena_reset(&f.arena);
			f.body = (struct ps_net_body){0};
			if (!ps_net_http1_head(p)->keep_alive)
				break;
		}
	}
	size_t used;
	if (response && at == end)
		(void)ps_net_http1_feed(p, "", 0, &used);
	ps_net_http1_free(p);
	ps_arena_fini(&f.arena);
	return 0;
}

#endif
