/* oip.h - the Open Inference Protocol (version 2): routes, infer over HTTP with the binary tensor
 * extension, health and metadata, both ways: bytes <-> structs, no sockets.   Layer 2. Uses base
 * and model. (gRPC's messages: grpc.h; repository, statistics, configuration: admin.h.)
 *
 * Pure functions; any thread. What a parser returns points into the body that it was given and
 * into the arena, and lives as long as both. The body may be written to (texts with escapes are
 * decoded in place). Binary tensors are not copied: they are aligned as they lie in the body (net
 * places them so that the first one is aligned to 64 bytes); one whose element size its place does
 * not suit is copied into the arena, aligned.
 *
 * JSON is RFC 8259 with UTF-8 checked, and with one addition in tensor data, both ways: the tokens
 * NaN, Infinity and -Infinity, as Python's json module and Triton write and read them (null would
 * lose which of the three it was; a client that computes infinities should use binary data).
 *
 * Limits: nesting 100, PS_MODEL_MAX_TENSORS inputs and outputs each, PS_TENSOR_MAX_RANK dimensions,
 * names under PS_TENSOR_MAX_NAME bytes, 64 parameters per object, an id of 1,024 bytes. Elements of
 * a JSON tensor are bounded by its text: memory is at most 8 bytes per 2 of text.
 *
 * Errors of the parsers: PS_EPARSE (not JSON; `where` says the byte offset), PS_EINVAL (a wrong
 * value), PS_ETOOBIG (over a limit), PS_ENOMEM.
 */
#ifndef PS_OIP_OIP_H
#define PS_OIP_OIP_H

#include "base/arena.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "model/model.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
	PS_OIP_MAX_DEPTH = 100,
	PS_OIP_MAX_PARAMETERS = 64,
	PS_OIP_MAX_ID = 1024,
	PS_OIP_MAX_EXTENSIONS = 64,
	PS_OIP_MAX_VERSIONS = 1024,
	PS_OIP_VERSION_SIZE = 64,
	PS_OIP_PATH_SIZE = 1024,
};

/* Name of the header that says how long the JSON before the binary tensors is. */
#define PS_OIP_JSON_BYTES_HEADER "Inference-Header-Content-Length"

/* What a small message is written as: the JSON of HTTP or the protobuf of gRPC. */
enum ps_oip_form {
	PS_OIP_JSON,
	PS_OIP_PROTOBUF,
};

/* --- what is asked for: one list of routes for HTTP and gRPC --- */

enum ps_oip_route {
	PS_OIP_NONE,
	PS_OIP_LIVE,		 /* GET v2/health/live, ServerLive */
	PS_OIP_READY,		 /* GET v2/health/ready, ServerReady */
	PS_OIP_SERVER_METADATA,	 /* GET v2, ServerMetadata */
	PS_OIP_MODEL_METADATA,	 /* GET v2/models/M[/versions/V], ModelMetadata */
	PS_OIP_MODEL_READY,	 /* GET v2/models/M[/versions/V]/ready, ModelReady */
	PS_OIP_INFER,		 /* POST v2/models/M[/versions/V]/infer, ModelInfer */
	PS_OIP_MODEL_CONFIG,	 /* GET v2/models/M[/versions/V]/config, ModelConfig */
	PS_OIP_STATISTICS,	 /* GET v2/models[/M[/versions/V]]/stats, ModelStatistics; without a
				  * model (target.model ""): all that the caller may see */
	PS_OIP_REPOSITORY_INDEX, /* POST v2/repository[/R]/index, RepositoryIndex */
	PS_OIP_LOAD,		 /* POST v2/repository[/R]/models/M/load, RepositoryModelLoad */
	PS_OIP_UNLOAD,		 /* POST v2/repository[/R]/models/M/unload, ..Unload */
	/* Perseus' own, HTTP only. */
	PS_OIP_OPERATOR_RELOAD,	 /* POST v2/perseus/reload: read the configuration file again */
	PS_OIP_OPERATOR_STATUS,	 /* GET v2/perseus/status: lanes, queues, memory, loads */
	PS_OIP_OPERATOR_TENANTS, /* GET v2/perseus/tenants[/T]: agreements and use; T in model */
	PS_OIP_OPERATOR_USAGE,	 /* GET v2/perseus/usage?tenant=&model=&from=&to=: ledger rows */
	PS_OIP_OPERATOR_BILL,	 /* GET v2/perseus/bill?tenant=&from=&to=: sums of the ledger */
	/* gRPC only. */
	PS_OIP_INFER_STREAM,	   /* ModelStreamInfer, both ways a stream */
	PS_OIP_HEALTH_CHECK,	   /* grpc.health.v1.Health/Check */
	PS_OIP_HEALTH_WATCH,	   /* grpc.health.v1.Health/Watch, a stream of answers */
	PS_OIP_REFLECTION,	   /* grpc.reflection.v1.ServerReflection, both ways a stream */
	PS_OIP_REFLECTION_V1ALPHA, /* the same messages under their older name */
	PS_OIP_ROUTE_COUNT
};

/* ps_oip_route_name returns a stable identifier for logs and metrics, such as "model_infer". */
const char *ps_oip_route_name(enum ps_oip_route route);
/* ps_oip_route_names_model says whether requests of this route are about one model (STATISTICS:
 * may be). */
bool ps_oip_route_names_model(enum ps_oip_route route);
/* ps_oip_route_is_operator says whether the route is one of v2/perseus/. */
bool ps_oip_route_is_operator(enum ps_oip_route route);

struct ps_oip_target {
	enum ps_oip_route route;
	char model[PS_TENSOR_MAX_NAME];	      /* percent-decoded, "" when there is none; of
					       * OPERATOR_TENANTS the tenant */
	char version[PS_OIP_VERSION_SIZE];    /* "" when not given */
	char repository[PS_OIP_VERSION_SIZE]; /* R of the repository's routes, "" when not given */
};

/* ps_oip_parse_path finds what a request line asks for. HEAD counts as GET; one slash at the end
 * is forgiven; a query is passed over. Names are checked by ps_oip_check_name. PS_ENOTFOUND "Not
 * Found", PS_EMETHOD "Method Not Allowed" (route is then set all the same, for ps_oip_allowed),
 * PS_EINVAL (a bad percent sequence, a bad name or one too long). After an error model, version
 * and repository are "". */
enum ps_status ps_oip_parse_path(const char *method, const char *path,
				 struct ps_oip_target *ret_target, struct ps_error *err);
/* ps_oip_check_name refuses what could leave the folder of a repository or spoil a log line: an
 * empty name, "." and "..", slashes and backslashes, control characters, bytes that are not UTF-8.
 * `what` says what kind of name it is. PS_EINVAL. */
enum ps_status ps_oip_check_name(const char *what, const char *name, size_t n,
				 struct ps_error *err);
/* ps_oip_allowed returns the methods of a route for the Allow: header, "GET, HEAD" or "POST". */
const char *ps_oip_allowed(enum ps_oip_route route);
/* ps_oip_build_path writes "/v2/models/M/versions/V/infer", percent-encoded, for `t`, whose route
 * is one of HTTP's. PS_EINVAL, PS_ETOOBIG. */
enum ps_status ps_oip_build_path(const struct ps_oip_target *t, char buf[PS_OIP_PATH_SIZE],
				 struct ps_error *err);
/* ps_oip_query_get finds `key` in "a=1&b=2" (NULL: nothing there) and copies its value, decoded
 * ('+' is a blank). PS_ENOTFOUND when it is absent (`err` untouched), PS_EINVAL (percent sequence,
 * NUL), PS_ETOOBIG when buf is too small. */
enum ps_status ps_oip_query_get(const char *query, const char *key, char *buf, size_t size,
				struct ps_error *err);

/* --- infer, the server's side --- */

enum ps_oip_parameter_type {
	PS_OIP_BOOL,
	PS_OIP_INT,
	PS_OIP_REAL, /* and integers beyond int64_t */
	PS_OIP_TEXT,
};

struct ps_oip_parameter {
	const char *name;
	enum ps_oip_parameter_type type;
	bool boolean;
	int64_t integer; /* INT; for REAL unused */
	double real;	 /* REAL, and INT as well */
	const char *text;
};

/* An output that the client asks for. */
struct ps_oip_output {
	const char *name;
	bool binary; /* its own binary_data, else the request's binary_data_output, else false;
		      * gRPC: always true */
};

struct ps_oip_request {
	const char *id; /* NULL when absent */
	struct ps_tensor *inputs;
	int n_inputs;
	struct ps_oip_output *outputs; /* n_outputs == 0: all outputs of the model, ... */
	int n_outputs;
	bool binary_output;		     /* ... in this form */
	struct ps_oip_parameter *parameters; /* of the request, binary_data_output left out */
	int n_parameters;
	int64_t timeout_us; /* parameter "timeout"; 0: none */
	uint64_t priority;  /* parameter "priority"; 0: default, 1: highest */
	bool raw; /* Inference-Header-Content-Length: 0. inputs[0] holds the bytes without name,
		   * type and shape: ps_oip_resolve_raw gives it those of the model */
};

/* ps_oip_parse_request reads an infer request. `json_bytes` is the value of the header
 * Inference-Header-Content-Length, -1 when it is absent (then all of the body is JSON), 0 for a raw
 * binary request. Names, types and shapes are not compared with any model: ps_oip_match does. */
enum ps_status ps_oip_parse_request(void *body, size_t body_bytes, int64_t json_bytes,
				    struct ps_arena *arena, struct ps_oip_request *ret_request,
				    struct ps_error *err);

/* ps_oip_resolve_raw makes the one input of a raw request a tensor of the model's one input: a
 * first dimension of -1 becomes 1, one other dimension of -1 follows from the size. Does nothing
 * when the request is not raw. PS_EINVAL when the model has several inputs, the shape stays
 * unknown or the bytes do not fit it. BYTES: one element, the whole body, its length put before. */
enum ps_status ps_oip_resolve_raw(struct ps_oip_request *r, const struct ps_tensor_spec *inputs,
				  int n_inputs, struct ps_arena *arena, struct ps_error *err);

/* ps_oip_match puts the inputs of `r` into the order of the model's `specs` and checks each
 * (ps_tensor_check): ret_inputs[0..n_specs). PS_EINVAL for an unknown, missing or doubled input,
 * and for the wrong type or shape. Raw requests must be resolved first. */
enum ps_status ps_oip_match(const struct ps_oip_request *r, const struct ps_tensor_spec *specs,
			    int n_specs, struct ps_tensor *ret_inputs, struct ps_error *err);

/* ps_oip_select says which of the model's outputs are wanted and how: ret_index[k] is the place in
 * `specs` of the k-th wanted output, ret_binary[k] its form, in the order of the request (all, in
 * the model's order, when it names none). Both arrays hold PS_MODEL_MAX_TENSORS. PS_EINVAL for an
 * unknown or doubled output. */
enum ps_status ps_oip_select(const struct ps_oip_request *r, const struct ps_tensor_spec *specs,
			     int n_specs, int *ret_index, bool *ret_binary, int *ret_n,
			     struct ps_error *err);

struct ps_oip_response {
	const char *model_name;
	const char *model_version; /* NULL: left out */
	const char *id;		   /* NULL: left out */
	const struct ps_tensor *outputs;
	const bool *binary; /* per output */
	int n_outputs;
};

/* A body ready to send: pieces in the arena and, for binary tensors, in the tensors themselves. */
struct ps_oip_message {
	struct iovec *pieces;
	size_t n_pieces;
	size_t bytes;	    /* of all pieces */
	int64_t json_bytes; /* value of Inference-Header-Content-Length; -1: no such header */
	const char *json_bytes_text; /* the same as text, in the arena; "" when -1 */
	const char *content_type;    /* "application/json" or "application/octet-stream" */
};

/* ps_oip_build_response writes an infer response. Binary outputs are referred to, not copied: they
 * must live until the message is sent. PS_EINVAL for an FP16 or BF16 output as JSON, for bytes that
 * do not agree with the shape and for BYTES that are no sequence of lengths and bytes; PS_ENOMEM.
 * BYTES that are not UTF-8 cannot be JSON: PS_EINVAL with the advice to ask for binary. */
enum ps_status ps_oip_build_response(const struct ps_oip_response *r, struct ps_arena *arena,
				     struct ps_oip_message *ret_message, struct ps_error *err);

/* ps_oip_build_error appends {"error":"..."}: what the error says and, in brackets, its hint. */
void ps_oip_build_error(const struct ps_error *e, struct ps_strbuf *out);
/* ps_oip_error_text writes the same text bare, for grpc-message; cut at `size`; returns buf. */
const char *ps_oip_error_text(const struct ps_error *e, char *buf, size_t size);
/* ps_oip_build_string appends `text` as a JSON string; bytes that are not UTF-8 become '?'. */
void ps_oip_build_string(const char *text, struct ps_strbuf *out);

/* --- live, ready, metadata: the same structs for both forms --- */

struct ps_oip_server_metadata {
	const char *name, *version;
	const char *const *extensions;
	int n_extensions;
};

struct ps_oip_model_metadata {
	const char *name;
	const char *const *versions;
	int n_versions;
	const char *platform;
	const struct ps_tensor_spec *inputs, *outputs;
	int n_inputs, n_outputs;
};

/* The extensions that Perseus has, for ps_oip_server_metadata. */
extern const char *const ps_oip_extensions[];
extern const int ps_oip_n_extensions;

/* Each appends one whole message; failures show in ps_strbuf_status. As JSON {"live":true},
 * {"ready":true} and {"name":"...","ready":true}. */
void ps_oip_build_live(bool live, enum ps_oip_form form, struct ps_strbuf *out);
void ps_oip_build_ready(bool ready, enum ps_oip_form form, struct ps_strbuf *out);
void ps_oip_build_model_ready(const char *name, bool ready, enum ps_oip_form form,
			      struct ps_strbuf *out);
void ps_oip_build_server_metadata(const struct ps_oip_server_metadata *m, enum ps_oip_form form,
				  struct ps_strbuf *out);
void ps_oip_build_model_metadata(const struct ps_oip_model_metadata *m, enum ps_oip_form form,
				 struct ps_strbuf *out);

/* --- infer, the client's side --- */

struct ps_oip_infer {
	const char *id; /* NULL: left out */
	const struct ps_tensor *inputs;
	int n_inputs;
	bool binary_inputs;		     /* as binary data, else as JSON */
	const struct ps_oip_output *outputs; /* n_outputs == 0: all, in the form of ... */
	int n_outputs;
	bool binary_output;
	int64_t timeout_us; /* 0: left out */
	uint64_t priority;  /* 0: left out */
};

/* ps_oip_build_request writes an infer request. Errors and life of the tensors as for
 * ps_oip_build_response. */
enum ps_status ps_oip_build_request(const struct ps_oip_infer *r, struct ps_arena *arena,
				    struct ps_oip_message *ret_message, struct ps_error *err);

struct ps_oip_reply {
	const char *model_name;	   /* NULL when absent */
	const char *model_version; /* NULL when absent */
	const char *id;		   /* NULL when absent */
	struct ps_tensor *outputs;
	int n_outputs;
};

/* ps_oip_parse_response reads an infer response (HTTP status 200); `json_bytes` as above. */
enum ps_status ps_oip_parse_response(void *body, size_t body_bytes, int64_t json_bytes,
				     struct ps_arena *arena, struct ps_oip_reply *ret_reply,
				     struct ps_error *err);
/* ps_oip_parse_error copies the text of {"error": "..."} into `buf`, cut at `size`, or says what
 * came instead; returns buf. For a status other than 200. */
const char *ps_oip_parse_error(const void *body, size_t body_bytes, char *buf, size_t size);
/* ps_oip_parse_server_metadata reads the body of GET v2. */
enum ps_status ps_oip_parse_server_metadata(const void *body, size_t body_bytes,
					    struct ps_arena *arena,
					    struct ps_oip_server_metadata *ret_metadata,
					    struct ps_error *err);
/* ps_oip_parse_model_metadata reads the body of GET v2/models/M; unknown keys are passed over. */
enum ps_status ps_oip_parse_model_metadata(const void *body, size_t body_bytes,
					   struct ps_arena *arena,
					   struct ps_oip_model_metadata *ret_metadata,
					   struct ps_error *err);

#endif
