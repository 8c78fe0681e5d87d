#include "engine/onnxruntime/abi_internal.h"

#include "base/file.h"

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct api_base {
	void *const *(*get_api)(uint32_t version);
	const char *(*get_version)(void);
};

static const char *const how_to_get =
	"run `make setup` in the project, or set PERSEUS_ORT_LIBRARY to a libonnxruntime.so of "
	"release 1.17 or later";

/* Places beside the program: the copy that set-up fetched (seen from build/<preset>/perseus), and
 * where installing puts that copy (seen from bin/perseus; src/cli/CMakeLists.txt). */
static bool find_beside(char path[PATH_MAX])
{
	static const char *const places[] = {"../../.cache/onnxruntime/libonnxruntime.so",
					     "../lib/perseus/libonnxruntime.so"};
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n <= 0)
		return false;
	exe[n] = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char copy[PATH_MAX];

		strcpy(copy, exe); /* dirname may write into it */
		n = snprintf(path, PATH_MAX, "%s/%s", dirname(copy), places[i]);
		if (n < PATH_MAX && ps_file_exists(path))
			return true;
	}
	return false;
}

/* Choosing by option or environment is final: a typing error must not load another library. */
static const char *choose(const char *option, char buf[PATH_MAX])
{
	const char *env = getenv("PERSEUS_ORT_LIBRARY");

	if (option && *option)
		return option;
	if (env && *env)
		return env;
	return find_beside(buf) ? buf : "libonnxruntime.so.1";
}

static enum ps_status fail_open(const char *path, struct ps_error *err)
{
	const char *why = dlerror();
	bool missing = !strchr(path, '/') || !ps_file_exists(path);
	enum ps_status st = ps_error_set(
		err, missing ? PS_ENOTFOUND : PS_EENGINE, "%s ONNX Runtime: %s",
		missing ? "cannot find" : "cannot load", why ? why : "unknown error of dlopen");

	ps_error_where(err, "%s", path);
	ps_error_hint(err, "%s", how_to_get);
	return st;
}

/* The minor number of release 1.x; 0 when it cannot be told. */
static int release_of(const char *version)
{
	int major = 0, minor = 0;

	if (sscanf(version, "%d.%d", &major, &minor) != 2 || major < 1)
		return 0;
	return major > 1 ? 99 : minor;
}

static enum ps_status check_version(const char *path, const char *version, struct ps_error *err)
{
	if (release_of(version) >= PS_ORT_API_VERSION)
		return PS_OK;
	ps_error_set(err, PS_EUNSUPPORTED,
		     "ONNX Runtime is release %s, but 1.%d or later is needed", version,
		     PS_ORT_API_VERSION);
	ps_error_where(err, "%s", path);
	ps_error_hint(err, "%s", how_to_get);
	return PS_EUNSUPPORTED;
}

static void fill(struct ps_ort_api *api, void *const *table)
{
/* memcpy, because ISO C has no cast from object to function pointer. */
#define PS_ORT_FILL(name, slot, ret, args) memcpy(&api->name, &table[slot], sizeof(api->name));
	PS_ORT_SLOTS(PS_ORT_FILL)
}

static void fill_late(struct ps_ort_api *api, void *const *table)
{
	PS_ORT_LATE_SLOTS(PS_ORT_FILL)
#undef PS_ORT_FILL
}

static enum ps_status fail_broken(const char *path, const char *what, struct ps_error *err)
{
	ps_error_set(err, PS_EENGINE, "this is no usable ONNX Runtime: %s", what);
	ps_error_where(err, "%s", path);
	ps_error_hint(err, "%s", how_to_get);
	return PS_EENGINE;
}

static enum ps_status bind_library(void *lib, const char *path, struct ps_ort_api *ret_api,
				   struct ps_error *err)
{
	const struct api_base *(*get_base)(void);
	const struct api_base *base;
	void *const *table;
	void *symbol = dlsym(lib, "OrtGetApiBase");
	enum ps_status st;

	if (!symbol)
		return fail_broken(path, "it does not export OrtGetApiBase", err);
	memcpy(&get_base, &symbol, sizeof(get_base));
	base = get_base();
	if (!base || !base->get_version || !base->get_version())
		return fail_broken(path, "it has no version", err);
	st = check_version(path, base->get_version(), err);
	if (st != PS_OK)
		return st;
	table = base->get_api(PS_ORT_API_VERSION);
	if (!table)
		return fail_broken(path, "it refuses API version 17", err);
	memset(ret_api, 0, sizeof(*ret_api));
	fill(ret_api, table);
	if (release_of(base->get_version()) >= PS_ORT_STATS_VERSION) {
		table = base->get_api(PS_ORT_STATS_VERSION);
		if (table)
			fill_late(ret_api, table);
	}
	ret_api->version = base->get_version();
	snprintf(ret_api->path, sizeof(ret_api->path), "%s", path);
	return PS_OK;
}

enum ps_status ps_ort_load(const char *option, struct ps_ort_api *ret_api, struct ps_error *err)
{
	char buf[PATH_MAX];
	const char *path = choose(option, buf);
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	enum ps_status st;

	if (!lib)
		return fail_open(path, err);
	st = bind_library(lib, path, ret_api, err);
	dlclose(lib); /* the handle; RTLD_NODELETE keeps the library itself */
	return st;
}

static enum ps_status status_of(int code, const char *message)
{
	switch (code) {
	case PS_ORT_INVALID_ARGUMENT:
		return PS_EINVAL;
	case PS_ORT_NO_SUCHFILE:
		return PS_ENOTFOUND;
	case PS_ORT_NO_MODEL:
	case PS_ORT_INVALID_PROTOBUF:
	case PS_ORT_INVALID_GRAPH:
		return PS_EPARSE;
	case PS_ORT_NOT_IMPLEMENTED:
		return PS_EUNSUPPORTED;
	default:
		return strstr(message, "Failed to allocate memory") || strstr(message, "bad_alloc")
			       ? PS_ENOMEM
			       : PS_EENGINE;
	}
}

/* Where the library's source says "/path/file.cc:187 type name(arguments) " a reader wants only
 * what follows; `in` is cut up into what comes before and after. */
static const char *skip_source(const char *in, int *ret_before)
{
	const char *mark = strstr(in, ".cc:"), *p = mark;
	int depth = 0;

	*ret_before = 0;
	if (!mark)
		return in;
	while (p > in && p[-1] != ' ' && p[-1] != ':')
		p--;
	*ret_before = (int)(p - in);
	p = strchr(mark, '(');
	for (; p && *p; p++) {
		depth += (*p == '(') - (*p == ')');
		if (depth == 0)
			break;
	}
	if (!p || !*p) {
		*ret_before = 0;
		return in;
	}
	p++;
	return *p == ' ' ? p + 1 : p;
}

enum ps_status ps_ort_check(const struct ps_ort_api *api, struct ps_ort_status *status,
			    struct ps_error *err, const char *doing)
{
	enum ps_status st;
	const char *message, *after;
	int before;

	if (!status)
		return PS_OK;
	message = api->get_error_message(status);
	after = skip_source(message, &before);
	st = ps_error_set(err, status_of(api->get_error_code(status), message), "%s: %.*s%s", doing,
			  before, message, after);
	api->release_status(status);
	return st;
}

enum ps_status ps_ort_check_load(const struct ps_ort_api *api, struct ps_ort_status *status,
				 struct ps_error *err)
{
	enum ps_status st = ps_ort_check(api, status, err, "ONNX Runtime cannot load the model");

	/* The library's catch-all codes: while loading, it is the file that is at fault. */
	if (st == PS_EENGINE || st == PS_EINVAL)
		st = PS_EPARSE;
	if (err && st != PS_OK)
		err->status = st;
	return st;
}
