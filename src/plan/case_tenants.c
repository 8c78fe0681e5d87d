/* case_tenants.c - who is to be served. */
#include "base/units.h"
#include "plan/case_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
#define MAX_PAIRS  40000 /* of tenants kept apart by one word */

/* ---- names ---- */

struct name {
	const char *text;
	int number;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static int look_up(const struct name *names, size_t n, const char *text)
{
	struct name key = {text, 0};
	const struct name *found = bsearch(&key, names, n, sizeof(*names), by_text);

	return found ? found->number : -1;
}

static enum ps_status no_tenant(const struct ps_plan_case *c, const struct name *names, size_t n,
				int line, const char *key, const char *text, struct ps_error *err)
{
	const char **all = calloc(n, sizeof(*all));

	ps_plan_refuse(err, PS_ENOTFOUND, c->path, line, key, "no tenant is called '%.60s'", text);
	for (size_t i = 0; all && i < n; i++)
		all[i] = names[i].text;
	const char *near = all ? ps_conf_nearest(text, all, n) : NULL;
	if (near)
		ps_error_hint(err, "did you mean '%s'?", near);
	free(all);
	return PS_ENOTFOUND;
}

/* The tenants of the file by name; each name once. */
static enum ps_status sort_names(const struct ps_plan_case *c, struct name **ret_names,
				 struct ps_error *err)
{
	size_t n = c->file.tenants.len;
	struct name *names = calloc(n, sizeof(*names));

	if (!names)
		return ps_error_set(err, PS_ENOMEM, "no memory for the tenants");
	for (size_t i = 0; i < n; i++)
		names[i] = (struct name){ps_plan_file_tenant(c, i)->name, (int)i};
	qsort(names, n, sizeof(*names), by_text);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(names[i].text, names[i - 1].text) != 0)
			continue;
		int line = ps_plan_file_tenant(c, (size_t)names[i].number)->where.line;
		ps_plan_refuse(err, PS_EPARSE, c->path, line, "name", "two tenants are called '%s'",
			       names[i].text);
		free(names);
		return PS_EPARSE;
	}
	*ret_names = names;
	return PS_OK;
}

/* ---- what a tenant says, and what it takes from another ---- */

static void inherit(struct ps_plan_file_tenant *t, const struct ps_plan_file_tenant *from)
{
	if (!t->model)
		t->model = from->model;
	if (!(t->rate_rps > 0) && t->rates.len == 0) {
		t->rate_rps = from->rate_rps;
		t->rates = from->rates;
	}
	if (!ps_sla_is_set(&t->sla))
		t->sla = from->sla;
	if (t->replicas == 0)
		t->replicas = from->replicas;
	if (t->instance_types.len == 0)
		t->instance_types = from->instance_types;
	if (t->survive == PS_PLAN_INHERITED)
		t->survive = from->survive;
	if (t->spot == PS_PLAN_INHERITED)
		t->spot = from->spot;
}

struct resolving {
	struct ps_plan_case *c;
	const struct name *names;
	char *state; /* per tenant: 0 not yet, 1 at it, 2 done */
};

/* Iterates up the chain of `like`, then comes back down. */
static enum ps_status resolve(struct resolving *r, int start, int *chain, struct ps_error *err)
{
	struct ps_plan_case *c = r->c;
	int n = 0, at = start;

	while (at >= 0 && r->state[at] == 0) {
		const struct ps_plan_file_tenant *t = ps_plan_file_tenant(c, (size_t)at);
		r->state[at] = 1;
		chain[n++] = at;
		int next = t->like ? look_up(r->names, c->file.tenants.len, t->like) : -1;
		if (t->like && next < 0)
			return no_tenant(c, r->names, c->file.tenants.len, t->where.line, "like",
					 t->like, err);
		if (next >= 0 && r->state[next] == 1)
			return ps_plan_refuse(err, PS_EINVAL, c->path, t->where.line, "like",
					      "tenant %s is like %s, which is like it: a circle",
					      t->name, t->like);
		at = next;
	}
	while (n > 0) {
		int mine = chain[--n];
		c->said[mine] = *ps_plan_file_tenant(c, (size_t)mine);
		if (at >= 0)
			inherit(&c->said[mine], &c->said[at]);
		r->state[mine] = 2;
		at = mine;
	}
	return PS_OK;
}

enum ps_status ps_plan_case_said(struct ps_plan_case *c, struct ps_error *err)
{
	size_t n = c->file.tenants.len;
	struct name *names = NULL;
	int *chain = calloc(n, sizeof(*chain));
	char *state = calloc(n, 1);
	enum ps_status st = sort_names(c, &names, err);

	c->said = calloc(n, sizeof(*c->said));
	if (st == PS_OK && (!chain || !state || !c->said)) {
		ps_error_set(err, PS_ENOMEM, "no memory for the tenants");
		st = PS_ENOMEM;
	}
	struct resolving r = {c, names, state};
	for (size_t i = 0; st == PS_OK && i < n; i++)
		st = resolve(&r, (int)i, chain, err);
	free(names);
	free(chain);
	free(state);
	return st;
}

/* ---- checks ---- */

static enum ps_status missing(const struct ps_plan_case *c, const struct ps_plan_file_tenant *t,
			      const char *key, struct ps_error *err)
{
	ps_plan_refuse(err, PS_EPARSE, c->path, t->where.line, key, "tenant %s has no %s", t->name,
		       key);
	ps_error_hint(err, "write it, or take it from another tenant with like");
	return PS_EPARSE;
}

static enum ps_status check_said(const struct ps_plan_case *c, const struct ps_plan_file_tenant *t,
				 struct ps_error *err)
{
	if (!t->model)
		return missing(c, t, "model", err);
	if (!(t->rate_rps > 0) && t->rates.len == 0)
		return missing(c, t, "rate", err);
	if (t->rate_rps > 0 && t->rates.len > 0)
		return ps_plan_refuse(err, PS_EPARSE, c->path, t->where.line, "rates",
				      "tenant %s has both a rate and rates", t->name);
	if (!ps_sla_is_set(&t->sla))
		return missing(c, t, "sla", err);
	return PS_OK;
}

static int model_of(const struct ps_plan_case *c, const struct ps_plan_file_tenant *t,
		    struct ps_error *err)
{
	const char *names[PS_PLAN_MAX_MODELS];

	for (int i = 0; i < c->n_models; i++) {
		names[i] = c->models[i].name;
		if (strcmp(names[i], t->model) == 0)
			return i;
	}
	ps_plan_refuse(err, PS_ENOTFOUND, c->path, t->where.line, "model",
		       "nothing is known of the model '%s' of tenant %s: %s has no row of it",
		       t->model, t->name, c->profiles_path);
	const char *near = ps_conf_nearest(t->model, names, (size_t)c->n_models);
	if (near)
		ps_error_hint(err, "did you mean '%s'? Else measure it alone (perseus measure)",
			      near);
	else
		ps_error_hint(
			err,
			"measure it alone (perseus measure) and add a row; or plan with a store "
			"of other models: --store RESULTS.DB --write-campaign FILE writes the "
			"campaign that measures it");
	return -1;
}

/* ---- rates ---- */

bool ps_plan_parse_rate(const char *text, double *ret_rps)
{
	char buf[64];
	size_t n = strlen(text);

	if (n >= 2 && strcmp(text + n - 2, "/s") == 0)
		n -= 2;
	if (n >= sizeof(buf))
		return false;
	memcpy(buf, text, n);
	buf[n] = '\0';
	return ps_units_parse_double(buf, ret_rps, NULL) == PS_OK && *ret_rps >= 0 &&
	       *ret_rps <= 1e9;
}

static enum ps_status set_rates(const struct ps_plan_case *c, const struct ps_plan_file_tenant *t,
				double *ret_rates, struct ps_error *err)
{
	double sum = 0;

	for (int h = 0; h < c->hours; h++) {
		if (t->rates.len == 0) {
			ret_rates[h] = t->rate_rps;
		} else if (!ps_plan_parse_rate(t->rates.items[h], &ret_rates[h])) {
			return ps_plan_refuse(err, PS_EPARSE, c->path, t->where.line, "rates",
					      "'%.40s' of tenant %s is no rate of 0 or more; write "
					      "it like 20 or 20/s",
					      t->rates.items[h], t->name);
		}
		sum += ret_rates[h];
	}
	if (!(sum > 0))
		return ps_plan_refuse(err, PS_EPARSE, c->path, t->where.line, "rates",
				      "tenant %s has no request all day", t->name);
	return PS_OK;
}

static enum ps_status set_hours(struct ps_plan_case *c, struct ps_error *err)
{
	const struct ps_plan_file_tenant *first = NULL;

	c->hours = 1;
	for (size_t i = 0; i < c->file.tenants.len; i++) {
		const struct ps_plan_file_tenant *t = &c->said[i];
		if (t->rates.len == 0)
			continue;
		if (first && t->rates.len != first->rates.len)
			return ps_plan_refuse(err, PS_EPARSE, c->path, t->where.line, "rates",
					      "tenant %s has %zu rates, and %s has %zu: the "
					      "stretches of a day must be the same",
					      t->name, t->rates.len, first->name, first->rates.len);
		first = t;
		c->hours = (int)t->rates.len;
	}
	return PS_OK;
}

/* ---- types ---- */

static enum ps_status set_allowed(const struct ps_plan_case *c, const struct ps_plan_file_tenant *t,
				  bool *ret_allowed, struct ps_error *err)
{
	for (size_t i = 0; i < t->instance_types.len; i++) {
		const struct ps_cost_price *p = NULL;
		bool known = false;
		ps_cost_sheet_find(&c->sheet, t->instance_types.items[i], &p, NULL);
		for (int k = 0; k < c->n_types; k++) {
			bool it = c->types[k].price == p;
			ret_allowed[k] |= it;
			known |= it;
		}
		if (!known)
			return ps_plan_refuse(
				err, PS_ENOTFOUND, c->path, t->where.line, "instance_types",
				"'%.60s' of tenant %s is none of the types of this plan",
				t->instance_types.items[i], t->name);
	}
	return PS_OK;
}

/* What perseus serve takes as a tenant's name. */
static bool is_name(const char *name)
{
	size_t n = name ? strlen(name) : 0;

	return n >= 1 && n <= 64 && strspn(name, NAME_BYTES) == n;
}

/* ---- the tenants ---- */

struct making {
	struct ps_plan_case *c;
	int *first; /* per tenant of the file: the first of its copies */
	struct name *names;
};

static bool make_one(struct making *m, size_t i, int copy, int model)
{
	struct ps_plan_case *c = m->c;
	const struct ps_plan_file_tenant *said = &c->said[i];
	struct ps_plan_tenant *t = &c->tenants[c->n_tenants];

	*t = (struct ps_plan_tenant){
		.file = ps_plan_file_tenant(c, i),
		.said = said,
		.model = model,
		.rates_rps = c->rates + i * (size_t)c->hours,
		.sla = said->sla,
		.replicas = said->replicas > 0 ? (int)said->replicas : 1,
		.survive = said->survive == PS_PLAN_SAID_TRUE,
		.spot = said->spot == PS_PLAN_SAID_TRUE,
		.allowed =
			said->instance_types.len > 0 ? c->allowed + i * (size_t)c->n_types : NULL,
	};
	for (int h = 0; h < c->hours; h++)
		t->peak_rps = fmax(t->peak_rps, t->rates_rps[h]);
	if (said->count > 1 && asprintf(&t->name, "%s-%d", said->name, copy + 1) < 0)
		t->name = NULL;
	else if (said->count <= 1)
		t->name = strdup(said->name);
	c->n_tenants += t->name != NULL;
	return t->name != NULL;
}

static enum ps_status make_all(struct making *m, struct ps_error *err)
{
	struct ps_plan_case *c = m->c;

	for (size_t i = 0; i < c->file.tenants.len; i++) {
		const struct ps_plan_file_tenant *t = &c->said[i];
		enum ps_status st = check_said(c, t, err);
		int model = st == PS_OK ? model_of(c, t, err) : -1;
		if (st == PS_OK && model < 0)
			st = PS_ENOTFOUND;
		if (st == PS_OK)
			st = set_rates(c, t, c->rates + i * (size_t)c->hours, err);
		if (st == PS_OK)
			st = set_allowed(c, t, c->allowed + i * (size_t)c->n_types, err);
		if (st != PS_OK)
			return st;
		m->first[i] = c->n_tenants;
		for (int copy = 0; copy < t->count; copy++) {
			if (!make_one(m, i, copy, model))
				return ps_error_set(err, PS_ENOMEM, "no memory for the tenants");
		}
	}
	return PS_OK;
}

static int line_of(const struct ps_plan_tenant *t)
{
	return t->file ? t->file->where.line : 0;
}

/* Names of copies may be names that others have. */
static enum ps_status check_copies(const struct ps_plan_case *c, struct ps_error *err)
{
	size_t n = (size_t)c->n_tenants;
	struct name *names = calloc(n, sizeof(*names));
	enum ps_status st = PS_OK;

	if (!names)
		return ps_error_set(err, PS_ENOMEM, "no memory for the tenants");
	for (size_t i = 0; i < n; i++) {
		const struct ps_plan_tenant *t = &c->tenants[i];
		names[i] = (struct name){t->name, (int)i};
		if (!is_name(t->name) && st == PS_OK)
			st = ps_plan_refuse(err, PS_EPARSE, c->path, line_of(t), "name",
					    "'%.80s': a tenant's name has 1 to 64 letters, digits, "
					    "'.', '_', '-'",
					    t->name);
	}
	qsort(names, n, sizeof(*names), by_text);
	for (size_t i = 1; st == PS_OK && i < n; i++) {
		if (strcmp(names[i].text, names[i - 1].text) == 0)
			st = ps_plan_refuse(err, PS_EPARSE, c->path,
					    line_of(&c->tenants[names[i].number]), "count",
					    "two tenants are called '%s'", names[i].text);
	}
	free(names);
	return st;
}

/* ---- apart ---- */

static bool push_apart(struct ps_plan_tenant *t, int other)
{
	for (int i = 0; i < t->aparts; i++) {
		if (t->apart[i] == other)
			return true;
	}
	int *apart = realloc(t->apart, ((size_t)t->aparts + 1) * sizeof(*apart));
	if (!apart)
		return false;
	apart[t->aparts++] = other;
	t->apart = apart;
	return true;
}

/* All copies of one from all copies of the other. */
static bool keep_apart(struct making *m, size_t a, size_t b)
{
	struct ps_plan_case *c = m->c;
	bool fine = true;

	for (int i = 0; i < c->said[a].count; i++) {
		for (int j = 0; fine && j < c->said[b].count; j++) {
			int x = m->first[a] + i, y = m->first[b] + j;
			fine = x == y ||
			       (push_apart(&c->tenants[x], y) && push_apart(&c->tenants[y], x));
		}
	}
	return fine;
}

static int ascending(const void *a, const void *b)
{
	return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

static enum ps_status set_apart(struct making *m, struct ps_error *err)
{
	struct ps_plan_case *c = m->c;
	size_t n = c->file.tenants.len;

	for (size_t i = 0; i < n; i++) {
		const struct ps_plan_file_tenant *t = ps_plan_file_tenant(c, i);
		for (size_t j = 0; j < t->apart_from.len; j++) {
			const char *name = t->apart_from.items[j];
			int other = look_up(m->names, n, name);
			if (other < 0)
				return no_tenant(c, m->names, n, t->where.line, "apart_from", name,
						 err);
			if ((size_t)other == i && t->count == 1)
				return ps_plan_refuse(
					err, PS_EINVAL, c->path, t->where.line, "apart_from",
					"tenant %s cannot be apart from itself", t->name);
			if (c->said[i].count * c->said[other].count > MAX_PAIRS)
				return ps_plan_refuse(
					err, PS_ETOOBIG, c->path, t->where.line, "apart_from",
					"over %d pairs are to be kept apart", MAX_PAIRS);
			if (!keep_apart(m, i, (size_t)other))
				return ps_error_set(err, PS_ENOMEM, "no memory for the tenants");
		}
	}
	for (int i = 0; i < c->n_tenants; i++) {
		if (c->tenants[i].aparts > 1)
			qsort(c->tenants[i].apart, (size_t)c->tenants[i].aparts, sizeof(int),
			      ascending);
	}
	return PS_OK;
}

static enum ps_status count_tenants(const struct ps_plan_case *c, size_t *ret_n,
				    struct ps_error *err)
{
	int64_t n = 0;

	for (size_t i = 0; i < c->file.tenants.len; i++)
		n += c->said[i].count;
	if (n > PS_PLAN_MAX_TENANTS)
		return ps_plan_refuse(err, PS_ETOOBIG, c->path, 0, "tenants",
				      "%lld tenants are more than a plan takes (%d)", (long long)n,
				      PS_PLAN_MAX_TENANTS);
	*ret_n = (size_t)n;
	return PS_OK;
}

enum ps_status ps_plan_case_tenants(struct ps_plan_case *c, struct ps_error *err)
{
	struct making m = {.c = c};
	size_t n_file = c->file.tenants.len, n = 0;
	enum ps_status st = count_tenants(c, &n, err);

	if (st == PS_OK)
		st = set_hours(c, err);
	if (st == PS_OK)
		st = sort_names(c, &m.names, err);
	if (st != PS_OK)
		return st;
	m.first = calloc(n_file, sizeof(*m.first));
	c->tenants = calloc(n, sizeof(*c->tenants));
	c->rates = calloc(n_file * (size_t)c->hours, sizeof(*c->rates));
	c->allowed = calloc(n_file * (size_t)c->n_types, sizeof(*c->allowed));
	if (!m.first || !c->tenants || !c->rates || !c->allowed) {
		ps_error_set(err, PS_ENOMEM, "no memory for the tenants");
		st = PS_ENOMEM;
	}
	if (st == PS_OK)
		st = make_all(&m, err);
	if (st == PS_OK)
		st = check_copies(c, err);
	if (st == PS_OK)
		st = set_apart(&m, err);
	free(m.first);
	free(m.names);
	return st;
}
