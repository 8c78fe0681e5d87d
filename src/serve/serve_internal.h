/* serve_internal.h - what the files of serve/ share.   Layer 5.
 *
 * The request path:
 *	server.c   start, signals, draining
 *	ready.c    the ready line
 *	io.c       I/O threads: loops, listeners, the configuration that each holds
 *	http.c     HTTP requests: head, key, route, answers
 *	grpc.c     gRPC calls: the same for unary calls and streams of messages
 *	call.c     what both wires share: authentication, answers of the small routes
 *	decode.c   bytes -> tensors as the instance wants them
 *	infer.c    the path of an inference: I/O thread -> lane (or here) -> I/O thread
 *	batch.c    several requests in one run: rows gathered, outputs split
 *	models.c   loading and unloading in the background, who waits for it
 *	memory.c   the budget of memory; calls that wait for their model
 *	open.c     engines, opening an instance, warm-up: on the loaders' threads
 *	warmup.c   the same: runs before an instance is READY
 *	wake.c     how late I/O threads come to answers
 *	view.c     an instance as a model's configuration shows it
 * Around it:
 *	config.c, reload.c   the file -> a snapshot; checks; SIGHUP and the admin call
 *	check.c              --check-config
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
#include "serve/urgency.h"
#include "serve/wake.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

enum {
	PS_SERVE_MAX_ENGINES = 4,
	PS_SERVE_MAX_IO = 64,
	PS_SERVE_MAX_LOADERS = 16,
	PS_SERVE_MAX_HEADERS = 8,    /* of an answer, beside net's own */
	PS_SERVE_MAX_LISTENERS = 24, /* of one I/O thread */
	PS_SERVE_VERSION_SIZE = 16,
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
	const struct ps_engine_ops *ops;
	struct ps_engine_instance *engine;
	struct ps_engine_describe describe;
	struct ps_engine_memory memory;
	struct ps_serve_view *views; /* guarded by the server's lock */
};

/* How a model's configuration shows an instance to its clients: models that share one may differ in
 * that. Built when it is first asked for, constant, and as long there as the instance. */
struct ps_serve_view {
	struct ps_serve_view *next;
	int model;
	uint64_t generation; /* s->models_generation that it is known to be true for; guarded by
			      * the server's lock */
	/* In the engine's order; with the batch axis, before any reshape. */
	struct ps_tensor_spec *inputs, *outputs;
	int n_inputs, n_outputs;
	int64_t max_batch; /* rows of one run; 0: the first axis is no batch axis */
	bool counts_rows;  /* the first axis counts inferences, though runs may not be shared */
	bool fixed_shapes; /* all dimensions but the first are known: any two may share a run */
	bool reshapes;	   /* some tensor has another shape inside the engine */
};

/* ps_serve_view_of finds or makes the view of `model` on the instance that serves it in `domain`.
 * Under s->lock.
 * PS_EINVAL (configuration and model do not agree any more), PS_ENOMEM. [view.c] */
enum ps_status ps_serve_view_of(struct ps_serve *s, struct ps_serve_instance *in, int model,
				int domain, const struct ps_serve_view **ret_view,
				struct ps_error *err);
void ps_serve_views_free(struct ps_serve_instance *in);
/* ps_serve_reshape gives `t` the shape of `to`, from the client's side to the engine's or back: the
 * batch axis has `rows`, one open dimension takes what the number of elements leaves. [view.c] */
void ps_serve_reshape(const struct ps_tensor_spec *to, int64_t rows, bool batched,
		      struct ps_tensor *t);

/* --- a budget of memory [memory.c] --- */

/* ps_serve_memory_of reads what a configuration says; budget_bytes 0: nothing. PS_EINVAL. */
enum ps_status ps_serve_memory_of(const struct ps_serve_config *c,
				  struct ps_dispatch_memory *ret_memory, struct ps_error *err);
/* ps_serve_max_loading returns how many loads may go on at once. */
int ps_serve_max_loading(const struct ps_serve_config *c);
/* ps_serve_check_size refuses a model's file that cannot be loaded within the budget: PS_ETOOBIG
 * with both sizes. Without a budget, or a forecast, all are fine. *largest_bytes grows to what it
 * is expected to hold. Blocks on the disk. */
enum ps_status ps_serve_check_size(const struct ps_dispatch_memory *m, const char *path,
				   const struct ps_repo_rnn *rnn, int64_t *largest_bytes,
				   struct ps_error *err);
/* ps_serve_warn_of_guarantees says when what is left of the budget beside the guarantees is less
 * than the largest model. */
void ps_serve_warn_of_guarantees(const struct ps_serve_config *c,
				 const struct ps_dispatch_memory *m, int64_t largest_bytes);
/* ps_serve_need forecasts what a loader's next step takes. Blocks. A loader's thread. */
enum ps_status ps_serve_need(struct ps_serve *s, const char *path, const struct ps_repo_rnn *rnn,
			     struct ps_engine_need *ret_need, struct ps_error *err);
/* ps_serve_set_memory follows a configuration that was put in force. Any thread but a lane. */
void ps_serve_set_memory(struct ps_serve *s, const struct ps_serve_config *c);
/* ps_serve_plan has a PLAN run by the observer's thread. I/O threads. */
void ps_serve_plan(struct ps_serve *s, const struct ps_dispatch_action *a);
/* ps_serve_say_epoch logs what the policy decided since it was called last. I/O thread 0. */
void ps_serve_say_epoch(struct ps_serve *s);
/* ps_serve_recall has loaded again what was asked for before the last start. I/O thread 0. */
void ps_serve_recall(struct ps_serve *s);

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
	struct ps_serve *server;
	struct ps_serve_wait *next;
	struct ps_evloop_task task;
	struct ps_error err;
};

/* ps_serve_await calls w->on_done once nothing is under way for `w->model` any more: with PS_OK
 * when it is as waited for, else with the reason. Call it after asking the repository
 * (ps_repo_want, ps_repo_serve, ...) and ps_serve_kick_loaders. Never from inside. Any thread but a
 * lane. [models.c] */
void ps_serve_await(struct ps_serve *s, struct ps_serve_wait *w);
/* ps_serve_want says that `w->model` is wanted loaded (or not), starts what that needs, and calls
 * w->on_done when it is so or has failed; never from inside. Any thread but a lane. [models.c] */
void ps_serve_want(struct ps_serve *s, struct ps_serve_wait *w);
/* ps_serve_kick_loaders performs what dispatch wants loaded or unloaded now: after the repository
 * was changed in another way (a reload, a scan). Any thread but a lane. [models.c] */
void ps_serve_kick_loaders(struct ps_serve *s);
/* ps_serve_wake_loaders does so where nothing of the repository was changed. */
void ps_serve_wake_loaders(struct ps_serve *s);

enum ps_status ps_serve_start_loaders(struct ps_serve *s, struct ps_error *err);
/* ps_serve_fail_waits tells everybody who waits for a load that the server ends; later ones are
 * told at once. I/O thread 0. */
void ps_serve_fail_waits(struct ps_serve *s);
/* ps_serve_is_loading says whether a load or unload is under way. I/O thread 0. */
bool ps_serve_is_loading(const struct ps_serve *s);
/* ps_serve_stop_loaders interrupts and joins what is under way. After the I/O threads. */
void ps_serve_stop_loaders(struct ps_serve *s);
/* ps_serve_close_models closes every instance and the engines. After lanes and loaders. */
void ps_serve_close_models(struct ps_serve *s);

/* What a loader needs to know of the instance that it opens; copies. [open.c] */
struct ps_serve_opening {
	char *path;
	char device[PS_REPO_DEVICE_SIZE];
	char name[PS_REPO_MAX_NAME + 1]; /* for messages */
	struct ps_repo_config config;
	bool warmup, wide_warmup;
};
/* ps_serve_open opens and warms up. Blocks for as long as that takes; on a loader's thread. */
enum ps_status ps_serve_open(struct ps_serve *s, const struct ps_serve_opening *o,
			     struct ps_serve_instance **ret_instance, struct ps_error *err);
/* ps_serve_warm_up runs what the configuration asks for, or once on zeros. [warmup.c] */
enum ps_status ps_serve_warm_up(const struct ps_serve_opening *o,
				const struct ps_serve_instance *in, struct ps_error *err);
/* ps_serve_close_instance closes and frees; NULL is fine. Blocks. */
void ps_serve_close_instance(struct ps_serve_instance *in);
/* ps_serve_engine_for returns the engine that opens `path` with recurrent layers as `rnn` says,
 * started. Any thread. Reads the file when `rnn` asks for something. */
enum ps_status ps_serve_engine_for(struct ps_serve *s, const char *path,
				   const struct ps_repo_rnn *rnn,
				   struct ps_serve_engine *ret_engine, struct ps_error *err);

/* --- I/O threads --- */

enum ps_serve_listener_kind { PS_SERVE_LISTEN_HTTP, PS_SERVE_LISTEN_GRPC, PS_SERVE_LISTEN_METRICS };

struct ps_serve_listener {
	struct ps_net_server *net; /* NULL: closed */
	enum ps_serve_listener_kind kind;
	char address[PS_NET_ADDRESS_TEXT_SIZE];
};

/* An I/O thread: number 0 is the caller of ps_serve_run; it has the signals, the metrics listener
 * and the state of loading. Everything belongs to the thread. */
struct ps_serve_io {
	struct ps_serve *server;
	int number;
	pthread_t thread; /* number > 0 */
	bool started;
	struct ps_evloop *loop;
	struct ps_serve_listener listeners[PS_SERVE_MAX_LISTENERS];
	int n_listeners, n_open;	    /* n_open: not drained yet */
	struct ps_serve_snapshot *snapshot; /* the configuration it works by: referenced */
	_Atomic uint64_t generation;	    /* of `snapshot`, for other threads, once it changed */
	struct ps_serve_observe_io *observe;
	struct ps_tenancy_guard *guard;
	struct ps_evloop_timer tick, probe;
	int64_t probe_until_ns; /* the last deadline that the thread's delay matters for */
	struct ps_serve_wake wake;
	struct ps_serve_urgency urgency;
	struct ps_serve_stream *watches; /* grpc.c: health watches */
	int in_flight; /* calls that have begun and whose answers are not sent yet */
	bool closing;
	/* Posted by other threads; each at most once at a time. */
	struct ps_evloop_task refresh, drain, close, notify, drained;
	atomic_bool refresh_posted, notify_posted;
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
	int width;			    /* CPUs of a wide run; 1: there are none */
	struct ps_serve_planning *planning; /* memory.c's; one at a time */
	_Atomic int64_t epochs_said;	    /* of the policy of model memory: logged */
	_Atomic uint64_t models_generation; /* one more with each change of the repository */
	pthread_mutex_t engines_lock;
	struct ps_engine_lender lender;			      /* of the lanes' CPUs, to engines */
	struct ps_serve_engine engines[PS_SERVE_MAX_ENGINES]; /* guarded by `engines_lock` */
	bool engines_stopped;	/* likewise: none is started any more */
	struct ps_net_tls *tls; /* NULL: none. Reloaded in place (reload.c) */
	struct ps_serve_loaders *loaders;
	struct ps_serve_io *ios;
	int n_ios;
	struct ps_serve_observe *observe;
	struct ps_serve_admin *admin; /* reload.c's */
	int64_t started_ns, started_wall_ns;
	int64_t drain_began_ns; /* I/O thread 0's */
	/* I/O thread 0's */
	int ready_fd;
	bool loaded;  /* what was wanted at start is there: the ready line is out */
	bool closing; /* connections go at once */
	int ios_open; /* not drained yet */
	struct ps_evloop_timer drain_timer;
	struct ps_evloop_signals signals;
	enum ps_status result;
	struct ps_error result_err;
	/* any thread's */
	atomic_bool ready;    /* what was wanted at start is loaded, and no drain has begun */
	atomic_bool draining; /* since SIGTERM */
	atomic_bool drained;  /* no connection is left */
	/* calls that have ended while it drains */
	_Atomic int64_t drain_answered, drain_dropped;
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
	struct ps_serve_call *next;	 /* of a stream's */
	struct ps_serve_call *next_done; /* of those that one post completes */

	/* What came. Route, model and version are there on both wires (gRPC: from the message). */
	struct ps_oip_target target;
	void *body; /* HTTP: the body; gRPC: the message */
	size_t body_bytes;
	int64_t first_byte_ns, received_ns;
	const char *peer;	      /* "127.0.0.1:41234" */
	struct ps_serve_trace *trace; /* ps_serve_trace_take's (observe_internal.h); NULL: none */
	bool counted;		      /* ps_serve_call_begin */
	bool gone;		      /* nobody will read the answer */

	/* Its model is wanted and not in memory: set by ps_serve_find_model. */
	enum { PS_SERVE_HERE, PS_SERVE_ABSENT, PS_SERVE_FAILED } where;
	bool paid, resumed; /* it has waited for it; it has not found it yet */
	int64_t load_wait_ns;
	void (*again)(struct ps_serve_call *c); /* when it is there */

	/* Who and what. PS_TENANCY_NONE, PS_TENANCY_ADMIN for the operator; model -1: not known. */
	int tenant, model;
	const char *model_name;		     /* the repository's: lives as long as the server */
	char version[PS_SERVE_VERSION_SIZE]; /* of `model` */
	struct ps_serve_instance *instance;  /* held from decode until DONE */
	const struct ps_serve_view *view;    /* of it */
	int instance_number;		     /* repo's */

	/* How it ends. */
	enum ps_status refused; /* found out early, answered once the request is whole */
	int http_status;	/* that was sent; gRPC: 0 */
	size_t answer_bytes;

	/* infer */
	bool admitted;		      /* dispatch has it: from arrive until the answer */
	enum ps_status ran;	      /* how its part of the run ended; the lane's while running */
	struct ps_dispatch_request d; /* d.account: tenant, model, status, reason and instants */
	struct ps_exec_task task;     /* of the first request of a batch, for all of it */
	struct ps_engine_run run;
	struct ps_evloop_task completion;
	struct ps_serve_shared *shared; /* what the outputs refer into; NULL: the arena */
	struct ps_oip_request oip;
	struct ps_tensor *inputs, *outputs; /* as the engine has them: instance->describe */
	const char **output_names;	    /* copies: the instance may go before the answer */
	int *wanted;
	bool *binary;
	int n_outputs, n_wanted;

	int n_headers;

	/* From here on ps_serve_call_new zeroes nothing; `err` says PS_OK. */
	struct ps_error err;
	struct ps_net_header headers[PS_SERVE_MAX_HEADERS];
	char timing[128], retry_after[24], retry_pushback[24];
};

/* ps_serve_owner returns under what number net accounts for a tenant's bodies; 0 when nobody has
 * said who asks: by address then. */
static inline int ps_serve_owner(int tenant)
{
	return tenant == PS_TENANCY_NONE ? 0 : tenant + 1;
}

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

/* --- the parts, by file --- */

/* io.c */
enum ps_status ps_serve_open_ios(struct ps_serve *s, struct ps_error *err);
enum ps_status ps_serve_start_ios(struct ps_serve *s, struct ps_error *err);
void ps_serve_drain_ios(struct ps_serve *s);
void ps_serve_close_ios(struct ps_serve *s); /* connections go at once */
void ps_serve_join_ios(struct ps_serve *s);
void ps_serve_free_ios(struct ps_serve *s);
/* ps_serve_notify_ready tells every I/O thread that readiness has changed. Any thread. */
void ps_serve_notify_ready(struct ps_serve *s);
/* ps_serve_io_keep_share looks, at every so many requests, whether its thread may go before the
 * lanes (urgency.h). */
void ps_serve_io_keep_share(struct ps_serve_io *io);
/* ps_serve_answered is called for each call that was counted once its answer is sent. */
void ps_serve_answered(struct ps_serve_io *io);

/* http.c */
void ps_serve_http_handler(struct ps_serve_io *io, struct ps_net_handler *ret_handler);
void ps_serve_metrics_handler(struct ps_serve_io *io, struct ps_net_handler *ret_handler);
void ps_serve_http_answer(struct ps_serve_call *c, int http_status, const struct iovec *pieces,
			  size_t n);
void ps_serve_http_refuse(struct ps_serve_call *c);

/* grpc.c */
void ps_serve_grpc_handler(struct ps_serve_io *io, struct ps_net_grpc_handler *ret_handler);
void ps_serve_grpc_answer(struct ps_serve_call *c, const struct iovec *pieces, size_t n);
void ps_serve_grpc_refuse(struct ps_serve_call *c);
/* ps_serve_grpc_deadline_ns returns the instant that the call's grpc-timeout names; 0: none. */
int64_t ps_serve_grpc_deadline_ns(const struct ps_serve_call *c);
/* ps_serve_grpc_streams says whether the call came by a stream of requests. */
bool ps_serve_grpc_streams(const struct ps_serve_call *c);
/* ps_serve_grpc_notify tells those who watch the server's health what it is now. */
void ps_serve_grpc_notify(struct ps_serve_io *io);

/* call.c */
/* ps_serve_call_new makes a call in `arena`; NULL without memory. */
struct ps_serve_call *ps_serve_call_new(struct ps_serve_io *io, enum ps_serve_wire wire,
					struct ps_arena *arena);
/* ps_serve_call_begin counts a call that is whole: the I/O thread waits for its end. */
void ps_serve_call_begin(struct ps_serve_call *c);
/* ps_serve_needs_key says whether a route is only for those who say who they are. */
bool ps_serve_needs_key(enum ps_oip_route route);
/* Who asks, by what came with the request. */
struct ps_serve_claim {
	const char *address;			/* of the peer, without its port */
	const char *authorization;		/* NULL: none */
	const struct ps_net_identity *identity; /* NULL: none */
};
/* ps_serve_authenticate finds c->tenant: by the key when there is one, else by the certificate.
 * PS_EUNAUTH, PS_EQUOTA (too many wrong keys from there); c->err and headers are set. */
enum ps_status ps_serve_authenticate(struct ps_serve_call *c, const struct ps_serve_claim *claim);
/* ps_serve_find_model resolves c->target into c->model for c->tenant, and c->instance when `hold`
 * (held then; PS_OK without one never comes). PS_EINVAL or PS_ENOTFOUND in the words that clients
 * know, PS_EUNAVAIL while it loads. Takes s->lock. */
enum ps_status ps_serve_find_model(struct ps_serve_call *c, bool hold);
/* ps_serve_route answers anything but infer; c->tenant is known where the route needs one. */
void ps_serve_route(struct ps_serve_call *c);
/* ps_serve_sent ends a call: its answer went to the kernel (PS_OK) or nowhere. */
void ps_serve_sent(struct ps_serve_call *c, enum ps_status status, int64_t done_ns);
/* ps_serve_domain returns the domain of a tenant in the repository. */
int ps_serve_domain(const struct ps_tenancy *t, int tenant);

/* ps_serve_wait_for_model parks a call whose model is not HERE until it is; then `again` is called,
 * on the call's I/O thread, or it is refused. False: there is nothing to wait for, answer it.
 * [memory.c] */
bool ps_serve_wait_for_model(struct ps_serve_call *c, void (*again)(struct ps_serve_call *c));

/* infer.c */
/* ps_serve_set_times puts what the call says about time into c->d; ps_serve_set_tick sees to it
 * that dispatch's next tick is not missed. */
void ps_serve_set_times(struct ps_serve_call *c);
void ps_serve_set_tick(struct ps_serve_io *io, int64_t at_ns);
void ps_serve_infer(struct ps_serve_call *c);
void ps_serve_infer_gone(struct ps_serve_call *c);
void ps_serve_tick(struct ps_evloop_timer *t, int64_t now_ns);
void ps_serve_probe_wake(struct ps_evloop_timer *t, int64_t now_ns);
void ps_serve_exec_callbacks(struct ps_serve *s, struct ps_exec_callbacks *ret_callbacks);

/* decode.c */
/* ps_serve_parse reads the body or message into c->oip (gRPC: and c->target). */
enum ps_status ps_serve_parse(struct ps_serve_call *c);
/* ps_serve_decode matches c->oip with c->instance: inputs, wanted outputs, rows, shape. */
enum ps_status ps_serve_decode(struct ps_serve_call *c);

/* batch.c */
/* ps_serve_batch_task prepares the run of a batch that has become RUNNING. Under s->lock, so that
 * whoever cancels it finds it whole. */
struct ps_exec_task *ps_serve_batch_task(struct ps_serve *s, struct ps_dispatch_batch *b);
/* ps_serve_batch_cancel stops it. Under s->lock, while it is RUNNING. */
void ps_serve_batch_cancel(struct ps_dispatch_batch *b);
void ps_serve_shared_unref(struct ps_serve_shared *shared);
static inline struct ps_serve_call *ps_serve_call_of(struct ps_dispatch_request *r)
{
	return (struct ps_serve_call *)((char *)r - offsetof(struct ps_serve_call, d));
}

/* server.c */
/* ps_serve_new makes a server that has done nothing yet; `options` are borrowed. PS_ENOMEM.
 * ps_serve_free ends whatever of it was begun; NULL is fine. */
enum ps_status ps_serve_new(const struct ps_serve_options *options, struct ps_serve **ret_server,
			    struct ps_error *err);
void ps_serve_free(struct ps_serve *s);
/* The steps of a start that nobody outside notices: ps_serve_configure reads the
 * configuration, ps_serve_start_runs goes to its CPUs (all threads from now on) and starts lanes.
 */
enum ps_status ps_serve_configure(struct ps_serve *s, struct ps_error *err);
enum ps_status ps_serve_start_runs(struct ps_serve *s, struct ps_error *err);
/* ps_serve_loaded is called on I/O thread 0 once everything wanted at start is loaded or failed.
 * ps_serve_write_error_line says in place of the ready line why there is none. [ready.c] */
void ps_serve_loaded(struct ps_serve *s);
void ps_serve_write_error_line(struct ps_serve *s, const struct ps_error *err);
/* ps_serve_drained is called there once no connection is left after draining. */
void ps_serve_drained(struct ps_serve *s);
/* ps_serve_fail ends the server with an error. I/O thread 0. */
void ps_serve_fail(struct ps_serve *s, const struct ps_error *err);
/* ps_serve_reload reads the configuration again (SIGHUP). I/O thread 0. [reload.c] */
void ps_serve_reload(struct ps_serve *s);
/* ps_serve_reload_notify says that something has happened that a reload may wait for: a model was
 * loaded, an I/O thread has taken a configuration up. I/O threads. [reload_wait.c] */
void ps_serve_reload_notify(struct ps_serve *s);

#endif
