/* recurrent_cache.c - the converted form of what is left of a model without its recurrent layers.
 * It is the same for every precision of them, and is shared like any other model's. */
#include "engine/onnxruntime/recurrent_internal.h"

#include "base/file.h"
#include "base/log.h"

#include <stdio.h>
#include <unistd.h>

/* A file of the cache's folder, for as long as the conversion takes: the converter is a process. No
 * two loads have the same one. */
static enum ps_status write_rest(const struct ps_engine *e, const struct ps_ort_rnn *r, char *to,
				 size_t size, struct ps_error *err)
{
	static atomic_uint loads;
	enum ps_status st = ps_file_mkdirs(e->cache_dir, err);

	snprintf(to, size, "%s/%d-%u.rest.onnx", e->cache_dir, (int)getpid(),
		 atomic_fetch_add(&loads, 1));
	return st == PS_OK ? ps_file_write(to, r->model, r->model_bytes, err) : st;
}

enum ps_status ps_ort_rnn_cache_get(struct ps_engine *e, const char *path,
				    const struct ps_ort_rnn *r, struct ps_ort_map **ret_map,
				    struct ps_error *err)
{
	char rest[4300];
	struct ps_error own;
	enum ps_status st;

	*ret_map = NULL;
	if (!e->cache_dir)
		return PS_OK;
	if (!err)
		err = &own;
	st = write_rest(e, r, rest, sizeof(rest), err);
	if (st != PS_OK) { /* as without a folder for converted models, which says so too */
		ps_log_error(PS_LOG_WARN, "engine", err);
		return PS_OK;
	}
	st = ps_ort_cache_get(e, rest, ret_map, err);
	(void)unlink(rest);
	if (st != PS_OK)
		ps_error_where(err, "%s", path);
	return st;
}
