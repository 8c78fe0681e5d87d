/* walk.c - runs a recurrent layer: x * W for many steps as one product, then step by step. */
#include "engine/rnn/walk_internal.h"

#define ACC_BYTES                                                                                  \
	((int64_t)1 << 20) /* of pre-activations per thread: half of a usual second cache */
#define LEAST_ROWS 32	   /* of a product, so that W is worth its way */

struct walk {
	const struct ps_rnn *r;
	struct ps_rnn_team *team;
	const struct ps_rnn_run *run;
	const struct ps_rnn_scratch *scratch;
	int64_t at_once; /* steps whose x * W is made together */
	int threads;
};

static int64_t longest(const struct ps_rnn_run *run)
{
	int64_t most = run->lens ? 0 : run->steps;

	for (int64_t n = 0; run->lens && n < run->batch; n++) {
		if (run->lens[n] > most)
			most = run->lens[n];
	}
	return most;
}

static void tell(const struct ps_rnn_part *p, int64_t steps)
{
	if (p->made)
		atomic_store_explicit(&p->made->n, steps, memory_order_release);
}

static void wait_below(const struct ps_rnn_part *p, int64_t steps)
{
	for (int i = 0; p->below && i < p->share.n; i++)
		ps_rnn_count_wait(&p->below[i], steps);
}

static void direction(struct ps_rnn_part *p)
{
	int64_t steps = longest(p->run);

	ps_rnn_part_begin(p);
	for (int64_t first = 0; first < steps; first += p->at_once) {
		int64_t n = steps - first < p->at_once ? steps - first : p->at_once;
		wait_below(p, first + n);
		ps_rnn_part_inputs(p, first, n);
		for (int64_t i = 0; i < n; i++)
			ps_rnn_part_step(p, first + i, i);
		tell(p, first + n);
	}
	tell(p, INT64_MAX); /* rows of other lengths there may have more steps, of zeros */
}

void ps_rnn_part_walk(struct ps_rnn_part *p, const struct ps_rnn_scratch *s)
{
	int d = p->share.direction, i = p->thread - p->share.first;

	p->packed = &p->r->packed[d];
	p->room = &s->room[d];
	p->backward = p->r->spec.direction == PS_RNN_REVERSE || d == 1;
	p->in = p->room->in + i * p->rows;
	p->to = p->room->to + i * p->rows;
	p->in_scales = p->room->in_scales + i * p->rows;
	if (is_coded(p))
		p->x_code = p->room->x_code + i * p->rows * x_row(p);
	p->now = 0;
	direction(p);
}

int ps_rnn_threads_for(const struct ps_rnn *r, const struct ps_rnn_team *team, int64_t rows)
{
	int64_t all = ps_rnn_team_threads(team), blocks = r->blocks * r->directions;
	int64_t most = r->tuning.threads > 0 && r->tuning.threads < all ? r->tuning.threads : all;

	if (rows <= r->tuning.alone_rows)
		return 1;
	return (int)(most < blocks ? most : blocks);
}

static void work(void *ctx, int thread)
{
	const struct walk *w = ctx;
	struct ps_rnn_part p = {.r = w->r,
				.team = w->team,
				.run = w->run,
				.thread = thread,
				.at_once = w->at_once,
				.rows = w->at_once * w->run->batch};

	for (int turn = 0; ps_rnn_share_of(w->r, w->threads, thread, turn, &p.share); turn++)
		ps_rnn_part_walk(&p, w->scratch);
}

enum ps_status ps_rnn_run_check(const struct ps_rnn_run *run, struct ps_error *err)
{
	if (run->batch < 0 || run->steps < 0)
		return ps_error_set(err, PS_EINVAL, "%lld rows of %lld steps",
				    (long long)run->batch, (long long)run->steps);
	if (run->batch > PS_RNN_MAX_BATCH || run->steps > PS_RNN_MAX_STEPS)
		return ps_error_set(err, PS_ETOOBIG, "%lld rows of %lld steps; at most %d of %lld",
				    (long long)run->batch, (long long)run->steps, PS_RNN_MAX_BATCH,
				    (long long)PS_RNN_MAX_STEPS);
	for (int64_t n = 0; run->lens && n < run->batch; n++) {
		if (run->lens[n] < 0 || run->lens[n] > run->steps)
			return ps_error_set(err, PS_EINVAL,
					    "row %lld has %d steps; 0 to %lld are there",
					    (long long)n, run->lens[n], (long long)run->steps);
	}
	return PS_OK;
}

/* Steps whose x * W is made at once: pre-activations should stay in the second cache, but a product
 * of few rows reads W for little. */
int64_t ps_rnn_steps_at_once(const struct ps_rnn *r, int threads, const struct ps_rnn_run *run)
{
	int64_t bytes = run->batch * r->slots * PS_RNN_BLOCK * (int64_t)sizeof(float) *
			((r->blocks + threads - 1) / threads);
	int64_t n = ACC_BYTES / bytes, least = (LEAST_ROWS + run->batch - 1) / run->batch;

	n = n < least ? least : n;
	if (r->tuning.rows > 0)
		n = r->tuning.rows < run->batch ? 1 : r->tuning.rows / run->batch;
	return n < run->steps ? n : run->steps;
}

enum ps_status ps_rnn_run(struct ps_rnn *r, struct ps_rnn_team *team, const struct ps_rnn_run *run,
			  struct ps_error *err)
{
	struct ps_rnn_scratch *scratch = NULL;
	enum ps_status st = ps_rnn_run_check(run, err);

	if (st != PS_OK || run->batch == 0)
		return st;
	if (r->watch)
		return ps_rnn_watch_run(r, team, run, err);
	int threads = ps_rnn_threads_for(r, team, run->steps * run->batch);
	struct walk w = {.r = r, .team = team, .run = run, .at_once = 1, .threads = threads};
	if (run->steps > 0)
		w.at_once = ps_rnn_steps_at_once(r, threads, run);
	st = ps_rnn_scratch_take(r, threads, w.at_once * run->batch, run->batch, &scratch, err);
	if (st != PS_OK)
		return st;
	w.scratch = scratch;
	ps_rnn_team_run_few(team, threads, work, &w);
	ps_rnn_scratch_put(r, scratch);
	return PS_OK;
}
