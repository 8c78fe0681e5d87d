#include "cache/knapsack_internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of the search, per item. */
enum { NODES = 50, FEW = 30 };
#define ROUNDING 1e-14

bool ps_cache_sack_init(struct ps_cache_sack *k, int most)
{
	size_t n = (size_t)most + 1;

	*k = (struct ps_cache_sack){
		.most = most,
		.e = malloc(n * sizeof(*k->e)),
		.raw = malloc(n * sizeof(*k->raw)),
		.key = malloc(2 * n * sizeof(*k->key)),
		.value_sum = malloc(n * sizeof(*k->value_sum)),
		.byte_sum = malloc(n * sizeof(*k->byte_sum)),
		.least = malloc(n * sizeof(*k->least)),
		.stack = malloc(n * sizeof(*k->stack)),
		.stack_value = malloc(n * sizeof(*k->stack_value)),
		.stack_room = malloc(n * sizeof(*k->stack_room)),
		.in = malloc(n * sizeof(*k->in)),
		.best_in = malloc(n * sizeof(*k->best_in)),
	};
	if (k->e && k->raw && k->key && k->value_sum && k->byte_sum && k->least && k->stack &&
	    k->stack_value && k->stack_room && k->in && k->best_in)
		return true;
	ps_cache_sack_fini(k);
	return false;
}

void ps_cache_sack_fini(struct ps_cache_sack *k)
{
	free(k->e);
	free(k->raw);
	free(k->key);
	free(k->value_sum);
	free(k->byte_sum);
	free(k->least);
	free(k->stack);
	free(k->stack_value);
	free(k->stack_room);
	free(k->in);
	free(k->best_in);
	*k = (struct ps_cache_sack){0};
}

/* Ties by number, so that the answer does not hang on the sort. */
static int by_density(const void *a, const void *b)
{
	const struct ps_cache_sack_entry *x = a, *y = b;

	if (x->density != y->density)
		return x->density > y->density ? -1 : 1;
	return x->id - y->id;
}

/* ---- sorting ---- */

enum { DIGIT = 11, DIGITS = 3, SORTED_PLAIN = 48 };

/* A density that is not below 0 as a single has bits in its own order. */
static uint32_t bits_of(double density)
{
	float f = density < FLT_MAX ? (float)density : INFINITY;
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return ~bits;
}

/* By one digit of the keys, stable. */
static void by_digit(const struct ps_cache_sack_key *from, int n, int shift,
		     struct ps_cache_sack_key *to)
{
	int at[1 << DIGIT] = {0}, sum = 0;
	const uint32_t mask = (1U << DIGIT) - 1;

	for (int i = 0; i < n; i++)
		at[from[i].bits >> shift & mask]++;
	for (int d = 0; d < 1 << DIGIT; d++) {
		int count = at[d];
		at[d] = sum;
		sum += count;
	}
	for (int i = 0; i < n; i++)
		to[at[from[i].bits >> shift & mask]++] = from[i];
}

/* From k->raw into k->e. Densities that are the same to a single are told apart one run at a time.
 */
static void sort(struct ps_cache_sack *k)
{
	struct ps_cache_sack_key *key = k->key, *other = k->key + k->most + 1;
	int n = k->n;

	if (n < SORTED_PLAIN) {
		memcpy(k->e, k->raw, (size_t)n * sizeof(*k->e));
		qsort(k->e, (size_t)n, sizeof(*k->e), by_density);
		return;
	}
	for (int i = 0; i < n; i++)
		key[i] = (struct ps_cache_sack_key){bits_of(k->raw[i].density), i};
	for (int d = 0; d < DIGITS; d++) {
		struct ps_cache_sack_key *from = key;
		by_digit(from, n, d * DIGIT, other);
		key = other;
		other = from;
	}
	for (int i = 0; i < n; i++)
		k->e[i] = k->raw[key[i].at];
	for (int i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && key[end].bits == key[i].bits; end++)
			;
		if (end > i + 1)
			qsort(k->e + i, (size_t)(end - i), sizeof(*k->e), by_density);
	}
}

/* No sum of bytes that have a common divisor fills what is over its multiples. */
static int64_t round_down(const struct ps_cache_sack *k, int64_t room)
{
	int64_t divisor = 0;

	for (int i = 0; i < k->n && divisor != 1; i++)
		for (int64_t b = k->e[i].bytes; b > 0;) {
			int64_t left = divisor % b;
			divisor = b;
			b = left;
		}
	return divisor > 1 ? room - room % divisor : room;
}

/* Items that can be in, sorted, with their sums. */
static void prepare(struct ps_cache_sack *k, const struct ps_cache_sack_problem *p)
{
	k->n = 0;
	for (int i = 0; i < p->n; i++) {
		if (!(p->value[i] > 0) || p->bytes[i] > p->room)
			continue;
		k->raw[k->n++] = (struct ps_cache_sack_entry){
			.density = p->bytes[i] > 0 ? p->value[i] / (double)p->bytes[i] : INFINITY,
			.value = p->value[i],
			.bytes = p->bytes[i],
			.id = i,
		};
	}
	sort(k);
	k->value_sum[0] = 0;
	k->byte_sum[0] = 0;
	for (int i = 0; i < k->n; i++) {
		k->value_sum[i + 1] = k->value_sum[i] + k->e[i].value;
		k->byte_sum[i + 1] = k->byte_sum[i] + k->e[i].bytes;
	}
	k->least[k->n] = INT64_MAX;
	for (int i = k->n - 1; i >= 0; i--)
		k->least[i] = k->e[i].bytes < k->least[i + 1] ? k->e[i].bytes : k->least[i + 1];
	k->room = round_down(k, p->room);
}

/* The first entry from `at` on that does not fit behind all between. */
static int break_of(const struct ps_cache_sack *k, int at, int64_t room)
{
	int low = at, high = at + 1;

	/* Mostly it is near: strides that double, then halving. */
	for (int stride = 1; high < k->n && k->byte_sum[high] - k->byte_sum[at] <= room;) {
		low = high;
		stride *= 2;
		high = high + stride < k->n ? high + stride : k->n;
	}
	high = high < k->n ? high : k->n;
	while (low < high) {
		int mid = low + (high - low + 1) / 2;
		if (k->byte_sum[mid] - k->byte_sum[at] <= room)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

/* With entries from `at` on in fractions. */
static double bound_from(const struct ps_cache_sack *k, int at, int64_t room, double value,
			 int *ret_break)
{
	int r = break_of(k, at, room);
	double full = value + (k->value_sum[r] - k->value_sum[at]);

	*ret_break = r;
	if (r == k->n)
		return full;
	return full + (double)(room - (k->byte_sum[r] - k->byte_sum[at])) * k->e[r].density;
}

/* The dual of the bytes: the value per byte where the room ends. */
static void root(struct ps_cache_sack *k)
{
	k->bound = bound_from(k, 0, k->room, 0, &k->cut);
	k->dual = k->cut < k->n ? k->e[k->cut].density : 0;
}

struct walk {
	int at, depth;
	int64_t room;
	double value;
};

static void put_in(struct ps_cache_sack *k, struct walk *w, int stop)
{
	for (; w->at < stop; w->at++) {
		k->stack[w->depth] = w->at;
		k->stack_value[w->depth] = w->value;
		k->stack_room[w->depth++] = w->room;
		k->in[w->at] = true;
		w->value += k->e[w->at].value;
		w->room -= k->e[w->at].bytes;
	}
}

static void keep_best(struct ps_cache_sack *k, const struct walk *w)
{
	if (w->value <= k->best)
		return;
	k->best = w->value;
	memcpy(k->best_in, k->in, (size_t)k->n * sizeof(*k->in));
}

static bool cannot_beat(const struct ps_cache_sack *k, double bound, double tolerance)
{
	return bound <= k->best * (1 + tolerance + ROUNDING);
}

/* From a node down to a leaf, taking what fits; the bound may end it before. */
static void descend(struct ps_cache_sack *k, struct walk *w, double tolerance)
{
	int r;

	for (;;) {
		k->nodes++;
		if (cannot_beat(k, bound_from(k, w->at, w->room, w->value, &r), tolerance))
			return;
		put_in(k, w, r);
		if (w->room < k->least[w->at])
			break;
		while (w->at < k->n && k->e[w->at].bytes > w->room)
			w->at++;
		if (w->at == k->n)
			break;
	}
	keep_best(k, w);
}

/* The last one that is in goes out. */
static bool step_back(struct ps_cache_sack *k, struct walk *w)
{
	if (w->depth == 0)
		return false;
	w->depth--;
	int at = k->stack[w->depth];
	k->in[at] = false;
	w->value = k->stack_value[w->depth];
	w->room = k->stack_room[w->depth];
	w->at = at + 1;
	return true;
}

/* What a cut search has not looked at: from here on, and without each that is in. */
static double bound_left(struct ps_cache_sack *k, struct walk *w)
{
	int r;
	double bound = bound_from(k, w->at, w->room, w->value, &r);

	while (step_back(k, w))
		bound = fmax(bound, bound_from(k, w->at, w->room, w->value, &r));
	return bound;
}

/* Returns a bound of all sets. */
static double search(struct ps_cache_sack *k, const struct ps_cache_sack_problem *p)
{
	struct walk w = {.room = k->room};
	int64_t most = p->nodes > 0 ? p->nodes : NODES * (int64_t)(k->n + FEW);
	double bound;

	k->best = 0;
	k->nodes = 0;
	memset(k->in, 0, (size_t)k->n * sizeof(*k->in));
	memset(k->best_in, 0, (size_t)k->n * sizeof(*k->in));
	do {
		descend(k, &w, p->tolerance);
	} while (k->nodes < most && step_back(k, &w));
	bound = k->best * (1 + p->tolerance + ROUNDING);
	return k->nodes < most ? bound : fmax(bound, bound_left(k, &w));
}

/* ---- both ---- */

static double take(const struct ps_cache_sack *k, const struct ps_cache_sack_problem *p,
		   bool *ret_take)
{
	double value = 0;

	memset(ret_take, 0, (size_t)p->n * sizeof(*ret_take));
	for (int i = 0; i < k->n; i++) {
		if (!k->best_in[i])
			continue;
		ret_take[k->e[i].id] = true;
		value += k->e[i].value;
	}
	return value;
}

double ps_cache_sack_solve(struct ps_cache_sack *k, const struct ps_cache_sack_problem *p,
			   bool *ret_take, double *ret_bound)
{
	double bound, listed, tolerance = p->tolerance + ROUNDING;

	prepare(k, p);
	root(k);
	bound = search(k, p);
	/* Few are worth the exact answer, many what is left over a billionth. */
	if (!p->quick && bound > k->best * (1 + tolerance + (k->n <= FEW ? 0 : 1e-9))) {
		if (ps_cache_sack_lists(k, tolerance, p->states, &listed))
			bound = fmin(bound, listed);
	}
	double value = take(k, p, ret_take);
	*ret_bound = fmax(bound, value);
	return value;
}
