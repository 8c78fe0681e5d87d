/* plan_campaign.c - the campaign that measures what a plan lacks or only predicts. */
#include "cli/plan_from_internal.h"
#include "cli/predict_campaign_internal.h"

#include "base/file.h"
#include "model/zoo.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_TENANTS   16  /* of a campaign */
#define MOST_SETS      200 /* of a campaign, with room for those alone */
#define PAIRS_UNASKED  6   /* models of which all pairs are measured when there is no plan yet */
#define SEED	       2020
#define LOAD_OF_A_PAIR 0.35 /* of the lanes, each: together they leave the queue short */

/* A model that takes part. */
struct part {
	const struct ps_plan_asked *asked;
	const char *zoo; /* else `path` */
	char path[PATH_MAX];
	bool profile, search, paired; /* what is to be measured */
	double mean_s;		      /* of its service; NAN: not known */
};

struct writing {
	struct ps_cli_plan_store *s;
	struct part parts[MOST_TENANTS];
	int n, more;
	int pairs[MOST_SETS][2];
	int n_pairs, more_pairs;
	const char *type, *prices; /* may be NULL */
	double cpus;		   /* of the slice */
	bool fewer;		   /* than the type has: this machine has no more */
};

/* ---- models ---- */

/* The zoo's weights as in the store, so that one name stays one file. */
static int64_t seed_of(const struct ps_cli_predict_data *d)
{
	for (int i = 0; i < d->model_len; i++)
		if (d->models[i].zoo)
			return d->models[i].zoo_seed;
	return SEED;
}

static enum ps_status find_file(const struct writing *w, struct part *p, struct ps_error *err)
{
	const char *name = p->asked->model;
	int m = ps_cli_plan_store_model(w->s, name);
	const struct ps_cli_predict_model *known = m >= 0 ? &w->s->data.models[m] : NULL;

	if (known && known->zoo && ps_zoo_find(known->zoo))
		p->zoo = known->zoo;
	else if (known && known->path && realpath(known->path, p->path))
		p->zoo = NULL;
	else if (!known && ps_zoo_find(name))
		p->zoo = name;
	else {
		ps_error_set(err, PS_ENOTFOUND, "where the file of %.80s is is not known", name);
		ps_error_where(err, "--write-campaign");
		ps_error_hint(err, "--models DIR, with DIR/%.80s.onnx", name);
		return PS_ENOTFOUND;
	}
	return PS_OK;
}

static struct part *part_of(struct writing *w, const char *model)
{
	for (int i = 0; i < w->n; i++)
		if (strcmp(w->parts[i].asked->model, model) == 0)
			return &w->parts[i];
	return NULL;
}

/* The busiest tenant of a model stands for it. */
static const struct ps_plan_asked *busiest(const struct ps_cli_plan_store *s, const char *model)
{
	const struct ps_plan_asked *best = NULL;

	for (int i = 0; i < s->n_asked; i++)
		if (strcmp(s->asked[i].model, model) == 0 &&
		    (!best || s->asked[i].peak_rps > best->peak_rps))
			best = &s->asked[i];
	return best;
}

/* The model's place among the parts, which it joins; NULL with *err untouched when it is full. */
static enum ps_status join(struct writing *w, const char *model, struct part **ret_part,
			   struct ps_error *err)
{
	*ret_part = part_of(w, model);
	if (*ret_part)
		return PS_OK;
	if (w->n == MOST_TENANTS) {
		w->more++;
		return PS_OK;
	}
	struct part *p = &w->parts[w->n];
	*p = (struct part){.asked = busiest(w->s, model), .mean_s = NAN};
	enum ps_status st = p->asked ? find_file(w, p, err) : PS_OK;
	if (st != PS_OK || !p->asked)
		return st;
	w->n++;
	*ret_part = p;
	return PS_OK;
}

/* ---- what is missing ---- */

static bool has_operators(const struct ps_cli_plan_store *s, const char *model)
{
	int m = ps_cli_plan_store_model(s, model);

	return m >= 0 && s->data.models[m].node_len > 0;
}

/* Of one model, on a slice of so many CPUs. */
static enum ps_status look_at(struct writing *w, const char *model, struct ps_error *err)
{
	struct ps_cost_price type = {.provider = "", .instance_type = "", .vcpu = w->cpus};
	struct ps_plan_known_service service = {0};
	struct ps_plan_known_capacity capacity = {0};
	struct ps_plan_known_memory memory = {0};
	struct part *p = NULL;
	enum ps_status a = ps_cli_plan_store_service(w->s, model, &type, &service, err);
	enum ps_status b = ps_cli_plan_store_memory(w->s, model, &memory, err);
	enum ps_status c = ps_cli_plan_store_capacity(w->s, model, &type, &capacity, err);
	bool profile = a != PS_OK || service.from.origin != PS_PLAN_MEASURED || b != PS_OK ||
		       memory.from.origin != PS_PLAN_MEASURED;
	bool search =
		c != PS_OK || capacity.from.origin != PS_PLAN_MEASURED || capacity.from.outside;

	if (a != PS_OK && a != PS_EUNAVAIL)
		return a;
	if (!profile && !search)
		return PS_OK;
	enum ps_status st = join(w, model, &p, err);
	if (st != PS_OK || !p)
		return st;
	p->profile = profile;
	p->search = search;
	p->mean_s = a == PS_OK ? service.mean_s : NAN;
	return PS_OK;
}

static enum ps_status add_pair(struct writing *w, const char *a, const char *b,
			       struct ps_error *err)
{
	struct part *p = NULL, *q = NULL;
	enum ps_status st = join(w, a, &p, err);

	if (st == PS_OK)
		st = join(w, b, &q, err);
	if (st != PS_OK || !p || !q)
		return st;
	int i = (int)(p - w->parts), j = (int)(q - w->parts);
	for (int k = 0; k < w->n_pairs; k++)
		if ((w->pairs[k][0] == i && w->pairs[k][1] == j) ||
		    (w->pairs[k][0] == j && w->pairs[k][1] == i))
			return PS_OK;
	if (w->n_pairs == MOST_SETS) {
		w->more_pairs++;
		return PS_OK;
	}
	w->pairs[w->n_pairs][0] = i;
	w->pairs[w->n_pairs++][1] = j;
	p->paired = q->paired = true;
	return PS_OK;
}

static bool pair_is_measured(const struct writing *w, const char *a, const char *b)
{
	struct ps_plan_beside x = {1, 1, PS_PLAN_UNKNOWN};

	return ps_cli_plan_store_beside(w->s, a, b, &x) && x.origin == PS_PLAN_MEASURED;
}

struct pairing {
	struct writing *w;
	enum ps_status st;
	struct ps_error *err;
};

static void want_pair(void *ctx, const struct ps_plan_answer *a, int own, int other)
{
	struct pairing *x = ctx;
	const char *p = a->c->models[own].name, *q = a->c->models[other].name;

	if (x->st == PS_OK && !pair_is_measured(x->w, p, q))
		x->st = add_pair(x->w, p, q, x->err);
}

static bool is_first(const struct ps_cli_plan_store *s, int i)
{
	for (int k = 0; k < i; k++)
		if (strcmp(s->asked[k].model, s->asked[i].model) == 0)
			return false;
	return true;
}

/* Without a plan nobody knows who will share a machine: all may, if they are few. */
static enum ps_status all_pairs(struct writing *w, struct ps_error *err)
{
	const char *models[PAIRS_UNASKED];
	enum ps_status st = PS_OK;
	int n = 0;

	for (int i = 0; i < w->s->n_asked; i++) {
		if (!is_first(w->s, i))
			continue;
		if (n == PAIRS_UNASKED)
			return PS_OK;
		models[n++] = w->s->asked[i].model;
	}
	for (int i = 0; i < n; i++)
		for (int k = i + 1; k < n && st == PS_OK; k++)
			if (!pair_is_measured(w, models[i], models[k]))
				st = add_pair(w, models[i], models[k], err);
	return st;
}

static enum ps_status find_missing(struct writing *w, const struct ps_plan_answer *a,
				   struct ps_error *err)
{
	struct pairing x = {w, PS_OK, err};

	for (int i = 0; i < w->s->n_asked && x.st == PS_OK; i++)
		if (is_first(w->s, i))
			x.st = look_at(w, w->s->asked[i].model, err);
	if (x.st != PS_OK)
		return x.st;
	if (!a)
		return all_pairs(w, err);
	ps_cli_plan_pairs(a, want_pair, &x);
	return x.st;
}

/* ---- the slice ---- */

/* The type of most machines without GPUs: the plan rests on it. */
static int main_type(const struct ps_plan_answer *a)
{
	int best = -1, most = 0;

	for (int t = 0; t < a->c->n_types; t++) {
		int n = 0;
		for (int i = 0; i < a->result.plan.n; i++)
			n += a->machines[i].type == t && a->c->types[t].price->gpu_count == 0;
		if (n > most) {
			most = n;
			best = t;
		}
	}
	return best;
}

static void choose_slice(struct writing *w, const struct ps_plan_answer *a, char *prices)
{
	double here = fmax(1, (double)sysconf(_SC_NPROCESSORS_ONLN));
	int t = a ? main_type(a) : -1;

	w->cpus = fmax(1, w->s->least_cpus);
	w->type = w->s->least_type;
	if (t >= 0) {
		const struct ps_cost_price *p = a->c->types[t].price;
		w->cpus = ps_cli_plan_store_slice(p).cpus;
		w->type = ps_cli_plan_store_say(w->s, "%s/%s", p->provider, p->instance_type);
		w->prices = realpath(a->c->prices_path, prices);
	}
	w->fewer = w->cpus > here;
	w->cpus = fmin(w->cpus, here);
}

/* ---- text ---- */

static double demand_of(const struct writing *w, const struct part *p)
{
	double most = LOAD_OF_A_PAIR * w->cpus / p->mean_s;

	return isfinite(most) && most < p->asked->peak_rps ? most : p->asked->peak_rps;
}

static void put_part(const struct writing *w, const struct part *p, struct ps_strbuf *models,
		     struct ps_strbuf *tenants)
{
	char sla[PS_SLA_SIZE];

	ps_strbuf_puts(models, "  - {name: ");
	ps_cli_predict_put_quoted(models, p->asked->model);
	ps_strbuf_puts(models, p->zoo ? ", zoo: " : ", file: ");
	ps_cli_predict_put_quoted(models, p->zoo ? p->zoo : p->path);
	ps_strbuf_puts(models, "}\n");
	ps_strbuf_printf(tenants, "  - {name: t%d, model: ", (int)(p - w->parts) + 1);
	ps_cli_predict_put_quoted(tenants, p->asked->model);
	ps_strbuf_printf(tenants, ", demand: %.4g/s, sla: \"%s\"}\n", fmax(demand_of(w, p), 1e-3),
			 ps_sla_format(&p->asked->sla, sla));
}

static void put_sets(const struct writing *w, struct ps_strbuf *out)
{
	if (w->n_pairs > 0)
		ps_strbuf_puts(out, "sets:\n");
	for (int i = 0; i < w->n_pairs; i++)
		ps_strbuf_printf(out, "  - {name: pair%d, tenants: [t%d, t%d]}\n", i + 1,
				 w->pairs[i][0] + 1, w->pairs[i][1] + 1);
	ps_strbuf_puts(out, "together: none\n");
}

static void put_slice(const struct writing *w, struct ps_strbuf *out)
{
	if (w->type)
		ps_strbuf_printf(out, "# Run it on a machine of the type %s%s.\n", w->type,
				 w->fewer ? ", and give its slice all the CPUs: here are fewer"
					  : "");
	ps_strbuf_printf(out, "slice:\n  cpus: 0-%d\n", (int)w->cpus - 1);
	if (w->type && w->prices && !w->fewer) {
		ps_strbuf_printf(out, "  priced_as: ");
		ps_cli_predict_put_quoted(out, w->type);
		ps_strbuf_puts(out, "\n  prices: ");
		ps_cli_predict_put_quoted(out, w->prices);
		ps_strbuf_putc(out, '\n');
	}
	ps_strbuf_puts(out, "server:\n  width: narrow\n");
}

static void put_what(const struct writing *w, struct ps_strbuf *out)
{
	bool search = false, profile = false, operators = false;

	for (int i = 0; i < w->n; i++) {
		search |= w->parts[i].search;
		profile |= w->parts[i].profile;
		operators |= w->parts[i].profile && !has_operators(w->s, w->parts[i].asked->model);
	}
	ps_strbuf_printf(out, "search:\n  sets: %s\n", search ? "alone" : "none");
	if (w->n_pairs > 0)
		ps_strbuf_puts(out, "confirm:\n  trials: 4\n  duration: 15s\n");
	else
		ps_strbuf_puts(out, "confirm:\n  trials: 0\n");
	if (profile)
		ps_strbuf_puts(out, "profile:\n  trials: 4\n  users: 1\n  batches: [1]\n"
				    "  duration: 4s\n");
	if (operators)
		ps_strbuf_puts(out, "operators:\n  runs: 50\n");
}

static enum ps_status put_all(const struct writing *w, const char *path, struct ps_error *err)
{
	struct ps_strbuf out, tenants;

	ps_strbuf_init(&out);
	ps_strbuf_init(&tenants);
	ps_strbuf_printf(&out,
			 "# What a plan lacked or only predicted.\n#\n#   perseus measure %s "
			 "--store %s\nname: for-the-plan\nseed: %lld\nmodels:\n",
			 path, w->s->path, (long long)seed_of(&w->s->data));
	for (int i = 0; i < w->n; i++)
		put_part(w, &w->parts[i], &out, &tenants);
	ps_strbuf_puts(&out, "tenants:\n");
	if (tenants.len > 0)
		ps_strbuf_append(&out, tenants.data, tenants.len);
	put_sets(w, &out);
	put_slice(w, &out);
	put_what(w, &out);
	bool failed = ps_strbuf_status(&out) != PS_OK || ps_strbuf_status(&tenants) != PS_OK;
	enum ps_status st = failed ? ps_error_set(err, PS_ENOMEM, "no memory for a campaign")
				   : ps_file_write(path, out.data, out.len, err);
	ps_strbuf_fini(&out);
	ps_strbuf_fini(&tenants);
	return st;
}

/* ---- all of it ---- */

static void say(const struct writing *w, const char *path)
{
	if (w->n == 0)
		fprintf(stderr, "nothing is missing: %s was not written\n", path);
	else
		fprintf(stderr,
			"wrote %s: perseus measure %s --store %s measures %d model%s and %d "
			"pair%s\n",
			path, path, w->s->path, w->n, w->n == 1 ? "" : "s", w->n_pairs,
			w->n_pairs == 1 ? "" : "s");
	if (w->more > 0 || w->more_pairs > 0)
		fprintf(stderr, "not all that is missing fits in one campaign: ask again when it "
				"has run\n");
}

enum ps_status ps_cli_plan_write_campaign(struct ps_cli_plan_store *s,
					  const struct ps_plan_answer *a, const char *path,
					  struct ps_error *err)
{
	char prices[PATH_MAX];
	struct writing *w = calloc(1, sizeof(*w));

	if (!w)
		return ps_error_set(err, PS_ENOMEM, "no memory for a campaign");
	w->s = s;
	choose_slice(w, a, prices);
	enum ps_status st = find_missing(w, a, err);
	if (st == PS_OK && w->n > 0)
		st = put_all(w, path, err);
	if (st == PS_OK)
		say(w, path);
	free(w);
	return st;
}

enum ps_status ps_cli_plan_write_lacks(const struct ps_cli_plan_from *from,
				       const struct ps_plan_answer *a, struct ps_error *err)
{
	if (!from->write_campaign || !a->c->source)
		return PS_OK;
	return ps_cli_plan_write_campaign(a->c->source->ctx, a, from->write_campaign, err);
}
