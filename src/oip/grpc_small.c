/* Methods of gRPC, small requests and health. */
#include "oip/proto_internal.h"

#include <string.h>

/* --- methods --- */

#define INFERENCE "/inference.GRPCInferenceService/"

static const struct method {
	enum ps_oip_route route;
	const char *path;
	bool streams; /* the client may send several requests */
} methods[] = {
	{PS_OIP_INFER, INFERENCE "ModelInfer", false},
	{PS_OIP_INFER_STREAM, INFERENCE "ModelStreamInfer", true},
	{PS_OIP_LIVE, INFERENCE "ServerLive", false},
	{PS_OIP_READY, INFERENCE "ServerReady", false},
	{PS_OIP_MODEL_READY, INFERENCE "ModelReady", false},
	{PS_OIP_SERVER_METADATA, INFERENCE "ServerMetadata", false},
	{PS_OIP_MODEL_METADATA, INFERENCE "ModelMetadata", false},
	{PS_OIP_MODEL_CONFIG, INFERENCE "ModelConfig", false},
	{PS_OIP_STATISTICS, INFERENCE "ModelStatistics", false},
	{PS_OIP_REPOSITORY_INDEX, INFERENCE "RepositoryIndex", false},
	{PS_OIP_LOAD, INFERENCE "RepositoryModelLoad", false},
	{PS_OIP_UNLOAD, INFERENCE "RepositoryModelUnload", false},
	{PS_OIP_HEALTH_CHECK, "/grpc.health.v1.Health/Check", false},
	{PS_OIP_HEALTH_WATCH, "/grpc.health.v1.Health/Watch", false},
	{PS_OIP_REFLECTION, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", true},
	{PS_OIP_REFLECTION_V1ALPHA,
	 "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", true},
};
enum { N_METHODS = sizeof methods / sizeof methods[0] };

static const struct method *method_of(enum ps_oip_route route)
{
	for (int i = 0; i < N_METHODS; i++)
		if (methods[i].route == route)
			return &methods[i];
	return NULL;
}

enum ps_status ps_oip_grpc_parse_path(const char *path, enum ps_oip_route *ret_route,
				      struct ps_error *err)
{
	for (int i = 0; i < N_METHODS; i++)
		if (strcmp(methods[i].path, path) == 0) {
			*ret_route = methods[i].route;
			return PS_OK;
		}
	return ps_error_set(err, PS_EUNSUPPORTED, "there is no method %.200s", path);
}

const char *ps_oip_grpc_path(enum ps_oip_route route)
{
	const struct method *m = method_of(route);
	return m ? m->path : NULL;
}

bool ps_oip_grpc_client_streams(enum ps_oip_route route)
{
	const struct method *m = method_of(route);
	return m && m->streams;
}

bool ps_oip_grpc_is_service(const char *name)
{
	size_t n = strlen(name);
	for (int i = 0; n > 0 && i < N_METHODS; i++)
		if (strncmp(methods[i].path + 1, name, n) == 0 && methods[i].path[1 + n] == '/')
			return true;
	return n == 0;
}

/* --- requests --- */

/* Copies a name that may be absent; `needed`: may not. */
static enum ps_status take_name(const char *name, const char *what, bool needed, char *buf,
				size_t size, struct ps_error *err)
{
	size_t n = name ? strlen(name) : 0;
	if (n == 0 && needed)
		return ps_error_set(err, PS_EINVAL, "the %s is missing", what);
	if (n >= size)
		return ps_error_set(err, PS_EINVAL, "the %s has over %zu bytes", what, size - 1);
	enum ps_status s = n > 0 ? ps_oip_check_name(what, name, n, err) : PS_OK;
	if (s == PS_OK)
		memcpy(buf, name ? name : "", n + 1);
	return s;
}

static void clear(struct ps_oip_target *t, enum ps_oip_route route)
{
	t->route = route;
	t->model[0] = t->version[0] = t->repository[0] = '\0';
}

/* ModelReady, ModelMetadata, ModelConfig and ModelStatistics have the same two fields. */
static enum ps_status parse_model(const void *message, size_t n, bool needed,
				  struct ps_oip_target *t, struct ps_arena *a, struct ps_error *err)
{
	Inference__ModelReadyRequest *p = NULL;
	enum ps_status s =
		ps_oip_unpack(&inference__model_ready_request__descriptor, message, n, a, &p, err);
	if (s == PS_OK)
		s = take_name(p->name, "model name", needed, t->model, sizeof t->model, err);
	if (s == PS_OK)
		s = take_name(p->version, "model version", false, t->version, sizeof t->version,
			      err);
	return s;
}

static enum ps_status parse_health(const void *message, size_t n, struct ps_oip_target *t,
				   struct ps_arena *a, struct ps_error *err)
{
	Grpc__Health__V1__HealthCheckRequest *p = NULL;
	enum ps_status s = ps_oip_unpack(&grpc__health__v1__health_check_request__descriptor,
					 message, n, a, &p, err);
	if (s != PS_OK)
		return s;
	return take_name(p->service, "service's name", false, t->model, sizeof t->model, err);
}

static enum ps_status parse_empty(const void *message, size_t n, struct ps_arena *a,
				  struct ps_error *err)
{
	Inference__ServerLiveRequest *p = NULL;
	return ps_oip_unpack(&inference__server_live_request__descriptor, message, n, a, &p, err);
}

enum ps_status ps_oip_grpc_parse_target(enum ps_oip_route route, const void *message, size_t n,
					struct ps_oip_target *ret_target, struct ps_error *err)
{
	struct ps_arena a;
	enum ps_status s;
	ps_arena_init(&a, 0);
	clear(ret_target, route);
	switch (route) {
	case PS_OIP_LIVE:
	case PS_OIP_READY:
	case PS_OIP_SERVER_METADATA:
		s = parse_empty(message, n, &a, err);
		break;
	case PS_OIP_HEALTH_CHECK:
	case PS_OIP_HEALTH_WATCH:
		s = parse_health(message, n, ret_target, &a, err);
		break;
	case PS_OIP_MODEL_METADATA:
	case PS_OIP_MODEL_READY:
	case PS_OIP_MODEL_CONFIG:
	case PS_OIP_STATISTICS:
		s = parse_model(message, n, route != PS_OIP_STATISTICS, ret_target, &a, err);
		break;
	default:
		s = ps_error_set(err, PS_EINTERNAL, "%s is read elsewhere",
				 ps_oip_route_name(route));
	}
	ps_arena_fini(&a);
	if (s != PS_OK)
		clear(ret_target, route);
	return s;
}

/* --- the repository's requests --- */

static enum ps_status take_parameter(enum ps_oip_route route, const char *key,
				     const Inference__ModelRepositoryParameter *v,
				     struct ps_oip_repository_request *r, struct ps_error *err)
{
	struct ps_oip_parameter p = {.name = key, .type = PS_OIP_INT};
	switch (v ? v->parameter_choice_case : 0) {
	case INFERENCE__MODEL_REPOSITORY_PARAMETER__PARAMETER_CHOICE_BOOL_PARAM:
		p.type = PS_OIP_BOOL;
		p.boolean = v->bool_param;
		break;
	case INFERENCE__MODEL_REPOSITORY_PARAMETER__PARAMETER_CHOICE_STRING_PARAM:
		p.type = PS_OIP_TEXT;
		p.text = v->string_param;
		break;
	default:
		break;
	}
	return ps_oip_take_repository_parameter(route, &p, r, err);
}

static enum ps_status parse_index(const void *message, size_t n, struct ps_arena *arena,
				  struct ps_oip_target *t, struct ps_oip_repository_request *r,
				  struct ps_error *err)
{
	Inference__RepositoryIndexRequest *p = NULL;
	enum ps_status s = ps_oip_unpack(&inference__repository_index_request__descriptor, message,
					 n, arena, &p, err);
	if (s != PS_OK)
		return s;
	r->ready_only = p->ready;
	return take_name(p->repository_name, "repository name", false, t->repository,
			 sizeof t->repository, err);
}

/* Load and unload have the same fields. */
static enum ps_status parse_load(const void *message, size_t n, struct ps_arena *arena,
				 struct ps_oip_target *t, struct ps_oip_repository_request *r,
				 struct ps_error *err)
{
	Inference__RepositoryModelLoadRequest *p = NULL;
	enum ps_status s = ps_oip_unpack(&inference__repository_model_load_request__descriptor,
					 message, n, arena, &p, err);
	if (s == PS_OK)
		s = take_name(p->model_name, "model name", true, t->model, sizeof t->model, err);
	if (s == PS_OK)
		s = take_name(p->repository_name, "repository name", false, t->repository,
			      sizeof t->repository, err);
	for (size_t i = 0; s == PS_OK && i < p->n_parameters; i++)
		s = take_parameter(t->route, p->parameters[i]->key, p->parameters[i]->value, r,
				   err);
	return s;
}

enum ps_status ps_oip_grpc_parse_repository(enum ps_oip_route route, const void *message, size_t n,
					    struct ps_arena *arena,
					    struct ps_oip_target *ret_target,
					    struct ps_oip_repository_request *ret_request,
					    struct ps_error *err)
{
	struct ps_oip_repository_request r = {0};
	clear(ret_target, route);
	enum ps_status s = route == PS_OIP_REPOSITORY_INDEX
				   ? parse_index(message, n, arena, ret_target, &r, err)
				   : parse_load(message, n, arena, ret_target, &r, err);
	if (s == PS_OK)
		*ret_request = r;
	else
		clear(ret_target, route);
	return s;
}

/* --- health --- */

void ps_oip_grpc_build_health(enum ps_oip_serving status, struct ps_strbuf *out)
{
	Grpc__Health__V1__HealthCheckResponse p = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	p.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)status;
	ps_oip_pack(&p.base, out);
}
