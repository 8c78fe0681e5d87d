/* target_spec.h - what a tenant asks for beyond one model at one URL.   Layer 3.
 *
 * Part of struct ps_load_tenant; all zero means HTTP/1.1 with binary tensors, one server, one model
 * and made-up inputs. Texts and arrays are borrowed for the time of the run.
 */
#ifndef PS_LOAD_TARGET_SPEC_H
#define PS_LOAD_TARGET_SPEC_H

#include <stdbool.h>
#include <stddef.h>

#define PS_LOAD_MAX_REPLICAS 16
#define PS_LOAD_MAX_MIX	     64	   /* models or batch sizes of one tenant */
#define PS_LOAD_MAX_FILES    65536 /* of inputs, and of expected outputs, of one tenant */
#define PS_LOAD_MAX_STREAMS  4096  /* of one connection */
#define PS_LOAD_DEF_STREAMS  32	   /* of one connection of HTTP/2 or gRPC, when not given */
#define PS_LOAD_MAX_WORKERS  256   /* threads of one tenant that runs a model in this process */

enum ps_load_protocol {
	PS_LOAD_HTTP1 = 0,
	PS_LOAD_HTTP2,	     /* prior knowledge in the clear, ALPN under TLS */
	PS_LOAD_GRPC,	     /* ModelInfer */
	PS_LOAD_GRPC_STREAM, /* ModelStreamInfer: one stream per slot, open for the whole run */
};

/* ps_load_protocol_name returns "http", "http2", "grpc" or "grpc-stream". */
const char *ps_load_protocol_name(enum ps_load_protocol p);

enum ps_load_balance {
	PS_LOAD_ROUND_ROBIN = 0,
	PS_LOAD_LEAST_OUTSTANDING, /* fewest unanswered; the first one after the last used wins */
};

struct ps_load_tls {
	const char *ca_path;	      /* PEM; NULL: the system's list */
	const char *certificate_path; /* PEM, the client's own; NULL: none */
	const char *key_path;
	const char *server_name; /* NULL: the host of the URL */
	bool insecure;		 /* trust everybody */
};

/* One kind of request of a mix. */
struct ps_load_mix_item {
	const char *model;
	const char *version; /* NULL: the server's choice */
	int batch;	     /* 0: the tenant's */
	double weight;	     /* > 0 */
};

/* Data of one tensor, *.npy or raw bytes as on the wire. */
struct ps_load_file {
	const char *tensor; /* NULL: the model's only one */
	const char *path;
};

struct ps_load_target_spec {
	const char *const *more_urls; /* further replicas of `url`, with the same models */
	size_t more_url_len;
	enum ps_load_balance balance;
	enum ps_load_protocol protocol;
	int streams; /* of one connection at once; 0: PS_LOAD_DEF_STREAMS (HTTP/1.1: always 1). In
		      * this process: its workers; 0: ps_load_open_workers, or one per user */
	struct ps_load_tls tls;
	const char *in_process; /* a model's file or a name of the zoo, run in this process: then
				 * there are no URLs, models and keys */
	const struct ps_load_mix_item *mix; /* none: the tenant's model, version and batch */
	size_t mix_len;
	/* Several files for one input are sent in turn; the k-th files of all inputs belong
	 * together. An input without a file is made up. */
	const struct ps_load_file *inputs;
	size_t input_len;
	const struct ps_load_file *expected; /* outputs: the k-th files belong to the k-th inputs */
	size_t expected_len;
	double tolerance;   /* of floating-point outputs: |a - b| <= tolerance * max(1, |b|) */
	double check_share; /* of the requests whose answers are compared, in (0, 1]; 0: all */
};

/* ps_load_open_workers: how many threads run an in-process model for an open loop that does not
 * say: as many as there are CPUs for the calling thread; more would only share them. */
int ps_load_open_workers(void);

#endif
