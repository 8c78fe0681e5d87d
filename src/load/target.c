/* target.c - see target.h. */
#include "load/target.h"

#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEFAULT_DISTINCT = 8,
	MAX_DISTINCT_BYTES = 64 << 20, /* of all made-up inputs of a tenant */
	MAX_KEPT_ANSWER = 1 << 20,
};

/* ---- addresses and paths ---- */

static enum ps_status build_paths(struct ps_load_target *g, const char *base, struct ps_error *err)
{
	struct ps_oip_target where = {.route = PS_OIP_MODEL_METADATA};
	char path[PS_OIP_PATH_SIZE];
	enum ps_status st;

	if (strlen(g->t->model) >= sizeof(where.model) ||
	    (g->t->version && strlen(g->t->version) >= sizeof(where.version))) {
		return ps_error_set(err, PS_EINVAL, "the name or version of the model is too long");
	}
	strcpy(where.model, g->t->model);
	strcpy(where.version, g->t->version ? g->t->version : "");
	st = ps_oip_build_path(&where, path, err);
	if (st != PS_OK) {
		return st;
	}
	snprintf(g->metadata_path, sizeof(g->metadata_path), "%s%s", base, path);
	where.route = PS_OIP_INFER;
	st = ps_oip_build_path(&where, path, err);
	if (st == PS_OK) {
		snprintf(g->infer_path, sizeof(g->infer_path), "%s%s", base, path);
	}
	return st;
}

static enum ps_status resolve(struct ps_load_target *g, struct ps_error *err)
{
	struct ps_net_url url;
	enum ps_status st = ps_net_url_parse(g->t->url, &url, err);

	if (st == PS_OK && (url.secure || url.grpc || url.unix_path[0])) {
		st = ps_error_set(err, PS_EUNSUPPORTED, "'%.100s': only http:// is spoken here",
				  g->t->url);
	}
	if (st == PS_OK) {
		st = ps_net_resolve(url.host, url.port, &g->address, err);
	}
	if (st != PS_OK) {
		return st;
	}
	snprintf(g->host, sizeof(g->host), strchr(url.host, ':') ? "[%s]:%u" : "%s:%u", url.host,
		 url.port);
	return build_paths(g, url.base, err);
}

enum ps_status ps_load_target_init(struct ps_load_target *g, const struct ps_load_tenant *t,
				   struct ps_error *err)
{
	enum ps_status st;

	*g = (struct ps_load_target){.t = t};
	ps_arena_init(&g->arena, 0);
	st = resolve(g, err);
	if (st == PS_OK && t->api_key && asprintf(&g->authorization, "Bearer %s", t->api_key) < 0) {
		g->authorization = NULL;
		st = ps_error_set(err, PS_ENOMEM, "no memory");
	}
	if (st != PS_OK) {
		ps_load_target_fini(g);
	}
	return st;
}

void ps_load_target_fini(struct ps_load_target *g)
{
	for (size_t i = 0; i < g->request_len; i++) {
		ps_load_inputs_fini(&g->requests[i].inputs);
		free(g->requests[i].answer);
	}
	free(g->requests);
	free(g->seen_json);
	if (g->authorization) {
		explicit_bzero(g->authorization, strlen(g->authorization));
		free(g->authorization);
	}
	ps_arena_fini(&g->arena);
	*g = (struct ps_load_target){0};
}

enum ps_status ps_load_target_client(struct ps_load_target *g, struct ps_evloop *loop,
				     struct ps_net_client **ret_client, struct ps_error *err)
{
	struct ps_net_client_options o = {
		.address = g->address, .host = g->host, .max_body_bytes = PS_LOAD_MAX_INPUT_BYTES};

	return ps_net_client_new(loop, &o, ret_client, err);
}

/* ---- metadata ---- */

struct fetch {
	struct ps_net_call call;
	bool done;
};

static void on_fetched(struct ps_net_call *c)
{
	((struct fetch *)c->ctx)->done = true;
}

static enum ps_status status_of_http(int http)
{
	switch (http) {
	case 401:
		return PS_EUNAUTH;
	case 403:
		return PS_EFORBIDDEN;
	case 400:
	case 404:
		return PS_ENOTFOUND;
	case 429:
		return PS_EQUOTA;
	case 503:
		return PS_EUNAVAIL;
	default:
		return PS_EIO;
	}
}

static enum ps_status refuse(const struct ps_load_target *g, const struct ps_net_call *c,
			     struct ps_error *err)
{
	char text[256];
	enum ps_status st;

	if (c->outcome != PS_NET_OK) {
		st = ps_net_outcome_status(c->outcome);
		ps_error_set(err, st, "no metadata of model '%s': %s%s%s", g->t->model,
			     ps_net_outcome_name(c->outcome), c->system_errno ? ": " : "",
			     c->system_errno ? strerror(c->system_errno) : "");
		ps_error_hint(err, "is a server listening at this address?");
	} else {
		st = status_of_http(c->http);
		ps_error_set(
			err, st, "no metadata of model '%s': HTTP %d: %s", g->t->model, c->http,
			ps_oip_parse_error(c->answer_body, c->answer_bytes, text, sizeof(text)));
		if (st == PS_EUNAUTH) {
			ps_error_hint(err, "this server wants an API key");
		}
	}
	ps_error_where(err, "%s", g->t->url);
	return st;
}

/* The answer's memory is the client's; the metadata has to outlive it. */
static enum ps_status keep_metadata(struct ps_load_target *g, const struct ps_net_call *c,
				    struct ps_error *err)
{
	char *copy =
		ps_arena_strndup(&g->arena, c->answer_body ? c->answer_body : "", c->answer_bytes);
	enum ps_status st;

	if (!copy) {
		return ps_error_set(err, PS_ENOMEM, "no memory");
	}
	st = ps_oip_parse_model_metadata(copy, c->answer_bytes, &g->arena, &g->metadata, err);
	if (st == PS_OK && g->metadata.n_inputs == 0) {
		st = ps_error_set(err, PS_EINVAL, "model '%s' has no inputs", g->t->model);
	}
	if (st != PS_OK) {
		ps_error_where(err, "%s%s", g->host, g->metadata_path);
	}
	return st;
}

enum ps_status ps_load_target_fetch(struct ps_load_target *g, struct ps_evloop *loop,
				    struct ps_net_client *client, int64_t timeout_ns,
				    struct ps_error *err)
{
	struct ps_net_header auth = {"Authorization", g->authorization};
	struct fetch f = {.call = {.method = "GET",
				   .path = g->metadata_path,
				   .headers = &auth,
				   .n_headers = g->authorization != NULL,
				   .deadline_ns = ps_evloop_now_ns(loop) + timeout_ns,
				   .on_done = on_fetched}};
	enum ps_status st;

	f.call.ctx = &f;
	st = ps_net_client_send(client, &f.call, err);
	while (st == PS_OK && !f.done) {
		st = ps_evloop_run_once(loop, -1, err);
	}
	if (st != PS_OK) {
		ps_net_client_cancel(client);
		return st;
	}
	if (f.call.outcome != PS_NET_OK || f.call.http != 200) {
		return refuse(g, &f.call, err);
	}
	return keep_metadata(g, &f.call, err);
}

/* ---- requests ---- */

static void add_header(struct ps_load_request *q, const char *name, const char *value)
{
	q->headers[q->n_headers++] = (struct ps_net_header){name, value};
}

static enum ps_status make_request(struct ps_load_target *g, uint64_t seed, uint64_t number,
				   struct ps_load_request *q, struct ps_error *err)
{
	struct ps_oip_infer infer = {.binary_inputs = !g->t->json_tensors,
				     .binary_output = !g->t->json_tensors};
	enum ps_status st = ps_load_inputs_make(g->metadata.inputs, (size_t)g->metadata.n_inputs,
						g->t, seed, number, &q->inputs, err);

	if (st != PS_OK) {
		return st;
	}
	infer.inputs = q->inputs.tensors;
	infer.n_inputs = (int)q->inputs.len;
	st = ps_oip_build_request(&infer, &g->arena, &q->message, err);
	if (st != PS_OK) {
		ps_load_inputs_fini(&q->inputs);
		return st;
	}
	add_header(q, "Content-Type", q->message.content_type);
	if (q->message.json_bytes >= 0) {
		add_header(q, PS_OIP_JSON_BYTES_HEADER, q->message.json_bytes_text);
	}
	if (g->authorization) {
		add_header(q, "Authorization", g->authorization);
	}
	return PS_OK;
}

enum ps_status ps_load_target_make_requests(struct ps_load_target *g, uint64_t seed,
					    struct ps_error *err)
{
	size_t want = g->t->distinct_inputs > 0 ? (size_t)g->t->distinct_inputs : DEFAULT_DISTINCT;
	size_t bytes = 0;
	enum ps_status st = PS_OK;

	g->requests = calloc(want, sizeof(*g->requests));
	if (!g->requests) {
		return ps_error_set(err, PS_ENOMEM, "no memory for %zu inputs", want);
	}
	while (st == PS_OK && g->request_len < want && bytes <= MAX_DISTINCT_BYTES) {
		struct ps_load_request *q = &g->requests[g->request_len];

		st = make_request(g, seed, g->request_len, q, err);
		if (st == PS_OK) {
			g->request_len++;
			bytes += q->message.bytes;
		}
	}
	if (st != PS_OK) {
		ps_error_where(err, "%s", g->t->name);
	}
	return st;
}

/* ---- answers ---- */

static enum ps_load_outcome outcome_of_net(enum ps_net_outcome o)
{
	switch (o) {
	case PS_NET_TIMEOUT:
		return PS_LOAD_TIMEOUT;
	case PS_NET_RESET:
	case PS_NET_HALF:
		return PS_LOAD_RESET;
	case PS_NET_MALFORMED:
	case PS_NET_TOO_BIG:
		return PS_LOAD_GARBAGE;
	default: /* refused, no route, no descriptors, no memory: nothing could be exchanged */
		return PS_LOAD_CONNECT;
	}
}

static const struct ps_tensor *find_output(const struct ps_oip_reply *reply, const char *name)
{
	for (int i = 0; i < reply->n_outputs; i++) {
		if (strcmp(reply->outputs[i].name, name) == 0) {
			return &reply->outputs[i];
		}
	}
	return NULL;
}

static enum ps_load_outcome check_outputs(const struct ps_load_target *g,
					  const struct ps_oip_reply *reply, struct ps_error *err)
{
	for (int i = 0; i < g->metadata.n_outputs; i++) {
		const struct ps_tensor_spec *spec = &g->metadata.outputs[i];
		const struct ps_tensor *t = find_output(reply, spec->name);

		if (!t) {
			ps_error_set(err, PS_EINVAL, "the answer lacks output '%s'", spec->name);
			return PS_LOAD_WRONG;
		}
		if (ps_tensor_check(spec, t, err) != PS_OK) {
			return PS_LOAD_WRONG;
		}
	}
	return PS_LOAD_OK;
}

static size_t json_part(const struct ps_net_call *c)
{
	return c->answer_json_bytes >= 0 && (size_t)c->answer_json_bytes <= c->answer_bytes
		       ? (size_t)c->answer_json_bytes
		       : c->answer_bytes;
}

static void remember(struct ps_load_target *g, const struct ps_net_call *c)
{
	size_t n = json_part(c);
	void *copy = realloc(g->seen_json, n ? n : 1);

	if (!copy) {
		return; /* the next answer is then read in full as well */
	}
	memcpy(copy, c->answer_body, n);
	g->seen_json = copy;
	g->seen_json_bytes = n;
	g->seen_bytes = c->answer_bytes;
}

/* The parser may decode texts in place, and the client's memory is not ours to write. */
static enum ps_load_outcome read_in_full(struct ps_load_target *g, const struct ps_net_call *c,
					 struct ps_error *err)
{
	struct ps_arena arena;
	struct ps_oip_reply reply;
	enum ps_load_outcome out;
	void *copy;

	ps_arena_init(&arena, 0);
	copy = ps_arena_alloc_tensor(&arena, c->answer_bytes + 1);
	if (!copy) {
		ps_error_set(err, PS_ENOMEM, "no memory to read an answer");
		out = PS_LOAD_CONNECT;
	} else {
		memcpy(copy, c->answer_body, c->answer_bytes);
		out = ps_oip_parse_response(copy, c->answer_bytes, c->answer_json_bytes, &arena,
					    &reply, err) == PS_OK
			      ? check_outputs(g, &reply, err)
			      : PS_LOAD_GARBAGE;
	}
	ps_arena_fini(&arena);
	if (out == PS_LOAD_OK) {
		remember(g, c);
	}
	return out;
}

static enum ps_load_outcome check_repeat(struct ps_load_request *q, const struct ps_net_call *c,
					 struct ps_error *err)
{
	if (c->answer_bytes > MAX_KEPT_ANSWER) {
		return PS_LOAD_OK;
	}
	if (!q->answer) {
		q->answer = malloc(c->answer_bytes + 1);
		if (q->answer) {
			memcpy(q->answer, c->answer_body, c->answer_bytes);
			q->answer_bytes = c->answer_bytes;
		}
		return PS_LOAD_OK;
	}
	if (q->answer_bytes == c->answer_bytes &&
	    memcmp(q->answer, c->answer_body, c->answer_bytes) == 0) {
		return PS_LOAD_OK;
	}
	ps_error_set(err, PS_EINVAL, "the same input gave another answer than before");
	return PS_LOAD_WRONG;
}

static enum ps_load_outcome check_answer(struct ps_load_target *g, size_t index,
					 const struct ps_net_call *c, struct ps_error *err)
{
	enum ps_load_outcome out = PS_LOAD_OK;

	if (c->answer_bytes == 0) {
		ps_error_set(err, PS_EPARSE, "HTTP 200 with an empty body");
		return PS_LOAD_GARBAGE;
	}
	if (!g->seen_json || g->seen_bytes != c->answer_bytes ||
	    g->seen_json_bytes != json_part(c) ||
	    memcmp(g->seen_json, c->answer_body, g->seen_json_bytes) != 0) {
		out = read_in_full(g, c, err);
	}
	if (out == PS_LOAD_OK && g->t->check_repeats) {
		out = check_repeat(&g->requests[index], c, err);
	}
	return out;
}

enum ps_load_outcome ps_load_target_judge(struct ps_load_target *g, size_t index,
					  const struct ps_net_call *c, struct ps_error *err)
{
	char text[256];

	if (c->outcome != PS_NET_OK) {
		ps_error_set(err, ps_net_outcome_status(c->outcome), "%s%s%s",
			     ps_net_outcome_name(c->outcome), c->system_errno ? ": " : "",
			     c->system_errno ? strerror(c->system_errno) : "");
		return outcome_of_net(c->outcome);
	}
	if (c->http == 200) {
		return check_answer(g, index, c, err);
	}
	ps_error_set(err, status_of_http(c->http), "HTTP %d: %s", c->http,
		     ps_oip_parse_error(c->answer_body, c->answer_bytes, text, sizeof(text)));
	return c->http == 429 || c->http == 503 ? PS_LOAD_REFUSED : PS_LOAD_REJECTED;
}
