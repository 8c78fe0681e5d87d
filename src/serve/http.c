/* HTTP requests: key, tenant and route at the head; routes once the body is there; answers. */
#include "base/units.h"
#include "oip/admin.h"
#include "serve/admin_internal.h"
#include "serve/observe_internal.h"

#include <string.h>
#include <strings.h>

/* A body up to this size most probably came with its head: the model is looked up once it is whole,
 * together with its instance. A larger one is worth refusing before it is read. */
enum { SMALL_BODY_BYTES = 64 * 1024 };

/* --- answers --- */

static void on_done(void *ctx, struct ps_net_request *r, enum ps_status status, int64_t done_ns)
{
	(void)r;
	ps_serve_sent(ctx, status, done_ns);
}

void ps_serve_http_answer(struct ps_serve_call *c, int http_status, const struct iovec *pieces,
			  size_t n)
{
	c->http_status = http_status;
	for (size_t i = 0; i < n; i++)
		c->answer_bytes += pieces[i].iov_len;
	ps_net_answer(c->http, &(struct ps_net_answer){.http = http_status,
						       .headers = c->headers,
						       .n_headers = (size_t)c->n_headers,
						       .body = pieces,
						       .n_body = n,
						       .compress = true,
						       .on_done = on_done,
						       .ctx = c});
}

void ps_serve_http_refuse(struct ps_serve_call *c)
{
	c->http_status = ps_status_get(c->err.status)->http;
	ps_net_answer_error(c->http, &c->err, c->headers, (size_t)c->n_headers, on_done, c);
}

/* --- at the head --- */

struct head {
	const char *authorization, *traceparent, *content_length;
	bool chunked;
};

static void read_head(const struct ps_net_request *r, struct head *h)
{
	*h = (struct head){0};
	for (size_t i = 0; i < r->n_headers; i++) {
		const char *name = r->headers[i].name, *value = r->headers[i].value;
		switch (name[0] | 0x20) {
		case 'a':
			if (!h->authorization && strcasecmp(name, "Authorization") == 0)
				h->authorization = value;
			break;
		case 'c':
			if (!h->content_length && strcasecmp(name, "Content-Length") == 0)
				h->content_length = value;
			break;
		case 't':
			if (strcasecmp(name, "Transfer-Encoding") == 0)
				h->chunked = true;
			else if (!h->traceparent && strcasecmp(name, "traceparent") == 0)
				h->traceparent = value;
			break;
		default:
			break;
		}
	}
}

static bool has_large_body(const struct ps_net_request *r, const struct head *h)
{
	int64_t bytes;
	if (!h->content_length)
		return h->chunked || r->http_major > 1;
	/* Four digits are small without being read. */
	return strlen(h->content_length) > 4 &&
	       ps_units_parse_int(h->content_length, &bytes, NULL) == PS_OK &&
	       bytes > SMALL_BODY_BYTES;
}

static struct ps_serve_call *new_call(struct ps_serve_io *io, struct ps_net_request *r)
{
	struct ps_serve_call *c = ps_serve_call_new(io, PS_SERVE_HTTP, r->arena);
	if (!c)
		return NULL;
	c->http = r;
	c->peer = r->peer;
	c->first_byte_ns = r->first_byte_ns;
	r->user = c;
	return c;
}

static enum ps_status identify(struct ps_serve_call *c, const struct head *h)
{
	const struct ps_net_request *r = c->http;
	const struct ps_serve_claim claim = {
		.address = r->address, .authorization = h->authorization, .identity = r->identity};
	enum ps_status status = ps_oip_parse_path(r->method, r->path, &c->target, &c->err);
	if (status == PS_EMETHOD)
		ps_serve_add_header(c, "Allow", ps_oip_allowed(c->target.route));
	if (status != PS_OK || !ps_serve_needs_key(c->target.route))
		return status;
	return ps_serve_authenticate(c, &claim);
}

static void limit_body(struct ps_serve_call *c)
{
	const struct ps_serve_snapshot *p = c->io->snapshot;
	struct ps_net_request *r = c->http;
	r->owner = ps_serve_owner(c->tenant);
	if (c->target.route == PS_OIP_INFER)
		r->max_body_bytes = (size_t)ps_tenancy_max_body_bytes(p->tenancy, c->tenant,
								      p->config->max_body);
	else if (r->max_body_bytes > PS_OIP_MAX_ADMIN_BODY)
		r->max_body_bytes = PS_OIP_MAX_ADMIN_BODY;
}

/* net answers; the request ends here. */
static enum ps_status refuse_head(struct ps_serve_call *c, struct ps_error *err)
{
	struct ps_net_request *r = c->http;
	r->refusal_headers = c->headers;
	r->n_refusal_headers = (size_t)c->n_headers;
	c->http_status = ps_status_get(c->err.status)->http;
	c->received_ns = c->d.account.received_ns = ps_evloop_now_ns(c->io->loop);
	c->d.account.status = c->err.status;
	ps_serve_observe_call(c);
	*err = c->err;
	return c->err.status;
}

static enum ps_status on_head(void *ctx, struct ps_net_request *r, struct ps_error *err)
{
	struct ps_serve_call *c = new_call(ctx, r);
	struct head h;
	if (!c)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	read_head(r, &h);
	ps_serve_trace_take(c, h.traceparent);
	enum ps_status status = identify(c, &h);
	if (status == PS_OK && c->target.route == PS_OIP_INFER && has_large_body(r, &h))
		status = ps_serve_find_model(c, false);
	if (status != PS_OK)
		return refuse_head(c, err);
	limit_body(c);
	return PS_OK;
}

/* --- once it is whole --- */

static void take_body(struct ps_serve_call *c)
{
	const struct ps_net_request *r = c->http;
	c->body = r->body;
	c->body_bytes = r->body_bytes;
	c->received_ns = c->d.account.received_ns = r->received_ns;
	ps_serve_call_begin(c);
}

static void on_request(void *ctx, struct ps_net_request *r)
{
	struct ps_serve_call *c = r->user;
	(void)ctx;
	take_body(c);
	if (c->target.route == PS_OIP_INFER)
		ps_serve_infer(c);
	else
		ps_serve_route(c);
}

static void on_gone(void *ctx, struct ps_net_request *r)
{
	struct ps_serve_call *c = r->user;
	(void)ctx;
	c->gone = true;
	if (c->admitted)
		ps_serve_infer_gone(c);
}

void ps_serve_http_handler(struct ps_serve_io *io, struct ps_net_handler *ret_handler)
{
	*ret_handler = (struct ps_net_handler){
		.on_head = on_head, .on_request = on_request, .on_gone = on_gone, .ctx = io};
}

/* --- the metrics listener --- */

/* Without any key in the configuration there is nobody to tell apart, and the listener is local:
 * whoever asks sees all. */
static bool everybody_is_one(const struct ps_tenancy *t)
{
	return ps_tenancy_count(t) == 1 && ps_tenancy_has_open(t) && !ps_tenancy_has_admin(t);
}

static enum ps_status identify_scraper(struct ps_serve_call *c)
{
	const struct ps_net_request *r = c->http;
	struct head h;
	read_head(r, &h);
	if (strcmp(r->path, "/metrics") != 0) {
		enum ps_status status = ps_oip_parse_path(r->method, r->path, &c->target, &c->err);
		if (status == PS_OK && ps_serve_needs_key(c->target.route))
			status = ps_error_set(&c->err, PS_ENOTFOUND, "Not Found");
		return status;
	}
	if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0) {
		ps_serve_add_header(c, "Allow", "GET, HEAD");
		return ps_error_set(&c->err, PS_EMETHOD, "Method Not Allowed");
	}
	if (!h.authorization && everybody_is_one(c->io->snapshot->tenancy))
		return PS_OK;
	const struct ps_serve_claim claim = {
		.address = r->address, .authorization = h.authorization, .identity = r->identity};
	return ps_serve_authenticate(c, &claim);
}

static enum ps_status on_metrics_head(void *ctx, struct ps_net_request *r, struct ps_error *err)
{
	struct ps_serve_call *c = new_call(ctx, r);
	if (!c)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	if (identify_scraper(c) != PS_OK)
		return refuse_head(c, err);
	limit_body(c);
	return PS_OK;
}

static void on_metrics_request(void *ctx, struct ps_net_request *r)
{
	struct ps_serve_call *c = r->user;
	(void)ctx;
	take_body(c);
	if (c->target.route == PS_OIP_NONE)
		ps_serve_metrics(c);
	else
		ps_serve_route(c);
}

void ps_serve_metrics_handler(struct ps_serve_io *io, struct ps_net_handler *ret_handler)
{
	*ret_handler = (struct ps_net_handler){
		.on_head = on_metrics_head, .on_request = on_metrics_request, .ctx = io};
}
