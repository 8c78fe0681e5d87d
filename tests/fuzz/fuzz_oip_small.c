/* Small messages from outside: the first byte chooses the route, an odd one its JSON form. */
#include "fuzz/fuzz.h"
#include "oip/grpc.h"

#include <string.h>

static void check_names(const struct ps_oip_target *t)
{
	MUST(!t->model[0] || ps_oip_check_name("model", t->model, strlen(t->model), NULL) == PS_OK);
	MUST(!t->version[0] ||
	     ps_oip_check_name("version", t->version, strlen(t->version), NULL) == PS_OK);
}

static void try_target(enum ps_oip_route route, const char *data, size_t n)
{
	struct ps_oip_target t;
	struct ps_error err;
	enum ps_status s = ps_oip_grpc_parse_target(route, data, n, &t, &err);
	MUST(s == PS_OK || (err.status == s && err.what[0]));
	check_names(&t);
}

static void try_repository(enum ps_oip_route route, bool json, const char *data, size_t n)
{
	struct ps_arena a;
	struct ps_oip_target t = {.route = route};
	struct ps_oip_repository_request r;
	struct ps_error err;
	ps_arena_init(&a, 0);
	enum ps_status s = json ? ps_oip_parse_repository(route, data, n, &a, &r, &err)
				: ps_oip_grpc_parse_repository(route, data, n, &a, &t, &r, &err);
	MUST(s == PS_OK || (err.status == s && err.what[0]));
	MUST(s != PS_OK || !r.config || strlen(r.config) <= PS_OIP_MAX_CONFIG_BYTES);
	check_names(&t);
	ps_arena_fini(&a);
}

static void try_reflection(const char *data, size_t n)
{
	struct ps_strbuf out;
	struct ps_error err;
	ps_strbuf_init(&out);
	enum ps_status s = ps_oip_grpc_reflect(data, n, &out, &err);
	MUST(s == PS_OK ? out.len > 0 : err.status == s && err.what[0]);
	ps_strbuf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum ps_oip_route targets[] = {PS_OIP_LIVE, PS_OIP_MODEL_READY,
						    PS_OIP_STATISTICS, PS_OIP_HEALTH_CHECK};
	static const enum ps_oip_route repository[] = {PS_OIP_REPOSITORY_INDEX, PS_OIP_LOAD,
						       PS_OIP_UNLOAD, PS_OIP_LOAD};
	if (size < 1)
		return 0;
	size_t n = size - 1;
	unsigned choice = data[0];
	char *copy = malloc(n ? n : 1);
	MUST(copy);
	memcpy(copy, data + 1, n);
	if (choice & 1)
		try_repository(repository[choice >> 1 & 3], true, copy, n);
	else if (choice & 0x40)
		try_reflection(copy, n);
	else if (choice & 0x20)
		try_repository(repository[choice >> 1 & 3], false, copy, n);
	else
		try_target(targets[choice >> 1 & 3], copy, n);
	free(copy);
	return 0;
}
