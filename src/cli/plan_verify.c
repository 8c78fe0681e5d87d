#include "base/file.h"
#include "cli/cli.h"
#include "cli/plan_verify_internal.h"
#include "plan/refine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WARMUP_NS INT64_C(1000000000)

struct work {
	const struct ps_cli_verify_options *o;
	struct ps_plan_case *c;
	struct ps_plan_answer **answer;
	const struct ps_cli_replan *again;
	struct ps_cli_proof *proof;
	struct ps_measure_here here;
	struct ps_measure_verify_run run;
	struct ps_cli_progress line;
	int machine; /* that is measured now, from 0 */
	char program[4096], *store;
};

/* ---- progress ---- */

static bool on_progress(void *ctx, const struct ps_measure_progress *p)
{
	struct work *w = ctx;
	const struct ps_cli_proof_round *r = &w->proof->rounds[w->proof->round_len - 1];

	if (!p->note)
		ps_cli_progress_show(&w->line, "verifying%s: machine %d of %d: %s",
				     w->proof->round_len > 1 ? " the corrected plan" : "",
				     w->machine + 1, r->machine_len, p->what);
	return !ps_cli_stopped();
}

/* ---- one round ---- */

static enum ps_cli_proof_verdict verdict_of(const struct ps_cli_proof_round *r)
{
	bool shown = true, broken = false;

	for (int i = 0; i < r->machine_len; i++) {
		const struct ps_cli_proof_machine *m = &r->machines[i];
		shown &= m->measured;
		for (int j = 0; m->measured && j < m->tenant_len; j++) {
			enum ps_measure_verdict v = m->tenants[j].seen.verdict;
			broken |= v == PS_MEASURE_VIOLATED;
			/* Who is silent here was measured in another stretch. */
			shown &= v != PS_MEASURE_UNDECIDED && v != PS_MEASURE_INVALID;
		}
	}
	return broken ? PS_CLI_PROOF_FAILS : shown ? PS_CLI_PROOF_HOLDS : PS_CLI_PROOF_NOT_SHOWN;
}

static enum ps_status measure_round(struct work *w, struct ps_error *err)
{
	struct ps_cli_proof *p = w->proof;
	struct ps_cli_proof_round *all =
		realloc(p->rounds, ((size_t)p->round_len + 1) * sizeof(*all));

	if (!all)
		return ps_error_set(err, PS_ENOMEM, "no memory to verify the plan");
	p->rounds = all;
	struct ps_cli_proof_round *r = &all[p->round_len++];
	enum ps_status st = ps_cli_proof_machines(*w->answer, r, err);
	for (int i = 0; st == PS_OK && i < r->machine_len; i++) {
		w->machine = i;
		st = ps_cli_proof_measure(&w->run, &w->here, *w->answer, &r->machines[i], err);
	}
	r->verdict = verdict_of(r);
	return st;
}

/* ---- again ---- */

/* What was seen in the trials that count. */
static int gather(const struct ps_cli_proof_round *r, struct ps_plan_seen *seen)
{
	int n = 0;

	for (int i = 0; i < r->machine_len; i++) {
		const struct ps_cli_proof_machine *m = &r->machines[i];
		for (int j = 0; m->measured && j < m->tenant_len; j++) {
			const struct ps_measure_judged *s = &m->tenants[j].seen;
			if (s->verdict == PS_MEASURE_INVALID || s->verdict == PS_MEASURE_SILENT)
				continue;
			seen[n++] = (struct ps_plan_seen){
				.machine = m->alike[0],
				.place = j,
				.measured_s = s->latency.value_ns == PS_HIST_INFINITE
						      ? INFINITY
						      : (double)s->latency.value_ns * 1e-9,
				.service_s = s->service_s,
				.violated = s->verdict == PS_MEASURE_VIOLATED,
			};
		}
	}
	return n;
}

static bool keep_corrections(const struct ps_plan_case *c, const double *factors,
			     struct ps_cli_proof_round *r)
{
	size_t all = (size_t)c->n_types * (size_t)c->n_models;

	r->corrections = calloc(all, sizeof(*r->corrections));
	for (size_t i = 0; r->corrections && i < all; i++)
		if (factors[i] > 1)
			r->corrections[r->correction_len++] = (struct ps_cli_proof_correction){
				.type = (int)(i / (size_t)c->n_models),
				.model = (int)(i % (size_t)c->n_models),
				.factor = factors[i],
			};
	return r->corrections;
}

static enum ps_status correct(struct work *w, bool *ret_changed, struct ps_error *err)
{
	struct ps_cli_proof_round *r = &w->proof->rounds[w->proof->round_len - 1];
	size_t places = 0;

	for (int i = 0; i < r->machine_len; i++)
		places += (size_t)r->machines[i].tenant_len;
	struct ps_plan_seen *seen = calloc(places + 1, sizeof(*seen));
	double *factors = calloc((size_t)w->c->n_types * (size_t)w->c->n_models, sizeof(*factors));
	enum ps_status st = PS_ENOMEM;
	if (seen && factors)
		st = ps_plan_refine(w->c, *w->answer, seen, gather(r, seen), factors, ret_changed,
				    err);
	if (st == PS_OK && *ret_changed && !keep_corrections(w->c, factors, r))
		st = PS_ENOMEM;
	if (st == PS_ENOMEM)
		ps_error_set(err, st, "no memory to correct the prediction");
	free(seen);
	free(factors);
	return st;
}

/* Who is where, and on what? */
static bool is_same_plan(const struct ps_plan_answer *a, const struct ps_plan_answer *b)
{
	bool same = a->result.plan.n == b->result.plan.n;

	for (int i = 0; same && i < a->result.plan.n; i++) {
		const struct ps_plan_rented *x = &a->machines[i], *y = &b->machines[i];
		same = x->type == y->type && x->n == y->n;
		for (int j = 0; same && j < x->n; j++)
			same = x->places[j].tenant == y->places[j].tenant &&
			       x->places[j].traffic == y->places[j].traffic;
	}
	return same;
}

/* The plan before stays the answer where there is no other. *ret_planned: there is one to verify.
 */
static enum ps_status plan_again(struct work *w, bool *ret_planned, struct ps_error *err)
{
	struct ps_plan_answer *next = calloc(1, sizeof(*next));
	struct ps_error why = {0};

	*ret_planned = false;
	if (!next)
		return ps_error_set(err, PS_ENOMEM, "no memory to plan again");
	enum ps_status st = w->again->plan(w->again->ctx, w->c, next, &why);
	if (st == PS_OK) {
		*ret_planned = !is_same_plan(*w->answer, next);
		if (!*ret_planned)
			snprintf(w->proof->stop, sizeof(w->proof->stop),
				 "planned with the corrected times it is the same");
		ps_plan_answer_fini(*w->answer);
		free(*w->answer);
		*w->answer = next;
		return PS_OK;
	}
	free(next);
	if (st != PS_EINVAL && st != PS_ETOOBIG) {
		*err = why;
		return st;
	}
	snprintf(w->proof->stop, sizeof(w->proof->stop),
		 "with the corrected times there is no plan: %s", why.what);
	return PS_OK;
}

/* *ret_go_on: there is another plan to verify. */
static enum ps_status refine(struct work *w, bool *ret_go_on, struct ps_error *err)
{
	bool changed = false;

	*ret_go_on = false;
	if (w->proof->rounds[w->proof->round_len - 1].verdict == PS_CLI_PROOF_HOLDS)
		return PS_OK;
	if (w->proof->round_len > w->o->refine) {
		if (w->o->refine > 0)
			snprintf(w->proof->stop, sizeof(w->proof->stop),
				 "--refine %lld allowed no more", (long long)w->o->refine);
		return PS_OK;
	}
	enum ps_status st = correct(w, &changed, err);
	if (st == PS_OK && !changed)
		snprintf(w->proof->stop, sizeof(w->proof->stop),
			 "no trial that is VALID is over what was foreseen");
	return st == PS_OK && changed ? plan_again(w, ret_go_on, err) : st;
}

/* ---- all of it ---- */

static enum ps_status check_options(const struct ps_cli_verify_options *o, struct ps_error *err)
{
	if (o->resume && !o->store) {
		ps_error_set(err, PS_EUSAGE, "--verify-resume needs --verify-store");
		ps_error_hint(err, "name the store of the verification to go on with");
		return PS_EUSAGE;
	}
	if (o->write_corrections && o->refine == 0) {
		ps_error_set(err, PS_EUSAGE, "--write-corrections needs --refine");
		ps_error_hint(err, "without it nothing is corrected");
		return PS_EUSAGE;
	}
	if (o->duration_ns > o->max_ns) {
		ps_error_set(err, PS_EUSAGE, "--verify-duration is longer than --verify-max");
		ps_error_hint(err, "--verify-max is for all trials of a machine together");
		return PS_EUSAGE;
	}
	return PS_OK;
}

static enum ps_status prepare(struct work *w, struct ps_error *err)
{
	enum ps_status st = check_options(w->o, err);

	if (st == PS_OK)
		st = ps_cli_own_path(w->program, sizeof(w->program), err);
	if (st == PS_OK)
		st = ps_file_mkdirs(w->o->workdir, err);
	int n = w->o->store
			? asprintf(&w->store, "%s", w->o->store)
			: asprintf(&w->store, "%s/verify-%ld.db", w->o->workdir, (long)getpid());
	if (n < 0) {
		w->store = NULL;
		st = st == PS_OK ? ps_error_set(err, PS_ENOMEM, "no memory for a path") : st;
	}
	ps_measure_look_here(&w->here);
	w->run = (struct ps_measure_verify_run){
		.store_path = w->store,
		.workdir = w->o->workdir,
		.program = w->program,
		.resume = w->o->resume,
		.seed = w->again->seed,
		.patience = {w->o->duration_ns, w->o->max_ns, WARMUP_NS},
		.progress = on_progress,
		.ctx = w,
	};
	return st;
}

/* A store that nobody asked for goes, with what SQLite puts beside it. */
static void clean(struct work *w)
{
	static const char *const endings[] = {"", "-wal", "-shm"};
	char path[4200];

	for (size_t i = 0; w->store && !w->o->store && i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", w->store, endings[i]);
		(void)unlink(path);
	}
	free(w->store);
}

enum ps_status ps_cli_plan_verify(const struct ps_cli_verify_options *o, struct ps_plan_case *c,
				  struct ps_plan_answer **answer, const struct ps_cli_replan *again,
				  struct ps_cli_proof *ret_proof, struct ps_error *err)
{
	struct work w = {.o = o, .c = c, .answer = answer, .again = again, .proof = ret_proof};
	bool go_on = true;

	*ret_proof = (struct ps_cli_proof){.c = c};
	if (!o->verify && o->refine == 0)
		return check_options(o, err);
	ps_cli_stop_on_signals();
	ps_cli_progress_init(&w.line, !ps_cli_is_terminal(2));
	enum ps_status st = prepare(&w, err);
	while (st == PS_OK && go_on) {
		st = measure_round(&w, err);
		if (st == PS_OK)
			st = refine(&w, &go_on, err);
	}
	ps_cli_progress_done(&w.line);
	if (st == PS_ECANCELLED)
		ps_error_hint(err, "%s",
			      o->store ? "--verify-resume goes on with what is measured"
				       : "with --verify-store it could be resumed");
	clean(&w);
	if (st != PS_OK)
		ps_cli_proof_fini(ret_proof);
	return st;
}

void ps_cli_proof_fini(struct ps_cli_proof *p)
{
	for (int i = 0; i < p->round_len; i++)
		ps_cli_proof_round_fini(&p->rounds[i]);
	free(p->rounds);
	memset(p, 0, sizeof(*p));
}

int ps_cli_proof_code(const struct ps_cli_proof *p)
{
	static const int codes[] = {
		[PS_CLI_PROOF_HOLDS] = PS_CLI_OK,
		[PS_CLI_PROOF_FAILS] = PS_CLI_NEGATIVE,
		[PS_CLI_PROOF_NOT_SHOWN] = PS_CLI_NOT_SHOWN,
	};

	return p->round_len == 0 ? PS_CLI_OK : codes[p->rounds[p->round_len - 1].verdict];
}
