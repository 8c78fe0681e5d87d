/* targets.c - a tenant's target, made before the run and looked at again after it. */
#include "load/target_internal.h"

#include "base/clock.h"
#include "base/rng.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_PATIENCE_NS (100 * PS_NS_PER_MS) /* with one of many questions after a run */

const char *ps_load_protocol_name(enum ps_load_protocol p)
{
	static const char *const names[] = {"http", "http2", "grpc", "grpc-stream"};

	return (unsigned)p < sizeof(names) / sizeof(names[0]) ? names[p] : "unknown";
}

static const struct ps_load_transport *transport_of(const struct ps_load_target *g)
{
	static const struct ps_load_transport *const remote[] = {
		[PS_LOAD_HTTP1] = &ps_load_transport_http,
		[PS_LOAD_HTTP2] = &ps_load_transport_http,
		[PS_LOAD_GRPC] = &ps_load_transport_grpc,
		[PS_LOAD_GRPC_STREAM] = &ps_load_transport_stream,
	};

	return g->t->target.in_process ? &ps_load_transport_in_process : remote[g->protocol];
}

/* ---- what is asked ---- */

static enum ps_status check_spec(const struct ps_load_tenant *t, struct ps_error *err)
{
	const struct ps_load_target_spec *s = &t->target;

	if (s->in_process && (s->mix_len || s->more_url_len || t->json_tensors)) {
		return ps_error_set(err, PS_EINVAL,
				    "a model in this process has no replicas, mix or JSON");
	}
	if (s->in_process && t->concurrency > PS_LOAD_MAX_WORKERS) {
		return ps_error_set(err, PS_EINVAL, "at most %d users of a model in this process",
				    PS_LOAD_MAX_WORKERS);
	}
	if (s->more_url_len >= PS_LOAD_MAX_REPLICAS) {
		return ps_error_set(err, PS_EINVAL, "at most %d replicas", PS_LOAD_MAX_REPLICAS);
	}
	if (s->streams < 0 || s->streams > PS_LOAD_MAX_STREAMS) {
		return ps_error_set(err, PS_EINVAL, "1 to %d streams", PS_LOAD_MAX_STREAMS);
	}
	if (!(s->tolerance >= 0) || !(s->check_share >= 0 && s->check_share <= 1)) {
		return ps_error_set(err, PS_EINVAL,
				    "a tolerance is at least 0, a share of checks 0 to 1");
	}
	return PS_OK;
}

static enum ps_status set_item(struct ps_load_item *it, const char *model, const char *version,
			       int batch, struct ps_error *err)
{
	it->model = model;
	it->version = version && version[0] ? version : NULL;
	it->batch = batch;
	it->where.route = PS_OIP_INFER;
	if (strlen(model) >= sizeof(it->where.model) ||
	    (it->version && strlen(it->version) >= sizeof(it->where.version))) {
		return ps_error_set(err, PS_EINVAL, "the name or version of the model is too long");
	}
	strcpy(it->where.model, model);
	strcpy(it->where.version, it->version ? it->version : "");
	return PS_OK;
}

static uint64_t seed_of(const struct ps_load_tenant *t, const char *purpose, uint64_t plan_seed)
{
	char stream[128];

	snprintf(stream, sizeof(stream), "%s/%s", t->name, purpose);
	return plan_seed ^ ps_rng_stream(stream);
}

static enum ps_status set_items(struct ps_load_target *g, uint64_t plan_seed, struct ps_error *err)
{
	const struct ps_load_tenant *t = g->t;
	const struct ps_load_mix_item one = {t->model, t->version, t->batch, 1};
	const struct ps_load_mix_item *mix = t->target.mix_len ? t->target.mix : &one;
	size_t len = t->target.mix_len ? t->target.mix_len : 1;
	enum ps_status st = ps_load_mix_init(&g->mix, mix, len, seed_of(t, "mix", plan_seed), err);

	for (size_t i = 0; st == PS_OK && i < len; i++) {
		const char *model = t->target.in_process ? t->target.in_process : mix[i].model;

		st = set_item(&g->items[i], model ? model : "", mix[i].version,
			      mix[i].batch ? mix[i].batch : t->batch, err);
		g->weights[i] = g->mix.upto[i] - (i ? g->mix.upto[i - 1] : 0);
		g->item_len = i + 1;
	}
	return st;
}

/* "grpc://" asks for gRPC as --protocol does. */
static enum ps_status set_protocol(struct ps_load_target *g, struct ps_error *err)
{
	bool grpc = g->t->target.protocol >= PS_LOAD_GRPC;

	g->protocol = g->t->target.protocol;
	if (g->replicas[0].url.grpc && !grpc) {
		g->protocol = PS_LOAD_GRPC;
		grpc = true;
	}
	for (size_t i = 0; i < g->replica_len; i++) {
		if (g->replicas[i].url.grpc && !g->replicas[0].url.grpc && !grpc) {
			return ps_error_set(err, PS_EINVAL,
					    "all replicas of a tenant speak one protocol");
		}
	}
	if (grpc && g->t->json_tensors) {
		return ps_error_set(err, PS_EINVAL, "gRPC has no JSON tensors");
	}
	return PS_OK;
}

static enum ps_status set_replicas(struct ps_load_target *g, struct ps_error *err)
{
	const struct ps_load_tenant *t = g->t;
	enum ps_status st = PS_OK;

	if (t->target.in_process) {
		g->replicas[0].text = "this process";
		g->replica_len = 1;
		return PS_OK;
	}
	for (size_t i = 0; st == PS_OK && i <= t->target.more_url_len; i++) {
		st = ps_load_replica_resolve(i ? t->target.more_urls[i - 1] : t->url,
					     &g->replicas[i], err);
		g->replica_len = i + 1;
	}
	return st == PS_OK ? set_protocol(g, err) : st;
}

/* ---- metadata ---- */

static bool same_specs(const struct ps_tensor_spec *a, int n, const struct ps_tensor_spec *b, int m)
{
	bool same = n == m;

	for (int i = 0; same && i < n; i++) {
		same = strcmp(a[i].name, b[i].name) == 0 && a[i].dtype == b[i].dtype &&
		       a[i].rank == b[i].rank &&
		       memcmp(a[i].dims, b[i].dims, (size_t)a[i].rank * sizeof(a[i].dims[0])) == 0;
	}
	return same;
}

static bool same_versions(const struct ps_oip_model_metadata *a,
			  const struct ps_oip_model_metadata *b)
{
	bool same = a->n_versions == b->n_versions;

	for (int i = 0; same && i < a->n_versions; i++) {
		same = strcmp(a->versions[i], b->versions[i]) == 0;
	}
	return same;
}

static unsigned difference(const struct ps_oip_model_metadata *a,
			   const struct ps_oip_model_metadata *b)
{
	unsigned d = 0;

	d |= same_versions(a, b) ? 0 : PS_LOAD_CHANGE_VERSIONS;
	d |= same_specs(a->inputs, a->n_inputs, b->inputs, b->n_inputs) ? 0 : PS_LOAD_CHANGE_INPUTS;
	d |= same_specs(a->outputs, a->n_outputs, b->outputs, b->n_outputs)
		     ? 0
		     : PS_LOAD_CHANGE_OUTPUTS;
	d |= strcmp(a->platform, b->platform) == 0 ? 0 : PS_LOAD_CHANGE_PLATFORM;
	return d;
}

/* Replicas may list other versions; what they take and give must be the same. */
static enum ps_status check_replica(struct ps_load_target *g, const struct ps_load_item *it,
				    size_t replica, int64_t timeout_ns, struct ps_error *err)
{
	struct ps_oip_model_metadata other;
	struct ps_arena arena;
	enum ps_status st;

	ps_arena_init(&arena, 0);
	st = g->transport->fetch(g, it, replica, timeout_ns, &arena, &other, err);
	if (st == PS_OK && (difference(&it->metadata, &other) &
			    (PS_LOAD_CHANGE_INPUTS | PS_LOAD_CHANGE_OUTPUTS))) {
		st = ps_error_set(err, PS_EINVAL,
				  "model '%s' has other inputs or outputs here than at %s",
				  it->model, g->replicas[0].text);
		ps_error_where(err, "%s", g->replicas[replica].text);
	}
	ps_arena_fini(&arena);
	return st;
}

static enum ps_status fetch_all(struct ps_load_target *g, int64_t timeout_ns, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (size_t i = 0; st == PS_OK && i < g->item_len; i++) {
		struct ps_load_item *it = &g->items[i];

		st = g->transport->fetch(g, it, 0, timeout_ns, &g->arena, &it->metadata, err);
		if (st == PS_OK && it->metadata.n_inputs == 0) {
			st = ps_error_set(err, PS_EINVAL, "model '%s' has no inputs", it->model);
		}
		for (size_t r = 1; st == PS_OK && r < g->replica_len; r++) {
			st = check_replica(g, it, r, timeout_ns, err);
		}
	}
	return st;
}

static void say_change(unsigned d, const char *model, const char *where, char *text, size_t size)
{
	static const char *const names[] = {"versions", "inputs", "outputs", "platform"};
	size_t at = strlen(text);

	at += (size_t)snprintf(text + at, size - at, "%s'%s' at %s has", at ? "; " : "", model,
			       where);
	if (at < size && (d & PS_LOAD_CHANGE_GONE)) {
		snprintf(text + at, size - at, " no metadata any more");
		return;
	}
	if (at < size && (d & PS_LOAD_CHANGE_UNREADABLE)) {
		snprintf(text + at, size - at, " unreadable metadata now");
		return;
	}
	for (int i = 0; i < 4 && at < size; i++) {
		if (d & 1u << i) {
			at += (size_t)snprintf(text + at, size - at, " other %s", names[i]);
		}
	}
}

/* An answer that is no metadata is one that has changed: there was some at the start. A server that
 * does not answer, is too busy or takes the key no more says nothing. */
static unsigned look_again(struct ps_load_target *g, size_t item, size_t replica,
			   int64_t timeout_ns, enum ps_status *ret_status)
{
	struct ps_oip_model_metadata now;
	struct ps_arena arena;
	unsigned d = 0;
	enum ps_status st;

	ps_arena_init(&arena, 0);
	st = g->transport->fetch(g, &g->items[item], replica, timeout_ns, &arena, &now, NULL);
	if (st == PS_OK) {
		d = difference(&g->items[item].metadata, &now);
		d &= replica ? ~(unsigned)PS_LOAD_CHANGE_VERSIONS : ~0u;
	} else if (st == PS_ENOTFOUND) {
		d = PS_LOAD_CHANGE_GONE;
	} else if (st == PS_EPARSE || st == PS_EINVAL) {
		d = PS_LOAD_CHANGE_UNREADABLE;
	}
	ps_arena_fini(&arena);
	*ret_status = st;
	return d;
}

/* How long the next question may take; 0: there is no time left. */
static int64_t part_of(struct ps_load_patience *p)
{
	int64_t left = p->until_ns - ps_clock_now_ns();
	int64_t part = left / (int64_t)(p->questions > 0 ? p->questions-- : 1);

	part = part > LEAST_PATIENCE_NS ? part : LEAST_PATIENCE_NS;
	part = part < left ? part : left;
	part = part < p->timeout_ns ? part : p->timeout_ns;
	return part > 0 ? part : 0;
}

size_t ps_load_target_questions(const struct ps_load_target *g)
{
	return g->item_len * g->replica_len;
}

unsigned ps_load_target_recheck(struct ps_load_target *g, struct ps_load_patience *p, char *text,
				size_t size, unsigned *ret_unseen)
{
	unsigned all = 0;

	text[0] = '\0';
	*ret_unseen = 0;
	for (size_t i = 0; i < ps_load_target_questions(g); i++) {
		size_t item = i / g->replica_len, replica = i % g->replica_len;
		int64_t part = part_of(p);
		enum ps_status st = PS_ETIMEOUT;
		unsigned d = part > 0 ? look_again(g, item, replica, part, &st) : 0;

		if (d) {
			say_change(d, g->items[item].model, g->replicas[replica].text, text, size);
		}
		*ret_unseen += st != PS_OK && d == 0;
		all |= d;
	}
	return all;
}

/* ---- making one ---- */

int ps_load_open_workers(void)
{
	cpu_set_t cpus;
	int n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;

	return n < PS_LOAD_MAX_WORKERS ? n : PS_LOAD_MAX_WORKERS;
}

/* Asked before the senders start, for each of them is pinned to one CPU. */
static uint32_t max_slots(const struct ps_load_tenant *t)
{
	if (!t->target.in_process) {
		return UINT32_MAX;
	}
	if (t->target.streams > 0) {
		return t->target.streams < PS_LOAD_MAX_WORKERS ? (uint32_t)t->target.streams
							       : PS_LOAD_MAX_WORKERS;
	}
	return t->concurrency > 0 ? PS_LOAD_MAX_WORKERS : (uint32_t)ps_load_open_workers();
}

static enum ps_status fill(struct ps_load_target *g, uint64_t plan_seed, int64_t timeout_ns,
			   struct ps_error *err)
{
	const struct ps_load_tenant *t = g->t;
	enum ps_status st = check_spec(t, err);

	g->max_slots = max_slots(t);
	if (st == PS_OK) {
		st = set_items(g, plan_seed, err);
	}
	if (st == PS_OK) {
		st = set_replicas(g, err);
	}
	if (st == PS_OK && t->api_key && asprintf(&g->authorization, "Bearer %s", t->api_key) < 0) {
		g->authorization = NULL;
		st = ps_error_set(err, PS_ENOMEM, "no memory");
	}
	if (st == PS_OK) {
		g->transport = transport_of(g);
		st = g->transport->init(g, err);
	}
	if (st == PS_OK) {
		st = fetch_all(g, timeout_ns, err);
	}
	if (st == PS_OK) {
		g->max_answer_bytes = ps_load_requests_max_answer(g);
		st = ps_load_requests_make(
			g, t->input_seed ? t->input_seed : seed_of(t, "inputs", plan_seed), err);
	}
	return st;
}

enum ps_status ps_load_target_new(const struct ps_load_tenant *t, uint64_t plan_seed,
				  int64_t timeout_ns, struct ps_load_target **ret_target,
				  struct ps_error *err)
{
	struct ps_load_target *g = calloc(1, sizeof(*g));
	struct ps_error why = {0};
	enum ps_status st;

	if (!g) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a target");
	}
	g->t = t;
	ps_arena_init(&g->arena, 0);
	st = fill(g, plan_seed, timeout_ns, &why);
	if (st != PS_OK) {
		if (!why.where[0]) {
			ps_error_where(&why, "%s", ps_load_tenant_place(t));
		}
		if (err) {
			*err = why;
		}
		ps_load_target_free(g);
		return st;
	}
	*ret_target = g;
	return PS_OK;
}

void ps_load_target_free(struct ps_load_target *g)
{
	if (!g) {
		return;
	}
	ps_load_requests_free(g);
	for (size_t i = 0; i < g->item_len; i++) {
		free(atomic_load(&g->items[i].answered_version));
	}
	if (g->transport) {
		g->transport->fini(g);
	}
	if (g->authorization) {
		explicit_bzero(g->authorization, strlen(g->authorization));
		free(g->authorization);
	}
	ps_arena_fini(&g->arena);
	free(g);
}

/* ---- what it says of itself ---- */

uint32_t ps_load_target_streams(const struct ps_load_target *g)
{
	const struct ps_load_target_spec *s = &g->t->target;

	if (s->in_process || g->protocol == PS_LOAD_HTTP1) {
		return 1;
	}
	return s->streams ? (uint32_t)s->streams : PS_LOAD_DEF_STREAMS;
}

uint32_t ps_load_target_max_slots(const struct ps_load_target *g)
{
	return g->max_slots;
}

static double mean(const struct ps_load_target *g, bool bytes)
{
	double sum = 0;

	for (size_t i = 0; i < g->item_len; i++) {
		const struct ps_load_item *it = &g->items[i];
		double all = 0;

		for (size_t k = 0; k < it->len; k++) {
			const struct ps_load_request *q = &g->requests[it->first + k];

			all += bytes ? (double)q->message.bytes : q->batch;
		}
		sum += g->weights[i] * all / (double)it->len;
	}
	return sum;
}

double ps_load_target_mean_batch(const struct ps_load_target *g)
{
	return mean(g, false);
}

double ps_load_target_mean_bytes(const struct ps_load_target *g)
{
	return mean(g, true);
}
