/* cache_explain.c - perseus cache explain: what is drawn from, who gets what, and who would object
 * to another policy. */
#include "base/csv.h"
#include "base/units.h"
#include "cli/cache_file_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Objections under this are within the certificates. */
#define CORE_TOLERANCE 1e-5

struct explain_options {
	char *file;
	int policy;
	int64_t capacity_bytes, seed, configurations;
	bool json, csv;
};

#define FIELD(f) offsetof(struct explain_options, f)

/* In the order of enum ps_cache_kind. */
static const char *const policies[] = {"static", "lru", "lfu", "gdsf", "rsd",
				       "optp",	 "mmf", "pf",  NULL};

static const struct ps_conf_option rows[] = {
	{.name = "file",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(file),
	 .metavar = "CACHE.YAML",
	 .help = "Tenants, models and what is asked for.",
	 .flags = PS_CONF_POSITIONAL | PS_CONF_REQUIRED},
	{.name = "policy",
	 .type = PS_CONF_ENUM,
	 .offset = FIELD(policy),
	 .choices = policies,
	 .def = "pf",
	 .help = "Whose distribution is shown; the others are compared with it."},
	{.name = "capacity",
	 .type = PS_CONF_BYTES,
	 .offset = FIELD(capacity_bytes),
	 .help = "Another capacity than the file's.",
	 .min = 0,
	 .max = 1e18},
	{.name = "seed",
	 .type = PS_CONF_INT,
	 .offset = FIELD(seed),
	 .def = "1",
	 .help = "Of the orders that rsd draws where there are too many for all of them.",
	 .min = 0,
	 .max = 9e15},
	{.name = "configurations",
	 .type = PS_CONF_INT,
	 .offset = FIELD(configurations),
	 .def = "10",
	 .metavar = "N",
	 .help = "Show at most so many configurations in the text.",
	 .min = 0,
	 .max = 1e6},
	{.name = "csv",
	 .type = PS_CONF_BOOL,
	 .offset = FIELD(csv),
	 .help = "Print what each tenant gets from each policy as CSV."},
	PS_CLI_JSON(struct explain_options),
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "perseus cache explain",
	.summary = "Show which models would be in memory, how often, and who gets what.",
	.details =
		"A loaded model serves every tenant at once, so memory is shared by a distribution "
		"over configurations, of which one is drawn per epoch. Shown are the distribution, "
		"what each tenant gets against its share of what it would get alone, and for each "
		"policy the smallest group of tenants that could do better on its own with its "
		"part of the chances (at most 16 tenants). docs/cache.md.",
	.example = "perseus cache explain examples/cache/shop.yaml\n"
		   "perseus cache explain cache.yaml --policy mmf --capacity 2GB --json",
	.options = rows,
	.size = sizeof(struct explain_options),
	.where_offset = SIZE_MAX,
};

/* A policy's plan and what is said against it. */
struct judged {
	struct ps_cache_plan plan;
	struct ps_cache_objection objection;
	bool looked;   /* for objections */
	char why[500]; /* it has no plan, or was not looked at */
};

struct answer {
	const struct ps_cli_cache_case *c;
	struct ps_cache_problem p;
	struct judged by[PS_CACHE_KINDS];
	enum ps_cache_kind shown;
};

static enum ps_status judge(struct answer *a, enum ps_cache_kind kind, struct ps_error *err)
{
	struct judged *j = &a->by[kind];
	struct ps_error why;
	enum ps_status st = ps_cache_plan_make(kind, &a->p, NULL, &j->plan, &why);

	if (st == PS_OK) {
		st = ps_cache_core(&a->p, &j->plan, CORE_TOLERANCE, &j->objection, &why);
		j->looked = st == PS_OK;
	}
	if (st == PS_OK)
		return PS_OK;
	/* Without CLP the others can still be shown. */
	ps_error_format(&why, j->why, sizeof(j->why));
	if (kind != a->shown && st == PS_ENOTFOUND)
		return PS_OK;
	if (st == PS_ETOOBIG && j->plan.n > 0)
		return PS_OK;
	*err = why;
	return st;
}

static void answer_fini(struct answer *a)
{
	for (int k = 0; k < PS_CACHE_KINDS; k++) {
		ps_cache_plan_free(&a->by[k].plan);
		ps_cache_objection_free(&a->by[k].objection);
	}
}

/* ---- text ---- */

static double total(const struct ps_cache_plan *p)
{
	double sum = 0;

	for (int i = 0; i < p->tenants; i++)
		sum += p->utility[i];
	return sum;
}

static double jain(const struct ps_cache_plan *p)
{
	double x[PS_CACHE_MAX_TENANTS];
	int n = 0;

	for (int i = 0; i < p->tenants; i++)
		if (p->best[i] > 0)
			x[n++] = p->utility[i] / p->best[i];
	return ps_cache_jain(x, n);
}

static void items_text(const struct answer *a, const uint64_t *has, struct ps_strbuf *out)
{
	bool any = false;

	for (int j = 0; j < a->p.items; j++) {
		if (!ps_cache_has(has, j))
			continue;
		ps_strbuf_printf(out, "%s%s", any ? ", " : "", a->c->item_name[j]);
		any = true;
	}
	ps_strbuf_puts(out, any ? "" : "nothing");
}

static void head(const struct answer *a, struct ps_strbuf *out)
{
	const struct judged *j = &a->by[a->shown];
	char bytes[PS_UNITS_SIZE];

	ps_strbuf_printf(out, "%d tenants, %d models", a->p.tenants, a->p.items);
	if (a->c->shared > 0)
		ps_strbuf_printf(out, " (%d more are the content of one of them)", a->c->shared);
	ps_strbuf_printf(out, ", %s of memory.\n",
			 ps_units_format_bytes(a->p.capacity_bytes, bytes));
	ps_strbuf_printf(out, "%s: %s.\n", policies[a->shown],
			 ps_cache_policy_get(a->shown)->summary);
	if (a->shown == PS_CACHE_PF)
		ps_strbuf_printf(out,
				 "Certificate: no distribution has a sum of w log V that is over "
				 "this one's by more than %.2g of the weights' sum (asked for: "
				 "%.0e); %d knapsacks in %d rounds.\n",
				 j->plan.gap, PS_CACHE_GAP, j->plan.priced, j->plan.rounds);
	if (a->shown == PS_CACHE_PF && j->plan.gap > PS_CACHE_GAP)
		ps_strbuf_puts(out, "That is NOT what was asked for.\n");
	if (a->shown == PS_CACHE_MMF)
		ps_strbuf_printf(out,
				 "Certificate: at no level could all who are there have more by "
				 "over %.2g of what they would have alone, by %d knapsacks.\n",
				 j->plan.gap, j->plan.priced);
	if (j->plan.best_error > 1e-9)
		ps_strbuf_printf(
			out,
			"What each would have alone is known to %.2g of it: models are "
			"worth as much as they are large, and not all sets can be tried.\n",
			j->plan.best_error);
}

static void configurations(const struct answer *a, int most, struct ps_strbuf *out)
{
	const struct ps_cache_plan *p = &a->by[a->shown].plan;
	char bytes[PS_UNITS_SIZE];

	ps_strbuf_printf(out, "\n%8s %11s  %s\n", "chance", "memory", "models");
	for (int i = 0; i < p->n && i < most; i++) {
		ps_strbuf_printf(out, "%7.2f%% %11s  ", 100 * p->config[i].share,
				 ps_units_format_bytes(p->config[i].bytes, bytes));
		items_text(a, p->config[i].has, out);
		ps_strbuf_putc(out, '\n');
	}
	if (p->n > most)
		ps_strbuf_printf(out, "%d more: --configurations or --json shows them.\n",
				 p->n - most);
}

static void tenants(const struct answer *a, struct ps_strbuf *out)
{
	const struct ps_cache_plan *p = &a->by[a->shown].plan;

	ps_strbuf_printf(out, "\n%-20s %8s %12s %12s %12s %8s\n", "tenant", "weight", "alone, s",
			 "share, s", "gets, s", "x share");
	for (int i = 0; i < p->tenants; i++) {
		ps_strbuf_printf(out, "%-20s %8.4g ", a->c->tenant_name[i], a->p.tenant[i].weight);
		if (p->best[i] > 0)
			ps_strbuf_printf(out, "%12.5g %12.5g %12.5g %8.4f\n", p->best[i],
					 p->entitled[i], p->utility[i],
					 p->utility[i] / p->entitled[i]);
		else
			ps_strbuf_puts(out, "asks for nothing that fits\n");
	}
	ps_strbuf_puts(out, "Seconds of cold loads that are spared per epoch: alone with all the "
			    "memory; by weight of that; foreseen over the draw.\n");
}

/* Those of the group; or of them only those that would have more. */
static void group_text(const struct answer *a, const struct ps_cache_objection *o, bool better,
		       struct ps_strbuf *out)
{
	int all = 0, n = 0;

	for (int i = 0; i < o->members; i++)
		all += !better || o->better[i];
	for (int i = 0; i < o->members; i++) {
		if (better && !o->better[i])
			continue;
		ps_strbuf_printf(out, "%s%s",
				 n == 0		? ""
				 : n == all - 1 ? " and "
						: ", ",
				 a->c->tenant_name[o->who[i]]);
		n++;
	}
}

static bool all_better(const struct ps_cache_objection *o)
{
	bool all = true;

	for (int i = 0; i < o->members; i++)
		all = all && o->better[i];
	return all;
}

static void objection(const struct answer *a, enum ps_cache_kind kind, struct ps_strbuf *out)
{
	const struct judged *j = &a->by[kind];
	const struct ps_cache_objection *o = &j->objection;

	ps_strbuf_printf(out, "%-7s ", policies[kind]);
	if (!j->looked) {
		ps_strbuf_printf(out, "not looked at: %s\n", j->why);
		return;
	}
	if (!o->found) {
		ps_strbuf_puts(out, "nobody: it is in the core\n");
		return;
	}
	group_text(a, o, false, out);
	ps_strbuf_printf(out, ", whose part is %.4g %% of the chances: with that part for ",
			 100 * o->part);
	items_text(a, o->way.config[0].has, out);
	if (o->way.n > 1)
		ps_strbuf_printf(out, " (%.3g %%) and %d more", 100 * o->way.config[0].share,
				 o->way.n - 1);
	if (isinf(o->gain))
		ps_strbuf_puts(out, " it would have something in place of nothing\n");
	else if (all_better(o))
		ps_strbuf_printf(out, " %s would have at least %.4g times as much\n",
				 o->members > 1 ? "each" : "it", o->gain);
	else {
		ps_strbuf_puts(out, " ");
		group_text(a, o, true, out);
		ps_strbuf_printf(
			out, " would have at least %.4g times as much, and the others no less\n",
			o->gain);
	}
}

static void others(const struct answer *a, struct ps_strbuf *out)
{
	ps_strbuf_printf(out, "\n%-7s %10s %9s %8s  %s\n", "policy", "spared, s", "worst", "Jain",
			 "worst off");
	for (int k = 0; k < PS_CACHE_KINDS; k++) {
		const struct ps_cache_plan *p = &a->by[k].plan;
		int who;
		if (p->n == 0) {
			ps_strbuf_printf(out, "%-7s no plan: %s\n", policies[k], a->by[k].why);
			continue;
		}
		double worst = ps_cache_worst_share(p, &who);
		ps_strbuf_printf(out, "%-7s %10.5g %9.4f %8.4f  %s\n", policies[k], total(p), worst,
				 jain(p), who < 0 ? "-" : a->c->tenant_name[who]);
	}
	ps_strbuf_puts(out,
		       "worst: the least that a tenant gets of its share; 1 or more keeps the "
		       "promise. lru, lfu and gdsf go by the demand alone here: the order of "
		       "requests decides in truth (perseus cache simulate).\n\nWho would object "
		       "to which policy, and why:\n");
	for (int k = 0; k < PS_CACHE_KINDS; k++)
		if (a->by[k].plan.n > 0)
			objection(a, (enum ps_cache_kind)k, out);
}

static enum ps_status print(struct ps_strbuf *out, struct ps_error *err)
{
	enum ps_status st = ps_strbuf_status(out);

	st = st == PS_OK ? ps_cli_print(out->data, out->len, err)
			 : ps_error_set(err, st, "no memory for the answer");
	ps_strbuf_fini(out);
	return st;
}

static enum ps_status print_text(const struct answer *a, int most, struct ps_error *err)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	head(a, &out);
	configurations(a, most, &out);
	tenants(a, &out);
	others(a, &out);
	return print(&out, err);
}

static enum ps_status print_csv(const struct answer *a, struct ps_error *err)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	ps_strbuf_puts(&out, "policy,tenant,weight,alone_s,share_s,gets_s,objected\n");
	for (int k = 0; k < PS_CACHE_KINDS; k++)
		for (int i = 0; i < a->by[k].plan.tenants; i++) {
			const struct judged *j = &a->by[k];
			ps_strbuf_printf(&out, "%s,", policies[k]);
			ps_csv_text(&out, a->c->tenant_name[i]);
			const double v[] = {a->p.tenant[i].weight, j->plan.best[i],
					    j->plan.entitled[i], j->plan.utility[i]};
			for (int n = 0; n < 4; n++) {
				ps_strbuf_putc(&out, ',');
				ps_csv_real(&out, v[n]);
			}
			ps_strbuf_printf(&out, ",%s\n",
					 !j->looked	      ? ""
					 : j->objection.found ? "yes"
							      : "no");
		}
	return print(&out, err);
}

/* ---- JSON ---- */

static json_t *plan_json(const struct answer *a, const struct ps_cache_plan *p)
{
	json_t *all = json_array();

	for (int i = 0; i < p->n; i++) {
		json_t *o = json_object(), *models = json_array();
		ps_json_set_real(o, "share", p->config[i].share);
		ps_json_set_int(o, "bytes", p->config[i].bytes);
		for (int j = 0; j < a->p.items; j++)
			if (ps_cache_has(p->config[i].has, j))
				json_array_append_new(models, json_string(a->c->item_name[j]));
		json_object_set_new(o, "models", models);
		json_array_append_new(all, o);
	}
	return all;
}

static json_t *objection_json(const struct answer *a, const struct judged *j)
{
	if (!j->looked || !j->objection.found)
		return json_null();
	json_t *o = json_object(), *who = json_array();
	for (int i = 0; i < j->objection.members; i++)
		json_array_append_new(who, json_string(a->c->tenant_name[j->objection.who[i]]));
	json_object_set_new(o, "tenants", who);
	json_t *better = json_array();
	for (int i = 0; i < j->objection.members; i++)
		if (j->objection.better[i])
			json_array_append_new(better,
					      json_string(a->c->tenant_name[j->objection.who[i]]));
	json_object_set_new(o, "better", better);
	ps_json_set_real(o, "part", j->objection.part);
	ps_json_set_real(o, "gain", j->objection.gain);
	json_object_set_new(o, "configurations", plan_json(a, &j->objection.way));
	return o;
}

static json_t *tenants_json(const struct answer *a, const struct ps_cache_plan *p)
{
	json_t *all = json_array();

	for (int i = 0; i < p->tenants; i++) {
		json_t *o = json_object();
		ps_json_set_string(o, "tenant", a->c->tenant_name[i]);
		ps_json_set_real(o, "weight", a->p.tenant[i].weight);
		ps_json_set_real(o, "alone_s", p->best[i]);
		ps_json_set_real(o, "share_s", p->entitled[i]);
		ps_json_set_real(o, "gets_s", p->utility[i]);
		json_array_append_new(all, o);
	}
	return all;
}

static json_t *policy_json(const struct answer *a, enum ps_cache_kind kind)
{
	const struct judged *j = &a->by[kind];
	json_t *o = json_object();

	ps_json_set_string(o, "policy", policies[kind]);
	if (j->plan.n == 0) {
		ps_json_set_string(o, "why_not", j->why);
		return o;
	}
	ps_json_set_real(o, "gap", j->plan.gap);
	ps_json_set_real(o, "best_error", j->plan.best_error);
	ps_json_set_int(o, "knapsacks", j->plan.priced);
	ps_json_set_real(o, "spared_s", total(&j->plan));
	ps_json_set_real(o, "worst_share", ps_cache_worst_share(&j->plan, NULL));
	ps_json_set_real(o, "jain", jain(&j->plan));
	if (j->looked)
		ps_json_set_bool(o, "in_core", !j->objection.found);
	else
		json_object_set_new(o, "in_core", json_null());
	json_object_set_new(o, "objection", objection_json(a, j));
	json_object_set_new(o, "tenants", tenants_json(a, &j->plan));
	json_object_set_new(o, "configurations", plan_json(a, &j->plan));
	return o;
}

static enum ps_status print_json(const struct answer *a, struct ps_error *err)
{
	json_t *o = json_object(), *all = json_array();

	ps_json_set_string(o, "policy", policies[a->shown]);
	ps_json_set_int(o, "capacity_bytes", a->p.capacity_bytes);
	for (int k = 0; k < PS_CACHE_KINDS; k++)
		json_array_append_new(all, policy_json(a, (enum ps_cache_kind)k));
	json_object_set_new(o, "policies", all);
	return ps_cli_print_json(o, err);
}

/* ---- the command ---- */

static enum ps_status explain(const struct explain_options *o, const struct ps_cli_cache_case *c,
			      struct ps_error *err)
{
	struct answer *a = calloc(1, sizeof(*a));
	enum ps_status st = PS_OK;

	if (!a)
		return ps_error_set(err, PS_ENOMEM, "no memory for the answer");
	a->c = c;
	a->p = c->problem;
	a->p.seed = (uint64_t)o->seed;
	if (o->capacity_bytes > 0)
		a->p.capacity_bytes = o->capacity_bytes;
	a->shown = (enum ps_cache_kind)o->policy;
	for (int k = 0; k < PS_CACHE_KINDS && st == PS_OK; k++)
		st = judge(a, (enum ps_cache_kind)k, err);
	if (st == PS_OK)
		st = o->json  ? print_json(a, err)
		     : o->csv ? print_csv(a, err)
			      : print_text(a, (int)o->configurations, err);
	answer_fini(a);
	free(a);
	return st;
}

static int run(void *options)
{
	const struct explain_options *o = options;
	struct ps_cli_cache_case c;
	struct ps_error err;
	enum ps_status st = ps_cli_cache_open(o->file, &c, &err);

	if (st == PS_OK) {
		st = explain(o, &c, &err);
		ps_cli_cache_close(&c);
	}
	return st == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

const struct ps_cli_command ps_cli_cache_explain = {
	.name = "explain", .schema = &schema, .run = run};
