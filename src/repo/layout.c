#include "repo/layout.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const suffixes[] = {".onnx", ".ort", ".synthetic.yaml"};
static const char *const default_names[] = {"model.onnx", "model.ort", "model.synthetic.yaml"};
#define N_KINDS (sizeof(suffixes) / sizeof(suffixes[0]))

/* Length of the model's name in a file name; 0 when the file is no model. */
static size_t model_part(const char *file)
{
	size_t n = strlen(file);

	for (size_t i = 0; i < N_KINDS; i++) {
		size_t k = strlen(suffixes[i]);

		if (n > k && strcmp(file + n - k, suffixes[i]) == 0)
			return n - k;
	}
	return 0;
}

bool ps_repo_is_model_file(const char *path)
{
	const char *slash = strrchr(path, '/');

	return model_part(slash ? slash + 1 : path) > 0;
}

static int64_t ns_of(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct ps_repo_identity identity_of(const struct stat *s)
{
	return (struct ps_repo_identity){.dev = s->st_dev,
					 .ino = s->st_ino,
					 .bytes = s->st_size,
					 .mtime_ns = ns_of(s->st_mtim),
					 .ctime_ns = ns_of(s->st_ctim)};
}

enum ps_status ps_repo_identify(const char *path, struct ps_repo_identity *ret_identity,
				struct ps_error *err)
{
	struct stat s;

	if (stat(path, &s) != 0) {
		enum ps_status st = ps_error_errno(err, errno, "cannot read the model");

		ps_error_where(err, "%s", path);
		return st;
	}
	*ret_identity = identity_of(&s);
	return PS_OK;
}

bool ps_repo_identity_equal(const struct ps_repo_identity *a, const struct ps_repo_identity *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->bytes == b->bytes &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

/* ---- a listing while it grows ---- */

static enum ps_status no_memory(struct ps_error *err)
{
	ps_error_set(err, PS_ENOMEM, "no memory to list models");
	return PS_ENOMEM;
}

static enum ps_status join(const char *dir, const char *name, char path[PATH_MAX],
			   struct ps_error *err)
{
	int n = snprintf(path, PATH_MAX, "%s/%s", dir, name);

	if (n >= 0 && n < PATH_MAX)
		return PS_OK;
	ps_error_set(err, PS_ETOOBIG, "the path of %s is too long", name);
	return PS_ETOOBIG;
}

static enum ps_status add_entry(struct ps_repo_listing *l, const char *name, size_t len,
				struct ps_error *err)
{
	struct ps_repo_entry *more, *e;

	if (l->n_entries >= PS_REPO_MAX_FILES) {
		ps_error_set(err, PS_ETOOBIG, "over %d models in a folder", PS_REPO_MAX_FILES);
		return PS_ETOOBIG;
	}
	more = realloc(l->entries, (size_t)(l->n_entries + 1) * sizeof(*more));
	if (!more)
		return no_memory(err);
	l->entries = more;
	e = &more[l->n_entries];
	*e = (struct ps_repo_entry){.name = strndup(name, len), .first_file = l->n_files};
	if (!e->name)
		return no_memory(err);
	ps_repo_config_init(&e->config);
	l->n_entries++;
	return PS_OK;
}

/* The file may be missing: loading this version then says so, and the others are not spoilt. */
static enum ps_status add_file(struct ps_repo_listing *l, struct ps_repo_entry *e, const char *path,
			       int64_t version, struct ps_error *err)
{
	struct ps_repo_file *more, *f;

	if (l->n_files >= PS_REPO_MAX_FILES)
		return ps_error_set(err, PS_ETOOBIG, "over %d model files in a folder",
				    PS_REPO_MAX_FILES);
	more = realloc(l->files, (size_t)(l->n_files + 1) * sizeof(*more));
	if (!more)
		return no_memory(err);
	l->files = more;
	f = &more[l->n_files];
	*f = (struct ps_repo_file){
		.name = strdup(e->name), .path = strdup(path), .version = version};
	(void)ps_repo_identify(path, &f->identity, NULL);
	l->n_files++; /* before the check: the listing's free takes what is there */
	if (!f->name || !f->path)
		return no_memory(err);
	e->n_files++;
	return PS_OK;
}

void ps_repo_listing_free(struct ps_repo_listing *l)
{
	if (!l)
		return;
	for (int i = 0; i < l->n_entries; i++) {
		free(l->entries[i].name);
		ps_repo_config_fini(&l->entries[i].config);
	}
	for (int i = 0; i < l->n_files; i++) {
		free(l->files[i].name);
		free(l->files[i].path);
	}
	free(l->entries);
	free(l->files);
	free(l->dir);
	free(l);
}

static void spoil(struct ps_repo_entry *e, enum ps_status st, const struct ps_error *why)
{
	e->status = st;
	e->error = *why;
}

/* ---- one model's folder ---- */

/* 1 to PS_REPO_MAX_VERSION as a number without leading zeros; 0: no version. */
static int64_t version_of(const char *name)
{
	int64_t v = 0;

	if (name[0] == '0' || strlen(name) > 9)
		return 0;
	for (; *name; name++) {
		if (*name < '0' || *name > '9')
			return 0;
		v = v * 10 + (*name - '0');
	}
	return v;
}

static int compare_versions(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static enum ps_status list_versions(const char *dir, int64_t **ret_versions, int *ret_n,
				    struct ps_error *err)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	*ret_versions = NULL;
	*ret_n = 0;
	if (!d)
		return ps_error_errno(err, errno, "cannot list %s", dir);
	/* cppcheck-suppress readdirCalled ; this stream is ours alone */
	while ((entry = readdir(d))) {
		int64_t v = version_of(entry->d_name), *more;

		if (v == 0)
			continue;
		more = realloc(*ret_versions, (size_t)(*ret_n + 1) * sizeof(*more));
		if (!more)
			break;
		*ret_versions = more;
		more[(*ret_n)++] = v;
	}
	closedir(d);
	if (entry) {
		free(*ret_versions);
		return no_memory(err);
	}
	if (*ret_n > 0)
		qsort(*ret_versions, (size_t)*ret_n, sizeof(**ret_versions), compare_versions);
	return PS_OK;
}

static bool is_there(const char *path)
{
	struct stat s;

	return stat(path, &s) == 0;
}

/* The model's file of one version: as configured, else the first of the usual names. */
static enum ps_status find_file(const struct ps_repo_config *c, const char *dir, int64_t version,
				char path[PATH_MAX], struct ps_error *err)
{
	char name[320];

	for (size_t i = 0; i < N_KINDS; i++) {
		const char *file = c->filename[0] ? c->filename : default_names[i];
		enum ps_status st;

		snprintf(name, sizeof(name), "%lld/%s", (long long)version, file);
		st = join(dir, name, path, err);
		if (st != PS_OK || c->filename[0] || is_there(path))
			return st;
	}
	snprintf(name, sizeof(name), "%lld/%s", (long long)version, default_names[0]);
	return join(dir, name, path, err);
}

static void read_config(struct ps_repo_entry *e, const char *dir)
{
	struct ps_repo_config c;
	struct ps_error err;
	char path[PATH_MAX];
	enum ps_status st = join(dir, "config.pbtxt", path, &err);

	if (st != PS_OK || ps_repo_identify(path, &e->config_identity, NULL) != PS_OK)
		return;
	st = ps_repo_config_load(path, &c, &err);
	if (st == PS_OK && c.name[0] && strcmp(c.name, e->name) != 0) {
		st = ps_error_set(&err, PS_EINVAL,
				  "the configuration is of model \"%s\", the folder is \"%s\"",
				  c.name, e->name);
		ps_error_where(&err, "%s", path);
		ps_repo_config_fini(&c);
	}
	if (st != PS_OK) {
		spoil(e, st, &err);
		return;
	}
	ps_repo_config_fini(&e->config);
	e->config = c;
}

static enum ps_status list_model(struct ps_repo_listing *l, const char *name, const char *dir,
				 struct ps_error *err)
{
	struct ps_repo_entry *e;
	struct ps_error own;
	int64_t *versions;
	int n;
	enum ps_status st = add_entry(l, name, strlen(name), err);

	if (st != PS_OK)
		return st;
	e = &l->entries[l->n_entries - 1];
	read_config(e, dir);
	st = list_versions(dir, &versions, &n, &own);
	if (st != PS_OK) {
		spoil(e, st, &own);
		return PS_OK;
	}
	for (int i = 0; st == PS_OK && i < n; i++) {
		char path[PATH_MAX];

		st = find_file(&e->config, dir, versions[i], path, err);
		if (st == PS_OK)
			st = add_file(l, e, path, versions[i], err);
	}
	free(versions);
	if (st != PS_OK || n > 0 || e->status != PS_OK)
		return st;
	if (e->config_identity.ino == 0 && e->config_identity.bytes == 0) {
		l->n_entries--; /* some other folder */
		free(e->name);
		ps_repo_config_fini(&e->config);
		return PS_OK;
	}
	ps_error_set(&own, PS_ENOTFOUND,
		     "the model has a configuration, but no version: folders "
		     "1, 2, ... with %s",
		     e->config.filename[0] ? e->config.filename : default_names[0]);
	ps_error_where(&own, "%s", dir);
	spoil(e, PS_ENOTFOUND, &own);
	return PS_OK;
}

/* ---- the whole folder ---- */

struct found {
	char *name; /* of the model */
	char *file; /* in the folder */
	bool folder;
};

static int compare_found(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : strcmp(x->file, y->file);
}

static void free_found(struct found *list, int n)
{
	for (int i = 0; i < n; i++) {
		free(list[i].name);
		free(list[i].file);
	}
	free(list);
}

static enum ps_status find_one(const char *dir, const char *file, struct found **list, int *n,
			       struct ps_error *err)
{
	char path[PATH_MAX];
	struct found *more;
	struct stat s;
	size_t len = model_part(file);

	if (file[0] == '.' || join(dir, file, path, err) != PS_OK || stat(path, &s) != 0)
		return PS_OK;
	if (!S_ISDIR(s.st_mode) && (len == 0 || !S_ISREG(s.st_mode)))
		return PS_OK;
	if (*n >= PS_REPO_MAX_FILES)
		return ps_error_set(err, PS_ETOOBIG, "over %d models in a folder",
				    PS_REPO_MAX_FILES);
	more = realloc(*list, (size_t)(*n + 1) * sizeof(*more));
	if (!more)
		return no_memory(err);
	*list = more;
	more[*n] = (struct found){
		.name = S_ISDIR(s.st_mode) ? strdup(file) : strndup(file, len),
		.file = strdup(file),
		.folder = S_ISDIR(s.st_mode),
	};
	(*n)++;
	return more[*n - 1].name && more[*n - 1].file ? PS_OK : no_memory(err);
}

static enum ps_status find_all(const char *dir, struct found **ret_list, int *ret_n,
			       struct ps_error *err)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	enum ps_status st = PS_OK;

	if (!d) {
		st = ps_error_errno(err, errno, "cannot list the folder of models");
		ps_error_where(err, "%s", dir);
		return st;
	}
	/* cppcheck-suppress readdirCalled ; this stream is ours alone */
	while (st == PS_OK && (entry = readdir(d)))
		st = find_one(dir, entry->d_name, ret_list, ret_n, err);
	closedir(d);
	if (*ret_n > 0)
		qsort(*ret_list, (size_t)*ret_n, sizeof(**ret_list), compare_found);
	return st;
}

static enum ps_status list_file(struct ps_repo_listing *l, const char *name, const char *path,
				struct ps_error *err)
{
	enum ps_status st = add_entry(l, name, strlen(name), err);

	return st == PS_OK ? add_file(l, &l->entries[l->n_entries - 1], path, 1, err) : st;
}

static enum ps_status list_found(struct ps_repo_listing *l, const struct found *f,
				 struct ps_error *err)
{
	struct ps_repo_entry *last = l->n_entries ? &l->entries[l->n_entries - 1] : NULL;
	char path[PATH_MAX];
	struct ps_error own;
	enum ps_status st = join(l->dir, f->file, path, err);

	if (st != PS_OK)
		return st;
	if (last && strcmp(last->name, f->name) == 0) {
		ps_error_set(&own, PS_EEXIST, "the model is there twice, also as %s", f->file);
		ps_error_where(&own, "%s", l->dir);
		spoil(last, PS_EEXIST, &own);
		return PS_OK;
	}
	st = f->folder ? list_model(l, f->name, path, err) : list_file(l, f->name, path, err);
	if (st != PS_OK || l->n_entries == 0 || ps_repo_name_is_good(f->name))
		return st;
	last = &l->entries[l->n_entries - 1];
	if (strcmp(last->name, f->name) != 0)
		return PS_OK; /* a folder that is no model */
	ps_error_set(&own, PS_EINVAL,
		     "\"%.64s\" cannot be a model's name: 1 to %d letters, digits, '.', '_', '-'",
		     f->name, PS_REPO_MAX_NAME);
	ps_error_where(&own, "%s", path);
	spoil(last, PS_EINVAL, &own);
	return PS_OK;
}

enum ps_status ps_repo_list(const char *dir, struct ps_repo_listing **ret_listing,
			    struct ps_error *err)
{
	struct ps_repo_listing *l = calloc(1, sizeof(*l));
	struct found *list = NULL;
	int n = 0;
	enum ps_status st;

	if (!l || !(l->dir = strdup(dir))) {
		free(l);
		return no_memory(err);
	}
	st = find_all(dir, &list, &n, err);
	for (int i = 0; st == PS_OK && i < n; i++)
		st = list_found(l, &list[i], err);
	free_found(list, n);
	if (st == PS_OK)
		*ret_listing = l;
	else
		ps_repo_listing_free(l);
	return st;
}

const struct ps_repo_entry *ps_repo_listing_find(const struct ps_repo_listing *l, const char *name)
{
	int lo = 0, hi = l->n_entries;

	while (lo < hi) {
		int mid = lo + (hi - lo) / 2, c = strcmp(l->entries[mid].name, name);

		if (c == 0)
			return &l->entries[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}
