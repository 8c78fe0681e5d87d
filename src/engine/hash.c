/* The content of a model, hashed once.
 *
 * The file is read, never mapped: whoever cuts it meanwhile must not crash us. What was learned is
 * kept by path and identity (device, inode, size, times), as version control systems do; a file
 * that changed within the last second is not kept, because it may change again within one tick of
 * the file system's clock.
 */
#include "engine/engine.h"
#include "engine/engine_internal.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES    (1 << 20)
#define MAX_REFERENCES 64
#define MAX_NAME       127
#define MAX_MEMOS      32768
#define N_BUCKETS      1024
#define SETTLED_NS     PS_NS_PER_SEC

/* A file as it was when it was read. */
struct seen_file {
	char *path;
	struct ps_engine_identity identity;
};

struct memo {
	struct memo *next;
	struct seen_file *files; /* the model's own first */
	int n_files;
	unsigned char hash[PS_ENGINE_HASH_SIZE];
};

static struct {
	pthread_mutex_t lock;
	struct memo *buckets[N_BUCKETS];
	int n;
} memos = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int64_t ns_of(struct timespec t)
{
	return (int64_t)t.tv_sec * PS_NS_PER_SEC + t.tv_nsec;
}

static struct ps_engine_identity identity_of(const struct stat *s)
{
	return (struct ps_engine_identity){.dev = s->st_dev,
					   .ino = s->st_ino,
					   .bytes = s->st_size,
					   .mtime_ns = ns_of(s->st_mtim),
					   .ctime_ns = ns_of(s->st_ctim)};
}

bool ps_engine_identify(const char *path, struct ps_engine_identity *ret_identity)
{
	struct stat s;

	if (stat(path, &s) != 0)
		return false;
	*ret_identity = identity_of(&s);
	return true;
}

bool ps_engine_same(const struct ps_engine_identity *a, const struct ps_engine_identity *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->bytes == b->bytes &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

/* ---- what was learned before ---- */

static unsigned bucket_of(const char *path)
{
	unsigned h = 2166136261U;

	for (; *path; path++)
		h = (h ^ (unsigned char)*path) * 16777619U;
	return h % N_BUCKETS;
}

static bool is_fresh(const struct memo *m)
{
	for (int i = 0; i < m->n_files; i++) {
		struct ps_engine_identity now;

		if (!ps_engine_identify(m->files[i].path, &now) ||
		    !ps_engine_same(&now, &m->files[i].identity))
			return false;
	}
	return true;
}

static void free_memo(struct memo *m)
{
	for (int i = 0; i < m->n_files; i++)
		free(m->files[i].path);
	free(m->files);
	free(m);
}

static bool recall(const char *path, unsigned char ret_hash[PS_ENGINE_HASH_SIZE])
{
	bool found = false;

	pthread_mutex_lock(&memos.lock);
	for (struct memo **at = &memos.buckets[bucket_of(path)]; *at; at = &(*at)->next) {
		struct memo *m = *at;

		if (strcmp(m->files[0].path, path) != 0)
			continue;
		found = is_fresh(m);
		if (found) {
			memcpy(ret_hash, m->hash, sizeof(m->hash));
		} else {
			*at = m->next;
			memos.n--;
			free_memo(m);
		}
		break;
	}
	pthread_mutex_unlock(&memos.lock);
	return found;
}

bool ps_engine_is_hashed(const char *path)
{
	unsigned char hash[PS_ENGINE_HASH_SIZE];

	return recall(path, hash);
}

static bool is_settled(const struct memo *m)
{
	int64_t now_ns = ps_clock_wall_ns();

	for (int i = 0; i < m->n_files; i++)
		if (m->files[i].identity.ctime_ns > now_ns - SETTLED_NS)
			return false;
	return true;
}

/* Takes `m`. */
static void remember(struct memo *m)
{
	unsigned b;

	if (!m->files || !is_settled(m)) {
		free_memo(m);
		return;
	}
	b = bucket_of(m->files[0].path);
	pthread_mutex_lock(&memos.lock);
	if (memos.n >= MAX_MEMOS) {
		pthread_mutex_unlock(&memos.lock);
		free_memo(m);
		return;
	}
	m->next = memos.buckets[b];
	memos.buckets[b] = m;
	memos.n++;
	pthread_mutex_unlock(&memos.lock);
}

/* ---- reading ---- */

struct reading {
	EVP_MD_CTX *md;
	struct memo *memo;
	char *names[MAX_REFERENCES];
	int n_names;
	const char *mark; /* what stands before a name */
	size_t mark_len;
	bool is_text; /* the name goes to the end of its line; else its length stands before it */
};

static enum ps_status fail_file(struct ps_error *err, enum ps_status st, const char *path,
				const char *what)
{
	ps_error_set(err, st, "%s", what);
	ps_error_where(err, "%s", path);
	return st;
}

static void add_name(struct reading *r, const char *name, size_t len)
{
	char *copy;

	if (len == 0 || len > MAX_NAME || r->n_names == MAX_REFERENCES || memchr(name, 0, len))
		return;
	copy = strndup(name, len);
	for (int i = 0; copy && i < r->n_names; i++)
		if (strcmp(r->names[i], copy) == 0) {
			free(copy);
			return;
		}
	if (copy)
		r->names[r->n_names++] = copy;
}

static void found_mark(struct reading *r, const char *p, const char *end)
{
	size_t len;

	if (!r->is_text) {
		len = (unsigned char)*p;
		if (len < (size_t)(end - p))
			add_name(r, p + 1, len);
		return;
	}
	while (p < end && (*p == ' ' || *p == '"' || *p == '\''))
		p++;
	for (len = 0; p + len < end && !strchr("\"'#\r\n", p[len]); len++)
		;
	while (len > 0 && p[len - 1] == ' ')
		len--;
	add_name(r, p, len);
}

/* Looking for the bytes of a mark may find more names than there are, never fewer; a false one only
 * changes the hash. */
static void find_names(struct reading *r, const char *data, size_t len)
{
	const char *p = data, *end = data + len;

	while (r->mark && (p = memmem(p, (size_t)(end - p), r->mark, r->mark_len))) {
		p += r->mark_len;
		if (p < end)
			found_mark(r, p, end);
	}
}

/* Reads to the end of the file; a piece keeps the tail of the last one in front, so that a name
 * across the border is seen. */
static enum ps_status read_all(struct reading *r, int fd, int64_t bytes, struct ps_error *err)
{
	const size_t tail_max = 256;
	char *buf = malloc(tail_max + PIECE_BYTES);
	size_t tail = 0;
	int64_t got = 0;
	ssize_t n = 0;

	if (!buf)
		return ps_error_set(err, PS_ENOMEM, "no memory to hash a model");
	while ((n = read(fd, buf + tail, PIECE_BYTES)) > 0 || (n < 0 && errno == EINTR)) {
		size_t have;

		if (n < 0)
			continue;
		if (!EVP_DigestUpdate(r->md, buf + tail, (size_t)n))
			break;
		have = tail + (size_t)n;
		find_names(r, buf, have);
		got += n;
		tail = have < tail_max ? have : tail_max;
		memmove(buf, buf + have - tail, tail);
	}
	free(buf);
	if (n < 0)
		return ps_error_errno(err, errno, "cannot read the model");
	if (n > 0)
		return ps_error_set(err, PS_ENOMEM, "cannot hash a model");
	return got == bytes ? PS_OK
			    : ps_error_set(err, PS_EIO, "the file changed while it was read");
}

static enum ps_status check_regular(const struct stat *s, const char *path, struct ps_error *err)
{
	if (!S_ISREG(s->st_mode))
		return fail_file(err, PS_EPARSE, path, "the model is no regular file");
	if (s->st_size == 0)
		return fail_file(err, PS_EPARSE, path, "the model is an empty file");
	return PS_OK;
}

static enum ps_status note(struct memo *m, const char *path, const struct stat *s,
			   struct ps_error *err)
{
	struct seen_file *more = realloc(m->files, (size_t)(m->n_files + 1) * sizeof(*more));
	char *copy = more ? strdup(path) : NULL;

	if (more)
		m->files = more;
	if (!more || !copy) {
		ps_error_set(err, PS_ENOMEM, "no memory to hash a model");
		return PS_ENOMEM;
	}
	m->files[m->n_files++] = (struct seen_file){copy, identity_of(s)};
	return PS_OK;
}

static enum ps_status read_file(struct reading *r, const char *path, struct ps_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat before, after;
	enum ps_status st;

	if (fd < 0 || fstat(fd, &before) != 0) {
		st = ps_error_errno(err, errno, "cannot read the model");
		ps_error_where(err, "%s", path);
		if (fd >= 0)
			close(fd);
		return st;
	}
	st = check_regular(&before, path, err);
	if (st == PS_OK)
		st = read_all(r, fd, before.st_size, err);
	if (st == PS_OK && fstat(fd, &after) == 0) {
		const struct ps_engine_identity a = identity_of(&before), b = identity_of(&after);

		if (a.bytes != b.bytes || a.mtime_ns != b.mtime_ns)
			st = ps_error_set(err, PS_EIO, "the file changed while it was read");
	}
	close(fd);
	if (st == PS_OK)
		st = note(r->memo, path, &before, err);
	if (st != PS_OK)
		ps_error_where(err, "%s", path);
	return st;
}

/* A file that the model refers to, beside it. One that is missing, or that is elsewhere, counts by
 * its name alone: opening the model will say what is wrong. */
static void read_reference(struct reading *r, const char *model, const char *name)
{
	const char *slash = strrchr(model, '/');
	char path[PATH_MAX];
	struct stat s;
	int n = snprintf(path, sizeof(path), "%.*s%s", slash ? (int)(slash - model) + 1 : 0, model,
			 name);

	EVP_DigestUpdate(r->md, name, strlen(name) + 1);
	if (name[0] == '/' || strstr(name, "..") || n < 0 || (size_t)n >= sizeof(path) ||
	    stat(path, &s) != 0 || !S_ISREG(s.st_mode))
		return;
	r->mark = NULL; /* no references of references */
	(void)read_file(r, path, NULL);
}

/* Weights outside an ONNX file stand in it as {key: "location", value: name}. */
static void choose_mark(struct reading *r, const char *path)
{
	static const char onnx[] = "\x0a\x08location\x12", yaml[] = "file:";
	const struct ps_engine_ops *ops = ps_engine_for_path(path);

	r->is_text = ops == &ps_engine_synthetic;
	r->mark = r->is_text ? yaml : onnx;
	r->mark_len = (r->is_text ? sizeof(yaml) : sizeof(onnx)) - 1;
}

static enum ps_status hash_all(struct reading *r, const char *path,
			       unsigned char ret_hash[PS_ENGINE_HASH_SIZE], struct ps_error *err)
{
	enum ps_status st = read_file(r, path, err);

	for (int i = 0; st == PS_OK && i < r->n_names; i++)
		read_reference(r, path, r->names[i]);
	if (st == PS_OK && !EVP_DigestFinal_ex(r->md, ret_hash, NULL))
		st = ps_error_set(err, PS_ENOMEM, "cannot hash %s", path);
	return st;
}

enum ps_status ps_engine_hash(const char *path, unsigned char ret_hash[PS_ENGINE_HASH_SIZE],
			      struct ps_error *err)
{
	struct reading r = {0};
	enum ps_status st;

	if (recall(path, ret_hash))
		return PS_OK;
	choose_mark(&r, path);
	r.md = EVP_MD_CTX_new();
	r.memo = calloc(1, sizeof(*r.memo));
	if (r.md && r.memo && EVP_DigestInit_ex(r.md, EVP_sha256(), NULL)) {
		st = hash_all(&r, path, ret_hash, err);
	} else {
		ps_error_set(err, PS_ENOMEM, "cannot hash %s", path);
		st = PS_ENOMEM;
	}
	if (st == PS_OK && r.memo) {
		memcpy(r.memo->hash, ret_hash, PS_ENGINE_HASH_SIZE);
		remember(r.memo);
	} else if (r.memo) {
		free_memo(r.memo);
	}
	for (int i = 0; i < r.n_names; i++)
		free(r.names[i]);
	EVP_MD_CTX_free(r.md);
	return st;
}
