/* serve_internal.h - what the files of serve/ share.   Layer 5.
 *
 *	config.c   the configuration and its checks -> tenancy and repo
 *	models.c   engines, loading in the background, warm-up
 *	server.c   start, signals, draining, the ready line
 *	handler.c  from a request's head to its route; everything but infer
 *	infer.c    the path of an inference: I/O thread -> lane -> I/O thread
 */
#ifndef PS_SERVE_SERVE_INTERNAL_H
#define PS_SERVE_SERVE_INTERNAL_H

#include "dispatch/dispatch.h"
#include "engine/engine.h"
#include "evloop/evloop.h"
#include "exec/exec.h"
#include "net/net.h"
#include "oip/oip.h"
#include "serve/serve.h"

#include <pthread.h>

enum { PS_SERVE_MAX_ENGINES = 4 };

/* A loaded model. Written by the loading thread before the model becomes READY, then constant. */
struct ps_serve_instance {
	const struct ps_engine_ops *ops;
	struct ps_engine_instance *instance; /* NULL: not open */
	struct ps_engine_describe describe;
	struct ps_engine_memory memory;
};

struct ps_serve_engine {
	const struct ps_engine_ops *ops;
	struct ps_engine *engine;
};

/* The load under way. The thread owns `status` and `err` until it posts `done`. */
struct ps_serve_load {
	pthread_t thread;
	bool running; /* a thread has to be joined */
	int model;
	enum ps_status status;
	struct ps_error err;
	struct ps_evloop_task done;
};

/* The server. Everything belongs to the I/O thread but `dispatch`, which is guarded by `lock`;
 * lanes touch only that and the calls that they run. */
struct ps_serve {
	const struct ps_serve_options *options;
	const struct ps_serve_config *config;
	struct ps_tenancy *tenancy;
	struct ps_repo *repo; /* states change on the I/O thread only, under `lock` */
	pthread_mutex_t lock;
	struct ps_dispatch *dispatch;
	struct ps_evloop *loop;
	struct ps_net_server *net;
	struct ps_exec *exec;
	struct ps_serve_engine engines[PS_SERVE_MAX_ENGINES];
	struct ps_serve_instance *instances; /* by model number */
	struct ps_serve_load load;
	int width;     /* threads of a wide run; 1: narrow */
	int in_flight; /* requests that dispatch has admitted and that are not answered */
	int ready_fd;
	bool draining, closing;
	struct ps_evloop_timer tick, drain_timer;
	struct ps_evloop_signals signals;
	enum ps_status result;
	struct ps_error result_err;
};

/* One request, in its arena. The I/O thread's, except between dispatch's RUN and finish: then
 * `task`, `run`, `outputs` and the arena are the lane's. */
struct ps_serve_call {
	struct ps_serve *server;
	struct ps_net_request *net;
	struct ps_oip_target target;
	int tenant, model;	/* -1: none */
	enum ps_status refused; /* found out at the head, answered once the body is here */
	struct ps_error err;
	struct ps_dispatch_request d;
	struct ps_exec_task task;
	struct ps_engine_run run;
	struct ps_evloop_task completion;
	struct ps_oip_request oip;
	struct ps_tensor inputs[PS_MODEL_MAX_TENSORS];
	struct ps_tensor outputs[PS_MODEL_MAX_TENSORS];
	int wanted[PS_MODEL_MAX_TENSORS];
	bool binary[PS_MODEL_MAX_TENSORS];
	int n_wanted;
	struct ps_net_header headers[4];
	int n_headers;
	char timing[96], retry_after[24];
};

/* config.c */
enum ps_status ps_serve_make_tenancy(const struct ps_serve_config *c,
				     struct ps_tenancy **ret_tenancy, struct ps_error *err);
enum ps_status ps_serve_make_repo(const struct ps_serve_options *o, struct ps_repo **ret_repo,
				  struct ps_error *err);
/* ps_serve_split_listen cuts "host:port" or "[v6]:port". PS_EINVAL. */
enum ps_status ps_serve_split_listen(const char *text, char host[PS_NET_HOST_SIZE],
				     uint16_t *ret_port, struct ps_error *err);

/* models.c */
enum ps_status ps_serve_start_engines(struct ps_serve *s, struct ps_error *err);
/* ps_serve_load performs a LOAD action in the background; NOTHING is fine. */
void ps_serve_load(struct ps_serve *s, struct ps_dispatch_action action);
void ps_serve_close_models(struct ps_serve *s);

/* server.c */
/* ps_serve_loaded is called on the I/O thread when no model is left to load. */
void ps_serve_loaded(struct ps_serve *s);
/* ps_serve_fail ends the server with an error. */
void ps_serve_fail(struct ps_serve *s, const struct ps_error *err);
/* ps_serve_answered is called for each admitted request once it is answered. */
void ps_serve_answered(struct ps_serve *s);

/* handler.c */
void ps_serve_handler(struct ps_serve *s, struct ps_net_handler *ret_handler);
void ps_serve_add_header(struct ps_serve_call *c, const char *name, const char *value);
/* ps_serve_refuse answers with call->err. */
void ps_serve_refuse(struct ps_serve_call *c);
/* ps_serve_sent is the on_done of every answer. */
void ps_serve_sent(void *ctx, struct ps_net_request *r, enum ps_status status, int64_t done_ns);

/* infer.c */
void ps_serve_infer(struct ps_serve_call *c);
void ps_serve_infer_gone(struct ps_serve_call *c);
/* ps_serve_tick performs what deadlines demand and sets the timer anew. */
void ps_serve_tick(struct ps_evloop_timer *t, int64_t now_ns);
void ps_serve_exec_callbacks(struct ps_serve *s, struct ps_exec_callbacks *ret_callbacks);

#endif
