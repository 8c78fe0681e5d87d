/* grpc.h - the messages of the Open Inference Protocol over gRPC, and those of gRPC's health and
 * reflection services: protobuf <-> the structs of oip.h and admin.h.   Layer 2. Uses base and
 * model. Framing, deadlines and trailers are net's.
 *
 * Pure functions; any thread. ModelInferRequest is read by walking its fields: names, shapes and
 * raw contents are borrowed from the message, which is changed (texts get their NUL in the byte
 * that held their length; a tensor whose place does not suit its type moves down by a few bytes or,
 * when there is no room, is copied into the arena). Typed contents are converted into the arena. A
 * message can therefore be read once. Small messages are read and written with protobuf-c.
 *
 * Limits, besides those of oip.h: shapes, parameters and tensors as there; nesting as deep as the
 * messages of the protocol are (unknown fields are skipped, not entered; groups are refused);
 * memory at most 8 bytes per byte of the message.
 *
 * Errors of the parsers: PS_EPARSE (not protobuf, or not this message), PS_EINVAL, PS_EUNSUPPORTED
 * (shared memory, classification), PS_ETOOBIG, PS_ENOMEM.
 */
#ifndef PS_OIP_GRPC_H
#define PS_OIP_GRPC_H

#include "oip/admin.h"
#include "oip/oip.h"

/* Largest small message (anything but infer) that is read. */
#define PS_OIP_MAX_SMALL_MESSAGE (1 << 20)

/* ps_oip_grpc_parse_path turns "/inference.GRPCInferenceService/ModelInfer" into its route.
 * PS_EUNSUPPORTED (gRPC UNIMPLEMENTED) for an unknown service or method. */
enum ps_status ps_oip_grpc_parse_path(const char *path, enum ps_oip_route *ret_route,
				      struct ps_error *err);
/* ps_oip_grpc_path returns the :path of a route, NULL when gRPC has none for it. */
const char *ps_oip_grpc_path(enum ps_oip_route route);
/* ps_oip_grpc_client_streams says whether a call of this route may carry several requests (then
 * the answers are a stream as well); else it carries exactly one. HEALTH_WATCH: one request, a
 * stream of answers. */
bool ps_oip_grpc_client_streams(enum ps_oip_route route);

/* --- infer --- */

/* ps_oip_grpc_parse_infer reads a ModelInferRequest into the same struct as HTTP's requests, and
 * the model's name and version into ret_target (its route is left alone). Every output counts as
 * binary. Names, types and shapes are not compared with any model: ps_oip_match does. `message` may
 * be NULL when n is 0. */
enum ps_status ps_oip_grpc_parse_infer(void *message, size_t n, struct ps_arena *arena,
				       struct ps_oip_target *ret_target,
				       struct ps_oip_request *ret_request, struct ps_error *err);

/* ps_oip_grpc_build_infer writes a ModelInferResponse whose contents are all raw, one per output in
 * order (`binary` of the response is not looked at). Tensors are referred to, not copied: they must
 * live until the message is sent. With `stream` it is wrapped as a ModelStreamInferResponse.
 * PS_EINVAL for bytes that do not agree with the shape, PS_ENOMEM. */
enum ps_status ps_oip_grpc_build_infer(const struct ps_oip_response *r, bool stream,
				       struct ps_arena *arena, struct ps_oip_message *ret_message,
				       struct ps_error *err);
/* ps_oip_grpc_build_stream_error appends a ModelStreamInferResponse that says what went wrong with
 * one request of a stream, and carries its id (NULL: none). */
void ps_oip_grpc_build_stream_error(const struct ps_error *e, const char *id,
				    struct ps_strbuf *out);

/* --- small requests --- */

/* ps_oip_grpc_parse_target reads the request message of LIVE, READY, SERVER_METADATA,
 * MODEL_METADATA, MODEL_READY, MODEL_CONFIG, STATISTICS, HEALTH_CHECK or HEALTH_WATCH: model and
 * version (health: the service's name in model). Names are checked as in paths; all but STATISTICS
 * and health need one. */
enum ps_status ps_oip_grpc_parse_target(enum ps_oip_route route, const void *message, size_t n,
					struct ps_oip_target *ret_target, struct ps_error *err);
/* ps_oip_grpc_parse_repository reads that of REPOSITORY_INDEX, LOAD or UNLOAD. */
enum ps_status ps_oip_grpc_parse_repository(enum ps_oip_route route, const void *message, size_t n,
					    struct ps_arena *arena,
					    struct ps_oip_target *ret_target,
					    struct ps_oip_repository_request *ret_request,
					    struct ps_error *err);

/* --- health and reflection --- */

/* Values of HealthCheckResponse.ServingStatus. */
enum ps_oip_serving {
	PS_OIP_SERVING_UNKNOWN = 0,
	PS_OIP_SERVING = 1,
	PS_OIP_NOT_SERVING = 2,
	PS_OIP_SERVICE_UNKNOWN = 3, /* only Watch answers so; Check fails with NOT_FOUND */
};

/* ps_oip_grpc_build_health appends a HealthCheckResponse. */
void ps_oip_grpc_build_health(enum ps_oip_serving status, struct ps_strbuf *out);
/* ps_oip_grpc_is_service says whether a name that a health check asks about is "" (the server) or
 * one of the services here. */
bool ps_oip_grpc_is_service(const char *name);

/* ps_oip_grpc_reflect answers one ServerReflectionRequest by one ServerReflectionResponse, appended
 * to `out`; the same for v1 and v1alpha. What is not found is an answer too (its error_response).
 * PS_EPARSE, PS_ETOOBIG. */
enum ps_status ps_oip_grpc_reflect(const void *message, size_t n, struct ps_strbuf *out,
				   struct ps_error *err);

/* --- the client's side --- */

/* ps_oip_grpc_build_request writes a ModelInferRequest with raw contents; `target` names model and
 * version. Errors and life of the tensors as for ps_oip_grpc_build_infer. */
enum ps_status ps_oip_grpc_build_request(const struct ps_oip_target *target,
					 const struct ps_oip_infer *r, struct ps_arena *arena,
					 struct ps_oip_message *ret_message, struct ps_error *err);
/* ps_oip_grpc_parse_response reads a ModelInferResponse, raw or typed, as ps_oip_grpc_parse_infer
 * reads requests. */
enum ps_status ps_oip_grpc_parse_response(void *message, size_t n, struct ps_arena *arena,
					  struct ps_oip_reply *ret_reply, struct ps_error *err);
/* ps_oip_grpc_unwrap_stream opens a ModelStreamInferResponse: ret_response points to the
 * ModelInferResponse inside (NULL: none), ret_text gets its error_message, cut at `size` (> 0) and
 * without control characters ("": none). One of them is there, else PS_EPARSE. Changes nothing. */
enum ps_status ps_oip_grpc_unwrap_stream(const void *message, size_t n, const void **ret_response,
					 size_t *ret_n, char *ret_text, size_t size,
					 struct ps_error *err);
/* ps_oip_grpc_find_raw says where the raw contents of a ModelInferResponse lie, in order, and
 * returns how many there are; -1 when it is malformed or has over `max`. Changes nothing. */
int ps_oip_grpc_find_raw(const void *message, size_t n, struct iovec *ret_raw, int max);

/* ps_oip_grpc_build_target appends the request message of MODEL_METADATA, MODEL_READY,
 * MODEL_CONFIG or STATISTICS (they are alike): name and version. */
void ps_oip_grpc_build_target(const struct ps_oip_target *target, struct ps_strbuf *out);
/* ps_oip_grpc_parse_model_metadata reads a ModelMetadataResponse; its texts live in `arena`.
 * Limits and errors as for ps_oip_parse_model_metadata (and PS_OIP_MAX_SMALL_MESSAGE). */
enum ps_status ps_oip_grpc_parse_model_metadata(const void *message, size_t n,
						struct ps_arena *arena,
						struct ps_oip_model_metadata *ret_metadata,
						struct ps_error *err);

#endif
