/* Random lives of models: whatever happens, the books agree, nothing that is held is unloaded,
 * every wish ends in READY or FAILED, and nothing is left over. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "repo/repo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_NAMES	    5
#define N_VERSIONS  4
#define N_DOMAINS   3
#define N_CONTENTS  6
#define MAX_FLIGHTS 64
#define RUNS	    300
#define STEPS	    1500

struct loader {
	int instance;
	bool hashed;
};

struct world {
	struct ps_repo *r;
	struct ps_rng rng;
	uint64_t seed;
	struct loader loaders[MAX_FLIGHTS];
	int n_loaders;
	int holds[MAX_FLIGHTS], n_holds;
	int unloading[MAX_FLIGHTS], n_unloading;
	int contents[1024]; /* by model: what is in its file now; 0: broken */
	int64_t clock;
	bool never_fail;
};

static int below(struct world *w, int n)
{
	return (int)ps_rng_below(&w->rng, (uint64_t)n);
}

static void check(const struct world *w, const char *after)
{
	struct ps_error err;

	ps_error_clear(&err);
	if (ps_repo_check(w->r, &err) != PS_OK)
		fail_msg("seed %llu, after %s: %s", (unsigned long long)w->seed, after, err.what);
}

static int any_model(struct world *w)
{
	return ps_repo_count(w->r) ? below(w, ps_repo_count(w->r)) : -1;
}

static void put(struct world *w)
{
	char name[8], path[32];
	int version = 1 + below(w, N_VERSIONS), model;
	const struct ps_repo_identity id = {.ino = 1, .mtime_ns = ++w->clock};

	snprintf(name, sizeof(name), "m%d", below(w, N_NAMES));
	snprintf(path, sizeof(path), "/%s/%d", name, version);
	assert_int_equal(ps_repo_put(w->r, name, version, path, &id, 0, &model, NULL), PS_OK);
	w->contents[model] = below(w, N_CONTENTS);
}

static void set_config(struct world *w)
{
	struct ps_repo_config c;
	char name[8];

	snprintf(name, sizeof(name), "m%d", below(w, N_NAMES));
	ps_repo_config_init(&c);
	c.policy.kind = (enum ps_repo_policy_kind)below(w, 3);
	c.policy.latest = 1 + below(w, 2);
	c.policy.versions[0] = 1 + below(w, N_VERSIONS);
	c.policy.n = 1;
	if (below(w, 4) == 0)
		strcpy(c.device, "cuda:0");
	assert_int_equal(ps_repo_set_config(w->r, name, &c, NULL), PS_OK);
}

static void wish(struct world *w)
{
	int model = any_model(w);
	char name[8];

	if (model < 0)
		return;
	snprintf(name, sizeof(name), "m%d", below(w, N_NAMES));
	if (below(w, 2))
		(void)ps_repo_want(w->r, model, below(w, N_DOMAINS), below(w, 3) > 0);
	else
		(void)ps_repo_serve(w->r, name, below(w, N_DOMAINS), below(w, 3) > 0);
}

static void begin_load(struct world *w)
{
	int i = w->n_loaders < MAX_FLIGHTS ? ps_repo_next_load(w->r) : -1;

	if (i >= 0)
		w->loaders[w->n_loaders++] = (struct loader){i, false};
}

static void remove_loader(struct world *w, int at)
{
	w->loaders[at] = w->loaders[--w->n_loaders];
}

static void hash(struct world *w, int at, int content)
{
	unsigned char h[PS_REPO_HASH_SIZE] = {0};

	h[0] = (unsigned char)content;
	w->loaders[at].hashed = true;
	if (!ps_repo_hashed(w->r, w->loaders[at].instance, h))
		remove_loader(w, at);
}

static void finish(struct world *w, int at, bool ok)
{
	const struct ps_repo_facts facts = {.private_bytes = 1, .mapped_bytes = 1};
	struct ps_error why;

	ps_error_set(&why, PS_EPARSE, "broken");
	ps_repo_loaded(w->r, w->loaders[at].instance, ok ? PS_OK : PS_EPARSE, &why, &facts, w);
	remove_loader(w, at);
}

static void step_load(struct world *w)
{
	int at = w->n_loaders ? below(w, w->n_loaders) : -1;
	const struct ps_repo_instance *i;
	int content;

	if (at < 0)
		return;
	i = ps_repo_instance_get(w->r, w->loaders[at].instance);
	content = w->contents[i->model];
	if (!w->loaders[at].hashed)
		hash(w, at, content);
	else
		finish(w, at, w->never_fail || content != 0);
}

static void hold(struct world *w)
{
	int model = any_model(w), i;

	if (model < 0 || w->n_holds == MAX_FLIGHTS)
		return;
	i = ps_repo_serving(w->r, model, below(w, N_DOMAINS));
	if (i < 0)
		return;
	ps_repo_hold(w->r, i);
	w->holds[w->n_holds++] = i;
}

static void release(struct world *w)
{
	int at = w->n_holds ? below(w, w->n_holds) : -1;

	if (at < 0)
		return;
	ps_repo_release(w->r, w->holds[at]);
	w->holds[at] = w->holds[--w->n_holds];
}

static void begin_unload(struct world *w)
{
	int i = w->n_unloading < MAX_FLIGHTS ? ps_repo_next_unload(w->r) : -1;

	if (i < 0)
		return;
	for (int k = 0; k < w->n_holds; k++)
		if (w->holds[k] == i)
			fail_msg("seed %llu: a held instance is unloaded",
				 (unsigned long long)w->seed);
	assert_ptr_equal(ps_repo_instance_get(w->r, i)->user, w);
	w->unloading[w->n_unloading++] = i;
}

static void end_unload(struct world *w)
{
	int at = w->n_unloading ? below(w, w->n_unloading) : -1;

	if (at < 0)
		return;
	ps_repo_unloaded(w->r, w->unloading[at]);
	w->unloading[at] = w->unloading[--w->n_unloading];
}

static void remove_one(struct world *w)
{
	int model = any_model(w);

	if (model >= 0)
		ps_repo_remove(w->r, model);
}

static void reload(struct world *w)
{
	int model = any_model(w);

	if (model >= 0)
		assert_int_equal(ps_repo_reload(w->r, model), PS_OK);
}

static void drop_domain(struct world *w)
{
	ps_repo_drop_domain(w->r, 1 + below(w, N_DOMAINS - 1));
}

static const struct {
	const char *name;
	void (*act)(struct world *);
	int weight;
} acts[] = {
	{"put", put, 6},	   {"configuration", set_config, 2},
	{"wish", wish, 8},	   {"begin load", begin_load, 14},
	{"load", step_load, 28},   {"hold", hold, 12},
	{"release", release, 12},  {"begin unload", begin_unload, 8},
	{"unload", end_unload, 8}, {"remove", remove_one, 2},
	{"reload", reload, 2},	   {"drop domain", drop_domain, 1},
};

static void step(struct world *w)
{
	int sum = 0, at;
	size_t k = 0;

	for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++)
		sum += acts[i].weight;
	for (at = below(w, sum); at >= acts[k].weight; k++)
		at -= acts[k].weight;
	acts[k].act(w);
	check(w, acts[k].name);
}

/* Nothing new comes: all that is wanted must become READY or FAILED. */
static void come_to_rest(struct world *w)
{
	while (w->n_holds)
		release(w);
	for (int i = 0; i < 100000 && !ps_repo_settled(w->r); i++) {
		begin_load(w);
		step_load(w);
		begin_unload(w);
		end_unload(w);
	}
	check(w, "rest");
	assert_true(ps_repo_settled(w->r));
	for (int m = 0; m < ps_repo_count(w->r); m++)
		for (int d = 0; d < N_DOMAINS; d++) {
			enum ps_repo_state s = ps_repo_state_of(w->r, m, d);

			if (ps_repo_wanted(w->r, m, d))
				assert_true(s == PS_REPO_READY || s == PS_REPO_FAILED);
			else
				assert_true(s == PS_REPO_UNLOADED);
		}
}

static int alive(const struct world *w)
{
	int n = 0;

	for (int i = 0; i < ps_repo_instances(w->r); i++)
		n += ps_repo_instance_get(w->r, i)->state != PS_REPO_INSTANCE_FREE;
	return n;
}

static void live(uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->seed = seed;
	ps_rng_init(&w->rng, seed, 1);
	assert_int_equal(ps_repo_new(&w->r), PS_OK);
	for (int i = 0; i < STEPS; i++)
		step(w);
	come_to_rest(w);
	for (int m = 0; m < ps_repo_count(w->r); m++)
		ps_repo_remove(w->r, m);
	come_to_rest(w);
	assert_int_equal(alive(w), 0);
	assert_true(ps_repo_ready(w->r));
	assert_int_equal(ps_repo_resident_bytes(w->r), 0);
	ps_repo_free(w->r);
	free(w);
}

static void random_lives_keep_their_promises(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= RUNS; seed++)
		live(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(random_lives_keep_their_promises)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
