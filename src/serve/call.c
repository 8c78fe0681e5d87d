/* What HTTP and gRPC have in common: who asks, for which model, and the small routes. */
#include "base/units.h"
#include "base/version.h"
#include "serve/observe_internal.h"

#include <stdio.h>
#include <string.h>

/* Large texts that are written before they are read stay as they are. */
struct ps_serve_call *ps_serve_call_new(struct ps_serve_io *io, enum ps_serve_wire wire,
					struct ps_arena *arena)
{
	struct ps_serve_call *c = ps_arena_alloc(arena, sizeof *c);
	ps_serve_io_keep_share(io);
	if (!c)
		return NULL;
	memset(c, 0, offsetof(struct ps_serve_call, err));
	ps_error_clear(&c->err);
	c->io = io;
	c->wire = wire;
	c->arena = arena;
	c->tenant = PS_TENANCY_NONE;
	c->model = -1;
	c->d.account.tenant = PS_TENANCY_NONE;
	c->d.account.model = -1;
	return c;
}

void ps_serve_call_begin(struct ps_serve_call *c)
{
	c->counted = true;
	c->io->in_flight++;
}

/* --- headers of the answer --- */

void ps_serve_add_header(struct ps_serve_call *c, const char *name, const char *value)
{
	if (c->n_headers < PS_SERVE_MAX_HEADERS)
		c->headers[c->n_headers++] = (struct ps_net_header){name, value};
}

void ps_serve_add_retry_after(struct ps_serve_call *c, int64_t wait_ns)
{
	int64_t seconds = wait_ns / PS_NS_PER_SEC + (wait_ns % PS_NS_PER_SEC > 0);
	snprintf(c->retry_after, sizeof c->retry_after, "%lld",
		 (long long)(seconds < 1 ? 1 : seconds));
	if (c->wire == PS_SERVE_HTTP) {
		ps_serve_add_header(c, "Retry-After", c->retry_after);
		return;
	}
	int64_t ms = wait_ns / PS_NS_PER_MS;
	snprintf(c->retry_pushback, sizeof c->retry_pushback, "%lld", (long long)(ms < 1 ? 1 : ms));
	ps_serve_add_header(c, "retry-after", c->retry_after);
	ps_serve_add_header(c, "retry-pushback-ms", c->retry_pushback);
}

/* --- answers --- */

void ps_serve_answer_text(struct ps_serve_call *c, int http_status, const char *type,
			  struct ps_strbuf *text)
{
	char *copy = ps_arena_strndup(c->arena, text->data, text->len);
	struct iovec piece = {.iov_base = copy, .iov_len = text->len};
	bool whole = copy && ps_strbuf_status(text) == PS_OK;
	ps_strbuf_fini(text);
	if (!whole) {
		ps_error_set(&c->err, PS_ENOMEM, "out of memory");
		ps_serve_refuse(c);
		return;
	}
	ps_serve_add_header(c, "Content-Type", type);
	ps_serve_http_answer(c, http_status, &piece, 1);
}

void ps_serve_answer_message(struct ps_serve_call *c, struct ps_strbuf *message)
{
	char *copy = ps_arena_strndup(c->arena, message->data, message->len);
	struct iovec piece = {.iov_base = copy, .iov_len = message->len};
	bool whole = copy && ps_strbuf_status(message) == PS_OK;
	ps_strbuf_fini(message);
	if (!whole) {
		ps_error_set(&c->err, PS_ENOMEM, "out of memory");
		ps_serve_refuse(c);
		return;
	}
	ps_serve_grpc_answer(c, &piece, 1);
}

/* Answers in the form of the call's wire. */
static void answer(struct ps_serve_call *c, int http_status, struct ps_strbuf *text)
{
	if (c->wire == PS_SERVE_HTTP)
		ps_serve_answer_text(c, http_status, "application/json", text);
	else
		ps_serve_answer_message(c, text);
}

void ps_serve_refuse(struct ps_serve_call *c)
{
	c->d.account.status = c->err.status;
	if (c->wire == PS_SERVE_HTTP)
		ps_serve_http_refuse(c);
	else
		ps_serve_grpc_refuse(c);
}

void ps_serve_sent(struct ps_serve_call *c, enum ps_status status, int64_t done_ns)
{
	if (status == PS_OK)
		c->d.account.sent_ns = done_ns;
	ps_serve_observe_call(c);
	struct ps_serve *s = c->io->server;
	if (atomic_load_explicit(&s->draining, memory_order_relaxed))
		atomic_fetch_add(status == PS_OK ? &s->drain_answered : &s->drain_dropped, 1);
	ps_serve_shared_unref(c->shared);
	c->shared = NULL;
	if (c->counted)
		ps_serve_answered(c->io);
}

/* --- who asks --- */

bool ps_serve_needs_key(enum ps_oip_route route)
{
	switch (route) {
	case PS_OIP_LIVE:
	case PS_OIP_READY:
	case PS_OIP_SERVER_METADATA:
	case PS_OIP_HEALTH_CHECK:
	case PS_OIP_HEALTH_WATCH:
	case PS_OIP_REFLECTION:
	case PS_OIP_REFLECTION_V1ALPHA:
		return false;
	default:
		return true;
	}
}

static int tenant_of_identity(const struct ps_tenancy *t, const struct ps_net_identity *id)
{
	int tenant = ps_tenancy_by_cert(t, id->common_name, strlen(id->common_name));
	for (size_t i = 0; tenant == PS_TENANCY_NONE && i < id->n_names; i++)
		tenant = ps_tenancy_by_cert(t, id->names[i], strlen(id->names[i]));
	return tenant;
}

/* A key that is shown decides: it may be narrower than what the certificate would give. */
enum ps_status ps_serve_authenticate(struct ps_serve_call *c, const struct ps_serve_claim *claim)
{
	struct ps_serve_io *io = c->io;
	const struct ps_tenancy *t = io->snapshot->tenancy;
	int64_t wait_ns = 0;
	if (!claim->authorization && claim->identity) {
		c->tenant = tenant_of_identity(t, claim->identity);
		if (c->tenant != PS_TENANCY_NONE)
			return PS_OK;
	}
	size_t len = claim->authorization ? strlen(claim->authorization) : 0;
	enum ps_status status = ps_tenancy_guard_authenticate(
		io->guard, t, claim->address, claim->authorization, len, ps_evloop_now_ns(io->loop),
		&c->tenant, &wait_ns, &c->err);
	if (status == PS_OK)
		return PS_OK;
	c->tenant = PS_TENANCY_NONE;
	if (status == PS_EQUOTA) {
		ps_serve_add_retry_after(c, wait_ns);
		ps_serve_observe_event(io->observe, PS_SERVE_EVENT_KEY_BLOCKED);
	} else {
		ps_serve_observe_event(io->observe, claim->authorization
							    ? PS_SERVE_EVENT_KEY_WRONG
							    : PS_SERVE_EVENT_KEY_MISSING);
		if (c->wire == PS_SERVE_HTTP)
			ps_serve_add_header(c, "WWW-Authenticate", "Bearer");
	}
	return status;
}

int ps_serve_domain(const struct ps_tenancy *t, int tenant)
{
	return tenant < 0 || ps_tenancy_shares(t, tenant) ? PS_REPO_SHARED : tenant + 1;
}

/* --- which model --- */

/* A version is a number from 1; anything else names no version that can be there. */
static int64_t version_number(const char *text)
{
	int64_t v;
	if (!text[0])
		return 0;
	return ps_units_parse_int(text, &v, NULL) == PS_OK && v > 0 ? v : INT64_MAX;
}

/* The same words for models that are not there and for those of others. */
static enum ps_status not_found(struct ps_serve_call *c)
{
	if (c->target.version[0])
		return ps_error_set(&c->err, PS_ENOTFOUND,
				    "Request for unknown model: '%s' version %s is not found",
				    c->target.model, c->target.version);
	return ps_error_set(&c->err, PS_ENOTFOUND, "Request for unknown model: '%s' is not found",
			    c->target.model);
}

static int choose(struct ps_serve_call *c)
{
	struct ps_serve *s = c->io->server;
	size_t len = strlen(c->target.model);
	int64_t version = version_number(c->target.version);
	int model;
	if (ps_serve_is_admin(c))
		return ps_repo_choose(s->repo, c->target.model, len, version, PS_REPO_SHARED, 0);
	enum ps_status status = ps_dispatch_resolve(s->dispatch, c->tenant, c->target.model, len,
						    version, &model, NULL);
	return status == PS_OK ? model : -1;
}

/* Why nothing serves the model. */
static enum ps_status not_serving(struct ps_serve_call *c, int domain)
{
	struct ps_serve *s = c->io->server;
	c->d.account.reason = PS_DISPATCH_REASON_NOT_READY;
	if (ps_repo_state_of(s->repo, c->model, domain) == PS_REPO_LOADING) {
		if (c->where == PS_SERVE_HERE) /* else it waits, or is told how long to */
			ps_serve_add_retry_after(c, PS_NS_PER_SEC);
		return ps_error_set(&c->err, PS_EUNAVAIL,
				    "Request for unknown model: '%s' version %s is not at ready "
				    "state: it is not loaded yet",
				    c->model_name, c->version);
	}
	if (ps_repo_state_of(s->repo, c->model, domain) == PS_REPO_ON_DISK)
		return ps_error_set(&c->err, PS_EUNAVAIL,
				    "model '%s' version %s is on disk: a tenant's request loads it",
				    c->model_name, c->version);
	const struct ps_error *why = ps_repo_reason(s->repo, c->model, domain);
	if (why->status != PS_OK)
		return ps_error_set(&c->err, PS_ENOTFOUND,
				    "Request for unknown model: '%s' has no available versions: %s",
				    c->model_name, why->what);
	return ps_error_set(&c->err, PS_ENOTFOUND,
			    "Request for unknown model: '%s' has no available versions",
			    c->model_name);
}

/* With a budget of memory, what is wanted can be waited for. */
static void note_absence(struct ps_serve_call *c)
{
	struct ps_serve *s = c->io->server;
	int domain = ps_serve_domain(ps_dispatch_tenancy(s->dispatch), c->tenant);
	if (ps_serve_is_admin(c) || !ps_dispatch_on_demand(s->dispatch) ||
	    !ps_repo_wanted(s->repo, c->model, domain))
		return;
	bool failed = ps_repo_state_of(s->repo, c->model, domain) == PS_REPO_FAILED;
	c->where = failed ? PS_SERVE_FAILED : PS_SERVE_ABSENT;
}

static enum ps_status find_locked(struct ps_serve_call *c, bool hold)
{
	struct ps_serve *s = c->io->server;
	if (c->model < 0)
		c->model = choose(c);
	if (c->model < 0)
		return not_found(c);
	const struct ps_repo_model *m = ps_repo_get(s->repo, c->model);
	c->model_name = m->name;
	memcpy(c->version, m->version_text, sizeof c->version);
	c->d.account.model = c->model;
	c->d.account.tenant = c->tenant;
	if (!hold)
		return PS_OK;
	int domain = ps_serve_domain(c->io->snapshot->tenancy, c->tenant);
	int number = ps_serve_is_admin(c) ? ps_repo_serving(s->repo, c->model, domain)
					  : ps_dispatch_instance(s->dispatch, c->tenant, c->model);
	c->where = PS_SERVE_HERE;
	if (number < 0) {
		note_absence(c);
		return not_serving(c, domain);
	}
	/* Dispatch may work by a newer configuration already: its domain is the instance's. */
	const struct ps_repo_instance *found = ps_repo_instance_get(s->repo, number);
	struct ps_serve_instance *in = found->user;
	enum ps_status status = ps_serve_view_of(s, in, c->model, found->domain, &c->view, &c->err);
	if (status != PS_OK)
		return status;
	ps_repo_hold(s->repo, number);
	c->instance_number = number;
	c->instance = in;
	return PS_OK;
}

enum ps_status ps_serve_find_model(struct ps_serve_call *c, bool hold)
{
	struct ps_serve *s = c->io->server;
	pthread_mutex_lock(&s->lock);
	enum ps_status status = find_locked(c, hold);
	if (c->resumed) /* it holds the instance now, or not */
		ps_dispatch_resumed(s->dispatch, c->tenant, c->model);
	pthread_mutex_unlock(&s->lock);
	if (c->resumed) /* a load may wait for just that */
		ps_serve_wake_loaders(s);
	c->resumed = false;
	return status;
}

static void release_instance(struct ps_serve_call *c)
{
	struct ps_serve *s = c->io->server;
	pthread_mutex_lock(&s->lock);
	ps_repo_release(s->repo, c->instance_number);
	pthread_mutex_unlock(&s->lock);
	c->instance = NULL;
}

/* --- small routes --- */

static enum ps_oip_form form_of(const struct ps_serve_call *c)
{
	return c->wire == PS_SERVE_HTTP ? PS_OIP_JSON : PS_OIP_PROTOBUF;
}

static bool is_ready(const struct ps_serve *s)
{
	return atomic_load(&s->ready);
}

static void server_metadata(struct ps_serve_call *c, struct ps_strbuf *text)
{
	const struct ps_oip_server_metadata m = {.name = "perseus",
						 .version = ps_version(),
						 .extensions = ps_oip_extensions,
						 .n_extensions = ps_oip_n_extensions};
	ps_oip_build_server_metadata(&m, form_of(c), text);
	answer(c, 200, text);
}

static int version_texts(struct ps_serve_call *c, char (*texts)[PS_SERVE_VERSION_SIZE],
			 const char **ret)
{
	struct ps_serve *s = c->io->server;
	int numbers[PS_OIP_MAX_VERSIONS];
	pthread_mutex_lock(&s->lock);
	int n = ps_repo_versions(s->repo, c->model_name, numbers, PS_OIP_MAX_VERSIONS);
	n = n > PS_OIP_MAX_VERSIONS ? PS_OIP_MAX_VERSIONS : n;
	for (int i = 0; i < n; i++) {
		memcpy(texts[i], ps_repo_get(s->repo, numbers[i])->version_text, sizeof *texts);
		ret[i] = texts[i];
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}

static void model_metadata(struct ps_serve_call *c, struct ps_strbuf *text)
{
	if (ps_serve_find_model(c, true) != PS_OK) {
		if (!ps_serve_wait_for_model(c, ps_serve_route))
			ps_serve_refuse(c);
		return;
	}
	enum { N = PS_OIP_MAX_VERSIONS };
	char(*texts)[PS_SERVE_VERSION_SIZE] = ps_arena_alloc(c->arena, N * sizeof *texts);
	const char **versions = ps_arena_alloc(c->arena, N * sizeof *versions);
	if (!texts || !versions) {
		release_instance(c);
		ps_error_set(&c->err, PS_ENOMEM, "out of memory");
		ps_serve_refuse(c);
		return;
	}
	const struct ps_serve_view *v = c->view;
	const struct ps_oip_model_metadata m = {
		.name = c->model_name,
		.versions = versions,
		.n_versions = version_texts(c, texts, versions),
		.platform = c->instance->describe.platform,
		.inputs = v->inputs,
		.outputs = v->outputs,
		.n_inputs = v->n_inputs,
		.n_outputs = v->n_outputs,
	};
	ps_oip_build_model_metadata(&m, form_of(c), text);
	release_instance(c);
	answer(c, 200, text);
}

/* gRPC says no for a model that nobody knows; HTTP's clients look at the code alone, and that it is
 * unknown is worth more to a person. */
static void model_ready(struct ps_serve_call *c, struct ps_strbuf *text)
{
	enum ps_status status = ps_serve_find_model(c, true);
	bool ready = status == PS_OK || c->where == PS_SERVE_ABSENT;
	if (status == PS_OK)
		release_instance(c);
	else if (c->model < 0 && c->wire == PS_SERVE_HTTP) {
		ps_serve_refuse(c);
		return;
	}
	ready = ready && !atomic_load(&c->io->server->draining);
	c->n_headers = 0; /* no Retry-After: this is an answer */
	ps_error_clear(&c->err);
	c->d.account.reason = PS_DISPATCH_REASON_NONE;
	ps_oip_build_model_ready(c->model < 0 ? c->target.model : c->model_name, ready, form_of(c),
				 text);
	answer(c, ready ? 200 : 400, text);
}

static void ready(struct ps_serve_call *c, struct ps_strbuf *text)
{
	bool good = is_ready(c->io->server);
	ps_oip_build_ready(good, form_of(c), text);
	answer(c, good ? 200 : 400, text);
}

static void live(struct ps_serve_call *c, struct ps_strbuf *text)
{
	ps_oip_build_live(true, form_of(c), text);
	answer(c, 200, text);
}

void ps_serve_route(struct ps_serve_call *c)
{
	struct ps_strbuf text;
	ps_strbuf_init(&text);
	switch (c->target.route) {
	case PS_OIP_LIVE:
		live(c, &text);
		break;
	case PS_OIP_READY:
		ready(c, &text);
		break;
	case PS_OIP_SERVER_METADATA:
		server_metadata(c, &text);
		break;
	case PS_OIP_MODEL_METADATA:
		model_metadata(c, &text);
		break;
	case PS_OIP_MODEL_READY:
		model_ready(c, &text);
		break;
	default:
		ps_serve_route_admin(c);
		break;
	}
}
