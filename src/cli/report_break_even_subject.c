/* report_break_even_subject.c - who is compared on two machines: a tenant alone, or a set of
 * tenants whose rates grow in step along the ray that was searched. */
#include "report_break_even_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct ps_store_campaign *campaign_of(const struct ps_cli_even_side *s)
{
	return s->priced.answered.campaign;
}

static const struct ps_store_tenant *tenant_of(const struct ps_cli_even_side *s,
					       const struct ps_report_line *l)
{
	return &campaign_of(s)->tenants[l->tenant];
}

/* The line of a tenant alone (set -1) or in a set, when its capacity is known. */
static const struct ps_report_line *line_of(const struct ps_cli_even_side *s, const char *tenant,
					    int set)
{
	const struct ps_report_answer *a = &s->priced.answered.answer;

	for (size_t i = 0; i < a->line_len; i++) {
		const struct ps_report_line *l = &a->lines[i];
		if (l->capacity_known && (set < 0 ? l->alone : l->set == set) &&
		    strcmp(tenant_of(s, l)->name, tenant) == 0)
			return l;
	}
	return NULL;
}

static int set_named(const struct ps_cli_even_side *s, const char *name)
{
	const struct ps_store_campaign *c = campaign_of(s);

	for (size_t i = 0; i < c->set_len; i++)
		if (strcmp(c->sets[i].name, name) == 0)
			return (int)i;
	return -1;
}

static enum ps_status no_capacity(const struct ps_cli_even_side *s, const char *what,
				  const char *name, struct ps_error *err)
{
	ps_error_set(err, PS_ENOTFOUND, "campaign %.100s knows no capacity %s %.100s",
		     campaign_of(s)->name, what, name);
	ps_error_hint(err, "perseus measure finds it: a campaign with a search of it");
	return PS_ENOTFOUND;
}

/* ---- picking ---- */

/* The tenant that is asked for, or the only one that both sides know. */
static enum ps_status pick_tenant(const char *tenant, const struct ps_cli_even_side sides[2],
				  const char **ret_tenant, struct ps_error *err)
{
	const struct ps_store_campaign *c = campaign_of(&sides[0]);
	const char *found = tenant;

	for (size_t i = 0; !tenant && i < c->tenant_len; i++) {
		const char *name = c->tenants[i].name;
		if (!line_of(&sides[0], name, -1) ||
		    (sides[1].has_campaign && !line_of(&sides[1], name, -1)))
			continue;
		if (found) {
			ps_error_set(err, PS_EUSAGE,
				     "several tenants can be compared, %s and %s: say --tenant "
				     "NAME",
				     found, name);
			ps_error_hint(err, "or all of a set together: --set NAME");
			return PS_EUSAGE;
		}
		found = name;
	}
	*ret_tenant = found;
	if (!found)
		ps_error_set(err, PS_ENOTFOUND, "no tenant has a capacity alone on both machines");
	return found ? PS_OK : PS_ENOTFOUND;
}

/* The members of a set with their shares of its rate; PS_ENOTFOUND when its capacity is not known.
 */
static enum ps_status read_set(const struct ps_cli_even_side *s, const char *name,
			       struct ps_cli_even_subject *ret, struct ps_error *err)
{
	const struct ps_store_campaign *c = campaign_of(s);
	int set = set_named(s, name);
	struct ps_cli_even_subject u = {.name = name, .is_set = true};
	double sum = 0;

	for (int i = 0; set >= 0 && i < c->sets[set].member_len; i++) {
		const char *tenant = c->tenants[c->sets[set].members[i]].name;
		const struct ps_report_line *l = line_of(s, tenant, set);
		if (!l)
			return no_capacity(s, "of set", name, err);
		u.members[u.len++] = (struct ps_cli_even_member){tenant, l->capacity_rps.value};
		sum += l->capacity_rps.value;
	}
	if (u.len == 0)
		return no_capacity(s, "of set", name, err);
	for (int i = 0; i < u.len; i++)
		u.members[i].share = sum > 0 ? u.members[i].share / sum : NAN;
	*ret = u;
	return PS_OK;
}

enum ps_status ps_cli_even_pick(const char *tenant, const char *set,
				const struct ps_cli_even_side sides[2],
				struct ps_cli_even_subject *ret_subject, struct ps_error *err)
{
	if (tenant && set)
		return ps_error_set(err, PS_EUSAGE, "--tenant and --set exclude each other");
	if (set)
		return read_set(&sides[0], set, ret_subject, err);
	*ret_subject = (struct ps_cli_even_subject){0};
	return pick_tenant(tenant, sides, &ret_subject->name, err);
}

/* ---- capacities ---- */

/* All capacities of a set are one measured factor along one ray: they sum end by end. */
enum ps_status ps_cli_even_capacity(const struct ps_cli_even_side *s,
				    const struct ps_cli_even_subject *u,
				    struct ps_stats_interval *ret_rps, struct ps_error *err)
{
	struct ps_stats_interval sum = {.confidence = PS_REPORT_CONFIDENCE, .has_interval = true};
	int set = u->is_set ? set_named(s, u->name) : -1;

	if (!u->is_set) {
		const struct ps_report_line *l = line_of(s, u->name, -1);
		if (!l)
			return no_capacity(s, "alone of tenant", u->name, err);
		*ret_rps = l->capacity_rps;
		return PS_OK;
	}
	for (int i = 0; i < u->len; i++) {
		const struct ps_report_line *l =
			set >= 0 ? line_of(s, u->members[i].tenant, set) : NULL;
		if (!l)
			return no_capacity(s, "of set", u->name, err);
		sum.value += l->capacity_rps.value;
		sum.lo += l->capacity_rps.lo;
		sum.hi += l->capacity_rps.hi;
		sum.has_interval = sum.has_interval && l->capacity_rps.has_interval;
	}
	*ret_rps = sum;
	return PS_OK;
}

/* ---- the same on both sides ---- */

/* Two campaigns are of one tenant when it asks the same of both. */
static enum ps_status check_tenant(const struct ps_cli_even_side sides[2], const char *tenant,
				   const int sets[2], struct ps_error *err)
{
	const struct ps_report_line *a = line_of(&sides[0], tenant, sets[0]),
				    *b = line_of(&sides[1], tenant, sets[1]);
	const struct ps_store_tenant *x = tenant_of(&sides[0], a), *y = tenant_of(&sides[1], b);
	char first[PS_SLA_SIZE], second[PS_SLA_SIZE];

	if (a->batch != b->batch)
		return ps_error_set(err, PS_EINVAL,
				    "requests of %.60s have %g inferences in one campaign and "
				    "%g in the other: their rates cannot be compared",
				    tenant, a->batch, b->batch);
	if (strcmp(ps_sla_format(&x->sla, first), ps_sla_format(&y->sla, second)) != 0)
		fprintf(stderr, "perseus: warning: the SLA of %s differs: %s and %s\n", tenant,
			first, second);
	if (strcmp(x->model, y->model) != 0)
		fprintf(stderr, "perseus: warning: the model of %s differs: %s and %s\n", tenant,
			x->model, y->model);
	return PS_OK;
}

static double share_in(const struct ps_cli_even_subject *u, const char *tenant)
{
	for (int i = 0; i < u->len; i++)
		if (strcmp(u->members[i].tenant, tenant) == 0)
			return u->members[i].share;
	return NAN;
}

/* Rates of another mix are another rate, whatever their sum. */
static enum ps_status check_ray(const struct ps_cli_even_side *other,
				const struct ps_cli_even_subject *u, struct ps_error *err)
{
	struct ps_cli_even_subject v;
	enum ps_status st = read_set(other, u->name, &v, err);

	for (int i = 0; st == PS_OK && i < u->len; i++) {
		double share = share_in(&v, u->members[i].tenant);
		if (v.len != u->len || !(fabs(share - u->members[i].share) <= 1e-6))
			st = ps_error_set(
				err, PS_EINVAL,
				"set %.60s is another mix in the other campaign: of %.60s "
				"%.4g %% of the requests and %.4g %%",
				u->name, u->members[i].tenant, 100 * u->members[i].share,
				100 * share);
	}
	return st;
}

enum ps_status ps_cli_even_check_same(const struct ps_cli_even_side sides[2],
				      const struct ps_cli_even_subject *u, struct ps_error *err)
{
	int sets[2] = {-1, -1};
	enum ps_status st = PS_OK;

	if (!u->is_set)
		return check_tenant(sides, u->name, sets, err);
	st = check_ray(&sides[1], u, err);
	for (int i = 0; i < 2; i++)
		sets[i] = set_named(&sides[i], u->name);
	for (int i = 0; st == PS_OK && i < u->len; i++)
		st = check_tenant(sides, u->members[i].tenant, sets, err);
	return st;
}
