/* predict_campaign.c - the campaign that measures what a prediction lacks. */
#include "cli/predict_campaign_internal.h"

#include "base/file.h"
#include "base/strbuf.h"
#include "model/zoo.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TENANTS 16
#define NAME_SIZE    128
#define SEED	     2020

struct writing {
	const struct ps_cli_predict_data *d;
	const struct ps_cli_predict_wanted *w;
	struct ps_strbuf models, tenants;
	const char *names[MOST_TENANTS];
	char made[MOST_TENANTS][NAME_SIZE]; /* names that had to be made */
	int64_t seed;			    /* of the zoo's networks */
	int n, more;			    /* written, and those that did not fit */
};

void ps_cli_predict_put_quoted(struct ps_strbuf *out, const char *text)
{
	ps_strbuf_putc(out, '"');
	for (const char *s = text; *s; s++) {
		if (*s == '"' || *s == '\\')
			ps_strbuf_putc(out, '\\');
		ps_strbuf_putc(out, *s);
	}
	ps_strbuf_putc(out, '"');
}

static void add(struct writing *x, const char *name, const char *zoo, const char *path)
{
	if (x->n == MOST_TENANTS) {
		x->more++;
		return;
	}
	x->names[x->n] = name;
	ps_strbuf_puts(&x->models, "  - {name: ");
	ps_cli_predict_put_quoted(&x->models, name);
	ps_strbuf_puts(&x->models, zoo ? ", zoo: " : ", file: ");
	ps_cli_predict_put_quoted(&x->models, zoo ? zoo : path);
	ps_strbuf_puts(&x->models, "}\n");
	ps_strbuf_printf(&x->tenants, "  - {name: t%d, model: ", ++x->n);
	ps_cli_predict_put_quoted(&x->tenants, name);
	ps_strbuf_puts(&x->tenants, ", demand: 1/s, sla: \"p95<=10s\"}\n");
}

static bool is_measured(const struct ps_cli_predict_data *d, int model,
			const struct ps_cli_predict_wanted *w)
{
	double ns = NAN, noise = NAN, variation = NAN;

	int same = d->models[model].same;
	return d->models[same].nodes &&
	       ps_cli_predict_service(d, same, w->batch, &w->slice, &ns, &noise, &variation);
}

static bool zoo_is_measured(const struct writing *x, const char *zoo)
{
	for (int i = 0; i < x->d->model_len; i++) {
		const struct ps_cli_predict_model *m = &x->d->models[i];
		bool same = (m->zoo && strcmp(m->zoo, zoo) == 0) || strcmp(m->name, zoo) == 0;
		if (same && is_measured(x->d, i, x->w))
			return true;
	}
	return false;
}

/* Two models of one name are refused, by campaigns and by predictions from both stores. */
static bool is_taken(const struct writing *x, const char *name, const char *zoo)
{
	for (int i = 0; i < x->n; i++)
		if (strcmp(x->names[i], name) == 0)
			return true;
	for (int i = 0; i < x->d->model_len; i++) {
		const struct ps_cli_predict_model *m = &x->d->models[i];
		bool same = zoo && m->zoo && strcmp(m->zoo, zoo) == 0 && m->zoo_seed == x->seed;
		if (!m->asked && !same && strcmp(m->name, name) == 0)
			return true;
	}
	return false;
}

/* "model", "model_2", ... */
static const char *free_name(struct writing *x, const char *name, const char *zoo)
{
	if (x->n == MOST_TENANTS || !is_taken(x, name, zoo))
		return name;
	char *made = x->made[x->n];
	for (int k = 2; k < MOST_TENANTS + PS_CLI_PREDICT_MAX_MODELS; k++) {
		(void)snprintf(made, NAME_SIZE, "%.100s_%d", name, k);
		if (!is_taken(x, made, zoo))
			break;
	}
	return made;
}

/* The same weights as in the store, so that the same name is the same file. */
static int64_t seed_of(const struct ps_cli_predict_data *d)
{
	for (int i = 0; i < d->model_len; i++)
		if (d->models[i].zoo)
			return d->models[i].zoo_seed;
	return SEED;
}

static void add_asked(struct writing *x)
{
	char path[PATH_MAX];

	for (int i = 0; i < x->d->model_len; i++) {
		const struct ps_cli_predict_model *m = &x->d->models[i];
		if (m->given && !is_measured(x->d, i, x->w) && realpath(m->path, path))
			add(x, m->asked ? free_name(x, m->name, NULL) : m->name, NULL, path);
	}
}

static bool is_asked(const struct writing *x, const char *zoo)
{
	for (int i = 0; i < x->d->model_len; i++) {
		const struct ps_cli_predict_model *m = &x->d->models[i];
		if (m->given && (strcmp(m->name, zoo) == 0 || (m->zoo && strcmp(m->zoo, zoo) == 0)))
			return true;
	}
	return false;
}

/* Networks for images of the zoo: what there is to learn from without anybody's files. */
static void add_zoo(struct writing *x)
{
	int n = 0;
	const struct ps_zoo_entry *e = ps_zoo_entries(&n);

	for (int i = 0; i < n; i++)
		if (strncmp(e[i].name, "lstm", 4) != 0 && strncmp(e[i].name, "gru", 3) != 0 &&
		    !zoo_is_measured(x, e[i].name) && !is_asked(x, e[i].name))
			add(x, free_name(x, e[i].name, e[i].name), e[i].name, NULL);
}

static void put_all(const struct writing *x, struct ps_strbuf *out)
{
	int cpus = (int)ceil(x->w->slice.cpus);
	bool wide = x->w->slice.threads > 1;

	ps_strbuf_puts(out,
		       "# What a prediction lacked: service times of models, and where their time "
		       "goes.\n#\n#   perseus measure ");
	ps_strbuf_printf(out, "%s --store %s\n", x->w->path, x->w->store);
	ps_strbuf_printf(out, "name: profiles\nseed: %lld\nmodels:\n", (long long)x->seed);
	ps_strbuf_append(out, x->models.data, x->models.len);
	ps_strbuf_puts(out, "tenants:\n");
	ps_strbuf_append(out, x->tenants.data, x->tenants.len);
	ps_strbuf_printf(out, "together: none\nslice:\n  cpus: 0-%d\n", cpus > 1 ? cpus - 1 : 0);
	if (x->w->slice.cpus < cpus)
		ps_strbuf_printf(out, "  cpu_quota: %g\n", x->w->slice.cpus);
	ps_strbuf_printf(out, "server:\n  width: %s\n", wide ? "wide" : "narrow");
	ps_strbuf_puts(out, "search:\n  sets: none\nconfirm:\n  trials: 0\n");
	ps_strbuf_printf(out,
			 "profile:\n  trials: 4\n  users: 1\n  batches: [%s%lld]\n  duration: 4s\n",
			 x->w->batch > 1 ? "1, " : "", (long long)x->w->batch);
	ps_strbuf_puts(out, "operators:\n  runs: 50\n");
}

enum ps_status ps_cli_predict_write_campaign(const struct ps_cli_predict_data *d,
					     const struct ps_cli_predict_wanted *w, int *ret_models,
					     int *ret_more, struct ps_error *err)
{
	struct writing x = {.d = d, .w = w, .seed = seed_of(d)};
	struct ps_strbuf out;

	ps_strbuf_init(&x.models);
	ps_strbuf_init(&x.tenants);
	ps_strbuf_init(&out);
	add_asked(&x);
	enum ps_status st = PS_OK;
	if (x.more > 0)
		st = ps_error_set(err, PS_ETOOBIG, "%d models in one campaign: at most %d",
				  x.n + x.more, MOST_TENANTS);
	add_zoo(&x);
	if (st == PS_OK && x.n > 0) {
		put_all(&x, &out);
		bool failed = ps_strbuf_status(&x.models) != PS_OK ||
			      ps_strbuf_status(&x.tenants) != PS_OK ||
			      ps_strbuf_status(&out) != PS_OK;
		st = failed ? ps_error_set(err, PS_ENOMEM, "no memory for a campaign")
			    : ps_file_write(w->path, out.data, out.len, err);
	}
	*ret_models = x.n;
	*ret_more = x.more;
	ps_strbuf_fini(&x.models);
	ps_strbuf_fini(&x.tenants);
	ps_strbuf_fini(&out);
	return st;
}
