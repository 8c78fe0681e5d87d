/* cache_simulate.c - perseus cache simulate: the policies under the same requests. */
#include "base/file.h"
#include "cli/cache_sim_internal.h"
#include "report/policies.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SEEDS = 100000, MAX_THREADS = 256 };

struct simulate_options {
	char *file, *trace, *csv, *html;
	struct ps_conf_texts policies;
	int64_t capacity_bytes, epoch_ns, per_epoch, seeds, seed, threads, tenants, mean_gap_ns,
		length_ns, cold_bytes, warm_bytes;
	double warm_factor, zipf, half_life, load_share;
	int mode;
	bool core, json;
};

#define FIELD(f) offsetof(struct simulate_options, f)

static const char *const modes[] = {"auto", "batch", "online", NULL};

static const struct ps_conf_option rows[] = {
	{.name = "file",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(file),
	 .metavar = "CACHE.YAML",
	 .help = "Tenants and models of a trace, and the capacity. Left out: the published "
		 "workload.",
	 .flags = PS_CONF_POSITIONAL,
	 .heading = "What is asked for"},
	{.name = "trace",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(trace),
	 .metavar = "TRACE.CSV",
	 .help = "The requests, with the file: lines of seconds,tenant,model in order of time."},
	{.name = "tenants",
	 .type = PS_CONF_INT,
	 .offset = FIELD(tenants),
	 .def = "4",
	 .help = "Published workload: so many of equal weight, each with a ranking of its own.",
	 .min = 1,
	 .max = 64},
	{.name = "mean-gap",
	 .type = PS_CONF_DURATION,
	 .offset = FIELD(mean_gap_ns),
	 .def = "2s",
	 .help = "Published workload: between two requests of a tenant.",
	 .min = 1e6,
	 .max = 8.64e13},
	{.name = "length",
	 .type = PS_CONF_DURATION,
	 .offset = FIELD(length_ns),
	 .def = "120s",
	 .help = "Published workload: requests come for so long.",
	 .min = 1e9,
	 .max = 8.64e14},
	{.name = "zipf",
	 .type = PS_CONF_REAL,
	 .offset = FIELD(zipf),
	 .def = "1",
	 .help = "Published workload: the exponent over each tenant's ranking.",
	 .min = 0,
	 .max = 10},
	{.name = "cold-rate",
	 .type = PS_CONF_BYTES,
	 .offset = FIELD(cold_bytes),
	 .def = "300MB",
	 .help = "Published workload: bytes per second of a table that is not in memory. The "
		 "paper's is its cluster's.",
	 .min = 1,
	 .max = 1e15},
	{.name = "warm-rate",
	 .type = PS_CONF_BYTES,
	 .offset = FIELD(warm_bytes),
	 .def = "30GB",
	 .help = "Published workload: of one that is: a hundred times as fast.",
	 .min = 1,
	 .max = 1e16},
	{.name = "policies",
	 .type = PS_CONF_TEXTS,
	 .offset = FIELD(policies),
	 .metavar = "POLICY",
	 .help = "Which to compare; repeat it. Left out: all of them.",
	 .min = 0,
	 .max = PS_CACHE_KINDS,
	 .heading = "How memory is shared"},
	{.name = "capacity",
	 .type = PS_CONF_BYTES,
	 .offset = FIELD(capacity_bytes),
	 .help = "Memory for models. Left out: the file's, or 1000MB as published.",
	 .min = 0,
	 .max = 1e18},
	{.name = "epoch",
	 .type = PS_CONF_DURATION,
	 .offset = FIELD(epoch_ns),
	 .def = "10s",
	 .help = "Between two decisions.",
	 .min = 1e6,
	 .max = 8.64e13},
	{.name = "mode",
	 .type = PS_CONF_ENUM,
	 .offset = FIELD(mode),
	 .choices = modes,
	 .def = "auto",
	 .help = "batch: requests wait for the end of their epoch, whose plan is made for them, "
		 "as published. online: they start at once, and the plan is made for what was "
		 "asked before, as perseus serve does it. auto: batch without a trace."},
	{.name = "per-epoch",
	 .type = PS_CONF_INT,
	 .offset = FIELD(per_epoch),
	 .def = "5",
	 .help = "Batch: at most so many requests of a tenant are let in at a time. 0: all.",
	 .min = 0,
	 .max = 1e9},
	{.name = "warm-factor",
	 .type = PS_CONF_REAL,
	 .offset = FIELD(warm_factor),
	 .help = "The utility of what is in memory counts so many times. Left out: the file's, "
		 "or 2 as published.",
	 .min = 1,
	 .max = 1e6},
	{.name = "half-life",
	 .type = PS_CONF_REAL,
	 .offset = FIELD(half_life),
	 .def = "3",
	 .help = "Online: after so many epochs a request counts half.",
	 .min = 1e-3,
	 .max = 1e6},
	{.name = "load-share",
	 .type = PS_CONF_RATIO,
	 .offset = FIELD(load_share),
	 .def = "10%",
	 .help = "Loads for another configuration of the same plan may cost this part of the "
		 "time that the plan spares.",
	 .min = 1e-6,
	 .max = 1},
	{.name = "core",
	 .type = PS_CONF_BOOL,
	 .offset = FIELD(core),
	 .def = "true",
	 .help = "Look in each epoch for tenants who could do better on their own. An epoch in "
		 "which over 16 ask for anything is not checked."},
	{.name = "seeds",
	 .type = PS_CONF_INT,
	 .offset = FIELD(seeds),
	 .def = "30",
	 .help = "Runs of each policy; the same requests for all policies in each.",
	 .min = 1,
	 .max = MAX_SEEDS,
	 .heading = "How it is run and shown"},
	{.name = "seed",
	 .type = PS_CONF_INT,
	 .offset = FIELD(seed),
	 .def = "1",
	 .help = "Of the first run; the others follow.",
	 .min = 0,
	 .max = 9e15},
	{.name = "threads",
	 .type = PS_CONF_INT,
	 .offset = FIELD(threads),
	 .def = "0",
	 .help = "Seeds at the same time. 0: one per CPU. The answer is the same.",
	 .min = 0,
	 .max = MAX_THREADS},
	{.name = "csv",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(csv),
	 .metavar = "FILE",
	 .help = "Write the figures of policies and tenants as CSV."},
	{.name = "html",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(html),
	 .metavar = "FILE",
	 .help = "Write a page with the chart of efficiency against fairness; the same as a "
		 "section "
		 "of a campaign's report: perseus report --policies, from what --json says."},
	PS_CLI_JSON(struct simulate_options),
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "perseus cache simulate",
	.summary = "Compare the policies under a trace, or under a published workload.",
	.details =
		"Without a file: the workload of the ROBUS paper (20 tables of 0.3 to 1253 MB, 4 "
		"tenants with four rankings, 1000 MB of memory, epochs of 10 s). All policies see "
		"the same requests; figures are means over seeds with their 95 % intervals. What "
		"is simulated is a model of a machine, not perseus serve: docs/cache.md says "
		"which.",
	.example = "perseus cache simulate\n"
		   "perseus cache simulate --seeds 100 --html cache.html --csv cache.csv\n"
		   "perseus cache simulate cache.yaml --trace day.csv --policies pf --policies lru",
	.options = rows,
	.size = sizeof(struct simulate_options),
	.where_offset = SIZE_MAX,
};

/* ---- many seeds ---- */

struct work {
	const struct simulate_options *o;
	const struct ps_cli_cache_case *c; /* NULL: the published workload */
	struct ps_cache_sim_options base;
	int kinds[PS_CACHE_KINDS], n;
	struct ps_cache_sim_result *result; /* [seeds * n] */
	struct ps_cli_progress progress;
	atomic_int next, done;
	pthread_mutex_t mutex; /* of what follows */
	enum ps_status status;
	struct ps_error err;
};

static enum ps_status workload(const struct work *w, uint64_t seed,
			       struct ps_cache_workload *ret_workload, struct ps_error *err)
{
	const struct simulate_options *o = w->o;
	const struct ps_cache_published p = {
		.tenants = (int)o->tenants,
		.mean_gap_s = (double)o->mean_gap_ns * 1e-9,
		.length_s = (double)o->length_ns * 1e-9,
		.zipf = o->zipf,
		.cold_bytes_per_s = (double)o->cold_bytes,
		.warm_bytes_per_s = (double)o->warm_bytes,
		.seed = seed,
	};

	return ps_cache_published_workload(&p, ret_workload, err);
}

static enum ps_status one_seed(struct work *w, int k, struct ps_error *err)
{
	struct ps_cache_sim_options o = w->base;
	struct ps_cache_workload made = {0};
	const struct ps_cache_workload *all = w->c ? &w->c->work : &made;
	enum ps_status st = PS_OK;

	o.seed = (uint64_t)w->o->seed + (uint64_t)k;
	if (!w->c)
		st = workload(w, o.seed, &made, err);
	if (st != PS_OK)
		return st;
	double *alone = malloc((all->requests + 1) * sizeof(*alone));
	st = alone ? ps_cache_sim_alone(all, &o, alone, err)
		   : ps_error_set(err, PS_ENOMEM, "no memory for a simulation");
	for (int i = 0; i < w->n && st == PS_OK; i++) {
		o.policy = (enum ps_cache_kind)w->kinds[i];
		st = ps_cache_sim_run(all, &o, alone, &w->result[k * w->n + i], err);
	}
	free(alone);
	ps_cache_workload_free(&made);
	return st;
}

static void *worker(void *arg)
{
	struct work *w = arg;
	struct ps_error err;

	for (int k; (k = atomic_fetch_add(&w->next, 1)) < (int)w->o->seeds;) {
		enum ps_status st = one_seed(w, k, &err);
		pthread_mutex_lock(&w->mutex);
		if (st != PS_OK && w->status == PS_OK) {
			w->status = st;
			w->err = err;
			atomic_store(&w->next, (int)w->o->seeds);
		}
		ps_cli_progress_show(&w->progress, "%d of %d seeds",
				     atomic_fetch_add(&w->done, 1) + 1, (int)w->o->seeds);
		pthread_mutex_unlock(&w->mutex);
	}
	return NULL;
}

static enum ps_status run_all(struct work *w, struct ps_error *err)
{
	pthread_t threads[MAX_THREADS];
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int n = w->o->threads > 0 ? (int)w->o->threads : (int)(cpus > 0 ? cpus : 1), started = 0;

	n = n < (int)w->o->seeds ? n : (int)w->o->seeds;
	ps_cli_progress_init(&w->progress, !ps_cli_is_terminal(2));
	pthread_mutex_init(&w->mutex, NULL);
	for (; started < n - 1 && started < MAX_THREADS; started++)
		if (pthread_create(&threads[started], NULL, worker, w) != 0)
			break; /* fewer are slower, and the same answer */
	worker(w);
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	pthread_mutex_destroy(&w->mutex);
	ps_cli_progress_done(&w->progress);
	if (w->status != PS_OK)
		*err = w->err;
	return w->status;
}

/* ---- figures ---- */

static double slowdown(const struct ps_cache_sim_result *r)
{
	double sum = 0, n = 0;

	for (int i = 0; i < r->tenants; i++) {
		if (r->tenant[i].requests == 0)
			continue;
		sum += r->tenant[i].mean_slowdown * (double)r->tenant[i].requests;
		n += (double)r->tenant[i].requests;
	}
	return n > 0 ? sum / n : NAN;
}

static double slowest(const struct ps_cache_sim_result *r)
{
	double most = 0;

	for (int i = 0; i < r->tenants; i++)
		if (r->tenant[i].requests > 0)
			most = fmax(most, r->tenant[i].p99_slowdown);
	return most;
}

static double spared(const struct ps_cache_sim_result *r)
{
	double sum = 0;

	for (int i = 0; i < r->tenants; i++)
		sum += r->tenant[i].utility_s;
	return sum;
}

static double figure(const struct ps_cache_sim_result *r, const struct ps_cache_sim_result *optp,
		     enum ps_cli_cache_figure f)
{
	switch (f) {
	case PS_CLI_CACHE_RATE:
		return r->requests_per_s;
	case PS_CLI_CACHE_HITS:
		return r->hit_ratio;
	case PS_CLI_CACHE_USED:
		return r->used;
	case PS_CLI_CACHE_JAIN:
		return r->jain;
	case PS_CLI_CACHE_WORST:
		return r->worst_share;
	case PS_CLI_CACHE_SPARED:
		return spared(r);
	case PS_CLI_CACHE_OUTSIDE:
		return r->core_epochs > 0 ? (double)r->outside / r->core_epochs : NAN;
	case PS_CLI_CACHE_SLOWDOWN:
		return slowdown(r);
	case PS_CLI_CACHE_SLOWEST:
		return slowest(r);
	case PS_CLI_CACHE_AGAINST:
		return optp ? r->requests_per_s / optp->requests_per_s : NAN;
	case PS_CLI_CACHE_FIGURES:
		break;
	}
	return NAN;
}

/* The mean of what is there; an interval from four values on. */
static struct ps_stats_interval mean(double *x, int n)
{
	int kept = 0;

	for (int k = 0; k < n; k++)
		if (isfinite(x[k]))
			x[kept++] = x[k];
	if (kept == 0)
		return (struct ps_stats_interval){.value = NAN};
	return ps_stats_mean_interval(x, (size_t)kept, 0.95);
}

static void tenant_figures(const struct work *w, int i, int tenant, double *x,
			   struct ps_cli_cache_tenant_figures *ret)
{
	int n = (int)w->o->seeds;

	for (int what = 0; what < 4; what++) {
		for (int k = 0; k < n; k++) {
			const struct ps_cache_sim_tenant *t =
				&w->result[k * w->n + i].tenant[tenant];
			x[k] = what == 0   ? (double)t->hits / (double)t->requests
			       : what == 1 ? t->utility_s / t->entitled_s
			       : what == 2 ? t->mean_slowdown
					   : t->p99_slowdown;
		}
		struct ps_stats_interval m = mean(x, n);
		*(what == 0   ? &ret->hits
		  : what == 1 ? &ret->share
		  : what == 2 ? &ret->mean_slowdown
			      : &ret->p99_slowdown) = m;
	}
}

static void fill_row(const struct work *w, int i, int optp, double *x, struct ps_cli_cache_row *row)
{
	int n = (int)w->o->seeds;

	row->policy = (enum ps_cache_kind)w->kinds[i];
	row->worst_epoch = INFINITY;
	for (int f = 0; f < PS_CLI_CACHE_FIGURES; f++) {
		for (int k = 0; k < n; k++)
			x[k] = figure(&w->result[k * w->n + i],
				      optp >= 0 ? &w->result[k * w->n + optp] : NULL,
				      (enum ps_cli_cache_figure)f);
		row->figure[f] = mean(x, n);
	}
	for (int k = 0; k < n; k++) {
		const struct ps_cache_sim_result *r = &w->result[k * w->n + i];
		row->worst_epoch = fmin(row->worst_epoch, r->worst_epoch);
		row->gap = fmax(row->gap, r->gap);
		row->epochs += r->epochs;
		row->core_epochs += r->core_epochs;
		row->outside += r->outside;
		row->switches += r->switches;
	}
	for (int t = 0; t < w->result[0].tenants; t++)
		tenant_figures(w, i, t, x, &row->tenant[t]);
}

static enum ps_status gather(const struct work *w, struct ps_cli_cache_simulated *s,
			     struct ps_error *err)
{
	double *x = malloc((size_t)w->o->seeds * sizeof(*x));
	bool ok = x != NULL;
	int optp = -1;

	for (int i = 0; i < w->n; i++)
		optp = w->kinds[i] == PS_CACHE_OPTP ? i : optp;
	for (int i = 0; i < w->n && ok; i++) {
		s->row[i].tenant = calloc((size_t)s->tenants, sizeof(*s->row[i].tenant));
		ok = s->row[i].tenant != NULL;
		if (ok)
			fill_row(w, i, optp, x, &s->row[i]);
	}
	free(x);
	return ok ? PS_OK : ps_error_set(err, PS_ENOMEM, "no memory for the figures");
}

/* ---- what was asked for ---- */

static enum ps_status pick(const struct simulate_options *o, struct work *w, struct ps_error *err)
{
	const char *const *names = ps_cache_policy_names();
	bool asked[PS_CACHE_KINDS] = {false};

	for (size_t i = 0; i < o->policies.len; i++) {
		int k = 0;
		while (names[k] && strcmp(names[k], o->policies.items[i]) != 0)
			k++;
		if (!names[k]) {
			ps_error_set(err, PS_EUSAGE, "there is no policy '%s'",
				     o->policies.items[i]);
			ps_error_where(err, "--policies");
			ps_error_hint(err, "static, lru, lfu, gdsf, rsd, optp, mmf, pf");
			return PS_EUSAGE;
		}
		asked[k] = true;
	}
	for (int k = 0; k < PS_CACHE_KINDS; k++)
		if (asked[k] || o->policies.len == 0)
			w->kinds[w->n++] = k;
	return PS_OK;
}

static enum ps_status check(const struct simulate_options *o, struct ps_error *err)
{
	if (!o->file != !o->trace)
		return ps_error_set(err, PS_EUSAGE,
				    o->file ? "a file without --trace has no requests"
					    : "--trace needs the file with its tenants and models");
	if (o->warm_bytes <= o->cold_bytes)
		return ps_error_set(err, PS_EUSAGE, "--warm-rate must be over --cold-rate");
	enum ps_status st = o->csv ? ps_file_can_write(o->csv, err) : PS_OK;
	return st == PS_OK && o->html ? ps_file_can_write(o->html, err) : st;
}

static void set_base(struct work *w)
{
	const struct simulate_options *o = w->o;
	double factor = w->c ? w->c->file.warm_factor : 2;

	w->base = (struct ps_cache_sim_options){
		.capacity_bytes = o->capacity_bytes > 0 ? o->capacity_bytes
				  : w->c		? w->c->file.capacity_bytes
							: 1000000000,
		.epoch_s = (double)o->epoch_ns * 1e-9,
		.batch = o->mode == 0 ? !w->c : o->mode == 1,
		.per_epoch = (int)o->per_epoch,
		.half_life_epochs = o->half_life,
		.warm_factor = o->warm_factor > 0 ? o->warm_factor : factor,
		.load_share = o->load_share,
		.core = o->core,
	};
}

static json_t *setting(const struct work *w)
{
	const struct simulate_options *o = w->o;
	json_t *s = json_object();

	ps_json_set_string(s, "workload", w->c ? o->trace : "published");
	ps_json_set_string(s, "mode", w->base.batch ? "batch" : "online");
	ps_json_set_int(s, "capacity_bytes", w->base.capacity_bytes);
	ps_json_set_real(s, "epoch_s", w->base.epoch_s);
	ps_json_set_int(s, "per_epoch", w->base.batch ? w->base.per_epoch : 0);
	ps_json_set_real(s, "warm_factor", w->base.warm_factor);
	ps_json_set_real(s, "load_share", w->base.load_share);
	if (!w->base.batch)
		ps_json_set_real(s, "half_life_epochs", w->base.half_life_epochs);
	ps_json_set_int(s, "seeds", o->seeds);
	ps_json_set_int(s, "seed", o->seed);
	if (w->c)
		return s;
	ps_json_set_int(s, "tenants", o->tenants);
	ps_json_set_real(s, "mean_gap_s", (double)o->mean_gap_ns * 1e-9);
	ps_json_set_real(s, "length_s", (double)o->length_ns * 1e-9);
	ps_json_set_real(s, "zipf", o->zipf);
	ps_json_set_int(s, "cold_bytes_per_s", o->cold_bytes);
	ps_json_set_int(s, "warm_bytes_per_s", o->warm_bytes);
	return s;
}

/* ---- output ---- */

static enum ps_status write_out(const struct ps_cli_cache_simulated *s, const char *path,
				void (*put)(const struct ps_cli_cache_simulated *,
					    struct ps_strbuf *),
				struct ps_error *err)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	put(s, &out);
	enum ps_status st = ps_strbuf_status(&out);
	if (st != PS_OK)
		ps_error_set(err, st, "no memory for the figures");
	else
		st = path ? ps_file_write(path, out.data, out.len, err)
			  : ps_cli_print(out.data, out.len, err);
	ps_strbuf_fini(&out);
	return st;
}

static enum ps_status write_page(const struct ps_cli_cache_simulated *s, const char *path,
				 struct ps_error *err)
{
	json_t *said = ps_cli_cache_sim_json(s), *shown = NULL;
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	enum ps_status st = ps_report_policies_read(said, &shown, err);
	if (st == PS_OK)
		st = ps_report_policies_html(shown, &out, err);
	if (st == PS_OK)
		st = ps_file_write(path, out.data, out.len, err);
	ps_strbuf_fini(&out);
	json_decref(shown);
	json_decref(said);
	return st;
}

static enum ps_status show(const struct simulate_options *o, const struct ps_cli_cache_simulated *s,
			   struct ps_error *err)
{
	enum ps_status st = PS_OK;

	if (o->csv)
		st = write_out(s, o->csv, ps_cli_cache_sim_csv, err);
	if (st == PS_OK && o->html)
		st = write_page(s, o->html, err);
	if (st != PS_OK)
		return st;
	return o->json ? ps_cli_print_json(ps_cli_cache_sim_json(s), err)
		       : write_out(s, NULL, ps_cli_cache_sim_text, err);
}

static enum ps_status simulate(const struct simulate_options *o, const struct ps_cli_cache_case *c,
			       struct ps_error *err)
{
	struct ps_cli_cache_simulated s = {
		.title = c ? o->trace : "published workload",
		.tenants = c ? c->work.tenants : (int)o->tenants,
		.seeds = (int)o->seeds,
		.core = o->core,
		.tenant_name = c ? c->tenant_name : NULL,
	};
	struct work w = {.o = o, .c = c};
	enum ps_status st = pick(o, &w, err);

	if (st != PS_OK)
		return st;
	set_base(&w);
	w.result = calloc((size_t)o->seeds * (size_t)w.n, sizeof(*w.result));
	if (!w.result)
		return ps_error_set(err, PS_ENOMEM, "no memory for %lld seeds",
				    (long long)o->seeds);
	st = run_all(&w, err);
	s.n = w.n;
	if (st == PS_OK)
		st = gather(&w, &s, err);
	if (st == PS_OK) {
		s.setting = setting(&w);
		st = show(o, &s, err);
		json_decref(s.setting);
	}
	for (int64_t k = 0; k < o->seeds * w.n; k++)
		ps_cache_sim_free(&w.result[k]);
	free(w.result);
	for (int i = 0; i < w.n; i++)
		free(s.row[i].tenant);
	return st;
}

static int run(void *options)
{
	const struct simulate_options *o = options;
	struct ps_cli_cache_case c;
	struct ps_error err;
	enum ps_status st = check(o, &err);

	if (st == PS_OK && o->file) {
		st = ps_cli_cache_open(o->file, &c, &err);
		if (st == PS_OK) {
			st = ps_cli_cache_trace(&c, o->trace, &err);
			if (st == PS_OK)
				st = simulate(o, &c, &err);
			ps_cli_cache_close(&c);
		}
	} else if (st == PS_OK) {
		st = simulate(o, NULL, &err);
	}
	return st == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

const struct ps_cli_command ps_cli_cache_simulate = {
	.name = "simulate", .schema = &schema, .run = run};
