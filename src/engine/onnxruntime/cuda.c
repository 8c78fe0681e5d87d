/* Sessions on a GPU. The library says whether it has the provider; whether the device works, it
 * says when a session is made on it. Nothing of CUDA is linked or loaded by us. */
#include "engine/onnxruntime/ort_internal.h"

#include "base/log.h"
#include "base/units.h"

#include <stdio.h>
#include <string.h>

#define PROVIDER "CUDAExecutionProvider"

static const char how_to_get[] =
	"point --library or PERSEUS_ORT_LIBRARY to the library inside the onnxruntime-gpu "
	"package, with CUDA and cuDNN where its loader finds them; or leave out the device";

static bool has_provider(const struct ps_ort_api *a)
{
	char **names = NULL;
	int n = 0;
	bool found = false;
	struct ps_ort_status *s = a->available_providers(&names, &n);

	if (s) {
		a->release_status(s);
		return false;
	}
	for (int k = 0; k < n; k++)
		found = found || strcmp(names[k], PROVIDER) == 0;
	s = a->release_providers(names, n);
	if (s)
		a->release_status(s);
	return found;
}

static struct ps_ort_status *append(const struct ps_engine_instance *i, void *options)
{
	const struct ps_ort_api *a = &i->engine->api;
	char id[8];
	/* Memory of the device grows by what is asked for, as on the CPU. */
	const char *const keys[] = {"device_id", "arena_extend_strategy"};
	const char *const values[] = {id, "kSameAsRequested"};
	void *cuda = NULL;
	struct ps_ort_status *s = a->create_cuda_options(&cuda);

	snprintf(id, sizeof(id), "%d", i->gpu);
	if (!s)
		s = a->update_cuda_options(cuda, keys, values, 2);
	if (!s)
		s = a->append_cuda(options, cuda);
	if (cuda)
		a->release_cuda_options(cuda);
	return s;
}

enum ps_status ps_ort_cuda_options(const struct ps_engine_instance *i, void *options,
				   struct ps_error *err)
{
	const struct ps_ort_api *a = &i->engine->api;
	enum ps_status st;

	if (!has_provider(a)) {
		st = ps_error_set(err, PS_EUNSUPPORTED,
				  "device %s: this ONNX Runtime (%s) is built without CUDA",
				  i->device, a->version);
		ps_error_where(err, "%s", a->path);
		ps_error_hint(err, "%s", how_to_get);
		return st;
	}
	st = ps_ort_check(a, append(i, options), err, i->device);
	if (st == PS_OK)
		return PS_OK;
	/* Its code is general; what failed is the device or what it needs. */
	if (err)
		err->status = PS_ENOTFOUND;
	ps_error_hint(err, "%s", how_to_get);
	return PS_ENOTFOUND;
}

void ps_ort_cuda_watch(struct ps_engine_instance *i)
{
	const struct ps_ort_api *a = &i->engine->api;
	void *info = NULL;
	struct ps_ort_status *s;
	struct ps_error err;

	if (!a->allocator_stats)
		return;
	s = a->create_memory_info("Cuda", PS_ORT_ALLOCATOR_ARENA, i->gpu, PS_ORT_MEM_DEFAULT,
				  &info);
	if (!s)
		s = a->create_allocator(i->narrow, info, &i->gpu_allocator);
	if (info)
		a->release_memory_info(info);
	if (ps_ort_check(a, s, &err, "the memory of the GPU is not counted") != PS_OK)
		ps_log_error(PS_LOG_WARN, "engine", &err);
}

void ps_ort_cuda_unwatch(struct ps_engine_instance *i)
{
	if (i->gpu_allocator)
		i->engine->api.release_allocator(i->gpu_allocator);
	i->gpu_allocator = NULL;
}

int64_t ps_ort_cuda_bytes(const struct ps_engine_instance *i)
{
	const struct ps_ort_api *a = &i->engine->api;
	void *pairs = NULL;
	const char *text;
	int64_t bytes = 0;
	struct ps_ort_status *s;

	if (!i->gpu_allocator)
		return 0;
	s = a->allocator_stats(i->gpu_allocator, &pairs);
	if (s) {
		a->release_status(s);
		return 0;
	}
	text = a->get_key_value(pairs, "TotalAllocated");
	if (!text || ps_units_parse_int(text, &bytes, NULL) != PS_OK)
		bytes = 0;
	a->release_key_values(pairs);
	return bytes;
}
