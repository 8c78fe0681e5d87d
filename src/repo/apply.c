/* A listing of a folder becomes models. */
#include "repo/repo_internal.h"

#include <string.h>

static bool is_foreign(const struct ps_repo *r, const struct ps_repo_family *f, int source)
{
	for (int i = 0; f && i < f->n; i++) {
		const struct ps_repo_model *m = &r->slots[f->models[i]]->model;

		if (!m->gone && m->source != source)
			return true;
	}
	return false;
}

static bool is_known(const struct ps_repo *r, const struct ps_repo_family *f)
{
	for (int i = 0; f && i < f->n; i++)
		if (!r->slots[f->models[i]]->model.gone)
			return true;
	return false;
}

static enum ps_status put_file(struct ps_repo *r, const struct ps_repo_file *f, int source,
			       struct ps_repo_changes *changes, struct ps_error *err)
{
	int model = ps_repo_find(r, f->name, strlen(f->name), f->version);
	bool there = model >= 0;
	bool same = there && r->slots[model]->model.path &&
		    strcmp(r->slots[model]->model.path, f->path) == 0 &&
		    ps_repo_identity_equal(&r->slots[model]->model.identity, &f->identity);
	enum ps_status st =
		ps_repo_put(r, f->name, f->version, f->path, &f->identity, source, &model, err);

	if (st != PS_OK)
		return st;
	r->slots[model]->seen = r->stamp;
	changes->added += !there;
	changes->changed += there && !same;
	return PS_OK;
}

/* What a name with an error had stays; one that is new shows its versions with the reason. */
static enum ps_status refuse(struct ps_repo *r, const struct ps_repo_entry *e,
			     struct ps_repo_family **ret_family, struct ps_error *err)
{
	struct ps_repo_family *f = ps_repo_family_find(r, e->name, strlen(e->name));
	bool known = is_known(r, f);
	enum ps_status st = ps_repo_family_need(r, e->name, &f, err);

	*ret_family = NULL;
	if (st != PS_OK)
		return st == PS_EINVAL ? PS_OK : st; /* no name of a model: nothing to show */
	ps_repo_why_set(&f->error, &e->error);
	if (!known)
		f->unusable = true;
	*ret_family = f;
	return PS_OK;
}

static void keep_models(struct ps_repo *r, const struct ps_repo_family *f)
{
	for (int i = 0; i < f->n; i++)
		r->slots[f->models[i]]->seen = r->stamp;
}

static enum ps_status apply_refused(struct ps_repo *r, const struct ps_repo_listing *l,
				    const struct ps_repo_entry *e, int source,
				    struct ps_repo_changes *changes, struct ps_error *err)
{
	struct ps_repo_family *f;
	enum ps_status st = refuse(r, e, &f, err);

	changes->refused++;
	if (st != PS_OK || !f)
		return st;
	if (!f->unusable)
		keep_models(r, f);
	for (int i = 0; f->unusable && st == PS_OK && i < e->n_files; i++)
		st = put_file(r, &l->files[e->first_file + i], source, changes, err);
	return st;
}

static enum ps_status apply_entry(struct ps_repo *r, const struct ps_repo_listing *l,
				  const struct ps_repo_entry *e, int source,
				  struct ps_repo_changes *changes, struct ps_error *err)
{
	enum ps_status st;

	if (is_foreign(r, ps_repo_family_find(r, e->name, strlen(e->name)), source))
		return PS_OK;
	if (e->status != PS_OK)
		return apply_refused(r, l, e, source, changes, err);
	st = ps_repo_set_config(r, e->name, &e->config, err);
	for (int i = 0; st == PS_OK && i < e->n_files; i++)
		st = put_file(r, &l->files[e->first_file + i], source, changes, err);
	return st;
}

enum ps_status ps_repo_apply(struct ps_repo *r, const struct ps_repo_listing *l, int source,
			     struct ps_repo_changes *ret_changes, struct ps_error *err)
{
	struct ps_repo_changes changes = {0};
	enum ps_status st = PS_OK;

	r->stamp++;
	for (int i = 0; st == PS_OK && i < l->n_entries; i++)
		st = apply_entry(r, l, &l->entries[i], source, &changes, err);
	for (int i = 0; st == PS_OK && i < r->n; i++) {
		const struct ps_repo_slot *s = r->slots[i];

		if (s->model.gone || s->model.source != source || s->seen == r->stamp)
			continue;
		ps_repo_remove(r, i);
		changes.removed++;
	}
	if (ret_changes)
		*ret_changes = changes;
	return st;
}
