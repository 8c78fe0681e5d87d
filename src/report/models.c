/* models.c - what was measured of models: cold starts, batch sizes, operators. */
#include "report_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPERATORS 12 /* shown of one model; the rest is summed up */

enum {
	C_MODEL,
	C_STARTS,
	C_READY,
	C_LOAD,
	C_FIRST,
	C_LATER,
	C_READY_RSS,
	C_PEAK_RSS,
	COLD_COLUMNS
};

static const struct ps_report_column cold_columns[COLD_COLUMNS] = {
	[C_MODEL] = {"model", "model", PS_REPORT_TEXT, false},
	[C_STARTS] = {"starts", "starts", PS_REPORT_NUMBER, false},
	[C_READY] = {"ready_ms", "ready, ms", PS_REPORT_MS, true},
	[C_LOAD] = {"load_ms", "load, ms", PS_REPORT_MS, true},
	[C_FIRST] = {"first_request_ms", "first, ms", PS_REPORT_MS, true},
	[C_LATER] = {"later_request_ms", "later, ms", PS_REPORT_MS, true},
	[C_READY_RSS] = {"ready_rss_bytes", "resident", PS_REPORT_BYTES, true},
	[C_PEAK_RSS] = {"peak_rss_bytes", "peak", PS_REPORT_BYTES, true},
};

enum { B_MODEL, B_BATCH, B_P50, B_RATE, B_PER, B_TRIALS, B_INVALID, BATCH_COLUMNS };

static const struct ps_report_column batch_columns[BATCH_COLUMNS] = {
	[B_MODEL] = {"model", "model", PS_REPORT_TEXT, false},
	[B_BATCH] = {"batch", "batch", PS_REPORT_NUMBER, false},
	[B_P50] = {"p50_ms", "p50, ms", PS_REPORT_MS, true},
	[B_RATE] = {"inferences_per_s", "inferences/s", PS_REPORT_NUMBER, true},
	[B_PER] = {"ms_per_inference", "ms each", PS_REPORT_MS, true},
	[B_TRIALS] = {"trials", "trials", PS_REPORT_NUMBER, false},
	[B_INVALID] = {"invalid_trials", "INVALID", PS_REPORT_NUMBER, false},
};

enum { O_MODEL, O_OPERATOR, O_CALLS, O_TIME, O_SHARE, OPERATOR_COLUMNS };

static const struct ps_report_column operator_columns[OPERATOR_COLUMNS] = {
	[O_MODEL] = {"model", "model", PS_REPORT_TEXT, false},
	[O_OPERATOR] = {"operator", "operator", PS_REPORT_TEXT, false},
	[O_CALLS] = {"calls_per_run", "calls/run", PS_REPORT_NUMBER, false},
	[O_TIME] = {"ms_per_run", "ms/run", PS_REPORT_MS, false},
	[O_SHARE] = {"share", "share", PS_REPORT_NUMBER, false},
};

static enum ps_status no_memory(struct ps_error *err)
{
	return ps_error_set(err, PS_ENOMEM, "no memory for the report");
}

/* The model that a cell is of, by its key: "cold/3/MODEL". */
static const char *model_of(const struct ps_store_cell *x)
{
	const char *slash = strchr(x->key, '/');

	slash = slash ? strchr(slash + 1, '/') : NULL;
	return slash ? slash + 1 : x->key;
}

static bool is_of(const struct ps_store_cell *x, enum ps_store_cell_kind kind, const char *model)
{
	return x->kind == kind && x->state == PS_STORE_DONE &&
	       (!model || strcmp(model_of(x), model) == 0);
}

/* Whether no earlier cell of the kind has this one's model. */
static bool is_first(const struct ps_store_campaign *c, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (is_of(&c->cells[k], c->cells[i].kind, model_of(&c->cells[i])))
			return false;
	return true;
}

/* The mean, with its interval from PS_STATS_MIN_BLOCKS values on. */
static struct ps_stats_interval mean_of(const double *x, size_t n, double unit)
{
	struct ps_stats_interval m = {.value = NAN};

	if (n > 0)
		m = ps_stats_mean_interval(x, n, PS_REPORT_CONFIDENCE);
	m.value *= unit;
	m.lo *= unit;
	m.hi *= unit;
	return m;
}

/* ---- cold starts ---- */

static double figure_of(const struct ps_store_cell *x, const char *name)
{
	for (size_t i = 0; i < x->figure_len; i++)
		if (strcmp(x->figures[i].name, name) == 0)
			return x->figures[i].value;
	return NAN;
}

static enum ps_status cold_row(struct ps_report_answer *a, struct ps_report_table *t,
			       const char *model, double *buffer, struct ps_error *err)
{
	static const struct {
		int column;
		const char *figure;
		double unit;
	} rows[] = {
		{C_READY, "ready_time", 1e-6},	  {C_LOAD, "load_time", 1e-6},
		{C_FIRST, "first_request", 1e-6}, {C_LATER, "later_request", 1e-6},
		{C_READY_RSS, "ready_rss", 1},	  {C_PEAK_RSS, "peak_rss", 1},
	};
	const struct ps_store_campaign *c = a->campaign;
	struct ps_report_value *v = ps_report_table_row(a, t);
	size_t starts = 0;

	if (!v)
		return no_memory(err);
	v[C_MODEL].text = model;
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
		size_t n = 0;
		starts = 0;
		for (size_t i = 0; i < c->cell_len; i++) {
			if (!is_of(&c->cells[i], PS_STORE_COLD, model))
				continue;
			double value = figure_of(&c->cells[i], rows[r].figure);
			starts++;
			if (!isnan(value))
				buffer[n++] = value;
		}
		v[rows[r].column].v = mean_of(buffer, n, rows[r].unit);
	}
	v[C_STARTS].v.value = (double)starts;
	return PS_OK;
}

/* ---- batch sizes ---- */

struct batch {
	struct ps_hist scratch;
	double *p50, *rate, *per;
	size_t cap;		/* of each */
	size_t invalid;		/* of the present row */
	int least, most, shown; /* users of all rows: the fewest, the most; rows */
};

/* Of a closed loop any reason is one against the trial: it has no backlog that could grow. */
static bool is_usable(const struct ps_store_trial *t, int64_t size, struct batch *b)
{
	const struct ps_store_result *r = t->results;

	if (t->result_len != 1 || r->batch != (double)size)
		return false;
	b->least = b->shown == 0 || r->concurrency < b->least ? r->concurrency : b->least;
	b->most = r->concurrency > b->most ? r->concurrency : b->most;
	b->shown++;
	b->invalid += !(t->valid && r->valid);
	return t->valid && r->valid && r->throughput_rps > 0;
}

static enum ps_status batch_row(struct ps_report_answer *a, struct ps_report_table *t,
				const char *model, int64_t size, struct batch *b,
				struct ps_error *err)
{
	const struct ps_store_campaign *c = a->campaign;
	size_t n = 0;

	b->invalid = 0;
	for (size_t i = 0; i < c->cell_len; i++)
		for (size_t j = 0;
		     is_of(&c->cells[i], PS_STORE_PROFILE, model) && j < c->cells[i].trial_len;
		     j++) {
			const struct ps_store_result *r = c->cells[i].trials[j].results;
			if (!is_usable(&c->cells[i].trials[j], size, b) || n == b->cap)
				continue;
			enum ps_status st = ps_report_read_hist(&b->scratch, &r->latency, err);
			if (st != PS_OK)
				return st;
			int64_t p50 = ps_hist_quantile_ns(&b->scratch, 0.5);
			if (p50 == PS_HIST_INFINITE)
				continue;
			b->p50[n] = (double)p50;
			b->rate[n] = r->throughput_rps * (double)size;
			b->per[n] = 1e9 / b->rate[n];
			n++;
		}
	bool any = n > 0 || b->invalid > 0;
	struct ps_report_value *v = any ? ps_report_table_row(a, t) : NULL;
	if (!v)
		return any ? no_memory(err) : PS_OK;
	v[B_MODEL].text = model;
	v[B_BATCH].v.value = (double)size;
	v[B_P50].v = mean_of(b->p50, n, 1e-6);
	v[B_RATE].v = mean_of(b->rate, n, 1);
	v[B_PER].v = mean_of(b->per, n, 1e-6);
	v[B_TRIALS].v.value = (double)n;
	if (b->invalid > 0)
		v[B_INVALID].v.value = (double)b->invalid;
	return PS_OK;
}

/* The next larger batch size of a model; 0: none. */
static int64_t next_size(const struct ps_store_campaign *c, const char *model, int64_t size)
{
	int64_t next = 0;

	for (size_t i = 0; i < c->cell_len; i++)
		for (size_t j = 0;
		     is_of(&c->cells[i], PS_STORE_PROFILE, model) && j < c->cells[i].trial_len;
		     j++) {
			const struct ps_store_trial *t = &c->cells[i].trials[j];
			int64_t s = t->result_len ? (int64_t)fmin(t->results[0].batch, 1e9) : 0;
			if (s > size && (next == 0 || s < next))
				next = s;
		}
	return next;
}

static enum ps_status batch_rows(struct ps_report_answer *a, struct ps_report_table *t,
				 const char *model, struct batch *b, struct ps_error *err)
{
	enum ps_status st = PS_OK;
	int64_t size = 0;

	while (st == PS_OK && (size = next_size(a->campaign, model, size)) > 0)
		st = batch_row(a, t, model, size, b, err);
	return st;
}

/* ---- operators ---- */

static enum ps_status operator_row(struct ps_report_answer *a, struct ps_report_table *t,
				   const char *model, const char *name, double calls, double ns,
				   double run_ns, struct ps_error *err)
{
	struct ps_report_value *v = ps_report_table_row(a, t);

	if (!v)
		return no_memory(err);
	v[O_MODEL].text = model;
	v[O_OPERATOR].text = name;
	v[O_CALLS].v.value = calls;
	v[O_TIME].v.value = ns / 1e6;
	v[O_SHARE].v.value = run_ns > 0 ? ns / run_ns : NAN;
	return PS_OK;
}

/* They were stored longest first. */
static enum ps_status operator_rows(struct ps_report_answer *a, struct ps_report_table *t,
				    const struct ps_store_cell *x, struct ps_error *err)
{
	double run_ns = figure_of(x, "run_time"), rest_ns = 0, rest_calls = 0, all_ns = 0;
	enum ps_status st = PS_OK;
	int shown = 0;

	for (size_t i = 0; i < x->figure_len && st == PS_OK; i++) {
		const struct ps_store_figure *f = &x->figures[i];
		if (strcmp(f->name, "operator_time") != 0)
			continue;
		all_ns += f->value;
		if (shown++ < MAX_OPERATORS) {
			st = operator_row(a, t, model_of(x), f->subject, (double)f->count, f->value,
					  run_ns, err);
		} else {
			rest_ns += f->value;
			rest_calls += (double)f->count;
		}
	}
	if (st == PS_OK && rest_calls > 0)
		st = operator_row(a, t, model_of(x), "all others", rest_calls, rest_ns, run_ns,
				  err);
	if (st == PS_OK && run_ns > all_ns)
		st = operator_row(a, t, model_of(x), "between operators", NAN, run_ns - all_ns,
				  run_ns, err);
	return st;
}

/* ---- all ---- */

static void head(struct ps_report_answer *a)
{
	a->tables[PS_REPORT_COLD] = (struct ps_report_table){
		.name = "cold",
		.title = "Cold starts, means over the starts",
		.note = "ready: from the start of the process to its ready line; load: the model "
			"alone; first and later: the latency of the first request, and the median "
			"of later ones; resident: when ready. The model's file was in the page "
			"cache",
		.columns = cold_columns,
		.column_len = COLD_COLUMNS,
	};
	a->tables[PS_REPORT_BATCHES] = (struct ps_report_table){
		.name = "batches",
		.title = "Batch sizes, means over the trials",
		.note = "p50: of a request with so many inferences; ms each: time per inference; "
			"INVALID trials are counted and not used",
		.columns = batch_columns,
		.column_len = BATCH_COLUMNS,
	};
	a->tables[PS_REPORT_OPERATORS] = (struct ps_report_table){
		.name = "operators",
		.title = "Operators, by the engine's own profiler (which slows it)",
		.note = "share: of the time of a run",
		.columns = operator_columns,
		.column_len = OPERATOR_COLUMNS,
	};
}

/* How many asked at once, which the times follow from. */
static void name_users(struct ps_report_answer *a, const struct batch *b)
{
	char text[120];

	if (b->shown == 0 || b->most < 1)
		return;
	if (b->least == b->most)
		snprintf(text, sizeof text,
			 "Batch sizes: closed loop of %d user%s, means over the trials", b->most,
			 b->most == 1 ? "" : "s");
	else
		snprintf(text, sizeof text,
			 "Batch sizes: closed loops of %d to %d users, means over the trials",
			 b->least, b->most);
	a->tables[PS_REPORT_BATCHES].title = ps_report_keep(a, text);
}

static enum ps_status rows(struct ps_report_answer *a, struct batch *b, struct ps_error *err)
{
	const struct ps_store_campaign *c = a->campaign;
	enum ps_status st = PS_OK;

	for (size_t i = 0; i < c->cell_len && st == PS_OK; i++) {
		const struct ps_store_cell *x = &c->cells[i];
		if (x->state != PS_STORE_DONE)
			continue;
		if (x->kind == PS_STORE_OPERATORS)
			st = operator_rows(a, &a->tables[PS_REPORT_OPERATORS], x, err);
		else if (x->kind == PS_STORE_COLD && is_first(c, i))
			st = cold_row(a, &a->tables[PS_REPORT_COLD], model_of(x), b->p50, err);
		else if (x->kind == PS_STORE_PROFILE && is_first(c, i))
			st = batch_rows(a, &a->tables[PS_REPORT_BATCHES], model_of(x), b, err);
	}
	return st;
}

enum ps_status ps_report_models(struct ps_report_answer *a, struct ps_error *err)
{
	/* a cell has a batch size once at most, unless its file is damaged */
	size_t n = a->campaign->cell_len + 1;
	struct batch b = {.p50 = calloc(3 * n, sizeof *b.p50), .cap = n};

	head(a);
	if (!b.p50 || ps_hist_init(&b.scratch) != PS_OK) {
		free(b.p50);
		return no_memory(err);
	}
	b.rate = b.p50 + n;
	b.per = b.p50 + 2 * n;
	enum ps_status st = rows(a, &b, err);
	if (st == PS_OK)
		name_users(a, &b);
	ps_hist_fini(&b.scratch);
	free(b.p50);
	return st;
}
