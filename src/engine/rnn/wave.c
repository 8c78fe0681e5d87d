/* wave.c - layers of a stack at the same time, each by a part of the team.
 *
 * A layer needs of the one below what that has made of the steps at hand. So with the threads
 * shared out to layers, each layer follows the one below by some steps: fewer threads meet in each
 * step, and each of them reads the weights of one layer. What is computed, and in what order, is
 * the same as one layer after the other.
 *
 *	layer 0   [steps 0-31 ][steps 32-63][steps 64-95]
 *	layer 1                [steps 0-31 ][steps 32-63][steps 64-95]
 */
#include "engine/rnn/walk_internal.h"

#include <math.h>
#include <stdlib.h>

#define PAYS 0.95 /* of the time one after the other, by the model, or it is not done */

/* Rows of x * W made at once, from which a layer's lag behind the one below follows. */
static const int64_t lags[PS_RNN_LAGS] = {8, 32};

/* ---- whether ---- */

static double alone_or_wide_s(const struct ps_rnn *r, int threads, int64_t steps, int64_t rows)
{
	const struct ps_rnn_estimate *e = &r->estimate;

	return threads == 1 ? (double)steps * e->step_s[0] + (double)rows * e->row_s[1][0]
			    : (double)steps * e->wide_step_s + (double)rows * e->wide_row_s;
}

/* One after the other. */
static double in_turn_s(struct ps_rnn *const *r, int n, const struct ps_rnn_team *team,
			const struct ps_rnn_run *run)
{
	int64_t rows = run->steps * run->batch;
	double sum = 0;
	bool woken = false;

	for (int i = 0; i < n; i++) {
		int threads = ps_rnn_threads_for(r[i], team, rows);
		sum += alone_or_wide_s(r[i], threads, run->steps, rows);
		woken |= threads > 1;
	}
	return sum + (woken ? r[0]->estimate.start_s : 0);
}

/* `layers` of them at a time, each by 2^log threads, `lag` by its place in lags. The slowest of
 * those at once sets the pace. */
static double in_waves_s(struct ps_rnn *const *r, int n, int layers, int log, int lag,
			 const struct ps_rnn_run *run)
{
	int64_t steps = lags[lag] / run->batch > 0 ? lags[lag] / run->batch : 1;
	double sum = r[0]->estimate.start_s;

	for (int first = 0; first < n; first += layers) {
		int last = first + layers < n ? first + layers : n;
		double pace = 0;
		for (int i = first; i < last; i++) {
			const struct ps_rnn_estimate *e = &r[i]->estimate;
			pace = fmax(pace, e->step_s[log] + (double)run->batch * e->row_s[lag][log]);
		}
		int64_t lots = (run->steps + steps - 1) / steps + last - first - 1;
		sum += (double)(lots * (steps < run->steps ? steps : run->steps)) * pace;
	}
	return sum;
}

static bool can_wave(struct ps_rnn *const *r, const struct ps_rnn_run *runs, int n)
{
	for (int i = 0; i < n; i++) {
		if (r[i]->estimate.step_s[0] <= 0 || r[i]->watch || !ps_rnn_stacks(r[i]) ||
		    runs[i].batch != runs[0].batch || runs[i].steps != runs[0].steps)
			return false;
	}
	return n > 1 && runs[0].batch > 0 && runs[0].steps > 0;
}

struct ps_rnn_wave ps_rnn_choose_wave(struct ps_rnn *const *r, const struct ps_rnn_run *runs, int n,
				      const struct ps_rnn_team *team)
{
	int all = ps_rnn_team_threads(team);
	struct ps_rnn_wave best = {};
	double least;

	if (all < 2 || !can_wave(r, runs, n))
		return best;
	least = PAYS * in_turn_s(r, n, team, &runs[0]);
	for (int log = 0; 2 << log <= all; log++) {
		int layers = all >> log < n ? all >> log : n;
		for (int lag = 0; lag < PS_RNN_LAGS; lag++) {
			double s = in_waves_s(r, n, layers, log, lag, &runs[0]);
			if (s >= least)
				continue;
			int64_t steps = lags[lag] / runs[0].batch;
			least = s;
			best = (struct ps_rnn_wave){layers, 1 << log, steps > 0 ? steps : 1};
		}
	}
	return best;
}

/* ---- the wave ---- */

struct wave {
	struct ps_rnn *const *r;
	const struct ps_rnn_run *runs;
	int n, threads; /* layers; threads of each */
	int64_t at_once;
	struct ps_rnn_team *team;
	struct ps_rnn_scratch *scratch[PS_RNN_MAX_STACK];
	struct ps_rnn_count made[PS_RNN_TEAM_MAX]; /* by thread: steps that its layer's part has */
};

static void work(void *ctx, int thread)
{
	struct wave *w = ctx;
	int layer = thread / w->threads, first = layer * w->threads, i = thread - first;

	if (layer >= w->n)
		return;
	const struct ps_rnn *r = w->r[layer];
	struct ps_rnn_part p = {.r = r,
				.team = w->team,
				.run = &w->runs[layer],
				.thread = thread,
				.at_once = w->at_once,
				.rows = w->at_once * w->runs[layer].batch,
				.share = {.from = r->blocks * i / w->threads,
					  .to = r->blocks * (i + 1) / w->threads,
					  .first = first,
					  .n = w->threads},
				.made = &w->made[thread],
				.below = layer > 0 ? &w->made[first - w->threads] : NULL};

	ps_rnn_part_walk(&p, w->scratch[layer]);
}

static enum ps_status run_wave(struct wave *w, struct ps_error *err)
{
	enum ps_status st = PS_OK;
	int taken = 0;

	for (; st == PS_OK && taken < w->n; taken += st == PS_OK)
		st = ps_rnn_scratch_take(w->r[taken], w->threads, w->at_once * w->runs[taken].batch,
					 w->runs[taken].batch, &w->scratch[taken], err);
	if (st == PS_OK)
		ps_rnn_team_run_few(w->team, w->n * w->threads, work, w);
	while (taken-- > 0)
		ps_rnn_scratch_put(w->r[taken], w->scratch[taken]);
	return st;
}

enum ps_status ps_rnn_run_waves(struct ps_rnn *const *r, const struct ps_rnn_run *runs, int n,
				struct ps_rnn_team *team, const struct ps_rnn_wave *wave,
				struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (int i = 0; st == PS_OK && i < n; i++)
		st = ps_rnn_run_check(&runs[i], err);
	if (st != PS_OK)
		return st;
	struct wave *w = aligned_alloc(_Alignof(struct wave), sizeof *w);
	if (!w)
		return ps_error_set(err, PS_ENOMEM, "no memory to run recurrent layers");
	for (int first = 0; st == PS_OK && first < n; first += wave->layers) {
		*w = (struct wave){.r = r + first,
				   .runs = runs + first,
				   .n = n - first < wave->layers ? n - first : wave->layers,
				   .threads = wave->threads,
				   .at_once = wave->steps < runs[0].steps ? wave->steps
									  : runs[0].steps,
				   .team = team};
		st = run_wave(w, err);
	}
	free(w);
	return st;
}

bool ps_rnn_stacks(const struct ps_rnn *r)
{
	return r->directions == 1 && r->spec.direction == PS_RNN_FORWARD && r->spec.layout == 0;
}

enum ps_status ps_rnn_run_stack(struct ps_rnn *const *r, const struct ps_rnn_run *runs, int n,
				struct ps_rnn_team *team, struct ps_error *err)
{
	struct ps_rnn_wave wave = ps_rnn_choose_wave(r, runs, n, team);
	enum ps_status st = PS_OK;

	if (wave.layers > 1)
		return ps_rnn_run_waves(r, runs, n, team, &wave, err);
	for (int i = 0; st == PS_OK && i < n; i++)
		st = ps_rnn_run(r[i], team, &runs[i], err);
	return st;
}
