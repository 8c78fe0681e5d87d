/* predict_beside.c - what becomes of a model beside one neighbour or several. */
#include "cli/predict_asking_internal.h"

#include <stdio.h>
#include <string.h>

/* The neighbours that are asked about. */
struct neighbours {
	int n, model[PS_PREDICT_MAX_NEIGHBOURS];
	struct ps_predict_tenant tenant[PS_PREDICT_MAX_NEIGHBOURS];
};

/* From the pairs that were measured, also for several neighbours. */
static enum ps_status answer_set(struct ps_cli_predict_asking *a, struct ps_cli_predict_table *t,
				 const struct ps_predict_tenant *own,
				 const struct neighbours *others, struct ps_cli_predict_answer *x,
				 struct ps_error *err)
{
	const struct ps_predict_set set = {.own = *own,
					   .own_model = a->model,
					   .others = others->tenant,
					   .other_models = others->model,
					   .n = others->n,
					   .slice = a->slice};
	enum ps_status st = ps_predict_learn(&t->table, ps_predict_candidates, &t->learned, err);

	if (st == PS_OK)
		st = ps_predict_set_at(t->learned, &set, a->o->confidence, &x->estimate, err);
	if (st != PS_OK)
		return ps_cli_predict_is_unknown(x, st, err);
	x->known = true;
	x->models = (int)t->learned->fold_len;
	ps_cli_predict_add_note(
		x, "from its pairs: how wrong that is of sets, --validate says where sets were "
		   "measured");
	return PS_OK;
}

static enum ps_status answer_pair(struct ps_cli_predict_asking *a, struct ps_cli_predict_table *t,
				  const struct ps_predict_tenant *own,
				  const struct neighbours *others, struct ps_cli_predict_answer *x,
				  struct ps_error *err)
{
	struct ps_predict_row row;

	if (x->quantity == &ps_predict_p99)
		ps_predict_p99_row(own, &others->tenant[0], &a->slice, &row);
	else
		ps_predict_slowdown_row(own, &others->tenant[0], &a->slice, &row);
	return ps_cli_predict_answer_from(a, t, &row, x, err);
}

static const struct ps_predict_quantity *quantity_of(const struct ps_cli_predict_asking *a,
						     bool p99)
{
	if (a->o->beside.len == 1)
		return p99 ? &ps_predict_p99 : &ps_predict_slowdown;
	return p99 ? &ps_predict_set_p99 : &ps_predict_set_slowdown;
}

static void name_neighbours(const struct ps_cli_predict_asking *a, struct ps_cli_predict_answer *x)
{
	for (size_t i = 0; i < a->o->beside.len && a->o->beside.len > 1; i++) {
		size_t at = strlen(x->setting);
		(void)snprintf(x->setting + at, sizeof(x->setting) - at, "%s %.40s at %.4g/s",
			       i ? "," : ", beside", a->o->beside.items[i], a->o->beside_rps[i]);
	}
}

static bool are_tenants(const struct ps_cli_predict_asking *a, struct neighbours *others,
			struct ps_cli_predict_answer *x)
{
	bool unused = false;

	for (int i = 0; i < others->n; i++) {
		const char *lacks = a->d->models[others->model[i]].lacks;
		if (lacks)
			(void)snprintf(x->note, sizeof(x->note), "of %.80s nothing follows: %.120s",
				       a->o->beside.items[i], lacks);
		else if (!ps_cli_predict_as_tenant(a, others->model[i], 1, a->o->beside_rps[i],
						   NULL, &others->tenant[i], &unused))
			ps_cli_predict_add_note(x, "a service time is not known");
		if (x->note[0])
			return false;
	}
	return true;
}

static enum ps_status beside(struct ps_cli_predict_asking *a, struct neighbours *others,
			     const struct ps_cli_predict_answer *service, bool p99,
			     struct ps_error *err)
{
	struct ps_cli_predict_answer *x = ps_cli_predict_begin(a, quantity_of(a, p99));
	struct ps_cli_predict_table t;
	struct ps_predict_tenant own;
	bool predicted = false;

	name_neighbours(a, x);
	if (!are_tenants(a, others, x))
		return PS_OK;
	if (!ps_cli_predict_as_tenant(a, a->model, a->o->batch, a->o->rate, service, &own,
				      &predicted)) {
		ps_cli_predict_add_note(x, "a service time is not known");
		return PS_OK;
	}
	enum ps_status st = p99 ? ps_cli_predict_p99_table(a->d, a->leave, &t, err)
				: ps_cli_predict_slowdown_table(a->d, a->leave, &t, err);
	if (st != PS_OK)
		return st;
	st = others->n == 1 ? answer_pair(a, &t, &own, others, x, err)
			    : answer_set(a, &t, &own, others, x, err);
	ps_cli_predict_say_predicted(x, predicted);
	ps_cli_predict_table_free(&t);
	return st;
}

static enum ps_status find_neighbours(const struct ps_cli_predict_asking *a, struct neighbours *ret,
				      struct ps_error *err)
{
	ret->n = (int)a->o->beside.len;
	for (int i = 0; i < ret->n; i++) {
		const char *name = a->o->beside.items[i];
		ret->model[i] = ps_cli_predict_find(a->d, name);
		if (ret->model[i] >= 0)
			continue;
		ps_error_set(err, PS_ENOTFOUND, "the store knows no model %.80s", name);
		ps_error_where(err, "--beside");
		return PS_ENOTFOUND;
	}
	return PS_OK;
}

/* Before anything is learned: a name that nobody knows shall not cost the time. */
enum ps_status ps_cli_predict_check_beside(const struct ps_cli_predict_asking *a,
					   struct ps_error *err)
{
	struct neighbours others = {0};

	return find_neighbours(a, &others, err);
}

enum ps_status ps_cli_predict_ask_beside(struct ps_cli_predict_asking *a,
					 const struct ps_cli_predict_answer *service,
					 struct ps_error *err)
{
	struct neighbours others = {0};
	enum ps_status st = find_neighbours(a, &others, err);

	if (st == PS_OK && others.n > 0)
		st = beside(a, &others, service, false, err);
	return st == PS_OK && others.n > 0 ? beside(a, &others, service, true, err) : st;
}
