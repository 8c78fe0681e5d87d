/* load_sweep.c - one trial per rate or per number of users: a table, or JSON. */
#include "cli/load_modes_internal.h"

#include "cli/load_sweep_internal.h"
#include "load/fault.h"

#include <stdlib.h>
#include <unistd.h>

#define MAX_USERS   4096
#define WHOLE_WIDTH 100

struct sweep {
	const struct ps_cli_load_modes *m;
	struct ps_cli_load_trials t;
	struct ps_trial_sweep points;
	double base_rps; /* of all tenants together */
	struct ps_cli_load_swept found;
	struct ps_trial_sweep_row decides[PS_TRIAL_MAX_SWEEP];
	int decide_len;
};

/* ---- the trials ---- */

static enum ps_status check_tenants(struct sweep *s, struct ps_error *err)
{
	for (size_t i = 0; i < s->t.base->tenant_len; i++) {
		s->base_rps += ps_cli_load_trials_base_rate(&s->t, i);
	}
	if (s->t.base->tenant_len == 1) {
		return PS_OK;
	}
	if (s->found.users) {
		return ps_error_set(err, PS_EUSAGE,
				    "--sweep-concurrency is for one tenant; a file may give each "
				    "its own concurrency");
	}
	if (!(s->base_rps > 0)) {
		return ps_error_set(err, PS_EUSAGE,
				    "no tenant of the file has a rate that could be swept");
	}
	return PS_OK;
}

/* Several tenants keep their proportions; the asked rate is that of all together. */
static enum ps_status set_load(struct sweep *s, double asked, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	if (s->found.users) {
		ps_cli_load_trials_users(&s->t, 0, (int)asked);
		return PS_OK;
	}
	for (size_t i = 0; st == PS_OK && i < s->t.base->tenant_len; i++) {
		double base = ps_cli_load_trials_base_rate(&s->t, i);

		if (s->t.base->tenant_len == 1) {
			st = ps_cli_load_trials_rate(&s->t, i, asked, err);
		} else if (base > 0) {
			st = ps_cli_load_trials_rate(&s->t, i, asked * base / s->base_rps, err);
		}
	}
	return st;
}

/* Of several tenants the one that rises most surely decides. */
static struct ps_trial_sweep_row decides(const struct ps_load_result *r,
					 const struct ps_cli_load_swept_row *row, bool users)
{
	struct ps_trial_sweep_row d = {.offered_rps = users ? 0 : row->offered_rps,
				       .throughput_rps = row->throughput_rps};

	for (size_t i = 0; i < r->tenant_len; i++) {
		const struct ps_load_tenant_result *t = &r->tenants[i];

		if (i == 0 || t->trend.p_rising < d.p_rising) {
			d.p_rising = users ? 1 : t->trend.p_rising;
			d.p50_ns = (double)t->p50.value_ns;
			d.rise_ns = t->trend.slope * (double)r->duration_ns / 1e9;
		}
	}
	return d;
}

/* What was not the server's doing does not show that it is saturated. */
static void take_result(struct sweep *s, const struct ps_load_result *r)
{
	struct ps_cli_load_swept *found = &s->found;
	struct ps_cli_load_swept_row *row = &found->rows[found->len];

	found->stopped = r->cancelled;
	if (found->stopped) {
		return;
	}
	ps_cli_load_swept_take(row, r);
	found->len++;
	if (!ps_load_fault(r)) {
		s->decides[s->decide_len++] = decides(r, row, found->users);
		found->saturated = ps_trial_sweep_saturated(s->decides, s->decide_len);
	}
}

static enum ps_status begin_row(struct sweep *s, struct ps_error *err)
{
	struct ps_cli_load_swept *found = &s->found;
	struct ps_cli_load_swept_row *row = &found->rows[found->len];

	free(row->tenants); /* of a row that was begun before */
	*row = (struct ps_cli_load_swept_row){
		.asked = s->points.points[found->len],
		.tenants = calloc(found->tenant_len, sizeof(*row->tenants))};
	if (!row->tenants) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a row");
	}
	(void)snprintf(s->t.what, sizeof(s->t.what), "%d of %d, %g %s", found->len + 1,
		       found->asked, row->asked, found->users ? "users" : "requests/s");
	return set_load(s, row->asked, err);
}

static enum ps_status run_row(struct sweep *s, struct ps_error *err)
{
	struct ps_load_result result;
	enum ps_status st = begin_row(s, err);

	if (st == PS_OK) {
		st = ps_cli_load_trials_run(&s->t, &result, err);
	}
	if (st != PS_OK) {
		return st;
	}
	take_result(s, &result);
	ps_load_result_fini(&result);
	return PS_OK;
}

/* ---- what it found ---- */

static int tried_count(const void *ctx)
{
	const struct sweep *s = ctx;

	return s->found.len;
}

static void tried_put(const void *ctx, int k, int columns, struct ps_strbuf *out)
{
	const struct sweep *s = ctx;

	if (k == PS_CLI_LOAD_TRIED_HEAD) {
		ps_cli_load_swept_head(&s->found, columns, out);
	} else {
		ps_cli_load_swept_line(&s->found, k, columns, out);
	}
}

static bool has_columns(void)
{
	const char *columns = getenv("COLUMNS");

	return columns && *columns;
}

/* A file or a pipe has room for all columns, unless somebody says otherwise. */
static int table_width(void)
{
	return ps_cli_is_terminal(STDOUT_FILENO) || has_columns() ? ps_cli_width(STDOUT_FILENO)
								  : WHOLE_WIDTH;
}

static enum ps_status print(const struct sweep *s, bool json, struct ps_error *err)
{
	struct ps_strbuf out;
	enum ps_status st;

	if (json) {
		return ps_cli_print_json(ps_cli_load_swept_json(&s->found), err);
	}
	ps_strbuf_init(&out);
	ps_cli_load_swept_text(&s->found, table_width(), &out);
	st = ps_strbuf_status(&out) == PS_OK ? ps_cli_print(out.data, out.len, err)
					     : ps_error_set(err, PS_ENOMEM, "no memory");
	ps_strbuf_fini(&out);
	return st;
}

/* A sweep asks; which rows are bad is the answer. Only one that showed nothing is a failure. */
static int code_of(const struct ps_cli_load_swept *s)
{
	for (int i = 0; i < s->len; i++) {
		if (s->rows[i].valid) {
			return s->stopped ? PS_CLI_NEGATIVE : PS_CLI_OK;
		}
	}
	return PS_CLI_NEGATIVE;
}

static enum ps_status perform(struct sweep *s, bool json, struct ps_error *err)
{
	const struct ps_cli_load_swept *found = &s->found;
	enum ps_status st = check_tenants(s, err);

	while (st == PS_OK && found->len < found->asked && !found->stopped &&
	       (s->m->keep_going || !found->saturated)) {
		st = run_row(s, err);
	}
	ps_cli_load_live_done(&s->t.live);
	return st == PS_OK ? print(s, json, err) : st;
}

static enum ps_status parse_points(struct sweep *s, struct ps_error *err)
{
	bool users = s->found.users;
	enum ps_status st = ps_trial_sweep_parse(users ? s->m->sweep_concurrency : s->m->sweep_rate,
						 users ? MAX_USERS : 1e7, users, &s->points, err);

	if (st != PS_OK) {
		ps_error_where(err, users ? "--sweep-concurrency" : "--sweep-rate");
		err->status = PS_EUSAGE;
	}
	s->found.asked = s->points.len;
	return st;
}

static void free_sweep(struct sweep *s)
{
	ps_cli_load_trials_fini(&s->t);
	for (int i = 0; i < PS_TRIAL_MAX_SWEEP; i++) {
		free(s->found.rows[i].tenants);
	}
	free(s);
}

int ps_cli_load_sweep(const struct ps_cli_load_modes *m, const struct ps_load_plan *plan, bool json)
{
	struct sweep *s = calloc(1, sizeof(*s));
	struct ps_cli_load_tried tried = {.ctx = s, .count = tried_count, .put = tried_put};
	struct ps_error err = {0};
	enum ps_status st;
	int code;

	if (!s) {
		ps_error_set(&err, PS_ENOMEM, "no memory for a sweep");
		return ps_cli_fail(&err);
	}
	s->m = m;
	s->found.users = m->sweep_concurrency != NULL;
	s->found.tenants = plan->tenants;
	s->found.tenant_len = plan->tenant_len;
	st = parse_points(s, &err);
	if (st == PS_OK) {
		st = ps_cli_load_trials_init(&s->t, plan, &tried, &err);
	}
	if (st == PS_OK) {
		st = perform(s, json, &err);
	}
	code = st == PS_OK ? code_of(&s->found) : ps_cli_fail(&err);
	free_sweep(s);
	return code;
}
