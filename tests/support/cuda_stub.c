/* An ONNX Runtime that pretends to have CUDA: the real library's table with the rows of the
 * provider replaced, so that the code for a GPU runs on a machine without one. The test compiles it
 * into a shared library and names the real one in STUB_REAL_ORT. Device 7 does not work.
 *
 * What it cannot show: that a GPU computes. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct base {
	void *const *(*get_api)(unsigned version);
	const char *(*get_version)(void);
};

int stub_bound_runs, stub_appended = -1; /* read by the test */

static void *table[512];
static void *const *real;
static const struct base *real_base;
static char device[8];
static char *names[] = {"CUDAExecutionProvider", "CPUExecutionProvider"};

static void *available(char ***out, int *n)
{
	*out = names;
	*n = 2;
	return NULL;
}

static void *release_available(char **list, int n)
{
	(void)list;
	(void)n;
	return NULL;
}

static void *create_options(void **out)
{
	*out = device;
	return NULL;
}

static void *update_options(void *o, const char *const *keys, const char *const *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(keys[i], "device_id") == 0)
			snprintf(o, sizeof(device), "%s", values[i]);
	return NULL;
}

static void release_options(void *o)
{
	(void)o;
}

static void *append(void *options, const void *cuda)
{
	void *(*create_status)(int, const char *) = (void *(*)(int, const char *))real[0];

	(void)options;
	stub_appended = atoi(cuda);
	if (stub_appended == 7)
		return create_status(1, "CUDA failure 101: invalid device ordinal ; GPU=7");
	return NULL;
}

static void *memory_info(const char *name, int allocator, int id, int type, void **out)
{
	void *(*make)(const char *, int, int, int, void **) =
		(void *(*)(const char *, int, int, int, void **))real[68];

	(void)id;
	return make(strcmp(name, "Cuda") == 0 ? "Cpu" : name, allocator, 0, type, out);
}

static void *run_with_binding(void *session, const void *options, const void *binding)
{
	void *(*run)(void *, const void *, const void *) =
		(void *(*)(void *, const void *, const void *))real[133];

	stub_bound_runs++;
	return run(session, options, binding);
}

static void *const *get_api(unsigned version)
{
	int n = version >= 23 ? 390 : 276;

	real = real_base->get_api(version);
	if (!real)
		return NULL;
	memcpy(table, real, (size_t)n * sizeof(*table));
	table[68] = (void *)memory_info;
	table[125] = (void *)available;
	table[126] = (void *)release_available;
	table[133] = (void *)run_with_binding;
	table[204] = (void *)append;
	table[205] = (void *)create_options;
	table[206] = (void *)update_options;
	table[208] = (void *)release_options;
	return table;
}

static const char *get_version(void)
{
	return real_base->get_version();
}

const struct base *OrtGetApiBase(void)
{
	static const struct base mine = {get_api, get_version};
	void *lib = dlopen(getenv("STUB_REAL_ORT"), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	const struct base *(*get)(void) =
		lib ? (const struct base *(*)(void))dlsym(lib, "OrtGetApiBase") : NULL;

	real_base = get ? get() : NULL;
	return real_base ? &mine : NULL;
}
