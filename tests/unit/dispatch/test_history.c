/* Drawn histories under a budget of memory: after every event the budget and the guarantees hold,
 * nobody's run has lost its model, and nobody who waits is forgotten. The same seed decides the
 * same. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/dispatch/memory_world.h"

#include "base/rng.h"

enum { STEPS = 1500 };

/* What is on a lane. */
struct run {
	struct ps_dispatch_request request;
	struct ps_dispatch_batch *batch; /* NULL: nothing */
	uint64_t id;			 /* of its instance */
};

struct history {
	struct machine m;
	struct ps_rng rng;
	struct ps_dispatch_memory memory;
	int64_t guarantee[TENANTS];
	struct ps_dispatch_request r[MANY];
	bool live[MANY];
	struct run runs[LANES];
	struct ps_dispatch_action plan; /* that is under way */
	int64_t ceiling; /* what may be used: the budget, or what was there above it */
	uint64_t digest;
};

/* Over all histories: that what is checked happens at all. */
struct tally {
	int64_t went_on, refused, evicted, runs, lies, plans, lowered, held_back;
};

static int below(struct history *h, int n)
{
	return (int)ps_rng_below(&h->rng, (uint64_t)n);
}

static uint64_t evictions(const struct machine *m, int by)
{
	struct ps_dispatch_evictions e;
	uint64_t n = 0;
	for (int i = 0; ps_dispatch_evictions_get(m->d, i, &e); i++)
		n += by == -2 || e.by == by ? e.n : 0;
	return n;
}

static int64_t kept(const struct machine *m, int tenant)
{
	struct ps_dispatch_residency_view v;
	ps_dispatch_residency_view_get(m->d, tenant, &v);
	return v.resident_bytes;
}

/* ---- events ------------------------------------------------------------------------------- */

static void take_answers(struct history *h, struct tally *all)
{
	struct machine *m = &h->m;
	for (int i = 0; i < m->n_resumed; i++) {
		int k = (int)(m->resumed[i] - h->r);
		assert_true(h->live[k]);
		h->live[k] = false;
		all->went_on++;
		assert_true(is_there(m, h->r[k].model - m->models[0]));
		ps_dispatch_resumed(m->d, h->r[k].tenant, h->r[k].model);
	}
	for (int i = 0; i < m->n_refused; i++) {
		int k = (int)(m->refused[i] - h->r);
		assert_true(h->live[k]);
		assert_int_equal(h->r[k].state, PS_DISPATCH_DONE);
		h->live[k] = false;
		all->refused++;
	}
	m->n_resumed = m->n_refused = 0;
}

/* A request: its model is there, and it runs until a later event; or it waits for it. */
static void ask(struct history *h, struct tally *all)
{
	struct machine *m = &h->m;
	struct ps_dispatch_action a;
	int model = below(h, MODELS), tenant = below(h, TENANTS), k = below(h, MANY);
	int lane = below(h, LANES);
	struct run *run = &h->runs[lane];
	if (!is_there(m, model)) {
		if (!h->live[k])
			h->live[k] = await(m, &h->r[k], tenant, model, 0) == PS_OK;
		return;
	}
	if (run->batch)
		return;
	ps_dispatch_request_init(&run->request, tenant, m->models[model]);
	if (ps_dispatch_arrive(m->d, &run->request, m->now, &a, &m->err) != PS_OK)
		return;
	a = ps_dispatch_lane_free(m->d, lane, m->now);
	assert_int_equal(a.kind, PS_DISPATCH_RUN);
	run->batch = a.batch;
	run->id = ps_repo_instance_get(m->repo, run->request.instance)->id;
	all->runs++;
}

static void end_run(struct history *h, int lane)
{
	struct run *run = &h->runs[lane];
	if (!run->batch)
		return;
	ps_dispatch_finish(h->m.d, run->batch, PS_OK, h->m.now, h->m.now);
	assert_int_equal(run->request.account.status, PS_OK);
	run->batch = NULL;
}

static void end_a_load(struct history *h, struct tally *all)
{
	struct machine *m = &h->m;
	int place = below(h, m->n_opening);
	int k = model_of(m, m->opening[place]);
	int64_t told = m->told[m->opening[place] % MANY];
	if (below(h, 8) == 0) {
		end_load_at(m, place, PS_EENGINE);
		return;
	}
	if (m->bytes[k] > told) { /* it is there before anybody can know */
		h->ceiling = used(m) + m->bytes[k] - told;
		all->lies++;
	}
	end_load_at(m, place, PS_OK);
}

static void end_plan(struct history *h, struct tally *all)
{
	struct machine *m = &h->m;
	if (!h->plan.plan)
		return;
	enum ps_status s = ps_cache_job_run(h->plan.plan, &m->err);
	ps_dispatch_planned(m->d, h->plan.plan_number, s, &m->err, m->now);
	h->plan.plan = NULL;
	all->plans++;
}

static void set_budget(struct history *h, struct tally *all)
{
	int64_t least = h->guarantee[A] + h->guarantee[B] + 15;
	h->memory.budget_bytes = least + below(h, 20);
	all->lowered += h->memory.budget_bytes < used(&h->m);
	h->ceiling = used(&h->m);
	assert_int_equal(ps_dispatch_set_memory(h->m.d, &h->memory, &h->m.err), PS_OK);
}

static void set_guarantees(struct history *h)
{
	struct machine *m = &h->m;
	struct ps_tenancy *old = m->tenancy;
	h->guarantee[A] = below(h, 2) * (5 + below(h, 8));
	h->guarantee[B] = below(h, 2) * below(h, 8);
	while (h->guarantee[A] + h->guarantee[B] > h->memory.budget_bytes)
		h->guarantee[A]--;
	m->tenancy = two_tenants(h->guarantee[A], h->guarantee[B]);
	assert_int_equal(ps_dispatch_set_tenancy(m->d, m->tenancy), PS_OK);
	ps_tenancy_unref(old);
}

static void set_pin(struct history *h, int model, bool pinned)
{
	struct ps_repo_config c;
	ps_repo_config_init(&c);
	c.pinned = pinned;
	assert_int_equal(
		ps_repo_set_config(h->m.repo, ps_repo_get(h->m.repo, model)->name, &c, &h->m.err),
		PS_OK);
	ps_repo_config_fini(&c);
	ps_dispatch_repo_changed(h->m.d);
}

/* Another file: perhaps that of another model, perhaps one that holds more than it looks. */
static void change_file(struct history *h)
{
	struct machine *m = &h->m;
	int k = below(h, MODELS), other = below(h, MODELS);
	struct ps_repo_identity file = {.ino = (ino_t)(1 + below(h, 1000)), .bytes = m->bytes[k]};
	m->content[k] = below(h, 3) ? 100 + below(h, 1000) : m->content[other];
	if (m->content[k] == m->content[other])
		m->bytes[k] = m->bytes[other];
	m->says[k] = below(h, 4) ? 0 : m->bytes[k] - below(h, 5);
	assert_int_equal(ps_repo_put(m->repo, ps_repo_get(m->repo, m->models[k])->name, 1, "file",
				     &file, 0, NULL, &m->err),
			 PS_OK);
}

/* False: it may take from what a tenant keeps without a load for another one. */
static bool event(struct history *h, struct tally *all)
{
	struct machine *m = &h->m;
	int what = below(h, 100);
	if (what < 45)
		ask(h, all);
	else if (what < 60 && m->n_opening > 0)
		end_a_load(h, all);
	else if (what < 75 && m->n_closing > 0)
		end_unload(m);
	else if (what < 86)
		end_run(h, below(h, LANES));
	else if (what < 93)
		end_plan(h, all);
	else if (what < 94)
		set_budget(h, all);
	else if (what < 95)
		set_guarantees(h);
	else if (what < 96)
		set_pin(h, m->models[0], below(h, 2));
	else if (what < 97)
		change_file(h);
	else {
		int k = below(h, MANY);
		if (h->live[k] && h->r[k].state == PS_DISPATCH_PARKED) {
			ps_dispatch_cancel(m->d, &h->r[k], m->now);
			h->live[k] = false;
		}
	}
	return what < 93 || what >= 97;
}

/* ---- what has to hold --------------------------------------------------------------------- */

static void check_memory(struct history *h)
{
	int64_t now = used(&h->m), budget_bytes = h->memory.budget_bytes;
	if (now > budget_bytes && now > h->ceiling)
		fail_msg("%lld bytes of %lld, and before %lld", (long long)now,
			 (long long)budget_bytes, (long long)h->ceiling);
	h->ceiling = now > budget_bytes ? now : budget_bytes;
}

static void check_runs(const struct history *h)
{
	for (int lane = 0; lane < LANES; lane++) {
		const struct run *run = &h->runs[lane];
		if (!run->batch)
			continue;
		const struct ps_repo_instance *in =
			ps_repo_instance_get(h->m.repo, run->request.instance);
		assert_int_equal(in->id, run->id);
		assert_int_equal(in->state, PS_REPO_INSTANCE_READY);
		assert_true(in->holds > 0);
	}
}

static void check_waiting(const struct history *h)
{
	struct ps_dispatch_memory_view v;
	int64_t waiting = 0;
	ps_dispatch_memory_view_get(h->m.d, &v);
	for (int k = 0; k < MANY; k++) {
		waiting += h->live[k];
		if (h->live[k])
			assert_int_equal(h->r[k].state, PS_DISPATCH_PARKED);
	}
	assert_int_equal(v.parked, waiting);
}

static uint64_t served_by(const struct machine *m, int model)
{
	int i = ps_repo_serving(m->repo, m->models[model], PS_REPO_SHARED);
	return i < 0 ? 0 : ps_repo_instance_get(m->repo, i)->id;
}

static void note(struct history *h, uint64_t value)
{
	h->digest = (h->digest ^ value) * UINT64_C(0x100000001b3);
}

static void step(struct history *h, struct tally *all)
{
	struct machine *m = &h->m;
	int64_t before[TENANTS];
	uint64_t own[TENANTS], nobodys = evictions(m, -1), any = evictions(m, -2);
	int64_t epochs = ps_dispatch_epochs(m->d);
	uint64_t served[MODELS];
	for (int k = 0; k < MODELS; k++)
		served[k] = served_by(m, k);
	for (int t = 0; t < TENANTS; t++) {
		before[t] = kept(m, t);
		own[t] = evictions(m, t);
	}
	m->now += below(h, 3) * MS;
	bool plain = event(h, all);
	kick(m);
	if (m->plan.plan)
		h->plan = m->plan;
	m->plan.plan = NULL;
	take_answers(h, all);
	check_memory(h);
	check_runs(h);
	check_waiting(h);
	bool checked = plain && nobodys == evictions(m, -1) && epochs == ps_dispatch_epochs(m->d);
	for (int k = 0; k < MODELS; k++) /* a new content took the place of the old one */
		if (served[k] && served_by(m, k) && served[k] != served_by(m, k))
			checked = false;
	for (int t = 0; t < TENANTS; t++) {
		int64_t least = before[t] < h->guarantee[t] ? before[t] : h->guarantee[t];
		if (!checked || own[t] != evictions(m, t))
			continue;
		if (kept(m, t) < least)
			fail_msg("tenant %d keeps %lld of %lld, %lld are guaranteed", t,
				 (long long)kept(m, t), (long long)before[t],
				 (long long)h->guarantee[t]);
		all->held_back += least > 0 && any != evictions(m, -2);
	}
	for (int k = 0; k < MODELS; k++)
		note(h, is_there(m, k));
	note(h, (uint64_t)used(m));
	note(h, evictions(m, -2));
}

/* Nobody waits for ever: in the end all have gone on or were told why not. */
static void let_end(struct history *h, struct tally *all)
{
	struct machine *m = &h->m;
	for (int lane = 0; lane < LANES; lane++)
		end_run(h, lane);
	for (int round = 0; round < 1000; round++) {
		m->now += SEC;
		end_plan(h, all);
		while (m->n_opening + m->n_closing > 0)
			m->n_closing > 0 ? end_unload(m) : end_load(m, PS_OK);
		kick(m);
		if (m->plan.plan)
			h->plan = m->plan;
		m->plan.plan = NULL;
		take_answers(h, all);
	}
	for (int k = 0; k < MANY; k++)
		assert_false(h->live[k]);
}

static uint64_t history(uint64_t seed, enum ps_cache_kind policy, struct tally *all)
{
	struct history *h = calloc(1, sizeof *h);
	h->memory = budget(35);
	h->memory.min_residency_ns = 3 * MS;
	h->memory.policy = policy;
	h->memory.epoch_ns = 50 * MS;
	h->memory.load_pause_ns = 20 * MS;
	h->guarantee[A] = 10;
	start_machine(&h->m, &h->memory, h->guarantee[A], 0, 1);
	h->m.holds_plans = true;
	h->m.max_loading = 1 + (int)(seed % 3);
	ps_rng_init(&h->rng, seed, 1);
	for (int i = 0; i < MODELS; i++)
		h->m.bytes[i] = 5 + below(h, 12);
	h->m.content[5] = h->m.content[4];
	h->m.bytes[5] = h->m.bytes[4];
	for (int i = 0; i < STEPS; i++)
		step(h, all);
	all->evicted += (int64_t)evictions(&h->m, -2);
	let_end(h, all);
	uint64_t digest = h->digest;
	stop_machine(&h->m);
	free(h);
	return digest;
}

static void whatever_happens(void **state)
{
	(void)state;
	struct tally all = {0}, again = {0};
	for (uint64_t seed = 1; seed <= 24; seed++) {
		enum ps_cache_kind policy = (enum ps_cache_kind)(seed % PS_CACHE_KINDS);
		uint64_t digest = history(seed, policy, &all);
		if (seed <= PS_CACHE_KINDS)
			assert_true(digest == history(seed, policy, &again));
	}
	print_message("%lld went on, %lld refused, %lld evicted, %lld runs, %lld held more, "
		      "%lld plans, %lld lower budgets, %lld guarantees held\n",
		      (long long)all.went_on, (long long)all.refused, (long long)all.evicted,
		      (long long)all.runs, (long long)all.lies, (long long)all.plans,
		      (long long)all.lowered, (long long)all.held_back);
	assert_true(all.went_on > 1000 && all.refused > 100 && all.evicted > 1000);
	assert_true(all.runs > 1000 && all.lies > 10 && all.plans > 100 && all.lowered > 10);
	assert_true(all.held_back > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
