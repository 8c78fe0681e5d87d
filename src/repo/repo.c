#include "repo/repo.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ps_repo {
	struct ps_repo_model *models; /* sorted by name, then version */
	int n, cap;
	int in_state[PS_REPO_STATE_COUNT];
};

enum ps_status ps_repo_new(struct ps_repo **ret_repo)
{
	*ret_repo = calloc(1, sizeof **ret_repo);
	return *ret_repo ? PS_OK : PS_ENOMEM;
}

void ps_repo_free(struct ps_repo *r)
{
	if (!r)
		return;
	for (int i = 0; i < r->n; i++) {
		free((char *)r->models[i].name);
		free((char *)r->models[i].path);
	}
	free(r->models);
	free(r);
}

static int compare(const struct ps_repo_model *m, const char *name, size_t len, int64_t version)
{
	int c = strncmp(m->name, name, len);
	if (c == 0 && m->name[len] != '\0')
		c = 1;
	if (c == 0)
		c = (m->version > version) - (m->version < version);
	return c;
}

/* The first model that is not before (name, version). */
static int lower_bound(const struct ps_repo *r, const char *name, size_t len, int64_t version)
{
	int lo = 0, hi = r->n;
	while (lo < hi) {
		int mid = lo + (hi - lo) / 2;
		if (compare(&r->models[mid], name, len, version) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool name_is_good(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "._-";
	size_t n = strlen(name);
	return n > 0 && n <= PS_REPO_MAX_NAME && strspn(name, good) == n;
}

static bool grow(struct ps_repo *r)
{
	if (r->n < r->cap)
		return true;
	int cap = r->cap ? 2 * r->cap : 16;
	void *p = realloc(r->models, (size_t)cap * sizeof *r->models);
	if (!p)
		return false;
	r->models = p;
	r->cap = cap;
	return true;
}

static enum ps_status insert(struct ps_repo *r, int at, const char *name, int64_t version,
			     const char *path)
{
	char *own_name = strdup(name), *own_path = strdup(path);
	if (!own_name || !own_path || !grow(r)) {
		free(own_name);
		free(own_path);
		return PS_ENOMEM;
	}
	struct ps_repo_model *m = &r->models[at];
	memmove(m + 1, m, (size_t)(r->n - at) * sizeof *m);
	*m = (struct ps_repo_model){.name = own_name, .path = own_path, .version = version};
	snprintf(m->version_text, sizeof m->version_text, "%d", (int)version);
	r->n++;
	r->in_state[PS_REPO_UNLOADED]++;
	return PS_OK;
}

enum ps_status ps_repo_add(struct ps_repo *r, const char *name, int64_t version, const char *path,
			   struct ps_error *err)
{
	if (!name_is_good(name))
		return ps_error_set(err, PS_EINVAL,
				    "a model's name has 1 to %d letters, digits, '.', '_', '-'",
				    PS_REPO_MAX_NAME);
	if (version < 1 || version > PS_REPO_MAX_VERSION)
		return ps_error_set(err, PS_EINVAL, "the version of model %s is not in 1..%d", name,
				    PS_REPO_MAX_VERSION);
	if (r->n >= PS_REPO_MAX_MODELS)
		return ps_error_set(err, PS_ETOOBIG, "more than %d models", PS_REPO_MAX_MODELS);
	int at = lower_bound(r, name, strlen(name), version);
	if (at < r->n && compare(&r->models[at], name, strlen(name), version) == 0)
		return ps_error_set(err, PS_EEXIST, "model %s version %d is named twice", name,
				    (int)version);
	if (insert(r, at, name, version, path) != PS_OK)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	return PS_OK;
}

static const char *const suffixes[] = {".onnx", ".synthetic.yaml"};

/* Length of the model's name in a file name; 0 when the file is no model. */
static size_t model_part(const char *file)
{
	size_t n = strlen(file);
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
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

static enum ps_status scan_entry(struct ps_repo *r, const char *dir, const char *file,
				 struct ps_error *err)
{
	char name[NAME_MAX + 1], path[4096];
	size_t n = model_part(file);
	memcpy(name, file, n);
	name[n] = '\0';
	int len = snprintf(path, sizeof path, "%s/%s", dir, file);
	if (len < 0 || (size_t)len >= sizeof path)
		return ps_error_set(err, PS_ETOOBIG, "the path of model %s is too long", name);
	return ps_repo_add(r, name, 1, path, err);
}

static int is_model(const struct dirent *e)
{
	return e->d_name[0] != '.' && model_part(e->d_name) > 0;
}

enum ps_status ps_repo_scan(struct ps_repo *r, const char *dir, struct ps_error *err)
{
	struct dirent **entries;
	int n = scandir(dir, &entries, is_model, alphasort);
	if (n < 0) {
		enum ps_status s = ps_error_errno(err, errno, "cannot list the folder of models");
		ps_error_where(err, "%s", dir);
		return s;
	}
	enum ps_status s = PS_OK;
	for (int i = 0; i < n; i++) {
		if (s == PS_OK)
			s = scan_entry(r, dir, entries[i]->d_name, err);
		free(entries[i]);
	}
	free(entries);
	if (s == PS_OK && r->n == 0) {
		s = ps_error_set(err, PS_ENOTFOUND, "no model in this folder");
		ps_error_hint(err, "models are NAME.onnx and NAME.synthetic.yaml; perseus zoo "
				   "write makes some");
	}
	if (s != PS_OK)
		ps_error_where(err, "%s", dir);
	return s;
}

int ps_repo_count(const struct ps_repo *r)
{
	return r->n;
}

const struct ps_repo_model *ps_repo_get(const struct ps_repo *r, int model)
{
	return &r->models[model];
}

int ps_repo_find(const struct ps_repo *r, const char *name, size_t name_len, int64_t version)
{
	if (memchr(name, '\0', name_len))
		return -1;
	if (version > 0) {
		int at = lower_bound(r, name, name_len, version);
		bool there = at < r->n && compare(&r->models[at], name, name_len, version) == 0;
		return there ? at : -1;
	}
	int at = lower_bound(r, name, name_len, INT64_MAX) - 1;
	bool there = at >= 0 && strncmp(r->models[at].name, name, name_len) == 0 &&
		     r->models[at].name[name_len] == '\0';
	return there ? at : -1;
}

int ps_repo_versions(const struct ps_repo *r, const char *name, int *ret_models, int max)
{
	int n = 0;
	for (int at = lower_bound(r, name, strlen(name), 0);
	     at < r->n && strcmp(r->models[at].name, name) == 0; at++, n++)
		if (n < max)
			ret_models[n] = at;
	return n;
}

const char *ps_repo_state_name(enum ps_repo_state s)
{
	static const char *const names[PS_REPO_STATE_COUNT] = {"UNLOADED", "LOADING", "READY",
							       "FAILED", "UNLOADING"};
	return (unsigned)s < PS_REPO_STATE_COUNT ? names[s] : "?";
}

bool ps_repo_may_change(enum ps_repo_state from, enum ps_repo_state to)
{
	static const bool allowed[PS_REPO_STATE_COUNT][PS_REPO_STATE_COUNT] = {
		[PS_REPO_UNLOADED] = {[PS_REPO_LOADING] = true},
		[PS_REPO_LOADING] = {[PS_REPO_READY] = true, [PS_REPO_FAILED] = true},
		[PS_REPO_READY] = {[PS_REPO_UNLOADING] = true},
		[PS_REPO_FAILED] = {[PS_REPO_LOADING] = true},
		[PS_REPO_UNLOADING] = {[PS_REPO_UNLOADED] = true},
	};
	return (unsigned)from < PS_REPO_STATE_COUNT && (unsigned)to < PS_REPO_STATE_COUNT &&
	       allowed[from][to];
}

enum ps_status ps_repo_set_state(struct ps_repo *r, int model, enum ps_repo_state to,
				 const struct ps_error *why)
{
	struct ps_repo_model *m = &r->models[model];
	if (!ps_repo_may_change(m->state, to))
		return PS_EINTERNAL;
	r->in_state[m->state]--;
	r->in_state[to]++;
	m->state = to;
	if (to == PS_REPO_FAILED && why)
		m->error = *why;
	else
		ps_error_clear(&m->error);
	return PS_OK;
}

int ps_repo_in_state(const struct ps_repo *r, enum ps_repo_state s)
{
	return r->in_state[s];
}
