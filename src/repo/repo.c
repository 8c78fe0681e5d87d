/* Models and their names. A model's slot never moves and its number is never given again, so that
 * queues, statistics and bills may be kept by number. */
#include "repo/repo_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ps_repo_shared_config *ps_repo_config_new(const struct ps_repo_config *c)
{
	struct ps_repo_shared_config *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->refs = 1;
	if (!c) {
		ps_repo_config_init(&s->config);
	} else if (ps_repo_config_copy(c, &s->config) != PS_OK) {
		free(s);
		return NULL;
	}
	return s;
}

struct ps_repo_shared_config *ps_repo_config_take(struct ps_repo_shared_config *c)
{
	c->refs++;
	return c;
}

void ps_repo_config_drop(struct ps_repo_shared_config *c)
{
	if (!c || --c->refs > 0)
		return;
	ps_repo_config_fini(&c->config);
	free(c);
}

void ps_repo_why_set(struct ps_error **why, const struct ps_error *err)
{
	if (!err) {
		free(*why);
		*why = NULL;
		return;
	}
	if (!*why)
		*why = malloc(sizeof(**why));
	if (*why)
		**why = *err;
}

enum ps_status ps_repo_new(struct ps_repo **ret_repo)
{
	struct ps_repo *r = calloc(1, sizeof(*r));

	if (!r)
		return PS_ENOMEM;
	r->defaults = ps_repo_config_new(NULL);
	if (!r->defaults) {
		free(r);
		return PS_ENOMEM;
	}
	r->waiting = r->idle = (struct ps_repo_list){-1, -1, 0};
	r->next_id = 1;
	*ret_repo = r;
	return PS_OK;
}

static void free_slot(struct ps_repo_slot *s)
{
	ps_repo_place_fini(&s->shared);
	for (int i = 0; i < s->n_others; i++)
		ps_repo_place_fini(&s->others[i]);
	free(s->others);
	free((char *)s->model.path);
	free(s);
}

static void free_family(struct ps_repo_family *f)
{
	ps_repo_config_drop(f->config);
	free(f->models);
	free(f->domains);
	free(f->error);
	free(f->name);
	free(f);
}

void ps_repo_free(struct ps_repo *r)
{
	if (!r)
		return;
	for (int i = 0; i < r->n; i++)
		free_slot(r->slots[i]);
	for (int i = 0; i < r->n_families; i++)
		free_family(r->families[i]);
	ps_repo_instances_fini(r);
	ps_repo_config_drop(r->defaults);
	free(r->slots);
	free(r->families);
	free(r);
}

static int compare_name(const char *mine, const char *name, size_t len)
{
	int c = strncmp(mine, name, len);

	return c == 0 && mine[len] != '\0' ? 1 : c;
}

/* The first family that is not before `name`. */
static int family_bound(const struct ps_repo *r, const char *name, size_t len)
{
	int lo = 0, hi = r->n_families;

	while (lo < hi) {
		int mid = lo + (hi - lo) / 2;

		if (compare_name(r->families[mid]->name, name, len) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct ps_repo_family *ps_repo_family_find(const struct ps_repo *r, const char *name, size_t len)
{
	int at;

	if (len > PS_REPO_MAX_NAME || memchr(name, '\0', len))
		return NULL;
	at = family_bound(r, name, len);
	if (at < r->n_families && compare_name(r->families[at]->name, name, len) == 0)
		return r->families[at];
	return NULL;
}

/* Room for one more in an array of `size`-byte items. */
static bool grow(void *array, int n, int *cap, size_t size)
{
	int more = *cap ? 2 * *cap : 16;
	void **at = array, *p;

	if (n < *cap)
		return true;
	p = realloc(*at, (size_t)more * size);
	if (!p)
		return false;
	*at = p;
	*cap = more;
	return true;
}

enum ps_status ps_repo_family_need(struct ps_repo *r, const char *name,
				   struct ps_repo_family **ret_family, struct ps_error *err)
{
	struct ps_repo_family *f;
	int at;

	if (!ps_repo_name_is_good(name)) {
		ps_error_set(err, PS_EINVAL,
			     "a model's name has 1 to %d letters, digits, '.', '_', '-', and does "
			     "not begin with '.'",
			     PS_REPO_MAX_NAME);
		return PS_EINVAL;
	}
	*ret_family = ps_repo_family_find(r, name, strlen(name));
	if (*ret_family)
		return PS_OK;
	f = calloc(1, sizeof(*f));
	if (!f || !grow(&r->families, r->n_families, &r->cap_families, sizeof(*r->families)) ||
	    !(f->name = strdup(name))) {
		free(f);
		ps_error_set(err, PS_ENOMEM, "no memory for model %s", name);
		return PS_ENOMEM;
	}
	f->config = ps_repo_config_take(r->defaults);
	at = family_bound(r, name, strlen(name));
	memmove(&r->families[at + 1], &r->families[at],
		(size_t)(r->n_families - at) * sizeof(*r->families));
	r->families[at] = f;
	r->n_families++;
	*ret_family = f;
	return PS_OK;
}

/* The place of `version` in the family's list. */
static int version_bound(const struct ps_repo *r, const struct ps_repo_family *f, int64_t version)
{
	int lo = 0, hi = f->n;

	while (lo < hi) {
		int mid = lo + (hi - lo) / 2;

		if (r->slots[f->models[mid]]->model.version < version)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The number of a version, removed or not; -1: never known. */
static int known_version(const struct ps_repo *r, const struct ps_repo_family *f, int64_t version)
{
	int at = f->models ? version_bound(r, f, version) : 0;

	if (f->models && at < f->n && r->slots[f->models[at]]->model.version == version)
		return f->models[at];
	return -1;
}

static enum ps_status new_slot(struct ps_repo *r, struct ps_repo_family *f, int64_t version,
			       int *ret_model, struct ps_error *err)
{
	struct ps_repo_slot *s;
	int at;

	if (r->n >= PS_REPO_MAX_MODELS) {
		ps_error_set(err, PS_ETOOBIG, "more than %d models", PS_REPO_MAX_MODELS);
		return PS_ETOOBIG;
	}
	s = calloc(1, sizeof(*s));
	if (!s || !grow(&r->slots, r->n, &r->cap, sizeof(*r->slots)) ||
	    !grow(&f->models, f->n, &f->cap, sizeof(*f->models))) {
		free(s);
		ps_error_set(err, PS_ENOMEM, "no memory for model %s", f->name);
		return PS_ENOMEM;
	}
	s->family = f;
	s->model = (struct ps_repo_model){
		.name = f->name, .version = version, .gone = true, .config = &f->config->config};
	snprintf(s->model.version_text, sizeof(s->model.version_text), "%d", (int)version);
	ps_repo_place_init(&s->shared, PS_REPO_SHARED);
	at = version_bound(r, f, version);
	memmove(&f->models[at + 1], &f->models[at], (size_t)(f->n - at) * sizeof(*f->models));
	f->models[at] = r->n;
	f->n++;
	*ret_model = r->n;
	r->slots[r->n++] = s;
	return PS_OK;
}

static bool same_file(const struct ps_repo_model *m, const char *path,
		      const struct ps_repo_identity *identity)
{
	if (!m->path || !path)
		return m->path == path;
	return strcmp(m->path, path) == 0 &&
	       (!identity || ps_repo_identity_equal(identity, &m->identity));
}

static enum ps_status set_file(struct ps_repo_model *m, const char *path,
			       const struct ps_repo_identity *identity, struct ps_error *err)
{
	char *copy = path ? strdup(path) : NULL;

	if (path && !copy)
		return ps_error_set(err, PS_ENOMEM, "no memory for model %s", m->name);
	free((char *)m->path);
	m->path = copy;
	m->identity = identity ? *identity : (struct ps_repo_identity){0};
	return PS_OK;
}

static enum ps_status put(struct ps_repo *r, const char *name, int64_t version, const char *path,
			  const struct ps_repo_identity *identity, bool only_new, int *ret_model,
			  struct ps_error *err)
{
	struct ps_repo_family *f;
	struct ps_repo_model *m;
	bool was_gone;
	int model;
	enum ps_status st;

	if (version < 1 || version > PS_REPO_MAX_VERSION) {
		ps_error_set(err, PS_EINVAL, "the version of model %s is not in 1..%d", name,
			     PS_REPO_MAX_VERSION);
		return PS_EINVAL;
	}
	st = ps_repo_family_need(r, name, &f, err);
	if (st != PS_OK)
		return st;
	model = known_version(r, f, version);
	if (model < 0 && (st = new_slot(r, f, version, &model, err)) != PS_OK)
		return st;
	*ret_model = model;
	m = &r->slots[model]->model;
	if (!m->gone && only_new) {
		ps_error_set(err, PS_EEXIST, "model %s version %d is named twice", name,
			     (int)version);
		return PS_EEXIST;
	}
	if (!m->gone && same_file(m, path, identity))
		return PS_OK;
	st = set_file(m, path, identity, err);
	if (st != PS_OK)
		return st;
	was_gone = m->gone;
	m->gone = false;
	st = was_gone ? ps_repo_family_apply(r, f) : ps_repo_model_changed(r, model);
	return st == PS_OK ? st : ps_error_set(err, st, "model %s cannot be loaded anew", name);
}

enum ps_status ps_repo_put(struct ps_repo *r, const char *name, int64_t version, const char *path,
			   const struct ps_repo_identity *identity, int source, int *ret_model,
			   struct ps_error *err)
{
	int model;
	enum ps_status st = put(r, name, version, path, identity, false, &model, err);

	if (st != PS_OK)
		return st;
	r->slots[model]->model.source = source;
	if (ret_model)
		*ret_model = model;
	return PS_OK;
}

enum ps_status ps_repo_add(struct ps_repo *r, const char *name, int64_t version, const char *path,
			   struct ps_error *err)
{
	int model;

	return put(r, name, version, path, NULL, true, &model, err);
}

void ps_repo_remove(struct ps_repo *r, int model)
{
	struct ps_repo_slot *s = r->slots[model];

	if (s->model.gone)
		return;
	s->model.gone = true;
	ps_repo_model_gone(r, model);
	(void)ps_repo_family_apply(r, s->family); /* what cannot begin now keeps its reason */
}

enum ps_status ps_repo_set_config(struct ps_repo *r, const char *name,
				  const struct ps_repo_config *config, struct ps_error *err)
{
	struct ps_repo_shared_config *mine, *old;
	struct ps_repo_family *f;
	enum ps_status st = ps_repo_config_validate(config, err);

	if (st == PS_OK)
		st = ps_repo_family_need(r, name, &f, err);
	if (st != PS_OK)
		return st;
	ps_repo_why_set(&f->error, NULL);
	f->unusable = false;
	if (ps_repo_config_equal(&f->config->config, config))
		return ps_repo_family_retry(r, f);
	mine = ps_repo_config_new(config);
	if (!mine)
		return ps_error_set(err, PS_ENOMEM, "no memory for model %s", name);
	old = f->config;
	f->config = mine;
	for (int i = 0; i < f->n; i++)
		r->slots[f->models[i]]->model.config = &mine->config;
	st = ps_repo_family_configured(r, f, &old->config);
	ps_repo_config_drop(old);
	return st == PS_OK ? st : ps_error_set(err, st, "model %s cannot be loaded anew", name);
}

const struct ps_repo_config *ps_repo_config_of(const struct ps_repo *r, const char *name)
{
	const struct ps_repo_family *f = ps_repo_family_find(r, name, strlen(name));

	return f ? &f->config->config : &r->defaults->config;
}

int ps_repo_count(const struct ps_repo *r)
{
	return r->n;
}

const struct ps_repo_model *ps_repo_get(const struct ps_repo *r, int model)
{
	return &r->slots[model]->model;
}

int ps_repo_find(const struct ps_repo *r, const char *name, size_t name_len, int64_t version)
{
	const struct ps_repo_family *f = ps_repo_family_find(r, name, name_len);
	int model;

	if (!f)
		return -1;
	if (version > 0) {
		model = known_version(r, f, version);
		return model >= 0 && !r->slots[model]->model.gone ? model : -1;
	}
	for (int i = f->n - 1; i >= 0; i--)
		if (!r->slots[f->models[i]]->model.gone)
			return f->models[i];
	return -1;
}

int ps_repo_versions(const struct ps_repo *r, const char *name, int *ret_models, int max)
{
	const struct ps_repo_family *f = ps_repo_family_find(r, name, strlen(name));
	int n = 0;

	for (int i = 0; f && i < f->n; i++) {
		if (r->slots[f->models[i]]->model.gone)
			continue;
		if (n < max)
			ret_models[n] = f->models[i];
		n++;
	}
	return n;
}

/* It answers, if need be after it was loaded. */
static bool is_ready(const struct ps_repo *r, int model, int domain)
{
	const struct ps_repo_place *p = model >= 0 ? ps_repo_place_of(r, model, domain) : NULL;

	return p && (p->current >= 0 || p->away || (r->on_demand && p->next >= 0));
}

/* By weight among the versions that can answer; -1 when none of them can. */
static int draw_split(const struct ps_repo *r, const struct ps_repo_family *f, int domain,
		      double draw)
{
	const struct ps_repo_config *c = &f->config->config;
	double sum = 0;
	int last = -1;

	for (int i = 0; i < c->n_splits; i++)
		if (is_ready(r, known_version(r, f, c->splits[i].version), domain))
			sum += c->splits[i].weight;
	draw *= sum;
	for (int i = 0; i < c->n_splits; i++) {
		int model = known_version(r, f, c->splits[i].version);

		if (!is_ready(r, model, domain))
			continue;
		last = model;
		if (draw < c->splits[i].weight)
			break;
		draw -= c->splits[i].weight;
	}
	return last;
}

static int choose_default(const struct ps_repo *r, const struct ps_repo_family *f, int domain)
{
	int wanted = -1, there = -1;

	for (int i = f->n - 1; i >= 0; i--) {
		int model = f->models[i];

		if (r->slots[model]->model.gone)
			continue;
		if (is_ready(r, model, domain))
			return model;
		if (wanted < 0 && ps_repo_wanted(r, model, domain))
			wanted = model;
		if (there < 0)
			there = model;
	}
	return wanted >= 0 ? wanted : there;
}

int ps_repo_choose(const struct ps_repo *r, const char *name, size_t name_len, int64_t version,
		   int domain, double draw)
{
	const struct ps_repo_family *f;
	int model = -1;

	if (version != 0)
		return version > 0 ? ps_repo_find(r, name, name_len, version) : -1;
	f = ps_repo_family_find(r, name, name_len);
	if (!f)
		return -1;
	if (f->config->config.n_splits > 0)
		model = draw_split(r, f, domain, draw);
	return model >= 0 ? model : choose_default(r, f, domain);
}

const char *ps_repo_state_name(enum ps_repo_state s)
{
	static const char *const names[PS_REPO_STATE_COUNT] = {"UNLOADED", "LOADING",	"READY",
							       "FAILED",   "UNLOADING", "ON_DISK"};

	return (unsigned)s < PS_REPO_STATE_COUNT ? names[s] : "?";
}

const char *ps_repo_index_state(enum ps_repo_state s)
{
	switch (s) {
	case PS_REPO_READY:
	case PS_REPO_ON_DISK: /* whoever asks is answered */
		return "READY";
	case PS_REPO_LOADING:
		return "LOADING";
	case PS_REPO_UNLOADING:
		return "UNLOADING";
	default:
		return "UNAVAILABLE";
	}
}
