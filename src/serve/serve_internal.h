/* serve_internal.h - what the files of serve/ share.   Layer 5.
 *
 * The request path:
 *	server.c   start, the ready line, signals, draining
 *	io.c       I/O threads: loops, listeners, the configuration that each holds
 *	http.c     HTTP requests: head, key, route, answers
 *	grpc.c     gRPC calls: the same for unary calls and streams of messages
 *	call.c     what both wires share: authentication, answers of the small routes
 *	infer.c    the path of an inference: I/O thread -> lane (or here) -> I/O thread
 *	batch.c    several requests in one run: rows gathered, outputs split
 *	models.c   engines; loading and unloading in the background, warm-up
 * Around it:
 *	config.c, reload.c   the file -> a snapshot; checks; SIGHUP and the admin call
 *	admin.c              repository, statistics, configuration, metrics: ps_serve_route_admin
 *	observe*.c           what is counted, logged and shown (observe_internal.h)
 *	ledger.c             usage, written to the state file
 *
 * Threads: I/O threads own connections and calls for life; lanes run models; loaders open and close
 * them. They meet in the dispatcher under `lock`, and through ps_evloop_post.
 */
#ifndef PS_SERVE_SERVE_INTERNAL_H
#define PS_SERVE_SERVE_INTERNAL_H

#include "dispatch/dispatch.h"
#include "engine/engine.h"
#include "evloop/evloop.h"
#include "exec/exec.h"
#include "net/grpc.h"
#include "net/net.h"
#include "oip/oip.h"
#include "serve/serve.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	PS_SERVE_MAX_ENGINES = 4,
	PS_SERVE_MAX_IO = 64,
	PS_SERVE_MAX_LOADERS = 16,
	PS_SERVE_MAX_HEADERS = 8, /* of an answer, beside net's own */
};

struct ps_serve;
struct ps_serve_observe;    /* the server's observer: observe.c's */
struct ps_serve_trace;	    /* observe_internal.h */
struct ps_serve_admin;	    /* reload.c's: a reload under way */
struct ps_serve_observe_io; /* one I/O thread's part of it, written without locks: observe.c's */

/* --- the configuration in force --- */

/* Immutable once it is in force. The server holds the newest; each I/O thread holds the one that it
 * works by, so that a request needs no lock and no count: io->snapshot. A tenant's number means the
 * same tenant in every snapshot (tenancy.h), so names are always read from the newest at hand. */
struct ps_serve_snapshot {
	_Atomic int refs;
	uint64_t generation;		/* 1 at start, one more with each reload */
	struct ps_serve_config *config; /* owned */
	struct ps_tenancy *tenancy;	/* referenced */
};

/* ps_serve_snapshot_new checks and builds one; `previous` (NULL at start) gives tenants their
 * numbers. Takes `config` over on success. [config.c] */
enum ps_status ps_serve_snapshot_new(struct ps_serve_config *config,
				     const struct ps_serve_snapshot *previous,
				     struct ps_serve_snapshot **ret_snapshot, struct ps_error *err);
struct ps_serve_snapshot *ps_serve_snapshot_ref(struct ps_serve_snapshot *p);
void ps_serve_snapshot_unref(struct ps_serve_snapshot *p);
/* ps_serve_put_in_force makes `p` the server's (the reference is taken over): dispatch at once,
 * every I/O thread in its next round. Any thread but a lane. PS_ENOMEM: nothing changed, `p` is
 * the caller's still. [io.c] */
enum ps_status ps_serve_put_in_force(struct ps_serve *s, struct ps_serve_snapshot *p,
				     struct ps_error *err);
/* ps_serve_newest returns a reference to the newest snapshot. Any thread. [io.c] */
struct ps_serve_snapshot *ps_serve_newest(struct ps_serve *s);

/* --- models --- */

/* A loaded instance: repo's `user` pointer. A loader writes it before it becomes READY, then it is
 * constant; freed by a loader after UNLOAD, when nobody holds it any more. */
struct ps_serve_instance {
	int number; /* repo's */
	const struct ps_engine_ops *ops;
	struct ps_engine_instance *engine;
	struct ps_engine_describe describe;
	struct ps_engine_memory memory;
	/* What clients see: batch axis and reshape as the model's configuration says. */
	struct ps_tensor_spec *inputs, *outputs;
	int n_inputs, n_outputs;
	int64_t max_batch; /* rows of one run; 0: the first axis is no batch axis */
	bool fixed_shapes; /* all dimensions but the batch axis are known: any two may share a run
			    */
	bool reshapes;	   /* some tensor has another shape inside the engine */
	_Atomic int64_t last_ms; /* wall clock of the last inference, for the statistics */
};

struct ps_serve_engine {
	const struct ps_engine_ops *ops;
	struct ps_engine *engine;
};

/* Somebody waits until a model is loaded, or is not any more. The caller's storage, until on_done,
 * which comes on the loop's thread exactly once. */
struct ps_serve_wait {
	int model, domain; /* domain: repo.h's; 0 shared */
	bool loaded;	   /* what is waited for */
	struct ps_evloop *loop;
	void (*on_done)(struct ps_serve_wait *w, enum ps_status status, const struct ps_error *err);
	void *ctx;
	/* models.c's */
	struct ps_serve_wait *next;
	struct ps_evloop_task task;
	struct ps_error err;
};

/* ps_serve_want says that `w->model` is wanted loaded (or not), starts what that needs, and calls
 * w->on_done when it is so or has failed; never from inside. Any thread but a lane. [models.c] */
void ps_serve_want(struct ps_serve *s, struct ps_serve_wait *w);
/* ps_serve_kick_loaders performs what dispatch wants loaded or unloaded now: after the repository
 * was changed in another way (a reload, a scan). Any thread but a lane. [models.c] */
void ps_serve_kick_loaders(struct ps_serve *s);

enum ps_status ps_serve_start_loaders(struct ps_serve *s, struct ps_error *err);
void ps_serve_stop_loaders(struct ps_serve *s); /* joins; loads under way end first */
void ps_serve_close_models(struct ps_serve *s); /* after the lanes have gone */

/* --- I/O threads --- */

struct ps_serve_listener {
	struct ps_net_server *net; /* NULL: not open */
	char address[PS_NET_ADDRESS_TEXT_SIZE];
};

/* An I/O thread: number 0 is the caller of ps_serve_run and has the signals, the metrics and Unix
 * listeners. Everything belongs to the thread. */
struct ps_serve_io {
	struct ps_serve *server;
	int number;
	pthread_t thread; /* number > 0 */
	bool started;
	struct ps_evloop *loop;
	struct ps_serve_listener *listeners;
	int n_listeners, n_open;	    /* n_open: not drained yet */
	struct ps_serve_snapshot *snapshot; /* the configuration it works by: referenced */
	struct ps_serve_observe_io *observe;
	struct ps_evloop_timer tick;
	struct ps_evloop_task refresh, drain, close; /* posted by others */
	atomic_flag refresh_posted;
	int in_flight; /* infer requests that dispatch has admitted and that are not answered */
};

/* --- the server --- */

struct ps_serve_loaders; /* models.c's */

/* `dispatch` and `repo` are guarded by `lock`. What has no word beside it is set at start. */
struct ps_serve {
	const struct ps_serve_options *options;
	pthread_mutex_t lock;
	struct ps_dispatch *dispatch;
	struct ps_repo *repo;
	pthread_mutex_t snapshot_lock;	    /* guards `snapshot`; inside `lock` when both */
	struct ps_serve_snapshot *snapshot; /* the newest */
	struct ps_exec *exec;
	int width; /* CPUs of a wide run; 1: there are none */
	struct ps_serve_engine engines[PS_SERVE_MAX_ENGINES]; /* guarded by the loaders' mutex */
	struct ps_serve_loaders *loaders;
	struct ps_serve_io *ios;
	int n_ios;
	struct ps_serve_observe *observe;
	struct ps_serve_admin *admin; /* reload.c's */
	int64_t started_ns, started_wall_ns;
	/* I/O thread 0's */
	int ready_fd;
	bool closing;
	int ios_open; /* not drained yet */
	struct ps_evloop_timer drain_timer;
	struct ps_evloop_signals signals;
	enum ps_status result;
	struct ps_error result_err;
	/* any thread's */
	atomic_bool ready;    /* what was wanted at start is loaded, and no drain has begun */
	atomic_bool draining; /* since SIGTERM */
};

/* --- a request --- */

enum ps_serve_wire { PS_SERVE_HTTP, PS_SERVE_GRPC };

struct ps_serve_stream; /* one gRPC call, unary or a stream: grpc.c's */
struct ps_serve_shared; /* output memory of a batch: batch.c's */

/* One request, in its own arena: an HTTP request, or one message of a gRPC call. The I/O thread's,
 * except between dispatch's RUN and finish: then `run` and the arena are the lane's. */
struct ps_serve_call {
	struct ps_serve_io *io;
	struct ps_arena *arena;
	enum ps_serve_wire wire;
	struct ps_net_request *http;
	struct ps_serve_stream *stream; /* gRPC */
	struct ps_net_grpc_message *message;
	struct ps_serve_call *next; /* completions of one loop; a stream's calls */

	/* What came. Route, model and version are there on both wires (gRPC: from the message). */
	struct ps_oip_target target;
	void *body; /* HTTP: the body; gRPC: the message */
	size_t body_bytes;
	int64_t first_byte_ns, received_ns;
	const char *peer;	 /* "127.0.0.1:41234" */
	struct ps_serve_trace *trace; /* ps_serve_trace_take's (observe_internal.h); NULL: none */
	bool gone;		 /* nobody will read the answer */

	/* Who and what. PS_TENANCY_NONE, PS_TENANCY_ADMIN for the operator; model -1: not known. */
	int tenant, model;
	struct ps_serve_instance *instance; /* held from decode until DONE */

	/* How it ends. */
	enum ps_status refused; /* found out early, answered once the request is whole */
	struct ps_error err;
	int http_status; /* that was sent; gRPC: 0 */
	size_t answer_bytes;

	/* infer */
	struct ps_dispatch_request d; /* d.account: tenant, model, status, reason and instants */
	struct ps_exec_task task;
	struct ps_engine_run run;
	struct ps_evloop_task completion;
	struct ps_serve_shared *shared; /* what the outputs refer into; NULL: the arena */
	struct ps_oip_request oip;
	struct ps_tensor *inputs, *outputs; /* as the engine has them: instance->describe */
	int *wanted;
	bool *binary;
	int n_wanted;

	struct ps_net_header headers[PS_SERVE_MAX_HEADERS];
	int n_headers;
	char timing[96], retry_after[24], retry_pushback[24];
};

/* ps_serve_is_admin says whether the operator asks. */
static inline bool ps_serve_is_admin(const struct ps_serve_call *c)
{
	return c->tenant == PS_TENANCY_ADMIN;
}

/* Exactly one of these answers a call; afterwards it is not the caller's any more. I/O thread.
 * [call.c] */

/* ps_serve_answer_text answers with `http_status` and the text, emptied (HTTP; `type` is static).
 */
void ps_serve_answer_text(struct ps_serve_call *c, int http_status, const char *type,
			  struct ps_strbuf *text);
/* ps_serve_answer_message answers with the bytes of one protobuf message, emptied (gRPC). */
void ps_serve_answer_message(struct ps_serve_call *c, struct ps_strbuf *message);
/* ps_serve_refuse answers with call->err, whatever the wire. */
void ps_serve_refuse(struct ps_serve_call *c);
/* ps_serve_add_header adds one to the answer (HTTP: a header, gRPC: of the trailers, when it is one
 * of those that mean something there). Texts are borrowed until the call is done. */
void ps_serve_add_header(struct ps_serve_call *c, const char *name, const char *value);
/* ps_serve_add_retry_after says when to come again; "Retry-After" and "retry-pushback-ms". */
void ps_serve_add_retry_after(struct ps_serve_call *c, int64_t wait_ns);

/* ps_serve_route_admin answers every route that the request path does not: model configuration,
 * statistics, repository index, load, unload, and v2/perseus/ (oip.h). Either wire (c->wire; an
 * answer as JSON goes through ps_serve_answer_text, as protobuf through ps_serve_answer_message);
 * c->target and c->tenant are known, c->body is whole (gRPC: the request message); c->model is not
 * resolved. [admin.c] */
void ps_serve_route_admin(struct ps_serve_call *c);
/* ps_serve_route_metrics answers a request to the metrics listener (c->http has its path), with or
 * without a key: c->tenant may be PS_TENANCY_NONE. [observe.c] */
void ps_serve_route_metrics(struct ps_serve_call *c);

/* --- the parts, by file --- */

/* io.c */
enum ps_status ps_serve_open_ios(struct ps_serve *s, struct ps_error *err);
enum ps_status ps_serve_start_ios(struct ps_serve *s, struct ps_error *err);
void ps_serve_drain_ios(struct ps_serve *s);
void ps_serve_close_ios(struct ps_serve *s); /* connections go at once */
void ps_serve_stop_ios(struct ps_serve *s);  /* joins and frees */
/* ps_serve_answered is called for each admitted request once it is answered. */
void ps_serve_answered(struct ps_serve_io *io);

/* http.c, grpc.c */
void ps_serve_http_handler(struct ps_serve_io *io, struct ps_net_handler *ret_handler);
void ps_serve_metrics_handler(struct ps_serve_io *io, struct ps_net_handler *ret_handler);
void ps_serve_grpc_handler(struct ps_serve_io *io, struct ps_net_grpc_handler *ret_handler);
void ps_serve_grpc_answer(struct ps_serve_call *c, const struct iovec *pieces, size_t n);
void ps_serve_grpc_refuse(struct ps_serve_call *c);

/* call.c */
void ps_serve_call_init(struct ps_serve_call *c, struct ps_serve_io *io, enum ps_serve_wire wire);
/* ps_serve_route answers anything but infer; c->tenant is known where the route needs one. */
void ps_serve_route(struct ps_serve_call *c);
/* ps_serve_sent ends a call: its answer went to the kernel (PS_OK) or nowhere. */
void ps_serve_sent(struct ps_serve_call *c, enum ps_status status, int64_t done_ns);

/* infer.c */
void ps_serve_infer(struct ps_serve_call *c);
void ps_serve_infer_gone(struct ps_serve_call *c);
void ps_serve_tick(struct ps_evloop_timer *t, int64_t now_ns);
void ps_serve_exec_callbacks(struct ps_serve *s, struct ps_exec_callbacks *ret_callbacks);

/* batch.c */
struct ps_exec_task *ps_serve_batch_task(struct ps_serve *s, struct ps_dispatch_batch *b);
void ps_serve_shared_unref(struct ps_serve_shared *shared);

/* server.c */
/* ps_serve_loaded is called on I/O thread 0 once everything wanted at start is loaded or failed. */
void ps_serve_loaded(struct ps_serve *s);
/* ps_serve_fail ends the server with an error. I/O thread 0. */
void ps_serve_fail(struct ps_serve *s, const struct ps_error *err);
/* ps_serve_reload reads the configuration again (SIGHUP). I/O thread 0. [reload.c] */
void ps_serve_reload(struct ps_serve *s);

#endif
