/* Converted models on disk and in memory.
 *
 * A file is <key>.ort: the model in ORT format, zero bytes up to a multiple of 64, then a seal
 * with its length and SHA-256. The library trusts such bytes blindly, so a file is checked against
 * its seal before it is used, and one that does not match is deleted and made again. Files appear
 * by rename under a lock that all processes of this cache share; whoever holds it may delete
 * temporary files, which only a killed process leaves, and the longest unused models when there are
 * too many bytes (a mapping outlives its file's name).
 *
 * Only these files are ever mapped, never a user's: one that is cut while it is mapped ends the
 * process that reads behind its new end.
 */
#include "engine/onnxruntime/ort_internal.h"

#include "base/file.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char seal_magic[16] = "PERSEUS-ORT-SEAL";

struct seal {
	char magic[16];
	uint64_t model_bytes;
	unsigned char hash[PS_ORT_SHA256_SIZE];
	uint64_t zero;
};
_Static_assert(sizeof(struct seal) == 64, "the seal is 64 bytes on disk");

static struct ps_ort_map *find_map(struct ps_engine *e, const char *path)
{
	for (struct ps_ort_map *m = e->maps; m; m = m->next)
		if (strcmp(m->path, path) == 0)
			return m;
	return NULL;
}

static bool is_sealed(const unsigned char *data, size_t len, size_t *ret_model_bytes)
{
	unsigned char hash[PS_ORT_SHA256_SIZE];
	struct seal s;

	if (len < sizeof(s))
		return false;
	memcpy(&s, data + len - sizeof(s), sizeof(s));
	if (memcmp(s.magic, seal_magic, sizeof(s.magic)) != 0 || s.model_bytes > len - sizeof(s) ||
	    len - sizeof(s) - s.model_bytes >= 64)
		return false;
	ps_ort_sha256(data, s.model_bytes, hash);
	*ret_model_bytes = s.model_bytes;
	return memcmp(hash, s.hash, sizeof(hash)) == 0;
}

static enum ps_status add_map(struct ps_engine *e, const char *path, void *data, size_t len,
			      struct ps_ort_map **ret_map, struct ps_error *err)
{
	struct ps_ort_map *m = calloc(1, sizeof(*m));
	char *copy = strdup(path);

	if (!m || !copy) {
		free(m);
		free(copy);
		munmap(data, len);
		return ps_error_set(err, PS_ENOMEM, "no memory for a mapped model");
	}
	*m = (struct ps_ort_map){.next = e->maps,
				 .path = copy,
				 .data = data,
				 .map_bytes = len,
				 .model_bytes = len,
				 .refs = 1};
	e->maps = m;
	*ret_map = m;
	return PS_OK;
}

static enum ps_status map_file(struct ps_engine *e, const char *path, struct ps_ort_map **ret_map,
			       struct ps_error *err)
{
	struct ps_ort_map *m = find_map(e, path);
	int fd, saved;
	struct stat s;
	void *data;

	if (m) {
		m->refs++;
		*ret_map = m;
		return PS_OK;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &s) != 0 || s.st_size == 0) {
		saved = fd < 0 ? errno : EINVAL;
		if (fd >= 0)
			close(fd);
		ps_error_errno(err, saved, "cannot map the model");
		ps_error_where(err, "%s", path);
		return ps_status_from_errno(saved);
	}
	/* Populated now, so that the first request does not pay for page faults. */
	data = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	saved = errno;
	close(fd);
	if (data == MAP_FAILED)
		return ps_error_errno(err, saved, "cannot map %s", path);
	return add_map(e, path, data, (size_t)s.st_size, ret_map, err);
}

/* Under e->maps_lock. */
static void drop_map(struct ps_engine *e, struct ps_ort_map *map)
{
	struct ps_ort_map **at = &e->maps;

	if (--map->refs > 0)
		return;
	while (*at != map)
		at = &(*at)->next;
	*at = map->next;
	munmap(map->data, map->map_bytes);
	free(map->path);
	free(map);
}

void ps_ort_map_unref(struct ps_engine *e, struct ps_ort_map *map)
{
	pthread_mutex_lock(&e->maps_lock);
	drop_map(e, map);
	pthread_mutex_unlock(&e->maps_lock);
}

void ps_ort_cache_discard(const struct ps_ort_map *map)
{
	ps_log(PS_LOG_WARN, "engine", "discarding the broken converted model %s", map->path);
	unlink(map->path);
}

static bool same_content(const struct ps_engine_identity *a, const struct ps_engine_identity *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->bytes == b->bytes &&
	       a->mtime_ns == b->mtime_ns;
}

/* A seal is checked once per file and process: hashing 100 MB takes a tenth of a second or two. */
static bool is_known_good(const struct ps_engine *e, struct ps_ort_map *m)
{
	struct ps_engine_identity now;

	for (const struct ps_ort_sealed *s = e->sealed; s; s = s->next)
		if (strcmp(s->path, m->path) == 0) {
			m->model_bytes = s->model_bytes;
			return ps_engine_identify(m->path, &now) &&
			       same_content(&now, &s->identity);
		}
	return false;
}

static void note_good(struct ps_engine *e, const struct ps_ort_map *m)
{
	struct ps_ort_sealed *s = e->sealed;

	while (s && strcmp(s->path, m->path) != 0)
		s = s->next;
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s || !(s->path = strdup(m->path))) {
			free(s);
			return;
		}
		s->next = e->sealed;
		e->sealed = s;
	}
	s->model_bytes = m->model_bytes;
	if (!ps_engine_identify(m->path, &s->identity))
		s->identity = (struct ps_engine_identity){0};
}

void ps_ort_cache_fini(struct ps_engine *e)
{
	while (e->sealed) {
		struct ps_ort_sealed *s = e->sealed;

		e->sealed = s->next;
		free(s->path);
		free(s);
	}
}

/* Marks it as used now, for eviction; the time of its content stays. */
static void touch(const char *path)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};

	(void)utimensat(AT_FDCWD, path, times, 0);
}

/* Under e->maps_lock. */
static bool map_sealed_locked(struct ps_engine *e, const char *path, struct ps_ort_map **ret_map)
{
	struct ps_ort_map *m = NULL;
	bool good;

	if (!ps_file_exists(path) || map_file(e, path, &m, NULL) != PS_OK || !m)
		return false;
	good = m->refs > 1 || is_known_good(e, m);
	if (!good && is_sealed(m->data, m->map_bytes, &m->model_bytes)) {
		note_good(e, m);
		good = true;
	}
	if (good) {
		touch(path);
		*ret_map = m;
		return true;
	}
	ps_ort_cache_discard(m);
	drop_map(e, m);
	return false;
}

/* Maps the file if it is there and whole; deletes it when it is broken. Waits for no conversion. */
static bool map_sealed(struct ps_engine *e, const char *path, struct ps_ort_map **ret_map)
{
	bool found;

	pthread_mutex_lock(&e->maps_lock);
	found = map_sealed_locked(e, path, ret_map);
	pthread_mutex_unlock(&e->maps_lock);
	return found;
}

static enum ps_status seal_file(const char *path, struct ps_error *err)
{
	static const char zeros[64];
	int fd = open(path, O_RDWR | O_CLOEXEC | O_APPEND);
	struct seal s = {0};
	struct stat st;
	void *data;
	size_t pad;
	bool ok = false;

	if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0)
		goto out;
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		goto out;
	memcpy(s.magic, seal_magic, sizeof(s.magic));
	s.model_bytes = (uint64_t)st.st_size;
	ps_ort_sha256(data, s.model_bytes, s.hash);
	munmap(data, (size_t)st.st_size);
	pad = (64 - s.model_bytes % 64) % 64;
	ok = write(fd, zeros, pad) == (ssize_t)pad && write(fd, &s, sizeof(s)) == sizeof(s) &&
	     fsync(fd) == 0;
out:
	if (!ok)
		ps_error_errno(err, errno, "cannot finish %s", path);
	if (fd >= 0)
		close(fd);
	return ok ? PS_OK : PS_EIO;
}

static int lock_cache(const char *dir, struct ps_error *err)
{
	char path[4200];
	int fd;

	if (ps_file_mkdirs(dir, err) != PS_OK)
		return -1;
	snprintf(path, sizeof(path), "%s/lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		ps_error_errno(err, errno, "cannot write into the cache %s", dir);
		return -1;
	}
	while (flock(fd, LOCK_EX) != 0 && errno == EINTR)
		;
	return fd;
}

static void sweep(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	/* cppcheck-suppress readdirCalled ; this stream is ours alone */
	while (d && (entry = readdir(d))) {
		size_t n = strlen(entry->d_name);

		if (n > 4 && strcmp(entry->d_name + n - 4, ".tmp") == 0)
			unlinkat(dirfd(d), entry->d_name, 0);
	}
	if (d)
		closedir(d);
}

/* A model that is in ORT format already is copied. */
static enum ps_status copy_file(const char *from, const char *to, struct ps_error *err)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out = -1;
	char *buf = malloc(1 << 20);
	ssize_t n = -1;
	enum ps_status st = PS_OK;

	if (in >= 0)
		out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	while (in >= 0 && out >= 0 && buf && (n = read(in, buf, 1 << 20)) > 0)
		if (write(out, buf, (size_t)n) != n) {
			n = -1;
			break;
		}
	if (n != 0)
		st = ps_error_errno(err, buf ? errno : ENOMEM, "cannot copy %s", from);
	free(buf);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return st;
}

static bool is_ort_format(const char *path)
{
	size_t n = strlen(path);

	return n > 4 && strcmp(path + n - 4, ".ort") == 0;
}

static enum ps_status make(struct ps_engine *e, const char *model, const char *tmp,
			   bool *ret_saving, struct ps_error *err)
{
	*ret_saving = true;
	if (is_ort_format(model))
		return copy_file(model, tmp, err);
	ps_log(PS_LOG_INFO, "engine", "preparing %s for this machine, once", model);
	return ps_ort_spawn_convert(&e->api, &e->converter, model, tmp, ret_saving, err);
}

/* Under the lock of the cache. *ret_saving: only the cache failed, not the model. */
static enum ps_status convert(struct ps_engine *e, const char *model,
			      const struct ps_engine_identity *hashed, const char *path,
			      bool *ret_saving, struct ps_error *err)
{
	char tmp[4300];
	struct ps_engine_identity now;
	enum ps_status st;

	sweep(e->cache_dir);
	snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	st = make(e, model, tmp, ret_saving, err);
	if (st == PS_OK) {
		*ret_saving = true;
		st = seal_file(tmp, err);
	}
	if (st == PS_OK && (!ps_engine_identify(model, &now) || !ps_engine_same(&now, hashed))) {
		*ret_saving = false;
		st = ps_error_set(err, PS_EIO, "the model changed while it was being read");
	}
	if (st == PS_OK && rename(tmp, path) != 0)
		st = ps_error_errno(err, errno, "cannot rename %s", tmp);
	if (st != PS_OK)
		unlink(tmp);
	if (st != PS_OK && !*ret_saving)
		ps_error_where(err, "%s", model);
	return st;
}

/* No converted file can be had; the model's own file still can. Said, because it costs memory. */
static enum ps_status go_without(const char *model, const struct ps_error *why)
{
	ps_log(PS_LOG_WARN, "engine",
	       "opening %s without a shared converted copy (slower to load, more memory): %s",
	       model, why->what);
	return PS_OK;
}

/* Under e->convert_lock. */
static enum ps_status make_and_map(struct ps_engine *e, const char *model,
				   const struct ps_engine_identity *hashed, const char *path,
				   struct ps_ort_map **ret_map, struct ps_error *err)
{
	bool saving = true;
	enum ps_status st = PS_OK;
	int lock;

	if (map_sealed(e, path, ret_map)) /* whoever was before made it */
		return PS_OK;
	lock = lock_cache(e->cache_dir, err);
	if (lock < 0)
		return go_without(model, err);
	if (!map_sealed(e, path, ret_map)) { /* another process may have made it meanwhile */
		st = convert(e, model, hashed, path, &saving, err);
		if (st == PS_OK && !map_sealed(e, path, ret_map))
			st = ps_error_set(err, PS_EIO, "%s cannot be read back", path);
		if (st == PS_OK)
			ps_ort_evict(e);
	}
	close(lock);
	return st != PS_OK && saving ? go_without(model, err) : st;
}

bool ps_ort_cache_size(struct ps_engine *e, const char *model, int64_t *ret_bytes)
{
	char key[PS_ORT_KEY_SIZE], path[4200];
	struct ps_engine_identity id;
	struct ps_error err;

	if (!e->cache_dir || ps_ort_key(&e->api, model, key, &err) != PS_OK)
		return false;
	snprintf(path, sizeof(path), "%s/%s.ort", e->cache_dir, key);
	if (!ps_engine_identify(path, &id))
		return false;
	*ret_bytes = id.bytes;
	return true;
}

enum ps_status ps_ort_cache_get(struct ps_engine *e, const char *model, struct ps_ort_map **ret_map,
				struct ps_error *err)
{
	char key[PS_ORT_KEY_SIZE], path[4200];
	struct ps_error own;
	struct ps_engine_identity hashed = {0};
	enum ps_status st;

	*ret_map = NULL;
	if (!err)
		err = &own;
	(void)ps_engine_identify(model, &hashed); /* before it is read; ps_ort_key reports */
	st = ps_ort_key(&e->api, model, key, err);
	if (st != PS_OK || !e->cache_dir)
		return st;
	snprintf(path, sizeof(path), "%s/%s.ort", e->cache_dir, key);
	if (map_sealed(e, path, ret_map))
		return PS_OK;
	pthread_mutex_lock(&e->convert_lock);
	st = make_and_map(e, model, &hashed, path, ret_map, err);
	pthread_mutex_unlock(&e->convert_lock);
	return st;
}
