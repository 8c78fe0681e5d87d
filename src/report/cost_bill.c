/* cost_bill.c - what tenants of a campaign used, for a bill. */
#include "report/costs.h"
#include "report_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNTER	  "perseus_compute_seconds_total{"
#define MAX_BYTES (INT64_C(1) << 50) /* of one tenant's models: more is no memory */

struct use {
	const struct ps_store_campaign *c;
	struct ps_cost_bill_row *rows; /* one per member */
	int set;
	struct ps_report_use sum;
	bool no_compute;
	struct ps_hist scratch;
};

/* What is read here is the file's: no sum of it may overflow. */
static bool add(int64_t *to, double v)
{
	return v >= 0 && v < 4e18 && !__builtin_add_overflow(*to, llround(v), to);
}

static enum ps_status cannot_be(const struct use *u, struct ps_error *err)
{
	return ps_error_set(err, PS_ECORRUPT,
			    "the trials of set %.100s have times or sizes that cannot be",
			    u->c->sets[u->set].name);
}

/* ---- compute time ---- */

/* Whether a series is of this tenant: tenant="NAME" among its labels. Names hold no quotes. */
static bool is_series_of(const char *series, const char *tenant)
{
	char label[256];

	if (strncmp(series, COUNTER, sizeof COUNTER - 1) != 0)
		return false;
	int n = snprintf(label, sizeof label, "tenant=\"%s\"", tenant);
	const char *at = n > 0 && (size_t)n < sizeof label ? strstr(series, label) : NULL;
	return at && (at[-1] == '{' || at[-1] == ',');
}

/* Lane time x CPUs that the server charged to a tenant over a trial and its warm-up; NAN: it did
 * not say. A series that was not there before began at 0. */
static double counted_s(const struct ps_store_trial *t, const char *tenant)
{
	double sum = NAN;

	for (size_t i = 0; i < t->scrape_len; i++) {
		const struct ps_store_scrape *s = &t->scrapes[i];
		if (!is_series_of(s->series, tenant) || isnan(s->after))
			continue;
		sum = (isnan(sum) ? 0 : sum) + s->after - (isnan(s->before) ? 0 : s->before);
	}
	return sum;
}

/* Without the first reading a counter holds all that was before the trial, too. A server that was
 * just started has other series by then, if not these. */
static bool has_first_reading(const struct ps_store_trial *t)
{
	for (size_t i = 0; i < t->scrape_len; i++)
		if (!isnan(t->scrapes[i].before))
			return true;
	return false;
}

/* The server's counters of all tenants, or what it stated with each answer: never mixed, since the
 * first also hold the warm-up. Series that stayed 0 are not in the store: a tenant without one, of
 * a server that counts, computed nothing. */
static bool has_counters(const struct use *u, const struct ps_store_trial *t)
{
	const struct ps_store_set *s = &u->c->sets[u->set];

	for (int i = 0; i < s->member_len; i++)
		if (!isnan(counted_s(t, u->c->tenants[s->members[i]].name)))
			return has_first_reading(t);
	return false;
}

static enum ps_status stated_ns(struct use *u, const struct ps_store_result *r, double *ret_ns,
				struct ps_error *err)
{
	enum ps_status st = ps_report_read_hist(&u->scratch, &r->server_compute, err);

	if (st != PS_OK)
		return st;
	u->no_compute = u->no_compute || (r->completed > 0 && ps_hist_count(&u->scratch) == 0);
	*ret_ns = (double)u->scratch.sum_ns;
	return PS_OK;
}

/* ---- memory ---- */

/* Negative: no memory has that size. */
static int64_t row_bytes(const json_t *row)
{
	int64_t private_bytes = ps_json_get_int(row, "private_bytes", 0);
	int64_t mapped_bytes = ps_json_get_int(row, "mapped_bytes", 0);

	if (private_bytes < 0 || private_bytes > MAX_BYTES || mapped_bytes < 0 ||
	    mapped_bytes > MAX_BYTES)
		return -1;
	return private_bytes + mapped_bytes;
}

static bool same_model(const json_t *a, const json_t *b)
{
	return strcmp(ps_json_get_string(a, "name", ""), ps_json_get_string(b, "name", "")) == 0 &&
	       strcmp(ps_json_get_string(a, "version", ""), ps_json_get_string(b, "version", "")) ==
		       0;
}

/* A model that several tenants see stands once for each of them, and is split evenly. Negative: no
 * memory has that size. */
static int64_t tenant_bytes(const json_t *models, const char *tenant)
{
	int64_t sum = 0;
	size_t i, k;
	json_t *row, *other;

	json_array_foreach(models, i, row)
	{
		int64_t sharers = 0;
		if (strcmp(ps_json_get_string(row, "tenant", ""), tenant) != 0)
			continue;
		json_array_foreach(models, k, other)
		{
			sharers += same_model(row, other);
		}
		int64_t bytes = row_bytes(row);
		if (bytes < 0 || sum > MAX_BYTES)
			return -1;
		sum += bytes / sharers;
	}
	return sum;
}

static json_t *models_of(const struct ps_store_cell *cell)
{
	json_t *line = NULL, *models;

	if (cell->server_json)
		ps_json_parse(cell->server_json, strlen(cell->server_json), &line, NULL);
	models = json_incref(json_object_get(line, "models"));
	json_decref(line);
	return models;
}

/* ---- trials ---- */

/* What one member did in a trial of `s` seconds. */
static enum ps_status add_member(struct use *u, int place, const struct ps_store_trial *t,
				 const json_t *models, bool counted, double s, struct ps_error *err)
{
	int tenant = u->c->sets[u->set].members[place];
	const char *name = u->c->tenants[tenant].name;
	const struct ps_store_result *r = ps_report_result_of(t, tenant);
	struct ps_cost_bill_row *row = &u->rows[place];
	double compute_ns = 0;

	if (!r)
		return PS_OK;
	enum ps_status st = counted ? PS_OK : stated_ns(u, r, &compute_ns, err);
	if (st != PS_OK)
		return st;
	if (counted)
		compute_ns = fmax(0, counted_s(t, name)) * 1e9; /* fmax: 0 for NAN, too */
	int64_t bytes = tenant_bytes(models, name);
	bool ok = add(&row->compute_ns, compute_ns) && add(&row->requests, (double)r->ok) &&
		  add(&row->inferences, (double)r->ok * (r->batch > 0 ? r->batch : 1)) &&
		  bytes >= 0 && add(&row->resident_byte_s, (double)bytes * s);
	return ok ? PS_OK : cannot_be(u, err);
}

static enum ps_status add_trial(struct use *u, const struct ps_store_trial *t, const json_t *models,
				struct ps_error *err)
{
	bool counted = has_counters(u, t);
	double ns = (double)t->duration_ns + (counted ? (double)t->warmup_ns : 0);
	enum ps_status st = add(&u->sum.measured_ns, ns) ? PS_OK : cannot_be(u, err);

	for (int i = 0; st == PS_OK && i < u->c->sets[u->set].member_len; i++)
		st = add_member(u, i, t, models, counted, ns / 1e9, err);
	u->sum.counted += counted;
	u->sum.stated += !counted;
	return st;
}

static enum ps_status add_cell(struct use *u, const struct ps_store_cell *cell,
			       struct ps_error *err)
{
	json_t *models = models_of(cell);
	enum ps_status st = PS_OK;

	u->sum.has_memory = u->sum.has_memory && json_array_size(models) > 0 &&
			    json_object_get(json_array_get(models, 0), "tenant");
	for (size_t j = 0; st == PS_OK && j < cell->trial_len; j++)
		if (cell->trials[j].role == PS_STORE_DEMAND && cell->trials[j].valid)
			st = add_trial(u, &cell->trials[j], models, err);
	json_decref(models);
	return st;
}

static enum ps_status conclude(const struct use *u, struct ps_error *err)
{
	const char *name = u->c->sets[u->set].name;

	if (u->sum.counted + u->sum.stated == 0) {
		ps_error_set(err, PS_ENOTFOUND,
			     "set %.100s has no VALID trial at the demand rates: nothing to bill",
			     name);
		ps_error_hint(err, "perseus measure --resume measures what is missing");
		return PS_ENOTFOUND;
	}
	if (u->no_compute)
		return ps_error_set(err, PS_ENOTFOUND,
				    "the server of set %.100s did not say its compute times", name);
	return PS_OK;
}

enum ps_status ps_report_bill_use(struct ps_report_answer *a, int set,
				  struct ps_cost_bill_row *ret_rows, struct ps_report_use *ret_use,
				  struct ps_error *err)
{
	const struct ps_store_campaign *c = a->campaign;
	struct use u = {.c = c, .rows = ret_rows, .set = set, .sum.has_memory = true};
	enum ps_status st = ps_hist_init(&u.scratch);

	if (st != PS_OK)
		return ps_error_set(err, st, "no memory for a histogram");
	for (int i = 0; i < c->sets[set].member_len; i++) {
		const struct ps_store_tenant *t = &c->tenants[c->sets[set].members[i]];
		ret_rows[i] = (struct ps_cost_bill_row){.tenant = t->name, .model = t->model};
	}
	for (size_t i = 0; st == PS_OK && i < c->cell_len; i++)
		if (c->cells[i].set == set && c->cells[i].state == PS_STORE_DONE &&
		    c->cells[i].kind == PS_STORE_CONFIRM)
			st = add_cell(&u, &c->cells[i], err);
	ps_hist_fini(&u.scratch);
	if (st == PS_OK)
		st = conclude(&u, err);
	if (st != PS_OK)
		return st;
	*ret_use = u.sum;
	return PS_OK;
}
