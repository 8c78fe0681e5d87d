/* sink_internal.h - where a writer's bytes go: counted only, or into a file that appears whole. For
 * model/ only. Errors stick and are reported by ps_sink_commit. */
#ifndef PS_MODEL_SINK_INTERNAL_H
#define PS_MODEL_SINK_INTERNAL_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define PS_SINK_BUFFER 262144

struct ps_sink {
	int64_t total; /* bytes put so far */
	int fd;	       /* -1: only count */
	int saved_errno;
	size_t len;
	uint8_t *buf;
	bool in_place; /* path is a device or a FIFO: tmp is path, nothing is renamed */
	char *path, *tmp;
};

/* ps_sink_init_counter makes a sink that only counts; nothing to release. */
void ps_sink_init_counter(struct ps_sink *s);
/* ps_sink_open starts a temporary file beside `path`. PS_ENOMEM, PS_EIO, ... */
enum ps_status ps_sink_open(struct ps_sink *s, const char *path, struct ps_error *err);
void ps_sink_put(struct ps_sink *s, const void *bytes, size_t n);
/* ps_sink_counts says whether the sink only counts; ps_sink_skip counts bytes unseen. */
bool ps_sink_counts(const struct ps_sink *s);
void ps_sink_skip(struct ps_sink *s, int64_t n);
/* ps_sink_full says that an earlier write failed and more work is in vain. */
bool ps_sink_full(const struct ps_sink *s);
/* ps_sink_commit syncs the file, renames it over its path and releases the sink; after an error
 * the temporary file is gone and what was at the path stands. */
enum ps_status ps_sink_commit(struct ps_sink *s, struct ps_error *err);

#endif
