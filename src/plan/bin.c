#include "plan/plan_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void ps_plan_bin_init(struct ps_plan_bin *b, int type)
{
	*b = (struct ps_plan_bin){.type = type};
}

void ps_plan_bin_fini(struct ps_plan_bin *b)
{
	free(b->set);
	ps_plan_bin_init(b, b->type);
}

static int level_of(const struct ps_plan_space *s, int type, int kind)
{
	return s->level[(size_t)type * (size_t)s->kinds + (size_t)kind];
}

/* What is used, at the level of the strictest member. */
static void recount(const struct ps_plan_space *s, struct ps_plan_bin *b)
{
	double need[PS_PLAN_MAX_DIMS];

	b->level = 0;
	memset(b->used, 0, sizeof(b->used));
	for (int i = 0; i < b->n; i++) {
		int level = level_of(s, b->type, b->set[i].kind);
		b->level = level > b->level ? level : b->level;
	}
	for (int i = 0; i < b->n; i++) {
		s->o->need(s->o->ctx, b->type, b->level, b->set[i].kind, need);
		for (int d = 0; d < s->dims; d++)
			b->used[d] += need[d] * b->set[i].count;
	}
}

/* The place of the first member that is not before `kind`. */
static int place_of(const struct ps_plan_bin *b, int kind)
{
	int low = 0, high = b->n;

	while (low < high) {
		int mid = (low + high) / 2;
		if (b->set[mid].kind < kind)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool reserve(struct ps_plan_bin *b)
{
	if (b->n < b->cap)
		return true;
	int cap = b->cap ? 2 * b->cap : 4;
	struct ps_plan_count *set = realloc(b->set, (size_t)cap * sizeof(*set));
	if (!set)
		return false;
	b->set = set;
	b->cap = cap;
	return true;
}

static void put(struct ps_plan_bin *b, int at, int kind, int count)
{
	if (at < b->n && b->set[at].kind == kind) {
		b->set[at].count += count;
		return;
	}
	memmove(b->set + at + 1, b->set + at, (size_t)(b->n - at) * sizeof(*b->set));
	b->set[at] = (struct ps_plan_count){kind, count};
	b->n++;
}

static void take(struct ps_plan_bin *b, int at, int count)
{
	b->set[at].count -= count;
	if (b->set[at].count > 0)
		return;
	b->n--;
	memmove(b->set + at, b->set + at + 1, (size_t)(b->n - at) * sizeof(*b->set));
}

static bool listed(const struct ps_plan_kind *k, int other)
{
	int low = 0, high = k->aparts;

	while (low < high) {
		int mid = (low + high) / 2;
		if (k->apart[mid] < other)
			low = mid + 1;
		else
			high = mid;
	}
	return low < k->aparts && k->apart[low] == other;
}

static bool apart_from(const struct ps_plan_space *s, const struct ps_plan_bin *b, int kind)
{
	const struct ps_plan_kind *k = &s->p->kinds[kind];

	for (int i = 0; k->aparts > 0 && i < b->n; i++) {
		if (listed(k, b->set[i].kind))
			return true;
	}
	return false;
}

/* The cheap half of the answer: false when the needs, which must fit, do not. */
static bool may_fit(const struct ps_plan_space *s, const struct ps_plan_bin *b, int kind, int count)
{
	double need[PS_PLAN_MAX_DIMS];
	const double *room = s->room + (size_t)b->type * (size_t)s->dims;
	int level = level_of(s, b->type, kind);

	if (level < 0)
		return false;
	s->o->need(s->o->ctx, b->type, level > b->level ? level : b->level, kind, need);
	/* At a higher level the others need more: what they use now is a floor all the same. */
	for (int d = 0; d < s->dims; d++) {
		if (b->used[d] + need[d] * count > room[d] * (1 + 1e-12))
			return false;
	}
	return true;
}

bool ps_plan_bin_add(const struct ps_plan_space *s, struct ps_plan_bin *b, int kind, int count)
{
	int at = place_of(b, kind);
	int there = at < b->n && b->set[at].kind == kind ? b->set[at].count : 0;

	if (count < 1 || there + count > s->p->kinds[kind].most || !may_fit(s, b, kind, count) ||
	    (!there && apart_from(s, b, kind)) || !reserve(b))
		return false;
	put(b, at, kind, count);
	if (s->o->judge(s->o->ctx, b->type, b->set, b->n, NULL) != PS_PLAN_FITS) {
		take(b, at, count);
		return false;
	}
	recount(s, b);
	return true;
}

int ps_plan_bin_most(const struct ps_plan_space *s, struct ps_plan_bin *b, int kind, int count)
{
	int added = 0;

	if (count > 0 && ps_plan_bin_add(s, b, kind, 1))
		added = 1;
	/* Doubling, then halving: monotone. */
	for (int step = 1; added && added + step <= count && ps_plan_bin_add(s, b, kind, step);
	     step *= 2)
		added += step;
	int step = 1;
	while (added && step < count - added)
		step *= 2;
	for (; added && step >= 1; step /= 2) {
		if (added + step <= count && ps_plan_bin_add(s, b, kind, step))
			added += step;
	}
	return added;
}

void ps_plan_bin_remove(const struct ps_plan_space *s, struct ps_plan_bin *b, int kind, int count)
{
	take(b, place_of(b, kind), count);
	recount(s, b);
}

/* Could the set be on a type? Its members must be allowed there, and fit. */
static bool holds(const struct ps_plan_space *s, const struct ps_plan_bin *b, int type)
{
	for (int i = 0; i < b->n; i++) {
		if (level_of(s, type, b->set[i].kind) < 0)
			return false;
	}
	return s->o->judge(s->o->ctx, type, b->set, b->n, NULL) == PS_PLAN_FITS;
}

void ps_plan_bin_shrink(const struct ps_plan_space *s, struct ps_plan_bin *b)
{
	int best = b->type;

	for (int t = 0; t < s->types; t++) {
		if (s->p->types[t].usd_per_hour < s->p->types[best].usd_per_hour && holds(s, b, t))
			best = t;
	}
	if (best != b->type) {
		b->type = best;
		recount(s, b);
	}
}

bool ps_plan_bin_copy(struct ps_plan_bin *to, const struct ps_plan_bin *from)
{
	struct ps_plan_count *set = NULL;

	if (from->n > 0) {
		set = malloc((size_t)from->n * sizeof(*set));
		if (!set)
			return false;
		memcpy(set, from->set, (size_t)from->n * sizeof(*set));
	}
	*to = *from;
	to->set = set;
	to->cap = from->n;
	return true;
}

double ps_plan_bin_value(const struct ps_plan_space *s, const struct ps_plan_bin *b)
{
	double sum = 0;

	for (int i = 0; i < b->n; i++)
		sum += s->value[b->set[i].kind] * b->set[i].count;
	return sum;
}

bool ps_plan_bins_take(struct ps_plan_bins *bs, struct ps_plan_bin *b)
{
	if (bs->n == bs->cap) {
		int cap = bs->cap ? 2 * bs->cap : 16;
		struct ps_plan_bin *items = realloc(bs->items, (size_t)cap * sizeof(*items));
		if (!items) {
			ps_plan_bin_fini(b);
			return false;
		}
		bs->items = items;
		bs->cap = cap;
	}
	bs->items[bs->n++] = *b;
	ps_plan_bin_init(b, b->type);
	return true;
}

void ps_plan_bins_fini(struct ps_plan_bins *bs)
{
	for (int i = 0; i < bs->n; i++)
		ps_plan_bin_fini(&bs->items[i]);
	free(bs->items);
	*bs = (struct ps_plan_bins){0};
}

double ps_plan_bins_cost(const struct ps_plan_space *s, const struct ps_plan_bins *bs)
{
	double sum = 0;

	for (int i = 0; i < bs->n; i++)
		sum += s->p->types[bs->items[i].type].usd_per_hour;
	return sum;
}
