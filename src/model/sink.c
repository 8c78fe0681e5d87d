#include "model/sink_internal.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void ps_sink_init_counter(struct ps_sink *s)
{
	*s = (struct ps_sink){.fd = -1};
}

static void release(struct ps_sink *s)
{
	free(s->buf);
	free(s->path);
	free(s->tmp);
	ps_sink_init_counter(s);
}

enum ps_status ps_sink_open(struct ps_sink *s, const char *path, struct ps_error *err)
{
	char place[PS_FILE_PATH];
	enum ps_status st;

	ps_sink_init_counter(s);
	st = ps_file_place(path, place, &s->in_place, err);
	if (st != PS_OK)
		return st;
	s->buf = malloc(PS_SINK_BUFFER);
	s->path = strdup(place);
	if (s->in_place)
		s->tmp = strdup(place);
	else if (asprintf(&s->tmp, "%s.%ld.tmp", place, (long)getpid()) < 0)
		s->tmp = NULL;
	if (!s->buf || !s->path || !s->tmp) {
		release(s);
		return ps_error_set(err, PS_ENOMEM, "no memory to write %s", path);
	}
	s->fd = open(s->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (s->fd >= 0)
		return PS_OK;
	enum ps_status status = ps_error_errno(err, errno, "cannot write");
	ps_error_where(err, "%s", path);
	release(s);
	return status;
}

static void flush(struct ps_sink *s)
{
	for (size_t done = 0; done < s->len && !s->saved_errno;) {
		ssize_t n = write(s->fd, s->buf + done, s->len - done);
		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			s->saved_errno = errno;
	}
	s->len = 0;
}

void ps_sink_put(struct ps_sink *s, const void *bytes, size_t n)
{
	s->total += (int64_t)n;
	if (s->fd < 0)
		return;
	const uint8_t *p = bytes;
	while (n > 0) {
		size_t room = PS_SINK_BUFFER - s->len, part = n < room ? n : room;
		memcpy(s->buf + s->len, p, part);
		s->len += part;
		p += part;
		n -= part;
		if (s->len == PS_SINK_BUFFER)
			flush(s);
	}
}

bool ps_sink_counts(const struct ps_sink *s)
{
	return s->fd < 0;
}

void ps_sink_skip(struct ps_sink *s, int64_t n)
{
	s->total += n;
}

bool ps_sink_full(const struct ps_sink *s)
{
	return s->saved_errno != 0;
}

enum ps_status ps_sink_commit(struct ps_sink *s, struct ps_error *err)
{
	flush(s);
	int e = s->saved_errno;
	if (!e && !s->in_place && fsync(s->fd) < 0)
		e = errno;
	if (close(s->fd) < 0 && !e)
		e = errno;
	if (!e && !s->in_place && rename(s->tmp, s->path) < 0)
		e = errno;
	enum ps_status status = PS_OK;
	if (e) {
		if (!s->in_place)
			unlink(s->tmp);
		status = ps_error_errno(err, e, "cannot write");
		ps_error_where(err, "%s", s->path);
	}
	release(s);
	return status;
}
