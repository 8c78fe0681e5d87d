/* answer.c - was that a good answer?
 *
 * Reading an answer in full costs more than sending the request did, and the generator's time is
 * what keeps the schedule. Most answers are like an earlier one, so two memories come first: the
 * answer to the same request that was kept as a reference (equal to the byte: as good as that one),
 * and, for answers that nobody asked to compare, the part of an earlier one that is not tensor data
 * (the same to the byte, around data of the same size: it declares the same outputs).
 */
#include "load/expect.h"
#include "load/target_internal.h"
#include "oip/grpc.h"

#include <stdlib.h>
#include <string.h>

enum {
	MAX_HOLES = 8,
	MAX_SEEN = 1 << 20,	     /* bytes of one answer's frame that are remembered */
	MAX_KEPT = 64 << 20,	     /* of one reference ... */
	MAX_KEPT_TOTAL = 1024 << 20, /* ... and of all of a target */
};

/* ---- the frame of an answer: all but its binary tensors ---- */

struct ps_load_seen {
	size_t n;	    /* of the whole answer */
	int64_t json_bytes; /* as in struct ps_load_body: how the same bytes are to be read */
	struct {
		size_t at, n;
	} holes[MAX_HOLES];
	int n_holes;
	bool other_version;
	uint32_t request;
	unsigned char frame[];
};

static int find_holes(const struct ps_load_body *b, struct iovec holes[MAX_HOLES])
{
	if (b->grpc) {
		return ps_oip_grpc_find_raw(b->bytes, b->n, holes, MAX_HOLES);
	}
	if (b->json_bytes < 0 || (size_t)b->json_bytes >= b->n) {
		return 0;
	}
	holes[0].iov_base = (char *)b->bytes + b->json_bytes;
	holes[0].iov_len = b->n - (size_t)b->json_bytes;
	return 1;
}

static struct ps_load_seen **place(const struct ps_load_islot *s)
{
	return &s->pub.port->seen[s->request->index % PS_LOAD_SEEN];
}

static void remember(const struct ps_load_islot *s, const struct ps_load_body *b,
		     bool other_version)
{
	struct iovec holes[MAX_HOLES];
	int n_holes = find_holes(b, holes);
	struct ps_load_seen *seen = NULL;
	const char *from = b->bytes;
	size_t at = 0, frame = b->n;

	for (int i = 0; i < n_holes; i++) {
		frame -= holes[i].iov_len;
	}
	if (n_holes >= 0 && frame <= MAX_SEEN) {
		seen = malloc(sizeof(*seen) + frame + 1);
	}
	if (!seen) {
		return; /* the next one is then read in full as well */
	}
	*seen = (struct ps_load_seen){.n = b->n,
				      .json_bytes = b->json_bytes,
				      .n_holes = n_holes,
				      .other_version = other_version,
				      .request = s->request->index};
	for (int i = 0; i < n_holes; i++) {
		size_t n = (size_t)((const char *)holes[i].iov_base - from);

		memcpy(seen->frame + at, from, n);
		at += n;
		from += n + holes[i].iov_len;
		seen->holes[i].at = at;
		seen->holes[i].n = holes[i].iov_len;
	}
	memcpy(seen->frame + at, from, frame - at);
	free(*place(s));
	*place(s) = seen;
}

static bool looks_like(const struct ps_load_seen *seen, const struct ps_load_islot *s,
		       const struct ps_load_body *b)
{
	const char *from = b->bytes;
	size_t at = 0, frame;

	if (!seen || seen->n != b->n || seen->json_bytes != b->json_bytes ||
	    seen->request != s->request->index) {
		return false;
	}
	frame = seen->n;
	for (int i = 0; i < seen->n_holes; i++) {
		size_t n = seen->holes[i].at - at;

		if (memcmp(seen->frame + at, from, n) != 0) {
			return false;
		}
		at += n;
		from += n + seen->holes[i].n;
		frame -= seen->holes[i].n;
	}
	return memcmp(seen->frame + at, from, frame - at) == 0;
}

void ps_load_seen_free(struct ps_load_seen *seen)
{
	free(seen);
}

/* ---- references ---- */

void ps_load_kept_free(struct ps_load_kept *k)
{
	if (k) {
		ps_arena_fini(&k->arena);
		free(k->bytes);
		free(k);
	}
}

/* Several threads may get the first answer at once: one of them is kept. */
static void publish(struct ps_load_islot *s, struct ps_load_kept *k)
{
	struct ps_load_request *q = (struct ps_load_request *)s->request;
	struct ps_load_kept *none = NULL;

	if (!atomic_compare_exchange_strong(&q->kept, &none, k)) {
		ps_load_kept_free(k);
	}
}

static bool may_keep(struct ps_load_islot *s, size_t n)
{
	struct ps_load_target *g = s->pub.port->target;

	return n <= MAX_KEPT && atomic_fetch_add(&g->kept_bytes, n) + n <= MAX_KEPT_TOTAL;
}

static bool wants_check(const struct ps_load_islot *s)
{
	const struct ps_load_target *g = s->pub.port->target;

	return (g->t->check_repeats || s->request->expected) &&
	       ps_load_mix_sampled(&g->mix, s->sequence, g->t->target.check_share);
}

/* ---- what an answer declares ---- */

static const struct ps_tensor *find_output(const struct ps_tensor *outputs, int n, const char *name)
{
	for (int i = 0; i < n; i++) {
		if (strcmp(outputs[i].name, name) == 0) {
			return &outputs[i];
		}
	}
	return NULL;
}

static enum ps_load_outcome check_declared(struct ps_load_islot *s, const struct ps_tensor *outputs,
					   int n)
{
	const struct ps_oip_model_metadata *m = &s->request->item->metadata;
	struct ps_load_port *p = s->pub.port;

	for (int i = 0; i < m->n_outputs; i++) {
		const struct ps_tensor_spec *spec = &m->outputs[i];
		const struct ps_tensor *t = find_output(outputs, n, spec->name);

		if (!t) {
			ps_error_set(&p->err, PS_EINVAL, "the answer lacks output '%s'",
				     spec->name);
		}
		if (!t || ps_tensor_check_output(spec, t, &p->err) != PS_OK) {
			p->notes.output_changes++;
			return PS_LOAD_WRONG;
		}
	}
	return PS_LOAD_OK;
}

static bool is_other_version(struct ps_load_item *it, const char *version)
{
	char *first = atomic_load(&it->answered_version), *mine;

	if (!version || !version[0]) {
		return false;
	}
	if (!first) {
		mine = strdup(version);
		if (mine && atomic_compare_exchange_strong(&it->answered_version, &first, mine)) {
			return false;
		}
		free(mine); /* another thread was first: `first` is its text now, or no memory */
	}
	return first && strcmp(first, version) != 0;
}

/* ---- and what it says ---- */

static enum ps_load_outcome compare_expected(struct ps_load_islot *s,
					     const struct ps_tensor *outputs, int n)
{
	const struct ps_load_request *q = s->request;
	const struct ps_load_target *g = s->pub.port->target;

	for (int i = 0; q->expected && i < q->item->metadata.n_outputs; i++) {
		const struct ps_tensor *want = &q->expected[i];

		if (want->data &&
		    ps_load_expect(want, find_output(outputs, n, want->name),
				   g->t->target.tolerance, &s->pub.port->err) != PS_OK) {
			return PS_LOAD_WRONG;
		}
	}
	return PS_LOAD_OK;
}

static enum ps_load_outcome compare_repeat(struct ps_load_islot *s, const struct ps_load_kept *k,
					   const struct ps_tensor *outputs, int n)
{
	struct ps_load_port *p = s->pub.port;

	for (int i = 0; i < k->n_outputs; i++) {
		const struct ps_tensor *t = find_output(outputs, n, k->outputs[i].name);

		if (!t || ps_load_expect(&k->outputs[i], t, p->target->t->target.tolerance,
					 &p->err) != PS_OK) {
			char what[sizeof(p->err.what)];

			strcpy(what, t ? p->err.what : "an output is missing");
			ps_error_set(&p->err, PS_EINVAL,
				     "the same input gave another answer than before: %.200s",
				     what);
			return PS_LOAD_WRONG;
		}
	}
	return PS_LOAD_OK;
}

static enum ps_load_outcome compare(struct ps_load_islot *s, const struct ps_tensor *outputs, int n)
{
	const struct ps_load_kept *k = atomic_load(&s->request->kept);
	enum ps_load_outcome out = compare_expected(s, outputs, n);

	if (out == PS_LOAD_OK && k && s->pub.port->target->t->check_repeats) {
		out = compare_repeat(s, k, outputs, n);
	}
	s->pub.port->notes.checked += s->request->expected || k;
	return out;
}

/* ---- answers over a network ---- */

static enum ps_status parse(const struct ps_load_body *b, struct ps_arena *arena,
			    struct ps_oip_reply *ret_reply, struct ps_error *err)
{
	/* The parsers may decode in place, and the client's memory is not ours to write. */
	char *copy = ps_arena_alloc_tensor(arena, b->n + 1);

	if (!copy) {
		return ps_error_set(err, PS_ENOMEM, "no memory to read an answer");
	}
	memcpy(copy, b->bytes, b->n);
	return b->grpc ? ps_oip_grpc_parse_response(copy, b->n, arena, ret_reply, err)
		       : ps_oip_parse_response(copy, b->n, b->json_bytes, arena, ret_reply, err);
}

static void keep_body(struct ps_load_islot *s, const struct ps_load_body *b, struct ps_arena *arena,
		      const struct ps_oip_reply *reply, bool other_version)
{
	struct ps_load_kept *k = may_keep(s, 2 * b->n) ? calloc(1, sizeof(*k)) : NULL;
	void *bytes = k ? malloc(b->n + 1) : NULL;

	if (!bytes) {
		free(k);
		s->pub.port->notes.unchecked++;
		return;
	}
	memcpy(bytes, b->bytes, b->n);
	*k = (struct ps_load_kept){.arena = *arena,
				   .outputs = reply->outputs,
				   .n_outputs = reply->n_outputs,
				   .bytes = bytes,
				   .n = b->n,
				   .json_bytes = b->json_bytes,
				   .other_version = other_version};
	ps_arena_init(arena, 0); /* it is the reference's now */
	publish(s, k);
}

static enum ps_load_outcome read_reply(struct ps_load_islot *s, const struct ps_load_body *b,
				       struct ps_arena *arena, bool check)
{
	struct ps_load_port *p = s->pub.port;
	struct ps_oip_reply reply = {0};
	enum ps_status st = parse(b, arena, &reply, &p->err);
	enum ps_load_outcome out;
	bool other;

	if (st != PS_OK) {
		return st == PS_ENOMEM ? PS_LOAD_CONNECT : PS_LOAD_GARBAGE;
	}
	other = is_other_version(s->request->item, reply.model_version);
	p->notes.version_changes += other;
	out = check_declared(s, reply.outputs, reply.n_outputs);
	if (out == PS_LOAD_OK) {
		remember(s, b, other);
	}
	if (out == PS_LOAD_OK && check) {
		out = compare(s, reply.outputs, reply.n_outputs);
		if (out == PS_LOAD_OK && !atomic_load(&s->request->kept)) {
			keep_body(s, b, arena, &reply, other);
		}
	}
	return out;
}

enum ps_load_outcome ps_load_answer_judge(struct ps_load_islot *s, const struct ps_load_body *b)
{
	struct ps_load_port *p = s->pub.port;
	bool check = wants_check(s);
	const struct ps_load_kept *k = check ? atomic_load(&s->request->kept) : NULL;
	const struct ps_load_seen *seen = *place(s);
	struct ps_arena arena;
	enum ps_load_outcome out;

	if (b->n == 0) {
		ps_error_set(&p->err, PS_EPARSE, "an answer without a body");
		return PS_LOAD_GARBAGE;
	}
	if (k && k->n == b->n && k->json_bytes == b->json_bytes &&
	    memcmp(k->bytes, b->bytes, b->n) == 0) {
		p->notes.checked++;
		p->notes.version_changes += k->other_version;
		return PS_LOAD_OK;
	}
	if (!check && looks_like(seen, s, b)) {
		p->notes.version_changes += seen->other_version;
		return PS_LOAD_OK;
	}
	ps_arena_init(&arena, 0);
	out = read_reply(s, b, &arena, check);
	ps_arena_fini(&arena);
	return out;
}

/* ---- answers that are tensors already ---- */

static void keep_tensors(struct ps_load_islot *s, const struct ps_tensor *outputs, int n)
{
	size_t bytes = 0;
	struct ps_load_kept *k;

	for (int i = 0; i < n; i++) {
		bytes += outputs[i].bytes;
	}
	k = may_keep(s, bytes) ? calloc(1, sizeof(*k)) : NULL;
	if (!k) {
		s->pub.port->notes.unchecked++;
		return;
	}
	ps_arena_init(&k->arena, 0);
	k->outputs = ps_arena_alloc(&k->arena, ((size_t)n + 1) * sizeof(*k->outputs));
	for (int i = 0; k->outputs && i < n; i++) {
		const struct ps_tensor_spec *spec = &s->request->item->metadata.outputs[i];
		struct ps_tensor *t = &k->outputs[k->n_outputs];

		*t = outputs[i];
		t->name = spec->name; /* the engine's text may go with its run */
		t->data = ps_arena_alloc_tensor(&k->arena, t->bytes + 1);
		if (t->data) {
			memcpy(t->data, outputs[i].data, t->bytes);
			k->n_outputs++;
		}
	}
	publish(s, k);
}

enum ps_load_outcome ps_load_answer_judge_tensors(struct ps_load_islot *s,
						  const struct ps_tensor *outputs, int n)
{
	enum ps_load_outcome out = check_declared(s, outputs, n);

	if (out == PS_LOAD_OK && wants_check(s)) {
		out = compare(s, outputs, n);
		if (out == PS_LOAD_OK && !atomic_load(&s->request->kept)) {
			keep_tensors(s, outputs, n);
		}
	}
	return out;
}
