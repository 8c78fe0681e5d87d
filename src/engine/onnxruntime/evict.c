/* Keeps the cache of converted models under its limit. */
#include "engine/onnxruntime/ort_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct cached {
	char name[PS_ORT_KEY_SIZE + 8];
	int64_t bytes, used_ns;
	bool open;
};

static bool is_open(const struct ps_engine *e, const char *name)
{
	for (const struct ps_ort_map *m = e->maps; m; m = m->next) {
		const char *slash = strrchr(m->path, '/');

		if (slash && strcmp(slash + 1, name) == 0)
			return true;
	}
	return false;
}

/* The files of the cache; NULL with 0 when there are none. */
static struct cached *list(const struct ps_engine *e, int *ret_n)
{
	struct cached *all = NULL;
	DIR *d = opendir(e->cache_dir);
	struct dirent *entry;

	*ret_n = 0;
	/* cppcheck-suppress readdirCalled ; this stream is ours alone */
	while (d && (entry = readdir(d))) {
		size_t n = strlen(entry->d_name);
		struct cached *more;
		struct stat s;

		if (n != PS_ORT_KEY_SIZE - 1 + 4 || strcmp(entry->d_name + n - 4, ".ort") != 0 ||
		    fstatat(dirfd(d), entry->d_name, &s, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		more = realloc(all, (size_t)(*ret_n + 1) * sizeof(*more));
		if (!more)
			break;
		all = more;
		more += (*ret_n)++;
		memcpy(more->name, entry->d_name, n + 1);
		more->bytes = (int64_t)s.st_blocks * 512;
		more->used_ns = (int64_t)s.st_atim.tv_sec * PS_NS_PER_SEC + s.st_atim.tv_nsec;
		more->open = is_open(e, entry->d_name);
	}
	if (d)
		closedir(d);
	return all;
}

static int oldest_first(const void *a, const void *b)
{
	const struct cached *x = a, *y = b;

	return (x->used_ns > y->used_ns) - (x->used_ns < y->used_ns);
}

void ps_ort_evict(struct ps_engine *e)
{
	int64_t sum = 0;
	int n;
	struct cached *all;
	char path[4200];

	if (e->cache_max_bytes <= 0)
		return;
	pthread_mutex_lock(&e->maps_lock); /* what is about to be opened stays */
	all = list(e, &n);
	for (int i = 0; i < n; i++)
		sum += all[i].bytes;
	if (n > 1)
		qsort(all, (size_t)n, sizeof(*all), oldest_first);
	for (int i = 0; i < n && sum > e->cache_max_bytes; i++) {
		if (all[i].open)
			continue;
		snprintf(path, sizeof(path), "%s/%s", e->cache_dir, all[i].name);
		if (unlink(path) != 0)
			continue;
		sum -= all[i].bytes;
		ps_log(PS_LOG_INFO, "engine", "the cache is full: deleted %s", path);
	}
	pthread_mutex_unlock(&e->maps_lock);
	free(all);
}
