#include "plan/case_internal.h"

#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum ps_status ps_plan_refuse(struct ps_error *err, enum ps_status st, const char *path, int line,
			      const char *key, const char *fmt, ...)
{
	char what[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	ps_error_set(err, st, "%s", what);
	ps_error_where(err, "%s:%d:%s", path, line, key);
	return st;
}

/* `name` as seen from the folder of the file at `beside`; malloc'ed. */
static char *path_beside(const char *beside, const char *name)
{
	char *copy = strdup(beside), *path = NULL;

	if (name[0] == '/') {
		path = strdup(name);
	} else if (copy) {
		if (asprintf(&path, "%s/%s", dirname(copy), name) < 0)
			path = NULL;
	}
	free(copy);
	return path;
}

enum ps_status ps_plan_case_path(const struct ps_plan_case *c, const char *option,
				 const char *in_file, const char *what, char **ret_path,
				 struct ps_error *err)
{
	*ret_path = NULL;
	if (!option && !in_file) {
		ps_error_set(err, PS_EINVAL, "no %s are named", what);
		ps_error_where(err, "%s", c->path);
		ps_error_hint(err, "write %s: FILE into it, or give --%s", what, what);
		return PS_EINVAL;
	}
	char *path = option ? strdup(option) : path_beside(c->path, in_file);
	if (!path)
		return ps_error_set(err, PS_ENOMEM, "no memory for a path");
	*ret_path = path;
	return PS_OK;
}

static enum ps_status load_prices(struct ps_plan_case *c, const char *option, struct ps_error *err)
{
	enum ps_status st =
		ps_plan_case_path(c, option, c->file.prices, "prices", &c->prices_path, err);

	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): ps_plan_case_fini frees the path */
	return st == PS_OK ? ps_cost_sheet_load(c->prices_path, &c->sheet, err) : st;
}

static enum ps_status load_profiles(struct ps_plan_case *c, const char *option,
				    struct ps_error *err)
{
	struct ps_plan_profiles read;

	if (c->source && !option && !c->file.profiles)
		return PS_OK;
	enum ps_status st =
		ps_plan_case_path(c, option, c->file.profiles, "profiles", &c->profiles_path, err);

	if (st == PS_OK)
		st = ps_conf_load_yaml(&ps_plan_profiles_schema, c->profiles_path, &read, err);
	if (st == PS_OK)
		c->profiles = read;
	return st;
}

static enum ps_status load_revocations(struct ps_plan_case *c, const char *option,
				       struct ps_error *err)
{
	struct ps_plan_revocations read;
	enum ps_status st;

	if (!option && !c->file.revocations)
		return PS_OK;
	st = ps_plan_case_path(c, option, c->file.revocations, "revocations", &c->revocations_path,
			       err);
	if (st == PS_OK)
		st = ps_conf_load_yaml(&ps_plan_revocations_schema, c->revocations_path, &read,
				       err);
	if (st != PS_OK)
		return st;
	c->revocations = read;
	for (size_t i = 0; i < read.revocations.len; i++) {
		const struct ps_plan_revocation *r =
			(const struct ps_plan_revocation *)read.revocations.items + i;
		if ((r->per_hour > 0) == (r->within_24h > 0))
			return ps_plan_refuse(err, PS_EPARSE, c->revocations_path, r->where.line,
					      "per_hour",
					      "either per_hour or within_24h says how often");
	}
	return PS_OK;
}

static enum ps_status load_plan(struct ps_plan_case *c, const char *path, struct ps_error *err)
{
	struct ps_plan_file read;

	c->path = strdup(path);
	if (!c->path)
		return ps_error_set(err, PS_ENOMEM, "no memory for a path");
	enum ps_status st = ps_conf_load_yaml(&ps_plan_file_schema, path, &read, err);
	if (st == PS_OK)
		c->file = read;
	return st;
}

enum ps_status ps_plan_case_open(const char *path, const char *prices, const char *profiles,
				 const char *revocations, struct ps_plan_case *ret_case,
				 struct ps_error *err)
{
	return ps_plan_case_open_from(path, prices, profiles, revocations, NULL, ret_case, err);
}

enum ps_status ps_plan_case_open_from(const char *path, const char *prices, const char *profiles,
				      const char *revocations, const struct ps_plan_source *source,
				      struct ps_plan_case *ret_case, struct ps_error *err)
{
	struct ps_plan_case c = {.source = source};
	enum ps_status st = load_plan(&c, path, err);

	if (st == PS_OK)
		st = load_prices(&c, prices, err);
	if (st == PS_OK)
		st = load_profiles(&c, profiles, err);
	if (st == PS_OK)
		st = load_revocations(&c, revocations, err);
	if (st == PS_OK)
		st = ps_plan_case_said(&c, err);
	if (st == PS_OK)
		st = ps_plan_case_models(&c, err);
	if (st == PS_OK)
		st = ps_plan_case_types(&c, err);
	if (st == PS_OK)
		st = ps_plan_case_source_pairs(&c, err);
	if (st == PS_OK)
		st = ps_plan_case_tenants(&c, err);
	if (st == PS_OK)
		*ret_case = c;
	else
		ps_plan_case_fini(&c);
	return st;
}

void ps_plan_case_fini(struct ps_plan_case *c)
{
	for (int i = 0; i < c->n_tenants; i++) {
		free(c->tenants[i].name);
		free(c->tenants[i].apart);
	}
	for (int i = 0; i < c->n_types; i++)
		free(c->types[i].name);
	free(c->tenants);
	free(c->types);
	free(c->models);
	free(c->hosts);
	free(c->services);
	free(c->corrected);
	free(c->footprints);
	free(c->figures);
	free(c->memory_from);
	free(c->beside);
	free(c->said);
	free(c->rates);
	free(c->allowed);
	ps_conf_free(&ps_plan_file_schema, &c->file);
	ps_conf_free(&ps_plan_profiles_schema, &c->profiles);
	ps_conf_free(&ps_plan_revocations_schema, &c->revocations);
	ps_cost_sheet_free(&c->sheet);
	free(c->path);
	free(c->profiles_path);
	free(c->revocations_path);
	free(c->prices_path);
	memset(c, 0, sizeof(*c));
}
