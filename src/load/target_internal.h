/* target_internal.h - targets, ports and transports from inside.   Layer 3. */
#ifndef PS_LOAD_TARGET_INTERNAL_H
#define PS_LOAD_TARGET_INTERNAL_H

#include "load/inputs.h"
#include "load/mix.h"
#include "load/port.h"
#include "load/replicas.h"
#include "net/client.h"
#include "oip/oip.h"

#include <stdatomic.h>

enum {
	PS_LOAD_PATH_SIZE = PS_NET_PATH_SIZE + PS_OIP_PATH_SIZE,
	PS_LOAD_SEEN = 64,		      /* answers that a port remembers to know them again */
	PS_LOAD_MAX_ANSWER_BYTES = 256 << 20, /* of one answer */
	PS_LOAD_MAX_METADATA_BYTES = 4 << 20,
};

struct ps_load_transport;

/* --- targets: made once, then read-only --- */

/* One model of the mix, in one size. */
struct ps_load_item {
	const char *model, *version; /* version NULL: the server's choice */
	int batch;
	struct ps_oip_target where;
	struct ps_oip_model_metadata metadata;
	size_t first, len;		  /* its requests */
	_Atomic(char *) answered_version; /* of the first answer that named one */
};

/* An answer that was found good, kept to compare later ones with. */
struct ps_load_kept {
	struct ps_arena arena; /* of the outputs */
	struct ps_tensor *outputs;
	int n_outputs;
	void *bytes; /* of the whole body or message */
	size_t n;
	int64_t json_bytes; /* how they were read; see struct ps_load_body */
	bool other_version;
};

/* One input, ready to be sent any number of times. */
struct ps_load_request {
	struct ps_load_item *item;
	uint32_t index; /* among all requests of the target */
	uint32_t batch;
	struct ps_load_inputs inputs;
	struct ps_oip_message message;
	struct ps_net_prepared *prepared[PS_LOAD_MAX_REPLICAS]; /* NULL in-process */
	struct ps_tensor *expected; /* per output of the item; data NULL: not known. NULL: none */
	_Atomic(struct ps_load_kept *) kept;
};

struct ps_load_target {
	const struct ps_load_tenant *t;
	const struct ps_load_transport *transport;
	enum ps_load_protocol protocol; /* as asked for, or as the URLs say */
	struct ps_load_replica replicas[PS_LOAD_MAX_REPLICAS];
	size_t replica_len;
	char *authorization; /* NULL without a key */
	struct ps_arena arena;
	struct ps_load_item items[PS_LOAD_MAX_MIX];
	size_t item_len;
	struct ps_load_mix mix;
	double weights[PS_LOAD_MAX_MIX]; /* shares, for means */
	struct ps_load_request *requests;
	size_t request_len;
	uint64_t request_bytes; /* of all inputs and expected outputs */
	uint32_t max_slots;
	size_t max_answer_bytes; /* what a server may make a connection hold; 0: metadata only */
	atomic_size_t kept_bytes;
	struct ps_net_client_tls *tls; /* NULL: no replica wants it */
	void *transport_data;	       /* the transport's, made by its init */
};

/* ps_load_target_choose returns the request of an arrival. */
static inline struct ps_load_request *ps_load_target_choose(const struct ps_load_target *g,
							    uint64_t sequence)
{
	const struct ps_load_item *it = &g->items[ps_load_mix_pick(&g->mix, sequence)];

	return &g->requests[it->first + sequence % it->len];
}

/* ps_load_requests_make makes the requests of all items, their messages by `build`. */
enum ps_status ps_load_requests_make(struct ps_load_target *g, uint64_t seed, struct ps_error *err);
/* ps_load_requests_max_answer says how large an answer to one of them may be: what the declared
 * outputs take as JSON and some more; PS_LOAD_MAX_ANSWER_BYTES where they have open dimensions. */
size_t ps_load_requests_max_answer(const struct ps_load_target *g);
/* ps_load_requests_free frees them. */
void ps_load_requests_free(struct ps_load_target *g);

/* --- ports --- */

struct ps_load_seen;

/* A connection, or a thread of this process, and the slots on it. */
struct ps_load_line {
	struct ps_load_port *port;
	struct ps_load_line *next;
	void *way; /* the transport's: a client, a worker */
	uint16_t replica;
	uint32_t number;
	uint32_t slots, out; /* made; taken and not given back */
	struct ps_load_islot *free;
	struct ps_load_line *next_open; /* of its way, while `open` */
	bool open;
};

/* A slot from inside; a transport's own one begins with it. */
struct ps_load_islot {
	struct ps_load_slot pub;
	struct ps_load_line *line;
	struct ps_load_islot *next_free, *next_all;
	const struct ps_load_request *request;
	uint64_t sequence;
	bool busy;
};

/* The slots and lines of one replica. */
struct ps_load_way {
	struct ps_load_line *open; /* lines with a free slot; the one used last comes first */
	struct ps_load_line *line; /* the newest one: further slots go there while it has room */
	uint32_t slots, lines;
	uint32_t streams; /* that its server allows on a line; 0: it has not said yet */
};

struct ps_load_port {
	struct ps_load_target *target;
	struct ps_load_port_options o;
	struct ps_load_balancer balancer;
	struct ps_load_way ways[PS_LOAD_MAX_REPLICAS];
	struct ps_load_islot *all;
	struct ps_load_line *lines;
	uint32_t slots, lines_len, out; /* made; made; taken and not given back */
	struct ps_load_notes notes;
	struct ps_load_seen *seen[PS_LOAD_SEEN];
	struct ps_error err; /* behind answer.why */
	bool closing;
};

/* ps_load_slot_end is how every send ends: counts and calls on_done. `answer` is filled. */
void ps_load_slot_end(struct ps_load_islot *s);

/* --- transports --- */

struct ps_load_transport {
	size_t slot_bytes; /* of its slot, which begins with struct ps_load_islot */
	/* init makes transport_data and checks what the tenant asks; may be NULL. */
	enum ps_status (*init)(struct ps_load_target *g, struct ps_error *err);
	void (*fini)(struct ps_load_target *g);
	/* fetch reads the metadata of `it` at a replica into memory of `arena`. Blocks. */
	enum ps_status (*fetch)(struct ps_load_target *g, const struct ps_load_item *it,
				size_t replica, int64_t timeout_ns, struct ps_arena *arena,
				struct ps_oip_model_metadata *ret_metadata, struct ps_error *err);
	/* build makes the message of a request whose inputs are there. */
	enum ps_status (*build)(struct ps_load_target *g, struct ps_load_request *q,
				struct ps_error *err);
	/* open makes line->way without waiting; close ends what is under way on it, without
	 * on_done, and frees it. ready: connected, and `streams` are known. */
	enum ps_status (*open)(struct ps_load_line *line, struct ps_error *err);
	bool (*ready)(const struct ps_load_line *line);
	void (*close)(struct ps_load_line *line);
	/* room says whether the line can take one more request now; keeps, whether a free slot
	 * needs none, because it has what it needs (may be NULL: none has). */
	bool (*room)(const struct ps_load_line *line);
	bool (*keeps)(const struct ps_load_islot *s);
	/* streams says how many requests the server allows on the line at once, -1: it has not said
	 * (may be NULL: 1). */
	int (*streams)(const struct ps_load_line *line);
	/* attach makes a new slot ready, detach takes that back; may be NULL. */
	enum ps_status (*attach)(struct ps_load_islot *s, struct ps_error *err);
	void (*detach)(struct ps_load_islot *s);
	/* send sends s->request; it ends by ps_load_slot_end, never inside. */
	enum ps_status (*send)(struct ps_load_islot *s, int64_t deadline_ns, struct ps_error *err);
	/* cancel ends it soon, with answer.cancelled. */
	void (*cancel)(struct ps_load_islot *s);
};

extern const struct ps_load_transport ps_load_transport_http, ps_load_transport_grpc,
	ps_load_transport_stream, ps_load_transport_in_process;

/* --- answers --- */

/* The answer to a request as it came. */
struct ps_load_body {
	const void *bytes; /* not to be written on */
	size_t n;
	int64_t json_bytes; /* of HTTP; -1: all is JSON */
	bool grpc;	    /* a ModelInferResponse instead */
};

/* ps_load_answer_judge says what became of a request that was answered well so far; port->err gets
 * the reason for anything but PS_LOAD_OK. */
enum ps_load_outcome ps_load_answer_judge(struct ps_load_islot *s, const struct ps_load_body *b);
/* ps_load_answer_judge_tensors is that for outputs that are tensors already. */
enum ps_load_outcome ps_load_answer_judge_tensors(struct ps_load_islot *s,
						  const struct ps_tensor *outputs, int n);
/* ps_load_seen_free and ps_load_kept_free free; NULL is fine. */
void ps_load_seen_free(struct ps_load_seen *seen);
void ps_load_kept_free(struct ps_load_kept *k);

#endif
