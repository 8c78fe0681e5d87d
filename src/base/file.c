#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum ps_status fail(struct ps_error *err, int e, const char *verb, const char *path)
{
	enum ps_status s = ps_error_errno(err, e, "cannot %s", verb);
	ps_error_where(err, "%s", path);
	return s;
}

static enum ps_status read_all(int fd, const char *path, size_t limit, char **ret_data,
			       size_t *ret_len, struct ps_error *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return fail(err, errno, "read", path);
	if (!S_ISREG(st.st_mode)) {
		ps_error_set(err, PS_EINVAL, "not a regular file");
		ps_error_where(err, "%s", path);
		return PS_EINVAL;
	}
	if ((uintmax_t)st.st_size > limit) {
		ps_error_set(err, PS_ETOOBIG, "%lld bytes, the limit is %zu", (long long)st.st_size,
			     limit);
		ps_error_where(err, "%s", path);
		return PS_ETOOBIG;
	}
	size_t size = (size_t)st.st_size, got = 0;
	char *p = malloc(size + 1);
	if (!p)
		return ps_error_set(err, PS_ENOMEM, "no memory for %zu bytes of %s", size, path);
	while (got < size) {
		ssize_t n = read(fd, p + got, size - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int e = errno;
			free(p);
			return fail(err, e, "read", path);
		}
		if (n == 0)
			break; /* the file shrank: what is there is what we have */
		got += (size_t)n;
	}
	p[got] = '\0';
	*ret_data = p;
	*ret_len = got;
	return PS_OK;
}

enum ps_status ps_file_read(const char *path, size_t limit_bytes, char **ret_data, size_t *ret_len,
			    struct ps_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail(err, errno, "open", path);
	enum ps_status s = read_all(fd, path, limit_bytes, ret_data, ret_len, err);
	close(fd);
	return s;
}

static enum ps_status too_long(const char *path, struct ps_error *err)
{
	return ps_error_set(err, PS_EINVAL, "path too long: %.80s", path);
}

enum ps_status ps_file_place(const char *path, char *ret_place, bool *ret_in_place,
			     struct ps_error *err)
{
	struct stat st;
	char *whole = NULL;

	if (strlen(path) >= PS_FILE_PATH)
		return too_long(path, err);
	if (lstat(path, &st) < 0 || S_ISREG(st.st_mode)) {
		strcpy(ret_place, path); /* what is wrong with it, opening will say */
		*ret_in_place = false;
		return PS_OK;
	}
	if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
		whole = realpath(path, NULL);
		if (!whole)
			return fail(err, errno, "write", path);
	}
	*ret_in_place = !whole;
	int n = snprintf(ret_place, PS_FILE_PATH, "%s", whole ? whole : path);
	free(whole);
	return n < PS_FILE_PATH ? PS_OK : too_long(path, err);
}

enum ps_status ps_file_can_write(const char *path, struct ps_error *err)
{
	char place[PS_FILE_PATH];
	bool in_place = false;
	enum ps_status st = ps_file_place(path, place, &in_place, err);

	if (st != PS_OK)
		return st;
	if (in_place && access(place, W_OK) < 0 && errno != ENOENT)
		return fail(err, errno, "write", path);
	if (in_place)
		return PS_OK;
	char *slash = strrchr(place, '/');
	if (slash)
		slash[slash == place] = '\0'; /* "/x" is in "/" */
	else
		strcpy(place, ".");
	return access(place, W_OK | X_OK) == 0 ? PS_OK : fail(err, errno, "write", path);
}

static int write_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static enum ps_status write_in_place(const char *path, const void *data, size_t len,
				     struct ps_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return fail(err, errno, "write", path);
	int e = write_all(fd, data, len);
	if (close(fd) < 0 && !e)
		e = errno;
	return e ? fail(err, e, "write", path) : PS_OK;
}

enum ps_status ps_file_write(const char *path, const void *data, size_t len, struct ps_error *err)
{
	char place[PS_FILE_PATH], tmp[PS_FILE_PATH + 32];
	bool in_place = false;
	enum ps_status st = ps_file_place(path, place, &in_place, err);

	if (st != PS_OK || in_place)
		return st != PS_OK ? st : write_in_place(place, data, len, err);
	snprintf(tmp, sizeof tmp, "%s.%ld.tmp", place, (long)getpid());
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return fail(err, errno, "write", path);
	int e = write_all(fd, data, len);
	if (!e && fsync(fd) < 0)
		e = errno;
	if (close(fd) < 0 && !e)
		e = errno;
	if (!e && rename(tmp, place) < 0)
		e = errno;
	if (e) {
		unlink(tmp);
		return fail(err, e, "write", path);
	}
	return PS_OK;
}

enum ps_status ps_file_mkdirs(const char *dir, struct ps_error *err)
{
	char path[4096];
	size_t n = strlen(dir);
	if (n == 0 || n >= sizeof path)
		return ps_error_set(err, PS_EINVAL, "bad directory name");
	memcpy(path, dir, n + 1);
	for (char *p = path + 1;; p++) {
		if (*p && *p != '/')
			continue;
		char c = *p;
		*p = '\0';
		if (mkdir(path, 0777) < 0 && errno != EEXIST)
			return fail(err, errno, "make directory", path);
		*p = c;
		if (!c)
			break;
	}
	struct stat st;
	if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return fail(err, ENOTDIR, "make directory", dir);
	return PS_OK;
}

bool ps_file_exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}
