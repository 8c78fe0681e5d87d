#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "base/version.h"
#include "serve/serve_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A refused body up to this size is still read, so that the connection and its keep-alive survive
 * the refusal; a larger one is refused at its head and the connection closed. */
enum { READ_ANYWAY_BYTES = 64 * 1024 };

void ps_serve_add_header(struct ps_serve_call *c, const char *name, const char *value)
{
	if (c->n_headers < (int)(sizeof c->headers / sizeof *c->headers))
		c->headers[c->n_headers++] = (struct ps_net_header){name, value};
}

static void access_log(const struct ps_serve_call *c)
{
	const struct ps_dispatch_account *a = &c->d.account;
	if (!c->server->config->access_log || c->target.route != PS_OIP_INFER || c->model < 0)
		return;
	ps_log(PS_LOG_INFO, "access",
	       "%s tenant=%s model=%s status=%s admitted_ns=%lld queue_us=%lld compute_us=%lld "
	       "total_us=%lld",
	       c->net->peer, ps_tenancy_name(c->server->tenancy, c->tenant),
	       ps_repo_get(c->server->repo, c->model)->name, ps_status_name(a->status),
	       (long long)a->admitted_ns,
	       (long long)((a->started_ns ? a->started_ns - a->admitted_ns : 0) / 1000),
	       (long long)((a->started_ns ? a->finished_ns - a->started_ns : 0) / 1000),
	       (long long)((a->sent_ns - a->received_ns) / 1000));
}

void ps_serve_sent(void *ctx, struct ps_net_request *r, enum ps_status status, int64_t done_ns)
{
	struct ps_serve_call *c = ctx;
	(void)r;
	if (status == PS_OK)
		c->d.account.sent_ns = done_ns;
	access_log(c);
}

void ps_serve_refuse(struct ps_serve_call *c)
{
	if (c->err.status == PS_EUNAUTH)
		ps_serve_add_header(c, "WWW-Authenticate", "Bearer");
	if (c->err.status == PS_EMETHOD)
		ps_serve_add_header(c, "Allow", ps_oip_allowed(c->target.route));
	ps_net_answer_error(c->net, &c->err, c->headers, (size_t)c->n_headers, ps_serve_sent, c);
}

/* Answers with JSON; `text` is emptied. */
static void answer_json(struct ps_serve_call *c, int http, struct ps_strbuf *text)
{
	char *copy = ps_arena_strndup(c->net->arena, text->data, text->len);
	if (!copy || ps_strbuf_status(text) != PS_OK) {
		ps_error_set(&c->err, PS_ENOMEM, "out of memory");
		ps_strbuf_fini(text);
		ps_serve_refuse(c);
		return;
	}
	struct iovec piece = {.iov_base = copy, .iov_len = text->len};
	ps_strbuf_fini(text);
	ps_serve_add_header(c, "Content-Type", "application/json");
	ps_net_answer(c->net, &(struct ps_net_answer){.http = http,
						      .headers = c->headers,
						      .n_headers = (size_t)c->n_headers,
						      .body = &piece,
						      .n_body = 1,
						      .on_done = ps_serve_sent,
						      .ctx = c});
}

/* --- at the head --- */

static bool needs_tenant(enum ps_oip_route route)
{
	return route == PS_OIP_INFER || route == PS_OIP_MODEL_METADATA ||
	       route == PS_OIP_MODEL_READY;
}

/* A version is a number from 1; anything else names no version that can be there. */
static int64_t version_number(const char *text)
{
	int64_t v;
	if (!text[0])
		return 0;
	return ps_units_parse_int(text, &v, NULL) == PS_OK && v > 0 ? v : INT64_MAX;
}

static enum ps_status identify(struct ps_serve_call *c)
{
	struct ps_serve *s = c->server;
	const struct ps_net_request *r = c->net;
	enum ps_status status = ps_oip_parse_path(r->method, r->path, &c->target, &c->err);
	if (status != PS_OK || !needs_tenant(c->target.route))
		return status;
	const char *auth = ps_net_header_get(r->headers, r->n_headers, "Authorization");
	status = ps_tenancy_authenticate(s->tenancy, auth, auth ? strlen(auth) : 0, &c->tenant,
					 &c->err);
	if (status != PS_OK)
		return status;
	/* Names do not change after start: no lock. */
	return ps_dispatch_resolve(s->dispatch, c->tenant, c->target.model, strlen(c->target.model),
				   version_number(c->target.version), &c->model, &c->err);
}

static bool has_large_body(const struct ps_net_request *r)
{
	int64_t bytes;
	const char *length = ps_net_header_get(r->headers, r->n_headers, "Content-Length");
	if (ps_net_header_get(r->headers, r->n_headers, "Transfer-Encoding"))
		return true;
	return length && ps_units_parse_int(length, &bytes, NULL) == PS_OK &&
	       bytes > READ_ANYWAY_BYTES;
}

static enum ps_status on_head(void *ctx, struct ps_net_request *r, struct ps_error *err)
{
	struct ps_serve_call *c = ps_arena_zalloc(r->arena, sizeof *c);
	if (!c)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	c->server = ctx;
	c->net = r;
	c->tenant = c->model = -1;
	r->user = c;
	c->refused = identify(c);
	if (c->refused == PS_OK || !has_large_body(r))
		return PS_OK;
	*err = c->err;
	return c->refused;
}

/* --- routes --- */

static void server_metadata(struct ps_serve_call *c)
{
	static const char *const extensions[] = {"binary_tensor_data", "parameters"};
	const struct ps_oip_server_metadata m = {.name = "perseus",
						 .version = ps_version(),
						 .extensions = extensions,
						 .n_extensions = 2};
	struct ps_strbuf text;
	ps_strbuf_init(&text);
	ps_oip_build_server_metadata(&m, PS_OIP_JSON, &text);
	answer_json(c, 200, &text);
}

static void model_metadata(struct ps_serve_call *c)
{
	const struct ps_serve *s = c->server;
	const struct ps_repo_model *model = ps_repo_get(s->repo, c->model);
	const struct ps_serve_instance *in = &s->instances[c->model];
	int numbers[PS_OIP_MAX_VERSIONS];
	const char *versions[PS_OIP_MAX_VERSIONS];
	struct ps_strbuf text;
	if (model->state != PS_REPO_READY) {
		ps_error_set(&c->err, PS_EUNAVAIL, "model '%s' is not loaded yet", model->name);
		ps_serve_add_header(c, "Retry-After", "1");
		ps_serve_refuse(c);
		return;
	}
	int n = ps_repo_versions(s->repo, model->name, numbers, PS_OIP_MAX_VERSIONS);
	n = n > PS_OIP_MAX_VERSIONS ? PS_OIP_MAX_VERSIONS : n;
	for (int i = 0; i < n; i++)
		versions[i] = ps_repo_get(s->repo, numbers[i])->version_text;
	const struct ps_oip_model_metadata m = {
		.name = model->name,
		.versions = versions,
		.n_versions = n,
		.platform = in->describe.platform,
		.inputs = in->describe.inputs,
		.outputs = in->describe.outputs,
		.n_inputs = in->describe.n_inputs,
		.n_outputs = in->describe.n_outputs,
	};
	ps_strbuf_init(&text);
	ps_oip_build_model_metadata(&m, PS_OIP_JSON, &text);
	answer_json(c, 200, &text);
}

static void model_ready(struct ps_serve_call *c)
{
	const struct ps_repo_model *model = ps_repo_get(c->server->repo, c->model);
	bool ready = model->state == PS_REPO_READY && !c->server->draining;
	struct ps_strbuf text;
	ps_strbuf_init(&text);
	ps_oip_build_model_ready(model->name, ready, PS_OIP_JSON, &text);
	answer_json(c, ready ? 200 : 400, &text);
}

static void health(struct ps_serve_call *c)
{
	struct ps_strbuf text;
	bool good = true;
	ps_strbuf_init(&text);
	if (c->target.route == PS_OIP_LIVE) {
		ps_oip_build_live(true, PS_OIP_JSON, &text);
	} else {
		pthread_mutex_lock(&c->server->lock);
		good = ps_dispatch_ready(c->server->dispatch);
		pthread_mutex_unlock(&c->server->lock);
		ps_oip_build_ready(good, PS_OIP_JSON, &text);
	}
	answer_json(c, good ? 200 : 400, &text);
}

static void on_request(void *ctx, struct ps_net_request *r)
{
	struct ps_serve_call *c = r->user;
	(void)ctx;
	c->d.account.received_ns = r->received_ns;
	if (c->refused != PS_OK) {
		ps_serve_refuse(c);
		return;
	}
	switch (c->target.route) {
	case PS_OIP_INFER:
		ps_serve_infer(c);
		break;
	case PS_OIP_SERVER_METADATA:
		server_metadata(c);
		break;
	case PS_OIP_MODEL_METADATA:
		model_metadata(c);
		break;
	case PS_OIP_MODEL_READY:
		model_ready(c);
		break;
	default:
		health(c);
	}
}

static void on_gone(void *ctx, struct ps_net_request *r)
{
	struct ps_serve_call *c = r->user;
	(void)ctx;
	if (c->target.route == PS_OIP_INFER && c->refused == PS_OK)
		ps_serve_infer_gone(c);
}

void ps_serve_handler(struct ps_serve *s, struct ps_net_handler *ret_handler)
{
	*ret_handler = (struct ps_net_handler){
		.on_head = on_head, .on_request = on_request, .on_gone = on_gone, .ctx = s};
}
