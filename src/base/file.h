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
/* ps_file_place finds where writing to `path` really writes: a symbolic link is followed, so that
 * it stays one. *ret_in_place: what is there is no regular file (a device, a FIFO, a link to
 * nothing) and must be written into, not replaced. `ret_place` has PS_FILE_PATH bytes. PS_EINVAL
 * (path too long), PS_EFORBIDDEN, PS_EIO. */
#define PS_FILE_PATH 4096
enum ps_status ps_file_place(const char *path, char *ret_place, bool *ret_in_place,
			     struct ps_error *err);
/* ps_file_can_write says whether ps_file_write could write to `path` now: its folder is there and
 * lets us. For commands that work for long before they write. PS_ENOTFOUND, PS_EFORBIDDEN, ... */
enum ps_status ps_file_can_write(const char *path, struct ps_error *err);
/* ps_file_write writes all bytes to a temporary file beside `path`, syncs it and renames it over:
 * after a failure the old file stands and the temporary one is gone. What is no regular file is
 * written into (see ps_file_place). PS_ENOSPC, PS_EIO, ... */
enum ps_status ps_file_write(const char *path, const void *data, size_t len, struct ps_error *err);
/* ps_file_mkdirs makes `dir` and its parents, as mkdir -p does. */
enum ps_status ps_file_mkdirs(const char *dir, struct ps_error *err);
/* ps_file_exists says whether anything is at `path`. */
bool ps_file_exists(const char *path);

#endif
