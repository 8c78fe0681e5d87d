/* ort-default.c - ONNX Runtime with the threads that it has when nobody sets them: a library that
 * `perseus serve` loads in the place of ONNX Runtime, so that the same server can play the usual
 * one, "one process per model with default engine threads".
 *
 * It hands out the table of the real library (PS_PEER_ORT_LIBRARY), in which two functions are
 * changed: the number of threads of a session stays the default, whatever is asked, and so does
 * spinning. The rest is untouched. Slots as in src/engine/onnxruntime/abi_internal.h.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SET_INTRA_THREADS = 24, SET_CONFIG = 130 };

struct base {
	const void *(*get_api)(uint32_t version);
	const char *(*get_version)(void);
};

typedef void *set_intra_fn(void *options, int n);
typedef void *set_config_fn(void *options, const char *key, const char *value);

static const struct base *real;
static set_intra_fn *real_set_intra;
static set_config_fn *real_set_config;

static void *set_intra(void *options, int n)
{
	(void)n;
	return real_set_intra(options, 0); /* 0: the library's default */
}

static void *set_config(void *options, const char *key, const char *value)
{
	return strstr(key, "allow_spinning") ? NULL : real_set_config(options, key, value);
}

static void fail(const char *why)
{
	fprintf(stderr, "ort-default: %s\n", why);
	exit(1);
}

/* The table is constant data: its pages are made writable for the two changes. */
static const void *get_api(uint32_t version)
{
	void **api = (void **)(uintptr_t)real->get_api(version);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (!api || real_set_intra)
		return api;
	uintptr_t first = (uintptr_t)&api[SET_INTRA_THREADS] & ~(uintptr_t)(page - 1);
	size_t n = (uintptr_t)&api[SET_CONFIG + 1] - first;
	if (mprotect((void *)first, n, PROT_READ | PROT_WRITE) != 0)
		fail("cannot change the table");
	memcpy(&real_set_intra, &api[SET_INTRA_THREADS], sizeof real_set_intra);
	memcpy(&real_set_config, &api[SET_CONFIG], sizeof real_set_config);
	api[SET_INTRA_THREADS] = (void *)set_intra;
	api[SET_CONFIG] = (void *)set_config;
	return api;
}

static const char *get_version(void)
{
	return real->get_version();
}

const struct base *OrtGetApiBase(void);

const struct base *OrtGetApiBase(void)
{
	static const struct base ours = {get_api, get_version};
	const char *path = getenv("PS_PEER_ORT_LIBRARY");
	void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
	const struct base *(*base)(void) = NULL;
	void *symbol = library ? dlsym(library, "OrtGetApiBase") : NULL;

	if (!symbol)
		fail("PS_PEER_ORT_LIBRARY names no ONNX Runtime");
	memcpy(&base, &symbol, sizeof base);
	real = base();
	return &ours;
}
