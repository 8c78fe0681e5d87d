/* file.h - whole files.   Layer 0. Blocking. */
#ifndef PS_BASE_FILE_H
#define PS_BASE_FILE_H

#include "base/error.h"

#include <stddef.h>

/* ps_file_read reads a regular file of at most `limit_bytes` into malloc'ed memory with a NUL
 * behind it; the caller frees *ret_data. PS_ENOTFOUND, PS_EFORBIDDEN, PS_ETOOBIG, PS_EIO,
 * PS_ENOMEM; `where` is the path. */
enum ps_status ps_file_read(const char *path, size_t limit_bytes, char **ret_data, size_t *ret_len,
			    struct ps_error *err);
/* ps_file_write writes all bytes to a temporary file beside `path`, syncs it and renames it over:
 * after a failure the old file stands and the temporary one is gone. PS_ENOSPC, PS_EIO, ... */
enum ps_status ps_file_write(const char *path, const void *data, size_t len, struct ps_error *err);
/* ps_file_mkdirs makes `dir` and its parents, as mkdir -p does. */
enum ps_status ps_file_mkdirs(const char *dir, struct ps_error *err);
/* ps_file_exists says whether anything is at `path`. */
bool ps_file_exists(const char *path);

#endif
