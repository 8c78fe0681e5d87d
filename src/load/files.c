/* files.c - see files.h. */
#include "load/files.h"

#include "base/file.h"
#include "model/npy.h"

#include <stdlib.h>
#include <string.h>

static bool is_for(const struct ps_load_file *f, const char *tensor, bool only)
{
	return f->tensor ? strcmp(f->tensor, tensor) == 0 : only;
}

size_t ps_load_files_count(const struct ps_load_file *files, size_t len, const char *tensor,
			   bool only)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		n += is_for(&files[i], tensor, only);
	}
	return n;
}

const char *ps_load_files_pick(const struct ps_load_file *files, size_t len, const char *tensor,
			       bool only, uint64_t number)
{
	size_t n = ps_load_files_count(files, len, tensor, only), at;

	if (n == 0) {
		return NULL;
	}
	at = number % n;
	for (size_t i = 0;; i++) {
		if (is_for(&files[i], tensor, only) && at-- == 0) {
			return files[i].path;
		}
	}
}

/* ---- do they fit the models? ---- */

static enum ps_status check_model(const struct ps_load_file *files, size_t len,
				  const struct ps_tensor_spec *specs, size_t spec_len,
				  size_t *ret_turns, struct ps_error *err)
{
	size_t turns = 0;

	for (size_t i = 0; i < spec_len; i++) {
		size_t n = ps_load_files_count(files, len, specs[i].name, spec_len == 1);

		turns = n > turns ? n : turns;
	}
	for (size_t i = 0; i < spec_len; i++) {
		size_t n = ps_load_files_count(files, len, specs[i].name, spec_len == 1);

		if (n > 1 && n != turns) {
			return ps_error_set(err, PS_EINVAL,
					    "%zu files for '%s' and %zu for another tensor: give "
					    "one, or equally many",
					    n, specs[i].name, turns);
		}
	}
	*ret_turns = turns;
	return PS_OK;
}

static bool has_place(const struct ps_load_file *f, const struct ps_tensor_spec *const *specs,
		      const size_t *spec_lens, size_t models)
{
	for (size_t k = 0; k < models; k++) {
		for (size_t i = 0; i < spec_lens[k]; i++) {
			if (is_for(f, specs[k][i].name, spec_lens[k] == 1)) {
				return true;
			}
		}
	}
	return false;
}

enum ps_status ps_load_files_check(const struct ps_load_file *files, size_t len,
				   const struct ps_tensor_spec *const *specs,
				   const size_t *spec_lens, size_t models, size_t *ret_turns,
				   struct ps_error *err)
{
	if (len > PS_LOAD_MAX_FILES) {
		return ps_error_set(err, PS_ETOOBIG, "over %d files", PS_LOAD_MAX_FILES);
	}
	for (size_t i = 0; i < len; i++) {
		if (!has_place(&files[i], specs, spec_lens, models)) {
			ps_error_set(err, PS_EINVAL,
				     files[i].tensor ? "no model has a tensor '%s'"
						     : "the model has several tensors%s",
				     files[i].tensor ? files[i].tensor : "");
			ps_error_where(err, "%s", files[i].path);
			ps_error_hint(err, "write it as TENSOR=FILE");
			return PS_EINVAL;
		}
	}
	for (size_t k = 0; k < models; k++) {
		enum ps_status st =
			check_model(files, len, specs[k], spec_lens[k], &ret_turns[k], err);

		if (st != PS_OK) {
			return st;
		}
	}
	return PS_OK;
}

/* ---- reading one ---- */

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), k = strlen(end);

	return n >= k && strcmp(text + n - k, end) == 0;
}

/* BYTES: as many elements as the shape says, to the last byte. */
static bool elements_fit(const char *data, size_t n, int64_t count)
{
	size_t at = 0;

	for (; count > 0 && n - at >= 4; count--) {
		const unsigned char *b = (const unsigned char *)data + at;
		size_t len = b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;

		if (len > n - at - 4) {
			return false;
		}
		at += 4 + len;
	}
	return count == 0 && at == n;
}

static enum ps_status take_raw(const struct ps_tensor_spec *spec, const struct ps_tensor *like,
			       const char *file, size_t n, struct ps_tensor *t,
			       struct ps_error *err)
{
	char shape[PS_TENSOR_SHAPE_SIZE];
	size_t size = ps_dtype_size(spec->dtype);
	int64_t count;
	enum ps_status st;

	t->rank = -1;
	t->bytes = n;
	if (!like) {
		return size == 0 || n % size == 0
			       ? PS_OK
			       : ps_error_set(err, PS_EINVAL,
					      "%zu bytes are no whole elements of '%s' (%s)", n,
					      spec->name, ps_dtype_name(spec->dtype));
	}
	t->rank = like->rank;
	memcpy(t->dims, like->dims, sizeof(t->dims));
	st = ps_tensor_count(like->dims, like->rank, &count, err);
	if (st != PS_OK) {
		return st;
	}
	if (size ? n == (uint64_t)count * size : elements_fit(file, n, count)) {
		return PS_OK;
	}
	ps_error_set(err, PS_EINVAL, "'%s' in shape %s does not take %zu bytes", spec->name,
		     ps_tensor_shape_text(like->dims, like->rank, shape), n);
	ps_error_hint(err, "a raw file has no shape: give it by --shape, or use .npy");
	return PS_EINVAL;
}

enum ps_status ps_load_file_read(const char *path, const struct ps_tensor_spec *spec,
				 const struct ps_tensor *like, struct ps_tensor *ret_tensor,
				 struct ps_error *err)
{
	struct ps_tensor t = {.name = spec->name, .dtype = spec->dtype};
	char *file;
	size_t n;
	enum ps_status st = ps_file_read(path, PS_LOAD_MAX_FILE_BYTES, &file, &n, err);

	if (st != PS_OK) {
		return st;
	}
	st = ends_in(path, ".npy") ? ps_npy_take(spec, file, n, &t, err)
				   : take_raw(spec, like, file, n, &t, err);
	if (st != PS_OK) {
		ps_error_where(err, "%s", path);
		free(file);
		return st;
	}
	t.data = file;
	*ret_tensor = t;
	return PS_OK;
}
