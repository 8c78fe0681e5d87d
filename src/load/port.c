/* port.c - slots: who is free, whose turn it is, and what a slot lies on.
 *
 * max_slots bounds the slots that are out, not those that were made: with several replicas each may
 * have as many, else the turn of one whose slots are all elsewhere could not be kept.
 *
 * A server may allow fewer streams on a connection than there are slots on it. The first connection
 * shows that; later ones get no more slots than can be used, so that nothing is sent that would be
 * refused. Lines without a free slot, or that cannot take more until one of theirs comes back, are
 * not looked at.
 */
#include "load/target_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LOOKS = 64 }; /* at lines that can take nothing now; at slots of one */

/* ---- lines ---- */

static enum ps_status new_line(struct ps_load_port *p, uint16_t replica, struct ps_error *err)
{
	struct ps_load_way *w = &p->ways[replica];
	struct ps_load_line *line;
	enum ps_status st;

	if (p->o.max_lines && w->lines == p->o.max_lines) {
		return ps_error_set(err, PS_EUNAVAIL, "all connections are full");
	}
	line = calloc(1, sizeof(*line));
	if (!line) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a connection");
	}
	line->port = p;
	line->replica = replica;
	line->number = p->o.first_number + p->lines_len;
	st = p->target->transport->open(line, err);
	if (st != PS_OK) {
		free(line);
		return st;
	}
	p->lines_len++;
	line->next = p->lines;
	p->lines = line;
	w->lines++;
	w->line = line;
	return PS_OK;
}

/* How many slots a line gets: as many as were asked for, or as the server was seen to allow. */
static uint32_t slots_of_line(struct ps_load_port *p, struct ps_load_way *w)
{
	const struct ps_load_transport *tr = p->target->transport;
	uint32_t most = ps_load_target_streams(p->target);
	int said = tr->streams && w->line ? tr->streams(w->line) : -1;

	if (said >= 0) {
		w->streams = said > 0 ? (uint32_t)said : 1;
	}
	return w->streams && w->streams < most ? w->streams : most;
}

/* Makes w->line one that can have a further slot. */
static enum ps_status line_with_room(struct ps_load_port *p, uint16_t replica, struct ps_error *err)
{
	const struct ps_load_transport *tr = p->target->transport;
	struct ps_load_way *w = &p->ways[replica];

	if (!w->line || w->line->slots >= slots_of_line(p, w) ||
	    (tr->ready(w->line) && !tr->room(w->line))) {
		return new_line(p, replica, err);
	}
	return PS_OK;
}

/* ---- slots ---- */

static struct ps_load_islot *make_slot(struct ps_load_port *p, struct ps_load_line *line,
				       struct ps_error *err)
{
	const struct ps_load_transport *tr = p->target->transport;
	/* Two pieces, so that the sender's has any alignment it likes. */
	struct ps_load_islot *s = calloc(1, tr->slot_bytes);
	void *ctx = calloc(1, p->o.slot_bytes ? p->o.slot_bytes : 1);

	if (!s || !ctx) {
		ps_error_set(err, PS_ENOMEM, "no memory for a slot");
		free(s);
		free(ctx);
		return NULL;
	}
	s->pub = (struct ps_load_slot){.port = p,
				       .ctx = ctx,
				       .number = p->o.first_number + p->slots,
				       .connection = line->number,
				       .replica = line->replica};
	s->line = line;
	if (tr->attach && tr->attach(s, err) != PS_OK) {
		free(ctx);
		free(s);
		return NULL;
	}
	return s;
}

/* PS_EUNAVAIL: all connections that may be are full. */
static enum ps_status new_slot(struct ps_load_port *p, uint16_t replica,
			       struct ps_load_islot **ret_slot, struct ps_error *err)
{
	struct ps_load_way *w = &p->ways[replica];
	enum ps_status st = line_with_room(p, replica, err);
	struct ps_load_islot *s = st == PS_OK ? make_slot(p, w->line, err) : NULL;

	if (!s) {
		return st == PS_OK ? PS_ENOMEM : st;
	}
	w->line->slots++;
	w->slots++;
	p->slots++;
	s->next_all = p->all;
	p->all = s;
	*ret_slot = s;
	return PS_OK;
}

static void push_free(struct ps_load_islot *s)
{
	struct ps_load_line *line = s->line;
	struct ps_load_way *w = &line->port->ways[line->replica];

	s->next_free = line->free;
	line->free = s;
	if (!line->open) {
		line->open = true;
		line->next_open = w->open;
		w->open = line;
	}
}

/* Where the line's next slot hangs; NULL: it has none that can be used now. */
static struct ps_load_islot **usable(struct ps_load_line *line)
{
	const struct ps_load_transport *tr = line->port->target->transport;
	struct ps_load_islot **at = &line->free;

	if (tr->room(line)) {
		return *at ? at : NULL;
	}
	for (int i = 0; tr->keeps && *at && i < MAX_LOOKS; i++, at = &(*at)->next_free) {
		if (tr->keeps(*at)) {
			return at;
		}
	}
	return NULL;
}

static void leave_out(struct ps_load_line **link)
{
	struct ps_load_line *line = *link;

	*link = line->next_open;
	line->open = false;
}

/* No line is asked twice in vain: one that is full is left out until a slot of it comes back,
 * unless none is out (its connection breaks just now, or its server allows nothing at all). */
static struct ps_load_islot *pop_free(struct ps_load_port *p, uint16_t replica)
{
	struct ps_load_line **link = &p->ways[replica].open, *line;

	for (int looks = 0; (line = *link) && looks < MAX_LOOKS;) {
		struct ps_load_islot **at = usable(line), *s = at ? *at : NULL;

		if (s) {
			*at = s->next_free;
		}
		if (s ? !line->free : line->out > 0) {
			leave_out(link);
		} else {
			link = &line->next_open;
			looks++;
		}
		if (s) {
			return s;
		}
	}
	return NULL;
}

static struct ps_load_islot *slot_of(struct ps_load_port *p, uint16_t replica)
{
	struct ps_load_islot *s = pop_free(p, replica);

	if (!s && p->ways[replica].slots < p->o.max_slots) {
		(void)new_slot(p, replica, &s, &p->err);
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
	enum ps_status st = PS_OK;

	while (st == PS_OK && p->slots < n && p->slots < p->o.max_slots * p->target->replica_len) {
		uint16_t replica = (uint16_t)(p->slots % p->target->replica_len);
		struct ps_load_islot *s;

		st = new_slot(p, replica, &s, err);
		if (st == PS_OK) {
			push_free(s);
		}
	}
	return st == PS_EUNAVAIL ? PS_OK : st;
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
			s->line->out++;
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
	s->line->out--;
	p->balancer.outstanding[pub->replica]--;
	push_free(s);
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
