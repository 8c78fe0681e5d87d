/* port.c - slots: who is free, whose turn it is, and what a slot lies on.
 *
 * max_slots bounds the slots that are out, not those that were made: with several replicas each may
 * have as many, else the turn of one whose slots are all elsewhere could not be kept.
 */
#include "load/target_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LOOKS = 64 }; /* at slots whose connection can take nothing now */

/* ---- lines and slots ---- */

static struct ps_load_line *new_line(struct ps_load_port *p, uint16_t replica, struct ps_error *err)
{
	struct ps_load_line *line = calloc(1, sizeof(*line));

	if (!line) {
		ps_error_set(err, PS_ENOMEM, "no memory for a connection");
		return NULL;
	}
	line->port = p;
	line->replica = replica;
	line->number = p->o.first_number + p->lines_len;
	if (p->target->transport->open(line, err) != PS_OK) {
		free(line);
		return NULL;
	}
	p->lines_len++;
	line->next = p->lines;
	p->lines = line;
	return line;
}

static struct ps_load_line *line_with_room(struct ps_load_port *p, uint16_t replica,
					   struct ps_error *err)
{
	const struct ps_load_transport *tr = p->target->transport;
	struct ps_load_way *w = &p->ways[replica];

	if (!w->line || w->line->slots == ps_load_target_streams(p->target) ||
	    (tr->ready(w->line) && !tr->room(w->line))) {
		struct ps_load_line *line = new_line(p, replica, err);

		if (!line) {
			return NULL;
		}
		w->line = line;
	}
	return w->line;
}

static struct ps_load_islot *new_slot(struct ps_load_port *p, uint16_t replica,
				      struct ps_error *err)
{
	const struct ps_load_transport *tr = p->target->transport;
	struct ps_load_line *line = line_with_room(p, replica, err);
	/* Two pieces, so that the sender's has any alignment it likes. */
	struct ps_load_islot *s = line ? calloc(1, tr->slot_bytes) : NULL;
	void *ctx = s ? calloc(1, p->o.slot_bytes ? p->o.slot_bytes : 1) : NULL;

	if (!ctx) {
		free(s);
		if (line) {
			ps_error_set(err, PS_ENOMEM, "no memory for a slot");
		}
		return NULL;
	}
	s->pub = (struct ps_load_slot){.port = p,
				       .ctx = ctx,
				       .number = p->o.first_number + p->slots,
				       .connection = line->number,
				       .replica = replica};
	s->line = line;
	if (tr->attach && tr->attach(s, err) != PS_OK) {
		free(ctx);
		free(s);
		return NULL;
	}
	line->slots++;
	p->slots++;
	p->ways[replica].slots++;
	s->next_all = p->all;
	p->all = s;
	return s;
}

static void push_free(struct ps_load_port *p, struct ps_load_islot *s)
{
	struct ps_load_way *w = &p->ways[s->pub.replica];

	s->next_free = w->free;
	w->free = s;
}

/* A connection that goes away, or whose server allows fewer streams than were thought of, has slots
 * that cannot be used now: they are passed over and stay. */
static struct ps_load_islot *pop_free(struct ps_load_port *p, uint16_t replica)
{
	const struct ps_load_transport *tr = p->target->transport;
	struct ps_load_way *w = &p->ways[replica];
	struct ps_load_islot *s = w->free, **at = &w->free;

	for (int i = 0; s && i < MAX_LOOKS && !tr->room(s->line); i++) {
		at = &s->next_free;
		s = s->next_free;
	}
	if (s && tr->room(s->line)) {
		*at = s->next_free;
		return s;
	}
	return NULL;
}

static struct ps_load_islot *slot_of(struct ps_load_port *p, uint16_t replica)
{
	struct ps_load_islot *s = pop_free(p, replica);

	if (!s && p->ways[replica].slots < p->o.max_slots) {
		s = new_slot(p, replica, &p->err);
	}
	return s;
}

/* ---- what the sender does ---- */

enum ps_status ps_load_port_open(struct ps_load_target *g, const struct ps_load_port_options *o,
				 struct ps_load_port **ret_port, struct ps_error *err)
{
	struct ps_load_port *p = calloc(1, sizeof(*p));

	if (!p) {
		return ps_error_set(err, PS_ENOMEM, "no memory for connections");
	}
	p->target = g;
	p->o = *o;
	if (p->o.max_slots == 0) {
		p->o.max_slots = 1;
	}
	ps_load_balancer_init(&p->balancer, g->t->target.balance, (uint32_t)g->replica_len,
			      o->first_number);
	*ret_port = p;
	return PS_OK;
}

void *ps_load_port_ctx(const struct ps_load_port *p)
{
	return p->o.ctx;
}

enum ps_status ps_load_port_ahead(struct ps_load_port *p, uint32_t n, struct ps_error *err)
{
	while (p->slots < n && p->slots < p->o.max_slots * p->target->replica_len) {
		uint16_t replica = (uint16_t)(p->slots % p->target->replica_len);
		struct ps_load_islot *s = new_slot(p, replica, err);

		if (!s) {
			return err ? err->status : PS_ENOMEM;
		}
		push_free(p, s);
	}
	return PS_OK;
}

bool ps_load_port_ready(const struct ps_load_port *p)
{
	for (const struct ps_load_line *l = p->lines; l; l = l->next) {
		if (!p->target->transport->ready(l)) {
			return false;
		}
	}
	return true;
}

struct ps_load_slot *ps_load_port_take(struct ps_load_port *p)
{
	uint32_t n = (uint32_t)p->target->replica_len;
	uint32_t first;

	if (p->out >= p->o.max_slots) {
		return NULL;
	}
	first = n == 1 ? 0 : ps_load_balancer_pick(&p->balancer);
	for (uint32_t i = 0; i < n; i++) {
		struct ps_load_islot *s = slot_of(p, (uint16_t)((first + i) % n));

		if (s) {
			p->out++;
			p->balancer.outstanding[s->pub.replica]++;
			return &s->pub;
		}
	}
	return NULL;
}

void ps_load_port_give(struct ps_load_slot *pub)
{
	struct ps_load_islot *s = (struct ps_load_islot *)pub;
	struct ps_load_port *p = pub->port;

	p->out--;
	p->balancer.outstanding[pub->replica]--;
	push_free(p, s);
}

enum ps_status ps_load_slot_send(struct ps_load_slot *pub, uint64_t sequence, int64_t deadline_ns,
				 struct ps_error *err)
{
	struct ps_load_islot *s = (struct ps_load_islot *)pub;
	struct ps_load_target *g = pub->port->target;
	enum ps_status st;

	s->sequence = sequence;
	s->request = ps_load_target_choose(g, sequence);
	pub->answer = (struct ps_load_answer){.server_queue_ns = -1,
					      .server_compute_ns = -1,
					      .batch = s->request->batch,
					      .why = ""};
	s->busy = true;
	st = g->transport->send(s, deadline_ns, err);
	if (st != PS_OK) {
		s->busy = false;
	} else {
		pub->port->notes.sent[pub->replica]++;
	}
	return st;
}

void ps_load_slot_end(struct ps_load_islot *s)
{
	struct ps_load_port *p = s->pub.port;
	struct ps_load_answer *a = &s->pub.answer;

	s->busy = false;
	if (p->closing) {
		return;
	}
	if (!a->cancelled && a->outcome != PS_LOAD_OK) {
		p->notes.failed[s->pub.replica]++;
		a->why = p->err.what;
	}
	p->o.on_done(&s->pub);
}

void ps_load_port_cancel(struct ps_load_port *p)
{
	for (struct ps_load_islot *s = p->all; s; s = s->next_all) {
		if (s->busy) {
			p->target->transport->cancel(s);
		}
	}
}

uint32_t ps_load_port_slots(const struct ps_load_port *p)
{
	return p->slots;
}

uint32_t ps_load_port_connections(const struct ps_load_port *p)
{
	return p->lines_len;
}

void ps_load_port_notes(const struct ps_load_port *p, struct ps_load_notes *inout_sum)
{
	const struct ps_load_notes *n = &p->notes;

	inout_sum->checked += n->checked;
	inout_sum->unchecked += n->unchecked;
	inout_sum->version_changes += n->version_changes;
	inout_sum->output_changes += n->output_changes;
	inout_sum->redirects += n->redirects;
	inout_sum->key_refusals += n->key_refusals;
	for (size_t i = 0; i < PS_LOAD_MAX_REPLICAS; i++) {
		inout_sum->sent[i] += n->sent[i];
		inout_sum->failed[i] += n->failed[i];
	}
}

void ps_load_port_close(struct ps_load_port *p)
{
	if (!p) {
		return;
	}
	p->closing = true;
	for (struct ps_load_line *l = p->lines; l;) {
		struct ps_load_line *next = l->next;

		p->target->transport->close(l);
		free(l);
		l = next;
	}
	for (struct ps_load_islot *s = p->all; s;) {
		struct ps_load_islot *next = s->next_all;

		if (p->target->transport->detach) {
			p->target->transport->detach(s);
		}
		free(s->pub.ctx);
		free(s);
		s = next;
	}
	for (size_t i = 0; i < PS_LOAD_SEEN; i++) {
		ps_load_seen_free(p->seen[i]);
	}
	free(p);
}
